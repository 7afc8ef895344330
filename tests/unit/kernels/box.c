#include "kernels/box_automaton.h"
#include "kernels/random.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 1000 };

static int class_of(char c)
{
    return c == '['   ? BOX_OPEN
           : c == ']' ? BOX_CLOSE
           : c == ',' ? BOX_COMMA
           : c == ' ' ? BOX_SPACE
                      : BOX_DIGIT + c - '0';
}

/* How many characters of the text are allowed, one after the other. */
static size_t accepted(const char *text, struct box_state *s)
{
    size_t n = 0;
    memset(s, 0, sizeof *s);
    for (; text[n] && (box_allowed(s, ROOM) >> class_of(text[n]) & 1); n++)
        *s = box_next(*s, class_of(text[n]));
    return n;
}

static bool is_box(const int *v)
{
    return v[0] <= v[2] && v[1] <= v[3];
}

Test(box, any_walk_over_what_is_allowed_ends_in_a_box_within_its_tokens)
{
    for (uint64_t walk = 0; walk < 20000; walk++) {
        struct box_state s = {1, 0, 0, 0};
        char text[BOX_TOKENS + 2] = "[", again[64];
        int n = 1, v[4];
        for (uint64_t i = 0; s.place != 0; i++) {
            uint32_t allowed = box_allowed(&s, 0);
            cr_assert(allowed != 0 && n <= BOX_TOKENS, "a dead end, or no end: %s", text);
            int from = (int)(random_bits(walk, i) % BOX_CLASSES), c = from;
            while (!(allowed >> c & 1))
                c = (c + 1) % BOX_CLASSES;
            cr_assert(c == BOX_COMMA || c == BOX_SPACE || c == BOX_CLOSE || c >= BOX_DIGIT);
            text[n++] = c == BOX_COMMA   ? ','
                        : c == BOX_SPACE ? ' '
                        : c == BOX_CLOSE ? ']'
                                         : (char)('0' + c - BOX_DIGIT);
            text[n] = '\0';
            s = box_next(s, c);
        }
        cr_assert_eq(sscanf(text, "[%d, %d, %d, %d]", &v[0], &v[1], &v[2], &v[3]), 4, "%s", text);
        snprintf(again, sizeof again, "[%d, %d, %d, %d]", v[0], v[1], v[2], v[3]);
        cr_assert_str_eq(text, again, "leading zeros or other blanks");
        cr_assert(is_box(v) && v[2] <= 999 && v[3] <= 999, "%s", text);
    }
}

Test(box, every_box_of_ordered_numbers_is_allowed_and_no_other)
{
    static const int values[] = {0, 1, 9, 10, 11, 99, 100, 101, 500, 998, 999};
    enum { N = sizeof values / sizeof *values };
    for (int i = 0; i < N * N * N * N; i++) {
        int v[4] = {values[i % N], values[i / N % N], values[i / N / N % N], values[i / N / N / N]};
        char text[64];
        struct box_state s;
        snprintf(text, sizeof text, "[%d, %d, %d, %d]", v[0], v[1], v[2], v[3]);
        bool whole = accepted(text, &s) == strlen(text);
        cr_assert(whole == is_box(v) && (!whole || s.place == 0), "%s", text);
    }
    static const char *const others[] = {"[1000",        "[01",          "[00",  "[,",    "[]",     "[ ",
                                         "[1 ",          "[1]",          "[1,2", "[1, ]", "[1, 2]", "[1, 2, 3]",
                                         "[1, 2, 3, 4,", "[1, 2, 3, 4 ", "[[",   "]"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct box_state s;
        cr_expect_eq(accepted(others[i], &s), strlen(others[i]) - 1, "%s", others[i]);
    }
}

Test(box, outside_of_boxes_text_is_free_and_a_box_is_not_begun_without_room)
{
    const struct box_state outside = {0, 0, 0, 0};
    for (int room = 0; room <= BOX_TOKENS; room++) {
        uint32_t allowed = box_allowed(&outside, room);
        bool fits = room == BOX_TOKENS;
        for (int c = 0; c < BOX_CLASSES; c++) {
            bool bracket = c == BOX_OPEN || c == BOX_CLOSE || c == BOX_CLOSE_OPEN || c == BOX_BROKEN;
            cr_expect_eq(allowed >> c & 1, !bracket || (c == BOX_OPEN && fits), "class %d, room %d", c, room);
        }
        struct box_state s;
        accepted("[1, 2, 3, 4", &s);
        cr_expect_eq(box_allowed(&s, room) >> BOX_CLOSE_OPEN & 1, fits);
        cr_expect(box_allowed(&s, room) >> BOX_CLOSE & 1);
    }
}
