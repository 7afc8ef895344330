/* What happens to text around the tokenizer: UTF-8, Python's idea of white space, the old clean-up of generated text
 * (spec 6.3, 7.2). Pure functions on bytes. */
#ifndef MODEL_TEXT_CLEAN_H
#define MODEL_TEXT_CLEAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { UTF8_CUT = 0, UTF8_BAD = -1 };
/* Bytes (1..4) of the sequence at s and its code point; UTF8_CUT where s[0..len) could still become one, UTF8_BAD where
 * not. Overlong forms and surrogates are bad. */
int utf8_decode(const char *s, size_t len, uint32_t *code);

/* Bytes of white space in front; the length without white space at the end. Bad UTF-8 is no white space. */
size_t text_space_in_front(const char *s, size_t len);
size_t text_without_space_behind(const char *s, size_t len);

/* Both edit text[0..len) in place and return its new length. marks[0..n), ascending byte offsets into the text, follow
 * what they pointed at. */
size_t text_clean_up(char *text, size_t len, size_t *marks, int n);     /* the ten replacements, in their order */
size_t text_strip_answer(char *text, size_t len, size_t *marks, int n); /* strip, drop a last "</s>", strip */

#ifdef __cplusplus
}
#endif

#endif
