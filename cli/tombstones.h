/* What was forgotten at the broker (`ferret admin forget`): exports leave it out, also of what they wrote before. */
#ifndef CLI_TOMBSTONES_H
#define CLI_TOMBSTONES_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/client.h"

struct tombstones {
    char **needles; /* how each stands in a record */
    size_t n;
    uint64_t cursor; /* read so far */
};
/* Reads what is new; *more (may be NULL): there was something. ST_NOMEM, and what client_entries gives. */
MUST_CHECK enum status tombstones_read(struct tombstones *t, struct client *client, bool *more, struct diag *why);
bool tombstones_hit(const struct tombstones *t, const char *record, size_t len);
/* What stands in a file in place of a record that was there; malloc'ed, NULL when memory is short. */
char *tombstones_stub(void);
void tombstones_fini(struct tombstones *t);

#endif
