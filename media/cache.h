/* What was fetched from elsewhere, kept in a folder that any number of processes may share: a file an entry, named by
 * the hash of its key, with the hash of its content in front, so that a damaged or half-written one is no entry. The
 * least recently used ones go when a budget of bytes is full. Thread-safe. */
#ifndef MEDIA_CACHE_H
#define MEDIA_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "media/fetch.h"

struct cache;
/* Makes the folder, for its owner only. ST_IO, ST_REFUSED: it cannot be one. */
MUST_CHECK enum status cache_open(const char *folder, int64_t max_bytes, struct cache **out, struct diag *why);
void cache_close(struct cache *c); /* NULL is fine */
/* ST_MISSING: no such entry. The caller owns *out: bytes_fini. */
MUST_CHECK enum status cache_get(struct cache *c, const char *key, struct bytes *out);
/* Keeps a copy where there is room; a disk that is full or a folder that is gone costs the entry and nothing else. */
void cache_put(struct cache *c, const char *key, const struct bytes *bytes);

#endif
