/* Parts of the chaos test: processes (children.c), a proxy that spoils their connections (proxy.c), who hands jobs in
 * (submitter.c) and who asks and cancels (operator.c), the walk over all failpoints (walk.c), what strikes when
 * (schedule.c), and the reckoning afterwards (verify.c). */
#ifndef TESTS_CHAOS_H
#define TESTS_CHAOS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/chaos/gauges.h"

enum { PATH_LEN = 192, LIST_LEN = 2 * PATH_LEN };
/* Short, so that a run sees many leases end; the shipped ones are eight times as long. */
enum { LEASE_MS = 1500, BEAT_MS = 400 };
#define CHAOS_CAMPAIGN "chaos"
#define CHAOS_CLASS "0123abcd/f32"

struct chaos {
    char dir[PATH_LEN], redis[PATH_LEN];
    const char *broker, *sleeper; /* programs */
    const char *route;            /* of all brokers; NULL: the first is direct, the second relay */
    const char *sleep_us;
    const char *shards; /* of the queue; NULL: one */
    const char *window; /* unfinished jobs of a campaign; NULL: few */
    int lease_ms;       /* 0: LEASE_MS */
    const char *memory; /* Redis' maxmemory; NULL: plenty */
    long file_limit;    /* bytes that a file of Redis may have, as on a full disk; 0: none */
    unsigned seed;
    bool proxied; /* connections go through the proxy */
    int count[ROLE_COUNT_];
    pid_t pids[ROLE_COUNT_][MOST_PEERS];
    unsigned starts;
    struct gauges *gauges;
    int kills[ROLE_COUNT_], idle_kills; /* with work in flight, and without */
    int stops, cuts, drains, bad_drains;
};
const char *role_name(enum role r);

/* children.c: processes by role and index. */
void chaos_init(struct chaos *c, const char *name); /* its folder; ends the program where there is none */
bool chaos_remove(const struct chaos *c);           /* its folder */
/* point: a failpoint's text (failpoints.h), or NULL. */
void child_start(struct chaos *c, enum role r, int index, const char *point);
bool child_is_running(struct chaos *c, enum role r, int index);
void child_kill(struct chaos *c, enum role r, int index); /* -9, waits for its end, counts */
bool child_stop(struct chaos *c, enum role r, int index); /* SIGTERM; false: it did not end well */
void children_start_all(struct chaos *c);
void children_revive(struct chaos *c); /* what ended by itself is started again */
void children_kill_all(struct chaos *c);
/* Addresses of the brokers' sockets for that peer: some peers know one broker only, so that each has some. */
void client_list(const struct chaos *c, int peer, char out[LIST_LEN]);
void worker_list(const struct chaos *c, int peer, char out[LIST_LEN]);
/* The sockets themselves, past the proxy. */
void broker_socket(const struct chaos *c, char side, int index, bool proxied, char out[PATH_LEN]);

/* proxy.c: runs until it is killed; SIGUSR1 cuts every connection. */
void proxy_run(const struct chaos *c);

/* submitter.c, operator.c: run until they are killed; acknowledged keys go to DIR/ledger.INDEX, fsynced. */
void submitter_run(const struct chaos *c, int index, unsigned seed);
void operator_run(const struct chaos *c, int index, unsigned seed);

/* schedule.c: strikes for so long, as the seed says. */
void schedule_run(struct chaos *c, long seconds);

/* walk.c: each failpoint that was seen, or every step-th of them; false: one did not fire. */
bool walk_run(struct chaos *c, int step);

/* verify.c: false, with sentences on stdout, when a promise was broken. */
bool verify(struct chaos *c);
/* One number that a redis-cli command prints; -1 where it prints none. */
long long ask_redis(const struct chaos *c, const char *command);

#endif
