/* Processes that `ferret up` starts, watches and stops. They die with their parent, are kept out of its terminal's
 * signals, print on its stderr and are started again when they end, later and later where they keep ending.
 *
 * children_init blocks SIGCHLD, SIGINT, SIGTERM and SIGHUP; children_wait gives them out. One thread. */
#ifndef CLI_CHILDREN_H
#define CLI_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/status.h"

enum { CHILD_MAX = 265, CHILD_ARGS = 128, EXIT_NOT_FOUND = 127 };

struct child {
    char name[32];
    const char *argv[CHILD_ARGS]; /* borrowed, NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
    int keep_fd;                  /* a descriptor that the process inherits, or -1 */
    bool catches_stops; /* starts with SIGTERM and SIGINT blocked and unblocks them once it can end in order */

    pid_t pid; /* 0: not running */
    int64_t started_ms, restart_at_ms;
    int backoff_ms;
    int quick_ends; /* ends in a row soon after a start */
    int last_exit;  /* exit code, or 128 + signal, of the last end; EXIT_NOT_FOUND: argv[0] could not be started */
    bool stopping;  /* told to end: not started again */
};

struct children {
    struct child list[CHILD_MAX];
    int n;
    struct log log;
};

MUST_CHECK enum status children_init(struct children *c, struct diag *why);
/* A zeroed entry with its name; the caller fills in argv. */
struct child *children_add(struct children *c, const char *name);
MUST_CHECK enum status child_start(struct children *c, struct child *child, struct diag *why);

/* Waits up to timeout_ms for a signal; collects processes that ended and starts what is due again. Returns SIGINT,
 * SIGTERM or SIGHUP when one came, else 0. */
int children_wait(struct children *c, int timeout_ms);

/* SIGTERM to every running process whose name begins with `prefix`, then waits for them; SIGKILL when grace_ms is over
 * or a second SIGINT or SIGTERM comes. */
void children_stop(struct children *c, const char *prefix, int grace_ms);

#endif
