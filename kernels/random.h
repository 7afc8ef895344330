/* The counter-based generator of sampling and of seeded weights: a number depends on (seed, step) only, so any batch,
 * restart or device gives the same draw. kernels/cuda/value.cuh has it for the device. */
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

/* In [-spread, spread): seeded weights. One rounding, so that every compiler and device gets the same bits. */
static inline float random_spread(uint64_t seed, uint64_t counter, float spread)
{
    return (random_uniform(seed, counter) - 0.5f) * (2 * spread);
}

#endif
