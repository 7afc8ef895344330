#include "cli/plan.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/gallery.h"
#include "cli/progress.h"
#include "formats/write/summary.h"
#include "protocol/result.h"
#include "worker/pipeline.h"

enum { SHEET_SIDE = 1600 };

static const struct setting plan_rows[] = {
    {.name = "plan",
     .type = SETTING_INT,
     .offset = offsetof(struct plan_flags, n),
     .max = 100000,
     .help = "submit nothing: annotate N of the inputs here and tell what the whole would take"},
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct plan_flags, out),
     .value = "DIR",
     .help = "with --plan: a contact sheet goes there",
     .letter = 'o'},
    {.name = "plan-workers",
     .type = SETTING_INT,
     .offset = offsetof(struct plan_flags, workers),
     .fallback = "1",
     .min = 1,
     .max = 1000000,
     .help = "with --plan: workers like this process that would share the whole"},
    {.name = "hourly-cost",
     .type = SETTING_FLOAT,
     .offset = offsetof(struct plan_flags, hourly_cost),
     .max = 1e9,
     .help = "with --plan: what a worker costs an hour, in any currency"},
    {.name = "json",
     .type = SETTING_BOOL,
     .offset = offsetof(struct plan_flags, json),
     .help = "one JSON object at the end, rather than lines"},
};

struct setting_group plan_flags_group(size_t at)
{
    return (struct setting_group){
        .title = "plan", .rows = plan_rows, .n_rows = sizeof plan_rows / sizeof *plan_rows, .at = at};
}

struct setting_group plan_model_group(size_t at)
{
    struct setting_group g = model_flags_group(at + offsetof(struct plan_flags, model));
    g.title = "model, with --plan";
    return g;
}

/* Where records of the sample come in; several threads of the pipeline write. */
struct results {
    pthread_mutex_t lock;
    struct json **list;
    size_t n, room;
    bool out_of_memory;
};
struct figures {
    uint64_t inputs, rejected;
    double load_s, seconds;
    char device[128];
    const char *dtype;
};

/* ---- the sample ------------------------------------------------------------------------------------------------- */

/* Of what has been read so far, each input is in the sample with the same chance (reservoir). */
struct sample {
    struct input *list;
    int64_t n, most;
    uint64_t random;
};

static uint64_t draw(struct sample *s)
{
    s->random += 0x9E3779B97F4A7C15U; /* splitmix64 */
    uint64_t z = s->random;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static enum status read_inputs(const struct plan *p, struct sample *s, struct figures *f, struct diag *why)
{
    for (;;) {
        struct input input = {0};
        enum status st = inputs_next(p->inputs, &input, why);
        if (st != ST_OK)
            return st == ST_CLOSED ? ST_OK : st;
        f->rejected += input.error != NULL;
        uint64_t place = f->inputs++;
        if (s->n < s->most)
            place = (uint64_t)s->n++;
        else
            place = draw(s) % (place + 1);
        if (place < (uint64_t)s->n) {
            input_fini(&s->list[place]);
            s->list[place] = input;
        } else {
            input_fini(&input);
        }
    }
}

/* ---- annotating ------------------------------------------------------------------------------------------------- */

/* Takes the record. */
static void keep(struct results *r, struct json *record)
{
    pthread_mutex_lock(&r->lock);
    if (record && r->n < r->room)
        r->list[r->n++] = record;
    else
        r->out_of_memory = true;
    pthread_mutex_unlock(&r->lock);
}

static void on_done(void *ctx, struct pipeline_done *done)
{
    if (done->handed_back)
        done->record = result_failure(done->job, ERROR_ENVIRONMENT, "device", "the engine was lost before it began");
    keep(ctx, done->record);
    job_free(done->job);
}

static enum status annotate(struct pipeline *pipeline, struct sample *s, struct results *r, struct diag *why)
{
    enum status st = ST_OK;
    for (int64_t i = 0; st == ST_OK && i < s->n; i++) {
        struct input *input = &s->list[i];
        if (input->error) {
            keep(r, result_failure(input->job, input->error_class, input->error, input->message));
            continue;
        }
        st = pipeline_put(pipeline, input->job, NULL, true, why);
        input->job = NULL;
    }
    pipeline_drain(pipeline, st != ST_OK);
    if (st == ST_OK)
        st = pipeline_state(pipeline, why);
    return st == ST_OK && r->out_of_memory ? ST_NOMEM : st;
}

static enum status run_sample(const struct plan *p, struct sample *s, struct results *r, struct figures *f,
                              struct diag *why)
{
    struct engine_choice choice = {0};
    struct pipeline *pipeline = NULL;
    enum status st = model_flags_resolve(&p->o->model, &choice, why);
    if (st == ST_OK)
        fputs(choice.notice, stderr);
    int64_t begin = clock_ms();
    const struct pipeline_options o = {.engine = choice.options, .fetch = *p->fetch};
    if (st == ST_OK)
        st = pipeline_open(&o, on_done, r, &pipeline, why);
    int64_t loaded = clock_ms();
    if (st == ST_OK)
        st = annotate(pipeline, s, r, why);
    if (st == ST_OK) {
        f->load_s = (double)(loaded - begin) / 1000;
        f->seconds = fmax((double)(clock_ms() - loaded) / 1000, 0.001);
        f->dtype = dtype_name(choice.options.backend.dtype);
        snprintf(f->device, sizeof f->device, "%s", engine_caps(pipeline_engine(pipeline))->device);
    }
    pipeline_close(pipeline);
    engine_choice_fini(&choice);
    return st;
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

static double rate_of(const struct results *r, const struct figures *f)
{
    return (double)r->n / f->seconds;
}

static double whole_s(const struct plan *p, const struct results *r, const struct figures *f)
{
    return (double)f->inputs / (rate_of(r, f) * (double)p->o->workers);
}

static double cost_of(const struct plan *p, const struct results *r, const struct figures *f)
{
    return whole_s(p, r, f) / 3600 * (double)p->o->workers * p->o->hourly_cost;
}

static enum status tell_json(const struct plan *p, const struct results *r, const struct figures *f,
                             const struct summary *summary)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "inputs", jsn_new_int((int64_t)f->inputs));
    jsn_add(&s, o, "rejected", jsn_new_int((int64_t)f->rejected));
    jsn_add(&s, o, "sampled", jsn_new_int((int64_t)r->n));
    jsn_add(&s, o, "device", jsn_new_string(f->device));
    jsn_add(&s, o, "dtype", jsn_new_string(f->dtype));
    jsn_add(&s, o, "load_s", jsn_new_real(f->load_s));
    jsn_add(&s, o, "seconds", jsn_new_real(f->seconds));
    jsn_add(&s, o, "images_per_second", jsn_new_real(rate_of(r, f)));
    jsn_add(&s, o, "workers", jsn_new_int(p->o->workers));
    jsn_add(&s, o, "whole_s", jsn_new_real(whole_s(p, r, f)));
    if (p->o->hourly_cost > 0)
        jsn_add(&s, o, "cost", jsn_new_real(cost_of(p, r, f)));
    jsn_add(&s, o, "sample", summary_json(summary));
    return print_object(o, s);
}

static void tell_text(const struct plan *p, const struct results *r, const struct figures *f,
                      const struct summary *summary)
{
    char whole[64];
    duration_text(whole_s(p, r, f), whole, sizeof whole);
    printf("%-14s %llu, %llu of them no jobs\n", "inputs", (unsigned long long)f->inputs,
           (unsigned long long)f->rejected);
    printf("%-14s %zu images in %.1f s on %s, %s: %.2f images/s (the model took %.1f s to load)\n", "sample", r->n,
           f->seconds, f->device, f->dtype, rate_of(r, f), f->load_s);
    printf("%-14s %s with %lld worker%s like this one\n", "the whole", whole, (long long)p->o->workers,
           p->o->workers == 1 ? "" : "s");
    if (p->o->hourly_cost > 0)
        printf("%-14s %.2f, at %g a worker and hour\n", "cost", cost_of(p, r, f), p->o->hourly_cost);
    summary_text(summary, stdout);
}

static enum status show_sheet(const struct plan *p, struct pictures *pictures, const struct results *r,
                              uint64_t *warnings, struct diag *why)
{
    struct gallery *g = NULL;
    enum status s = gallery_open(p->program, p->o->out, p->title, pictures, false, &g, why);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; s == ST_OK && i < r->n; i++)
        s = gallery_put(g, r->list[i], why);
    enum status closed = gallery_close(g, s == ST_OK, warnings, s == ST_OK ? why : NULL);
    return s == ST_OK ? closed : s;
}

static enum status tell(const struct plan *p, struct pictures *pictures, const struct results *r,
                        const struct figures *f, uint64_t *failed, struct diag *why)
{
    uint64_t warnings = 0;
    struct summary *summary = summary_new();
    enum status s = summary ? ST_OK : ST_NOMEM;
    for (size_t i = 0; s == ST_OK && i < r->n; i++)
        s = summary_add(summary, r->list[i]);
    if (s == ST_OK && pictures)
        s = show_sheet(p, pictures, r, &warnings, why);
    if (s == ST_OK && p->o->json)
        s = tell_json(p, r, f, summary);
    else if (s == ST_OK)
        tell_text(p, r, f, summary);
    if (s == ST_OK && pictures)
        fprintf(stderr, "%s: contact sheet: %s/index.html\n", p->program, p->o->out);
    if (s == ST_OK)
        *failed = summary_failed(summary) + warnings;
    summary_free(summary);
    return s;
}

enum status plan_run(const struct plan *p, uint64_t *failed, struct diag *why)
{
    const size_t most = (size_t)p->o->n;
    struct sample sample = {.list = calloc(most, sizeof *sample.list), .most = p->o->n, .random = (uint64_t)p->o->n};
    struct results results = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .list = calloc(most, sizeof(struct json *)), .room = most};
    struct figures figures = {.device = ""};
    struct pictures *pictures = NULL;
    enum status s = sample.list && results.list ? ST_OK : ST_NOMEM;
    if (s == ST_OK && p->o->out) /* children are forked while there are no threads */
        s = pictures_open(p->link, p->given_roots, SHEET_SIDE, p->fetch_flags, &pictures, why);
    if (s == ST_OK)
        s = read_inputs(p, &sample, &figures, why);
    if (s == ST_OK && figures.inputs == 0)
        s = diag_set(why, ST_MISSING, "no inputs: there is no file under what was named");
    if (s == ST_OK)
        s = run_sample(p, &sample, &results, &figures, why);
    if (s == ST_OK)
        s = tell(p, pictures, &results, &figures, failed, why);
    for (int64_t i = 0; i < sample.n; i++)
        input_fini(&sample.list[i]);
    while (results.n)
        jsn_free(results.list[--results.n]);
    free(sample.list);
    free(results.list);
    pictures_close(pictures);
    return s;
}
