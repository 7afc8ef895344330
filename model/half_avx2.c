#include <immintrin.h>

#include "model/half_impl.h"

void half_read_avx2(const void *from, float *to, size_t n)
{
    const unsigned char *p = from;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i))));
    for (; i < n; i++)
        to[i] = half_to_f32((uint16_t)(p[2 * i] | p[2 * i + 1] << 8));
}

void half_write_avx2(const float *from, uint16_t *to, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    for (; i < n; i++)
        to[i] = half_from_f32(from[i]);
}
