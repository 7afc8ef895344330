/* Records that leave a queue for good: appended to numbered files of JSON lines, a place beside them that says how far.
 *
 *   DIR/records-000001.jsonl ...   DIR/place.json   DIR/lock
 *
 * segments_commit syncs what was put, then replaces place.json: what stands behind the place was never committed, and
 * is cut off when the folder is opened again. So whoever deletes records at their source only up to a committed cursor
 * has each of them exactly once, wherever it was killed. One thread; one writer a folder. */
#ifndef FORMATS_WRITE_SEGMENTS_H
#define FORMATS_WRITE_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct segments;
/* source: what the records come from; a folder keeps those of one source (ST_REFUSED names the other). segment_bytes: a
 * file of that size is followed by a new one. ST_REFUSED too: another writer has the folder. The caller owns *out:
 * segments_close. */
MUST_CHECK enum status segments_open(const char *dir, const char *source, uint64_t segment_bytes, struct segments **out,
                                     struct diag *why);
uint64_t segments_cursor(const struct segments *s); /* as last committed; 0 in a new folder */
/* text: one JSON value without newlines. ST_IO: nothing of it is there. */
MUST_CHECK enum status segments_put(struct segments *s, const char *text, size_t len, struct diag *why);
/* Behind this everything put so far is on disk, and `cursor` is where the reader goes on. */
MUST_CHECK enum status segments_commit(struct segments *s, uint64_t cursor, struct diag *why);
void segments_close(struct segments *s); /* NULL is fine; what was not committed is dropped by the next open */

/* Calls fn for each line of each file, in order. A line that fn wants replaced (*out malloc'ed, no newline, not longer
 * than the old one) keeps its length, filled up with spaces: so places stay right, and the file can be written anew and
 * renamed. Only right after open or a commit. */
typedef enum status (*segments_line_fn)(void *ctx, const char *text, size_t len, char **out, struct diag *why);
MUST_CHECK enum status segments_rewrite(struct segments *s, segments_line_fn fn, void *ctx, struct diag *why);

#endif
