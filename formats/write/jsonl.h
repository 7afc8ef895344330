/* Records as lines of JSON: appended whole, one write a line. A file that ends in half a line (the writer was killed)
 * is cut back to its last whole one when it is opened again. One thread. */
#ifndef FORMATS_WRITE_JSONL_H
#define FORMATS_WRITE_JSONL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct jsonl;
/* path "-" is stdout. append: keep what is there; else the file begins empty. Missing folders above are made. The
 * caller owns *out: jsonl_close. */
MUST_CHECK enum status jsonl_open(const char *path, bool append, struct jsonl **out, struct diag *why);
/* text: one JSON value without newlines, not necessarily terminated. */
/* ST_CANCELLED without a sentence: a pipe's reader left. ST_IO: what a file got of the line is cut off again. */
MUST_CHECK enum status jsonl_put(struct jsonl *f, const char *text, size_t len, struct diag *why);
/* Behind this, what was put is on disk (nothing to do for a terminal or a pipe). */
MUST_CHECK enum status jsonl_sync(struct jsonl *f, struct diag *why);
void jsonl_close(struct jsonl *f); /* NULL is fine; does not sync */

#endif
