/* The zip container as PyTorch writes it: stored entries, read in place; zip64 too. Compressed or encrypted entries are
 * refused by name. Knows no file, only bytes. */
#ifndef MODEL_ZIP_H
#define MODEL_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct zip_entry {
    const char *name; /* points into the archive, not terminated */
    size_t name_len;
    const uint8_t *data; /* points into the archive */
    size_t size;
    uint32_t crc; /* as recorded; zip_check compares */
};

struct zip {
    struct zip_entry *entries; /* sorted by name */
    size_t n;
};

/* Reads the directory of bytes[0..size). Every entry lies inside, none overlaps another, no name occurs twice. `file`
 * names the source in messages. */
MUST_CHECK enum status zip_open(const void *bytes, size_t size, const char *file, struct zip *out, struct diag *why);
void zip_close(struct zip *z);
const struct zip_entry *zip_find(const struct zip *z, const char *name, size_t name_len);
/* Compares the entry's bytes with its recorded CRC-32. */
MUST_CHECK enum status zip_check(const struct zip_entry *e, const char *file, struct diag *why);

#endif
