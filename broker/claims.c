/* CLAIM: the credit of all sessions of a class that wait is served by one call, as far as its bound allows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"

/* The sessions whose credit a call carries. */
struct claim_batch {
    int class_index, shard;
    size_t n;
    uint64_t jobs; /* asked for */
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
    for (size_t i = 0; i < d->n_classes; i++)
        for (int k = 0; k < d->options.shards; k++) {
            struct class_on_shard *on = &d->classes[i].on[k];
            on->dry_until = 0;
            on->pause_ms = 0;
            on->woken = true;
        }
}

/* ---- asking --------------------------------------------------------------------------------------------------------
 */

/* What a session ends in so short a time that nobody minds waiting behind it, by what all of them ended of late. */
static uint64_t ends_soon(const struct work_class *c)
{
    enum { SOON_MS = 256 };
    double n = c->sessions > 0 ? c->ended_per_ms * SOON_MS / c->sessions : 0;
    return n <= 0 ? 0 : n < LIMIT_JOBS_PER_MESSAGE ? (uint64_t)n : LIMIT_JOBS_PER_MESSAGE;
}

/* So much a session gets at once that all who wait get as much: nobody hoards what others could begin. How much there
 * is was said by the last answer; since then there may be more. Of several shards each serves its part of the sessions.
 * Where jobs end so fast that Redis is busy with calls rather than with jobs a hand-out is no smaller than what ends
 * soon: each costs a call later, of its end. */
static uint64_t share_of(const struct dispatch *d, const struct work_class *c, int shard)
{
    const struct class_on_shard *on = &c->on[shard];
    if (c->waiting <= 1)
        return LIMIT_JOBS_PER_MESSAGE;
    uint64_t share = on->left * (uint64_t)d->options.shards / (uint64_t)c->waiting;
    uint64_t soon = ends_soon(c), least = on->woken ? CLAIM_SHARE : 1;
    least = soon > least ? soon : least;
    share = share < least ? least : share;
    return share < LIMIT_JOBS_PER_MESSAGE ? share : LIMIT_JOBS_PER_MESSAGE;
}

/* The shard whose turn it is for this session, of those that may have work; -1: none now, and *due says in how many ms.
 */
static int shard_for(const struct dispatch *d, struct session *s, int64_t now_ms, int64_t *due)
{
    enum { LONG_MS = 1000 };
    *due = LONG_MS;
    if (s->pinned >= 0 && !d->shards[s->pinned].ready)
        s->pinned = -1;
    for (int i = 0; i < d->options.shards; i++) {
        int shard = s->pinned >= 0 ? s->pinned : (s->next_shard + i) % d->options.shards;
        int64_t from = d->classes[s->class_index].on[shard].dry_until;
        from = s->not_before > from ? s->not_before : from;
        if (!d->shards[shard].ready)
            continue;
        if (from <= now_ms)
            return shard;
        *due = from - now_ms < *due ? from - now_ms : *due;
    }
    return -1;
}

static bool is_waiting(const struct session *s)
{
    return !s->claiming && s->want > 0;
}

/* What stands in front of the sessions in CLAIM's arguments. */
static void begin_args(const struct dispatch *d, int shard, struct store_args *args)
{
    args->shard = shard;
    store_arg_u64(args, CLAIM_QUANTUM);
    store_arg_u64(args, LIMIT_HELD_JOBS);
    store_arg_u64(args, ANSWER_BYTES);
    dispatch_arg_pressure(d, shard, args);
}

static void arg_want(const struct dispatch *d, const struct session *s, uint64_t want, struct store_args *args)
{
    enum { DIGITS = 48 };
    char text[DIGITS];
    int n = snprintf(text, sizeof text, "%" PRIu64, want);
    if (d->options.shards > 1) /* what runs alone runs alone on all shards */
        snprintf(text + n, sizeof text - (size_t)n, "|%" PRIu64, s->owned);
    store_arg_str(args, text);
}

/* Credit of a class, in turns, up to what one call may touch. Where it had no work just now one session asks for all.
 */
static struct claim_batch *gather(struct dispatch *d, int class_index, int shard, struct store_args *args,
                                  int64_t now_ms)
{
    struct claim_batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    const struct work_class *c = &d->classes[class_index];
    size_t most = c->on[shard].pause_ms > 0 ? 1 : CLAIM_SESSIONS;
    uint64_t share = share_of(d, c, shard);
    int64_t due;
    b->class_index = class_index;
    b->shard = shard;
    begin_args(d, shard, args);
    for (size_t i = 0; i < d->n_sessions && b->n < most && b->jobs < CLAIM_JOBS; i++) {
        struct session *s = &d->sessions[(d->next_session + i) % d->n_sessions];
        if (s->class_index != class_index || !is_waiting(s) || shard_for(d, s, now_ms, &due) != shard)
            continue;
        uint64_t want = s->want < share ? s->want : share;
        want = want < CLAIM_JOBS - b->jobs ? want : CLAIM_JOBS - b->jobs;
        b->jobs += want;
        s->claiming = true;
        struct claim *of = &b->of[b->n++];
        memcpy(of->session, s->id, SESSION_BYTES);
        of->seq = s->seq;
        store_arg(args, s->id, SESSION_BYTES);
        store_arg_u64(args, s->seq);
        arg_want(d, s, want, args);
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
static bool start_claim(struct dispatch *d, int class_index, int shard, int64_t now_ms)
{
    struct store_args args = {0};
    struct claim_batch *b = gather(d, class_index, shard, &args, now_ms);
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
    struct class_on_shard *on = &d->classes[class_index].on[shard];
    on->on_the_way++;
    on->left -= b->jobs < on->left ? b->jobs : on->left;
    d->next_session = (d->next_session + b->n) % d->n_sessions;
    return true;
}

/* Workers repeat their credit once a beat; who has not for so long hangs on another broker, or is dead. */
static void forget_silent(struct dispatch *d, int64_t now_ms)
{
    enum { FORGET_LEASES = 20 };
    for (size_t i = d->n_sessions; i-- > 0;)
        if (!d->sessions[i].claiming && now_ms - d->sessions[i].heard_at > FORGET_LEASES * d->options.lease_ms)
            session_remove(d, &d->sessions[i]);
}

/* One call to a shard at once, and a second one while there is more work than the first one takes. So where work comes
 * in a trickle it gathers while a call is on the way, and is handed out in few calls. */
static void claim_from(struct dispatch *d, int class_index, int shard, int64_t now_ms)
{
    const struct class_on_shard *on = &d->classes[class_index].on[shard];
    while (d->shards[shard].ready && (on->on_the_way == 0 || (on->on_the_way < CLAIMS_AT_ONCE && on->left > 0)) &&
           start_claim(d, class_index, shard, now_ms))
        ;
}

int sessions_claim(struct dispatch *d, int64_t now_ms)
{
    enum { LONGEST_MS = 1000 };
    int64_t wait = LONGEST_MS;
    forget_silent(d, now_ms);
    for (size_t i = 0; i < d->n_classes; i++)
        d->classes[i].sessions = d->classes[i].waiting = 0;
    for (size_t i = 0; i < d->n_sessions; i++) {
        struct session *s = &d->sessions[i];
        int64_t due = 0;
        d->classes[s->class_index].sessions++;
        d->classes[s->class_index].waiting += s->want > 0;
        if (is_waiting(s) && shard_for(d, s, now_ms, &due) < 0 && due < wait)
            wait = due;
    }
    for (size_t i = 0; i < d->n_classes; i++)
        for (int shard = 0; shard < d->options.shards; shard++)
            claim_from(d, (int)i, shard, now_ms);
    return (int)wait;
}

/* ---- answers -------------------------------------------------------------------------------------------------------
 */

static void run_dry(struct class_on_shard *on, int64_t now_ms)
{
    on->pause_ms = on->pause_ms == 0 ? IDLE_POLL_MS : on->pause_ms * 2;
    if (on->pause_ms > IDLE_POLL_MOST_MS)
        on->pause_ms = IDLE_POLL_MOST_MS;
    on->dry_until = now_ms + on->pause_ms;
}

/* Whom a shard keeps to itself, by what it said, and whose turn is next. */
static void take_turn(const struct dispatch *d, struct session *s, int shard, const struct reply *r, size_t at)
{
    bool keeps = reply_is(r, at, "alone") || reply_is(r, at, "suspects") || reply_is(r, at, "ill");
    s->pinned = keeps && d->options.shards > 1 ? shard : -1;
    s->next_shard = (shard + 1) % d->options.shards;
}

/* n jobs from element `at` on, for one session. */
static void on_jobs(struct dispatch *d, struct session *s, uint64_t seq, const struct reply *r, size_t at, size_t n)
{
    s->want = 0;
    s->seq = seq + 1;
    s->given += n;
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
static size_t on_one(struct dispatch *d, const struct claim *c, int shard, const struct reply *r, size_t at,
                     int64_t now_ms)
{
    size_t n = (size_t)reply_number(r, at + 1);
    struct session *s = session_find(d, c->session);
    if (!s)
        return n; /* said BYE in between; its jobs, if any, have gone back or will be reaped */
    s->claiming = false;
    take_turn(d, s, shard, r, at);
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
    struct class_on_shard *on = &d->classes[b->class_index].on[b->shard];
    size_t at = FIRST, jobs = 0;
    bool asked = false;
    on->on_the_way--;
    if (r->kind != REPLY_ARRAY || r->n < FIRST + 2 * b->n) {
        on_lost(d, b, r, now_ms);
        claim_batch_free(b);
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        asked = asked || reply_is(r, at, "ok");
        size_t n = on_one(d, &b->of[i], b->shard, r, at, now_ms);
        jobs += n;
        at += 2 + JOB * n;
    }
    on->left = (uint64_t)reply_number(r, 0);
    on->woken = false;
    if (jobs > 0)
        on->pause_ms = 0;
    else if (asked)
        run_dry(on, now_ms);
    claim_batch_free(b);
}
