#include "formats/write/answer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json *parse(const char *text)
{
    struct json *v = NULL;
    cr_assert_eq(jsn_parse(text, strlen(text), "test", &v, NULL), ST_OK);
    return v;
}

static void expect_phrase(const struct answer *a, size_t i, const char *want, size_t from, size_t to)
{
    char found[64];
    cr_assert_lt(i, a->n);
    const struct answer_phrase *p = &a->phrases[i];
    snprintf(found, sizeof found, "%.*s", (int)(p->to - p->from), a->text + p->from);
    cr_assert_str_eq(found, want);
    cr_assert_eq(p->character_from, from, "%zu", p->character_from);
    cr_assert_eq(p->character_to, to, "%zu", p->character_to);
}

Test(answer, coordinates_leave_and_spans_follow_in_characters)
{
    struct json *task =
        parse("{\"text\":\"Zwei große Hunde [1, 2, 3, 4][5,6,7,8], a ball [0.1, 0.2, 0.3, 0.4].\\nA list "
              "[1, 2, 3] stays, a point [3, 4] not\",\"entities\":["
              "{\"phrase\":\"große Hunde\",\"span\":[5,17],\"boxes\":[]},"
              "{\"phrase\":\"a ball\",\"span\":[41,47],\"boxes\":[]}]}");
    struct answer a;
    cr_assert_eq(answer_read(task, &a), ST_OK);
    cr_assert_str_eq(a.text, "Zwei große Hunde, a ball. A list [1, 2, 3] stays, a point not");
    cr_assert_eq(a.n, 2);
    expect_phrase(&a, 0, "große Hunde", 5, 16);
    expect_phrase(&a, 1, "a ball", 18, 24);
    answer_fini(&a);
    jsn_free(task);
}

Test(answer, spans_that_lie_overlap_or_run_backwards_are_left_out)
{
    struct json *task = parse("{\"text\":\"a dog\",\"entities\":[{\"span\":[0,5]},{\"span\":[2,5]},{\"span\":[0,99]},"
                              "{\"span\":[-1,2]},{\"span\":[3,1]},{\"span\":\"x\"},{}]}");
    struct answer a;
    cr_assert_eq(answer_read(task, &a), ST_OK);
    cr_assert_eq(a.n, 1);
    answer_fini(&a);
    jsn_free(task);
}

Test(answer, boxes_alone_read_as_what_was_looked_for)
{
    struct json *task =
        parse("{\"text\":\"[1, 2, 3, 4], [5, 6, 7, 8]\",\"phrases\":[\"a dog\",\"Bälle\"],\"entities\":["
              "{\"phrase\":\"\",\"span\":[0,0],\"boxes\":[]},{\"phrase\":\"\",\"span\":[14,14],"
              "\"boxes\":[]}]}");
    struct answer a;
    cr_assert_eq(answer_read(task, &a), ST_OK);
    cr_assert_str_eq(a.text, "a dog, Bälle");
    expect_phrase(&a, 0, "a dog", 0, 5);
    expect_phrase(&a, 1, "Bälle", 7, 12);
    answer_fini(&a);
    jsn_free(task);
}

Test(answer, a_phrase_is_about_its_head)
{
    static const char *const rows[][2] = {{"a large duck of rubber", "duck"},
                                          {"A Small Teddy Bear", "bear"},
                                          {"the man's hat, red", "red"},
                                          {"  dogs  ", "dogs"},
                                          {"of", "of"},
                                          {"", ""},
                                          {"a man wearing a hat", "man"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char head[32];
        answer_head(rows[i][0], head, sizeof head);
        cr_assert_str_eq(head, rows[i][1]);
    }
}

Test(answer, a_head_that_is_too_long_is_cut_between_characters)
{
    char head[6];
    answer_head("ääää", head, sizeof head);
    cr_assert_str_eq(head, "ää");
}
