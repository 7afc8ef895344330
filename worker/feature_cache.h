/* What the vision tower made of images, kept on disk: another campaign with another prompt over the same images neither
 * decodes nor encodes them again. An entry is known by the image's content, how it was turned into pixels, and what
 * encoded it; so the folder may be shared by workers of any kind, and nothing in it is ever wrong, only unused.
 *
 *   DIR/ab/HASH   an entry: facts of the image, features, and a checksum over both; ab begins the hash
 *   DIR/ab/HASH.uri   worker/feature_index.h
 *
 * An entry that is damaged is one that is not there. Beyond the budget the entries that were not read for the longest
 * time go. Writing happens on a thread of the cache's own; where it can't keep up or the disk is full, entries are left
 * out: whoever reads them does their work again. Thread-safe. */
#ifndef WORKER_FEATURE_CACHE_H
#define WORKER_FEATURE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "media/image.h"
#include "model/engine.h"

struct feature_cache_options {
    const char *dir;
    uint64_t max_bytes;
    enum feature_type type;
    size_t count;      /* numbers an image: engine_feature_count */
    const char *maker; /* all that decides what features are: model, precision, device class, version */
};

struct feature_cache;
/* Makes the folder. ST_IO: it can't be written. The caller owns *out. */
MUST_CHECK enum status feature_cache_open(const struct feature_cache_options *o, struct feature_cache **out,
                                          struct diag *why);
void feature_cache_close(struct feature_cache *c); /* writes what was put; NULL is fine */

/* content: SHA-256 of the image's bytes. background: 3 bytes, what alpha is composited on. */
void feature_cache_key(const struct feature_cache *c, const uint8_t content[SHA256_BYTES],
                       enum image_policy_kind policy, const uint8_t *background, uint8_t key[SHA256_BYTES]);
/* Whether there is such an entry, for all that can be told without reading it. */
bool feature_cache_has(const struct feature_cache *c, const uint8_t key[SHA256_BYTES]);
/* True: *features (malloc'ed) and the facts of *image, which has no pixels. */
bool feature_cache_get(struct feature_cache *c, const uint8_t key[SHA256_BYTES], struct image *image, float **features);
/* Copies. */
void feature_cache_put(struct feature_cache *c, const uint8_t key[SHA256_BYTES], const struct image *image,
                       const float *features);

struct feature_cache_stats {
    uint64_t hits, misses, written, dropped, evicted;
    uint64_t unread; /* of hits, those whose source had not changed, so that nothing was read; the pipeline's */
};
void feature_cache_stats(struct feature_cache *c, struct feature_cache_stats *out);

#endif
