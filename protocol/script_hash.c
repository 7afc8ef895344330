#include "protocol/script_hash.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* FIPS 180-4, section 6.1. */
enum { BLOCK = 64, WORDS = 5, ROUNDS = 80, LENGTH_AT = BLOCK - 8 };

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void add_block(uint32_t h[WORDS], const uint8_t *block)
{
    static const uint32_t constants[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t w[ROUNDS], v[WORDS];
    for (int t = 0; t < ROUNDS; t++)
        w[t] = t < 16 ? (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
                            (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3]
                      : rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    memcpy(v, h, sizeof v);
    for (int t = 0; t < ROUNDS; t++) {
        uint32_t b = v[1], c = v[2], d = v[3];
        uint32_t f = t < 20   ? (b & c) | (~b & d)
                     : t < 40 ? b ^ c ^ d
                     : t < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        uint32_t next = rotate(v[0], 5) + f + v[4] + constants[t / 20] + w[t];
        v[4] = d;
        v[3] = c;
        v[2] = rotate(b, 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (int i = 0; i < WORDS; i++)
        h[i] += v[i];
}

void script_hash(const void *text, size_t len, char hex[SCRIPT_HASH_HEX])
{
    uint32_t h[WORDS] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const uint8_t *at = text;
    uint8_t last[2 * BLOCK] = {0};
    size_t left = len;
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK)
        add_block(h, at);
    if (left)
        memcpy(last, at, left);
    last[left] = 0x80;
    size_t end = left < LENGTH_AT ? BLOCK : 2 * BLOCK;
    for (size_t i = 0; i < 8; i++)
        last[end - 1 - i] = (uint8_t)((uint64_t)len * 8 >> 8 * i);
    add_block(h, last);
    if (end > BLOCK)
        add_block(h, last + BLOCK);
    for (int i = 0; i < WORDS; i++)
        snprintf(hex + 8 * i, 9, "%08x", h[i]);
}
