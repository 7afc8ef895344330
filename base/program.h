/* How every program begins and ends: stops, exit codes, the last bytes on stdout. For main() and what it calls only. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/status.h"

/* Exit codes of every program (cli/CLI.md). */
enum {
    EXIT_OK = 0,
    EXIT_ITEMS_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_REFUSED = 4,
    EXIT_DEVICE_LOST = 5, /* under way: the same command may work again, perhaps on another device */
};
/* 0 ST_OK; 1 ST_IO, ST_CANCELLED; 3 ST_TIMEOUT, ST_CLOSED; 4 ST_REFUSED, ST_UNSUPPORTED, ST_LIMIT, ST_NOMEM (does not
 * fit the memory budget); 5 ST_DEVICE; 2 the rest. */
int program_exit_code(enum status s);

/* SIGTERM and SIGINT go to on_stop (each blocked in it), and are unblocked: a parent may start a program with both
 * blocked, so that a stop that comes before this point waits for it. SIGPIPE is ignored. */
void program_catch_stops(void (*on_stop)(int signal_number));

/* The last thing main() does, with the code it is about to give: what is still in stdout's buffer may find no room.
 * Then one sentence on stderr - none where the reader left, it has seen enough - and EXIT_ITEMS_FAILED for EXIT_OK. */
MUST_CHECK int program_end(const char *name, int exit_code);

#endif
