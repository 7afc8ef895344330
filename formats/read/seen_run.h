/* Rows of seen.h in a file without a name, sorted by id, so laid out that one read finds an id: its row is in the page
 * that the id's first bits come to, or, where that is full, in the next one. One thread. */
#ifndef FORMATS_READ_SEEN_RUN_H
#define FORMATS_READ_SEEN_RUN_H

#include "formats/read/seen.h"

struct seen_run;
/* Begins a run of n rows. The caller owns *out: seen_run_free. ST_IO, ST_NOMEM, as from all of these. */
MUST_CHECK enum status seen_run_new(uint64_t n, struct seen_run **out, struct diag *why);
void seen_run_free(struct seen_run *r); /* NULL is fine */
/* The next row, in the order of their ids; seen_run_end behind the last one, before anything is read. */
MUST_CHECK enum status seen_run_add(struct seen_run *r, const struct seen_row *row, struct diag *why);
MUST_CHECK enum status seen_run_end(struct seen_run *r, struct diag *why);
/* Copies the id's row to *out, where there is one. */
MUST_CHECK enum status seen_run_find(const struct seen_run *r, const uint8_t id[ID_BYTES], bool *found,
                                     struct seen_row *out, struct diag *why);
/* One run with the rows of all of them, which stay the caller's. No id is in two of them. */
MUST_CHECK enum status seen_run_merge(struct seen_run *const *runs, int n, struct seen_run **out, struct diag *why);

#endif
