/* Inside of the pipeline: an item on its way, and the stages that pass it on. pipeline.c opens, closes and keeps the
 * list of live items; stages.c fetches and decodes; stage_engine.c feeds the engine. */
#ifndef WORKER_STAGES_H
#define WORKER_STAGES_H

#include "media/decoder.h"
#include "media/fetch.h"
#include "worker/feature_cache.h"
#include "worker/meters.h"
#include "worker/pipeline.h"
#include "worker/record.h"
#include "worker/stage_queue.h"
#include "worker/tasks.h"

/* One image. Belongs to the stage that took it from a queue; `cancelled` and the links to the pipeline's lock. */
struct item {
    struct item *previous, *next; /* live items */
    bool cancelled;
    uint64_t number; /* id of its image in the engine */
    struct job *job;
    void *ctx;
    struct bytes bytes;            /* fetched; none where the image is known without them */
    uint8_t content[SHA256_BYTES]; /* their SHA-256, where features are kept or results copied */
    struct image image;            /* decoded; without its pixels */
    float *pixels;                 /* preprocessed; or NULL, and */
    float *features;               /* as they were kept */
    uint8_t feature_key[SHA256_BYTES];
    struct twin twin;      /* unnamed where nothing is copied */
    bool begun;            /* the engine has it */
    struct task_plan plan; /* answers to be made */
    int n_unanswered;
    bool cancel_sent; /* engine thread */
    int64_t put_us, fetch_us, decode_us;
};

enum { PIPELINE_NAME_BYTES = 80 };
enum opening { OPENING, OPENED, OPEN_FAILED };

struct pipeline {
    struct pipeline_options options;
    uint8_t background[3];          /* of the options, else white */
    char name[PIPELINE_NAME_BYTES]; /* host and process, as in the worker's label */
    pipeline_done_fn done;
    void *done_ctx;
    struct decoder_pool *decoders;
    struct fetcher *fetcher;
    struct feature_cache *cache; /* NULL: none */
    struct engine *engine; /* made, used and closed by the engine thread; its config and tokenizer are read by all */
    struct stage_queue to_fetch, to_decode, to_engine;

    pthread_t *threads; /* fetchers, then decoders */
    int n_threads;
    pthread_t engine_thread;
    bool has_engine_thread, has_lock;

    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t changed; /* of `opening` and n_live */
    enum opening opening;
    enum status open_status;
    struct diag open_why;
    struct item *live;
    int n_live; /* put in, and `done` has not returned */
    uint64_t last_number;
    unsigned n_cancels;
    bool draining, hand_back, lost;
    struct diag lost_why;
    struct engine_stats stats;
    int inside[STATION_COUNT_];
    uint64_t n_unread; /* images that were known without being read */
};

/* What is to become of an item that a stage has in its hands: true = go on; else it has been ended. */
bool item_goes_on(struct pipeline *p, struct item *item);
/* Ends of an item; each calls `done` once and frees it. */
void item_fail(struct pipeline *p, struct item *item, enum error_class c, const char *code, const char *message);
/* A file that breaks off with too few of its rows. */
void item_fail_truncated(struct pipeline *p, struct item *item, double rows_decoded, const char *message);
void item_hand_back(struct pipeline *p, struct item *item);
void item_finish(struct pipeline *p, struct item *item, struct json *record, const struct record_outcome *outcome);

/* An image comes to a station, or leaves it. */
void pipeline_count(struct pipeline *p, enum station s, int add);

/* What the meters call an image. */
const char *item_name(const struct item *item);

/* Threads; each ends when its queue is closed and empty. ctx: the pipeline. */
void *stage_fetch(void *ctx);
void *stage_decode(void *ctx);
void *stage_engine(void *ctx);

#endif
