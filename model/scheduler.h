/* Which rows the next step runs. Pure bookkeeping over pages, slots and rows: no device, no clock, no text.
 *
 * The engine adds images with their tasks, asks for a plan, runs it, and says when a task has ended. Everything a task
 * will ever need (sequence slot, pages for its prompt and max_tokens, region rows) is reserved when it is admitted, in
 * order of arrival; so a running task never waits for pages and is never driven out. A plan counts as run once it is
 * made: rows planned are taken as written, since the backend keeps operations in order.
 *
 * Memory of images, tasks and prefixes is the engine's; the scheduler links them into its lists. One thread. */
#ifndef MODEL_SCHEDULER_H
#define MODEL_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/kvcache.h"

struct sched_options {
    int max_sequences; /* sequence slots */
    int max_rows;      /* rows of a step; at least max_sequences + ATTN_BLOCK, so that decoding never starves prefill */
    int image_slots;   /* images whose features and rows are on the device at once */
    int encode_batch;  /* images encoded in one step */
    int image_rows;    /* rows of an image: grid * grid */
    int n_pages;
    int n_region_rows;
    int32_t region_id; /* token id that takes a region row */
};

/* Ids in front of the image. Tasks with equal ids share one, and with it the segment. */
struct sched_prefix {
    const int32_t *ids;
    int n;
    struct segment *segment; /* NULL until a task needs it; kept while pages are plenty */
    struct sched_prefix *next;
};

struct sched_image;
enum sched_state { TASK_WAITING, TASK_PREFILL, TASK_DECODE, TASK_ENDED };
struct sched_task {
    struct sched_prefix *prefix;
    const int32_t *own; /* ids behind the image, at least one */
    int n_own;
    int max_tokens;
    int n_regions;       /* occurrences of region_id in own */
    int32_t *region_row; /* [n_regions]: rows given on admission */

    struct sched_image *image;
    enum sched_state state;
    int slot;
    int image_slot;     /* of the image while the prompt runs */
    int sampled;        /* tokens whose sampling is planned */
    bool holds_regions; /* until its prompt is planned to the end */
    struct segment *prefix_segment, *image_segment, *own_segment;
    struct sched_task *next; /* of the image */
};

struct image_segment {
    struct sched_prefix *prefix;
    struct segment *segment;
    struct image_segment *next;
};
struct sched_image {
    int slot; /* -1: not on the device */
    struct sched_task *tasks;
    struct image_segment *segments; /* one for each prefix in use */
    struct sched_image *next;
};

struct sched_encode {
    struct sched_image *image;
    int slot;
};
struct sched_sample {
    struct sched_task *task;
    int row, slot;
};
struct plan {
    int n_encode, n_admitted;
    struct sched_encode *encode;  /* to encode before the step */
    struct sched_task **admitted; /* tasks that start with this step: slot, image_slot, region_row are set */
    int n_rows, n_prefill, n_decode;
    int32_t *source_kind, *source_index, *position, *kv_page, *kv_at; /* [max_rows] */
    int n_spans, n_page_entries;
    struct span *spans;
    int32_t *pages; /* [n_pages] */
    int n_sampled;
    struct sched_sample *sampled; /* rows ascending */
};

struct scheduler;
MUST_CHECK enum status scheduler_new(const struct sched_options *o, struct scheduler **out);
void scheduler_free(struct scheduler *s);
/* Pages a task needs when it is alone. More than n_pages: it can never run. */
int scheduler_pages_needed(const struct scheduler *s, const struct sched_task *task);
/* Adds an image with its list of tasks, in state TASK_WAITING, behind all others. */
void scheduler_add(struct scheduler *s, struct sched_image *image);
/* A prefix whose segment the scheduler may keep; to be forgotten before its memory goes. */
void scheduler_add_prefix(struct scheduler *s, struct sched_prefix *prefix);
void scheduler_forget_prefix(struct scheduler *s, struct sched_prefix *prefix);

/* Fills the scheduler's own plan, valid until the next call. n_rows = 0: nothing to run. */
MUST_CHECK enum status scheduler_plan(struct scheduler *s, const struct plan **out);
/* The task has ended in whatever state: gives back what it holds and takes it off its image. */
void scheduler_end(struct scheduler *s, struct sched_task *task);
/* Takes an image without tasks off the list. */
void scheduler_remove(struct scheduler *s, struct sched_image *image);

int scheduler_pages_used(const struct scheduler *s);
int scheduler_sequences(const struct scheduler *s);
/* Times a task with a free slot had to wait for pages. */
int64_t scheduler_page_waits(const struct scheduler *s);

#endif
