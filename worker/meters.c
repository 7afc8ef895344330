#include "worker/meters.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const char *const stage_names[STAGE_COUNT_] = {"fetch",   "decode",   "preprocess", "encode",
                                                      "prefill", "generate", "done"};
static const char *const station_names[STATION_COUNT_] = {"fetch", "decode", "engine"};

struct meters {
    struct trace *trace;
    atomic_uint_fast64_t tasks; /* traced so far */
    struct metric *stages[STAGE_COUNT_], *busy[STATION_COUNT_], *threads[STATION_COUNT_], *inside[STATION_COUNT_];
    struct metric *images[IMAGE_END_COUNT_], *failures[3], *tokens_in, *tokens_out;
    struct metric *copied, *unread, *encoded, *restored, *steps, *wasted_rows, *sequences, *pages, *pages_used;
    /* the same once more for the line: metrics may not be there */
    atomic_int_fast64_t n_images, n_failed, n_tokens, busy_us[STATION_COUNT_];
    atomic_int n_threads[STATION_COUNT_];
    /* the thread of the engine */
    struct engine_stats last_stats;
    /* the thread of the line */
    int64_t at_us, last_images, last_tokens, last_busy[STATION_COUNT_];
    char line[METERS_LINE_BYTES];
};

static struct metric *make(struct metrics *m, enum metric_kind kind, enum metric_unit unit, const char *name,
                           const char *help, const char *label, const char *value)
{
    struct metric_info info = {.kind = kind, .unit = unit, .name = name, .help = help, .label = label, .value = value};
    if (kind == METRIC_HISTOGRAM) {
        info.bounds = metric_time_bounds;
        info.n_bounds = METRIC_TIME_BOUNDS;
    }
    return metrics_make(m, &info);
}

static void make_stations(struct meters *t, struct metrics *m)
{
    for (int p = 0; p < STATION_COUNT_; p++) {
        const char *name = station_names[p];
        t->busy[p] =
            make(m, METRIC_COUNTER, UNIT_SECONDS, "ferretry_worker_busy_seconds_total",
                 "Time that threads were busy, by where they work; its rate over the number of threads is their "
                 "utilisation.",
                 "station", name);
        t->threads[p] =
            make(m, METRIC_GAUGE, UNIT_ONE, "ferretry_worker_threads", "Threads, by where they work.", "station", name);
        t->inside[p] = make(m, METRIC_GAUGE, UNIT_ONE, "ferretry_worker_images", "Images being worked on, by where.",
                            "station", name);
    }
}

static void make_all(struct meters *t, struct metrics *m)
{
    static const char *const ends[IMAGE_END_COUNT_] = {"done", "failed", "returned"};
    for (int s = 0; s < STAGE_COUNT_; s++)
        t->stages[s] = make(m, METRIC_HISTOGRAM, UNIT_SECONDS, "ferretry_worker_stage_seconds",
                            "Time that a stage took: fetch, decode, preprocess and encode of an image, prefill and "
                            "generate of a task, done from an image's end to its being stored.",
                            "stage", stage_names[s]);
    make_stations(t, m);
    for (int i = 0; i < IMAGE_END_COUNT_; i++)
        t->images[i] =
            make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_images_total",
                 "Images that ended here; returned: not begun, and handed back to the queue.", "outcome", ends[i]);
    for (int i = 0; i < 3; i++)
        t->failures[i] =
            make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_failures_total",
                 "Failed images by the class of their error.", "class", error_class_name((enum error_class)i));
    t->tokens_in = make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_tokens_total",
                        "Positions of prompts (image rows included), and tokens of answers.", "kind", "prompt");
    t->tokens_out = make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_tokens_total", "", "kind", "answer");
    t->copied = make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_copied_total",
                     "Images that got the answers of a finished job with the same bytes and questions.", NULL, NULL);
    t->unread =
        make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_unread_total",
             "Images that were not read again: their features are kept, and their source has not changed.", NULL, NULL);
    t->encoded =
        make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_features_total",
             "Images by where their features came from: the vision tower, or the folder in which they are kept.",
             "from", "tower");
    t->restored = make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_features_total", "", "from", "cache");
    t->steps =
        make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_engine_steps_total", "Steps of the engine.", NULL, NULL);
    t->wasted_rows = make(m, METRIC_COUNTER, UNIT_ONE, "ferretry_worker_engine_wasted_rows_total",
                          "Rows computed for answers that had ended.", NULL, NULL);
    t->sequences = make(m, METRIC_GAUGE, UNIT_ONE, "ferretry_worker_engine_sequences", "Tasks being answered at once.",
                        NULL, NULL);
    t->pages = make(m, METRIC_GAUGE, UNIT_ONE, "ferretry_worker_kv_pages", "Pages of the KV cache.", NULL, NULL);
    t->pages_used =
        make(m, METRIC_GAUGE, UNIT_ONE, "ferretry_worker_kv_pages_used", "Pages of the KV cache in use.", NULL, NULL);
}

enum status meters_new(struct metrics *m, struct trace *t, struct meters **out)
{
    struct meters *meters = calloc(1, sizeof *meters);
    if (!meters)
        return ST_NOMEM;
    meters->trace = t;
    make_all(meters, m);
    snprintf(meters->line, sizeof meters->line, "0|0|0|0|0|0|0");
    meters->at_us = clock_us();
    *out = meters;
    return ST_OK;
}

void meters_free(struct meters *m)
{
    free(m);
}

void meters_threads(struct meters *m, enum station p, int n)
{
    if (!m)
        return;
    atomic_store_explicit(&m->n_threads[p], n, memory_order_relaxed);
    metric_set(m->threads[p], n);
}

void meters_thread(struct meters *m, enum station p)
{
    if (m)
        trace_thread(m->trace, station_names[p]);
}

static void add_busy(struct meters *m, enum station p, int64_t us)
{
    metric_add(m->busy[p], us);
    atomic_fetch_add_explicit(&m->busy_us[p], us, memory_order_relaxed);
}

void meters_stage(struct meters *m, enum stage s, const char *about, int64_t start_us, int64_t end_us)
{
    if (!m)
        return;
    metric_observe(m->stages[s], end_us - start_us);
    add_busy(m, s == STAGE_FETCH ? STATION_FETCH : STATION_DECODE, end_us - start_us);
    trace_did(m->trace, stage_names[s], about, start_us, end_us);
}

void meters_stored(struct meters *m, int64_t end_us)
{
    if (m)
        metric_observe(m->stages[STAGE_DONE], clock_us() - end_us);
}

void meters_inside(struct meters *m, enum station p, int add)
{
    if (m)
        metric_add(m->inside[p], add);
}

void meters_engine(struct meters *m, const struct engine_stats *stats)
{
    if (!m)
        return;
    const struct engine_stats *last = &m->last_stats;
    int64_t now = clock_us(), n = stats->images_encoded - last->images_encoded, us = stats->encode_us - last->encode_us;
    for (int64_t i = 0; i < n; i++)
        metric_observe(m->stages[STAGE_ENCODE], us / n);
    if (stats->steps != last->steps || n > 0) {
        trace_did(m->trace, n > 0 ? "step with encode" : "step", NULL, now - (stats->step_us - last->step_us), now);
        trace_level(m->trace, "sequences", stats->sequences);
    }
    add_busy(m, STATION_ENGINE, stats->step_us - last->step_us);
    metric_set(m->encoded, stats->images_encoded);
    metric_set(m->restored, stats->images_restored);
    metric_set(m->steps, stats->steps);
    metric_set(m->wasted_rows, stats->wasted_rows);
    metric_set(m->sequences, stats->sequences);
    metric_set(m->pages, stats->pages_total);
    metric_set(m->pages_used, stats->pages_used);
    m->last_stats = *stats;
}

void meters_task(struct meters *m, const char *about, const struct engine_result *r)
{
    if (!m || r->outcome != OUTCOME_OK)
        return;
    metric_observe(m->stages[STAGE_PREFILL], r->prefill_us);
    metric_observe(m->stages[STAGE_GENERATE], r->decode_us);
    metric_add(m->tokens_in, r->n_prompt);
    metric_add(m->tokens_out, r->n_tokens);
    atomic_fetch_add_explicit(&m->n_tokens, r->n_tokens, memory_order_relaxed);
    if (!m->trace)
        return;
    uint64_t id = atomic_fetch_add_explicit(&m->tasks, 1, memory_order_relaxed);
    int64_t end = clock_us(), first = end - r->decode_us, start = first - r->prefill_us;
    trace_lasted(m->trace, "wait", about, id, start - r->wait_us, start);
    trace_lasted(m->trace, "prefill", about, id, start, first);
    trace_lasted(m->trace, "generate", about, id, first, end);
}

void meters_image(struct meters *m, enum image_end end, enum error_class error_class)
{
    if (!m)
        return;
    metric_add(m->images[end], 1);
    if (end == IMAGE_FAILED)
        metric_add(m->failures[error_class], 1);
    if (end != IMAGE_RETURNED)
        atomic_fetch_add_explicit(&m->n_images, 1, memory_order_relaxed);
    if (end == IMAGE_FAILED)
        atomic_fetch_add_explicit(&m->n_failed, 1, memory_order_relaxed);
}

void meters_copied(struct meters *m)
{
    if (m)
        metric_add(m->copied, 1);
}

void meters_unread(struct meters *m)
{
    if (m)
        metric_add(m->unread, 1);
}

/* Busy permille of a station since the last line. */
static int busy_share(struct meters *m, enum station p, int64_t passed_us)
{
    int64_t busy = atomic_load_explicit(&m->busy_us[p], memory_order_relaxed), n = busy - m->last_busy[p];
    int threads = atomic_load_explicit(&m->n_threads[p], memory_order_relaxed);
    m->last_busy[p] = busy;
    int64_t share = threads ? 1000 * n / (passed_us * threads) : 0;
    return share > 1000 ? 1000 : (int)share;
}

void meters_line(struct meters *m, int64_t now_us, char out[METERS_LINE_BYTES])
{
    enum { LEAST_US = 1000000 };
    out[0] = '\0';
    if (!m)
        return;
    int64_t passed = now_us - m->at_us;
    if (passed >= LEAST_US) {
        int64_t images = atomic_load_explicit(&m->n_images, memory_order_relaxed);
        int64_t failed = atomic_load_explicit(&m->n_failed, memory_order_relaxed);
        int64_t tokens = atomic_load_explicit(&m->n_tokens, memory_order_relaxed);
        double seconds = (double)passed / 1e6;
        int busy[STATION_COUNT_];
        for (int p = 0; p < STATION_COUNT_; p++)
            busy[p] = busy_share(m, (enum station)p, passed);
        snprintf(m->line, sizeof m->line, "%lld|%lld|%.0f|%.0f|%d|%d|%d", (long long)images, (long long)failed,
                 1000.0 * (double)(images - m->last_images) / seconds, (double)(tokens - m->last_tokens) / seconds,
                 busy[STATION_FETCH], busy[STATION_DECODE], busy[STATION_ENGINE]);
        m->last_images = images;
        m->last_tokens = tokens;
        m->at_us = now_us;
    }
    memcpy(out, m->line, sizeof m->line);
}
