#include "model/half.h"

#include <stdbool.h>
#include <string.h>

#include "model/half_impl.h"

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* f32 exponent bias minus f16 exponent bias, in place. */
enum { REBIAS = (127 - 15) << 23 };

float half_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, magnitude = bits & 0x7FFF;
    /* Subnormals: 0.5 has an ulp of 2^-24, so the mantissa put behind it counts steps of 2^-24. */
    uint32_t small = to_bits(from_bits(0x3F000000 | magnitude) - 0.5f);
    uint32_t normal = (magnitude << 13) + REBIAS;
    uint32_t special = magnitude << 13 | 0x7F800000;
    return from_bits(sign | (magnitude < 0x0400 ? small : magnitude < 0x7C00 ? normal : special));
}

uint16_t half_from_f32(float value)
{
    uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000, x = bits & 0x7FFFFFFF;
    if (x > 0x7F800000)
        return (uint16_t)(sign | 0x7E00);
    if (x >= 0x47800000) /* 65536 */
        return (uint16_t)(sign | 0x7C00);
    if (x < 0x38800000) /* below 2^-14: adding 0.5 rounds to steps of 2^-24 */
        return (uint16_t)(sign | (to_bits(from_bits(x) + 0.5f) - 0x3F000000));
    return (uint16_t)(sign | (x - REBIAS + 0x0FFF + (x >> 13 & 1)) >> 13);
}

float bf16_to_f32(uint16_t bits)
{
    return from_bits((uint32_t)bits << 16);
}

uint16_t bf16_from_f32(float value)
{
    uint32_t bits = to_bits(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x0040);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* Every processor with AVX2 has F16C, which the builtin can't be asked for everywhere. */
static bool has_f16c(void)
{
    return __builtin_cpu_supports("avx2");
}

void half_read(const void *from, float *to, size_t n)
{
    const unsigned char *p = from;
    if (has_f16c()) {
        half_read_avx2(from, to, n);
        return;
    }
    for (size_t i = 0; i < n; i++, p += 2)
        to[i] = half_to_f32((uint16_t)(p[0] | p[1] << 8));
}

void half_write(const float *from, uint16_t *to, size_t n)
{
    if (has_f16c()) {
        half_write_avx2(from, to, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = half_from_f32(from[i]);
}

void bf16_read(const void *from, float *to, size_t n)
{
    const unsigned char *p = from;
    for (size_t i = 0; i < n; i++, p += 2)
        to[i] = bf16_to_f32((uint16_t)(p[0] | p[1] << 8));
}
