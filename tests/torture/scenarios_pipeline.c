/* Scenarios of an image's way through a worker, with a tiny checkpoint: the record of its answers, and all of it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/torture/scenarios.h"
#include "tests/torture/torture.h"
#include "worker/pipeline.h"
#include "worker/record.h"
#include "worker/tasks.h"

#define FIXTURES "tests/parity/fixtures/"

static const struct engine_options tiny = {
    .model_dir = FIXTURES "tiny-ferret-a",
    .tower_dir = FIXTURES "tiny-ferret-a-clip",
    .backend = {.device = "cpu", .memory_bytes = 64 << 20, .threads = 1, .isa = "scalar"},
    .max_sequences = 2,
};

#define LINE(image)                                                                                                    \
    "{\"image\":\"" image "\",\"regions\":[{\"point\":[5,5],\"id\":\"r\"}],\"meta\":{\"a\":1},\"tasks\":[{\"kind\":"   \
    "\"describe\"},{\"kind\":\"locate\",\"phrase\":\"dog\"}],\"options\":{\"max_tokens\":2}}"

/* As if the engine had answered the first, and not the others. */
static enum status answer(struct task_plan *p)
{
    static const char text[] = "A dog [1, 2, 300, 400].";
    struct engine_result r = {.text = strdup(text),
                              .tokens = calloc(1, sizeof *r.tokens),
                              .logprob = calloc(1, sizeof *r.logprob),
                              .token_end = calloc(1, sizeof *r.token_end),
                              .n_tokens = 1};
    bool whole = r.text && r.tokens && r.logprob && r.token_end;
    if (whole)
        r.token_end[0] = strlen(text);
    tasks_take_result(&p->entries[0], &r);
    for (int i = 1; i < p->n_entries; i++)
        p->entries[i].error = (struct task_error){.code = "too_long", .message = "too long"};
    return whole ? ST_OK : ST_NOMEM;
}

enum status record_round(void)
{
    static const uint8_t white[3];
    struct engine *e = NULL;
    struct job *job = NULL;
    struct task_plan plan = {.n_entries = 0};
    const struct image image = {.width = 64, .height = 48, .had_alpha = true, .notes = IMAGE_NOTE_TRUNCATED};
    struct json *record = NULL;
    struct record_outcome outcome;
    torture_rest(true);
    enum status s = engine_open(&tiny, &e, NULL);
    if (s == ST_OK)
        s = job_of_line(LINE("a"), &job);
    if (s == ST_OK)
        s = tasks_plan(job, engine_config(e), 64, 48, &plan);
    if (s == ST_OK)
        s = answer(&plan);
    torture_rest(false);
    if (s == ST_OK) {
        const struct record_model model = {.engine = e, .dtype = "f32", .background = white};
        record = record_build(&plan, &image, &model, &(struct record_times){1, 2, 3}, &outcome);
        s = record ? ST_OK : ST_NOMEM;
    }
    jsn_free(record);
    tasks_fini(&plan);
    job_free(job);
    engine_close(e);
    return s;
}

/* ---- the pipeline ----------------------------------------------------------------------------------------------- */

struct outcome {
    pthread_mutex_t lock;
    int ended; /* calls of `done` */
    bool failed, is_known;
};

static void done(void *ctx, struct pipeline_done *d)
{
    struct outcome *o = d->job_ctx;
    (void)ctx;
    pthread_mutex_lock(&o->lock);
    o->ended++;
    o->failed = d->failed;
    o->is_known = d->record || (d->failed && d->error_class == ERROR_TRANSIENT);
    pthread_mutex_unlock(&o->lock);
    jsn_free(d->record);
    job_free(d->job);
}

static enum status open_tiny(const struct media_roots *roots, struct pipeline **out)
{
    struct pipeline_options o = {.engine = tiny, .fetch = {.roots = roots, .no_http = true}, .decoders = 1};
    o.fetchers = 1;
    return pipeline_open(&o, done, NULL, out, NULL);
}

/* An image put in ends once, whatever is short: in a record, or in a failure that may pass. */
enum status pipeline_round(void)
{
    char dir[256], spec[280];
    const char *const specs[] = {spec};
    struct outcome o = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct media_roots *roots = NULL;
    struct pipeline *p = NULL;
    struct job *job = NULL;
    if (!getcwd(dir, sizeof dir))
        return ST_IO;
    snprintf(spec, sizeof spec, "here=%s", dir);
    torture_rest(true);
    enum status s = media_roots_new(specs, 1, &roots, NULL);
    if (s == ST_OK)
        s = open_tiny(roots, &p);
    if (s == ST_OK)
        s = job_of_line(LINE("here:tests/e2e/corpus/files/tiny.png"), &job);
    torture_rest(false);
    if (s == ST_OK)
        s = pipeline_put(p, job, &o, true, NULL);
    bool is_in = s == ST_OK;
    if (p)
        pipeline_drain(p, false);
    if (is_in)
        s = o.ended != 1 || !o.is_known ? ST_INVALID : o.failed ? ST_NOMEM : ST_OK;
    pipeline_close(p);
    media_roots_free(roots);
    return s;
}
