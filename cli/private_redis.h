/* The Redis of a `ferret up`: no TCP port, a Unix socket and an append-only file in the data folder, every write
 * synced before it is answered. */
#ifndef CLI_PRIVATE_REDIS_H
#define CLI_PRIVATE_REDIS_H

#include <stdint.h>

#include "base/status.h"
#include "cli/children.h"
#include "protocol/paths.h"

struct private_redis {
    char socket[PATHS_BYTES];
    char dir[PATHS_BYTES]; /* of the append-only file */
    char log_file[PATHS_BYTES];
    char max_memory[24];
    int lock_fd; /* held by server and broker too, so that two never write one file or bind one socket */
};

/* Makes the folder, takes the lock (waits a while for a server whose `ferret up` was killed) and fills in the child's
 * argv, which borrows from *r. */
MUST_CHECK enum status private_redis_prepare(const char *data_dir, const char *program, int64_t max_memory,
                                             struct private_redis *r, struct child *child, struct diag *why);
/* ST_OK: it answers; ST_BUSY: it is reading its file; ST_CLOSED: nobody listens yet. */
MUST_CHECK enum status private_redis_ping(const struct private_redis *r);
void private_redis_fini(struct private_redis *r);

#endif
