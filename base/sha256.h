/* SHA-256 (FIPS 180-4): incremental and in one call. Plain data, no allocation, any thread. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 65 }; /* digest; its text with the NUL */

struct sha256 {
    uint32_t state[8];
    uint64_t bytes; /* fed so far */
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t len);
void sha256_end(struct sha256 *s, uint8_t digest[SHA256_BYTES]); /* s needs sha256_init before it is used again */

void sha256_of(const void *bytes, size_t len, uint8_t digest[SHA256_BYTES]);
uint64_t sha256_number(const char *text); /* the digest's first 64 bits in this machine's order, as a key in memory */
void sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX]); /* lower case, terminated */
/* What sha256_hex wrote, from the first 64 letters of text. False, digest untouched: they are others, or fewer. */
bool sha256_from_hex(const char *text, uint8_t digest[SHA256_BYTES]);

#endif
