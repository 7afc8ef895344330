/* Some records out of many, chosen by the hash of their ids: the same ones whatever the order is in which records come,
 * and still those that are left of them when there are more records. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/status.h"

struct sample {
    uint8_t key[SHA256_BYTES]; /* of its id: the smallest ones stay */
    struct json *record;
};
struct samples {
    struct sample *list; /* ascending by key */
    size_t n, most;
};
MUST_CHECK enum status samples_init(struct samples *s, size_t most);
MUST_CHECK enum status samples_add(struct samples *s, const struct json *record);
void samples_fini(struct samples *s);

#endif
