#include "worker/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/session_impl.h"

/* ---- flights --------------------------------------------------------------------------------------------------------
 */

struct flight *session_flight(const struct session *s, const uint8_t *id)
{
    for (size_t i = 0; i < s->n_flights; i++)
        if (memcmp(s->flights[i]->id, id, ID_BYTES) == 0)
            return s->flights[i];
    return NULL;
}

static void free_flight(struct flight *f)
{
    free(f->end.record);
    free(f->key);
    free(f->image);
    free(f);
}

void session_drop_flight(struct session *s, struct flight *f)
{
    for (size_t i = 0; i < s->n_flights; i++)
        if (s->flights[i] == f) {
            s->flights[i] = s->flights[--s->n_flights];
            break;
        }
    free_flight(f);
}

/* It is not ours any more. What the engine still makes of it is dropped when it comes. */
static void lose_flight(struct session *s, struct flight *f)
{
    f->lost = true;
    if (f->in_engine)
        s->engine.cancel(s->engine.ctx, f);
    else
        session_drop_flight(s, f);
}

/* ---- events from the engine
 * ------------------------------------------------------------------------------------------ */

/* Under the lock. True: the loop has to be woken, since nothing else was waiting for it. */
static bool raise_event(struct session *s, struct flight *f)
{
    bool is_first = s->events == NULL;
    if (!f->event_began && !f->event_ended) {
        f->next = s->events;
        s->events = f;
    }
    return is_first;
}

static void wake(struct session *s)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(s->event_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

static void wake_for_twins(void *ctx)
{
    wake(ctx);
}

void session_started(struct session *s, struct flight *f)
{
    pthread_mutex_lock(&s->lock);
    bool is_first = raise_event(s, f);
    f->event_began = true;
    pthread_mutex_unlock(&s->lock);
    if (is_first)
        wake(s);
}

void session_finished(struct session *s, struct flight *f, const struct session_end *end)
{
    pthread_mutex_lock(&s->lock);
    bool is_first = raise_event(s, f);
    f->event_ended = true;
    f->end = *end;
    f->ended_us = clock_us();
    pthread_mutex_unlock(&s->lock);
    if (is_first)
        wake(s);
}

/* A record that can't be stored is replaced by one that says so. */
static void bound_record(struct flight *f)
{
    if (f->end.handed_back || (f->end.record && strlen(f->end.record) <= LIMIT_RESULT_BYTES))
        return;
    char hex[2 * ID_BYTES + 1];
    job_id_hex(f->id, hex);
    struct job j = {.key = f->key ? f->key : hex, .image = f->image ? f->image : hex};
    bool is_large = f->end.record != NULL;
    enum error_class class = is_large ? ERROR_PERMANENT : ERROR_ENVIRONMENT;
    struct json *r =
        result_failure(&j, class, is_large ? "result_too_large" : "out_of_memory", "the record could not be kept");
    free(f->end.record);
    f->end.record = r ? jsn_text(r) : NULL;
    f->end.failed = true;
    f->end.error_class = class;
    if (!f->end.record)
        f->end.handed_back = true; /* no memory even for that: somebody else may have some */
    jsn_free(r);
}

/* The engine is told to stop, and not waited for: it may hang. What ends is a copy of the flight, which owns what names
 * it; the flight itself is dropped when the engine comes back with it. */
static void end_overrun(struct session *s, struct flight *f)
{
    enum { TEXT_BYTES = 64 };
    struct flight *g = calloc(1, sizeof *g);
    if (!g)
        return; /* at the next look, perhaps */
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "it ran for more than %lld ms", (long long)f->max_runtime_ms);
    memcpy(g->id, f->id, ID_BYTES);
    g->session = s;
    g->key = f->key;
    g->image = f->image;
    f->key = f->image = NULL;
    struct job j = {.key = g->key, .image = g->image};
    struct json *r = result_failure(&j, ERROR_PERMANENT, "max_runtime", text);
    g->state = FLIGHT_ENDED;
    g->end = (struct session_end){.failed = true, .error_class = ERROR_PERMANENT, .record = r ? jsn_text(r) : NULL};
    jsn_free(r);
    bound_record(g);
    lose_flight(s, f);
    s->flights[s->n_flights++] = g;
}

static void end_overruns(struct session *s, int64_t now_ms)
{
    for (size_t i = 0, n = s->n_flights; i < n && s->n_flights < FLIGHTS_MOST; i++) {
        struct flight *f = s->flights[i];
        if (f->in_engine && !f->lost && f->began && f->max_runtime_ms > 0 && now_ms - f->began_at >= f->max_runtime_ms)
            end_overrun(s, f);
    }
}

static void take_events(struct session *s)
{
    uint64_t count;
    if (s->was_woken) {
        ssize_t n = read(s->event_fd, &count, sizeof count);
        (void)n; /* non-blocking: nothing there is fine */
    }
    struct flight *ended = NULL; /* no more events come for these, so their links are ours */
    pthread_mutex_lock(&s->lock);
    for (struct flight *f = s->events, *next; f; f = next) {
        next = f->next;
        if (f->event_began && !f->began) {
            f->began = true;
            f->began_at = clock_ms();
            s->tell_begun = true;
        }
        if (f->event_ended) {
            f->in_engine = false;
            f->state = FLIGHT_ENDED;
            f->next = ended;
            ended = f;
        }
        f->event_began = f->event_ended = false;
    }
    s->events = NULL;
    pthread_mutex_unlock(&s->lock);
    while (ended) {
        struct flight *f = ended;
        ended = f->next;
        if (f->lost)
            session_drop_flight(s, f);
        else
            bound_record(f);
    }
}

/* ---- jobs come in
 * ---------------------------------------------------------------------------------------------------- */

static void end_here(struct flight *f, const struct job *j, const char *code, const char *message)
{
    struct json *r = result_failure(j, ERROR_PERMANENT, code, message);
    f->state = FLIGHT_ENDED;
    f->end = (struct session_end){.failed = true, .error_class = ERROR_PERMANENT, .record = r ? jsn_text(r) : NULL};
    jsn_free(r);
    bound_record(f);
}

/* Not begun, and not for a reason of its own: others may have the room, the time or the memory. */
static void give_back(struct flight *f)
{
    f->state = FLIGHT_ENDED;
    f->end.handed_back = true;
}

static enum status read_job(struct flight *f, struct wire_view body, struct job **out)
{
    struct diag why = {.text = ""};
    enum status st = job_decode(body.bytes, body.len, out, &why);
    if (st == ST_OK) {
        f->key = strdup((*out)->key);
        f->image = strdup((*out)->image);
        f->max_runtime_ms = (*out)->max_runtime_ms;
        return f->key && f->image ? ST_OK : ST_NOMEM;
    }
    *out = NULL;
    if (st != ST_NOMEM) {
        char hex[2 * ID_BYTES + 1];
        job_id_hex(f->id, hex);
        end_here(f, &(struct job){.key = hex, .image = hex}, "invalid_job", why.text);
    }
    return st;
}

static void start_job(struct session *s, struct flight *f, struct wire_view body)
{
    struct job *job;
    enum status st = read_job(f, body, &job);
    if (st == ST_OK && job->deadline_ms > 0 && clock_wall_ms() > job->deadline_ms) {
        end_here(f, job, "expired", "the job's deadline passed before a worker got to it");
    } else if (st == ST_OK && !s->draining) {
        f->in_engine = true;
        if (s->engine.start(s->engine.ctx, job, f, NULL) == ST_OK)
            return;
        f->in_engine = false; /* no room, draining, or the device is lost */
        give_back(f);
        return;
    } else if (st == ST_OK || st == ST_NOMEM) {
        give_back(f);
    }
    job_free(job);
}

static void take_rows(struct session *s, const struct message *m)
{
    struct wire_reader r;
    for (size_t n = message_rows_open(m, &r); n > 0; n--) {
        struct message_row row = message_row_next(&r);
        if (session_flight(s, row.id) || s->n_flights >= LIMIT_HELD_JOBS)
            continue; /* what does not fit is found again by RESUME */
        struct flight *f = calloc(1, sizeof *f);
        if (!f)
            continue;
        f->session = s;
        memcpy(f->id, row.id, ID_BYTES);
        s->flights[s->n_flights++] = f;
        s->jobs_came = true;
        start_job(s, f, row.body);
    }
}

/* ---- messages from the broker
 * ----------------------------------------------------------------------------------------- */

static void on_welcome(struct session *s, const struct message *m)
{
    if (s->state != SESSION_HELLO)
        return;
    if (s->lease_ms == 0)
        log_line(s->options.log, LOG_INFO, "connected: %s route, lease %llu ms",
                 m->route == ROUTE_DIRECT ? "direct" : "relay", (unsigned long long)m->lease_ms);
    s->lease_ms = (int64_t)m->lease_ms;
    s->beat_ms = (int64_t)m->beat_ms;
    results_use_route(s, m);
    session_resume(s);
}

static void on_resumed(struct session *s, const struct message *m)
{
    if (s->state != SESSION_RESUMING || m->seq != s->seq)
        return;
    for (size_t at = 0; at + ID_BYTES <= m->ids.len; at += ID_BYTES) {
        struct flight *f = session_flight(s, m->ids.bytes + at);
        if (f && !f->lost)
            lose_flight(s, f);
    }
    take_rows(s, m);
    s->seq++;
    s->told_want = UINT64_MAX;
    if (m->more)
        session_resume(s);
    else
        s->state = SESSION_OPEN;
}

static void on_jobs(struct session *s, const struct message *m)
{
    if (s->state != SESSION_OPEN || m->seq != s->seq)
        return;
    struct wire_reader r;
    if (message_rows_open(m, &r) == 0) {
        session_resume(s);
        return;
    }
    take_rows(s, m);
    s->seq++;
    s->told_want = UINT64_MAX;
}

/* A HELLO that this broker will never take: asking again would not help. What is owned is finished first. */
static void be_refused(struct session *s, enum status st, const char *text, size_t len)
{
    if (s->refused != ST_OK)
        return;
    s->refused = diag_set(&s->refused_why, st, "the broker at %s: %.*s", s->options.broker, (int)len, text);
}

static void on_error(struct session *s, const struct message *m)
{
    if (wire_view_is(m->code, message_code_name(CODE_SESSION))) {
        if (s->state != SESSION_HELLO)
            session_say_hello(s);
    } else if (s->state == SESSION_HELLO) {
        enum status st = wire_view_is(m->code, message_code_name(CODE_VERSION)) ? ST_UNSUPPORTED : ST_REFUSED;
        be_refused(s, st, (const char *)m->text.bytes, m->text.len);
    } else {
        log_line(s->options.log, LOG_WARN, "the broker says: %.*s", (int)m->text.len, (const char *)m->text.bytes);
    }
}

static bool is_store_trouble(const struct message *m)
{
    return m->kind == MESSAGE_ERROR && wire_view_is(m->code, message_code_name(CODE_STORE));
}

static void on_message(struct session *s, const struct link_frame *f, int64_t now_ms)
{
    struct message m;
    struct diag why = {.text = ""};
    enum status st = message_decode(f->bytes, f->len, &m, &why);
    if (st == ST_UNSUPPORTED && s->state == SESSION_HELLO) {
        be_refused(s, st, why.text, strlen(why.text));
    } else if (st != ST_OK) {
        log_line(s->options.log, LOG_WARN, "from the broker: %s", why.text);
    }
    if (st != ST_OK)
        return;
    if (!is_store_trouble(&m))
        s->well_at = now_ms;
    if (session_twins_on_message(s, &m) || results_on_message(s, &m, now_ms) || is_store_trouble(&m))
        return;
    switch (m.kind) {
    case MESSAGE_WELCOME: on_welcome(s, &m); break;
    case MESSAGE_RESUMED: on_resumed(s, &m); break;
    case MESSAGE_JOBS: on_jobs(s, &m); break;
    case MESSAGE_ERROR: on_error(s, &m); break;
    default: break;
    }
}

/* ---- drain
 * ------------------------------------------------------------------------------------------------------------- */

static void *run_drain(void *arg)
{
    struct session *s = arg;
    s->engine.drain(s->engine.ctx);
    pthread_mutex_lock(&s->lock);
    s->drained = true;
    pthread_mutex_unlock(&s->lock);
    wake(s);
    return NULL;
}

static void start_drain(struct session *s, int64_t now_ms)
{
    if (s->draining)
        return;
    s->draining = true;
    s->drain_until = now_ms + s->options.drain_ms;
    s->drainer_runs = pthread_create(&s->drainer, NULL, run_drain, s) == 0;
    if (!s->drainer_runs)
        s->drain_until = now_ms;
    log_line(s->options.log, LOG_INFO, "stopping: %zu jobs in flight", s->n_flights);
}

/* True once nothing is left to be done. Past the grace the session says BYE, which sends back what is left. Where the
 * queue is away, a lease after the engine's end nobody waits for it any more: the jobs are others' by then. */
static bool is_drained(struct session *s, int64_t now_ms)
{
    enum { BYE_MS = 2000 };
    if (!s->draining)
        return false;
    pthread_mutex_lock(&s->lock);
    bool drained = s->drained && s->events == NULL;
    pthread_mutex_unlock(&s->lock);
    if (s->lease_ms == 0)
        return drained; /* never welcomed: nothing is owned, and the engine has nothing to wait for */
    if (drained && !s->engine_ended) {
        s->engine_ended = true;
        if (s->drain_until > now_ms + s->lease_ms)
            s->drain_until = now_ms + s->lease_ms;
    }
    if (!s->bye && ((drained && results_all_stored(s)) || now_ms >= s->drain_until)) {
        s->bye = true;
        s->drain_until = now_ms + BYE_MS;
    }
    return s->bye && (s->gone || now_ms >= s->drain_until);
}

/* ---- loop
 * -------------------------------------------------------------------------------------------------------------- */

static enum status wait_for(struct session *s, int timeout_ms)
{
    enum { OWN = 2 };
    struct link_poll items[OWN + STORE_POLLS] = {
        {.link = s->link, .want_read = true},
        {.fd = s->event_fd, .want_read = true},
    };
    struct store_poll polls[STORE_POLLS];
    size_t n = s->store ? store_polls(s->store, polls) : 0;
    for (size_t i = 0; i < n; i++)
        items[OWN + i] = (struct link_poll){.fd = polls[i].fd, .want_read = true, .want_write = polls[i].want_write};
    enum status st = link_wait(items, OWN + (int)n, timeout_ms);
    s->has_mail = items[0].can_read;
    s->was_woken = items[1].can_read;
    bool news = false;
    for (size_t i = OWN; i < OWN + n; i++)
        news = news || items[i].can_read || items[i].can_write;
    if (s->store)
        store_tell(s->store, news);
    return st;
}

/* A key that is not let in will not be; once this worker was welcomed it waits all the same, and says so once. */
static void mind_refusal(struct session *s)
{
    struct diag why = {.text = ""};
    enum status st = link_trouble(s->link, &why);
    if (st == s->link_state)
        return;
    s->link_state = st;
    if (st == ST_REFUSED && s->lease_ms == 0 && s->refused == ST_OK)
        s->refused = diag_set(&s->refused_why, st, "%s", why.text);
    else if (st != ST_OK)
        log_line(s->options.log, LOG_WARN, "%s", why.text);
}

static void read_link(struct session *s)
{
    enum { BURST = 64 };
    struct link_frame f;
    for (int i = 0; s->has_mail && i < BURST && link_receive(s->link, &f) == ST_OK; i++) {
        on_message(s, &f, clock_ms());
        link_frame_free(&f);
    }
}

enum status session_run(struct session *s, const volatile sig_atomic_t *stop, struct diag *why)
{
    enum { STEP_MS = 200 };
    for (;;) {
        int64_t now = clock_ms();
        if (s->engine.turned)
            s->engine.turned(s->engine.ctx, s->state == SESSION_OPEN);
        enum status health = s->refused;
        if (health == ST_OK)
            health = s->engine.state(s->engine.ctx, why);
        else if (why)
            *why = s->refused_why;
        if (*stop || health != ST_OK || s->told_to_drain)
            start_drain(s, now);
        if (is_drained(s, now)) {
            pthread_mutex_lock(&s->lock);
            bool drained = s->drained;
            pthread_mutex_unlock(&s->lock);
            if (s->n_flights && drained)
                log_line(s->options.log, LOG_WARN,
                         "the queue is away: %zu jobs could not be given back or stored and "
                         "run again elsewhere",
                         s->n_flights);
            return health != ST_OK || drained ? health : diag_set(why, ST_TIMEOUT, "work was still running");
        }
        take_events(s);
        end_overruns(s, now);
        results_pump(s);
        read_link(s);
        mind_refusal(s);
        session_ask(s, now);
        results_write(s, now);
        session_twins_carry(s, now);
        int store_due = s->store ? store_pump(s->store, now) : -1; /* writes at once what was just queued */
        session_tell_credit(s, now);
        int wait = results_due(s, now);
        wait = store_due >= 0 && store_due < wait ? store_due : wait;
        wait =
            s->state != SESSION_OPEN && s->refused == ST_OK && s->ask_at - now < wait ? (int)(s->ask_at - now) : wait;
        enum status st = wait_for(s, wait < STEP_MS ? (wait > 0 ? wait : 0) : STEP_MS);
        if (st != ST_OK)
            return diag_set(why, st, "waiting for the broker failed");
    }
}

/* ---- life
 * -------------------------------------------------------------------------------------------------------------- */

enum status session_open(const struct session_options *o, const struct session_engine *engine, struct session **out,
                         struct diag *why)
{
    enum { LINGER_MS = 500 };
    if (o->credit < 1 || o->credit > LIMIT_HELD_JOBS)
        return diag_set(why, ST_INVALID, "credit %d; expected 1 to %d", o->credit, LIMIT_HELD_JOBS);
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->options = *o;
    s->engine = *engine;
    pthread_mutex_init(&s->lock, NULL);
    s->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->flights = calloc(FLIGHTS_MOST, sizeof *s->flights);
    s->well_at = clock_ms();
    if (o->twins)
        twins_attach(o->twins, wake_for_twins, s);
    struct link_options l = {
        .kind = LINK_DEALER, .address = o->broker, .keys = o->keys, .insecure = o->insecure, .linger_ms = LINGER_MS};
    enum status st = s->flights && s->event_fd >= 0 ? ST_OK : ST_NOMEM;
    if (st == ST_OK && getrandom(s->id, sizeof s->id, 0) != (ssize_t)sizeof s->id)
        st = diag_set(why, ST_IO, "no random bytes for the session's name");
    if (st == ST_OK)
        st = link_context_new(&s->context);
    if (st == ST_OK)
        st = link_open(s->context, &l, &s->link, why);
    if (st != ST_OK) {
        session_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    if (s->drainer_runs)
        pthread_join(s->drainer, NULL);
    if (s->flights)
        while (s->n_flights)
            session_drop_flight(s, s->flights[0]);
    free(s->flights);
    store_close(s->store);
    link_close(s->link);
    link_context_free(s->context);
    if (s->event_fd >= 0)
        close(s->event_fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
