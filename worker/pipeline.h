/* fetch -> decode -> engine -> record: the one way an image becomes a result, in ferret-worker and in `ferret annotate`
 * alike.
 *
 * Threads: fetchers, decoders (each with its child process) and one engine thread, joined by bounded queues;
 * pipeline_put blocks or refuses when the first queue is full. The `done` callback runs on the engine thread, or on a
 * fetch or decode thread for jobs that fail before the engine, or on the one that drains; it must be quick and
 * thread-safe. Each job put in ends in exactly one call of it, in any order, cancelled jobs included. */
#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include "base/json.h"
#include "base/status.h"
#include "media/fetch.h"
#include "model/engine.h"
#include "protocol/job.h"
#include "protocol/result.h"
#include "worker/twins.h"

struct meters; /* worker/meters.h */

struct pipeline_done {
    void *job_ctx;       /* as given to pipeline_put */
    struct job *job;     /* ownership goes to the callback */
    struct json *record; /* ownership goes to the callback; the complete result record, a failed one included */
    bool failed;         /* the image as a whole failed */
    enum error_class error_class;
    const char *error_code;  /* static word, where failed */
    const struct twin *twin; /* NULL, or what this result may be copied under; borrowed */
    bool handed_back;        /* drained before it began: no record, put it back */
};
typedef void (*pipeline_done_fn)(void *ctx, struct pipeline_done *done);

struct pipeline_options {
    struct engine_options engine;
    struct fetch_options fetch; /* what it points to: borrowed while the pipeline lives */
    int fetchers, decoders;     /* 0 = one a transfer, or 2, and one a core */
    int queue_images;           /* capacity of each queue; 0 = 32 */
    const char *cache_dir;      /* NULL: no features are kept (worker/feature_cache.h) */
    uint64_t cache_bytes;       /* budget of that folder */
    enum feature_type cache_type;
    const uint8_t *background; /* 3 bytes, behind alpha; NULL: white */
    struct twins *twins;       /* borrowed while the pipeline lives; NULL: no results are copied */
    struct meters *meters;     /* borrowed while the pipeline lives; NULL: nobody looks */
    /* May be NULL: pipeline_open has forked what it forks and is about to load the model; from here on there may be
     * other threads. Not ST_OK: it fails with that. */
    enum status (*on_load)(void *ctx, struct diag *why);
    void (*on_start)(void *ctx, void *job_ctx); /* may be NULL: the engine begins the image; on its thread, with the
                                                   context of `done` */
};

struct pipeline;
MUST_CHECK enum status pipeline_open(const struct pipeline_options *o, pipeline_done_fn done, void *ctx,
                                     struct pipeline **out, struct diag *why);
const struct engine *pipeline_engine(const struct pipeline *p); /* config, hash, caps, account only */
/* Takes ownership of job, also on failure (then without a call of `done`). wait: block for room, else ST_BUSY.
 * ST_CLOSED: draining; ST_DEVICE: the engine is lost. */
MUST_CHECK enum status pipeline_put(struct pipeline *p, struct job *job, void *job_ctx, bool wait, struct diag *why);
void pipeline_cancel(struct pipeline *p, const void *job_ctx);
/* For good: nothing is taken from here on. hand_back: what the engine has not begun comes back at once as handed_back;
 * begun work is finished either way. Returns when everything has ended. */
void pipeline_drain(struct pipeline *p, bool hand_back);
/* Health: ST_OK, or ST_DEVICE once the engine is lost. Then what it had begun ends as failed with code `device`, and
 * all else is handed back. */
enum status pipeline_state(const struct pipeline *p, struct diag *why);
void pipeline_stats(const struct pipeline *p, struct engine_stats *engine, int *fetching, int *decoding,
                    int *in_engine);
/* Images of which the features were kept, and those of which they were not; zeros without a cache. */
struct feature_cache_stats;
void pipeline_cache_stats(const struct pipeline *p, struct feature_cache_stats *out);
void pipeline_close(struct pipeline *p); /* drains; NULL is fine */

#endif
