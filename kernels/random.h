/* The counter-based generator of sampling: a number depends on (task seed, step) only, so any batch, restart or device
 * gives the same draw. */
#ifndef KERNELS_RANDOM_H
#define KERNELS_RANDOM_H

#include <stdint.h>

/* splitmix64's finaliser over seed and counter. */
static inline uint64_t random_bits(uint64_t seed, uint64_t counter)
{
    uint64_t x = seed + (counter + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* In [0, 1), 24 bits. */
static inline float random_uniform(uint64_t seed, uint64_t counter)
{
    return (float)(random_bits(seed, counter) >> 40) * (1.0f / 16777216.0f);
}

#endif
