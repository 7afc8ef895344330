#include "model/resize.h"

#include <immintrin.h>
#include <string.h>

/* Two partial sums to bytes: 16 words in the order of the samples. */
static __m256i total(__m256i lo, __m256i hi)
{
    __m256i sum = _mm256_add_epi32(lo, _mm256_slli_epi32(hi, RESIZE_SPLIT_BITS));
    sum = _mm256_add_epi32(sum, _mm256_set1_epi32(1 << (RESIZE_FRACTION_BITS - 1)));
    return _mm256_srai_epi32(sum, RESIZE_FRACTION_BITS);
}

/* The even and the odd pair of pixels sit in the two halves. */
static __m128i total_of_halves(__m256i lo, __m256i hi)
{
    __m128i lo4 = _mm_add_epi32(_mm256_castsi256_si128(lo), _mm256_extracti128_si256(lo, 1));
    __m128i hi4 = _mm_add_epi32(_mm256_castsi256_si128(hi), _mm256_extracti128_si256(hi, 1));
    __m128i sum = _mm_add_epi32(lo4, _mm_slli_epi32(hi4, RESIZE_SPLIT_BITS));
    sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (RESIZE_FRACTION_BITS - 1)));
    return _mm_srai_epi32(sum, RESIZE_FRACTION_BITS);
}

/* Four pixels a step: (r0 r1) (g0 g1) (b0 b1) 0 in the lower half, pixels 2 and 3 in the upper one. */
static __m128i pixels_of_four_rows(const uint8_t *const *rows, size_t at, const int16_t *lo, const int16_t *hi, int n)
{
    const __m256i spread = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                                            -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const __m256i pairs = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    __m256i l[RESIZE_ROWS], h[RESIZE_ROWS];
    for (int r = 0; r < RESIZE_ROWS; r++)
        l[r] = h[r] = _mm256_setzero_si256();
    for (int t = 0; t < n; t += 4, at += 12) {
        __m256i kl =
            _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(lo + t))), pairs);
        __m256i kh =
            _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(hi + t))), pairs);
        for (int r = 0; r < RESIZE_ROWS; r++) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(rows[r] + at));
            __m256i p = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), spread);
            l[r] = _mm256_add_epi32(l[r], _mm256_madd_epi16(p, kl));
            h[r] = _mm256_add_epi32(h[r], _mm256_madd_epi16(p, kh));
        }
    }
    __m128i a = _mm_packs_epi32(total_of_halves(l[0], h[0]), total_of_halves(l[1], h[1]));
    __m128i b = _mm_packs_epi32(total_of_halves(l[2], h[2]), total_of_halves(l[3], h[3]));
    return _mm_packus_epi16(a, b);
}

static void horizontal_avx2(const struct resize_axis *a, const uint8_t *const *rows, uint8_t *const *out)
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

static void vertical_avx2(const struct resize_axis *a, int y, const uint8_t *in, size_t stride, uint8_t *out)
{
    const int16_t *lo = a->lo + (ptrdiff_t)y * a->taps, *hi = a->hi + (ptrdiff_t)y * a->taps;
    const uint8_t *top = in + (size_t)a->first[y] * stride;
    size_t i = 0;
    for (; i + 16 <= stride; i += 16) {
        __m256i l0 = _mm256_setzero_si256(), l1 = l0, h0 = l0, h1 = l0;
        for (int t = 0; t < a->count[y]; t += 2) {
            const uint8_t *p = top + (size_t)t * stride + i;
            const uint8_t *q = t + 1 < a->count[y] ? p + stride : p; /* its coefficient is 0 */
            __m256i even = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
            __m256i odd = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)q));
            __m256i ab = _mm256_unpacklo_epi16(even, odd), cd = _mm256_unpackhi_epi16(even, odd);
            int32_t two_lo, two_hi;
            memcpy(&two_lo, lo + t, sizeof two_lo);
            memcpy(&two_hi, hi + t, sizeof two_hi);
            __m256i kl = _mm256_set1_epi32(two_lo), kh = _mm256_set1_epi32(two_hi);
            l0 = _mm256_add_epi32(l0, _mm256_madd_epi16(ab, kl));
            l1 = _mm256_add_epi32(l1, _mm256_madd_epi16(cd, kl));
            h0 = _mm256_add_epi32(h0, _mm256_madd_epi16(ab, kh));
            h1 = _mm256_add_epi32(h1, _mm256_madd_epi16(cd, kh));
        }
        __m256i words = _mm256_packs_epi32(total(l0, h0), total(l1, h1));
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
        _mm_storeu_si128((__m128i *)(out + i), _mm256_castsi256_si128(bytes));
    }
    resize_vertical_tail(a, y, in, stride, i, out);
}

const struct resize_ops resize_avx2 = {"avx2", horizontal_avx2, vertical_avx2};
