/* The Mersenne Twister as torch's CPU generator runs it: init_genrand(seed mod 2^32), tempered 32-bit outputs. Plain
 * data. */
#ifndef MODEL_MT19937_H
#define MODEL_MT19937_H

#include <stdint.h>

enum { MT19937_WORDS = 624 };

struct mt19937 {
    uint32_t state[MT19937_WORDS];
    int at; /* next word to hand out; MT19937_WORDS: none left */
};

void mt19937_seed(struct mt19937 *m, uint64_t seed);
uint32_t mt19937_next(struct mt19937 *m);
/* As n calls of mt19937_next whose results nobody wants; about 1.5 ns each. */
void mt19937_skip(struct mt19937 *m, int64_t n);

#endif
