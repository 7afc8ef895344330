/* SHA-256 by the SHA extensions of x86: four rounds a step, the state in two registers as the instructions want it
 * (letters from the highest word down: ABEF and CDGH). */
#include "base/sha256_impl.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

#define SHANI __attribute__((target("sha,sse4.1")))

bool sha256_has_instructions(void)
{
    enum { UNKNOWN, NO, YES, SHA_BIT = 29 };
    static atomic_int known; /* asking takes microseconds under a hypervisor */
    int has = atomic_load_explicit(&known, memory_order_relaxed);
    if (has == UNKNOWN) {
        unsigned a, b, c, d;
        bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> SHA_BIT & 1;
        has = sha && __builtin_cpu_supports("sse4.1") ? YES : NO;
        atomic_store_explicit(&known, has, memory_order_relaxed);
    }
    return has == YES;
}

struct rounds {
    __m128i abef, cdgh;
};

/* Four rounds with the words in w0; those of 16 rounds later take their place. */
SHANI static inline __attribute__((always_inline)) void four_rounds(struct rounds *s, __m128i *w0, __m128i w1,
                                                                    __m128i w2, __m128i w3, const uint32_t *k)
{
    __m128i words = _mm_add_epi32(*w0, _mm_loadu_si128((const __m128i *)(const void *)k));
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, words);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(words, 0x0E));
    __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(*w0, w1), _mm_alignr_epi8(w3, w2, 4));
    *w0 = _mm_sha256msg2_epu32(next, w3);
}

SHANI static inline __attribute__((always_inline)) __m128i words_at(const uint8_t *p)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), big_endian);
}

SHANI void sha256_blocks_shani(uint32_t state[8], const uint8_t *blocks, size_t n, const uint32_t k[64])
{
    __m128i *out = (__m128i *)(void *)state;
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(out), 0xB1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(out + 1), 0x1B);
    struct rounds s = {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
    for (; n > 0; n--, blocks += 64) {
        struct rounds before = s;
        __m128i w0 = words_at(blocks), w1 = words_at(blocks + 16);
        __m128i w2 = words_at(blocks + 32), w3 = words_at(blocks + 48);
        for (int i = 0; i < 64; i += 16) {
            four_rounds(&s, &w0, w1, w2, w3, k + i);
            four_rounds(&s, &w1, w2, w3, w0, k + i + 4);
            four_rounds(&s, &w2, w3, w0, w1, k + i + 8);
            four_rounds(&s, &w3, w0, w1, w2, k + i + 12);
        }
        s.abef = _mm_add_epi32(s.abef, before.abef);
        s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
    }
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1B), dchg = _mm_shuffle_epi32(s.cdgh, 0xB1);
    _mm_storeu_si128(out, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(out + 1, _mm_alignr_epi8(dchg, feba, 8));
}
