#include "tests/unit/protocol/queue_case.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct private_redis queue_redis;
static struct store *store;

void queue_case_start(void)
{
    private_redis_start(&queue_redis, "no");
    store = private_redis_store(&queue_redis);
}

void queue_case_stop(void)
{
    store_close(store);
    private_redis_stop(&queue_redis);
}

/* A row is id, priority, retries, deadline, start, body; each becomes a run. The campaign's number stays open. */
static void submit_args(struct store_args *a, const char *const *args)
{
    enum { OWN = 2, GROUP = 6, ROW_WIDTH = 6, FRONT = 4 };
    for (int i = 0; i < OWN; i++)
        store_arg_str(a, *args++);
    while (*args) {
        long n = strtol(args[GROUP - 1], NULL, 10);
        store_arg_str(a, *args++);
        store_arg_str(a, "");
        for (int i = 1; i < GROUP; i++)
            store_arg_str(a, *args++);
        for (; n > 0; n--, args += ROW_WIDTH) {
            for (int i = 1; i <= FRONT; i++)
                store_arg_str(a, args[i]);
            store_arg_str(a, "1");
            store_arg_str(a, args[0]);
            store_arg_str(a, args[ROW_WIDTH - 1]);
        }
    }
}

/* A row is id, outcome, record. */
static void finish_args(struct store_args *a, const char *const *args)
{
    enum { ROW_WIDTH = 3 };
    size_t n = 0;
    store_arg_str(a, *args++);
    while (args[n])
        n++;
    store_arg(a, "", 0);
    for (size_t i = 0; i < n; i += ROW_WIDTH)
        store_arg_more(a, args[i + 1], 1);
    store_arg(a, "", 0);
    for (size_t i = 0; i < n; i += ROW_WIDTH)
        store_arg_more(a, args[i], strlen(args[i]));
    for (size_t i = 0; i < n; i += ROW_WIDTH)
        store_arg_str(a, args[i + 2]);
}

/* The credit of sessions, three arguments each, in front of what holds for all. */
static void claim_args(struct store_args *a, const char *const *args)
{
    enum { ALL = 5 };
    size_t n = 0;
    while (args[n])
        n++;
    for (size_t i = n - ALL; i < n; i++)
        store_arg_str(a, args[i]);
    for (size_t i = 0; i < n - ALL; i++)
        store_arg_str(a, args[i]);
}

void queue_case_spread(int shards)
{
    char text[16];
    snprintf(text, sizeof text, "%d", shards);
    store_set_shards(store, shards);
    for (int i = 0; i < shards; i++) {
        struct store_answer a = CALL_AT(i, SCRIPT_BOOT, "2", text);
        store_answer_free(&a);
    }
}

struct store_answer call(enum script script, const char *const *args)
{
    return call_at(0, script, args);
}

static struct store_answer send_call(enum script script, struct store_args *args)
{
    enum { CALL_MS = 5000 };
    struct store_answer out;
    struct diag why = {""};
    cr_assert_eq(store_call(store, script, args, CALL_MS, &out, &why), ST_OK, "%s: %s", script_name(script), why.text);
    store_args_fini(args);
    return out;
}

struct store_answer call_plain(enum script script, const char *const *args)
{
    struct store_args a = {0};
    for (; *args; args++)
        store_arg_str(&a, *args);
    return send_call(script, &a);
}

struct store_answer call_at(int shard, enum script script, const char *const *args)
{
    struct store_args a = {.shard = shard};
    switch (script) {
    case SCRIPT_SUBMIT: submit_args(&a, args); break;
    case SCRIPT_FINISH: finish_args(&a, args); break;
    case SCRIPT_CLAIM: claim_args(&a, args); break;
    default:
        for (; *args; args++)
            store_arg_str(&a, *args);
    }
    return send_call(script, &a);
}

void expect(struct store_answer a, size_t i, const char *want)
{
    size_t len;
    const char *found = reply_bytes(&a.reply, i, &len);
    cr_assert(reply_is(&a.reply, i, want), "found %.*s, expected %s", (int)len, found, want);
    store_answer_free(&a);
}

void expect_number(struct store_answer a, size_t i, long long want)
{
    long long found = a.reply.kind == REPLY_INT ? a.reply.integer : reply_number(&a.reply, i);
    cr_assert_eq(found, want, "found %lld, expected %lld", found, want);
    store_answer_free(&a);
}

void counters(const char *name, const char *want)
{
    struct store_answer a = CALL(SCRIPT_STATUS, name, "0", "85", "0.5");
    cr_assert_eq(a.reply.n, 2);
    const struct reply *row = &a.reply.items[1];
    long long v[7], sum = 0;
    for (size_t i = 0; i < 7; i++) {
        v[i] = reply_number(row, 4 + i);
        sum += i ? v[i] : 0;
    }
    char text[160];
    snprintf(text, sizeof text, "%lld %lld %lld %lld %lld %lld %lld", v[0], v[1], v[2], v[3], v[4], v[5], v[6]);
    cr_assert_str_eq(text, want);
    cr_assert_eq(v[0], sum);
    store_answer_free(&a);
}

void campaign(const char *name)
{
    expect(CALL(SCRIPT_CAMPAIGN, name, "default", "m/f32", "pin", "", ""), 0, "ok");
}

void three(void)
{
    campaign("c");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "3"), ROW(ID1), ROW(ID2), ROW(ID3)), 0, "nnn");
}

void hello(const char *session)
{
    DO(SCRIPT_HELLO, session, "60000", "m/f32|caption||here");
}

struct store_answer claim(const char *session, const char *seq, const char *want)
{
    return CALL(SCRIPT_CLAIM, CREDIT(session, seq, want));
}

size_t claimed(const struct store_answer *a)
{
    size_t n = (size_t)reply_number(&a->reply, CLAIM_STATE + 1);
    cr_assert_eq(a->reply.n, CLAIM_FIRST + n * CLAIM_ROW);
    return n;
}

void expect_claim(const char *session, const char *seq, const char *want, size_t n, const char *state)
{
    struct store_answer a = claim(session, seq, want);
    cr_assert_eq(claimed(&a), n, "%zu elements", a.reply.n);
    expect(a, CLAIM_STATE, state);
}

void lapse(const char *session)
{
    DO(SCRIPT_HEARTBEAT, session, "0");
    usleep(2000);
}

/* Two ticks, since the first one ever only starts the clock. */
long long reap(void)
{
    long long n = 0;
    for (int i = 0; i < 2; i++) {
        struct store_answer a = CALL(SCRIPT_REAP, "1", "60000", "3");
        n += reply_number(&a.reply, 0);
        store_answer_free(&a);
        usleep(5000);
    }
    return n;
}
