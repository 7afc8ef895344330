/* A file of lines, compressed (zstd) as they come: one frame, so that any reader of the format takes it whole. The
 * frame stays open over packed_sync; a file whose writer was killed is ended where it was last synced (packed_seal).
 * One thread. The only writer that knows libzstd. */
#ifndef FORMATS_WRITE_PACKED_H
#define FORMATS_WRITE_PACKED_H

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"

struct packed_state {
    uint64_t bytes; /* of the file */
    uint8_t digest[SHA256_BYTES];
};

struct packed;
/* Begins the file empty. The caller owns *out: packed_close. */
MUST_CHECK enum status packed_create(const char *path, struct packed **out, struct diag *why);
/* The text and a newline. ST_IO: what the file has beyond its last sync is void. */
MUST_CHECK enum status packed_put(struct packed *f, const char *text, size_t len, struct diag *why);
/* Behind this, what was put is on disk and can be read back from the first *bytes of the file. */
MUST_CHECK enum status packed_sync(struct packed *f, uint64_t *bytes, struct diag *why);
/* Ends the frame; the file is on disk, and *end says what it is. Nothing may be put any more. */
MUST_CHECK enum status packed_end(struct packed *f, struct packed_state *end, struct diag *why);
void packed_close(struct packed *f); /* NULL is fine; neither syncs nor ends */

/* Makes a whole file of the first `bytes` of one that was synced there and never ended. May be killed and repeated. */
MUST_CHECK enum status packed_seal(const char *path, uint64_t bytes, struct packed_state *end, struct diag *why);
/* Size and SHA-256 of any file. ST_MISSING, ST_IO. */
MUST_CHECK enum status packed_look(const char *path, struct packed_state *out, struct diag *why);

#endif
