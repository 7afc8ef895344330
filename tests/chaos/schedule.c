#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/chaos/chaos.h"

enum action { KILL, PAUSE, REDIS_AWAY, BROKERS_AWAY, DRAIN, CUT };

/* What happens next follows from the seed alone: the same seed gives the same list, gone through until time is up. */
struct strike {
    int64_t gap_ms, lasts_ms;
    enum action action;
    enum role role;
    int index;
    bool young; /* DRAIN: one that has only just been started */
};

static struct strike draw(const struct chaos *c, unsigned *seed)
{
    enum { SHORTEST_MS = 60, SPREAD_MS = 240, BRIEF_MS = 400, DICE = 60 };
    static const enum role of_dice[] = {ROLE_REDIS,     ROLE_BROKER,   ROLE_BROKER,    ROLE_WORKER, ROLE_WORKER,
                                        ROLE_SUBMITTER, ROLE_OPERATOR, ROLE_SUBMITTER, ROLE_REDIS,  ROLE_WORKER};
    struct strike s = {.gap_ms = SHORTEST_MS + rand_r(seed) % SPREAD_MS};
    int dice = rand_r(seed) % DICE;
    s.action = dice < 1    ? REDIS_AWAY
               : dice < 2  ? BROKERS_AWAY
               : dice < 9  ? DRAIN
               : dice < 16 ? PAUSE
               : dice < 19 ? CUT
                           : KILL;
    s.role = of_dice[rand_r(seed) % (int)(sizeof of_dice / sizeof *of_dice)];
    if (s.action == DRAIN)
        s.role = rand_r(seed) % 4 ? ROLE_WORKER : ROLE_BROKER;
    s.index = rand_r(seed) % c->count[s.role];
    s.young = rand_r(seed) % 2;
    /* Half of the pauses outlast the lease, and so does every outage. */
    bool brief = rand_r(seed) % 2 && s.action == PAUSE;
    s.lasts_ms = brief ? rand_r(seed) % BRIEF_MS : LEASE_MS + 2 * BEAT_MS + rand_r(seed) % BRIEF_MS;
    return s;
}

/* Meanwhile the others go on. */
static void pause_child(struct chaos *c, const struct strike *s)
{
    pid_t pid = c->pids[s->role][s->index];
    if (pid <= 0)
        return;
    kill(pid, SIGSTOP);
    usleep((useconds_t)(s->lasts_ms * 1000));
    kill(pid, SIGCONT);
    c->stops++;
}

static void away(struct chaos *c, enum role r, int64_t ms)
{
    for (int i = 0; i < c->count[r]; i++)
        child_kill(c, r, i);
    usleep((useconds_t)(ms * 1000));
    for (int i = 0; i < c->count[r]; i++)
        child_start(c, r, i, NULL);
    c->stops++;
}

static void drain(struct chaos *c, const struct strike *s)
{
    if (s->young) {
        child_kill(c, s->role, s->index);
        child_start(c, s->role, s->index, NULL);
    }
    c->bad_drains += !child_stop(c, s->role, s->index);
    c->drains++;
    child_start(c, s->role, s->index, NULL);
}

static void strike(struct chaos *c, const struct strike *s)
{
    switch (s->action) {
    case KILL:
        child_kill(c, s->role, s->index);
        child_start(c, s->role, s->index, NULL);
        break;
    case PAUSE: pause_child(c, s); break;
    case REDIS_AWAY: away(c, ROLE_REDIS, s->lasts_ms); break;
    case BROKERS_AWAY: away(c, ROLE_BROKER, s->lasts_ms); break;
    case DRAIN: drain(c, s); break;
    case CUT:
        kill(c->pids[ROLE_PROXY][0], SIGUSR1);
        c->cuts++;
        break;
    }
}

void schedule_run(struct chaos *c, long seconds)
{
    static const char *const names[] = {"kill", "pause", "redis away", "brokers away", "drain", "cut"};
    char path[PATH_LEN + 16];
    snprintf(path, sizeof path, "%s/schedule", c->dir);
    FILE *f = fopen(path, "a");
    unsigned seed = c->seed;
    for (int64_t until = clock_ms() + seconds * 1000; clock_ms() < until;) {
        struct strike s = draw(c, &seed);
        usleep((useconds_t)(s.gap_ms * 1000));
        children_revive(c);
        if (f)
            fprintf(f, "after %lld ms: %s %s %d for %lld ms\n", (long long)s.gap_ms, names[s.action], role_name(s.role),
                    s.index, (long long)s.lasts_ms);
        strike(c, &s);
    }
    if (f)
        fclose(f);
}
