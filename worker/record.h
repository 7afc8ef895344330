/* The result record of an image that was decoded (schema 1, protocol/result.h): image facts, one entry an answer, model
 * and engine, times. Images that never got that far end in result_failure. */
#ifndef WORKER_RECORD_H
#define WORKER_RECORD_H

#include "base/json.h"
#include "media/image.h"
#include "model/engine.h"
#include "worker/tasks.h"

/* What stays the same from record to record. */
struct record_model {
    const struct engine *engine; /* config, tokenizer, hash, caps: read only */
    const char *dtype;
    const uint8_t *background; /* 3 bytes: what alpha is composited on under the default policy */
};

struct record_times {
    int64_t fetch_us, decode_us, total_us;
};

/* What a record came to as a whole. */
struct record_outcome {
    int n_failed;
    const struct task_error *first; /* of the failed entries, or NULL; points into the plan */
};

/* image: its pixels are not looked at. NULL when memory is short. */
struct json *record_build(const struct task_plan *p, const struct image *image, const struct record_model *model,
                          const struct record_times *times, struct record_outcome *outcome);

/* The record of a job whose image and questions are those of a finished one (record_copy.c): twin is its record, id the
 * text of its id. NULL when memory is short. */
struct json *record_copy(const struct job *j, const struct json *twin, const char *id,
                         const struct record_times *times);

#endif
