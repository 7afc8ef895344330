#include "worker/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "worker/stages.h"

enum { DEFAULT_FETCHERS = 2, DEFAULT_QUEUE = 32 };

/* ---- items ---------------------------------------------------------------------------------------------------------
 */

static void unlink_item(struct pipeline *p, struct item *item)
{
    pthread_mutex_lock(&p->lock);
    if (item->previous)
        item->previous->next = item->next;
    else
        p->live = item->next;
    if (item->next)
        item->next->previous = item->previous;
    pthread_mutex_unlock(&p->lock);
}

static void item_free(struct item *item)
{
    tasks_fini(&item->plan);
    bytes_fini(&item->bytes);
    free(item->pixels);
    free(item->features);
    job_free(item->job);
    free(item);
}

/* When and by whom, so that a day or a worker that differs from others is seen (`ferret report`). */
static void stamp(const struct pipeline *p, struct json *record)
{
    if (jsn_put(record, "ended_ms", jsn_new_int(clock_wall_ms())) != ST_OK ||
        jsn_put(record, "worker", result_text(p->name)) != ST_OK)
        return; /* a record without them is whole */
}

/* Out of the list before `done`, so that a cancel can't meet a context that `done` has freed; counted until behind it,
 * so that a drain waits for it. */
static void end(struct pipeline *p, struct item *item, struct pipeline_done *done)
{
    unlink_item(p, item);
    tasks_fini(&item->plan); /* it borrows from the job */
    if (done->record)
        stamp(p, done->record);
    meters_image(p->options.meters,
                 done->handed_back ? IMAGE_RETURNED
                 : done->failed    ? IMAGE_FAILED
                                   : IMAGE_DONE,
                 done->error_class);
    done->job_ctx = item->ctx;
    done->job = item->job;
    item->job = NULL;
    p->done(p->done_ctx, done);
    item_free(item);
    pthread_mutex_lock(&p->lock);
    p->n_live--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void item_hand_back(struct pipeline *p, struct item *item)
{
    struct pipeline_done done = {.handed_back = true};
    end(p, item, &done);
}

/* Takes ownership of record; NULL: there was no memory to say it. */
static void fail(struct pipeline *p, struct item *item, struct json *record, enum error_class c, const char *code)
{
    struct pipeline_done done = {.record = record, .failed = true, .error_class = c, .error_code = code};
    if (record)
        end(p, item, &done);
    else
        item_hand_back(p, item);
}

void item_fail(struct pipeline *p, struct item *item, enum error_class c, const char *code, const char *message)
{
    fail(p, item, result_failure(item->job, c, code, message), c, code);
}

void item_fail_truncated(struct pipeline *p, struct item *item, double rows_decoded, const char *message)
{
    fail(p, item, result_truncated(item->job, message, rows_decoded), ERROR_PERMANENT, "truncated");
}

void item_finish(struct pipeline *p, struct item *item, struct json *record, const struct record_outcome *outcome)
{
    struct pipeline_done done = {.record = record};
    if (outcome->n_failed == item->plan.n_entries && outcome->first) {
        done.failed = true;
        done.error_class = outcome->first->class_;
        done.error_code = outcome->first->code;
    }
    if (outcome->n_failed == 0 && item->twin.is_named)
        done.twin = &item->twin;
    end(p, item, &done);
}

bool item_goes_on(struct pipeline *p, struct item *item)
{
    pthread_mutex_lock(&p->lock);
    bool cancelled = item->cancelled, begun = item->begun;
    bool back = p->hand_back && !begun;
    pthread_mutex_unlock(&p->lock);
    if (cancelled)
        item_fail(p, item, ERROR_PERMANENT, "cancelled", "cancelled before it was finished");
    else if (back)
        item_hand_back(p, item);
    else if (!begun && item->job->deadline_ms && clock_wall_ms() > item->job->deadline_ms)
        item_fail(p, item, ERROR_PERMANENT, "expired", "its deadline passed before it began");
    else
        return true;
    return false;
}

void pipeline_count(struct pipeline *p, enum station s, int add)
{
    pthread_mutex_lock(&p->lock);
    p->inside[s] += add;
    pthread_mutex_unlock(&p->lock);
    meters_inside(p->options.meters, s, add);
}

const char *item_name(const struct item *item)
{
    return item->job->key;
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static enum status start_engine(struct pipeline *p, struct diag *why)
{
    if (pthread_create(&p->engine_thread, NULL, stage_engine, p) != 0)
        return diag_set(why, ST_NOMEM, "the engine's thread could not be started");
    p->has_engine_thread = true;
    pthread_mutex_lock(&p->lock);
    while (p->opening == OPENING)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return p->open_status == ST_OK ? ST_OK : diag_set(why, p->open_status, "%s", p->open_why.text);
}

static enum status start_stages(struct pipeline *p, int fetchers, int decoders, struct diag *why)
{
    if (!(p->threads = calloc((size_t)(fetchers + decoders), sizeof *p->threads)))
        return ST_NOMEM;
    while (p->n_threads < fetchers + decoders) {
        void *(*stage)(void *) = p->n_threads < fetchers ? stage_fetch : stage_decode;
        if (pthread_create(&p->threads[p->n_threads], NULL, stage, p) != 0)
            return diag_set(why, ST_NOMEM, "thread %d of the pipeline could not be started", p->n_threads);
        p->n_threads++;
    }
    return ST_OK;
}

static enum status make_lock(struct pipeline *p)
{
    if (pthread_mutex_init(&p->lock, NULL) != 0)
        return ST_NOMEM;
    if (pthread_cond_init(&p->changed, NULL) != 0) {
        pthread_mutex_destroy(&p->lock);
        return ST_NOMEM;
    }
    p->has_lock = true;
    return ST_OK;
}

/* What features are depends on the model, its precision and what computes them - not on how many threads do. */
static enum status open_cache(struct pipeline *p, struct diag *why)
{
    const struct engine *e = p->engine;
    const struct backend_caps *caps = engine_caps(e);
    const char *threads = strstr(caps->device, " x");
    int device = threads ? (int)(threads - caps->device) : (int)sizeof caps->device;
    char *maker = NULL;
    if (asprintf(&maker, "%s %s %.*s %d %s", engine_model_hash(e), dtype_name(p->options.engine.backend.dtype), device,
                 caps->device, caps->invariant, FERRETRY_VERSION) < 0)
        return ST_NOMEM;
    const struct feature_cache_options o = {.dir = p->options.cache_dir,
                                            .max_bytes = p->options.cache_bytes,
                                            .type = p->options.cache_type,
                                            .count = engine_feature_count(e),
                                            .maker = maker};
    enum status s = feature_cache_open(&o, &p->cache, why);
    free(maker);
    return s;
}

/* The decoders' nursery forks and libcurl starts while there is no other thread. */
static enum status build(struct pipeline *p, struct diag *why)
{
    const struct pipeline_options *o = &p->options;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int fetchers = o->fetchers ? o->fetchers : o->fetch.max_transfers, decoders = o->decoders;
    int room = o->queue_images ? o->queue_images : DEFAULT_QUEUE;
    if (decoders == 0)
        decoders = cores > 0 ? (int)cores : 1;
    meters_threads(o->meters, STATION_FETCH, fetchers);
    meters_threads(o->meters, STATION_DECODE, decoders);
    meters_threads(o->meters, STATION_ENGINE, 1);
    struct decoder_options decoding = {.children = decoders};
    if (fetchers <= 0)
        fetchers = DEFAULT_FETCHERS;
    enum status s = make_lock(p);
    if (s == ST_OK)
        s = decoder_pool_open(&decoding, &p->decoders, why);
    if (s == ST_OK)
        s = fetcher_open(&o->fetch, &p->fetcher, why);
    if (s == ST_OK)
        s = stage_queue_init(&p->to_fetch, room);
    if (s == ST_OK)
        s = stage_queue_init(&p->to_decode, room);
    if (s == ST_OK)
        s = stage_queue_init(&p->to_engine, room);
    if (s == ST_OK && o->on_load)
        s = o->on_load(p->done_ctx, why);
    if (s == ST_OK)
        s = start_engine(p, why);
    if (s == ST_OK && o->cache_dir)
        s = open_cache(p, why);
    return s == ST_OK ? start_stages(p, fetchers, decoders, why) : s;
}

static void name_process(char *name, size_t size)
{
    char host[PIPELINE_NAME_BYTES - 16] = "host";
    (void)gethostname(host, sizeof host - 1);
    snprintf(name, size, "%s %d", host, (int)getpid());
}

enum status pipeline_open(const struct pipeline_options *o, pipeline_done_fn done, void *ctx, struct pipeline **out,
                          struct diag *why)
{
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    p->options = *o;
    memset(p->background, 0xFF, sizeof p->background);
    if (o->background)
        memcpy(p->background, o->background, sizeof p->background);
    p->done = done;
    p->done_ctx = ctx;
    name_process(p->name, sizeof p->name);
    enum status s = build(p, why);
    if (s != ST_OK) {
        pipeline_close(p);
        return s;
    }
    *out = p;
    return ST_OK;
}

/* Stages end front to back, so that what is on its way arrives. */
void pipeline_close(struct pipeline *p)
{
    if (!p)
        return;
    if (p->has_lock && p->opening == OPENED)
        pipeline_drain(p, false);
    if (p->to_fetch.ring)
        stage_queue_close(&p->to_fetch);
    if (p->to_decode.ring)
        stage_queue_close(&p->to_decode);
    for (int i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    if (p->to_engine.ring)
        stage_queue_close(&p->to_engine);
    if (p->has_engine_thread)
        pthread_join(p->engine_thread, NULL);
    feature_cache_close(p->cache);
    stage_queue_fini(&p->to_fetch);
    stage_queue_fini(&p->to_decode);
    stage_queue_fini(&p->to_engine);
    fetcher_close(p->fetcher);
    decoder_pool_close(p->decoders);
    if (p->has_lock) {
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
    }
    free(p->threads);
    free(p);
}

/* ---- in use --------------------------------------------------------------------------------------------------------
 */

const struct engine *pipeline_engine(const struct pipeline *p)
{
    return p->engine;
}

/* Enters the item into the list of live ones, unless nothing is taken any more. */
static enum status enlist(struct pipeline *p, struct item *item, struct diag *why)
{
    enum status s = ST_OK;
    pthread_mutex_lock(&p->lock);
    if (p->lost) {
        s = diag_set(why, ST_DEVICE, "%s", p->lost_why.text);
    } else if (p->draining) {
        s = diag_set(why, ST_CLOSED, "the pipeline is draining");
    } else {
        item->number = ++p->last_number;
        item->next = p->live;
        if (p->live)
            p->live->previous = item;
        p->live = item;
        p->n_live++;
    }
    pthread_mutex_unlock(&p->lock);
    return s;
}

static void retire(struct pipeline *p, struct item *item)
{
    unlink_item(p, item);
    pthread_mutex_lock(&p->lock);
    p->n_live--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

enum status pipeline_put(struct pipeline *p, struct job *job, void *job_ctx, bool wait, struct diag *why)
{
    struct item *item = calloc(1, sizeof *item);
    if (!item) {
        job_free(job);
        return ST_NOMEM;
    }
    item->job = job;
    item->ctx = job_ctx;
    item->put_us = clock_us();
    enum status s = enlist(p, item, why);
    if (s == ST_OK) {
        s = stage_queue_put(&p->to_fetch, item, wait);
        if (s == ST_OK)
            return ST_OK;
        retire(p, item);
        diag_set(why, s, "the pipeline takes no image now");
    }
    item_free(item);
    return s;
}

void pipeline_cancel(struct pipeline *p, const void *job_ctx)
{
    pthread_mutex_lock(&p->lock);
    for (struct item *item = p->live; item; item = item->next) {
        if (item->ctx == job_ctx)
            item->cancelled = true;
    }
    p->n_cancels++;
    pthread_mutex_unlock(&p->lock);
}

/* What waits in a queue goes back from here, since a stage may be busy with a slow one for long. */
static void empty(struct pipeline *p, struct stage_queue *q)
{
    struct item *item;
    while ((item = stage_queue_take(q, false)) != NULL)
        item_hand_back(p, item);
}

void pipeline_drain(struct pipeline *p, bool hand_back)
{
    pthread_mutex_lock(&p->lock);
    p->draining = true;
    p->hand_back = p->hand_back || hand_back;
    pthread_mutex_unlock(&p->lock);
    if (hand_back) {
        fetcher_stop(p->fetcher);
        empty(p, &p->to_fetch);
        empty(p, &p->to_decode);
        empty(p, &p->to_engine);
    }
    pthread_mutex_lock(&p->lock);
    while (p->n_live > 0)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

enum status pipeline_state(const struct pipeline *p, struct diag *why)
{
    struct pipeline *shared = (struct pipeline *)(uintptr_t)p; /* its lock is not const */
    pthread_mutex_lock(&shared->lock);
    enum status s = p->lost ? diag_set(why, ST_DEVICE, "%s", p->lost_why.text) : ST_OK;
    pthread_mutex_unlock(&shared->lock);
    return s;
}

void pipeline_stats(const struct pipeline *p, struct engine_stats *engine, int *fetching, int *decoding, int *in_engine)
{
    struct pipeline *shared = (struct pipeline *)(uintptr_t)p;
    pthread_mutex_lock(&shared->lock);
    *engine = p->stats;
    *fetching = p->inside[STATION_FETCH];
    *decoding = p->inside[STATION_DECODE];
    *in_engine = p->inside[STATION_ENGINE];
    pthread_mutex_unlock(&shared->lock);
}

void pipeline_cache_stats(const struct pipeline *p, struct feature_cache_stats *out)
{
    struct pipeline *shared = (struct pipeline *)(uintptr_t)p; /* its lock is not const */
    *out = (struct feature_cache_stats){.hits = 0};
    if (!p->cache)
        return;
    feature_cache_stats(p->cache, out);
    pthread_mutex_lock(&shared->lock);
    out->unread = p->n_unread;
    pthread_mutex_unlock(&shared->lock);
}
