#include "protocol/store_args.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/script_pick.h"

#define LUA(name)                                                                                                      \
    extern const char _binary_protocol_scripts_##name##_lua_start[], _binary_protocol_scripts_##name##_lua_end[]
LUA(common);
LUA(boot);
LUA(campaign);
LUA(campaign_set);
LUA(submit);
LUA(hello);
LUA(heartbeat);
LUA(claim);
LUA(resume);
LUA(finish);
LUA(twins);
LUA(handback);
LUA(reap);
LUA(promote);
LUA(sweep);
LUA(doomed);
LUA(bury);
LUA(status);
LUA(workers);
LUA(results);
LUA(trim);
LUA(tenant);
LUA(events);
LUA(drain);
LUA(job);
LUA(requeue);
LUA(dead);
LUA(queue);
LUA(forget);
LUA(forgotten);
LUA(board);
LUA(news);
LUA(newest);
LUA(elect);
LUA(fsck_walk);
LUA(fsck_look);
LUA(fsck_fix);

#define ROW(name, grows)                                                                                               \
    {                                                                                                                  \
#name, _binary_protocol_scripts_##name##_lua_start, _binary_protocol_scripts_##name##_lua_end, grows           \
    }
/* grows: takes new work in, so Redis may refuse it when memory is short. Everything else ends work or keeps it alive,
 * and runs even then (flag allow-oom, Redis >= 7.0). */
static const struct {
    const char *name, *start, *end;
    bool grows;
} scripts[SCRIPT_COUNT_] = {
    [SCRIPT_BOOT] = ROW(boot, false),
    [SCRIPT_CAMPAIGN] = ROW(campaign, true),
    [SCRIPT_CAMPAIGN_SET] = ROW(campaign_set, false),
    [SCRIPT_SUBMIT] = ROW(submit, true),
    [SCRIPT_HELLO] = ROW(hello, false),
    [SCRIPT_HEARTBEAT] = ROW(heartbeat, false),
    [SCRIPT_CLAIM] = ROW(claim, true),
    [SCRIPT_RESUME] = ROW(resume, false),
    [SCRIPT_FINISH] = ROW(finish, false),
    [SCRIPT_TWINS] = ROW(twins, false),
    [SCRIPT_HANDBACK] = ROW(handback, false),
    [SCRIPT_REAP] = ROW(reap, false),
    [SCRIPT_PROMOTE] = ROW(promote, false),
    [SCRIPT_SWEEP] = ROW(sweep, false),
    [SCRIPT_DOOMED] = ROW(doomed, false),
    [SCRIPT_BURY] = ROW(bury, false),
    [SCRIPT_STATUS] = ROW(status, false),
    [SCRIPT_WORKERS] = ROW(workers, false),
    [SCRIPT_RESULTS] = ROW(results, false),
    [SCRIPT_TRIM] = ROW(trim, false),
    [SCRIPT_TENANT] = ROW(tenant, false),
    [SCRIPT_EVENTS] = ROW(events, false),
    [SCRIPT_DRAIN] = ROW(drain, false),
    [SCRIPT_JOB] = ROW(job, false),
    [SCRIPT_REQUEUE] = ROW(requeue, true),
    [SCRIPT_DEAD] = ROW(dead, false),
    [SCRIPT_QUEUE] = ROW(queue, false),
    [SCRIPT_FORGET] = ROW(forget, false),
    [SCRIPT_FORGOTTEN] = ROW(forgotten, false),
    [SCRIPT_BOARD] = ROW(board, false),
    [SCRIPT_NEWS] = ROW(news, false),
    [SCRIPT_NEWEST] = ROW(newest, false),
    [SCRIPT_ELECT] = ROW(elect, false),
    [SCRIPT_FSCK_WALK] = ROW(fsck_walk, false),
    [SCRIPT_FSCK_LOOK] = ROW(fsck_look, false),
    [SCRIPT_FSCK_FIX] = ROW(fsck_fix, false),
};

static const char SHEBANG[] = "#!lua\n", SHEBANG_OOM[] = "#!lua flags=allow-oom\n";

const char *script_name(enum script s)
{
    return scripts[s].name;
}

enum status script_text(enum script s, char **text, size_t *len)
{
    const char *shebang = scripts[s].grows ? SHEBANG : SHEBANG_OOM;
    const char *common = _binary_protocol_scripts_common_lua_start;
    size_t front = strlen(shebang), picked_len;
    char *picked;
    enum status st = script_pick(common, (size_t)(_binary_protocol_scripts_common_lua_end - common), scripts[s].start,
                                 (size_t)(scripts[s].end - scripts[s].start), &picked, &picked_len);
    char *t = st == ST_OK ? malloc(front + picked_len) : NULL;
    if (t) {
        memcpy(t, shebang, front);
        memcpy(t + front, picked, picked_len);
        *text = t;
        *len = front + picked_len;
    }
    if (st == ST_OK)
        free(picked);
    return t ? ST_OK : ST_NOMEM;
}

static bool reserve(struct store_args *a, size_t len)
{
    enum { FIRST_BYTES = 512, FIRST_ARGS = 32 };
    if (a->cap - a->len < len) {
        size_t cap = a->cap ? a->cap : FIRST_BYTES;
        while (cap - a->len < len)
            cap *= 2;
        char *bytes = realloc(a->bytes, cap);
        if (!bytes)
            return false;
        a->bytes = bytes;
        a->cap = cap;
    }
    if (a->n == a->cap_n) {
        size_t cap = a->cap_n ? 2 * a->cap_n : FIRST_ARGS;
        size_t *ends = realloc(a->ends, cap * sizeof *ends);
        if (!ends)
            return false;
        a->ends = ends;
        a->cap_n = cap;
    }
    return true;
}

void store_arg(struct store_args *a, const void *bytes, size_t len)
{
    if (a->failed || !reserve(a, len)) {
        a->failed = true;
        return;
    }
    if (len)
        memcpy(a->bytes + a->len, bytes, len);
    a->len += len;
    a->ends[a->n++] = a->len;
}

void store_arg_more(struct store_args *a, const void *bytes, size_t len)
{
    store_arg(a, bytes, len);
    if (a->failed || a->n < 2)
        return;
    a->n--;
    a->ends[a->n - 1] = a->len;
}

void store_arg_str(struct store_args *a, const char *s)
{
    store_arg(a, s, strlen(s));
}

void store_arg_u64(struct store_args *a, uint64_t u)
{
    enum { DIGITS = 24 };
    char text[DIGITS];
    snprintf(text, sizeof text, "%" PRIu64, u);
    store_arg_str(a, text);
}

void store_args_fini(struct store_args *a)
{
    free(a->bytes);
    free(a->ends);
    *a = (struct store_args){0};
}

const char *store_args_at(const struct store_args *a, size_t i, size_t *len)
{
    size_t from = i ? a->ends[i - 1] : 0;
    *len = a->ends[i] - from;
    return a->bytes ? a->bytes + from : "";
}
