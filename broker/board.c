#include "broker/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "broker/board_impl.h"
#include "broker/dispatch_impl.h"

enum { CALL_MS = 1000, LOOKED_AT_MS = 1000, ALONE_MS = 5000, POST_MS = 15000, PAGES_MOST = 1024, PAGE_PAUSE_MS = 5 };

/* ---- asking Redis --------------------------------------------------------------------------------------------------
 */

static enum status ask(struct board *b, int shard, enum script script, struct store_args *args,
                       struct store_answer *out)
{
    args->shard = shard;
    pthread_mutex_lock(&b->store_lock);
    enum status s = store_is_ready(b->options.store) ? ST_OK : store_wait_ready(b->options.store, CALL_MS, NULL);
    if (s == ST_OK)
        s = args->failed ? ST_NOMEM : store_call(b->options.store, script, args, CALL_MS, out, NULL);
    pthread_mutex_unlock(&b->store_lock);
    store_args_fini(args);
    return s;
}

typedef enum status (*add_fn)(struct snapshot *s, const struct reply *r);

/* A call without arguments, or with one number. */
static enum status ask_and_add(struct board *b, int shard, enum script script, int64_t number, struct snapshot *s,
                               add_fn add)
{
    struct store_args args = {0};
    struct store_answer a;
    if (number >= 0)
        store_arg_u64(&args, (uint64_t)number);
    enum status st = ask(b, shard, script, &args, &a);
    if (st != ST_OK)
        return st;
    st = add(s, &a.reply);
    store_answer_free(&a);
    return st;
}

static void put_pressure(const struct board *b, struct store_args *args)
{
    char budget[32];
    snprintf(budget, sizeof budget, "%.17g", b->options.result_budget);
    store_arg_u64(args, CLAIM_STOPS_AT);
    store_arg_str(args, budget);
}

/* Page by page with a breath in between, so that a queue of many thousand campaigns is not held up. */
static enum status ask_campaigns(struct board *b, int shard, struct snapshot *s)
{
    int64_t next = 0;
    for (int page = 0; page < PAGES_MOST; page++) {
        struct store_args args = {0};
        struct store_answer a;
        store_arg_u64(&args, (uint64_t)next);
        put_pressure(b, &args);
        enum status st = ask(b, shard, SCRIPT_BOARD, &args, &a);
        if (st != ST_OK)
            return st;
        st = snapshot_add_campaigns(s, &a.reply);
        next = reply_number(&a.reply, 0);
        store_answer_free(&a);
        if (st != ST_OK || next <= 0)
            return st;
        struct timespec breath = {.tv_nsec = PAGE_PAUSE_MS * 1000000L};
        nanosleep(&breath, NULL);
    }
    return ST_OK;
}

/* Campaigns and news shard by shard; sessions and numbers are put together below (protocol/spread.h). */
static enum status ask_all(struct board *b, struct snapshot *s)
{
    enum status st = ask_and_add(b, 0, SCRIPT_WORKERS, -1, s, snapshot_add_workers);
    if (st == ST_OK)
        st = ask_and_add(b, 0, SCRIPT_QUEUE, -1, s, snapshot_add_numbers);
    for (int shard = 0; st == ST_OK && shard < store_shards(b->options.store); shard++) {
        st = ask_campaigns(b, shard, s);
        if (st == ST_OK)
            st = ask_and_add(b, shard, SCRIPT_NEWS, SNAPSHOT_NEWS, s, snapshot_add_news);
    }
    return st;
}

static bool ask_post(struct board *b)
{
    struct store_args args = {0};
    struct store_answer a;
    store_arg_str(&args, b->id);
    store_arg_u64(&args, POST_MS);
    if (ask(b, 0, SCRIPT_ELECT, &args, &a) != ST_OK)
        return false;
    bool elected = a.reply.kind == REPLY_INT && a.reply.integer == 1;
    store_answer_free(&a);
    return elected;
}

/* ---- the thread
 * ------------------------------------------------------------------------------------------------------ */

static void pass(struct board *b)
{
    struct snapshot s = {.n_campaigns = 0};
    bool elected = ask_post(b), taken = ask_all(b, &s) == ST_OK;
    int64_t now = clock_ms();
    char *text = NULL;
    pthread_mutex_lock(&b->lock);
    b->elected = elected && taken;
    if (taken) {
        rates_note(&b->rates, &s, now, clock_wall_ms());
        snapshot_fini(&b->snapshot);
        b->snapshot = s;
        b->taken = true;
        b->taken_ms = now;
        text = board_json(&b->snapshot, &b->rates, clock_wall_ms());
        if (text) {
            free(b->text);
            b->text = text;
        }
    }
    pthread_mutex_unlock(&b->lock);
    if (!taken)
        snapshot_fini(&s);
    if (text)
        web_publish(b->web, text, strlen(text)); /* only this thread writes b->text */
    else if (!taken)
        web_publish(b->web, "null", 4);
}

static void *run(void *ctx)
{
    struct board *b = ctx;
    for (;;) {
        pass(b);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t wait = (web_streams(b->web) > 0 ? LOOKED_AT_MS : ALONE_MS);
        until.tv_sec += wait / 1000;
        pthread_mutex_lock(&b->lock);
        while (!b->closing && pthread_cond_timedwait(&b->wake, &b->lock, &until) == 0)
            ;
        bool closing = b->closing;
        pthread_mutex_unlock(&b->lock);
        if (closing)
            return NULL;
    }
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------------ */

static enum status make_locks(struct board *b)
{
    if (pthread_mutex_init(&b->lock, NULL) != 0)
        return ST_NOMEM;
    if (pthread_mutex_init(&b->store_lock, NULL) == 0) {
        if (pthread_cond_init(&b->wake, NULL) == 0) {
            b->has_locks = true;
            return ST_OK;
        }
        pthread_mutex_destroy(&b->store_lock);
    }
    pthread_mutex_destroy(&b->lock);
    return ST_NOMEM;
}

enum status board_open(const struct board_options *o, struct board **out, struct diag *why)
{
    struct board *b = calloc(1, sizeof *b);
    if (!b) {
        store_close(o->store);
        return ST_NOMEM;
    }
    b->options = *o;
    uint8_t id[sizeof b->id / 2];
    enum status s = make_locks(b);
    if (s == ST_OK && getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        s = diag_set(why, ST_IO, "the system gives no random numbers");
    for (size_t i = 0; s == ST_OK && i < sizeof id; i++)
        snprintf(b->id + 2 * i, 3, "%02x", id[i]);
    if (s != ST_OK) {
        board_close(b);
        return s;
    }
    *out = b;
    return ST_OK;
}

enum status board_start(struct board *b, struct web *web, struct diag *why)
{
    b->web = web;
    if (pthread_create(&b->thread, NULL, run, b) != 0)
        return diag_set(why, ST_NOMEM, "the board's thread could not be started");
    b->runs = true;
    return ST_OK;
}

void board_stop(struct board *b)
{
    if (!b || !b->runs)
        return;
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    b->runs = false;
}

void board_close(struct board *b)
{
    if (!b)
        return;
    board_stop(b);
    if (b->has_locks) {
        pthread_cond_destroy(&b->wake);
        pthread_mutex_destroy(&b->store_lock);
        pthread_mutex_destroy(&b->lock);
    }
    snapshot_fini(&b->snapshot);
    rates_fini(&b->rates);
    free(b->text);
    store_close(b->options.store);
    free(b);
}

/* ---- what others ask
 * -------------------------------------------------------------------------------------------------- */

char *board_text(struct board *b)
{
    pthread_mutex_lock(&b->lock);
    char *text = b->text ? strdup(b->text) : NULL;
    pthread_mutex_unlock(&b->lock);
    return text;
}

enum status board_newest(struct board *b, const char *campaign, int n, char **out)
{
    struct store_answer *answers = calloc(LIMIT_SHARDS, sizeof *answers);
    const struct reply **found = calloc(LIMIT_SHARDS, sizeof *found);
    int n_answers = 0;
    size_t n_found = 0;
    enum status s = answers && found ? ST_OK : ST_NOMEM;
    for (int shard = 0; s == ST_OK && shard < store_shards(b->options.store); shard++) {
        struct store_args args = {0};
        store_arg_str(&args, campaign);
        store_arg_u64(&args, (uint64_t)n);
        store_arg_u64(&args, ANSWER_BYTES);
        s = ask(b, shard, SCRIPT_NEWEST, &args, &answers[n_answers]);
        if (s == ST_OK && !reply_is(&answers[n_answers].reply, 0, "missing"))
            found[n_found++] = &answers[n_answers].reply;
        n_answers += s == ST_OK;
    }
    if (s == ST_OK && n_found == 0)
        s = ST_MISSING;
    if (s == ST_OK && !(*out = board_campaign_json(found, n_found, n)))
        s = ST_NOMEM;
    for (int i = 0; i < n_answers; i++)
        store_answer_free(&answers[i]);
    free(answers);
    free(found);
    return s;
}

/* Two digits a byte, as records have them. */
static bool read_id(const char *hex, uint8_t id[ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(hex) != 2 * ID_BYTES || strspn(hex, digits) != 2 * ID_BYTES)
        return false;
    for (size_t i = 0; i < ID_BYTES; i++)
        id[i] = (uint8_t)((strchr(digits, hex[2 * i]) - digits) << 4 | (strchr(digits, hex[2 * i + 1]) - digits));
    return true;
}

enum status board_record(struct board *b, const char *job, struct json **out)
{
    enum { RECORD = 4 }; /* behind state, campaign, session, body */
    uint8_t id[ID_BYTES];
    if (!read_id(job, id))
        return ST_MISSING;
    struct store_args args = {0};
    struct store_answer a;
    store_arg(&args, id, sizeof id);
    store_arg_str(&args, "show");
    store_arg_u64(&args, 0);
    store_arg_str(&args, "");
    enum status s = ask(b, 0, SCRIPT_JOB, &args, &a);
    if (s != ST_OK)
        return s;
    size_t len = 0;
    const char *record = reply_is(&a.reply, 0, "missing") ? NULL : reply_bytes(&a.reply, RECORD, &len);
    s = record && len > 0 ? jsn_parse(record, len, "a record", out, NULL) : ST_MISSING;
    store_answer_free(&a);
    return s;
}
