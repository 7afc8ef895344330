#include "model/convert.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/checkpoint_check.h"
#include "model/half.h"
#include "model/tensor_table.h"
#include "model/tensor_list.h"
#include "tests/unit/model/scratch.h"

/* Source folders, and DIR with a place for the output. */
struct places {
    char dir[SCRATCH_PATH], out[SCRATCH_PATH], model[SCRATCH_PATH], base[SCRATCH_PATH], tower[SCRATCH_PATH];
    struct convert_options o;
};

static void start(struct places *p, bool is_delta)
{
    scratch_make(p->dir);
    scratch_join(p->out, p->dir, "out");
    fixture_path(p->model, is_delta ? "tiny-ferret-b-delta" : "tiny-ferret-a");
    fixture_path(p->base, "tiny-ferret-b-base");
    fixture_path(p->tower, is_delta ? "tiny-ferret-b-clip" : "tiny-ferret-a-clip");
    p->o = (struct convert_options){.model_dir = p->model,
                                    .base_dir = is_delta ? p->base : NULL,
                                    .tower_dir = p->tower,
                                    .out_dir = p->out,
                                    .dtype = CONVERT_F32};
}

static void run_ok(const struct convert_options *o)
{
    struct diag why = {0};
    cr_assert_eq(convert_run(o, &why), ST_OK, "%s", why.text);
}

struct opened {
    struct config *config;
    struct checkpoint *model, *tower;
};

static struct opened open_all(const char *dir, const char *base, const char *tower)
{
    struct opened x = {0};
    struct diag why = {0};
    cr_assert_eq(config_load(dir, tower, &x.config, &why), ST_OK, "%s", why.text);
    cr_assert_eq(checkpoint_open(dir, base, &x.model, &why), ST_OK, "%s", why.text);
    cr_assert_eq(checkpoint_open(x.config->tower_dir, NULL, &x.tower, &why), ST_OK, "%s", why.text);
    return x;
}

static void close_all(struct opened *x)
{
    checkpoint_close(x->model);
    checkpoint_close(x->tower);
    config_free(x->config);
}

static float *read_rows(const struct checkpoint *c, const struct tensor *t, int64_t *rows, int64_t *cols)
{
    *rows = t->n_dims ? t->dims[0] : 1, *cols = 1;
    for (int i = 1; i < t->n_dims; i++)
        *cols *= t->dims[i];
    float *v = malloc((size_t)(*rows * *cols) * sizeof *v);
    struct diag why = {0};
    cr_assert_eq(checkpoint_rows(c, t, 0, *rows, v, &why), ST_OK, "%s", why.text);
    return v;
}

typedef void (*comparison)(const struct config *c, const struct tensor *t, const float *want, const float *got,
                           int64_t rows, int64_t cols);

/* Compares every tensor that the model needs; the output must pass the check and hold nothing else. */
static void compare_all(const struct places *p, comparison compare)
{
    struct opened from = open_all(p->model, p->o.base_dir, p->tower), to = open_all(p->out, NULL, NULL);
    struct diag why = {0};
    cr_assert_eq(checkpoint_check(to.model, to.tower, to.config, &why), ST_OK, "%s", why.text);
    const struct checkpoint *pairs[2][2] = {{from.model, to.model}, {from.tower, to.tower}};
    size_t compared = 0;
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < checkpoint_count(pairs[k][0]); i++) {
            const struct tensor *t = checkpoint_at(pairs[k][0], i), *u = checkpoint_find(pairs[k][1], t->name);
            int64_t rows, cols;
            cr_assert_eq(u != NULL, !checkpoint_ignores(t->name), "%s", t->name);
            if (!u)
                continue;
            float *want = read_rows(pairs[k][0], t, &rows, &cols), *got = read_rows(pairs[k][1], u, &rows, &cols);
            compare(to.config, u, want, got, rows, cols);
            free(want);
            free(got);
            compared++;
        }
    }
    cr_assert_gt(compared, 50);
    close_all(&from);
    close_all(&to);
}

static void equal(const struct config *c, const struct tensor *t, const float *want, const float *got, int64_t rows,
                  int64_t cols)
{
    (void)c;
    cr_assert_eq(memcmp(want, got, (size_t)(rows * cols) * sizeof *want), 0, "%s", t->name);
}

static void equal_bf16(const struct config *c, const struct tensor *t, const float *want, const float *got,
                       int64_t rows, int64_t cols)
{
    (void)c;
    cr_assert_eq(t->type, TENSOR_BF16);
    for (int64_t i = 0; i < rows * cols; i++)
        cr_assert(got[i] == bf16_to_f32(bf16_from_f32(want[i])), "%s", t->name);
}

static void near_int8(const struct config *c, const struct tensor *t, const float *want, const float *got, int64_t rows,
                      int64_t cols)
{
    struct expected_tensor e;
    cr_assert(tensor_table_find(c, t->name, &e));
    cr_assert_eq(t->type, e.is_linear ? TENSOR_I8 : TENSOR_F16, "%s", t->name);
    for (int64_t r = 0; r < rows; r++) {
        float largest = 0;
        for (int64_t k = 0; k < cols; k++)
            largest = fmaxf(largest, fabsf(want[r * cols + k]));
        float step = e.is_linear ? largest / 127 : 0;
        for (int64_t k = 0; k < cols; k++)
            cr_assert(fabsf(want[r * cols + k] - got[r * cols + k]) <= step * 0.5001F, "%s row %lld", t->name,
                      (long long)r);
    }
}

Test(convert, f32_and_f16_hold_exactly_what_the_source_reads_as)
{
    static const enum convert_dtype dtypes[] = {CONVERT_F32, CONVERT_F16};
    for (int k = 0; k < 4; k++) {
        struct places p;
        start(&p, k % 2);
        p.o.dtype = dtypes[k / 2];
        run_ok(&p.o);
        compare_all(&p, equal);
        struct opened x = open_all(p.out, NULL, NULL);
        cr_assert_str_eq(x.config->torch_dtype, k / 2 ? "float16" : "float32");
        cr_assert_eq(checkpoint_at(x.model, 0)->type, k / 2 ? TENSOR_F16 : TENSOR_F32);
        close_all(&x);
        scratch_remove(p.dir);
    }
}

Test(convert, bf16_is_rounded_once_and_int8_is_within_half_a_step_of_its_row)
{
    static const comparison compare[] = {equal_bf16, near_int8};
    for (int k = 0; k < 4; k++) {
        struct places p;
        start(&p, k % 2);
        p.o.dtype = k / 2 ? CONVERT_INT8 : CONVERT_BF16;
        run_ok(&p.o);
        compare_all(&p, compare[k / 2]);
        scratch_remove(p.dir);
    }
}

static void expect_same_files(const char *a, const char *b, const char *name)
{
    char path[SCRATCH_PATH];
    size_t n, m;
    scratch_join(path, a, name);
    unsigned char *x = scratch_read(path, &n);
    scratch_join(path, b, name);
    unsigned char *y = scratch_read(path, &m);
    cr_assert(n == m && memcmp(x, y, n) == 0, "%s", name);
    free(x);
    free(y);
}

Test(convert, converting_again_changes_no_byte)
{
    static const enum convert_dtype dtypes[] = {CONVERT_F16, CONVERT_INT8};
    for (int k = 0; k < 4; k++) {
        struct places p;
        char again[SCRATCH_PATH];
        start(&p, false);
        p.o.dtype = dtypes[k / 2];
        run_ok(&p.o);
        scratch_join(again, p.dir, "again");
        struct convert_options o = {.model_dir = p.out, .out_dir = again};
        o.dtype = k % 2 ? CONVERT_STORED : dtypes[k / 2];
        run_ok(&o);
        static const char *const names[] = {"model.safetensors",
                                            "config.json",
                                            "tokenizer.model",
                                            "added_tokens.json",
                                            "vision_tower/model.safetensors",
                                            "vision_tower/config.json",
                                            "vision_tower/preprocessor_config.json"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            expect_same_files(p.out, again, names[i]);
        scratch_remove(p.dir);
    }
}

Test(convert, big_models_go_into_shards_behind_an_index)
{
    struct places p;
    char path[SCRATCH_PATH];
    start(&p, true);
    p.o.shard_bytes = 150000;
    run_ok(&p.o);
    compare_all(&p, equal);
    scratch_join(path, p.out, "model.safetensors");
    cr_assert_neq(access(path, F_OK), 0);
    scratch_join(path, p.out, "model.safetensors.index.json");
    cr_assert_eq(access(path, F_OK), 0);
    scratch_remove(p.dir);
}

static void count_progress(void *ctx, const char *tensor, int64_t done, int64_t total)
{
    int64_t *last = ctx;
    cr_assert(tensor && done > *last && done < total);
    *last = done;
}

Test(convert, progress_rises_to_the_total)
{
    struct places p;
    int64_t last = -1;
    start(&p, false);
    p.o.progress = count_progress;
    p.o.progress_ctx = &last;
    run_ok(&p.o);
    cr_assert_gt(last, 0);
    scratch_remove(p.dir);
}

static void expect_failure(const struct convert_options *o, enum status want, const char *word)
{
    struct diag why = {0};
    enum status s = convert_run(o, &why);
    cr_assert_eq(s, want, "%s: %s", status_word(s), why.text);
    cr_assert(strstr(why.text, word), "\"%s\" does not name %s", why.text, word);
}

Test(convert, a_folder_that_is_there_is_refused_and_untouched)
{
    struct places p;
    char path[SCRATCH_PATH];
    start(&p, false);
    scratch_copy("tiny-ferret-b-clip", p.dir, "out");
    expect_failure(&p.o, ST_REFUSED, p.out);
    scratch_join(path, p.out, "config.json");
    cr_assert_eq(access(path, F_OK), 0);
    scratch_join(path, p.dir, "out.tmp");
    cr_assert_neq(access(path, F_OK), 0);
    scratch_remove(p.dir);
}

Test(convert, a_failure_leaves_nothing_and_leftovers_of_a_cut_one_do_not_hurt)
{
    struct places p;
    char path[SCRATCH_PATH], model[SCRATCH_PATH];
    start(&p, false);
    scratch_copy("tiny-ferret-a", p.dir, "m");
    scratch_join(model, p.dir, "m");
    scratch_join(path, model, "tokenizer.model");
    cr_assert_eq(unlink(path), 0);
    p.o.model_dir = model;
    expect_failure(&p.o, ST_MISSING, "tokenizer.model");
    cr_assert_neq(access(p.out, F_OK), 0);
    scratch_join(path, p.dir, "out.tmp");
    cr_assert_neq(access(path, F_OK), 0);
    scratch_copy("tiny-ferret-b-clip", p.dir, "out.tmp");
    p.o.model_dir = p.model;
    run_ok(&p.o);
    scratch_join(path, p.out, "pytorch_model.bin");
    cr_assert_neq(access(path, F_OK), 0);
    p.o.out_dir = "/proc/no/such/folder";
    expect_failure(&p.o, ST_IO, "/proc/no/such/folder");
    scratch_remove(p.dir);
}

Test(convert, a_value_that_the_type_cannot_hold_is_refused_by_name)
{
    struct places p;
    char path[SCRATCH_PATH], half[SCRATCH_PATH];
    start(&p, false);
    run_ok(&p.o);
    scratch_join(path, p.out, "model.safetensors");
    size_t len;
    unsigned char *bytes = scratch_read(path, &len);
    const float big = 70000.0F;
    memcpy(bytes + len - sizeof big, &big, sizeof big); /* the last value of the last tensor by name */
    scratch_write(path, bytes, len);
    free(bytes);
    scratch_join(half, p.dir, "half");
    struct convert_options o = {.model_dir = p.out, .out_dir = half, .dtype = CONVERT_F16};
    expect_failure(&o, ST_LIMIT, "does not fit into F16");
    o.dtype = CONVERT_BF16;
    run_ok(&o);
    scratch_remove(p.dir);
}

Test(convert, dtype_names_are_parsed_and_others_refused)
{
    enum convert_dtype d = CONVERT_F16;
    struct diag why = {0};
    cr_assert(convert_dtype_parse("int8", &d, &why) == ST_OK && d == CONVERT_INT8);
    cr_assert(convert_dtype_parse("stored", &d, &why) == ST_OK && d == CONVERT_STORED);
    cr_assert_eq(convert_dtype_parse("fp4", &d, &why), ST_INVALID);
    cr_assert(strstr(why.text, "fp4"));
}

/* ---- checkpoint_check: a converted folder, damaged ---- */

static void expect_check(const struct places *p, const char *file, const char *from, const char *to, enum status want,
                         const char *word)
{
    char dir[SCRATCH_PATH];
    scratch_join(dir, p->dir, "out");
    cr_assert_eq(strlen(from), strlen(to));
    char path[SCRATCH_PATH];
    scratch_join(path, dir, file);
    size_t len;
    unsigned char *bytes = scratch_read(path, &len), *at = memmem(bytes, len, from, strlen(from));
    cr_assert(at, "%s", from);
    memcpy(at, to, strlen(to));
    scratch_write(path, bytes, len);
    struct opened x = open_all(dir, NULL, NULL);
    struct diag why = {0};
    enum status s = checkpoint_check(x.model, x.tower, x.config, &why);
    cr_assert_eq(s, want, "%s: %s", to, why.text);
    cr_assert(strstr(why.text, word) && strstr(why.text, "model.safetensors"), "%s", why.text);
    close_all(&x);
    memcpy(at, from, strlen(from));
    scratch_write(path, bytes, len);
    free(bytes);
}

Test(checkpoint_check, missing_misshaped_mistyped_and_extra_tensors_are_named)
{
    struct places p;
    start(&p, false);
    run_ok(&p.o);
    struct opened x = open_all(p.out, NULL, NULL);
    struct diag why = {0};
    cr_assert_eq(checkpoint_check(x.model, x.tower, x.config, &why), ST_OK, "%s", why.text);
    int64_t hidden = x.config->decoder.hidden, feature = x.config->sampler.feature_dim;
    close_all(&x);
    expect_check(&p, "model.safetensors", "\"model.norm.weight\"", "\"model.norm.weighs\"", ST_MISSING,
                 "model.norm.weight: expected [");
    expect_check(&p, "model.safetensors", "layers.1.mlp.up_proj", "layers.7.mlp.up_proj", ST_MISSING,
                 "model.layers.1.mlp.up_proj.weight");
    expect_check(&p, "vision_tower/model.safetensors", "pre_layrnorm.bias", "pre_layernorm.bia", ST_MISSING,
                 "vision_model.pre_layrnorm.bias");
    char from[96], to[96];
    snprintf(from, sizeof from, "\"model.mm_projector.weight\":{\"dtype\":\"F32\",\"shape\":[%lld,%lld]",
             (long long)hidden, (long long)feature);
    snprintf(to, sizeof to, "\"model.mm_projector.weight\":{\"dtype\":\"F32\",\"shape\":[%lld,%lld]",
             (long long)feature, (long long)hidden);
    expect_check(&p, "model.safetensors", from, to, ST_SHAPE, "model.mm_projector.weight: expected [");
    expect_check(&p, "model.safetensors", "\"model.norm.weight\":{\"dtype\":\"F32\"",
                 "\"model.norm.weight\":{\"dtype\":\"I32\"", ST_SHAPE, "found I32");
    scratch_remove(p.dir);
    start(&p, false);
    scratch_copy("tiny-ferret-a-clip", p.dir, "clip");
    scratch_join(p.tower, p.dir, "clip");
    scratch_join(p.out, p.dir, "clip/model.safetensors");
    size_t len;
    unsigned char *bytes = scratch_read(p.out, &len), *at = memmem(bytes, len, "logit_scale", 11);
    cr_assert(at);
    memcpy(at, "login_scale", 11);
    scratch_write(p.out, bytes, len);
    free(bytes);
    scratch_join(p.out, p.dir, "out");
    expect_failure(&p.o, ST_FORMAT, "login_scale []: expected no such tensor");
    scratch_remove(p.dir);
}

/* The base of the fixtures as one safetensors file, with one number more under that name. */
static void write_base(const char *path, const char *extra)
{
    char dir[SCRATCH_PATH];
    struct checkpoint *base;
    fixture_path(dir, "tiny-ferret-b-base");
    cr_assert_eq(checkpoint_open(dir, NULL, &base, NULL), ST_OK);
    FILE *f = fopen(path, "wb");
    char *header = NULL;
    size_t len, at = 2;
    FILE *text = open_memstream(&header, &len);
    cr_assert(f && text);
    fprintf(text, "{\"%s\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}", extra);
    for (size_t i = 0; i < checkpoint_count(base); i++) {
        const struct tensor *t = checkpoint_at(base, i);
        char shape[TENSOR_SHAPE_TEXT];
        size_t bytes = (size_t)tensor_elements(t->dims, t->n_dims) * tensor_type_bytes(t->type);
        fprintf(text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}", t->name,
                tensor_type_word(t->type), tensor_shape_text(t->dims, t->n_dims, shape), at, at + bytes);
        at += bytes;
    }
    fputs("}", text);
    cr_assert_eq(fclose(text), 0);
    uint64_t n = len;
    fwrite(&n, sizeof n, 1, f);
    fwrite(header, 1, len, f);
    fwrite("\0", 1, 2, f);
    for (size_t i = 0; i < checkpoint_count(base); i++) {
        const struct tensor *t = checkpoint_at(base, i);
        fwrite(t->data, tensor_type_bytes(t->type), (size_t)tensor_elements(t->dims, t->n_dims), f);
    }
    cr_assert_eq(fclose(f), 0);
    free(header);
    checkpoint_close(base);
}

static void expect_base(const char *extra, enum status want)
{
    struct places p;
    char path[SCRATCH_PATH];
    start(&p, true);
    scratch_join(path, p.dir, "model.safetensors");
    write_base(path, extra);
    struct opened x = open_all(p.model, p.base, p.tower);
    struct diag why = {0};
    checkpoint_close(x.model);
    x.model = NULL;
    enum status s = checkpoint_open(p.model, p.dir, &x.model, &why);
    if (s == ST_OK)
        s = checkpoint_check(x.model, x.tower, x.config, &why);
    cr_assert_eq(s, want, "%s: %s", extra, why.text);
    if (want != ST_OK)
        cr_assert(strstr(why.text, path) && strstr(why.text, extra) && strstr(why.text, "expected no such tensor"),
                  "%s", why.text);
    close_all(&x);
    scratch_remove(p.dir);
}

Test(checkpoint_check, a_tensor_of_the_base_that_is_none_of_a_language_model_is_named_and_published_buffers_pass)
{
    expect_base("l.0.rotary_emb.inv_freq", ST_OK);
    expect_base("evil.weight", ST_FORMAT);
    expect_base("vision_model.post_layernorm.weight", ST_FORMAT);
    expect_base("model.mm_projector.weight", ST_FORMAT);
    expect_base("model.region_geo_sampler.dim_projector.bias", ST_FORMAT);
}

Test(checkpoint_check, towers_without_the_layers_that_nobody_reads_pass)
{
    struct places p;
    start(&p, false);
    run_ok(&p.o);
    char path[SCRATCH_PATH];
    scratch_join(path, p.out, "vision_tower/model.safetensors");
    size_t len;
    unsigned char *bytes = scratch_read(path, &len), *at = memmem(bytes, len, "vision_model.post_layernorm.bias", 32);
    cr_assert(at);
    memcpy(at, "text_model.xpost_layernorm.bias_", 32); /* now a name that is passed over */
    scratch_write(path, bytes, len);
    free(bytes);
    struct opened x = open_all(p.out, NULL, NULL);
    struct diag why = {0};
    cr_assert_eq(checkpoint_check(x.model, x.tower, x.config, &why), ST_OK, "%s", why.text);
    close_all(&x);
    scratch_remove(p.dir);
}
