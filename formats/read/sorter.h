/* Rows by number, more than memory holds: sorted in runs that wait in a file without a name. Rows of one number come
 * out in the order in which they went in. Memory: one run, or a block of each run while they are read. One thread. */
#ifndef FORMATS_READ_SORTER_H
#define FORMATS_READ_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { SORTER_ROW_BYTES = 1 << 20 };

struct sorter;
MUST_CHECK enum status sorter_new(struct sorter **out);
void sorter_free(struct sorter *s); /* NULL is fine */
/* Before the first sorter_next. ST_IO: the file (nameless_file.h); ST_LIMIT: a row over SORTER_ROW_BYTES. */
MUST_CHECK enum status sorter_put(struct sorter *s, uint64_t number, const void *row, size_t len, struct diag *why);
/* The next row, borrowed until the next call. ST_CLOSED behind the last one. */
MUST_CHECK enum status sorter_next(struct sorter *s, uint64_t *number, const void **row, size_t *len, struct diag *why);

#endif
