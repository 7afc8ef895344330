/* Inside of SHA-256: its rounds in plain C, and by the processor's own instructions. */
#ifndef BASE_SHA256_IMPL_H
#define BASE_SHA256_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feeds n blocks of 64 bytes. */
void sha256_blocks_plain(uint32_t state[8], const uint8_t *blocks, size_t n);
/* Whether this processor has the SHA extensions. */
bool sha256_has_instructions(void);
/* The same, only where it has them. k: the 64 round constants. */
void sha256_blocks_shani(uint32_t state[8], const uint8_t *blocks, size_t n, const uint32_t k[64]);

#endif
