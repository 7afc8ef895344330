/* `ferret parity`: golden cases through the engine itself, and what differs from the expectations. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"
#include "media/decoder.h"
#include "media/fetch.h"
#include "model/parity.h"

struct parity_flags {
    const char *cases, *images, *out;
    struct model_flags model;
    bool recorded_rope, compare;
};

static const struct setting parity_rows[] = {
    {.name = "cases",
     .type = SETTING_STRING,
     .offset = offsetof(struct parity_flags, cases),
     .value = "FILE",
     .help = "JSON file of cases, or the folder of a cases.json; expectations: tensors.safetensors beside it"},
    {.name = "images",
     .type = SETTING_STRING,
     .offset = offsetof(struct parity_flags, images),
     .value = "DIR",
     .help = "folder of the cases' images"},
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct parity_flags, out),
     .value = "DIR",
     .help = "gets cases.json and tensors.safetensors of this run"},
    {.name = "recorded-rope",
     .type = SETTING_BOOL,
     .offset = offsetof(struct parity_flags, recorded_rope),
     .help = "use the RoPE frequencies of the expectations"},
    {.name = "compare",
     .type = SETTING_BOOL,
     .offset = offsetof(struct parity_flags, compare),
     .fallback = "true",
     .help = "compare with the expectations where there are any; --compare=false only writes"},
};

/* The cases' images are trusted no more than any others: the same confined decoder reads them. */
static enum status load_image(void *ctx, const char *path, uint8_t **rgb, int *width, int *height, struct diag *why)
{
    struct decoder_pool *pool = ctx;
    const struct image_policy policy = image_policy_default(IMAGE_POLICY_ML_FERRET);
    struct fetcher *fetcher = NULL;
    struct media_roots *roots = NULL;
    struct bytes bytes = {0};
    struct image image = {0};
    const char *all = "all=/";
    char *full = realpath(path, NULL);
    enum status s = full ? ST_OK : diag_set(why, ST_MISSING, "%s: %s", path, strerror(errno));
    if (s == ST_OK)
        s = media_roots_new(&all, 1, &roots, why);
    if (s == ST_OK)
        s = fetcher_open(&(struct fetch_options){.roots = roots, .no_http = true}, &fetcher, why);
    if (s == ST_OK)
        s = fetch(fetcher, full, &bytes, NULL, why);
    if (s == ST_OK)
        s = decoder_run(pool, bytes.data, bytes.len, &policy, &image, NULL, why);
    if (s == ST_OK) {
        size_t size = (size_t)image.width * (size_t)image.height * 3;
        *rgb = malloc(size);
        s = *rgb ? ST_OK : ST_NOMEM;
        if (*rgb)
            memcpy(*rgb, image.rgb, size);
        *width = image.width;
        *height = image.height;
    }
    image_fini(&image);
    bytes_fini(&bytes);
    fetcher_close(fetcher);
    media_roots_free(roots);
    free(full);
    return s;
}

/* A lower precision is held to other limits than equality: then the table is for reading, and ids count where the
 * margin leaves no doubt. */
static enum status compare(const char *expected, const struct parity_flags *o, enum dtype dtype, bool *ok,
                           struct diag *why)
{
    struct parity_limits limits = parity_limits_f32();
    struct parity_report report = {0};
    enum status s = parity_compare(expected, o->out, &limits, &report, why);
    if (s != ST_OK)
        return s;
    fputs(report.text ? report.text : "", stdout);
    printf("%d cases, %d ids compared, %d behind a step without margin, %d differences beyond the limits of f32%s\n",
           report.n_cases, report.n_ids, report.n_ids_skipped, report.n_failures,
           dtype == DTYPE_F32 ? "" : " (not held against this precision)");
    *ok = report.n_failures == 0 || dtype != DTYPE_F32;
    parity_report_fini(&report);
    return ST_OK;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct parity_flags *o = options;
    struct model_flags flags = o->model;
    struct engine_choice choice = {0};
    struct decoder_pool *pool = NULL;
    flags.model = settings_arg(settings, 0);
    if (!o->cases || !o->images || !o->out || strcmp(o->out, "-") == 0)
        return diag_set(why, ST_INVALID, "expected --cases FILE, --images DIR and --out DIR");
    /* The pool forks: it comes before the engine's threads. */
    enum status s = decoder_pool_open(&(struct decoder_options){.children = 1}, &pool, why);
    if (s == ST_OK)
        s = model_flags_resolve(&flags, &choice, why);
    if (s == ST_OK && mkdir(o->out, 0777) != 0 && errno != EEXIST)
        s = diag_set(why, ST_IO, "--out %s: %s", o->out, strerror(errno));
    if (s == ST_OK) {
        fputs(choice.notice, stderr);
        const struct parity_options run_options = {
            .model_dir = choice.options.model_dir,
            .tower_dir = choice.options.tower_dir,
            .base_dir = choice.options.base_dir,
            .cases = o->cases,
            .images_dir = o->images,
            .out_dir = o->out,
            .backend = choice.options.backend,
            .recorded_inv_freq = o->recorded_rope,
            .load_image = load_image,
            .load_ctx = pool,
        };
        s = parity_run(&run_options, why);
    }
    bool ok = true;
    if (s == ST_OK && o->compare && parity_has_expectations(o->cases))
        s = compare(o->cases, o, choice.options.backend.dtype, &ok, why);
    else if (s == ST_OK)
        printf("written, nothing compared%s\n", o->compare ? ": no tensors.safetensors stands beside the cases" : "");
    *exit_code = ok ? EXIT_OK : EXIT_ITEMS_FAILED;
    decoder_pool_close(pool);
    engine_choice_fini(&choice);
    return s;
}

int cmd_parity(int argc, char **argv)
{
    struct parity_flags o = {0};
    const struct setting_group groups[] = {
        {.title = "cases", .rows = parity_rows, .n_rows = sizeof parity_rows / sizeof *parity_rows},
        named_model_flags_group(offsetof(struct parity_flags, model)),
    };
    const struct settings_program program = {
        .name = "ferret parity",
        .args = "CHECKPOINT",
        .summary = "Runs golden cases through the engine under the policy ml-ferret, writes what came out in the same\n"
                   "form, and compares with the expectations beside them. Exit code 1: differences.",
        .examples = "  ferret parity tests/parity/fixtures/tiny-ferret-a --vision-tower "
                    "tests/parity/fixtures/tiny-ferret-a-clip \\\n"
                    "      --cases tests/parity/fixtures/tiny-ferret-a-cases/cases.json \\\n"
                    "      --images tests/parity/fixtures/images --out /tmp/parity\n",
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = 2,
    };
    return command_run(&program, argc, argv, &o, run);
}
