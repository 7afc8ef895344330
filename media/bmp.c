#include "media/bmp.h"

#include <string.h>

enum {
    FILE_HEADER = 14,
    CORE_HEADER = 12, /* OS/2 1.x; its palette has 3 bytes an entry */
    INFO_HEADER = 40,
    MASKS_INSIDE = 52, /* from here on a header has masks of its own, from 56 on one for alpha */
    ALPHA_INSIDE = 56,
    LARGEST_HEADER = 124,
    RAW = 0,
    RLE8 = 1,
    RLE4 = 2,
    BITFIELDS = 3,
    ALPHABITFIELDS = 6,
};

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

/* ---- header --------------------------------------------------------------------------------------------------------
 */

static bool pair_is_known(int bits, int compression)
{
    switch (compression) {
    case RAW: return bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
    case RLE8: return bits == 8;
    case RLE4: return bits == 4;
    case BITFIELDS:
    case ALPHABITFIELDS: return bits == 16 || bits == 32;
    default: return false;
    }
}

static void default_masks(struct bmp *b)
{
    static const uint32_t five[] = {0x7C00, 0x03E0, 0x001F, 0}, eight[] = {0xFF0000, 0xFF00, 0xFF, 0};
    memcpy(b->mask, b->bits == 16 ? five : eight, sizeof b->mask);
}

/* Masks stand in the header, or behind one that has no room for them. */
static bool read_masks(struct bmp *b, size_t header)
{
    default_masks(b);
    if (b->compression != BITFIELDS && b->compression != ALPHABITFIELDS)
        return true;
    bool alpha = b->compression == ALPHABITFIELDS || header >= ALPHA_INSIDE;
    int n = alpha ? 4 : 3;
    if (FILE_HEADER + INFO_HEADER + 4 * (size_t)n > b->len)
        return false;
    for (int i = 0; i < n; i++)
        b->mask[i] = u32(b->bytes + FILE_HEADER + INFO_HEADER + 4 * i);
    if (header < MASKS_INSIDE)
        b->palette_at += 4 * (size_t)n;
    return true;
}

static enum status read_sizes(struct bmp *b, size_t header, struct diag *why)
{
    const uint8_t *h = b->bytes + FILE_HEADER;
    int64_t height;
    uint32_t colours = 0;
    if (header == CORE_HEADER) {
        b->width = (int)u16(h + 4);
        height = u16(h + 6);
        b->bits = (int)u16(h + 10);
    } else {
        int32_t width = (int32_t)u32(h + 4);
        b->width = width;
        height = (int32_t)u32(h + 8);
        b->bits = (int)u16(h + 14);
        b->compression = u32(h + 16) < 16 ? (int)u32(h + 16) : -1;
        colours = u32(h + 32);
    }
    b->top_down = height < 0;
    height = height < 0 ? -height : height;
    if (b->width < 1 || height < 1 || height > INT32_MAX)
        return diag_set(why, ST_FORMAT, "sizes of %d x %lld", b->width, (long long)height);
    b->height = (int)height;
    if (b->compression == 4 || b->compression == 5)
        return diag_set(why, ST_UNSUPPORTED, "a %s inside a bitmap", b->compression == 4 ? "JPEG" : "PNG");
    if (!pair_is_known(b->bits, b->compression))
        return diag_set(why, ST_FORMAT, "%d bits in compression %d", b->bits, b->compression);
    b->n_palette = b->bits > 8 ? 0 : colours > 0 && colours < 1U << b->bits ? colours : (size_t)1 << b->bits;
    return ST_OK;
}

enum status bmp_open(const uint8_t *bytes, size_t len, struct bmp *out, struct diag *why)
{
    struct bmp b = {.bytes = bytes, .len = len};
    if (len < FILE_HEADER + CORE_HEADER)
        return diag_set(why, ST_FORMAT, "the header breaks off");
    size_t header = u32(bytes + FILE_HEADER);
    b.pixels_at = u32(bytes + 10);
    bool known = header == CORE_HEADER || (header >= INFO_HEADER && header <= LARGEST_HEADER);
    if (!known || FILE_HEADER + header > len)
        return diag_set(why, ST_FORMAT, "a header of %zu bytes", header);
    b.palette_at = FILE_HEADER + header;
    enum status s = read_sizes(&b, header, why);
    if (s != ST_OK)
        return s;
    if (!read_masks(&b, header))
        return diag_set(why, ST_FORMAT, "the header breaks off");
    b.palette_bytes = header == CORE_HEADER ? 3 : 4;
    size_t room = b.palette_at < len ? (len - b.palette_at) / (size_t)b.palette_bytes : 0;
    b.n_palette = b.n_palette < room ? b.n_palette : room;
    if (b.pixels_at < b.palette_at || b.pixels_at > len)
        return diag_set(why, ST_FORMAT, "pixels at byte %zu of %zu", b.pixels_at, len);
    b.has_alpha = b.mask[3] != 0;
    *out = b;
    return ST_OK;
}

/* ---- pixels --------------------------------------------------------------------------------------------------------
 */

static void put_index(const struct bmp *b, uint32_t index, uint8_t *rgba)
{
    const uint8_t *p = b->bytes + b->palette_at + index * (size_t)b->palette_bytes;
    bool there = index < b->n_palette;
    for (int c = 0; c < 3; c++)
        rgba[c] = there ? p[2 - c] : 0;
    rgba[3] = 255;
}

/* The bits under a mask, scaled to 0..255. */
static uint8_t under(uint32_t value, uint32_t mask)
{
    if (mask == 0)
        return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift, v = (value & mask) >> shift;
    return (uint8_t)((v * 255 + most / 2) / most);
}

static void put_masked(const struct bmp *b, uint32_t value, uint8_t *rgba)
{
    for (int c = 0; c < 3; c++)
        rgba[c] = under(value, b->mask[c]);
    rgba[3] = b->mask[3] ? under(value, b->mask[3]) : 255;
}

static void read_raw_row(const struct bmp *b, const uint8_t *row, uint8_t *rgba)
{
    for (int x = 0; x < b->width; x++, rgba += 4) {
        switch (b->bits) {
        case 1: put_index(b, (uint32_t)row[x >> 3] >> (7 - (x & 7)) & 1, rgba); break;
        case 4: put_index(b, (uint32_t)row[x >> 1] >> (x & 1 ? 0 : 4) & 15, rgba); break;
        case 8: put_index(b, row[x], rgba); break;
        case 16: put_masked(b, u16(row + 2 * (size_t)x), rgba); break;
        case 24:
            for (int c = 0; c < 3; c++)
                rgba[c] = row[3 * (size_t)x + 2 - (size_t)c];
            rgba[3] = 255;
            break;
        default: put_masked(b, u32(row + 4 * (size_t)x), rgba); break;
        }
    }
}

static uint8_t *row_of(const struct bmp *b, uint8_t *rgba, int from_start)
{
    int y = b->top_down ? from_start : b->height - 1 - from_start;
    return rgba + (size_t)y * (size_t)b->width * 4;
}

static int read_raw(const struct bmp *b, uint8_t *rgba)
{
    size_t stride = ((size_t)b->width * (size_t)b->bits + 31) / 32 * 4, at = b->pixels_at;
    size_t needed = ((size_t)b->width * (size_t)b->bits + 7) / 8; /* the last row may lack its padding */
    int y = 0;
    for (; y < b->height && at <= b->len && b->len - at >= needed; y++, at += stride)
        read_raw_row(b, b->bytes + at, row_of(b, rgba, y));
    return y;
}

struct pen {
    int x, y; /* y from the file's first row on; x at most the width */
};

static void put_run(const struct bmp *b, struct pen *pen, uint32_t index, uint8_t *rgba)
{
    if (pen->x < b->width && pen->y < b->height)
        put_index(b, index, row_of(b, rgba, pen->y) + 4 * (size_t)pen->x);
    pen->x += pen->x < b->width;
}

/* `n` pixels as they stand. Returns the bytes that they take, padded to two; 0: they are not there. */
static size_t read_literal(const struct bmp *b, size_t at, int n, struct pen *pen, uint8_t *rgba)
{
    size_t bytes = b->bits == 8 ? (size_t)n : ((size_t)n + 1) / 2;
    if (bytes > b->len - at)
        return 0;
    for (int i = 0; i < n; i++) {
        uint8_t byte = b->bytes[at + (b->bits == 8 ? (size_t)i : (size_t)i / 2)];
        put_run(b, pen, b->bits == 8 ? byte : i % 2 ? byte & 15U : (uint32_t)byte >> 4, rgba);
    }
    return bytes + bytes % 2;
}

/* Pixels that are skipped are those of index 0. */
static int read_runs(const struct bmp *b, uint8_t *rgba)
{
    struct pen pen = {0, 0};
    size_t at = b->pixels_at;
    for (size_t i = 0; i < (size_t)b->width * (size_t)b->height; i++)
        put_index(b, 0, rgba + 4 * i);
    while (at + 2 <= b->len && pen.y < b->height) {
        int count = b->bytes[at], value = b->bytes[at + 1];
        at += 2;
        if (count > 0) {
            for (int i = 0; i < count; i++)
                put_run(b, &pen, b->bits == 8 ? (uint32_t)value : (uint32_t)(i % 2 ? value & 15 : value >> 4), rgba);
        } else if (value == 0) {
            pen = (struct pen){0, pen.y + 1};
        } else if (value == 1) {
            return b->height;
        } else if (value == 2) {
            if (at + 2 > b->len)
                break;
            pen.x = pen.x + b->bytes[at] < b->width ? pen.x + b->bytes[at] : b->width;
            pen.y += b->bytes[at + 1];
            at += 2;
        } else {
            size_t taken = read_literal(b, at, value, &pen, rgba);
            if (taken == 0)
                break;
            at += taken;
        }
    }
    return pen.y < b->height ? pen.y : b->height;
}

int bmp_read(struct bmp *b, uint8_t *rgba)
{
    int rows = b->compression == RLE8 || b->compression == RLE4 ? read_runs(b, rgba) : read_raw(b, rgba);
    size_t n = (size_t)b->width * (size_t)b->height;
    bool clear = b->has_alpha && rows == b->height;
    for (size_t i = 0; i < n && clear; i++)
        clear = rgba[4 * i + 3] == 0;
    if (clear) { /* a mask for alpha that nobody wrote anything into */
        b->has_alpha = false;
        for (size_t i = 0; i < n; i++)
            rgba[4 * i + 3] = 255;
    }
    return rows;
}
