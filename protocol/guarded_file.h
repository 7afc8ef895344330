/* Small files on which safety hangs: secrets, which nobody else may read, and lists of who may do what, which nobody
 * else may write. */
#ifndef PROTOCOL_GUARDED_FILE_H
#define PROTOCOL_GUARDED_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum guard {
    GUARD_SECRET, /* its owner alone reads it; one of root's may be read by a group too, as containers mount them */
    GUARD_TRUST,  /* its owner alone writes it */
};

/* *text malloc'ed, with a NUL behind it. ST_REFUSED: others can read, or write, it; the sentence says what to do.
 * ST_MISSING, ST_IO, ST_LIMIT (over max bytes). */
MUST_CHECK enum status guarded_file_read(const char *path, enum guard guard, size_t max, char **text, size_t *len,
                                         struct diag *why);
/* Writes a file whole or not at all (mode 0600 or 0644) and syncs it. ST_REFUSED: it is there, and replace was not
 * said. */
MUST_CHECK enum status guarded_file_write(const char *path, enum guard guard, const char *text, size_t len,
                                          bool replace, struct diag *why);

#endif
