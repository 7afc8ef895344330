/* Parts of the chaos test: processes (children.c), the submitter that gets killed too (submitter.c), the reckoning
 * afterwards (verify.c). */
#ifndef TESTS_CHAOS_H
#define TESTS_CHAOS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { N_WORKERS = 3, N_SUBMITTERS = 2, PATH_LEN = 192 };
#define CHAOS_CAMPAIGN "chaos"
#define CHAOS_CLASS "0123abcd/f32"

enum role { ROLE_REDIS, ROLE_BROKER, ROLE_WORKER, ROLE_SUBMITTER, ROLE_COUNT_ };
const char *role_name(enum role r);

struct chaos {
    char dir[PATH_LEN];
    char clients[PATH_LEN], workers[PATH_LEN], redis[PATH_LEN];
    const char *bin, *sleeper; /* folder of ferret-broker; path of chaos-sleeper */
    const char *route;
    const char *sleep_us;
    pid_t redis_pid, broker_pid, worker_pids[N_WORKERS], submitter_pids[N_SUBMITTERS];
    int kills[ROLE_COUNT_], stops, drains, bad_drains;
};

/* children.c */
void child_start(struct chaos *c, enum role r, int index);
void child_kill(struct chaos *c, enum role r, int index); /* -9, and waits for its end */
bool child_stop(struct chaos *c, enum role r, int index); /* SIGTERM; false: it did not end well */
bool child_wait_redis(struct chaos *c, int timeout_ms);
bool chaos_remove(const struct chaos *c); /* its folder */

/* submitter.c: runs until it is killed; acknowledged keys go to DIR/ledger.INDEX, fsynced */
void submitter_run(const struct chaos *c, int index, unsigned seed);

/* verify.c: false, with sentences on stdout, when a promise was broken */
bool verify(struct chaos *c);

#endif
