/* Where the members of a tar archive lie: ustar, GNU and pax headers, read at places rather than through, so that an
 * archive on another machine costs a few requests. Memory: one window of the archive and one name. One thread. */
#ifndef FORMATS_READ_TAR_H
#define FORMATS_READ_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Reads up to `want` bytes at `offset`; fewer at the end only, none behind it. */
typedef enum status (*tar_read_fn)(void *ctx, uint64_t offset, size_t want, uint8_t *room, size_t *got,
                                   struct diag *why);

struct tar_member {
    const char *name; /* as in the archive, without "./" in front; borrowed until the next call */
    uint64_t offset;  /* of its bytes */
    uint64_t size;
};

struct tar;
MUST_CHECK enum status tar_open(tar_read_fn read, void *ctx, struct tar **out);
void tar_close(struct tar *t); /* NULL is fine */
/* The next regular file of the archive. ST_CLOSED behind the last one. ST_FORMAT: no tar, damaged, a compressed one;
 * ST_UNSUPPORTED: a sparse member, behind which the reading can go on; ST_LIMIT: a name that is too long, likewise;
 * others are read's. */
MUST_CHECK enum status tar_next(struct tar *t, struct tar_member *out, struct diag *why);

#endif
