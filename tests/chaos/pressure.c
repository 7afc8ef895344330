/* What is slow or full makes those in front of it wait: the broker's memory stays bounded, and what was acknowledged
 * ends with its one, right result once there is room again.
 *
 *   chaos-pressure BROKER SLEEPER
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/chaos/chaos.h"

/* Clients as shipped have 32 batches on the way; a broker that kept more than those would soon grow by this. */
enum { PRESSED_MS = 6000, STEP_US = 20000, GROWTH_KB = 8 << 10 };

static long rss_kb(const struct chaos *c)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)c->pids[ROLE_BROKER][0]);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kb;
}

static void begin(struct chaos *c)
{
    enum { SETTLE_US = 500000 };
    chaos_init(c, "pressure");
    children_start_all(c);
    usleep(SETTLE_US);
}

/* For a while; the most that the broker grew by, in KB. `press` (may be NULL) is called over and over. */
static long endure(struct chaos *c, void (*press)(struct chaos *c))
{
    long before = rss_kb(c), most = before;
    for (int64_t until = clock_ms() + PRESSED_MS; clock_ms() < until;) {
        if (press)
            press(c);
        else
            usleep(STEP_US);
        for (int i = 0; i < c->count[ROLE_SUBMITTER]; i++)
            if (!child_is_running(c, ROLE_SUBMITTER, i))
                child_start(c, ROLE_SUBMITTER, i, NULL);
        most = rss_kb(c) > most ? rss_kb(c) : most;
    }
    return most - before;
}

static bool finish(struct chaos *c, const char *name, bool pressed, long grown)
{
    for (int i = 0; i < c->count[ROLE_SUBMITTER]; i++)
        child_kill(c, ROLE_SUBMITTER, i);
    bool ok = verify(c);
    printf("broker grew by %ld KB, at most %d\n", grown, (int)GROWTH_KB);
    ok &= pressed && grown <= GROWTH_KB;
    if (!pressed)
        printf("there was no pressure\n");
    children_kill_all(c);
    ok &= chaos_remove(c);
    printf("%s pressure-%s\n", ok ? "PASS" : "FAIL", name);
    return ok;
}

static struct chaos plan(char **argv)
{
    return (struct chaos){.broker = argv[1],
                          .sleeper = argv[2],
                          .route = "relay",
                          .sleep_us = "20000",
                          .seed = 1,
                          .count = {[ROLE_BROKER] = 1, [ROLE_WORKER] = 2, [ROLE_SUBMITTER] = 2}};
}

/* The window fills, submitters wait. */
static bool slow_worker(char **argv)
{
    struct chaos c = plan(argv);
    c.sleep_us = "500000";
    c.window = "500";
    begin(&c);
    long grown = endure(&c, NULL);
    bool pressed = ask_redis(&c, "HLEN {q:0}:job") > 300;
    c.sleep_us = "1000"; /* the next ones are quick */
    for (int i = 0; i < c.count[ROLE_WORKER]; i++) {
        child_kill(&c, ROLE_WORKER, i);
        child_start(&c, ROLE_WORKER, i, NULL);
    }
    return finish(&c, "slow-worker", pressed, grown);
}

static void hold_redis(struct chaos *c)
{
    enum { STOPPED_US = 450000, RUNS_US = 50000 };
    kill(c->pids[ROLE_REDIS][0], SIGSTOP);
    usleep(STOPPED_US);
    kill(c->pids[ROLE_REDIS][0], SIGCONT);
    usleep(RUNS_US);
}

static bool slow_redis(char **argv)
{
    struct chaos c = plan(argv);
    begin(&c);
    long grown = endure(&c, hold_redis);
    return finish(&c, "slow-redis", true, grown);
}

/* Redis ends itself when it can't write its log; nothing that it had not written was acknowledged. */
static bool full_disk(char **argv)
{
    struct chaos c = plan(argv);
    c.file_limit = 400 << 10;
    c.sleep_us = "1000";
    begin(&c);
    long grown = endure(&c, NULL);
    bool ended = !child_is_running(&c, ROLE_REDIS, 0);
    c.file_limit = 0;
    child_kill(&c, ROLE_REDIS, 0);
    child_start(&c, ROLE_REDIS, 0, NULL);
    return finish(&c, "full-disk", ended, grown);
}

/* What fails for good now is not kept for a retry, and counted. */
static bool wait_unkept(const struct chaos *c)
{
    enum { LIMIT_MS = 60000 };
    for (int64_t until = clock_ms() + LIMIT_MS; clock_ms() < until; usleep(STEP_US))
        if (ask_redis(c, "HGET {q:0}:c:1 unkept") > 0)
            return true;
    printf("whatever failed was kept\n");
    return false;
}

/* New work is refused before Redis is full, and what is there goes on. */
static bool full_memory(char **argv)
{
    struct chaos c = plan(argv);
    c.memory = "6mb";
    c.sleep_us = "200000";
    c.window = "100000";
    begin(&c);
    long grown = endure(&c, NULL);
    long long percent = ask_redis(&c, "HGET {q:0}:use level");
    printf("Redis was %lld %% full\n", percent);
    c.sleep_us = "1000";
    for (int i = 0; i < c.count[ROLE_WORKER]; i++) {
        child_kill(&c, ROLE_WORKER, i);
        child_start(&c, ROLE_WORKER, i, NULL);
    }
    bool pressed = percent >= 50 && wait_unkept(&c);
    ask_redis(&c, "CONFIG SET maxmemory 2gb");
    return finish(&c, "full-memory", pressed, grown);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: chaos-pressure BROKER SLEEPER\n");
        return 2;
    }
    bool ok = slow_worker(argv);
    ok &= slow_redis(argv);
    ok &= full_disk(argv);
    ok &= full_memory(argv);
    return ok ? 0 : 1;
}
