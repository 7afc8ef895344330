/* A job's tasks -> answers to be made: caption, locate and ask are one answer each, describe is one a region. Each is
 * one entry of the record and, unless it has failed already, one task of the engine.
 *
 * What is wrong with one answer (a region outside the image, an empty mask, a question the template refuses) is an
 * error of that entry alone. Built on a decode thread; the model's config is only read. */
#ifndef WORKER_TASKS_H
#define WORKER_TASKS_H

#include "base/status.h"
#include "model/config.h"
#include "model/engine.h"
#include "model/region.h"
#include "model/sampler.h"
#include "protocol/job.h"
#include "protocol/result.h"

struct task_error {
    const char *code; /* static word; NULL = none */
    enum error_class class_;
    char message[DIAG_BYTES];
};

struct task_entry {
    char *id;                    /* as in the record */
    const struct job_task *task; /* borrowed from the job */
    int region;                  /* describe: index into job.regions; else -1 */
    char *question;              /* the last user turn as the model reads it, without the region tokens */
    char *prompt;                /* rendered conversation */
    struct region *regions;      /* in the order of their tokens in the prompt; runs are the plan's */
    int n_regions;
    struct drawn_region *drawn; /* the same for the engine; NULL where it never sees the entry */
    struct task_error error;    /* set: the engine never sees it, or it failed there */
    bool answered;
    struct engine_result result; /* of an answered one with OUTCOME_OK */
};

struct task_plan {
    const struct job *job;  /* borrowed */
    struct region *regions; /* one a job region, zeroed where it failed */
    struct task_error *region_errors;
    struct task_entry *entries;
    int n_entries;
};

/* width x height: of the display image, whose pixels regions are given in. Fails for want of memory only. */
MUST_CHECK enum status tasks_plan(const struct job *job, const struct config *config, int width, int height,
                                  struct task_plan *out);
void tasks_fini(struct task_plan *p); /* zeroed or filled, half-built too */

/* Entries without an error as tasks of the engine, whose id is first_id + the entry's index; `tasks` has room for
 * n_entries. Returns their number. Pointers are into the plan. */
int tasks_for_engine(const struct task_plan *p, uint64_t first_id, struct engine_task *tasks);

/* Takes over a result of the engine; *r is left empty. */
void tasks_take_result(struct task_entry *e, struct engine_result *r);

#endif
