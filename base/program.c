#include "base/program.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int program_exit_code(enum status s)
{
    switch (s) {
    case ST_OK: return EXIT_OK;
    case ST_TIMEOUT:
    case ST_CLOSED: return EXIT_UNREACHABLE;
    case ST_REFUSED:
    case ST_UNSUPPORTED:
    case ST_NOMEM:
    case ST_LIMIT: return EXIT_REFUSED;
    case ST_DEVICE: return EXIT_DEVICE_LOST;
    case ST_CANCELLED:
    case ST_IO: return EXIT_ITEMS_FAILED;
    default: return EXIT_USAGE;
    }
}

void program_catch_stops(void (*on_stop)(int signal_number))
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    struct sigaction act = {.sa_handler = on_stop, .sa_mask = both};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    sigprocmask(SIG_UNBLOCK, &both, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int program_end(const char *name, int exit_code)
{
    bool failed = ferror(stdout) != 0;
    if (failed)
        putchar('\n'); /* what failed has taken its errno with it: one more byte meets the same disk */
    bool lost = fflush(stdout) != 0;
    int said = lost ? errno : EIO;
    if (!lost && !failed)
        return exit_code;
    if (said != EPIPE)
        fprintf(stderr, "%s: stdout: %s\n", name, strerror(said));
    return exit_code == EXIT_OK ? EXIT_ITEMS_FAILED : exit_code;
}
