/* Lines of a text file that may be compressed (gzip, zstd; told by its first bytes), one at a time, in flat memory. One
 * thread. A byte order mark in front of the first line is no part of it. */
#ifndef FORMATS_READ_LINES_H
#define FORMATS_READ_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct lines;
/* path "-" is stdin. ST_MISSING, ST_IO (folders too); ST_FORMAT: compressed, and not well-formed. */
MUST_CHECK enum status lines_open(const char *path, size_t max_line, struct lines **out, struct diag *why);
void lines_close(struct lines *l); /* NULL is fine */

struct line {
    const char *text; /* borrowed until the next call; without the newline, not terminated */
    size_t len;
    bool too_long;   /* over max_line: text is its beginning */
    uint64_t number; /* from 1 */
    uint64_t offset; /* uncompressed bytes up to behind its newline */
};
/* ST_CLOSED behind the last one. After ST_IO or ST_FORMAT nothing more comes. */
MUST_CHECK enum status lines_next(struct lines *l, struct line *out, struct diag *why);
/* Before the first lines_next: begins at `offset`, which lies behind a newline. What is passed over is read all the
 * same, so that lines keep their numbers. ST_INVALID: the file is shorter. */
MUST_CHECK enum status lines_seek(struct lines *l, uint64_t offset, struct diag *why);

#endif
