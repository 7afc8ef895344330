/* What the pipeline tells of itself: times of its stages, what it is busy with, how images end. The same places feed
 * the metrics, the trace and the line that a worker's beat carries to the status page. Any thread; NULL meters take
 * everything without effect. */
#ifndef WORKER_METERS_H
#define WORKER_METERS_H

#include <stddef.h>
#include <stdint.h>

#include "model/engine.h"
#include "observe/metrics.h"
#include "observe/trace.h"
#include "protocol/result.h"

/* fetch ... preprocess: of an image; encode: its share of the batch it was encoded in; prefill, generate: of a task;
 * done: from its end to its being stored in the queue. */
enum stage {
    STAGE_FETCH,
    STAGE_DECODE,
    STAGE_PREPROCESS,
    STAGE_ENCODE,
    STAGE_PREFILL,
    STAGE_GENERATE,
    STAGE_DONE,
    STAGE_COUNT_
};
/* Where an image is; each station has threads that may be busy. */
enum station { STATION_FETCH, STATION_DECODE, STATION_ENGINE, STATION_COUNT_ };

struct meters;
/* m, t: NULL where nobody asked; borrowed while the meters live. */
MUST_CHECK enum status meters_new(struct metrics *m, struct trace *t, struct meters **out);
void meters_free(struct meters *m); /* NULL is fine */

void meters_threads(struct meters *m, enum station p, int n); /* how many work there */
void meters_thread(struct meters *m, enum station p);         /* the calling thread is one of them */
/* A stage in front of the engine took the calling thread from start to end; `about` is the job's key. */
void meters_stage(struct meters *m, enum stage s, const char *about, int64_t start_us, int64_t end_us);
void meters_inside(struct meters *m, enum station p, int add);
/* The engine after a step, and a result of it. */
void meters_engine(struct meters *m, const struct engine_stats *stats);
void meters_task(struct meters *m, const char *about, const struct engine_result *r);
enum image_end { IMAGE_DONE, IMAGE_FAILED, IMAGE_RETURNED, IMAGE_END_COUNT_ };
void meters_image(struct meters *m, enum image_end end, enum error_class error_class);

/* An image got the answers of a finished job. */
void meters_copied(struct meters *m);

/* An image was known without being read. */
void meters_unread(struct meters *m);

/* From the end of an image until it is stored in the queue. */
void meters_stored(struct meters *m, int64_t end_us);

/* What a beat says (PROTOCOL.md, section 4): rates since the call before, at least a second ago, else as they were. One
 * thread. NULL meters have nothing to say: "". */
enum { METERS_LINE_BYTES = 129 };
void meters_line(struct meters *m, int64_t now_us, char out[METERS_LINE_BYTES]);

#endif
