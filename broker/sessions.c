/* Workers' sessions: HELLO, credit, and the messages of the relay route. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"

/* ---- tables --------------------------------------------------------------------------------------------------------
 */

static int class_of(struct dispatch *d, const char *name)
{
    for (size_t i = 0; i < d->n_classes; i++)
        if (strcmp(d->classes[i].name, name) == 0)
            return (int)i;
    struct work_class *classes = realloc(d->classes, (d->n_classes + 1) * sizeof *classes);
    if (!classes)
        return -1;
    d->classes = classes;
    classes[d->n_classes] = (struct work_class){.waiting = 0};
    for (int i = 0; i < d->options.shards; i++)
        classes[d->n_classes].on[i].woken = true;
    memcpy(classes[d->n_classes].name, name, strlen(name) + 1);
    return (int)d->n_classes++;
}

static void forget_session(struct dispatch *d, const uint8_t *id)
{
    struct session *s = session_find(d, id);
    if (s)
        session_remove(d, s);
}

/* Whether another peer than the one that said HELLO speaks for the session. */
static bool is_anothers(const struct session *s, const struct link_peer *peer)
{
    return s->peer.trust != peer->trust || memcmp(s->peer.key, peer->key, LINK_KEY_BYTES) != 0;
}

/* Who may not work any more gets nothing more; what it has comes back with its lease. */
void sessions_recheck(struct dispatch *d)
{
    for (size_t i = d->n_sessions; i-- > 0;) {
        const struct allowed *who = access_of(d->allowed, &d->sessions[i].peer);
        if (!who || !(who->roles & ROLE_WORK))
            session_remove(d, &d->sessions[i]);
    }
}

/* ---- from workers --------------------------------------------------------------------------------------------------
 */

static void arg_session(struct store_args *args, struct wire_view session)
{
    store_arg(args, session.bytes, session.len);
}

static void args_of_hello(struct dispatch *d, const struct message *m, struct store_args *args)
{
    enum { INFO = CLASS_BYTES + 2 * LIMIT_NAME_BYTES + 32 };
    struct wire_view parts[] = {m->class_name, m->tasks, view_of_text(""), m->label};
    char info[INFO];
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        if (i)
            info[len++] = '|';
        if (parts[i].len)
            memcpy(info + len, parts[i].bytes, parts[i].len);
        len += parts[i].len;
    }
    arg_session(args, m->session);
    store_arg_u64(args, (uint64_t)d->options.lease_ms);
    store_arg(args, info, len);
}

static void args_of_rows(const struct message *m, struct store_args *args)
{
    struct message_row rows[LIMIT_JOBS_PER_MESSAGE]; /* wrong_with() has seen to that */
    struct wire_reader r;
    size_t n = message_rows_open(m, &r);
    arg_session(args, m->session);
    store_arg(args, "", 0);
    for (size_t i = 0; i < n; i++) {
        rows[i] = message_row_next(&r);
        char outcome = (char)rows[i].n[0];
        store_arg_more(args, &outcome, 1);
    }
    store_arg(args, "", 0);
    for (size_t i = 0; i < n; i++)
        store_arg_more(args, rows[i].id, ID_BYTES);
    for (size_t i = 0; i < n; i++)
        store_arg(args, rows[i].body.bytes, rows[i].body.len);
}

static void args_of_ids(const struct message *m, struct store_args *args)
{
    for (size_t i = 0; i < m->ids.len; i += ID_BYTES)
        store_arg(args, m->ids.bytes + i, ID_BYTES);
}

/* What is told and what is asked for, as the script has them. */
static void args_of_twins(const struct message *m, struct store_args *args)
{
    struct wire_reader r;
    size_t n = message_rows_open(m, &r);
    store_arg_u64(args, m->n);
    store_arg_u64(args, n);
    for (; n > 0; n--) {
        struct message_row row = message_row_next(&r);
        store_arg(args, row.id, ID_BYTES);
        store_arg(args, row.body.bytes, row.body.len);
    }
    args_of_ids(m, args);
}

/* The lease, and what the worker said of its work. */
static void arg_lease(const struct dispatch *d, struct wire_view said, struct store_args *args)
{
    char text[SAID_BYTES + 32];
    int n = snprintf(text, sizeof text, "%lld%s%.*s", (long long)d->options.lease_ms, said.len ? "|" : "",
                     (int)said.len, (const char *)said.bytes);
    store_arg(args, text, (size_t)n);
}

/* Characters that separate fields in Redis may not stand in a class or a list of task kinds. */
static bool is_plain(struct wire_view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.bytes[i] == '|' || v.bytes[i] == ':' || v.bytes[i] < ' ')
            return false;
    return true;
}

static const char *wrong_with(const struct dispatch *d, const struct message *m)
{
    struct wire_reader r;
    if (m->kind == MESSAGE_HELLO && (m->class_name.len == 0 || !is_plain(m->class_name) || !is_plain(m->tasks)))
        return "HELLO: class and tasks are words without | and :";
    if (m->kind == MESSAGE_BEAT && !worker_said_is_sound((const char *)m->text.bytes, m->text.len))
        return "BEAT: text is numbers with bars between them";
    if (m->kind == MESSAGE_HELLO && m->shards < (uint64_t)d->options.shards && d->options.shards > 1)
        return "HELLO: the queue has several shards, which this worker does not know of";
    if (m->kind == MESSAGE_TWINS && (message_rows_open(m, &r) > LIMIT_TWINS || m->ids.len > LIMIT_TWINS * ID_BYTES))
        return "TWINS: at most 64 rows and 64 keys";
    if (m->kind != MESSAGE_DONE)
        return NULL;
    size_t n = message_rows_open(m, &r);
    if (n == 0 || n > LIMIT_JOBS_PER_MESSAGE)
        return "DONE: 1 to 256 rows";
    while (n-- > 0) {
        uint64_t outcome = message_row_next(&r).n[0];
        if (outcome != OUTCOME_DONE && outcome != OUTCOME_FAILED && outcome != OUTCOME_TRANSIENT &&
            outcome != OUTCOME_ENVIRONMENT)
            return "DONE: unknown outcome";
    }
    return NULL;
}

/* What it has now says how many it has ended; what was on the way to it makes up for itself the next time. */
static void note_ended(struct dispatch *d, struct session *s, uint64_t owned, int64_t now_ms)
{
    enum { SPAN_MS = 256 };
    struct work_class *c = &d->classes[s->class_index];
    c->ended += (double)s->owned + (double)s->given - (double)owned;
    s->owned = owned;
    s->given = 0;
    if (now_ms - c->ended_since < SPAN_MS)
        return;
    c->ended_per_ms = c->ended / (double)(now_ms - c->ended_since);
    c->ended = 0;
    c->ended_since = now_ms;
}

static void on_credit(struct dispatch *d, const struct link_peer *peer, const struct message *m, int64_t now_ms)
{
    struct session *s = session_find(d, m->session.bytes);
    if (!s) {
        dispatch_error(d, SIDE_WORKER, peer, m, CODE_SESSION, "this broker does not know the session; say HELLO");
        return;
    }
    s->peer = *peer;
    s->heard_at = now_ms;
    if (m->seq >= s->seq)
        note_ended(d, s, m->owned, now_ms);
    if (m->seq < s->seq || s->claiming)
        return;
    s->seq = m->seq;
    s->want = m->want;
}

/* The script that answers a message, and its arguments. */
static bool script_for(struct dispatch *d, const struct message *m, enum script *script, struct store_args *args)
{
    switch (m->kind) {
    case MESSAGE_HELLO:
        *script = SCRIPT_HELLO;
        args_of_hello(d, m, args);
        return true;
    case MESSAGE_RESUME:
        *script = SCRIPT_RESUME;
        arg_session(args, m->session);
        store_arg_u64(args, m->seq);
        store_arg_u64(args, ANSWER_BYTES);
        args_of_ids(m, args);
        return true;
    case MESSAGE_DONE:
        *script = SCRIPT_FINISH;
        args_of_rows(m, args);
        return true;
    case MESSAGE_BEAT:
        *script = SCRIPT_HEARTBEAT;
        arg_session(args, m->session);
        arg_lease(d, m->text, args);
        args_of_ids(m, args);
        return true;
    case MESSAGE_HANDBACK:
        *script = SCRIPT_HANDBACK;
        arg_session(args, m->session);
        store_arg_u64(args, m->bye);
        args_of_ids(m, args);
        return true;
    case MESSAGE_TWINS:
        *script = SCRIPT_TWINS;
        args_of_twins(m, args);
        return true;
    default: return false;
    }
}

void sessions_on_message(struct dispatch *d, const struct link_peer *peer, const struct message *m, int64_t now_ms)
{
    const char *wrong = wrong_with(d, m);
    if (wrong) {
        dispatch_error(d, SIDE_WORKER, peer, m, CODE_FORMAT, wrong);
        return;
    }
    const struct session *known = session_find(d, m->session.bytes);
    if (known && is_anothers(known, peer)) {
        dispatch_error(d, SIDE_WORKER, peer, m, CODE_DENIED, "the session is another key's");
        return;
    }
    if (m->kind == MESSAGE_CREDIT) {
        on_credit(d, peer, m, now_ms);
        return;
    }
    enum script script = SCRIPT_HELLO;
    struct store_args args = {0};
    if (!script_for(d, m, &script, &args)) {
        dispatch_error(d, SIDE_WORKER, peer, m, CODE_FORMAT, "not a message for a broker");
        return;
    }
    struct pending *p = dispatch_question(d, SIDE_WORKER, peer, m, script, &args);
    if (!p)
        return;
    p->seq = m->seq;
    p->bye = m->bye;
    memcpy(p->session, m->session.bytes, SESSION_BYTES);
    if (m->class_name.len)
        memcpy(p->class_name, m->class_name.bytes, m->class_name.len);
}

/* ---- to workers ----------------------------------------------------------------------------------------------------
 */

static struct wire_view session_view(const uint8_t *id)
{
    return (struct wire_view){.bytes = id, .len = SESSION_BYTES};
}

static struct wire_view bytes_at(const struct reply *r, size_t i)
{
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    return (struct wire_view){.bytes = (const uint8_t *)bytes, .len = len};
}

/* A decimal number at *at, and the separator behind it. */
static uint64_t read_number(struct wire_view text, size_t *at)
{
    enum { TEN = 10 };
    uint64_t v = 0;
    while (*at < text.len && text.bytes[*at] >= '0' && text.bytes[*at] <= '9')
        v = v * TEN + (uint64_t)(text.bytes[(*at)++] - '0');
    *at += *at < text.len;
    return v;
}

/* A stored job is a few fields, each with a separator behind it, and then the body. */
static struct wire_view body_of(struct wire_view stored)
{
    enum { FIELDS = 5 };
    size_t at = 0;
    for (int i = 0; i < FIELDS; i++)
        (void)read_number(stored, &at);
    return (struct wire_view){.bytes = stored.bytes + at, .len = stored.len - at};
}

/* n jobs from element `at` on: id, row of ownership (which begins with failures and crashes), stored job. */
static enum status put_jobs(struct wire_writer *w, const struct reply *r, size_t at, size_t n)
{
    wire_writer_init(w, LIMIT_FRAME_BYTES);
    wire_put_array(w, n);
    for (; n > 0; n--, at += 3) {
        struct wire_view id = bytes_at(r, at), row = bytes_at(r, at + 1);
        size_t in_row = 0;
        if (id.len != ID_BYTES)
            return ST_FORMAT;
        uint64_t fails = read_number(row, &in_row), crashes = read_number(row, &in_row);
        struct message_row out = {.id = id.bytes, .n = {fails, crashes}, .body = body_of(bytes_at(r, at + 2))};
        message_row_put(w, &out);
    }
    return w->state;
}

static void welcome(struct dispatch *d, const struct pending *p, const struct reply *r, int64_t now_ms)
{
    enum { ALONE = 2 };
    int class_index = class_of(d, p->class_name);
    if (class_index < 0) /* memory is short: no session without a class, the worker says HELLO again */
        return;
    struct session *s = session_find(d, p->session);
    if (!s)
        s = session_add(d, p->session);
    if (!s)
        return;
    s->class_index = class_index;
    s->peer = p->peer;
    s->heard_at = now_ms;
    s->want = 0;
    s->owned = (uint64_t)reply_number(r, 1);
    s->given = 0;
    s->pinned = d->options.shards > 1 ? (int)reply_number(r, ALONE) - 1 : -1;
    struct message m = {.kind = MESSAGE_WELCOME,
                        .request = p->request,
                        .session = session_view(p->session),
                        .route = (uint64_t)d->options.route,
                        .shards = (uint64_t)d->options.shards,
                        .lease_ms = (uint64_t)d->options.lease_ms,
                        .beat_ms = (uint64_t)d->options.beat_ms,
                        .flags = FLAG_TWINS,
                        .owned = (uint64_t)reply_number(r, 1)};
    if (d->options.route == ROUTE_DIRECT)
        m.address = view_of_text(d->worker_redis);
    dispatch_send(d, SIDE_WORKER, &p->peer, &m);
}

static void send_resumed(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    enum { FIRST = 3 };
    struct wire_writer w;
    struct message m = {
        .kind = MESSAGE_RESUMED, .request = p->request, .session = session_view(p->session), .seq = p->seq};
    if (put_jobs(&w, r, FIRST, r->n > FIRST ? (r->n - FIRST) / 3 : 0) == ST_OK) {
        m.rows = (struct wire_view){.bytes = w.bytes, .len = w.len};
        m.more = (uint64_t)reply_number(r, 1);
        m.ids = bytes_at(r, 2);
        dispatch_send(d, SIDE_WORKER, &p->peer, &m);
    }
    wire_writer_fini(&w);
}

void session_send_jobs(struct dispatch *d, const struct session *s, uint64_t seq, const struct reply *r, size_t at,
                       size_t n)
{
    struct wire_writer w;
    struct message m = {.kind = MESSAGE_JOBS, .session = session_view(s->id), .seq = seq};
    if (put_jobs(&w, r, at, n) == ST_OK) {
        m.rows = (struct wire_view){.bytes = w.bytes, .len = w.len};
        d->handed_out += n;
        dispatch_send(d, SIDE_WORKER, &s->peer, &m);
    }
    wire_writer_fini(&w);
}

void session_end(struct dispatch *d, const struct session *s)
{
    struct message m = {.session = session_view(s->id)};
    struct link_peer peer = s->peer;
    uint8_t id[SESSION_BYTES];
    memcpy(id, s->id, sizeof id);
    m.session = session_view(id);
    dispatch_error(d, SIDE_WORKER, &peer, &m, CODE_SESSION, "the lease has ended; say HELLO");
    forget_session(d, id);
}

static void on_done(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct message m = {.kind = MESSAGE_DONE_ACK, .request = p->request, .session = session_view(p->session)};
    m.statuses = bytes_at(r, 0);
    dispatch_send(d, SIDE_WORKER, &p->peer, &m);
}

static void on_twins(struct dispatch *d, const struct pending *p, const struct reply *r)
{
    struct wire_writer w;
    struct message m = {.kind = MESSAGE_TWINS_ARE, .request = p->request, .session = session_view(p->session)};
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, r->n / 2);
    for (size_t i = 0; i + 1 < r->n; i += 2) {
        struct message_row row = {.id = bytes_at(r, i).bytes, .body = bytes_at(r, i + 1)};
        message_row_put(&w, &row); /* the keys are those that were asked for */
    }
    m.rows = (struct wire_view){.bytes = w.bytes, .len = w.len};
    if (w.state == ST_OK)
        dispatch_send(d, SIDE_WORKER, &p->peer, &m);
    wire_writer_fini(&w);
}

void sessions_on_reply(struct dispatch *d, const struct pending *p, const struct reply *r, int64_t now_ms)
{
    struct message m = {.request = p->request, .session = session_view(p->session)};
    if (p->script == SCRIPT_CLAIM) {
        claims_on_reply(d, p->claim, r, now_ms);
        return;
    }
    if (r->kind == REPLY_LOST || r->kind == REPLY_ERROR) {
        dispatch_error(d, SIDE_WORKER, &p->peer, &m, CODE_STORE, "Redis gave no answer");
        return;
    }
    if (reply_is(r, 0, "gone")) {
        dispatch_error(d, SIDE_WORKER, &p->peer, &m, CODE_SESSION, "the lease has ended; say HELLO");
        forget_session(d, p->session);
        return;
    }
    switch (p->script) {
    case SCRIPT_HELLO: welcome(d, p, r, now_ms); break;
    case SCRIPT_RESUME: send_resumed(d, p, r); break;
    case SCRIPT_FINISH: on_done(d, p, r); break;
    case SCRIPT_TWINS: on_twins(d, p, r); break;
    case SCRIPT_HEARTBEAT:
        m.kind = MESSAGE_BEAT_ACK;
        m.owned = (uint64_t)reply_number(r, 1);
        m.ids = bytes_at(r, 2);
        m.flags = (uint64_t)reply_number(r, 3);
        m.away = (uint64_t)reply_number(r, 4);
        dispatch_send(d, SIDE_WORKER, &p->peer, &m);
        break;
    case SCRIPT_HANDBACK:
        m.kind = MESSAGE_HANDBACK_ACK;
        dispatch_send(d, SIDE_WORKER, &p->peer, &m);
        if (p->bye)
            forget_session(d, p->session);
        sessions_wake(d);
        break;
    default: break;
    }
}
