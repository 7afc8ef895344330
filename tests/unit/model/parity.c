/* Cases and what is written of them beside the numbers, which are the parity programs' matter. */
#include "model/parity.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/parity_store.h"
#include "tests/unit/model/scratch.h"

enum { WIDTH = 40, HEIGHT = 30, MAX_BYTES = 1 << 20 };

static enum status grey_image(void *ctx, const char *path, uint8_t **rgb, int *width, int *height, struct diag *why)
{
    (void)ctx, (void)path, (void)why;
    *width = WIDTH;
    *height = HEIGHT;
    *rgb = malloc((size_t)WIDTH * HEIGHT * 3);
    cr_assert(*rgb);
    memset(*rgb, 90, (size_t)WIDTH * HEIGHT * 3);
    return ST_OK;
}

static enum status run(const char *cases, const char *out, struct diag *why)
{
    struct parity_options o = {
        .model_dir = "tests/parity/fixtures/tiny-ferret-a",
        .tower_dir = "tests/parity/fixtures/tiny-ferret-a-clip",
        .cases = cases,
        .images_dir = ".",
        .out_dir = out,
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)256 << 20},
        .load_image = grey_image,
    };
    return parity_run(&o, why);
}

/* Two regions without a mask and one with only COCO's string; no expectations. */
static const char three_regions[] =
    "{\"cases\":[{\"id\":\"one\",\"image\":\"any.png\",\"width\":40,\"height\":30,\"seed\":3,\"turns\":"
    "[\"What are <region_fea>, <region_fea> and <region_fea>?\"],\"greedy\":{\"max_new_tokens\":2},\"regions\":["
    "{\"kind\":\"box\",\"box\":[2,3,9,7],\"text\":\"b\"},{\"kind\":\"point\",\"xy\":[5,6],\"text\":\"p\"},"
    "{\"kind\":\"mask\",\"text\":\"m\",\"rle\":{\"size\":[30,40],\"counts_string\":\":5QU1\"}}]}],\"sampler_only\":"
    "[{\"id\":\"s\",\"width\":40,\"height\":30,\"seed\":1,\"boxes_inclusive\":[[1,1,8,8]]}]}";

static void write_cases(char path[SCRATCH_PATH], const char *dir, const char *name, const char *text)
{
    scratch_join(path, dir, name);
    scratch_write(path, text, strlen(text));
}

Test(parity, cases_of_any_name_run_without_expectations_and_come_out_whole)
{
    char dir[SCRATCH_PATH], cases[SCRATCH_PATH], out[SCRATCH_PATH], path[SCRATCH_PATH];
    struct diag why = {{0}};
    struct json *r = NULL;
    struct parity_store tensors = {0};
    scratch_make(dir);
    scratch_make(out);
    write_cases(cases, dir, "mine.txt", three_regions);
    cr_assert(!parity_has_expectations(cases));
    cr_assert_eq(run(cases, out, &why), ST_OK, "%s", why.text);
    scratch_join(path, out, "cases.json");
    cr_assert_eq(jsn_load(path, MAX_BYTES, &r, &why), ST_OK, "%s", why.text);
    const struct json *one = jsn_at(jsn_get(r, "cases"), 0), *only = jsn_at(jsn_get(r, "sampler_only"), 0);
    const struct json *regions = jsn_get(one, "regions"), *fixed = jsn_get(r, "fixed_indices");
    cr_assert(jsn_get(r, "checkpoint") && jsn_get(r, "compute"));
    cr_assert(jsn_size(fixed) == 64 && jsn_int(jsn_at(fixed, 0), -1) == 0 && jsn_int(jsn_at(fixed, 63), -1) == 768);
    cr_assert_eq(jsn_size(regions), 3);
    cr_assert_str_eq(jsn_string(jsn_get(jsn_get(jsn_at(regions, 2), "rle"), "counts_string"), ""), ":5QU1");
    cr_assert_eq(jsn_int(jsn_at(jsn_get(jsn_at(regions, 1), "xy"), 1), 0), 6);
    cr_assert_eq(jsn_int(jsn_get(jsn_at(jsn_get(one, "sampler"), 0), "n"), 0), 40);
    cr_assert_eq(jsn_size(jsn_get(jsn_get(one, "logits"), "at")), 64);
    cr_assert_eq(jsn_size(jsn_get(jsn_get(one, "greedy"), "ids")), 2);
    cr_assert(jsn_int(jsn_get(only, "n"), 0) == 64 && jsn_size(jsn_get(only, "fps1_first16")) > 0);
    jsn_free(r);
    scratch_join(path, out, "tensors.safetensors");
    cr_assert_eq(parity_store_read(&tensors, path, &why), ST_OK, "%s", why.text);
    const struct parity_tensor *t = parity_store_find(&tensors, "inv_freq");
    cr_assert(t && t->n == 8 && ((const float *)t->values)[0] == 1.0f);
    parity_store_fini(&tensors);
    cr_assert_eq(run(out, out, &why), ST_INVALID, "a set is not written over");
    cr_assert(parity_has_expectations(out));
    scratch_remove(dir);
    scratch_remove(out);
}

Test(parity, what_a_case_lacks_is_named)
{
    static const char *const bad[][2] = {
        {"\"regions\":[{\"kind\":\"polygon\"}]", "needs its rle"},
        {"\"regions\":[{\"kind\":\"box\",\"box\":[1,2]}]", "a box of four"},
        {"\"regions\":[{\"kind\":\"mask\",\"rle\":{\"size\":[40,30],\"counts\":[1]}}]", "size is not the image's"},
    };
    char dir[SCRATCH_PATH], cases[SCRATCH_PATH], text[512];
    scratch_make(dir);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct diag why = {{0}};
        snprintf(
            text, sizeof text,
            "{\"cases\":[{\"id\":\"odd\",\"image\":\"x\",\"width\":40,\"height\":30,\"turns\":[\"<region_fea>\"],%s}]}",
            bad[i][0]);
        write_cases(cases, dir, "c.json", text);
        cr_assert_neq(run(cases, dir, &why), ST_OK);
        cr_assert(strstr(why.text, bad[i][1]) && strstr(why.text, "case odd"), "%s", why.text);
    }
    scratch_remove(dir);
}
