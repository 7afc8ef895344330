/* Kills everything at random and then counts: each acknowledged job must have exactly one, right result.
 *
 *   chaos BIN SLEEPER SECONDS SEED [direct|relay]
 *
 * Redis (AOF always), a broker, three workers whose engine sleeps, two submitters that write what was acknowledged to a
 * ledger of their own. Every 0.15 to 0.6 s one of them gets kill -9 and is started again at once, a worker or the
 * broker is told to stop in order, perhaps right after its start, or Redis is stopped for longer than a lease. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/chaos/chaos.h"

static void pause_ms(long ms)
{
    usleep((useconds_t)(ms * 1000));
}

/* A submitter that gave up by itself is started again, like one that was killed. */
static void revive(struct chaos *c)
{
    for (int i = 0; i < N_SUBMITTERS; i++)
        if (c->submitter_pids[i] > 0 && waitpid(c->submitter_pids[i], NULL, WNOHANG) == c->submitter_pids[i])
            child_start(c, ROLE_SUBMITTER, i);
    for (int i = 0; i < N_WORKERS; i++)
        if (c->worker_pids[i] > 0 && waitpid(c->worker_pids[i], NULL, WNOHANG) == c->worker_pids[i])
            child_start(c, ROLE_WORKER, i);
    if (waitpid(c->broker_pid, NULL, WNOHANG) == c->broker_pid)
        child_start(c, ROLE_BROKER, 0);
}

static void strike(struct chaos *c)
{
    enum { DICE = 40, DRAINS = 7, BROKER_DRAIN = 6, STOPPED_MS = 2500 };
    static const enum role of_dice[8] = {ROLE_REDIS,  ROLE_REDIS,  ROLE_BROKER,    ROLE_BROKER,
                                         ROLE_WORKER, ROLE_WORKER, ROLE_SUBMITTER, ROLE_WORKER};
    int dice = rand() % DICE;
    if (dice == 0) {
        kill(c->redis_pid, SIGSTOP);
        pause_ms(STOPPED_MS);
        kill(c->redis_pid, SIGCONT);
        c->stops++;
        return;
    }
    if (dice < DRAINS) {
        enum role r = dice == BROKER_DRAIN ? ROLE_BROKER : ROLE_WORKER;
        int i = r == ROLE_WORKER ? rand() % N_WORKERS : 0;
        if (rand() % 2) { /* one that has only just been started */
            child_kill(c, r, i);
            child_start(c, r, i);
        }
        c->bad_drains += !child_stop(c, r, i);
        c->drains++;
        child_start(c, r, i);
        return;
    }
    enum role r = of_dice[dice % 8];
    int index = r == ROLE_WORKER ? rand() % N_WORKERS : r == ROLE_SUBMITTER ? rand() % N_SUBMITTERS : 0;
    child_kill(c, r, index);
    child_start(c, r, index);
    c->kills[r]++;
}

static void start_all(struct chaos *c)
{
    enum { REDIS_MS = 10000 };
    child_start(c, ROLE_REDIS, 0);
    if (!child_wait_redis(c, REDIS_MS)) {
        printf("FAIL chaos: no redis-server\n");
        exit(1);
    }
    child_start(c, ROLE_BROKER, 0);
    for (int i = 0; i < N_WORKERS; i++)
        child_start(c, ROLE_WORKER, i);
    for (int i = 0; i < N_SUBMITTERS; i++)
        child_start(c, ROLE_SUBMITTER, i);
}

static void stop_all(struct chaos *c)
{
    for (int i = 0; i < N_WORKERS; i++)
        child_kill(c, ROLE_WORKER, i);
    child_kill(c, ROLE_BROKER, 0);
    child_kill(c, ROLE_REDIS, 0);
}

int main(int argc, char **argv)
{
    enum { SHORTEST_MS = 150, SPREAD_MS = 450 };
    if (argc < 5) {
        fprintf(stderr, "usage: chaos BIN SLEEPER SECONDS SEED [direct|relay]\n");
        return 2;
    }
    struct chaos c = {.bin = argv[1], .sleeper = argv[2], .route = argc > 5 ? argv[5] : "direct", .sleep_us = "2000"};
    long seconds = strtol(argv[3], NULL, 10);
    unsigned seed = (unsigned)strtoul(argv[4], NULL, 10);
    srand(seed);
    const char *tmp = getenv("TMPDIR");
    snprintf(c.dir, sizeof c.dir, "%s/chaos.XXXXXX", tmp && strlen(tmp) < PATH_LEN / 4 ? tmp : "/tmp");
    if (!mkdtemp(c.dir))
        return 2;
    snprintf(c.redis, sizeof c.redis, "%.100s/redis.sock", c.dir);
    snprintf(c.clients, sizeof c.clients, "ipc://%.100s/clients", c.dir);
    snprintf(c.workers, sizeof c.workers, "ipc://%.100s/workers", c.dir);
    start_all(&c);
    int64_t until = clock_ms() + seconds * 1000;
    while (clock_ms() < until) {
        pause_ms(SHORTEST_MS + rand() % SPREAD_MS);
        revive(&c);
        strike(&c);
    }
    for (int i = 0; i < N_SUBMITTERS; i++)
        child_kill(&c, ROLE_SUBMITTER, i);
    revive(&c);
    printf("seed %u, %ld s, %s: kill -9 of redis %d, broker %d, workers %d, submitters %d; redis stopped %d times, "
           "workers and broker drained %d times (%d badly)\n",
           seed, seconds, c.route, c.kills[ROLE_REDIS], c.kills[ROLE_BROKER], c.kills[ROLE_WORKER],
           c.kills[ROLE_SUBMITTER], c.stops, c.drains, c.bad_drains);
    bool ok = verify(&c) && c.bad_drains == 0;
    stop_all(&c);
    if (ok) {
        ok = chaos_remove(&c);
    } else {
        printf("kept: %s\n", c.dir);
    }
    printf("%s chaos-%s\n", ok ? "PASS" : "FAIL", c.route);
    return ok ? 0 : 1;
}
