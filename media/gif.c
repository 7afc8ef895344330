#include "media/gif.h"

#include <stdbool.h>

enum { MAX_CODE_BITS = 12, MAX_CODES = 1 << MAX_CODE_BITS };

/* Bits of a chain of blocks, lowest first. */
struct reader {
    const uint8_t *bytes;
    size_t at, end; /* of the bytes; at: the next one */
    unsigned left;  /* bytes of the block that is being read */
    uint32_t held;  /* bits that were read and not taken */
    int n_held;
};

/* -1: the chain ends. */
static int take_code(struct reader *r, int bits)
{
    while (r->n_held < bits) {
        if (r->left == 0 && r->at < r->end)
            r->left = r->bytes[r->at++];
        if (r->left == 0 || r->at >= r->end)
            return -1;
        r->held |= (uint32_t)r->bytes[r->at++] << r->n_held;
        r->n_held += 8;
        r->left--;
    }
    int code = (int)(r->held & ((1u << bits) - 1));
    r->held >>= bits;
    r->n_held -= bits;
    return code;
}

/* Pixels that the codes stand for, counted until there are `wanted`. */
static uint64_t count_pixels(struct reader *r, int root_bits, uint64_t wanted)
{
    uint32_t length[MAX_CODES]; /* pixels that a code stands for */
    const int clear = 1 << root_bits;
    int bits = root_bits + 1, next = clear + 2, before = -1;
    uint64_t n = 0;
    for (int i = 0; i < clear; i++)
        length[i] = 1;
    while (n < wanted) {
        int code = take_code(r, bits);
        if (code < 0 || code == clear + 1)
            break;
        if (code == clear) {
            bits = root_bits + 1;
            next = clear + 2;
            before = -1;
            continue;
        }
        bool grows = before >= 0 && next < MAX_CODES;
        if (code > next || (code == next && !grows) || (before < 0 && code >= clear))
            break;
        if (grows) {
            length[next++] = length[before] + 1;
            if (next == 1 << bits && bits < MAX_CODE_BITS)
                bits++;
        }
        n += length[code];
        before = code;
    }
    return n < wanted ? n : wanted;
}

static size_t palette_bytes(uint8_t flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* Behind a chain of blocks. */
static size_t skip_blocks(const uint8_t *bytes, size_t len, size_t at)
{
    while (at < len && bytes[at] > 0)
        at += 1 + (size_t)bytes[at];
    return at + 1;
}

int gif_rows(const uint8_t *bytes, size_t len, int *rows)
{
    enum { SCREEN_BYTES = 13, FRAME_BYTES = 10, EXTENSION = 0x21, FRAME = 0x2C, MAX_ROOT_BITS = 8 };
    *rows = 0;
    size_t at = SCREEN_BYTES + (len >= SCREEN_BYTES ? palette_bytes(bytes[10]) : 0);
    while (at + 1 < len && bytes[at] == EXTENSION)
        at = skip_blocks(bytes, len, at + 2);
    if (at + FRAME_BYTES > len || bytes[at] != FRAME)
        return 0;
    const uint8_t *frame = bytes + at;
    int width = frame[5] | frame[6] << 8, height = frame[7] | frame[8] << 8;
    at += FRAME_BYTES + palette_bytes(frame[9]);
    int root_bits = at < len ? bytes[at] : 0;
    if (width == 0 || root_bits < 1 || root_bits > MAX_ROOT_BITS)
        return 0;
    struct reader r = {.bytes = bytes, .at = at + 1, .end = len};
    *rows = height;
    return (int)(count_pixels(&r, root_bits, (uint64_t)width * (uint64_t)height) / (uint64_t)width);
}
