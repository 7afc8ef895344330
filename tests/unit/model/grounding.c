/* Claims of model/grounding.h: what counts as a box, whose phrase it is, where it lies, and the official scanners. */
#include "model/grounding.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

static struct entities parse(const char *text)
{
    struct entities e = {0};
    cr_assert_eq(grounding_parse(text, 640, 427, NULL, NULL, NULL, 0, &e), ST_OK);
    return e;
}

/* Phrases and box counts of an answer as "phrase:n|phrase:n". */
static void check(const char *text, const char *want)
{
    struct entities e = parse(text);
    char got[512] = "";
    size_t n = 0;
    for (int i = 0; i < e.n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%s:%d", i ? "|" : "", e.list[i].phrase, e.list[i].n_boxes);
    cr_expect_str_eq(got, want, "%s -> %s, expected %s", text, got, want);
    for (int i = 0; i < e.n; i++) {
        const struct entity *x = &e.list[i];
        cr_expect_eq(strlen(x->phrase), x->end - x->start);
        cr_expect(strncmp(text + x->start, x->phrase, x->end - x->start) == 0, "%s: the span is the phrase", text);
    }
    entities_fini(&e);
}

Test(grounding, each_box_has_the_noun_phrase_in_front_of_it)
{
    check("A dog [12, 34, 567, 890] and a cat [0, 0, 999, 999].", "A dog:1|a cat:1");
    check("dog [1, 2, 3, 4] sleeps. The big cat [5, 6, 7, 8]", "dog:1|big cat:1");
    check("It is a red circle [1, 2, 3, 4].", "a red circle:1");
    check("The top of the tree [1, 2, 3, 4].", "top of the tree:1");
    check("no, but there is a dog [1, 2, 3, 4].", "a dog:1");
    check("It's a man's hat [1, 2, 3, 4].", "a man's hat:1");
    check("\xC3\x9Cn\xC3\xAF"
          "code phrase [1, 2, 3, 4].",
          "\xC3\x9Cn\xC3\xAF"
          "code phrase:1");
    check("[1, 2, 3, 4] first", ":1");
    check("and [1, 2, 3, 4]", ":1");
}

Test(grounding, boxes_without_words_between_belong_to_one_phrase)
{
    check("two dogs [1, 2, 3, 4][5, 6, 7, 8], [9, 9, 10, 10] and [1, 1, 2, 2].", "two dogs:4");
    check("dog [1, 2, 3, 4]. [5, 6, 7, 8]", "dog:1|:1");
}

Test(grounding, other_brackets_are_text)
{
    check("three [1, 2, 3] five [1, 2, 3, 4, 5] empty [] words [a, b] open [1, 2, 3, 4", "");
    check("see [note] a dog [1, 2, 3, 4]", "a dog:1");
    check("", "");
}

Test(grounding, two_numbers_are_a_point_and_shares_of_one_become_thousandths)
{
    struct entities e = parse("here [500, 1000] and there [0.1, 0.25, 0.5, 1.0]");
    cr_assert_eq(e.n, 2);
    const struct grounded_box *p = e.list[0].boxes, *b = e.list[1].boxes;
    cr_expect_eq(p->n_raw, 2);
    cr_expect_float_eq(p->box[0], 320, 1e-9);
    cr_expect_float_eq(p->box[2], 320, 1e-9);
    cr_expect_float_eq(p->box[3], 427, 1e-9);
    cr_expect_float_eq(b->box[0], 64, 1e-9);
    cr_expect_eq(b->raw[1], 250);
    cr_expect_float_eq(b->box[3], 427, 1e-9);
    entities_fini(&e);
}

Test(grounding, boxes_are_clamped_and_put_in_order_and_the_raw_numbers_kept)
{
    struct entities e = parse("x [900, -5, 100, 99999999999999999999]");
    cr_assert_eq(e.n, 1);
    const struct grounded_box *b = e.list[0].boxes;
    cr_expect_float_eq(b->box[0], 64, 1e-9);
    cr_expect_float_eq(b->box[2], 576, 1e-9);
    cr_expect_float_eq(b->box[1], 0, 1e-9);
    cr_expect_float_eq(b->box[3], 427, 1e-9);
    cr_expect(b->raw[0] == 900 && b->raw[1] == -5 && b->raw[3] == 1000000000);
    entities_fini(&e);
    cr_assert_eq(grounding_parse("x [200, 0, 300, 9]", 285, 285, NULL, NULL, NULL, 0, &e), ST_OK);
    cr_expect_eq(e.list[0].boxes->truncated[0], 56);
    entities_fini(&e);
}

Test(grounding, a_score_is_the_geometric_mean_of_the_digits_probabilities)
{
    const char *text = "dog 7 [1, 2, 3, 4].";
    /*                   dog, 7, [, 1, ",", 2, ",", 3, ",", 4, ]. */
    const size_t end[] = {3, 5, 7, 8, 9, 11, 12, 14, 15, 17, 19};
    const bool digit[] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
    float logprob[11];
    for (int i = 0; i < 11; i++)
        logprob[i] = digit[i] ? logf(0.5f) : logf(0.001f);
    logprob[1] = logf(0.01f); /* a digit outside the box does not count */
    logprob[3] = logf(0.25f);
    struct entities e = {0};
    cr_assert_eq(grounding_parse(text, 100, 100, logprob, end, digit, 11, &e), ST_OK);
    cr_expect_float_eq(e.list[0].boxes->score, pow(0.25 * 0.125, 0.25), 1e-6);
    entities_fini(&e);
    e = parse(text);
    cr_expect_eq(e.list[0].boxes->score, -1, "unknown without tokens");
    entities_fini(&e);
}

static void check_official(const char *text, const char *want, bool regex)
{
    struct official_boxes b = {0};
    char got[512] = "";
    size_t n = 0;
    cr_assert_eq((regex ? grounding_regex_official : grounding_scan_official)(text, 640, 427, &b), ST_OK);
    if (b.error)
        n += (size_t)snprintf(got, sizeof got, "%s", b.error);
    for (int i = 0; i < b.n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s:%lld|", b.list[i].phrase, (long long)b.list[i].box[0]);
    cr_expect_str_eq(got, want, "%s -> %s, expected %s", text, got, want);
    official_boxes_fini(&b);
}

Test(grounding, the_official_scanners_keep_their_quirks)
{
    check_official("A dog [12, 34, 567, 890] and a cat [5, 6, 7, 8].", "A dog:7|:3|", false);
    check_official("A dog [12, 34, 567, 890] and a cat [5, 6, 7, 8].", "A dog:7|and a cat:3|", true);
    check_official("point [5, 6].", "IndexError", false);
    check_official("close 1, 2, 3, 4].", "ValueError", false);
    check_official("under [1_0, +2, 3, 4].", "under:6|", false);
    check_official("under [1_0, +2, 3, 4].", "", true);
    check_official("wide [\xEF\xBC\x91, 2, 3, 4].", "wide:0|", true);
    check_official("dog[1, 2, 3, 4].", "", true);
    check_official("huge [99999999999, 1, 2, 3].", "huge:63999999999|", true);
}

/* The official package's own answers, where they are at hand (tests/README: FERRET_GOLDEN, else beside the repository).
 */
Test(grounding, official_answers_are_met_where_they_are_at_hand)
{
    char path[512];
    const char *golden = getenv("FERRET_GOLDEN");
    snprintf(path, sizeof path, "%s/answers.json", golden ? golden : "../shared/golden");
    if (access(path, R_OK) != 0)
        return;
    struct json *all = NULL;
    struct diag why = {0};
    cr_assert_eq(jsn_load(path, 1 << 24, &all, &why), ST_OK, "%s", why.text);
    for (size_t i = 0; i < 2 * jsn_size(all); i++) {
        const struct json *o = jsn_at(all, i / 2), *want = jsn_get(o, i % 2 ? "regex" : "scan");
        char expected[1024] = "";
        size_t n = 0;
        if (jsn_kind(want) == JSON_KIND_OBJECT)
            n = (size_t)snprintf(expected, sizeof expected, "%s", jsn_string(jsn_get(want, "error"), "?"));
        for (size_t k = 0; jsn_kind(want) == JSON_KIND_ARRAY && k < jsn_size(want); k++)
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s:%lld|",
                                  jsn_string(jsn_get(jsn_at(want, k), "phrase"), "?"),
                                  (long long)jsn_int(jsn_at(jsn_get(jsn_at(want, k), "box"), 0), -1));
        check_official(jsn_string(jsn_get(o, "text"), ""), expected, i % 2);
    }
    jsn_free(all);
}
