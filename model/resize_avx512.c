#include "model/resize.h"

#include <immintrin.h>
#include <string.h>

static __m512i total(__m512i lo, __m512i hi)
{
    __m512i sum = _mm512_add_epi32(lo, _mm512_slli_epi32(hi, RESIZE_SPLIT_BITS));
    sum = _mm512_add_epi32(sum, _mm512_set1_epi32(1 << (RESIZE_FRACTION_BITS - 1)));
    return _mm512_srai_epi32(sum, RESIZE_FRACTION_BITS);
}

static __m128i quarters(__m512i v)
{
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* Pairs of pixels sit in the four quarters. */
static __m128i total_of_quarters(__m512i lo, __m512i hi)
{
    __m128i sum = _mm_add_epi32(quarters(lo), _mm_slli_epi32(quarters(hi), RESIZE_SPLIT_BITS));
    sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (RESIZE_FRACTION_BITS - 1)));
    return _mm_srai_epi32(sum, RESIZE_FRACTION_BITS);
}

/* Eight pixels a step: (r0 r1) (g0 g1) (b0 b1) 0 in the lowest quarter, and so on. */
static __m128i pixels_of_four_rows(const uint8_t *const *rows, size_t at, const int16_t *lo, const int16_t *hi, int n)
{
    /* Bytes 0, 6, 12, 18 begin a quarter each: at 0, 2, 0, 2 of the double words fetched for it. */
    const __m512i fetch = _mm512_setr_epi32(0, 1, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 4, 5, 0, 0);
    const __m128i even = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    const __m128i odd = _mm_setr_epi8(2, -1, 5, -1, 3, -1, 6, -1, 4, -1, 7, -1, -1, -1, -1, -1);
    const __m512i spread = _mm512_inserti32x4(_mm512_inserti32x4(_mm512_broadcast_i32x4(even), odd, 1), odd, 3);
    const __m512i pairs = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    __m512i l[RESIZE_ROWS], h[RESIZE_ROWS];
    for (int r = 0; r < RESIZE_ROWS; r++)
        l[r] = h[r] = _mm512_setzero_si512();
    for (int t = 0; t < n; t += 8, at += 24) {
        __m512i kl =
            _mm512_permutexvar_epi32(pairs, _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(lo + t))));
        __m512i kh =
            _mm512_permutexvar_epi32(pairs, _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(hi + t))));
        for (int r = 0; r < RESIZE_ROWS; r++) {
            __m256i bytes = _mm256_loadu_si256((const __m256i *)(rows[r] + at));
            __m512i p = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(fetch, _mm512_castsi256_si512(bytes)), spread);
            l[r] = _mm512_add_epi32(l[r], _mm512_madd_epi16(p, kl));
            h[r] = _mm512_add_epi32(h[r], _mm512_madd_epi16(p, kh));
        }
    }
    __m128i a = _mm_packs_epi32(total_of_quarters(l[0], h[0]), total_of_quarters(l[1], h[1]));
    __m128i b = _mm_packs_epi32(total_of_quarters(l[2], h[2]), total_of_quarters(l[3], h[3]));
    return _mm_packus_epi16(a, b);
}

static void horizontal_avx512(const struct resize_axis *a, const uint8_t *const *rows, uint8_t *const *out)
{
    for (int i = 0; i < a->out; i++) {
        ptrdiff_t k = (ptrdiff_t)i * a->taps;
        uint8_t pixels[16];
        __m128i p = pixels_of_four_rows(rows, (size_t)a->first[i] * 3, a->lo + k, a->hi + k, a->count[i]);
        _mm_storeu_si128((__m128i *)pixels, p);
        for (int r = 0; r < RESIZE_ROWS; r++)
            memcpy(out[r] + (ptrdiff_t)i * 3, pixels + 4 * r, 3);
    }
}

static void vertical_avx512(const struct resize_axis *a, int y, const uint8_t *in, size_t stride, uint8_t *out)
{
    const int16_t *lo = a->lo + (ptrdiff_t)y * a->taps, *hi = a->hi + (ptrdiff_t)y * a->taps;
    const uint8_t *top = in + (size_t)a->first[y] * stride;
    size_t i = 0;
    for (; i + 32 <= stride; i += 32) {
        __m512i l0 = _mm512_setzero_si512(), l1 = l0, h0 = l0, h1 = l0;
        for (int t = 0; t < a->count[y]; t += 2) {
            const uint8_t *p = top + (size_t)t * stride + i;
            const uint8_t *q = t + 1 < a->count[y] ? p + stride : p; /* its coefficient is 0 */
            __m512i even = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)p));
            __m512i odd = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)q));
            __m512i ab = _mm512_unpacklo_epi16(even, odd), cd = _mm512_unpackhi_epi16(even, odd);
            int32_t two_lo, two_hi;
            memcpy(&two_lo, lo + t, sizeof two_lo);
            memcpy(&two_hi, hi + t, sizeof two_hi);
            __m512i kl = _mm512_set1_epi32(two_lo), kh = _mm512_set1_epi32(two_hi);
            l0 = _mm512_add_epi32(l0, _mm512_madd_epi16(ab, kl));
            l1 = _mm512_add_epi32(l1, _mm512_madd_epi16(cd, kl));
            h0 = _mm512_add_epi32(h0, _mm512_madd_epi16(ab, kh));
            h1 = _mm512_add_epi32(h1, _mm512_madd_epi16(cd, kh));
        }
        __m512i words = _mm512_packs_epi32(total(l0, h0), total(l1, h1));
        words = _mm512_max_epi16(words, _mm512_setzero_si512());
        _mm256_storeu_si256((__m256i *)(out + i), _mm512_cvtusepi16_epi8(words));
    }
    resize_vertical_tail(a, y, in, stride, i, out);
}

const struct resize_ops resize_avx512 = {"avx512", horizontal_avx512, vertical_avx512};
