/* What a session writes to the queue: results (batches of what has ended meanwhile), beats, jobs handed back. The same
 * three either run as scripts on the worker's own connection to Redis or travel through the broker, which runs them. A
 * lost answer means once more: all three bear it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker/meters.h"
#include "worker/session_impl.h"

enum { AGAIN_MS = 2000, BATCH_ROWS = 128, BATCH_BYTES = 1 << 20, BEGUN_MOST = 256 };
/* What began is told at once, but no more often than this. A job that kills its worker sooner is found by how often it
 * came back (reap.lua). */
enum { BEGUN_MS = 10 };

static struct wire_view session_view(const struct session *s)
{
    return (struct wire_view){.bytes = s->id, .len = SESSION_BYTES};
}

static uint64_t outcome_of(const struct flight *f)
{
    if (!f->end.failed)
        return OUTCOME_DONE;
    switch (f->end.error_class) {
    case ERROR_TRANSIENT: return OUTCOME_TRANSIENT;
    case ERROR_ENVIRONMENT: return OUTCOME_ENVIRONMENT;
    case ERROR_PERMANENT: break;
    }
    return OUTCOME_FAILED;
}

/* ---- what goes out --------------------------------------------------------------------------------------------------
 */

struct outgoing {
    enum script script;
    struct message message; /* relay */
    struct store_args args; /* direct */
    struct wire_writer rows;
    uint8_t *ids;
    char said[METERS_LINE_BYTES];
};

static void outgoing_fini(struct outgoing *o)
{
    store_args_fini(&o->args);
    wire_writer_fini(&o->rows);
    free(o->ids);
}

static bool wants_finish(const struct flight *f)
{
    return f->state == FLIGHT_ENDED && !f->end.handed_back && !f->lost && !f->waits;
}

static bool wants_handback(const struct flight *f)
{
    return f->state == FLIGHT_ENDED && f->end.handed_back && !f->lost;
}

static size_t mark_finished(struct session *s)
{
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < s->n_flights && n < BATCH_ROWS && bytes < BATCH_BYTES; i++) {
        struct flight *f = s->flights[i];
        f->on_the_way = wants_finish(f);
        if (f->on_the_way) {
            n++;
            bytes += strlen(f->end.record);
        }
    }
    return n;
}

static bool is_going(const struct flight *f)
{
    return f->on_the_way && wants_finish(f);
}

/* Direct: the script's own arguments. */
static void pack_finish(const struct session *s, struct store_args *args)
{
    enum { OUTCOMES, IDS, RECORDS, PARTS };
    store_arg(args, s->id, SESSION_BYTES);
    for (int part = OUTCOMES; part < PARTS; part++) {
        if (part != RECORDS)
            store_arg(args, "", 0);
        for (size_t i = 0; i < s->n_flights; i++) {
            const struct flight *f = s->flights[i];
            if (!is_going(f)) /* what has not ended is another thread's to write */
                continue;
            char outcome = (char)outcome_of(f);
            if (part == OUTCOMES)
                store_arg_more(args, &outcome, 1);
            else if (part == IDS)
                store_arg_more(args, f->id, ID_BYTES);
            else
                store_arg(args, f->end.record, strlen(f->end.record));
        }
    }
}

static void build_finish(struct session *s, struct outgoing *o, size_t n)
{
    o->script = SCRIPT_FINISH;
    o->message.kind = MESSAGE_DONE;
    if (s->store) {
        pack_finish(s, &o->args);
        return;
    }
    wire_put_array(&o->rows, n);
    for (size_t i = 0; i < s->n_flights; i++) {
        const struct flight *f = s->flights[i];
        if (!is_going(f))
            continue;
        struct message_row row = {
            .id = f->id, .n = {outcome_of(f)}, .body = {(const uint8_t *)f->end.record, strlen(f->end.record)}};
        message_row_put(&o->rows, &row);
    }
    o->message.rows = (struct wire_view){.bytes = o->rows.bytes, .len = o->rows.len};
}

/* Ids of the flights that pass, as arguments and one behind another. */
static void put_ids(struct session *s, struct outgoing *o, bool (*passes)(const struct flight *f), size_t most)
{
    o->ids = malloc(LIMIT_HELD_JOBS * ID_BYTES);
    size_t n = 0;
    for (size_t i = 0; o->ids && i < s->n_flights && n < most; i++) {
        struct flight *f = s->flights[i];
        if (!passes(f))
            continue;
        f->on_the_way = true;
        store_arg(&o->args, f->id, ID_BYTES);
        memcpy(o->ids + n++ * ID_BYTES, f->id, ID_BYTES);
    }
    o->message.ids = (struct wire_view){.bytes = o->ids, .len = n * ID_BYTES};
}

static bool wants_telling(const struct flight *f)
{
    return f->began && !f->began_is_told && f->state == FLIGHT_RUNNING && !f->lost;
}

/* The lease, and what this worker says of its work. */
static void put_lease(struct session *s, struct outgoing *o)
{
    char text[METERS_LINE_BYTES + 32];
    meters_line(s->options.meters, clock_us(), o->said);
    snprintf(text, sizeof text, "%lld%s%s", (long long)s->lease_ms, o->said[0] ? "|" : "", o->said);
    store_arg_str(&o->args, text);
    o->message.text = (struct wire_view){.bytes = (const uint8_t *)o->said, .len = strlen(o->said)};
}

static void build_beat(struct session *s, struct outgoing *o)
{
    o->script = SCRIPT_HEARTBEAT;
    o->message.kind = MESSAGE_BEAT;
    store_arg(&o->args, s->id, SESSION_BYTES);
    put_lease(s, o);
    put_ids(s, o, wants_telling, BEGUN_MOST);
    for (size_t i = 0; i < s->n_flights; i++) /* told on the way; a lost beat tells all again */
        if (wants_telling(s->flights[i]) && s->flights[i]->on_the_way) {
            s->flights[i]->on_the_way = false;
            s->flights[i]->began_is_told = true;
        }
}

static void build_handback(struct session *s, struct outgoing *o)
{
    o->script = SCRIPT_HANDBACK;
    o->message.kind = MESSAGE_HANDBACK;
    o->message.bye = s->bye;
    store_arg(&o->args, s->id, SESSION_BYTES);
    store_arg_u64(&o->args, s->bye);
    put_ids(s, o, wants_handback, LIMIT_HELD_JOBS);
}

static enum status send_out(struct session *s, struct outgoing *o, enum write_kind k)
{
    if (s->store)
        return store_send(s->store, o->script, &o->args, k);
    if (o->rows.state != ST_OK)
        return o->rows.state;
    uint8_t *bytes;
    size_t len;
    o->message.session = session_view(s);
    o->message.request = s->writes[k].request = ++s->last_request;
    enum status st = message_encode(&o->message, &bytes, &len);
    return st == ST_OK ? link_send(s->link, NULL, bytes, len) : st;
}

/* An answer will not come: what was in the write is due again. */
static void forget_write(struct session *s, enum write_kind k)
{
    s->writes[k].on_the_way = false;
    for (size_t i = 0; i < s->n_flights; i++) {
        struct flight *f = s->flights[i];
        if ((k == WRITE_FINISH && wants_finish(f)) || (k == WRITE_HANDBACK && wants_handback(f)))
            f->on_the_way = false;
        if (k == WRITE_BEAT)
            f->began_is_told = false;
    }
    s->tell_begun = s->tell_begun || k == WRITE_BEAT;
}

static void start_write(struct session *s, enum write_kind k, int64_t now_ms)
{
    struct outgoing o = {.script = SCRIPT_HEARTBEAT};
    wire_writer_init(&o.rows, LIMIT_FRAME_BYTES);
    size_t n = k == WRITE_FINISH ? mark_finished(s) : 0;
    if (k == WRITE_FINISH)
        build_finish(s, &o, n);
    else if (k == WRITE_BEAT)
        build_beat(s, &o);
    else
        build_handback(s, &o);
    s->writes[k].on_the_way = true;
    s->writes[k].again_at = now_ms + AGAIN_MS;
    if (send_out(s, &o, k) != ST_OK)
        forget_write(s, k);
    outgoing_fini(&o);
}

static bool any(const struct session *s, bool (*passes)(const struct flight *f))
{
    for (size_t i = 0; i < s->n_flights; i++)
        if (passes(s->flights[i]))
            return true;
    return false;
}

bool results_all_stored(const struct session *s)
{
    return !s->writes[WRITE_FINISH].on_the_way && !s->writes[WRITE_HANDBACK].on_the_way && s->n_flights == 0;
}

void results_write(struct session *s, int64_t now_ms)
{
    if (s->lease_ms == 0 || (s->store && !store_is_ready(s->store)))
        return;
    for (int k = 0; k < WRITE_COUNT_; k++) /* on the relay route an answer may get lost */
        if (!s->store && s->writes[k].on_the_way && now_ms >= s->writes[k].again_at)
            forget_write(s, (enum write_kind)k);
    if (s->wait_until > 0 && now_ms >= s->wait_until) {
        s->wait_until = 0;
        for (size_t i = 0; i < s->n_flights; i++)
            s->flights[i]->waits = false;
    }
    if (s->tell_begun && !any(s, wants_telling))
        s->tell_begun = false; /* they have ended since: their ends say it */
    if (!s->writes[WRITE_BEAT].on_the_way && (now_ms >= s->beat_at || (s->tell_begun && now_ms >= s->tell_at))) {
        s->beat_at = now_ms + s->beat_ms;
        s->tell_at = now_ms + BEGUN_MS;
        s->tell_begun = false;
        start_write(s, WRITE_BEAT, now_ms);
    }
    if (!s->writes[WRITE_FINISH].on_the_way && any(s, wants_finish))
        start_write(s, WRITE_FINISH, now_ms);
    if (!s->writes[WRITE_HANDBACK].on_the_way && (any(s, wants_handback) || (s->bye && !s->gone)))
        start_write(s, WRITE_HANDBACK, now_ms);
}

int results_due(const struct session *s, int64_t now_ms)
{
    int64_t due = s->tell_begun && s->tell_at < s->beat_at ? s->tell_at : s->beat_at;
    int64_t wait = due - now_ms;
    return s->lease_ms == 0 ? (int)AGAIN_MS : wait < 1 ? 1 : (int)wait;
}

/* ---- what comes back
 * ------------------------------------------------------------------------------------------------- */

static void finished(struct session *s, struct wire_view statuses, int64_t now_ms)
{
    enum { WAIT_MS = 500 };
    s->writes[WRITE_FINISH].on_the_way = false;
    size_t n = 0;
    for (size_t i = 0; i < s->n_flights;) {
        struct flight *f = s->flights[i];
        if (!f->on_the_way || f->state != FLIGHT_ENDED || f->end.handed_back) {
            i++;
            continue;
        }
        f->on_the_way = false;
        uint8_t letter = n < statuses.len ? statuses.bytes[n++] : 0;
        if (letter != 0 && letter != 'w') {
            /* 's'tored, 'r'etried later, 'c'ancelled, or '0', somebody else's by now: ended for this session. */
            meters_stored(s->options.meters, f->ended_us);
            if (letter == 's' && f->end.twin.is_named && s->options.twins)
                twins_tell(s->options.twins, &f->end.twin, f->image, f->end.record);
            session_drop_flight(s, f);
            continue;
        }
        f->waits = letter == 'w'; /* its shard is away, the others go on */
        s->wait_until = f->waits ? now_ms + WAIT_MS : s->wait_until;
        i++;
    }
}

/* In quarantine the queue has taken back what was not begun: RESUME tells which. */
static void take_flags(struct session *s, uint64_t flags)
{
    bool quarantined = flags & FLAG_QUARANTINED;
    if (quarantined && !s->quarantined) {
        log_line(s->options.log, LOG_ERROR,
                 "in quarantine: images fail here by the environment (a root that is not mounted, name resolution, a "
                 "disk) that do not fail on other workers");
        if (s->state == SESSION_OPEN)
            session_resume(s);
    } else if (s->quarantined && !quarantined) {
        log_line(s->options.log, LOG_INFO, "out of quarantine");
    }
    s->quarantined = quarantined;
    s->told_to_drain = s->told_to_drain || flags & FLAG_DRAIN;
}

/* away: a bit for each shard that did not hear it; what has begun there is told again. */
static void beaten(struct session *s, uint64_t owned, struct wire_view stop, uint64_t flags, uint64_t away)
{
    enum { STRAY_BEATS = 2 };
    for (size_t i = 0; away && i < s->n_flights; i++)
        if (away >> store_shard_of(s->flights[i]->id, s->shards) & 1)
            s->flights[i]->began_is_told = false;
    s->writes[WRITE_BEAT].on_the_way = false;
    for (size_t at = 0; at + ID_BYTES <= stop.len; at += ID_BYTES) {
        struct flight *f = session_flight(s, stop.bytes + at);
        if (f && f->in_engine)
            s->engine.cancel(s->engine.ctx, f);
    }
    s->strays = owned > s->n_flights && !s->jobs_came ? s->strays + 1 : 0;
    s->jobs_came = false;
    if (s->strays >= STRAY_BEATS && s->state == SESSION_OPEN) {
        s->strays = 0;
        session_resume(s);
    }
    take_flags(s, flags);
}

static void handed_back(struct session *s)
{
    s->writes[WRITE_HANDBACK].on_the_way = false;
    for (size_t i = 0; i < s->n_flights;) {
        struct flight *f = s->flights[i];
        if (f->on_the_way && wants_handback(f))
            session_drop_flight(s, f);
        else
            i++;
    }
    s->gone = s->gone || s->bye;
}

static struct wire_view bytes_at(const struct reply *r, size_t i)
{
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    return (struct wire_view){.bytes = (const uint8_t *)bytes, .len = len};
}

/* What was on the way there is due again, by whichever route comes next. */
static void drop_store(struct session *s);

void results_on_store(struct session *s, const struct store_answer *a, int64_t now_ms)
{
    enum { PAUSE_MS = 100 };
    enum write_kind k = (enum write_kind)a->tag;
    const struct reply *r = &a->reply;
    if (a->tag == SESSION_TAG_TWINS) {
        session_twins_on_store(s, r);
        return;
    }
    if (r->kind == REPLY_LOST || r->kind == REPLY_ERROR) {
        forget_write(s, k);
        if (reply_error_is(r, "NOPERM")) { /* until the next WELCOME */
            log_line(s->options.log, LOG_ERROR, "Redis: %.*s; results travel through the broker", (int)r->len,
                     r->bytes);
            drop_store(s);
        } else if (r->kind == REPLY_ERROR) {
            log_line(s->options.log, LOG_ERROR, "Redis: %.*s", (int)r->len, r->bytes);
            s->beat_at = now_ms + PAUSE_MS;
        }
        return;
    }
    switch (k) {
    case WRITE_FINISH: finished(s, bytes_at(r, 0), now_ms); break;
    case WRITE_BEAT:
        if (reply_is(r, 0, "gone")) {
            forget_write(s, WRITE_BEAT);
            session_say_hello(s);
        } else {
            beaten(s, (uint64_t)reply_number(r, 1), bytes_at(r, 2), (uint64_t)reply_number(r, 3),
                   (uint64_t)reply_number(r, 4));
        }
        break;
    case WRITE_HANDBACK: handed_back(s); break;
    case WRITE_COUNT_: break;
    }
}

bool results_on_message(struct session *s, const struct message *m, int64_t now_ms)
{
    static const enum message_kind acks[WRITE_COUNT_] = {MESSAGE_DONE_ACK, MESSAGE_BEAT_ACK, MESSAGE_HANDBACK_ACK};
    for (int k = 0; k < WRITE_COUNT_; k++) {
        if (m->kind != acks[k] && m->kind != MESSAGE_ERROR)
            continue;
        if (!s->writes[k].on_the_way || s->writes[k].request != m->request || s->store) {
            if (m->kind == MESSAGE_ERROR)
                continue;
            return true; /* of a write that was repeated since */
        }
        if (m->kind == MESSAGE_ERROR)
            s->writes[k].again_at = now_ms + (int64_t)m->retry_ms; /* session: the caller says HELLO */
        else if (k == WRITE_FINISH)
            finished(s, m->statuses, now_ms);
        else if (k == WRITE_BEAT)
            beaten(s, m->owned, m->ids, m->flags, m->away);
        else
            handed_back(s);
        return m->kind != MESSAGE_ERROR;
    }
    return false;
}

/* ---- by which route --------------------------------------------------------------------------------------------- */

/* What was on the way there is due again, by whichever route comes next. */
static void drop_store(struct session *s)
{
    store_close(s->store);
    s->store = NULL;
    session_twins_forget(s);
    for (int k = 0; k < WRITE_COUNT_; k++)
        s->writes[k].on_the_way = false;
    for (size_t i = 0; i < s->n_flights; i++)
        s->flights[i]->on_the_way = s->flights[i]->began_is_told = false;
    s->tell_begun = true;
}

void results_use_route(struct session *s, const struct message *m)
{
    char *address = m->route == ROUTE_DIRECT ? wire_view_dup(m->address) : NULL;
    bool same = s->shards == (int)m->shards && strcmp(address ? address : "", s->store_address) == 0;
    session_twins_forget(s);
    s->twins_known = m->flags & FLAG_TWINS;
    s->shards = m->shards > 0 && m->shards <= LIMIT_SHARDS ? (int)m->shards : 1;
    if (address && s->store && same) {
        free(address);
        return;
    }
    struct diag why = {.text = ""};
    drop_store(s);
    s->store_ready_at = clock_ms();
    s->store_was_ready = false;
    if (address && store_open(address, s->shards, &s->store, &why) == ST_OK) {
        store_log_in(s->store, s->options.login);
        store_use_only(s->store, (uint64_t)1 << SCRIPT_FINISH | (uint64_t)1 << SCRIPT_HEARTBEAT |
                                     (uint64_t)1 << SCRIPT_HANDBACK | (uint64_t)1 << SCRIPT_TWINS);
        memcpy(s->store_address, address, strlen(address) + 1);
    } else if (address)
        log_line(s->options.log, LOG_ERROR, "%s; results travel through the broker",
                 why.text[0] ? why.text : "memory is short");
    free(address);
}

void results_pump(struct session *s)
{
    if (!s->store)
        return;
    struct store_answer a;
    int64_t now = clock_ms();
    (void)store_pump(s->store, now);
    if (!s->store_was_ready && !store_is_ready(s->store) && now - s->store_ready_at > 2 * s->beat_ms) {
        log_line(s->options.log, LOG_WARN, "%s; results travel through the broker", store_trouble(s->store));
        drop_store(s);
        return;
    }
    if (store_is_ready(s->store)) {
        s->store_ready_at = now;
        s->store_was_ready = true;
        s->store_complained = false;
    } else if (s->store_was_ready && !s->store_complained && now - s->store_ready_at > s->beat_ms) {
        s->store_complained = true;
        log_line(s->options.log, LOG_ERROR, "%s; results wait (a broker with --route relay needs no Redis here)",
                 store_trouble(s->store));
    }
    while (s->store && store_take(s->store, &a)) {
        results_on_store(s, &a, clock_ms());
        store_answer_free(&a);
    }
}
