/* A job that asks for a caption, for tests which need one and are about something else. */
#ifndef TESTS_CAPTION_JOB_H
#define TESTS_CAPTION_JOB_H

#include "protocol/job.h"

/* The image is the key. Borrows all texts; the task is shared and stays as it is. */
static inline struct job caption_job(const char *key, const char *tenant, const char *campaign)
{
    static struct job_task task = {.kind = TASK_CAPTION, .options = {.max_tokens = 16, .top_p = 1}};
    return (struct job){.key = (char *)(uintptr_t)key,
                        .image = (char *)(uintptr_t)key,
                        .tasks = &task,
                        .n_tasks = 1,
                        .policy = (char *)(uintptr_t) "default",
                        .priority = 1,
                        .max_retries = 4,
                        .tenant = (char *)(uintptr_t)tenant,
                        .campaign = (char *)(uintptr_t)campaign};
}

#endif
