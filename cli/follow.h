/* `ferret export --follow`: records leave Redis for good. They are appended to files (formats/write/segments.h),
 * synced, and only then deleted at the broker; so each is in the files once, however often and wherever this is killed.
 */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/client.h"

struct follow_options {
    const char *dir, *campaign;
    uint64_t segment_bytes;
    bool json; /* at the end {"campaign","records","cursor","completed"} on stdout */
};
/* Until the campaign is complete (or cancelled and at rest), or SIGINT or SIGTERM comes: then what was written is
 * committed, and *signal says which. A broker that is away is waited for. ST_REFUSED: somebody else took records out,
 * or the folder is another campaign's. */
MUST_CHECK enum status follow_run(struct client *client, const struct follow_options *o, int *signal, struct diag *why);

#endif
