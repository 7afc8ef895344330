#include "model/mt19937.h"

enum { SHIFT = 397 };

void mt19937_seed(struct mt19937 *m, uint64_t seed)
{
    m->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < MT19937_WORDS; i++)
        m->state[i] = 1812433253u * (m->state[i - 1] ^ m->state[i - 1] >> 30) + i;
    m->at = MT19937_WORDS;
}

static uint32_t twist(uint32_t upper, uint32_t lower, uint32_t far)
{
    uint32_t y = (upper & 0x80000000u) | (lower & 0x7FFFFFFFu);
    return far ^ y >> 1 ^ (0x9908B0DFu & (0u - (lower & 1u)));
}

static void refill(struct mt19937 *m)
{
    uint32_t *s = m->state;
    for (int i = 0; i < MT19937_WORDS - SHIFT; i++)
        s[i] = twist(s[i], s[i + 1], s[i + SHIFT]);
    for (int i = MT19937_WORDS - SHIFT; i < MT19937_WORDS - 1; i++)
        s[i] = twist(s[i], s[i + 1], s[i + SHIFT - MT19937_WORDS]);
    s[MT19937_WORDS - 1] = twist(s[MT19937_WORDS - 1], s[0], s[SHIFT - 1]);
    m->at = 0;
}

uint32_t mt19937_next(struct mt19937 *m)
{
    if (m->at == MT19937_WORDS)
        refill(m);
    uint32_t y = m->state[m->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

void mt19937_skip(struct mt19937 *m, int64_t n)
{
    while (n > MT19937_WORDS - m->at) {
        n -= MT19937_WORDS - m->at;
        refill(m);
    }
    m->at += (int)n;
}
