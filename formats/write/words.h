/* Words and a number for each: 1, 2, 3 ... in the order in which they were first met, given ones,
 * or how often each came. One thread. */
#ifndef FORMATS_WRITE_WORDS_H
#define FORMATS_WRITE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct word {
    char *text;
    int64_t number;
};
struct words {
    struct word *list; /* in the order in which they came */
    size_t n, room;
    uint32_t *slots; /* place in the list plus one; 0: free */
    size_t n_slots;
};
/* The word's number; a new word gets the one behind the highest so far. ST_NOMEM. */
MUST_CHECK enum status words_number(struct words *w, const char *text, int64_t *out);
/* Adds a word with its number. ST_INVALID: it is there already. */
MUST_CHECK enum status words_add(struct words *w, const char *text, int64_t number);
/* One more of it: a word's number is how often it came. ST_NOMEM. */
MUST_CHECK enum status words_count(struct words *w, const char *text);
/* NULL where it is not there. Borrowed until a word is added. */
const struct word *words_find(const struct words *w, const char *text);
void words_fini(struct words *w);

#endif
