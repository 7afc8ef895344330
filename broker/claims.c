/* CLAIM: the credit of all sessions of a class that wait is served by one call, as far as its bound allows. */
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"

/* The sessions whose credit a call carries. */
struct claim_batch {
    int class_index;
    size_t n;
    struct claim {
        uint8_t session[SESSION_BYTES];
        uint64_t seq;
    } of[CLAIM_SESSIONS];
};

void claim_batch_free(struct claim_batch *b)
{
    free(b);
}

void sessions_wake(struct dispatch *d)
{
    for (size_t i = 0; i < d->n_classes; i++) {
        d->classes[i].dry_until = 0;
        d->classes[i].pause_ms = 0;
        d->classes[i].woken = true;
    }
}

/* ---- asking --------------------------------------------------------------------------------------------------------
 */

/* So much a session gets at once that all who wait get as much: nobody hoards what others could begin. How much there
 * is was said by the last answer; since then there may be more. */
static uint64_t share_of(const struct work_class *c)
{
    if (c->waiting <= 1)
        return LIMIT_JOBS_PER_MESSAGE;
    uint64_t share = c->left / (uint64_t)c->waiting, least = c->woken ? CLAIM_SHARE : 1;
    return share < least ? least : share < LIMIT_JOBS_PER_MESSAGE ? share : LIMIT_JOBS_PER_MESSAGE;
}

/* In how many ms its credit is due; 0: now. */
static int64_t due_in(const struct dispatch *d, const struct session *s, int64_t now_ms)
{
    int64_t from = d->classes[s->class_index].dry_until;
    from = s->not_before > from ? s->not_before : from;
    return from > now_ms ? from - now_ms : 0;
}

static bool is_waiting(const struct session *s)
{
    return !s->claiming && s->want > 0;
}

/* What stands in front of the sessions in CLAIM's arguments. */
static void begin_args(const struct dispatch *d, struct store_args *args)
{
    store_arg_u64(args, CLAIM_QUANTUM);
    store_arg_u64(args, LIMIT_HELD_JOBS);
    store_arg_u64(args, ANSWER_BYTES);
    dispatch_arg_pressure(d, args);
}

/* Credit of a class, in turns, up to what one call may touch. Where it had no work just now one session asks for all.
 */
static struct claim_batch *gather(struct dispatch *d, int class_index, struct store_args *args, int64_t now_ms)
{
    struct claim_batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    const struct work_class *c = &d->classes[class_index];
    size_t most = c->pause_ms > 0 ? 1 : CLAIM_SESSIONS;
    uint64_t share = share_of(c), jobs = 0;
    b->class_index = class_index;
    begin_args(d, args);
    for (size_t i = 0; i < d->n_sessions && b->n < most && jobs < CLAIM_JOBS; i++) {
        struct session *s = &d->sessions[(d->next_session + i) % d->n_sessions];
        if (s->class_index != class_index || !is_waiting(s) || due_in(d, s, now_ms) > 0)
            continue;
        uint64_t want = s->want < share ? s->want : share;
        want = want < CLAIM_JOBS - jobs ? want : CLAIM_JOBS - jobs;
        jobs += want;
        s->claiming = true;
        struct claim *of = &b->of[b->n++];
        memcpy(of->session, s->id, SESSION_BYTES);
        of->seq = s->seq;
        store_arg(args, s->id, SESSION_BYTES);
        store_arg_u64(args, s->seq);
        store_arg_u64(args, want);
    }
    return b;
}

static void put_back(struct dispatch *d, const struct claim_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct session *s = session_find(d, b->of[i].session);
        if (s)
            s->claiming = false;
    }
}

/* False: nobody waits, or it could not be sent. */
static bool start_claim(struct dispatch *d, int class_index, int64_t now_ms)
{
    struct store_args args = {0};
    struct claim_batch *b = gather(d, class_index, &args, now_ms);
    struct pending *p = b && b->n ? dispatch_call(d, SCRIPT_CLAIM, &args) : NULL;
    if (!p) {
        if (b)
            put_back(d, b);
        store_args_fini(&args);
        free(b);
        return false;
    }
    p->side = SIDE_WORKER;
    p->claim = b;
    d->claims_on_the_way++;
    d->next_session = (d->next_session + b->n) % d->n_sessions;
    return true;
}

/* Workers repeat their credit once a beat; who has not for so long hangs on another broker, or is dead. */
static void forget_silent(struct dispatch *d, int64_t now_ms)
{
    enum { FORGET_LEASES = 20 };
    for (size_t i = d->n_sessions; i-- > 0;)
        if (!d->sessions[i].claiming && now_ms - d->sessions[i].heard_at > FORGET_LEASES * d->options.lease_ms)
            d->sessions[i] = d->sessions[--d->n_sessions];
}

int sessions_claim(struct dispatch *d, int64_t now_ms)
{
    enum { LONGEST_MS = 1000 };
    int64_t wait = LONGEST_MS;
    forget_silent(d, now_ms);
    for (size_t i = 0; i < d->n_classes; i++)
        d->classes[i].waiting = 0;
    for (size_t i = 0; i < d->n_sessions; i++) {
        const struct session *s = &d->sessions[i];
        int64_t due = due_in(d, s, now_ms);
        d->classes[s->class_index].waiting += s->want > 0;
        if (is_waiting(s) && due > 0 && due < wait)
            wait = due;
    }
    for (size_t i = 0; i < d->n_classes; i++)
        while (d->claims_on_the_way < CLAIMS_AT_ONCE && start_claim(d, (int)i, now_ms))
            ;
    return (int)wait;
}

/* ---- answers -------------------------------------------------------------------------------------------------------
 */

static void run_dry(struct work_class *c, int64_t now_ms)
{
    c->pause_ms = c->pause_ms == 0 ? IDLE_POLL_MS : c->pause_ms * 2;
    if (c->pause_ms > IDLE_POLL_MOST_MS)
        c->pause_ms = IDLE_POLL_MOST_MS;
    c->dry_until = now_ms + c->pause_ms;
}

/* n jobs from element `at` on, for one session. */
static void on_jobs(struct dispatch *d, struct session *s, uint64_t seq, const struct reply *r, size_t at, size_t n)
{
    s->want = 0;
    s->seq = seq + 1;
    session_send_jobs(d, s, seq, r, at, n);
}

static void on_state(struct dispatch *d, struct session *s, uint64_t seq, const struct reply *r, size_t at,
                     int64_t now_ms)
{
    if (reply_is(r, at, "gone")) {
        session_end(d, s);
    } else if (reply_is(r, at, "lapsed")) {
        s->not_before = now_ms + d->options.beat_ms / 2;
    } else if (reply_is(r, at, "alone")) {
        s->not_before = now_ms + IDLE_POLL_MS;
    } else if (reply_is(r, at, "full") || reply_is(r, at, "ill") || reply_is(r, at, "drain")) {
        s->not_before = now_ms + FULL_POLL_MS;
    } else if (!reply_is(r, at, "ok")) { /* stale: it was answered; JOBS without rows tells the worker to RESUME */
        s->not_before = now_ms + RETRY_MS;
        on_jobs(d, s, seq, r, at, 0);
    }
}

/* What becomes of one session; how many jobs it got. */
static size_t on_one(struct dispatch *d, const struct claim *c, const struct reply *r, size_t at, int64_t now_ms)
{
    size_t n = (size_t)reply_number(r, at + 1);
    struct session *s = session_find(d, c->session);
    if (!s)
        return n; /* said BYE in between; its jobs, if any, have gone back or will be reaped */
    s->claiming = false;
    if (n > 0)
        on_jobs(d, s, c->seq, r, at + 2, n);
    else
        on_state(d, s, c->seq, r, at, now_ms);
    return n;
}

/* Lost: it may have been run. */
static void on_lost(struct dispatch *d, const struct claim_batch *b, const struct reply *r, int64_t now_ms)
{
    bool full = reply_error_is(r, "OOM");
    for (size_t i = 0; i < b->n; i++) {
        struct session *s = session_find(d, b->of[i].session);
        if (!s)
            continue;
        s->claiming = false;
        s->not_before = now_ms + (full ? FULL_POLL_MS : RETRY_MS);
        if (!full)
            on_jobs(d, s, b->of[i].seq, r, 0, 0);
    }
}

void claims_on_reply(struct dispatch *d, struct claim_batch *b, const struct reply *r, int64_t now_ms)
{
    enum { FIRST = 1, JOB = 3 };
    struct work_class *c = &d->classes[b->class_index];
    size_t at = FIRST, jobs = 0;
    bool asked = false;
    d->claims_on_the_way--;
    if (r->kind != REPLY_ARRAY || r->n < FIRST + 2 * b->n) {
        on_lost(d, b, r, now_ms);
        claim_batch_free(b);
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        asked = asked || reply_is(r, at, "ok");
        size_t n = on_one(d, &b->of[i], r, at, now_ms);
        jobs += n;
        at += 2 + JOB * n;
    }
    c->left = (uint64_t)reply_number(r, 0);
    c->woken = false;
    if (jobs > 0)
        c->pause_ms = 0;
    else if (asked)
        run_dry(c, now_ms);
    claim_batch_free(b);
}
