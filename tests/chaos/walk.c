/* Runs a census of the points that the processes come by, then lets each of them fail at each of its points once, while
 * everything goes on around it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/message.h"
#include "protocol/store_args.h"
#include "tests/chaos/chaos.h"

enum { STEP_US = 5000 };

struct point {
    enum role role;
    int index;
    enum fail_site site;
    int name;
    enum fail_phase phase;
    enum fail_action action;
};

static const char *describe(const struct point *p, char *out, size_t size)
{
    static const char *const phases[] = {"before", "sent", "after"}, *const actions[] = {"kill", "stop", "lose"};
    const char *name =
        p->site == FAIL_CALL ? script_name((enum script)p->name) : message_kind_name((enum message_kind)p->name);
    snprintf(out, size, "%s %d: %s %s %s, %s", role_name(p->role), p->index, p->site == FAIL_CALL ? "call" : "send",
             name, phases[p->phase], actions[p->action]);
    return out;
}

/* ---- what there is ------------------------------------------------------------------------------------------------
 */

struct points {
    struct point *items;
    size_t n, cap;
};

static void add(struct points *all, struct point p)
{
    enum { FIRST = 64 };
    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : FIRST;
        all->items = realloc(all->items, all->cap * sizeof *all->items);
        if (!all->items)
            exit(2);
    }
    all->items[all->n++] = p;
}

/* What can go wrong there. A message that was handed to ZeroMQ can be lost in front of it only, as far as we reach. */
static void add_all(struct points *all, struct point p)
{
    static const struct {
        enum fail_phase phase;
        enum fail_action action;
        bool calls_only;
    } ways[] = {{FAIL_BEFORE, FAIL_KILL, false}, {FAIL_BEFORE, FAIL_LOSE, false}, {FAIL_BEFORE, FAIL_STOP, false},
                {FAIL_SENT, FAIL_KILL, true},    {FAIL_SENT, FAIL_STOP, true},    {FAIL_AFTER, FAIL_KILL, false},
                {FAIL_AFTER, FAIL_STOP, false},  {FAIL_AFTER, FAIL_LOSE, true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        p.phase = ways[i].phase;
        p.action = ways[i].action;
        if (p.site == FAIL_CALL || !ways[i].calls_only)
            add(all, p);
    }
}

/* The peer that came by a point most often stands for its role. */
static struct points list_points(const struct chaos *c)
{
    struct points all = {.n = 0};
    for (int r = ROLE_BROKER; r < ROLE_COUNT_; r++)
        for (int site = 0; site < FAIL_SITES; site++)
            for (int name = 0; name < FAIL_NAMES; name++) {
                int best = -1, most = 0;
                for (int i = 0; i < c->count[r]; i++) {
                    int seen = atomic_load(&c->gauges->seen[r][i][site][name]);
                    if (seen > most)
                        most = seen, best = i;
                }
                struct point p = {.role = (enum role)r, .index = best, .site = (enum fail_site)site, .name = name};
                if (best >= 0)
                    add_all(&all, p);
            }
    return all;
}

/* ---- one of them ---------------------------------------------------------------------------------------------------
 */

/* Makes what is rare happen: workers that are told to stop hand jobs back, peers that begin anew ask and greet. */
static void nudge(struct chaos *c, const struct point *p, bool handback)
{
    for (int r = ROLE_WORKER; r < ROLE_COUNT_; r++)
        for (int i = 0; i < c->count[r]; i++) {
            bool itself = (int)p->role == r && p->index == i;
            if (handback && r == ROLE_WORKER && c->pids[r][i] > 0 && (p->role != ROLE_WORKER || itself))
                kill(c->pids[r][i], SIGTERM);
            else if (!handback && !itself)
                child_kill(c, (enum role)r, i);
        }
}

static bool is_handback(const struct point *p)
{
    return p->site == FAIL_CALL ? p->name == SCRIPT_HANDBACK
                                : p->name == MESSAGE_HANDBACK || p->name == MESSAGE_HANDBACK_ACK;
}

/* How many points it came by so far. */
static long passed(const struct chaos *c, const struct point *p)
{
    long n = 0;
    for (int site = 0; site < FAIL_SITES; site++)
        for (int name = 0; name < FAIL_NAMES; name++)
            n += atomic_load(&c->gauges->seen[p->role][p->index][site][name]);
    return n;
}

/* Anew: it may have begun in a moment in which it could not come by, as a worker that found the broker of the direct
 * route busy and settled on the other, through which it calls nothing itself. */
static void begin(struct chaos *c, const struct point *p)
{
    char text[64];
    snprintf(text, sizeof text, "%d %d %d %d", (int)p->site, p->name, (int)p->phase, (int)p->action);
    child_kill(c, p->role, p->index);
    child_start(c, p->role, p->index, atomic_load(&c->gauges->fired) ? NULL : text); /* as its last deed, perhaps */
}

static void keep_running(struct chaos *c, const struct point *p)
{
    if (!child_is_running(c, p->role, p->index) && !atomic_load(&c->gauges->fired))
        begin(c, p); /* ended before it got there: it could not reach somebody */
    for (int r = 0; r < ROLE_COUNT_; r++)
        for (int i = 0; i < c->count[r]; i++)
            if (((int)p->role != r || p->index != i) && !child_is_running(c, (enum role)r, i))
                child_start(c, (enum role)r, i, NULL);
}

/* In rounds, which last until the process has come by some points, so that it has as many chances on a busy machine as
 * on an idle one; it is given up on by their number, or once it comes by nothing at all. */
static bool wait_fired(struct chaos *c, const struct point *p)
{
    enum { ROUNDS = 24, ROUND_POINTS = 8, ROUND_MS = 1500, STUCK_MS = 120000 };
    for (int round = 1; round <= ROUNDS; round++) {
        long from = passed(c, p);
        for (int64_t began = clock_ms(), now = began; now < began + ROUND_MS || passed(c, p) < from + ROUND_POINTS;
             now = clock_ms()) {
            if (atomic_load(&c->gauges->fired))
                return true;
            if (now > began + STUCK_MS)
                return false;
            keep_running(c, p);
            usleep(STEP_US);
        }
        nudge(c, p, is_handback(p));
        if (round % 2 == 0 && !atomic_load(&c->gauges->fired))
            begin(c, p);
    }
    return false;
}

static bool fail_at(struct chaos *c, const struct point *p)
{
    enum { DYING_MS = 2000 };
    child_kill(c, p->role, p->index);
    atomic_store(&c->gauges->fired, 0);
    begin(c, p);
    if (!wait_fired(c, p))
        return false;
    if (p->action == FAIL_STOP) {
        usleep((LEASE_MS + 2 * BEAT_MS) * 1000);
        kill(c->pids[p->role][p->index], SIGCONT);
        c->stops++;
    } else if (p->action == FAIL_KILL) {
        for (int64_t until = clock_ms() + DYING_MS; child_is_running(c, p->role, p->index) && clock_ms() < until;)
            usleep(STEP_US);
        if (!child_is_running(c, p->role, p->index))
            child_start(c, p->role, p->index, NULL);
        c->kills[p->role]++;
    }
    return true;
}

bool walk_run(struct chaos *c, int step)
{
    enum { CENSUS_MS = 6000, TEXT = 160 };
    char text[TEXT];
    for (int64_t until = clock_ms() + CENSUS_MS; clock_ms() < until; usleep(STEP_US))
        children_revive(c);
    for (int i = 0; i < c->count[ROLE_WORKER]; i++) { /* for the points of a drain */
        c->bad_drains += !child_stop(c, ROLE_WORKER, i);
        child_start(c, ROLE_WORKER, i, NULL);
    }
    struct points all = list_points(c);
    int walked = 0, silent = 0;
    for (size_t i = c->seed % (unsigned)step; i < all.n; i += (size_t)step, walked++)
        if (!fail_at(c, &all.items[i])) {
            printf("never came by: %s\n", describe(&all.items[i], text, sizeof text));
            silent++;
        }
    printf("failpoints: %zu there, %d walked, %d never fired\n", all.n, walked, silent);
    for (int i = 0; i < SCRIPT_COUNT_; i++) {
        int seen = 0;
        for (int k = 0; k < 2 * MOST_PEERS; k++)
            seen += atomic_load(&c->gauges->seen[k % 2 ? ROLE_BROKER : ROLE_WORKER][k / 2][FAIL_CALL][i]);
        if (!seen)
            printf("not seen in this run: call %s\n", script_name((enum script)i));
    }
    bool ok = all.n > 0 && silent == 0;
    free(all.items);
    return ok;
}
