/* What a `ferret submit` came to, for people on stderr and as JSON. */
#ifndef CLI_SUBMIT_END_H
#define CLI_SUBMIT_END_H

#include "protocol/client.h"

struct submit_end {
    const char *campaign;
    uint64_t rejected;     /* inputs that are no job */
    uint64_t total_before; /* jobs of the campaign as it began */
    bool json;
};
/* Reads the campaign once more. *lost: accepted jobs that are not there any more, as after a failover of Redis to a
 * replica that had not heard of them; handed in again they are accepted anew. json: {"campaign","accepted",
 * "duplicates","finished","local","lost","rejected"}, one object on stdout. */
MUST_CHECK enum status submit_end_tell(const struct submit_end *e, struct client *client, uint64_t *lost,
                                       struct diag *why);

#endif
