/* Golden cases through the engine, in every precision of the CPU: `golden` from the repository's root. The shipped
 * fixtures always; the official code's answers where FERRET_GOLDEN, or ../shared/golden, holds them.
 * `golden DEVICE tiny|all [DTYPE...]`: the tiny fixtures or all on that device, in f32 unless said. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "media/image.h"
#include "model/parity.h"
#include "model/parity_store.h"

enum { PATH_BYTES = 4096, MAX_JSON_BYTES = 64 << 20 };

struct golden {
    const char *name, *model, *tower, *base, *cases, *images;
};

static const struct golden fixtures[] = {
    {"fixture a", "tests/parity/fixtures/tiny-ferret-a", "tests/parity/fixtures/tiny-ferret-a-clip", NULL,
     "tests/parity/fixtures/tiny-ferret-a-cases", "tests/parity/fixtures/images"},
    {"fixture b", "tests/parity/fixtures/tiny-ferret-b-delta", "tests/parity/fixtures/tiny-ferret-b-clip",
     "tests/parity/fixtures/tiny-ferret-b-base", "tests/parity/fixtures/tiny-ferret-b-cases",
     "tests/parity/fixtures/images"},
    {"default model", "model/pretrained", NULL, NULL, "tests/parity/fixtures/pretrained-cases",
     "tests/parity/fixtures/images"},
};
static const struct golden official[] = {
    {"official a", "tiny-ferret-a", "tiny-ferret-a-clip", NULL, "tiny-ferret-a-cases", "images"},
    {"official b", "tiny-ferret-b-delta", "tiny-ferret-b-clip", "tiny-ferret-b-base", "tiny-ferret-b-cases", "images"},
};

/* Lower precisions are held to their own rounding: three times the largest seen over all checkpoints here. Ids count
 * while the margin is more than twice the logit error, since both of two logits may be off. */
static struct parity_limits limits_of(enum dtype dtype)
{
    if (dtype == DTYPE_BF16)
        return (struct parity_limits){0.25, 0.3, 0.04, 0.2, 0.35, 2};
    if (dtype == DTYPE_F16) /* three bits more than bf16: an eighth of its limits */
        return (struct parity_limits){0.03, 0.0375, 0.005, 0.025, 0.044, 2};
    if (dtype == DTYPE_INT8)
        return (struct parity_limits){1, 1.6, 0.15, 0.6, 1.2, 2};
    return parity_limits_f32();
}

static enum status load_image(void *ctx, const char *path, uint8_t **rgb, int *width, int *height, struct diag *why)
{
    (void)ctx;
    const struct image_policy policy = image_policy_default(IMAGE_POLICY_ML_FERRET);
    struct image image = {0};
    char *bytes = NULL;
    size_t len = 0;
    enum status s = parity_read_file(path, &bytes, &len, why);
    if (s == ST_OK)
        s = image_decode((const uint8_t *)bytes, len, &policy, &image, NULL, why);
    size_t size = (size_t)image.width * (size_t)image.height * 3;
    if (s == ST_OK && !(*rgb = malloc(size)))
        s = ST_NOMEM;
    if (s == ST_OK) {
        memcpy(*rgb, image.rgb, size);
        *width = image.width;
        *height = image.height;
    }
    image_fini(&image);
    free(bytes);
    return s;
}

/* Enough for every case here; an emulated device protects all it has at every wait. */
static size_t memory_of(const char *device)
{
    return (size_t)(strcmp(device, "cpu") == 0 ? 1024 : 128) << 20;
}

static enum status run(const struct golden *g, const char *device, enum dtype dtype, const char *out,
                       struct parity_report *report, struct diag *why)
{
    struct parity_options o = {
        .model_dir = g->model,
        .tower_dir = g->tower,
        .base_dir = g->base,
        .cases = g->cases,
        .images_dir = g->images,
        .out_dir = out,
        .backend = {.device = device, .dtype = dtype, .memory_bytes = memory_of(device), .isa = "auto"},
        .load_image = load_image,
    };
    struct parity_limits limits = limits_of(dtype);
    enum status s = parity_run(&o, why);
    return s == ST_OK ? parity_compare(g->cases, out, &limits, report, why) : s;
}

/* ---- names --------------------------------------------------------------------------------------------------------
 */

struct names {
    const struct json *actual;
    char missing[128];
};

static void compare_names(const struct json *e, const struct json *a, char missing[128]);

/* Facts about how expectations were made are theirs alone. */
static bool visit_name(void *ctx, const char *key, const struct json *expected)
{
    struct names *n = ctx;
    const struct json *a = jsn_get(n->actual, key);
    if (strcmp(key, "fp64_run") == 0 || strcmp(key, "target_sha256") == 0)
        return true;
    if (!a)
        snprintf(n->missing, sizeof n->missing, "%s", key);
    else
        compare_names(expected, a, n->missing);
    return n->missing[0] == '\0';
}

/* Every key of e is in a, at any depth, and lists are as long. */
static void compare_names(const struct json *e, const struct json *a, char missing[128])
{
    if (jsn_kind(e) == JSON_KIND_OBJECT) {
        struct names n = {.actual = a};
        jsn_each(e, visit_name, &n);
        memcpy(missing, n.missing, sizeof n.missing);
    }
    for (size_t i = 0; jsn_kind(e) == JSON_KIND_ARRAY && i < jsn_size(e) && !missing[0]; i++) {
        if (jsn_at(a, i))
            compare_names(jsn_at(e, i), jsn_at(a, i), missing);
        else
            snprintf(missing, 128, "element %zu of a list", i);
    }
}

static enum status missing_tensor(const struct parity_set *e, const struct parity_set *a, char missing[128],
                                  struct diag *why)
{
    struct parity_store expected = {0}, actual = {0};
    enum status s = parity_store_read(&expected, e->tensors, why);
    if (s == ST_OK)
        s = parity_store_read(&actual, a->tensors, why);
    for (size_t i = 0; s == ST_OK && i < expected.n && !missing[0]; i++) {
        if (!parity_store_find(&actual, expected.items[i].name))
            snprintf(missing, 128, "%s", expected.items[i].name);
    }
    parity_store_fini(&expected);
    parity_store_fini(&actual);
    return s;
}

/* What a run has written has every name of the expectations. */
static bool check_names(const struct golden *g, const char *out)
{
    struct parity_set e, a;
    struct json *expected = NULL, *actual = NULL;
    struct diag why = {{0}};
    char missing[128] = "";
    enum status s = parity_set_find(g->cases, &e, &why);
    if (s == ST_OK)
        s = parity_set_find(out, &a, &why);
    if (s == ST_OK)
        s = jsn_load(e.json, MAX_JSON_BYTES, &expected, &why);
    if (s == ST_OK)
        s = jsn_load(a.json, MAX_JSON_BYTES, &actual, &why);
    if (s == ST_OK) {
        compare_names(expected, actual, missing);
        s = missing[0] ? s : missing_tensor(&e, &a, missing, &why);
    }
    bool ok = s == ST_OK && !missing[0];
    printf("%s parity: %s, names of fields and tensors%s%s%s\n", ok ? "PASS" : "FAIL", g->name,
           missing[0] ? ": no " : "", missing, s == ST_OK ? "" : why.text);
    jsn_free(expected);
    jsn_free(actual);
    return ok;
}

static bool check(const struct golden *g, const char *device, enum dtype dtype, const char *out)
{
    struct parity_report report = {0};
    struct diag why = {{0}};
    enum status s = run(g, device, dtype, out, &report, &why);
    bool unsupported = s == ST_UNSUPPORTED, ok = s == ST_OK && report.n_failures == 0;
    printf("%s parity: %s, %s %s%s%s\n",
           ok            ? "PASS"
           : unsupported ? "SKIP"
                         : "FAIL",
           g->name, device, dtype_name(dtype), s == ST_OK ? "" : ": ", s == ST_OK ? "" : why.text);
    fputs(report.text ? report.text : "", stdout);
    parity_report_fini(&report);
    return ok || unsupported;
}

static bool check_all(const struct golden *g, const char *out)
{
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};
    bool ok = true;
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        ok = check(g, "cpu", dtypes[i], out) && ok;
    return check_names(g, out) && ok;
}

static bool check_official(const char *root, const char *out)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof official / sizeof official[0]; i++) {
        const char *parts[] = {official[i].model, official[i].tower, official[i].base, official[i].cases,
                               official[i].images};
        char paths[5][PATH_BYTES];
        for (int k = 0; k < 5; k++)
            snprintf(paths[k], PATH_BYTES, "%s/%s", root, parts[k] ? parts[k] : "");
        struct golden g = {official[i].name, paths[0], paths[1], parts[2] ? paths[2] : NULL, paths[3], paths[4]};
        ok = check_all(&g, out) && ok;
    }
    return ok;
}

static bool check_cpu(const char *out)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++)
        ok = check_all(&fixtures[i], out) && ok;
    const char *golden = getenv("FERRET_GOLDEN");
    struct stat st;
    golden = golden ? golden : "../shared/golden";
    if (stat(golden, &st) == 0)
        return check_official(golden, out) && ok;
    printf("SKIP parity: the official code's answers are not here (FERRET_GOLDEN names their folder)\n");
    return ok;
}

/* The default model's long answers cost an emulated device minutes. */
enum { TINY_FIXTURES = 2 };

static bool check_device(const char *device, bool tiny, char **dtypes, int n, const char *out)
{
    bool ok = true;
    size_t n_fixtures = tiny ? TINY_FIXTURES : sizeof fixtures / sizeof fixtures[0];
    struct diag why = {{0}};
    for (int i = 0; i < (n > 0 ? n : 1); i++) {
        enum dtype dtype = DTYPE_F32;
        if (n > 0 && dtype_parse(dtypes[i], &dtype, &why) != ST_OK) {
            printf("FAIL parity: %s\n", why.text);
            return false;
        }
        for (size_t g = 0; g < n_fixtures; g++)
            ok = check(&fixtures[g], device, dtype, out) && ok;
    }
    return ok;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* a mistake on an emulated device ends the process */
    char out[] = "/tmp/ferret-parity-XXXXXX", path[PATH_BYTES];
    struct diag why = {{0}};
    if (!mkdtemp(out) || image_library_start(argv[0], &why) != ST_OK) {
        printf("FAIL parity: %s %s\n", strerror(errno), why.text);
        return 1;
    }
    bool ok = argc > 2 ? check_device(argv[1], strcmp(argv[2], "tiny") == 0, argv + 3, argc - 3, out) : check_cpu(out);
    snprintf(path, sizeof path, "%s/cases.json", out);
    unlink(path);
    snprintf(path, sizeof path, "%s/tensors.safetensors", out);
    unlink(path);
    rmdir(out);
    return ok ? 0 : 1;
}
