#include "base/status.h"

#include <criterion/criterion.h>
#include <string.h>

Test(status, every_code_has_a_word_of_its_own)
{
    for (int a = 0; a < ST_COUNT_; a++) {
        cr_assert(status_word(a) && status_word(a)[0] >= 'a' && status_word(a)[0] <= 'z');
        for (int b = 0; b < a; b++)
            cr_assert_str_neq(status_word(a), status_word(b));
    }
    cr_assert_str_eq(status_word(ST_COUNT_), "unknown");
    cr_assert_str_eq(status_word((enum status) - 1), "unknown");
}

Test(status, setting_a_sentence_returns_the_code_with_and_without_a_place)
{
    struct diag why = {0};
    cr_assert_eq(diag_set(&why, ST_SHAPE, "%s: %d", "f", 7), ST_SHAPE);
    cr_assert_str_eq(why.text, "f: 7");
    cr_assert_eq(diag_set(NULL, ST_IO, "%d", 1), ST_IO);
    cr_assert_eq(diag_wrap(NULL, ST_IO, "%d", 1), ST_IO);
}

Test(status, wrapping_puts_a_prefix_in_front)
{
    struct diag why = {0};
    (void)diag_set(&why, ST_IO, "disk full");
    cr_assert_eq(diag_wrap(&why, ST_IO, "%s", "shard 2"), ST_IO);
    cr_assert_str_eq(why.text, "shard 2: disk full");
}

Test(status, long_sentences_are_cut_and_never_inside_a_character)
{
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < 4; c++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[2 * DIAG_BYTES];
            size_t n = (size_t)shift, width = strlen(characters[c]);
            memset(text, 'a', n);
            while (n + width < sizeof text) {
                memcpy(text + n, characters[c], width);
                n += width;
            }
            text[n] = '\0';
            struct diag why;
            (void)diag_set(&why, ST_IO, "%s", text);
            size_t len = strlen(why.text);
            cr_assert(len < DIAG_BYTES && len + width >= DIAG_BYTES);
            cr_assert_eq((len - (size_t)shift) % width, 0, "width %zu, shift %d", width, shift);
            (void)diag_wrap(&why, ST_IO, "prefix");
            len = strlen(why.text);
            cr_assert(len < DIAG_BYTES && (len - 8 - (size_t)shift) % width == 0);
        }
    }
}

Test(status, a_prefix_longer_than_the_place_is_cut_too)
{
    char prefix[2 * DIAG_BYTES];
    memset(prefix, 'p', sizeof prefix - 1);
    prefix[sizeof prefix - 1] = '\0';
    struct diag why = {"cause"};
    (void)diag_wrap(&why, ST_IO, "%s", prefix);
    cr_assert_eq(strlen(why.text), DIAG_BYTES - 1);
}
