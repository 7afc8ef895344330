/* Which content an image had when it was read last, kept beside the features (worker/feature_cache.h): where its source
 * says that it has not changed since, it is known without being read.
 *
 *   DIR/ab/HASH.uri   by the hash of the image's address: the SHA-256 of its bytes, and the stamp of its source
 *
 * No model matters here, so the folder's workers of all kinds share it. An entry that is damaged is one that is not
 * there. The folder's budget counts entries too. Thread-safe. */
#ifndef WORKER_FEATURE_INDEX_H
#define WORKER_FEATURE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"
#include "media/fetch.h"

#define FEATURE_INDEX_ENDING ".uri"

bool feature_index_find(const char *dir, const char *uri, struct fetch_stamp *stamp, uint8_t content[SHA256_BYTES]);
/* A disk that is full costs the entry and nothing else. */
void feature_index_put(const char *dir, const char *uri, const struct fetch_stamp *stamp,
                       const uint8_t content[SHA256_BYTES]);

#endif
