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
    bool was_ready;
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
    s->was_ready = true;
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

/* A bounded burst, so that neither side starves the other or Redis. */
static void read_side(struct server *s, enum side side)
{
    enum { BURST = 128 };
    struct link *l = side == SIDE_CLIENT ? s->clients : s->workers;
    struct link_frame f;
    for (int i = 0; i < BURST; i++) {
        if (side == SIDE_CLIENT && !dispatch_wants_clients(s->dispatch))
            return;
        if (link_receive(l, &f) != ST_OK)
            return;
        meters_message(view_meters(s->options.view), false, f.bytes, f.len);
        dispatch_on_message(s->dispatch, side, &f.peer, f.bytes, f.len, clock_ms());
        link_frame_free(&f);
    }
}

static void read_answers(struct server *s, struct store *store)
{
    struct store_answer a;
    while (store && store_take(store, &a)) {
        meters_reply(view_meters(s->options.view), a.tag, clock_us());
        dispatch_on_reply(s->dispatch, a.tag, &a.reply, clock_ms());
        store_answer_free(&a);
    }
}

static void read_store(struct server *s)
{
    read_answers(s, s->options.store);
    read_answers(s, s->options.submits);
    bool ready = store_all_are_ready(s->options.store);
    if (ready != s->was_ready)
        log_line(s->options.log, ready ? LOG_INFO : LOG_ERROR, "%s",
                 ready ? "Redis is back" : store_trouble(s->options.store));
    s->was_ready = ready;
    for (int i = 0; i < store_shards(s->options.store); i++)
        dispatch_on_store(s->dispatch, i, store_shard_is_ready(s->options.store, i),
                          store_shards_beside(s->options.store, i));
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
        } else {
            struct store *to = s->options.submits && o.script == SCRIPT_SUBMIT ? s->options.submits : s->options.store;
            if (store_send(to, o.script, &o.args, o.tag) != ST_OK)
                dispatch_on_reply(s->dispatch, o.tag, &lost, clock_ms());
            else
                meters_call(view_meters(s->options.view), o.script, o.tag, clock_us());
        }
        dispatch_output_fini(&o);
    }
}

static int add_polls(const struct store *store, struct link_poll *items)
{
    struct store_poll polls[STORE_POLLS];
    size_t n = store ? store_polls(store, polls) : 0;
    for (size_t i = 0; i < n; i++)
        items[i] = (struct link_poll){.fd = polls[i].fd, .want_read = true, .want_write = polls[i].want_write};
    return (int)n;
}

static enum status wait_for(struct server *s, int timeout_ms)
{
    enum { OWN = 3 };
    struct link_poll items[OWN + 2 * STORE_POLLS] = {
        {.link = s->clients, .want_read = dispatch_wants_clients(s->dispatch)},
        {.link = s->workers, .want_read = true},
        {.link = s->guard ? guard_gate(s->guard) : NULL, .fd = -1, .want_read = true},
    };
    int n = OWN + add_polls(s->options.store, items + OWN);
    n += add_polls(s->options.submits, items + n);
    return link_wait(items, n, timeout_ms);
}

static int pump(struct server *s, int64_t now_ms)
{
    int due = store_pump(s->options.store, now_ms);
    int its = s->options.submits ? store_pump(s->options.submits, now_ms) : -1;
    return due < 0 || (its >= 0 && its < due) ? its : due;
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
        (void)pump(s, now);
        read_store(s);
        read_side(s, SIDE_WORKER);
        read_side(s, SIDE_CLIENT);
        int due = dispatch_tick(s->dispatch, clock_ms());
        meters_loop(view_meters(s->options.view), s->dispatch, s->was_ready);
        view_turn(s->options.view, s->was_ready);
        flush(s);
        int store_due = pump(s, clock_ms()); /* writes at once what was just queued */
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
