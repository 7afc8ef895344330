/* Inside of the scheduler: its state, shared by admission (scheduler.c) and the building of rows (scheduler_plan.c). */
#ifndef MODEL_SCHEDULER_IMPL_H
#define MODEL_SCHEDULER_IMPL_H

#include "model/scheduler.h"

/* Neighbouring places of one segment that run in a step. */
struct run {
    struct sched_task *task; /* NULL: rows of a shared segment */
    struct sched_prefix *prefix;
    struct sched_image *image;
    /* Segments the rows read, by pass; the last that is set is the one they are in. */
    struct segment *segments[MAX_SEGMENTS];
    int first, n;
    bool sample; /* the last row's logits are wanted */
};

struct id_stack {
    int32_t *ids;
    int n;
};

struct scheduler {
    struct sched_options o;
    struct kvcache kv;
    struct sched_image *images; /* in order of arrival */
    struct sched_prefix *prefixes;
    struct id_stack slots, image_slots, region_rows;
    int64_t page_waits;
    struct run *runs;
    int n_runs;
    struct plan plan;
};

/* Chooses decode rows and prefill chunks, and lays them out in s->plan. */
void scheduler_build_rows(struct scheduler *s);
void scheduler_free_regions(struct scheduler *s, struct sched_task *task);

#endif
