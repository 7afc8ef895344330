#include "model/text_clean.h"

#include <criterion/criterion.h>
#include <string.h>

Test(text_clean, utf8_is_told_from_cut_and_from_bad_sequences)
{
    static const struct {
        const char *bytes;
        int want;
        uint32_t code;
    } cases[] = {
        {"a", 1, 'a'},
        {"\xc3\xa9", 2, 0xE9},
        {"\xe6\xbc\xa2", 3, 0x6F22},
        {"\xf0\x9f\x98\x80", 4, 0x1F600},
        {"\xf4\x8f\xbf\xbf", 4, 0x10FFFF},
        {"\xef\xbf\xbd", 3, 0xFFFD},
        {"", UTF8_CUT, 0},
        {"\xc3", UTF8_CUT, 0},
        {"\xe6\xbc", UTF8_CUT, 0},
        {"\xf0\x9f\x98", UTF8_CUT, 0},
        {"\x80", UTF8_BAD, 0},
        {"\xc0\x80", UTF8_BAD, 0},
        {"\xc1", UTF8_BAD, 0},
        {"\xe0\x80", UTF8_BAD, 0}, /* overlong, however it goes on */
        {"\xe0\x9f\xbf", UTF8_BAD, 0},
        {"\xed\xa0", UTF8_BAD, 0}, /* a surrogate */
        {"\xf0\x8f\xbf\xbf", UTF8_BAD, 0},
        {"\xf4\x90", UTF8_BAD, 0},
        {"\xf5", UTF8_BAD, 0},
        {"\xe6x", UTF8_BAD, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t code = 0;
        cr_assert_eq(utf8_decode(cases[i].bytes, strlen(cases[i].bytes), &code), cases[i].want, "case %zu", i);
        cr_assert_eq(code, cases[i].code, "case %zu", i);
    }
}

Test(text_clean, the_white_space_is_pythons)
{
    static const char *const spaces[] = {
        "\t",           "\n",           "\x0b",         "\x1c",         "\x1f",         " ",
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    static const char *const others[] = {"\x08",         "\x0e",         "\x1b", "!",   "\xe2\x80\x8b",
                                         "\xef\xbb\xbf", "\xe1\xa0\x8e", "\xa0", "\x85"};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        cr_assert_eq(text_space_in_front(spaces[i], strlen(spaces[i])), strlen(spaces[i]), "space %zu", i);
        cr_assert_eq(text_without_space_behind(spaces[i], strlen(spaces[i])), 0, "space %zu", i);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cr_assert_eq(text_space_in_front(others[i], strlen(others[i])), 0, "other %zu", i);
        cr_assert_eq(text_without_space_behind(others[i], strlen(others[i])), strlen(others[i]), "other %zu", i);
    }
}

static void expect_clean(const char *text, const char *want)
{
    char copy[128];
    size_t n = strlen(text);
    memcpy(copy, text, n);
    n = text_clean_up(copy, n, NULL, 0);
    cr_assert(n == strlen(want) && memcmp(copy, want, n) == 0, "\"%s\" became \"%.*s\"", text, (int)n, copy);
}

Test(text_clean, the_ten_replacements_happen_in_their_order_and_once)
{
    expect_clean("a . b ? c ! d , e", "a. b? c! d, e");
    expect_clean("it ' s", "it's");
    expect_clean("do n't I 'm he 's we 've you 're", "don't I'm he's we've you're");
    expect_clean("  ..", " ..");
    expect_clean(" . . .", "...");
    expect_clean(" ' ' ", "'' ");
    expect_clean(" '", " '");
    expect_clean("", "");
}

Test(text_clean, marks_follow_what_they_pointed_at)
{
    char text[] = "a . b ' c";
    size_t marks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, want[] = {0, 1, 1, 2, 3, 4, 4, 5, 5, 6};
    size_t n = text_clean_up(text, 9, marks, 10);
    cr_assert_eq(n, 6);
    cr_assert_arr_eq(text, "a. b'c", 6);
    cr_assert_arr_eq(marks, want, sizeof want);
    char answer[] = " \n x </s> ";
    size_t ends[] = {1, 4, 5, 10};
    cr_assert_eq(text_strip_answer(answer, 10, ends, 4), 1);
    cr_assert(ends[0] == 0 && ends[1] == 1 && ends[2] == 1 && ends[3] == 1);
}
