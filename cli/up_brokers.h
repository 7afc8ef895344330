/* The brokers of a `ferret up`: one or several on its Redis, each with sockets and a page of its own. Clients and
 * workers have all of them as a list, and go on with another one while theirs is away. */
#ifndef CLI_UP_BROKERS_H
#define CLI_UP_BROKERS_H

#include "cli/children.h"
#include "cli/up_http.h"
#include "protocol/paths.h"

struct up_brokers {
    int n;
    char clients[PATHS_BROKERS][PATHS_BYTES], workers[PATHS_BROKERS][PATHS_BYTES]; /* the sockets of each */
    char to_workers[PATHS_LIST_BYTES];                                             /* all of them */
    char http[PATHS_BROKERS][UP_HTTP_ADDRESS];
    struct child *children; /* n in a row */
};

/* Their sockets in the folder; those of an earlier `ferret up` that had more are removed. */
MUST_CHECK enum status up_brokers_prepare(struct up_brokers *b, int n, const char *data, struct diag *why);
/* Adds them, with Redis' socket and, where http is not off, the pages at its first n ports. Borrows both. *n_args: how
 * many arguments each has so far. */
void up_brokers_add(struct up_brokers *b, struct children *c, const char *program, const char *redis_socket,
                    const struct up_http *http, int *n_args);
MUST_CHECK enum status up_brokers_start(const struct up_brokers *b, struct children *c, struct diag *why);

#endif
