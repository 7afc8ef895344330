/* Windows and OS/2 bitmaps, which libvips has no loader of its own for: 1 to 32 bits, palettes, bit fields, run
 * lengths, rows from either end. Inside of media; to be called in a confined process, like all decoding. */
#ifndef MEDIA_BMP_H
#define MEDIA_BMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct bmp {
    const uint8_t *bytes;
    size_t len;
    int width, height;
    bool top_down, has_alpha; /* has_alpha: a mask for it, and not 0 everywhere */
    /* inside */
    int bits, compression, palette_bytes; /* palette_bytes: 3 or 4 an entry */
    size_t palette_at, n_palette, pixels_at;
    uint32_t mask[4]; /* red, green, blue, alpha */
};

/* Reads the header alone. ST_FORMAT, ST_UNSUPPORTED (a JPEG or PNG inside). */
MUST_CHECK enum status bmp_open(const uint8_t *bytes, size_t len, struct bmp *out, struct diag *why);
/* All pixels as [height][width][4], red first; rows that are missing stay as they are in `rgba`. Returns the rows that
 * were there. */
int bmp_read(struct bmp *b, uint8_t *rgba);

#endif
