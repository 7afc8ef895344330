/* Ids that were met, any number of them in flat memory (some 6 MiB): the newest in a table, all others in sorted runs
 * in files without a name, four of which become one. A filter tells most new ids without a look at the files; where it
 * is full, after some ten million, an id costs one read a run, of which there are a dozen. 43 bytes of file an id, and
 * as much again while runs are put together. One thread. */
#ifndef FORMATS_READ_SEEN_H
#define FORMATS_READ_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/limits.h"

enum { SEEN_TABLE_ROWS = 48 << 10 }; /* those that no file has yet, at most */

struct seen_row {
    uint8_t id[ID_BYTES]; /* spread evenly: an id is a hash */
    uint64_t job;         /* for the caller, as is `place`, which is never 0 */
    uint64_t place;
};

struct seen;
/* The caller owns *out: seen_free. */
MUST_CHECK enum status seen_new(struct seen **out);
void seen_free(struct seen *s); /* NULL is fine */
/* Remembers the row where its id is new; else *known, and *old is what was remembered under the id. ST_NOMEM; ST_IO:
 * the files have no room, or can't be read. After either the ids are of no further use. */
MUST_CHECK enum status seen_put(struct seen *s, const struct seen_row *row, bool *known, struct seen_row *old,
                                struct diag *why);

#endif
