/* Well-formed boxes: an automaton over token ids that lets text run free and, behind a "[", allows only what makes
 * "[x1, y1, x2, y2]" of whole numbers from 0 to 999 without leading zeros, with x1 <= x2 and y1 <= y2. It never runs
 * into a dead end: what is allowed can always be finished. A box is not begun where fewer tokens are left than one can
 * take. Both backends use this one; a state is a few integers a slot that the operation `sample` keeps. */
#ifndef KERNELS_BOX_AUTOMATON_H
#define KERNELS_BOX_AUTOMATON_H

#include <stdint.h>

#ifdef __CUDACC__
#define BOX_FUNCTION static __host__ __device__ inline
#else
#define BOX_FUNCTION static inline
#endif

/* What a token's text is to a box. */
enum box_class {
    BOX_TEXT,       /* nothing of it matters, or only outside */
    BOX_COMMA,      /* exactly "," */
    BOX_SPACE,      /* exactly a blank */
    BOX_OPEN,       /* one "[", at its end */
    BOX_CLOSE,      /* one "]", at its start */
    BOX_CLOSE_OPEN, /* both */
    BOX_BROKEN,     /* brackets elsewhere: allowed nowhere */
    BOX_DIGIT,      /* exactly "0"; those behind it "1" to "9" */
    BOX_CLASSES = BOX_DIGIT + 10,
};
enum {
    BOX_DIGITS = 3,                                                    /* of a number at most */
    BOX_NUMBERS = 4,                                                   /* of a box */
    BOX_TOKENS = BOX_NUMBERS * BOX_DIGITS + 2 * (BOX_NUMBERS - 1) + 1, /* behind a "[" at most, the "]" included */
    BOX_PLACES = BOX_DIGITS + 2, /* within a number: so many digits read, or the comma behind it */
    BOX_STATE_WORDS = 4,
};
/* place 0: outside of a box, all else 0. Inside: 1 + BOX_PLACES * number + place within it. value: of the number so
 * far. */
struct box_state {
    int32_t place, value, x1, y1;
};

BOX_FUNCTION uint32_t box_digits_allowed(int32_t value, int digits, int32_t least)
{
    uint32_t allowed = 0;
    if (digits == BOX_DIGITS || (digits > 0 && value == 0))
        return 0;
    for (int d = 0; d < 10; d++) {
        int32_t most = value * 10 + d;
        for (int i = digits + 1; i < BOX_DIGITS && most > 0; i++)
            most = most * 10 + 9;
        if (most >= least)
            allowed |= (uint32_t)1 << (BOX_DIGIT + d);
    }
    return allowed;
}

/* Bit c: a token of class c may follow. room: tokens that may still come behind it. */
BOX_FUNCTION uint32_t box_allowed(const struct box_state *s, int room)
{
    const uint32_t digits = (uint32_t)0x3FF << BOX_DIGIT, opens = room >= BOX_TOKENS;
    if (s->place == 0)
        return 1u << BOX_TEXT | 1u << BOX_COMMA | 1u << BOX_SPACE | digits | opens << BOX_OPEN;
    int number = (s->place - 1) / BOX_PLACES, read = (s->place - 1) % BOX_PLACES;
    if (read > BOX_DIGITS)
        return 1u << BOX_SPACE;
    int32_t least = number == 2 ? s->x1 : number == 3 ? s->y1 : 0;
    uint32_t ends = number < BOX_NUMBERS - 1 ? 1u << BOX_COMMA : 1u << BOX_CLOSE | opens << BOX_CLOSE_OPEN;
    return box_digits_allowed(s->value, read, least) | (read > 0 && s->value >= least ? ends : 0);
}

/* The state behind a token that was allowed. */
BOX_FUNCTION struct box_state box_next(struct box_state s, int token_class)
{
    const struct box_state outside = {0, 0, 0, 0}, begun = {1, 0, 0, 0};
    int number = (s.place - 1) / BOX_PLACES;
    if (token_class == BOX_OPEN || token_class == BOX_CLOSE_OPEN)
        return begun;
    if (s.place == 0 || token_class == BOX_CLOSE)
        return outside;
    if (token_class == BOX_COMMA) {
        s.x1 = number == 0 ? s.value : s.x1;
        s.y1 = number == 1 ? s.value : s.y1;
        s.place = 1 + BOX_PLACES * number + BOX_DIGITS + 1;
    } else if (token_class == BOX_SPACE) {
        s.place = 1 + BOX_PLACES * (number + 1);
        s.value = 0;
    } else {
        s.value = s.value * 10 + (token_class - BOX_DIGIT);
        s.place++;
    }
    return s;
}

#endif
