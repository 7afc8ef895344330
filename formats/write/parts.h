/* Records in a folder, for good: compressed parts, and at the end a manifest that says what they are.
 *
 *   DIR/part-00000.jsonl.zst ...     what was annotated, wholly or in part
 *   DIR/errors-00000.jsonl.zst ...   what failed
 *   DIR/_manifest.json               counts, models, policies, and the SHA-256 of every file; there while all of it
 * holds DIR/_place.json   DIR/_lock      for the writer; NAME.tmp is a file that is written
 *
 * parts_commit syncs what was put, then replaces _place.json. What stands behind the place was never committed: the
 * next parts_open drops it, and makes a part of what was. So whoever deletes records at their source only up to a
 * committed cursor has each of them exactly once, wherever it was killed. With several shards a record's id says which
 * one it is in: part-K belongs to shard K mod N. One thread; one writer a folder. */
#ifndef FORMATS_WRITE_PARTS_H
#define FORMATS_WRITE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "protocol/campaign.h"

enum { PARTS_SHARDS = 256 }; /* at most */

struct parts_options {
    const char *dir;
    const char *source;  /* what the records come from; a folder keeps those of one source */
    uint64_t part_bytes; /* of uncompressed text, at which a part ends */
    int shards;          /* 1 .. PARTS_SHARDS */
};

struct parts;
/* ST_REFUSED: another writer has the folder, or it is another source's or was begun with another number of shards.
 * ST_FORMAT: files are missing or shorter than committed. The caller owns *out: parts_close. */
MUST_CHECK enum status parts_open(const struct parts_options *o, struct parts **out, struct diag *why);
const struct result_cursor *parts_cursor(const struct parts *p); /* as last committed; zero in a new folder */
/* text: a record without newlines, and the same parsed. After an error only parts_close. */
MUST_CHECK enum status parts_put(struct parts *p, const struct json *record, const char *text, size_t len,
                                 struct diag *why);
/* Behind this everything put so far is on disk, and *cursor is where the reader goes on. */
MUST_CHECK enum status parts_commit(struct parts *p, const struct result_cursor *cursor, struct diag *why);
/* Commits, ends all parts and writes the manifest. complete: nothing will follow. More may be put all the same; the
 * manifest is gone then until the next parts_finish. */
MUST_CHECK enum status parts_finish(struct parts *p, const struct result_cursor *cursor, bool complete,
                                    struct diag *why);
void parts_close(struct parts *p); /* NULL is fine; what was not committed is dropped */

/* Takes out of every file the lines for which fn says so. Only right after open or a commit. */
typedef bool (*parts_drop_fn)(void *ctx, const char *text, size_t len);
MUST_CHECK enum status parts_drop(struct parts *p, parts_drop_fn fn, void *ctx, struct diag *why);

#endif
