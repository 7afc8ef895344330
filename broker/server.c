#include "broker/server.h"

#include <stdlib.h>

#include "base/clock.h"
#include "broker/guard.h"
#include "broker/view.h"

struct server {
    struct server_options options;
    struct link_context *context;
    struct guard *guard; /* or NULL */
    struct link *clients, *workers;
    struct dispatch *dispatch;
    unsigned claims;  /* sent so far */
    bool has_mail[2]; /* a side, as of the last wait */
    bool was_ready, replicas_follow;
};

static enum status open_router(struct server *s, const char *address, struct link **out, struct diag *why)
{
    enum { LINGER_MS = 200 };
    struct link_options o = {.kind = LINK_ROUTER,
                             .address = address,
                             .keys = s->options.keys,
                             .insecure = s->options.insecure,
                             .linger_ms = LINGER_MS};
    return link_open(s->context, &o, out, why);
}

enum status server_open(const struct server_options *o, struct server **out, struct diag *why)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->options = *o;
    s->was_ready = s->replicas_follow = true;
    enum status st = dispatch_new(&o->dispatch, &s->dispatch);
    if (st == ST_OK)
        st = link_context_new(&s->context);
    if (st == ST_OK && o->allow_file)
        st = guard_open(s->context, o->allow_file, o->log, &s->guard, why);
    if (st == ST_OK && s->guard)
        dispatch_set_allowed(s->dispatch, guard_list(s->guard));
    if (st == ST_OK)
        st = open_router(s, o->client_address, &s->clients, why);
    if (st == ST_OK)
        st = open_router(s, o->worker_address, &s->workers, why);
    if (st != ST_OK) {
        server_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void server_close(struct server *s)
{
    if (!s)
        return;
    link_close(s->clients);
    link_close(s->workers);
    guard_close(s->guard);
    link_context_free(s->context);
    dispatch_free(s->dispatch);
    free(s);
}

/* A bounded burst, so that neither side starves the other or Redis, and answers do not wait for long. */
static void read_side(struct server *s, enum side side)
{
    enum { BURST = 128, BURST_BYTES = 1 << 20 };
    size_t bytes = 0;
    struct link *l = side == SIDE_CLIENT ? s->clients : s->workers;
    struct link_frame f;
    for (int i = 0; s->has_mail[side] && i < BURST && bytes < BURST_BYTES; i++) {
        if (side == SIDE_CLIENT && !dispatch_wants_clients(s->dispatch))
            return;
        if (link_receive(l, &f) != ST_OK)
            return;
        meters_message(view_meters(s->options.view), false, f.bytes, f.len);
        bytes += f.len;
        dispatch_on_message(s->dispatch, side, &f.peer, f.bytes, f.len, clock_ms());
        link_frame_free(&f);
    }
}

/* Replicas that do not follow are told of once, and once more when they do again. */
static void mind_replicas(struct server *s, const struct reply *r)
{
    bool follow = r->replicas >= s->options.dispatch.replicas;
    if (r->kind != REPLY_ARRAY || follow == s->replicas_follow)
        return;
    log_line(s->options.log, follow ? LOG_INFO : LOG_WARN, "%s",
             follow ? "replicas of Redis follow again"
                    : "replicas of Redis do not follow: jobs are accepted without them");
    s->replicas_follow = follow;
}

static void read_answers(struct server *s, struct store *store)
{
    struct store_answer a;
    while (store_take(store, &a)) {
        if (store == s->options.stores[STORE_SUBMIT] && s->options.dispatch.replicas > 0)
            mind_replicas(s, &a.reply);
        meters_reply(view_meters(s->options.view), a.tag, clock_us());
        dispatch_on_reply(s->dispatch, a.tag, &a.reply, clock_ms());
        store_answer_free(&a);
    }
}

static bool shard_is_ready(const struct server *s, int shard)
{
    for (int i = 0; i < SERVER_STORES; i++)
        if (!store_shard_is_ready(s->options.stores[i], shard))
            return false;
    return true;
}

static void read_stores(struct server *s)
{
    const struct store *missing = NULL, *rest = s->options.stores[STORE_REST];
    for (int i = 0; i < SERVER_STORES; i++) {
        read_answers(s, s->options.stores[i]);
        if (!missing && !store_all_are_ready(s->options.stores[i]))
            missing = s->options.stores[i];
    }
    if (!missing != s->was_ready)
        log_line(s->options.log, missing ? LOG_ERROR : LOG_INFO, "%s",
                 missing ? store_trouble(missing) : "Redis is back");
    s->was_ready = !missing;
    for (int i = 0; i < store_shards(rest); i++)
        dispatch_on_store(s->dispatch, i, shard_is_ready(s, i), store_shards_beside(rest, i));
}

static struct store *store_for(struct server *s, enum script script)
{
    if (script == SCRIPT_CLAIM)
        return s->options.stores[s->claims++ % 2 ? STORE_CLAIM_TOO : STORE_CLAIM];
    return s->options.stores[script == SCRIPT_SUBMIT ? STORE_SUBMIT : STORE_REST];
}

/* Sends what the dispatcher wants sent. A frame that can't be delivered is dropped: its receiver asks again. */
static void flush(struct server *s)
{
    static const struct reply lost = {.kind = REPLY_LOST};
    struct dispatch_output o;
    while (dispatch_next(s->dispatch, &o)) {
        if (o.kind == OUTPUT_SEND) {
            uint8_t *bytes = o.bytes;
            o.bytes = NULL;
            meters_message(view_meters(s->options.view), true, bytes, o.len);
            enum status st = link_send(o.side == SIDE_CLIENT ? s->clients : s->workers, &o.peer, bytes, o.len);
            if (st != ST_OK)
                log_line(s->options.log, LOG_DEBUG, "a message was dropped: its receiver is %s",
                         st == ST_BUSY ? "slow" : "gone");
        } else if (store_send(store_for(s, o.script), o.script, &o.args, o.tag) != ST_OK) {
            dispatch_on_reply(s->dispatch, o.tag, &lost, clock_ms());
        } else {
            meters_call(view_meters(s->options.view), o.script, o.tag, clock_us());
        }
        dispatch_output_fini(&o);
    }
}

static int add_polls(const struct store *store, struct link_poll *items)
{
    struct store_poll polls[STORE_POLLS];
    size_t n = store_polls(store, polls);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct link_poll){.fd = polls[i].fd, .want_read = true, .want_write = polls[i].want_write};
    return (int)n;
}

static bool any_ready(const struct link_poll *items, int n)
{
    for (int i = 0; i < n; i++)
        if (items[i].can_read || items[i].can_write)
            return true;
    return false;
}

static enum status wait_for(struct server *s, int timeout_ms)
{
    enum { OWN = 3 };
    struct link_poll items[OWN + SERVER_STORES * STORE_POLLS] = {
        {.link = s->clients, .want_read = dispatch_wants_clients(s->dispatch)},
        {.link = s->workers, .want_read = true},
        {.link = s->guard ? guard_gate(s->guard) : NULL, .fd = -1, .want_read = true},
    };
    int n = OWN, from[SERVER_STORES + 1];
    for (int i = 0; i < SERVER_STORES; i++) {
        from[i] = n;
        n += add_polls(s->options.stores[i], items + n);
    }
    from[SERVER_STORES] = n;
    enum status st = link_wait(items, n, timeout_ms);
    s->has_mail[SIDE_CLIENT] = items[0].can_read;
    s->has_mail[SIDE_WORKER] = items[1].can_read;
    for (int i = 0; i < SERVER_STORES; i++)
        store_tell(s->options.stores[i], any_ready(items + from[i], from[i + 1] - from[i]));
    return st;
}

/* In how many ms again, at the latest; -1: when something comes. */
static int pump_stores(struct server *s)
{
    int due = -1;
    for (int i = 0; i < SERVER_STORES; i++) {
        int its = store_pump(s->options.stores[i], clock_ms());
        due = its >= 0 && (due < 0 || its < due) ? its : due;
    }
    return due;
}

enum status server_run(struct server *s, const volatile sig_atomic_t *stop, volatile sig_atomic_t *reload)
{
    int64_t stop_at = -1;
    for (;;) {
        int64_t now = clock_ms();
        if (*stop && stop_at < 0) {
            dispatch_drain(s->dispatch);
            stop_at = now + s->options.drain_ms;
        }
        if (s->guard && guard_tick(s->guard, reload, now))
            dispatch_set_allowed(s->dispatch, guard_list(s->guard));
        (void)pump_stores(s);
        read_stores(s);
        read_side(s, SIDE_WORKER);
        read_side(s, SIDE_CLIENT);
        int due = dispatch_tick(s->dispatch, clock_ms());
        meters_loop(view_meters(s->options.view), s->dispatch, s->was_ready);
        view_turn(s->options.view, s->was_ready);
        flush(s);
        int store_due = pump_stores(s); /* writes at once what was just queued */
        if (stop_at >= 0 && (dispatch_is_idle(s->dispatch) || now >= stop_at))
            return ST_OK;
        if (store_due >= 0 && store_due < due)
            due = store_due;
        enum { DRAIN_STEP_MS = 10 };
        enum status st = wait_for(s, stop_at >= 0 && due > DRAIN_STEP_MS ? DRAIN_STEP_MS : due);
        if (st != ST_OK)
            return st;
    }
}
