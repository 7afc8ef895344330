/* `ferret export -o DIR`: a campaign's records into a folder of parts (formats/write/parts.h), going on where an
 * earlier run was. With follow they leave Redis for good: each is on disk before it is deleted at the broker; so it is
 * in the files once, however often and wherever this is killed. */
#ifndef CLI_COLLECT_H
#define CLI_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/client.h"

struct collect_options {
    const char *dir, *campaign;
    uint64_t part_bytes;
    int shards;
    bool follow; /* until the campaign is complete, and delete what is on disk; else what there is now */
    bool json;   /* at the end {"campaign","records","cursor","completed"} on stdout */
};
/* follow: until the campaign is complete (or cancelled and at rest), or SIGINT or SIGTERM comes; *signal says which. A
 * broker that is away is waited for. Every orderly end leaves whole parts and a manifest. ST_REFUSED: the folder is
 * another campaign's; with follow too: somebody else took records out. */
MUST_CHECK enum status collect_run(struct client *client, const struct collect_options *o, int *signal,
                                   struct diag *why);

#endif
