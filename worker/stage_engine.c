/* The engine's thread: the only one that calls the engine. It keeps the engine fed with a few images more than it has
 * begun, steps it, and turns what comes out into records. */
#include <stdlib.h>

#include "base/clock.h"
#include "worker/stages.h"

enum {
    AHEAD = 4,       /* images handed in and not encoded: enough for a batch, few to wait for when draining */
    ENTRY_BITS = 16, /* a task's id is its image's number and its entry */
};

struct feeder {
    struct pipeline *p;
    struct engine *e;
    struct item **items; /* in the engine */
    int n_items, capacity;
    struct item *pending; /* taken, and there was no room */
    int64_t n_submitted;  /* images that the engine will encode */
    unsigned seen_cancels;
    bool lost;
};

/* ---- out of the engine ---------------------------------------------------------------------------------------------
 */

static struct item **find(struct feeder *f, uint64_t number)
{
    for (int i = 0; i < f->n_items; i++) {
        if (f->items[i]->number == number)
            return &f->items[i];
    }
    return NULL;
}

static void complete(struct feeder *f, struct item *item)
{
    struct pipeline *p = f->p;
    for (int i = 0; i < item->plan.n_entries; i++) {
        const struct task_error *e = &item->plan.entries[i].error;
        /* a device that failed fails the image: another worker can do it whole */
        if (e->code && item->plan.entries[i].result.outcome == OUTCOME_DEVICE) {
            item_fail(p, item, e->class_, e->code, e->message);
            return;
        }
    }
    if (!item_goes_on(p, item))
        return;
    struct record_model model = {
        .engine = f->e, .dtype = dtype_name(p->options.engine.backend.dtype), .background = p->background};
    struct record_times times = {
        .fetch_us = item->fetch_us, .decode_us = item->decode_us, .total_us = clock_us() - item->put_us};
    struct record_outcome outcome;
    struct json *record = record_build(&item->plan, &item->image, &model, &times, &outcome);
    if (record)
        item_finish(p, item, record, &outcome);
    else
        item_fail(p, item, ERROR_TRANSIENT, "out_of_memory", "no memory for the record");
}

/* Takes the item out of the list of those in the engine. */
static struct item *leave(struct feeder *f, struct item **slot)
{
    struct item *item = *slot;
    bool encoded = false;
    for (int i = 0; i < item->plan.n_entries; i++)
        encoded = encoded || item->plan.entries[i].result.outcome == OUTCOME_OK ||
                  item->plan.entries[i].result.outcome == OUTCOME_NON_FINITE;
    /* one whose tasks were all refused was never encoded; at worst this lets one image too many in */
    f->n_submitted -= !encoded;
    *slot = f->items[--f->n_items];
    pipeline_count(f->p, STATION_ENGINE, -1);
    return item;
}

static void take_results(struct feeder *f)
{
    struct engine_result r;
    while (engine_take(f->e, &r)) {
        struct item **slot = find(f, r.image_id);
        size_t entry = r.task_id & ((1u << ENTRY_BITS) - 1);
        if (!slot) { /* its image was given up after an error of ours */
            engine_result_fini(&r);
            continue;
        }
        meters_task(f->p->options.meters, item_name(*slot), &r);
        tasks_take_result(&(*slot)->plan.entries[entry], &r);
        if (--(*slot)->n_unanswered == 0)
            complete(f, leave(f, slot));
    }
}

/* The engine is of no use any more: what it began has failed here, the rest goes back. */
static void lose(struct feeder *f, const struct diag *why)
{
    struct pipeline *p = f->p;
    f->lost = true;
    pthread_mutex_lock(&p->lock);
    p->lost = true;
    p->lost_why = *why;
    p->hand_back = true;
    pthread_mutex_unlock(&p->lock);
    take_results(f);
    while (f->n_items > 0)
        item_fail(p, leave(f, &f->items[0]), ERROR_ENVIRONMENT, "device", why->text);
}

/* ---- into the engine -----------------------------------------------------------------------------------------------
 */

static bool has_room(struct feeder *f)
{
    struct engine_stats stats;
    if (f->n_items == 0)
        return true;
    engine_stats(f->e, &stats);
    return f->n_submitted - stats.images_encoded - stats.images_restored < AHEAD;
}

static enum status submit(struct feeder *f, struct item *item, struct diag *why)
{
    struct engine_task *tasks = calloc((size_t)item->plan.n_entries, sizeof *tasks);
    if (!tasks)
        return ST_NOMEM;
    int n = tasks_for_engine(&item->plan, item->number << ENTRY_BITS, tasks);
    struct engine_image image = {
        .id = item->number, .pixels = item->pixels, .features = item->features, .tasks = tasks, .n_tasks = n};
    enum status s = n ? engine_submit(f->e, &image, why) : ST_OK;
    free(tasks);
    if (s == ST_OK)
        item->n_unanswered = n;
    return s;
}

/* Makes the list longer before an item needs its place. */
static bool grow(struct feeder *f)
{
    if (f->n_items < f->capacity)
        return true;
    int capacity = f->capacity ? 2 * f->capacity : 64;
    struct item **items = realloc(f->items, (size_t)capacity * sizeof(struct item *));
    if (!items)
        return false;
    f->items = items;
    f->capacity = capacity;
    return true;
}

/* Hands one image in. False: the engine is full, the item is `pending`. */
static bool begin(struct feeder *f, struct item *item)
{
    struct pipeline *p = f->p;
    struct diag why = {""};
    enum status s = grow(f) ? submit(f, item, &why) : ST_NOMEM;
    if (s == ST_BUSY && f->n_items > 0) {
        f->pending = item;
        return false;
    }
    if (s == ST_DEVICE) {
        item_hand_back(p, item);
        lose(f, &why);
        return true;
    }
    if (s != ST_OK) {
        item_fail(p, item, s == ST_NOMEM ? ERROR_TRANSIENT : ERROR_PERMANENT,
                  s == ST_NOMEM ? "out_of_memory" : "invalid_job", why.text[0] ? why.text : status_word(s));
        return true;
    }
    free(item->pixels);
    free(item->features);
    item->pixels = item->features = NULL;
    item->begun = true;
    if (p->options.on_start)
        p->options.on_start(p->done_ctx, item->ctx);
    if (item->n_unanswered == 0) {
        complete(f, item);
        return true;
    }
    f->items[f->n_items++] = item;
    f->n_submitted++;
    pipeline_count(p, STATION_ENGINE, 1);
    return true;
}

/* Fills the engine from the queue; waits for an image where the engine has none. False: nothing more will come. */
static bool feed(struct feeder *f)
{
    while (f->lost || has_room(f)) {
        struct item *item = f->pending;
        f->pending = NULL;
        if (!item)
            item = stage_queue_take(&f->p->to_engine, f->n_items == 0);
        if (!item)
            return f->n_items > 0;
        if (item_goes_on(f->p, item) && !begin(f, item))
            return true;
    }
    return true;
}

static void send_cancels(struct feeder *f)
{
    struct pipeline *p = f->p;
    pthread_mutex_lock(&p->lock);
    bool news = f->seen_cancels != p->n_cancels;
    f->seen_cancels = p->n_cancels;
    for (int i = 0; news && i < f->n_items; i++) {
        struct item *item = f->items[i];
        if (item->cancelled && !item->cancel_sent) {
            item->cancel_sent = true;
            engine_cancel_image(f->e, item->number);
        }
    }
    pthread_mutex_unlock(&p->lock);
}

static void run(struct feeder *f)
{
    while (feed(f)) {
        struct diag why = {""};
        send_cancels(f);
        enum status s = f->n_items ? engine_step(f->e, &why) : ST_OK;
        take_results(f);
        if (s != ST_OK && !f->lost)
            lose(f, &why);
        pthread_mutex_lock(&f->p->lock);
        engine_stats(f->e, &f->p->stats);
        pthread_mutex_unlock(&f->p->lock);
        meters_engine(f->p->options.meters, &f->p->stats);
    }
}

static void keep_features(void *ctx, uint64_t image_id, const float *features)
{
    struct feeder *f = ctx;
    for (int i = 0; i < f->n_items; i++)
        if (f->items[i]->number == image_id && f->p->cache)
            feature_cache_put(f->p->cache, f->items[i]->feature_key, &f->items[i]->image, features);
}

void *stage_engine(void *ctx)
{
    struct pipeline *p = ctx;
    struct diag why = {""};
    struct engine *e = NULL;
    struct feeder f = {.p = p};
    meters_thread(p->options.meters, STATION_ENGINE);
    struct engine_options options = p->options.engine;
    options.feature_type = p->options.cache_type;
    options.on_features = p->options.cache_dir ? keep_features : NULL;
    options.features_ctx = &f;
    enum status s = engine_open(&options, &e, &why);
    pthread_mutex_lock(&p->lock);
    p->engine = e;
    p->opening = s == ST_OK ? OPENED : OPEN_FAILED;
    p->open_status = s;
    p->open_why = why;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (s != ST_OK)
        return NULL;
    f.e = e;
    run(&f);
    free(f.items);
    engine_close(e);
    return NULL;
}
