/* The picture behind a record, for the campaign's page: the very bytes that a worker decoded, where this broker may
 * read them, as they are. Nothing is decoded here, and nothing is fetched over a network.
 *
 * A record names a file; what is handed out has to lie under one of the broker's own roots, to have the SHA-256 that
 * the record states (so it is what a worker took for an image, and no other file), and to be of a format of browsers.
 * One thread. */
#ifndef BROKER_PICTURES_H
#define BROKER_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

struct pictures;
/* roots: "NAME=/ABSOLUTE/DIR" each. Open before other threads start. */
MUST_CHECK enum status pictures_open(const char *const *roots, int n, struct pictures **out, struct diag *why);
void pictures_close(struct pictures *p); /* NULL is fine */

struct picture {
    const char *type; /* "image/png", static */
    uint8_t *bytes;   /* malloc'ed, the caller owns it */
    size_t len;
};
/* Not ST_OK: why says, to whoever looks, why there is no picture. */
MUST_CHECK enum status pictures_read(const struct pictures *p, const struct json *record, struct picture *out,
                                     struct diag *why);

#endif
