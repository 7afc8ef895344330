#include "tests/explore/model.h"

#include <stdio.h>
#include <string.h>

#include "protocol/limits.h"

enum { ARGS_MOST = 32, WANT = 2, BEAT_MS = LEASE_MS, POISON_CRASHES = 3 };

struct args {
    struct text items[ARGS_MOST];
    size_t n;
};

static void add(struct args *a, const char *s)
{
    a->items[a->n++] = text_of(s);
}

static const char *session_name(int i)
{
    static const char *const names[ALL_SESSIONS] = {"session-0.......", "session-1.......", "session-2......."};
    return names[i];
}

static const char *number(struct explorer *e, int n)
{
    char s[16];
    snprintf(s, sizeof s, "%d", n);
    return arena_copy(&e->arena, s, strlen(s)).at;
}

static struct memory_reply run(struct explorer *e, struct memory_redis *r, enum script script, const struct args *a)
{
    return script_run(e->host, r, script, a->items, a->n);
}

static int size_of(unsigned set)
{
    return __builtin_popcount(set);
}

/* ---- one call as Redis gets it -------------------------------------------------------------------------------------
 */

static void add_jobs(struct args *a, unsigned set)
{
    for (int job = 0; job < JOBS; job++)
        if (set >> job & 1)
            a->items[a->n++] = job_id_text(job);
}

/* The jobs' rows: ids one behind another, then the bodies. */
static void add_rows(struct explorer *e, struct args *a, unsigned set, const char *const bodies[JOBS])
{
    char ids[JOBS * ID_BYTES];
    size_t n = 0, at = a->n++;
    for (int job = 0; job < JOBS; job++) {
        if (!(set >> job & 1))
            continue;
        memcpy(ids + n++ * ID_BYTES, job_id_text(job).at, ID_BYTES);
        add(a, bodies[job]);
    }
    a->items[at] = arena_copy(&e->arena, ids, n * ID_BYTES);
}

static void add_submit(struct explorer *e, struct args *a, unsigned set)
{
    static const char *const bodies[JOBS] = {"body-0", "body-1", "body-2"};
    /* Window, percent of memory; campaign, its number, tenant, manifest, offset, end, how many. */
    const char *const head[] = {"1000", "70", "c", "", "t", "", "0", "0", number(e, size_of(set))};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        add(a, head[i]);
    const char *const run[] = {"1", "4", "0", "0", number(e, size_of(set))}; /* priority, retries, deadline, start */
    for (size_t i = 0; i < sizeof run / sizeof *run; i++)
        add(a, run[i]);
    add_rows(e, a, set, bodies);
}

static void add_ends(struct explorer *e, struct args *a, unsigned set, bool done)
{
    static const char *const records[JOBS] = {"r0.", "r1.", "r2."};
    static const char *const failures[JOBS] = {"no luck", "no luck", "no luck"};
    const char *const outcomes[] = {"", done ? "d" : "t", done ? "dd" : "tt", done ? "ddd" : "ttt"};
    add(a, outcomes[size_of(set)]);
    add_rows(e, a, set, done ? records : failures);
}

static struct memory_reply run_call(struct explorer *e, const struct call *c, struct memory_redis *r)
{
    static const enum script scripts[] = {SCRIPT_SUBMIT, SCRIPT_HELLO,  SCRIPT_RESUME,   SCRIPT_CLAIM, SCRIPT_HEARTBEAT,
                                          SCRIPT_FINISH, SCRIPT_FINISH, SCRIPT_HANDBACK, SCRIPT_REAP,  SCRIPT_PROMOTE};
    struct args a = {.n = 0};
    if (c->kind != CALL_SUBMIT && c->kind != CALL_CLAIM && c->kind != CALL_REAP && c->kind != CALL_PROMOTE)
        add(&a, session_name(c->session));
    switch (c->kind) {
    case CALL_SUBMIT: add_submit(e, &a, c->jobs); break;
    case CALL_HELLO:
        add(&a, number(e, LEASE_MS));
        add(&a, "m/f32|caption||x");
        break;
    case CALL_RESUME:
        add(&a, number(e, c->seq));
        add(&a, "1000000");
        add_jobs(&a, c->jobs);
        break;
    case CALL_CLAIM: { /* quantum, most held, most bytes, percent of memory, budget of records; session, number, want */
        const char *const all[] = {
            "16", "512", "1000000", "85", "1000000", session_name(c->session), number(e, c->seq), number(e, WANT)};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            add(&a, all[i]);
        break;
    }
    case CALL_BEAT:
        add(&a, number(e, LEASE_MS));
        add_jobs(&a, c->jobs);
        break;
    case CALL_FINISH:
    case CALL_FAIL: add_ends(e, &a, c->jobs, c->kind == CALL_FINISH); break;
    case CALL_HANDBACK:
        add(&a, "0");
        add_jobs(&a, c->jobs);
        break;
    case CALL_REAP:
        add(&a, number(e, LEASE_MS));
        add(&a, number(e, BEAT_MS));
        add(&a, number(e, POISON_CRASHES));
        break;
    default: add(&a, "256"); break;
    }
    struct memory_reply answer = run(e, r, scripts[c->kind], &a);
    /* How full Redis was at the last look is only kept to save the next one; without it there are fewer worlds. */
    const struct text kept[] = {text_of("HDEL"), text_of("{q:0}:use"), text_of("level"), text_of("limit"),
                                text_of("at")};
    memory_command(r, kept, sizeof kept / sizeof *kept);
    return answer;
}

static bool says(const struct memory_reply *r, size_t i, const char *word)
{
    return r->kind == MEMORY_ARRAY && i < r->n && r->items[i].kind == MEMORY_TEXT && text_is(r->items[i].text, word);
}

/* A number is answered with jobs once, and never once a RESUME has carried a higher one: else a worker is handed what
 * it can't know of. */
static void mind_fence(struct world *w, const struct call *c, const struct memory_reply *r)
{
    enum { FIRST = 3 };
    struct session *s = &w->sessions[c->session];
    bool has_jobs = c->kind == CALL_CLAIM && r->n > FIRST;
    if (c->kind == CALL_HELLO && says(r, 0, "new"))
        s->fence = 0;
    w->twice = w->twice || (has_jobs && c->seq <= s->fence);
    if ((has_jobs || (c->kind == CALL_RESUME && says(r, 0, "ok"))) && c->seq > s->fence)
        s->fence = c->seq;
}

static struct memory_reply make_call(struct explorer *e, const struct call *c, struct world *w, struct memory_redis *r)
{
    struct memory_reply answer = run_call(e, c, r);
    mind_fence(w, c, &answer);
    return answer;
}

/* ---- what its answer means to who asked ----------------------------------------------------------------------------
 */

/* The jobs whose ids stand in a text, or in every third item from one on. */
static unsigned jobs_in(struct text t)
{
    unsigned set = 0;
    for (size_t at = 0; at < t.len; at += ID_BYTES)
        for (int job = 0; job < JOBS; job++)
            if (at + ID_BYTES <= t.len && memcmp(t.at + at, job_id_text(job).at, ID_BYTES) == 0)
                set |= 1U << job;
    return set;
}

static unsigned jobs_of_rows(const struct memory_reply *r, size_t first)
{
    unsigned set = 0;
    for (size_t i = first; i + 2 < r->n; i += 3)
        set |= jobs_in(r->items[i].text);
    return set;
}

static void forget(struct session *s, unsigned set)
{
    s->known &= (uint8_t)~set;
    s->begun &= (uint8_t)~set;
    s->told &= (uint8_t)~set;
    s->returning &= (uint8_t)~set;
}

static void resume(struct session *s)
{
    s->state = IS_RESUMING;
    s->seq++;
}

static void on_resumed(struct session *s, const struct memory_reply *r)
{
    if (says(r, 0, "gone")) {
        s->state = IS_NEW;
        return;
    }
    forget(s, jobs_in(r->items[2].text));
    s->known |= (uint8_t)jobs_of_rows(r, 3);
    s->seq++;
    s->state = IS_OPEN;
    if (r->items[1].integer)
        resume(s);
}

static void on_claimed(struct session *s, const struct memory_reply *r)
{
    enum { STATE = 1, FIRST = 3 };
    if (says(r, STATE, "gone")) {
        s->state = IS_NEW;
    } else if (says(r, STATE, "stale")) {
        resume(s);
    } else if (r->n > FIRST) {
        s->known |= (uint8_t)jobs_of_rows(r, FIRST);
        s->seq++;
    }
}

static void on_answer(const struct call *c, struct world *w, const struct memory_reply *r)
{
    struct session *s = &w->sessions[c->session];
    switch (c->kind) {
    case CALL_SUBMIT: w->acknowledged |= c->jobs; break;
    case CALL_HELLO: resume(s); break;
    case CALL_RESUME: on_resumed(s, r); break;
    case CALL_CLAIM: on_claimed(s, r); break;
    case CALL_BEAT:
        s->told |= c->jobs;
        if (says(r, 0, "gone"))
            s->state = IS_NEW;
        else if (r->items[1].integer > size_of(s->known))
            resume(s);
        break;
    case CALL_FINISH:
    case CALL_FAIL:
    case CALL_HANDBACK: forget(s, c->jobs); break;
    default: break;
    }
}

/* A CLAIM without an answer may have been run: RESUME tells. Everything else is simply asked again. */
static void on_lost(const struct call *c, struct world *w)
{
    if (c->kind == CALL_CLAIM)
        resume(&w->sessions[c->session]);
}

/* ---- steps ---------------------------------------------------------------------------------------------------------
 */

struct steps {
    struct step *items;
    size_t n;
};

static void offer(const struct world *w, struct steps *all, struct call c)
{
    all->items[all->n++] = (struct step){.call = c, .kind = STEP_CALL};
    if (w->left.losses && w->n_late < LATE_MOST)
        all->items[all->n++] = (struct step){.call = c, .kind = STEP_LOSE};
}

static void offer_plain(struct steps *all, int kind, int session, unsigned jobs)
{
    struct step s = {.call = {.session = (uint8_t)session, .jobs = (uint8_t)jobs}};
    s.kind = kind;
    all->items[all->n++] = s;
}

static void offer_session(const struct world *w, struct steps *all, int i)
{
    const struct session *s = &w->sessions[i];
    struct call c = {.session = (uint8_t)i, .seq = s->seq};
    unsigned work = s->known & ~(unsigned)s->returning;
    switch (s->state) {
    case IS_NEW: offer(w, all, (c.kind = CALL_HELLO, c)); return;
    case IS_RESUMING: offer(w, all, (c.kind = CALL_RESUME, c.jobs = s->known, c)); return;
    case IS_DEAD: return;
    default: break;
    }
    if (size_of(s->known) < WANT)
        offer(w, all, (c.kind = CALL_CLAIM, c));
    offer(w, all, (c.kind = CALL_BEAT, c.jobs = s->begun & (uint8_t)~s->told, c));
    for (unsigned job = 1; job < 1U << JOBS; job <<= 1) {
        if ((work & job) && !(s->begun & job))
            offer_plain(all, STEP_BEGIN, i, job);
        if ((work & job) && (s->begun & job))
            offer(w, all, (c.kind = CALL_FINISH, c.jobs = (uint8_t)job, c));
        if ((work & job) && (s->begun & job) && w->left.failures)
            offer(w, all, (c.kind = CALL_FAIL, c.jobs = (uint8_t)job, c));
    }
    unsigned idle = work & ~(unsigned)s->begun;
    if (s->returning || (idle && w->left.handbacks))
        offer(w, all, (c.kind = CALL_HANDBACK, c.jobs = s->returning ? s->returning : (uint8_t)idle, c));
    if (w->left.crashes)
        offer_plain(all, STEP_CRASH, i, 0);
}

size_t model_steps(const struct world *w, struct step steps[STEPS_MOST])
{
    enum { FIRST_TWO = 3, LAST = 4 };
    struct steps all = {.items = steps};
    const unsigned groups[] = {w->jobs & FIRST_TWO, w->jobs & LAST}; /* one message each */
    for (int i = 0; i < 2; i++)
        if (groups[i] & ~(unsigned)w->acknowledged)
            offer(w, &all, (struct call){.kind = CALL_SUBMIT, .jobs = (uint8_t)groups[i]});
    for (int i = 0; i < SESSIONS; i++)
        offer_session(w, &all, i);
    offer(w, &all, (struct call){.kind = CALL_REAP});
    offer(w, &all, (struct call){.kind = CALL_PROMOTE});
    for (int i = 0; i < w->n_late; i++)
        offer_plain(&all, STEP_LATE, i, 0);
    if (w->left.lapses)
        offer_plain(&all, STEP_LAPSE, 0, 0);
    if (w->left.outages)
        offer_plain(&all, STEP_OUTAGE, 0, 0);
    if (w->left.holds || w->paused)
        offer_plain(&all, STEP_PAUSE, 0, 0);
    return all.n;
}

static void spend(struct world *w, const struct call *c)
{
    struct session *s = &w->sessions[c->session];
    if (c->kind == CALL_FAIL)
        w->left.failures--;
    if (c->kind == CALL_HANDBACK && !s->returning) {
        w->left.handbacks--;
        s->returning = c->jobs;
    }
}

static void set_paused(struct explorer *e, struct world *w, struct memory_redis *r, bool paused)
{
    struct args a = {.n = 0};
    add(&a, "c");
    add(&a, paused ? "paused" : "active");
    w->paused = paused;
    run(e, r, SCRIPT_CAMPAIGN_SET, &a);
}

void model_do(struct explorer *e, const struct step *s, struct world *w, struct memory_redis *r)
{
    struct memory_reply answer;
    struct call late;
    switch (s->kind) {
    case STEP_CALL:
        spend(w, &s->call);
        answer = make_call(e, &s->call, w, r);
        on_answer(&s->call, w, &answer);
        break;
    case STEP_LOSE:
        spend(w, &s->call);
        w->left.losses--;
        w->late[w->n_late++] = s->call;
        on_lost(&s->call, w);
        break;
    case STEP_LATE:
        late = w->late[s->call.session];
        w->late[s->call.session] = w->late[--w->n_late];
        w->late[w->n_late] = (struct call){.kind = 0};
        (void)make_call(e, &late, w, r);
        break;
    case STEP_BEGIN: w->sessions[s->call.session].begun |= s->call.jobs; break;
    case STEP_CRASH:
        w->left.crashes--;
        w->sessions[s->call.session] = (struct session){.state = IS_DEAD};
        break;
    case STEP_LAPSE:
        w->left.lapses--;
        r->now_ms += LEASE_MS + 1;
        break;
    case STEP_OUTAGE:
        w->left.outages--;
        r->now_ms += 4 * LEASE_MS;
        break;
    case STEP_PAUSE:
        if (!w->paused)
            w->left.holds--;
        set_paused(e, w, r, !w->paused);
        break;
    }
}

const char *model_describe(const struct step *s, char *out, size_t size)
{
    static const char *const calls[] = {"SUBMIT", "HELLO", "RESUME",   "CLAIM", "BEAT",
                                        "FINISH", "FAIL",  "HANDBACK", "REAP",  "PROMOTE"};
    static const char *const kinds[] = {"",
                                        "lost, perhaps run later: ",
                                        "now runs late call",
                                        "begins",
                                        "crash",
                                        "a lease passes",
                                        "an outage",
                                        "pause or go on"};
    bool is_call = s->kind == STEP_CALL || s->kind == STEP_LOSE;
    snprintf(out, size, "%s%s (session or place %d, number %d, jobs %#x)", kinds[s->kind],
             is_call ? calls[s->call.kind] : "", s->call.session, s->call.seq, s->call.jobs);
    return out;
}

/* ---- beginning and end ---------------------------------------------------------------------------------------------
 */

void model_begin(struct explorer *e, const struct budget *b, struct world *w, struct memory_redis *r)
{
    enum { BEGIN_MS = 1000000 };
    struct args a = {.n = 0};
    *w = (struct world){.left = *b, .jobs = (uint8_t)((1 << b->jobs) - 1)};
    *r = (struct memory_redis){.arena = &e->arena, .now_ms = BEGIN_MS};
    add(&a, "1");
    add(&a, "1");
    run(e, r, SCRIPT_BOOT, &a);
    a.n = 0;
    add(&a, "c");
    add(&a, "t");
    add(&a, "m/f32");
    add(&a, "pin");
    add(&a, "");
    add(&a, "");
    run(e, r, SCRIPT_CAMPAIGN, &a);
    make_call(e, &(struct call){.kind = CALL_REAP}, w, r); /* the first tick */
    r->now_ms += LEASE_MS + 1;                             /* behind the grace that it gives */
}

static void call_through(struct explorer *e, struct world *w, struct memory_redis *r, struct call c)
{
    struct memory_reply answer = make_call(e, &c, w, r);
    on_answer(&c, w, &answer);
}

static void drain_session(struct explorer *e, struct world *w, struct memory_redis *r, int i)
{
    enum { CLAIMS_MOST = 4 };
    struct session *s = &w->sessions[i];
    struct call c = {.session = (uint8_t)i};
    for (int claims = 0; s->state != IS_DEAD && claims < CLAIMS_MOST; claims++) {
        c.seq = s->seq;
        c.jobs = s->known;
        if (s->state == IS_NEW)
            call_through(e, w, r, (c.kind = CALL_HELLO, c));
        c.seq = s->seq;
        if (s->state == IS_RESUMING)
            call_through(e, w, r, (c.kind = CALL_RESUME, c));
        if (s->state != IS_OPEN)
            continue;
        call_through(e, w, r, (c.kind = CALL_BEAT, c.jobs = s->begun, c));
        if (s->state == IS_OPEN && s->returning)
            call_through(e, w, r, (c.kind = CALL_HANDBACK, c.jobs = s->returning, c));
        if (s->state == IS_OPEN && s->known)
            call_through(e, w, r, (c.kind = CALL_FINISH, c.jobs = s->known, c));
        if (s->state == IS_OPEN) {
            call_through(e, w, r, (c.kind = CALL_CLAIM, c.seq = s->seq, c));
            if (s->state == IS_OPEN && !s->known)
                return;
        }
    }
}

static void bury_doomed(struct explorer *e, struct memory_redis *r)
{
    struct args none = {.n = 0};
    struct memory_reply rows = run(e, r, SCRIPT_DOOMED, &none);
    for (size_t i = 0; i + 2 < rows.n; i += 3) {
        struct args a = {.n = 0};
        a.items[a.n++] = rows.items[i].text;
        add(&a, "given up");
        run(e, r, SCRIPT_BURY, &a);
    }
}

void model_drain(struct explorer *e, struct world *w, struct memory_redis *r, bool all_die)
{
    enum { ROUNDS = 60, ROUND_MS = LEASE_MS / 2 };
    bool alive = false;
    for (int i = 0; i < SESSIONS; i++) {
        if (all_die)
            w->sessions[i].state = IS_DEAD;
        alive |= w->sessions[i].state != IS_DEAD;
    }
    if (alive)
        w->sessions[DRAINER].state = IS_DEAD;
    set_paused(e, w, r, false);
    for (int round = 0; round < ROUNDS && memory_find(r, text_of("{q:0}:job")); round++) {
        make_call(e, &(struct call){.kind = CALL_REAP}, w, r);
        make_call(e, &(struct call){.kind = CALL_PROMOTE}, w, r);
        bury_doomed(e, r);
        for (int i = 0; i < ALL_SESSIONS; i++)
            drain_session(e, w, r, i);
        r->now_ms += ROUND_MS;
    }
}
