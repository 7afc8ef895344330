/* Fails everything and then counts: each acknowledged job must have exactly one, right result.
 *
 *   chaos BROKER SLEEPER walk STEP SEED
 *   chaos BROKER SLEEPER random SECONDS SEED
 *
 * Redis (AOF always), two brokers, one of the direct route and one of the relay route, three workers whose engine
 * sleeps, two submitters that write what was acknowledged to a ledger of their own, two operators; all connections
 * through a proxy that cuts, delays and halves. `walk` fails each process at each STEPth failpoint; `random` strikes as
 * the seed says: kill -9, pauses and outages longer than the lease, drains, cuts. CHAOS_SHARDS=N: a queue of N shards.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/chaos/chaos.h"

static void report(const struct chaos *c, const char *mode, const char *amount)
{
    int all = 0;
    for (int r = 0; r < ROLE_COUNT_; r++)
        all += c->kills[r];
    printf(
        "%s %s, seed %u: %d kills with work in flight (redis %d, brokers %d, workers %d, submitters %d, operators %d; "
        "%d more hit idle ones), %d pauses and outages, %d cuts of all connections, %d drains (%d badly)\n",
        mode, amount, c->seed, all, c->kills[ROLE_REDIS], c->kills[ROLE_BROKER], c->kills[ROLE_WORKER],
        c->kills[ROLE_SUBMITTER], c->kills[ROLE_OPERATOR], c->idle_kills, c->stops, c->cuts, c->drains, c->bad_drains);
}

int main(int argc, char **argv)
{
    if (argc != 6 || (strcmp(argv[3], "walk") != 0 && strcmp(argv[3], "random") != 0)) {
        fprintf(stderr, "usage: chaos BROKER SLEEPER walk STEP|random SECONDS SEED\n");
        return 2;
    }
    struct chaos c = {.broker = argv[1],
                      .sleeper = argv[2],
                      .sleep_us = "20000",
                      .shards = getenv("CHAOS_SHARDS"),
                      .seed = (unsigned)strtoul(argv[5], NULL, 10),
                      .proxied = true,
                      .count = {[ROLE_BROKER] = 2, [ROLE_WORKER] = 3, [ROLE_SUBMITTER] = 2, [ROLE_OPERATOR] = 2}};
    long amount = strtol(argv[4], NULL, 10);
    setenv("CHAOS_DEDUP", "1", 1); /* sleeper.c */
    chaos_init(&c, "chaos");
    children_start_all(&c);
    bool ok = true;
    if (strcmp(argv[3], "walk") == 0)
        ok = walk_run(&c, amount > 0 ? (int)amount : 1);
    else
        schedule_run(&c, amount);
    children_revive(&c);
    int idle = c.idle_kills;
    for (int r = ROLE_SUBMITTER; r < ROLE_COUNT_; r++)
        for (int i = 0; i < c.count[r]; i++)
            child_kill(&c, (enum role)r, i);
    c.idle_kills = idle;
    report(&c, argv[3], argv[4]);
    ok &= verify(&c) && c.bad_drains == 0;
    children_kill_all(&c);
    if (ok)
        ok = chaos_remove(&c);
    else
        printf("kept: %s\n", c.dir);
    printf("%s chaos-%s\n", ok ? "PASS" : "FAIL", argv[3]);
    return ok ? 0 : 1;
}
