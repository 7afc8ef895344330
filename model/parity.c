#include "model/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "model/engine.h"
#include "model/parity_case.h"
#include "model/preprocess.h"
#include "model/weights.h"

enum { MAX_CASES_BYTES = 256 << 20, N_ROWS = 5, N_FIXED = 64 };

struct parity {
    const struct parity_options *o;
    struct parity_set set, out;
    struct json *expected;
    struct engine *engine;
    struct parity_case *cases;
    int n_cases, n_done;
    int rows[N_ROWS]; /* of F and of the projector that are recorded for every case */
    float *pixels;
    float *inv_freq;
    struct parity_store tensors;
    enum status status; /* first failure inside the observer */
};

static void keep(struct parity *p, const char *id, const char *name, bool is_int, int rows, int cols,
                 const void *values)
{
    char full[2 * PARITY_NAME_BYTES];
    snprintf(full, sizeof full, "%s.%s", id, name);
    if (p->status == ST_OK)
        p->status = parity_store_add(&p->tensors, full, is_int, rows, cols, values);
}

/* vision and projected: five rows a case, all of the first case. */
static void keep_image(struct parity *p, struct parity_case *c, const char *name, int rows, int cols,
                       const float *values)
{
    char short_name[32];
    float *some = malloc(N_ROWS * (size_t)cols * sizeof *some);
    if (!some) {
        p->status = ST_NOMEM;
        return;
    }
    for (int i = 0; i < N_ROWS; i++) {
        int row = p->rows[i] < rows ? p->rows[i] : rows - 1;
        memcpy(some + (ptrdiff_t)i * cols, values + (ptrdiff_t)row * cols, (size_t)cols * sizeof *some);
    }
    snprintf(short_name, sizeof short_name, "%s_rows", name);
    keep(p, c->id, short_name, false, N_ROWS, cols, some);
    free(some);
    if (c == p->cases)
        keep(p, c->id, name, false, rows, cols, values);
    if (strcmp(name, "vision") != 0)
        return;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)rows * cols; i++) {
        c->vision_sum += values[i];
        c->vision_sumsq += (double)values[i] * values[i];
    }
}

/* Images and tasks are numbered by case, from 1. */
static void observe(void *ctx, uint64_t image_id, uint64_t task_id, const char *name, bool is_int, int rows, int cols,
                    const void *values)
{
    struct parity *p = ctx;
    struct parity_case *c = &p->cases[(task_id ? task_id : image_id) - 1];
    char base[32];
    if (task_id == 0) {
        keep_image(p, c, name, rows, cols, values);
        return;
    }
    bool several_rows = strcmp(name, "hidden_last") == 0 || strcmp(name, "region_features") == 0;
    if (c->sampler_only) {
        if (strcmp(name, "hidden_last") == 0 || strcmp(name, "logits") == 0)
            return;
        /* One region, so no number behind the name and no dimension for it. */
        snprintf(base, sizeof base, "%.*s", (int)strcspn(name, "."), name);
        keep(p, c->id, base, is_int, 0, cols, values);
        return;
    }
    keep(p, c->id, name, is_int, several_rows ? rows : 0, cols, values);
}

static enum status load_expected(struct parity *p, struct diag *why)
{
    enum status s = jsn_load(p->set.json, MAX_CASES_BYTES, &p->expected, why);
    if (s != ST_OK)
        return s;
    static const int published[N_ROWS] = {0, 1, 2, 300, 575};
    const struct json *rows = jsn_get(p->expected, "rows");
    for (size_t i = 0; i < N_ROWS; i++)
        p->rows[i] = (int)jsn_int(jsn_at(rows, i), published[i]);
    if (!p->o->recorded_inv_freq)
        return ST_OK;
    struct parity_store tensors = {0};
    s = parity_store_read(&tensors, p->set.tensors, why);
    const struct parity_tensor *t = s == ST_OK ? parity_store_find(&tensors, "inv_freq") : NULL;
    if (s == ST_OK && (!t || t->is_int))
        s = diag_set(why, ST_MISSING, "%s: no float32 tensor inv_freq", p->set.tensors);
    if (s == ST_OK && !(p->inv_freq = malloc(t->n * sizeof *p->inv_freq)))
        s = ST_NOMEM;
    if (s == ST_OK)
        memcpy(p->inv_freq, t->values, t->n * sizeof *p->inv_freq);
    parity_store_fini(&tensors);
    return s;
}

static enum status open_engine(struct parity *p, struct diag *why)
{
    const struct parity_options *o = p->o;
    struct engine_options e = {.model_dir = o->model_dir,
                               .tower_dir = o->tower_dir,
                               .base_dir = o->base_dir,
                               .backend = o->backend,
                               .inv_freq = p->inv_freq};
    enum status s = engine_open(&e, &p->engine, why);
    if (s != ST_OK)
        return s;
    engine_observe(p->engine, observe, p);
    size_t side = (size_t)engine_config(p->engine)->vision.image_size;
    p->pixels = malloc(3 * side * side * sizeof *p->pixels);
    return p->pixels ? ST_OK : ST_NOMEM;
}

static enum status read_cases(struct parity *p, struct diag *why)
{
    const struct json *cases = jsn_get(p->expected, "cases"), *only = jsn_get(p->expected, "sampler_only");
    const struct template_config *t = &engine_config(p->engine)->template;
    size_t n = jsn_size(cases), n_only = jsn_size(only);
    if (n == 0)
        return diag_set(why, ST_FORMAT, "%s: no cases", p->set.json);
    p->cases = calloc(n + n_only, sizeof *p->cases);
    if (!p->cases)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < n + n_only; i++) {
        struct parity_case *c = &p->cases[i];
        p->n_cases++;
        s = i < n ? parity_case_init(c, jsn_at(cases, i), t, why) : parity_sampler_init(c, jsn_at(only, i - n), t, why);
    }
    return s;
}

static void take_results(struct parity *p)
{
    struct engine_result r;
    while (engine_take(p->engine, &r)) {
        struct parity_case *c = &p->cases[r.task_id - 1];
        c->result = r;
        c->done = true;
        p->n_done++;
    }
}

static enum status load_pixels(struct parity *p, const struct parity_case *c, struct diag *why)
{
    char path[PARITY_PATH_BYTES];
    const char *name = jsn_string(jsn_get(c->expected, "image"), "");
    snprintf(path, sizeof path, "%s/%s", p->o->images_dir, name);
    uint8_t *rgb = NULL;
    int width = 0, height = 0;
    enum status s = p->o->load_image(p->o->load_ctx, path, &rgb, &width, &height, why);
    if (s == ST_OK && (width != c->width || height != c->height))
        s = diag_set(why, ST_SHAPE, "%s: %d x %d pixels, the case says %d x %d", path, width, height, c->width,
                     c->height);
    if (s == ST_OK)
        s = preprocess(rgb, width, height, &engine_config(p->engine)->vision, p->pixels);
    free(rgb);
    return s;
}

static struct engine_task task_of(const struct parity *p, int index)
{
    const struct parity_case *c = &p->cases[index];
    return (struct engine_task){.id = (uint64_t)index + 1,
                                .prompt = c->prompt,
                                .regions = c->drawn,
                                .n_regions = c->n_regions,
                                .max_tokens = c->max_tokens,
                                .top_p = 1,
                                .seed = c->seed};
}

static enum status draw(const struct parity *p, struct parity_case *c)
{
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < c->n_regions; i++)
        s = drawn_region_init(&c->drawn[i], &engine_config(p->engine)->sampler, &c->regions[i], c->seed);
    return s;
}

/* One image a case; the first takes along the tasks that only want the sampler. */
static enum status submit(struct parity *p, int index, struct diag *why)
{
    enum status s = load_pixels(p, &p->cases[index], why);
    struct engine_task *tasks = calloc((size_t)p->n_cases, sizeof *tasks);
    struct engine_image image = {.id = (uint64_t)index + 1, .pixels = p->pixels, .tasks = tasks};
    if (!tasks)
        return ST_NOMEM;
    tasks[image.n_tasks++] = task_of(p, index);
    for (int i = 1; index == 0 && i < p->n_cases; i++) {
        if (p->cases[i].sampler_only)
            tasks[image.n_tasks++] = task_of(p, i);
    }
    while (s == ST_OK && (s = engine_submit(p->engine, &image, why)) == ST_BUSY) {
        s = engine_step(p->engine, why);
        take_results(p);
    }
    free(tasks);
    return s;
}

static enum status run_cases(struct parity *p, struct diag *why)
{
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < p->n_cases; i++)
        s = draw(p, &p->cases[i]);
    for (int i = 0; s == ST_OK && i < p->n_cases; i++) {
        if (!p->cases[i].sampler_only)
            s = submit(p, i, why);
    }
    while (s == ST_OK && !engine_idle(p->engine)) {
        s = engine_step(p->engine, why);
        take_results(p);
    }
    if (s == ST_OK)
        s = p->status;
    for (int i = 0; s == ST_OK && i < p->n_cases; i++) {
        if (p->cases[i].result.outcome != OUTCOME_OK)
            s = diag_set(why, ST_INVALID, "case %s: %s", p->cases[i].id, p->cases[i].result.why);
    }
    return s;
}

/* Ids whose logits are recorded for every case: as the cases say, else spread evenly. */
static struct json *fixed_indices(const struct parity *p)
{
    const struct json *given = jsn_get(p->expected, "fixed_indices");
    if (given)
        return jsn_copy(given);
    struct json *list = jsn_new_array();
    int64_t last = engine_config(p->engine)->decoder.vocab - 1;
    enum status s = list ? ST_OK : ST_NOMEM;
    for (int i = 0; s == ST_OK && i < N_FIXED; i++)
        s = jsn_push(list, jsn_new_int(i * last / (N_FIXED - 1)));
    if (s == ST_OK)
        return list;
    jsn_free(list);
    return NULL;
}

static enum status put_head(const struct parity *p, struct json *root)
{
    const struct json *rows = jsn_get(p->expected, "rows");
    enum status s = jsn_put(root, "checkpoint", jsn_new_string(engine_model_hash(p->engine)));
    if (s == ST_OK)
        s = jsn_put(root, "compute", jsn_new_string(engine_caps(p->engine)->device));
    if (s == ST_OK)
        s = jsn_put(root, "dtype", jsn_new_string(dtype_name(p->o->backend.dtype)));
    if (s == ST_OK && rows)
        s = jsn_put(root, "rows", jsn_copy(rows));
    return s == ST_OK ? jsn_put(root, "fixed_indices", fixed_indices(p)) : s;
}

static enum status write_json(struct parity *p, struct diag *why)
{
    struct json *root = jsn_new_object(), *cases = jsn_new_array(), *only = jsn_new_array();
    enum status s = root && cases && only ? put_head(p, root) : ST_NOMEM;
    const struct json *fixed = jsn_get(root, "fixed_indices");
    for (int i = 0; s == ST_OK && i < p->n_cases; i++) {
        const struct parity_case *c = &p->cases[i];
        s = jsn_push(c->sampler_only ? only : cases,
                     parity_case_record(c, engine_config(p->engine), engine_tokenizer(p->engine), &p->tensors, fixed));
    }
    if (s == ST_OK) {
        s = jsn_put(root, "cases", cases);
        cases = NULL;
    }
    if (s == ST_OK) {
        s = jsn_put(root, "sampler_only", only);
        only = NULL;
    }
    char *text = s == ST_OK ? jsn_text_indented(root, 1) : NULL;
    s = text ? parity_write_file(p->out.json, text, strlen(text), "\n", 1, why) : ST_NOMEM;
    free(text);
    jsn_free(cases);
    jsn_free(only);
    jsn_free(root);
    return s;
}

/* The table in use, beside what was observed. */
static enum status keep_frequencies(struct parity *p)
{
    const struct decoder_config *d = &engine_config(p->engine)->decoder;
    float *table = malloc((size_t)d->head_dim * sizeof *table);
    if (!table)
        return ST_NOMEM;
    rope_frequencies(d, table);
    enum status s =
        parity_store_add(&p->tensors, "inv_freq", false, 0, d->head_dim / 2, p->inv_freq ? p->inv_freq : table);
    free(table);
    return s;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum status find_sets(struct parity *p, struct diag *why)
{
    enum status s = parity_set_find(p->o->cases, &p->set, why);
    if (s == ST_OK)
        s = parity_set_find(p->o->out_dir, &p->out, why);
    if (s == ST_OK && (same_file(p->set.json, p->out.json) || same_file(p->set.tensors, p->out.tensors)))
        s = diag_set(why, ST_INVALID, "%s: expected another folder than the cases' own", p->o->out_dir);
    return s;
}

bool parity_has_expectations(const char *cases)
{
    struct parity_set set;
    return parity_set_find(cases, &set, NULL) == ST_OK && access(set.tensors, F_OK) == 0;
}

enum status parity_run(const struct parity_options *o, struct diag *why)
{
    struct parity p = {.o = o};
    enum status s = find_sets(&p, why);
    if (s == ST_OK)
        s = load_expected(&p, why);
    if (s == ST_OK)
        s = open_engine(&p, why);
    if (s == ST_OK)
        s = read_cases(&p, why);
    if (s == ST_OK)
        s = run_cases(&p, why);
    if (s == ST_OK)
        s = write_json(&p, why);
    if (s == ST_OK)
        s = keep_frequencies(&p);
    if (s == ST_OK)
        s = parity_store_write(&p.tensors, p.out.tensors, why);
    for (int i = 0; i < p.n_cases; i++)
        parity_case_fini(&p.cases[i]);
    free(p.cases);
    free(p.pixels);
    free(p.inv_freq);
    parity_store_fini(&p.tensors);
    engine_close(p.engine);
    jsn_free(p.expected);
    return s;
}
