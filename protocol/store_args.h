/* Arguments of a script call: byte strings in one buffer, copied in. And the scripts there are: their Lua text stands
 * in scripts/NAME.lua, with what it comes by of common.lua in front. */
#ifndef PROTOCOL_STORE_ARGS_H
#define PROTOCOL_STORE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum script {
    SCRIPT_BOOT,
    SCRIPT_CAMPAIGN,
    SCRIPT_CAMPAIGN_SET,
    SCRIPT_SUBMIT,
    SCRIPT_HELLO,
    SCRIPT_HEARTBEAT,
    SCRIPT_CLAIM,
    SCRIPT_RESUME,
    SCRIPT_FINISH,
    SCRIPT_TWINS,
    SCRIPT_HANDBACK,
    SCRIPT_REAP,
    SCRIPT_PROMOTE,
    SCRIPT_SWEEP,
    SCRIPT_DOOMED,
    SCRIPT_BURY,
    SCRIPT_STATUS,
    SCRIPT_WORKERS,
    SCRIPT_RESULTS,
    SCRIPT_TRIM,
    SCRIPT_TENANT,
    SCRIPT_EVENTS,
    SCRIPT_DRAIN,
    SCRIPT_JOB,
    SCRIPT_REQUEUE,
    SCRIPT_DEAD,
    SCRIPT_QUEUE,
    SCRIPT_FORGET,
    SCRIPT_FORGOTTEN,
    SCRIPT_BOARD,
    SCRIPT_NEWS,
    SCRIPT_NEWEST,
    SCRIPT_ELECT,
    SCRIPT_FSCK_WALK,
    SCRIPT_FSCK_LOOK,
    SCRIPT_FSCK_FIX,
    SCRIPT_COUNT_
};
const char *script_name(enum script s);
/* The whole Lua text, malloc'ed: its shebang, what it comes by of common.lua, the script. */
MUST_CHECK enum status script_text(enum script s, char **text, size_t *len);

struct store_args {
    int shard; /* whose keys the script touches */
    char *bytes;
    size_t len, cap;
    size_t *ends; /* of argument i in bytes */
    size_t n, cap_n;
    bool failed; /* memory was short; the call then gives ST_NOMEM */
};
void store_arg(struct store_args *a, const void *bytes, size_t len);
void store_arg_more(struct store_args *a, const void *bytes, size_t len); /* lengthens the last argument */
void store_arg_str(struct store_args *a, const char *s);
void store_arg_u64(struct store_args *a, uint64_t u);
void store_args_fini(struct store_args *a);
/* Argument i, borrowed. */
const char *store_args_at(const struct store_args *a, size_t i, size_t *len);

#endif
