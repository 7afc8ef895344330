/* How a command names one job: by its id, 32 hex digits, or by its campaign and its key there. */
#ifndef CLI_JOB_ARG_H
#define CLI_JOB_ARG_H

#include <stdbool.h>

#include "protocol/client.h"

/* 32 hex digits. */
bool job_arg_is_id(const char *arg);
/* arg is an id; or a campaign, and key its job's. ST_MISSING: no such campaign; ST_INVALID: neither. */
MUST_CHECK enum status job_arg_id(struct client *client, const char *arg, const char *key, uint8_t id[ID_BYTES],
                                  struct diag *why);
/* What a job is: lines for people, or one JSON object. */
MUST_CHECK enum status job_print(const uint8_t id[ID_BYTES], const struct job_status *s, bool json);

#endif
