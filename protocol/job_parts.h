/* What the three forms of a job share: parts made, copied and released one at a time, and the rules that hold for
 * every job, whichever form it came in. Used inside protocol/ only. */
#ifndef PROTOCOL_JOB_PARTS_H
#define PROTOCOL_JOB_PARTS_H

#include "protocol/job.h"

enum {
    JOB_MAX_POINTS = 4096,                         /* vertices of one polygon or scribble */
    JOB_MAX_ANSWERS = LIMIT_TASKS + LIMIT_REGIONS, /* of one image */
    JOB_MAX_RETRIES = 100,
    JOB_MAX_RUNTIME_MS = 7 * 24 * 3600 * 1000,
    JOB_DEFAULT_TOKENS = 512,
    JOB_DEFAULT_RETRIES = 4,
    JOB_PRIORITIES = 3,
    JOB_DEFAULT_PRIORITY = 1
};

void job_region_fini(struct job_region *r);
void job_options_fini(struct job_options *o);
void job_task_fini(struct job_task *t);

/* Defaults of a policy: the repetition stop is off where the reference's behaviour is asked for. */
void job_options_init(struct job_options *o, const char *policy);
/* Copies into memory that holds nothing yet; on failure what was made is left for *_fini. */
MUST_CHECK enum status job_options_copy(struct job_options *to, const struct job_options *from);
MUST_CHECK enum status job_task_copy(struct job_task *to, const struct job_task *from);
MUST_CHECK enum status job_region_copy(struct job_region *to, const struct job_region *from);

/* Puts a copy of text into *slot in place of what was there; text may be NULL. */
MUST_CHECK enum status job_set_text(char **slot, const char *text);

/* Puts "path." in front of a sentence that begins with a field's name; returns s. */
enum status job_under(struct diag *why, enum status s, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Every rule of a complete job: ranges, counts, names, what a task kind needs. Errors name the field as a manifest
 * spells it. ST_LIMIT: a text that is too long; ST_INVALID: the rest. */
MUST_CHECK enum status job_check(const struct job *j, struct diag *why);

#endif
