#include "model/tokenizer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kernels/box_automaton.h"
#include "model/text_clean.h"
#include "tests/unit/model/scratch.h"

enum { LLAMA_REGION = 32000, OWN_REGION = 768 };

static struct tokenizer *open_at(const char *dir, int region_id)
{
    struct tokenizer *t = NULL;
    struct diag why = {0};
    cr_assert_eq(tokenizer_open(dir, region_id, &t, &why), ST_OK, "%s", why.text);
    return t;
}

/* The tokenizer of the fixtures and what the reference makes of texts with it. */
static struct tokenizer *open_fixture(struct json **cases)
{
    char path[SCRATCH_PATH], dir[SCRATCH_PATH];
    struct json *added = NULL;
    struct diag why = {0};
    fixture_path(path, "tokenizer.json");
    cr_assert_eq(jsn_load(path, 16 << 20, cases, &why), ST_OK, "%s", why.text);
    fixture_path(dir, "tiny-ferret-a");
    scratch_join(path, dir, "added_tokens.json");
    cr_assert_eq(jsn_load(path, 1 << 16, &added, &why), ST_OK, "%s", why.text);
    struct tokenizer *t = open_at(dir, (int)jsn_int(jsn_get(added, "<region_fea>"), -1));
    jsn_free(added);
    return t;
}

static void expect_ids(const struct json *want, const int32_t *ids, int n, const char *of)
{
    cr_assert_eq((size_t)n, jsn_size(want), "\"%s\": %d ids, expected %zu", of, n, jsn_size(want));
    for (int i = 0; i < n; i++)
        cr_assert_eq(ids[i], jsn_int(jsn_at(want, (size_t)i), -1), "\"%s\": id %d", of, i);
}

/* What tokenizer_decode must give for a decoded text: the same, stripped as an answer is. */
static char *stripped(const char *text)
{
    char *copy = strdup(text);
    copy[text_strip_answer(copy, strlen(copy), NULL, 0)] = '\0';
    return copy;
}

static void expect_text(const struct tokenizer *t, const int32_t *ids, int n, const struct json *c)
{
    const char *clean = jsn_string(jsn_get(c, "decoded"), NULL);
    const char *raw = jsn_string(jsn_get(c, "decoded_without_cleanup"), clean);
    for (int cleanup = 0; cleanup < 2; cleanup++) {
        struct diag why = {0};
        char *text = NULL, *want = stripped(cleanup ? clean : raw);
        cr_assert_eq(tokenizer_decode(t, ids, n, cleanup, &text, NULL, &why), ST_OK, "%s", why.text);
        cr_assert_str_eq(text, want, "cleanup %d of \"%s\"", cleanup, raw);
        free(text);
        free(want);
    }
}

static int32_t *read_ids(const struct json *array, int *n)
{
    *n = (int)jsn_size(array);
    int32_t *ids = malloc((size_t)*n * sizeof *ids + 1);
    for (int i = 0; i < *n; i++)
        ids[i] = (int32_t)jsn_int(jsn_at(array, (size_t)i), -1);
    return ids;
}

Test(tokenizer, encodes_and_decodes_every_text_as_the_reference_does)
{
    struct json *all = NULL;
    struct tokenizer *t = open_fixture(&all);
    const struct json *cases = jsn_get(all, "encode");
    cr_assert_geq(jsn_size(cases), 20);
    for (size_t i = 0; i < jsn_size(cases); i++) {
        const struct json *c = jsn_at(cases, i), *text = jsn_get(c, "text");
        int32_t *ids = NULL;
        int n = 0;
        struct diag why = {0};
        cr_assert_eq(tokenizer_encode(t, jsn_string(text, ""), jsn_string_len(text), &ids, &n, &why), ST_OK, "%s",
                     why.text);
        expect_ids(jsn_get(c, "ids"), ids, n, jsn_string(text, ""));
        expect_text(t, ids + 1, n - 1, c);
        free(ids);
    }
    jsn_free(all);
    tokenizer_close(t);
}

Test(tokenizer, decodes_every_id_list_as_the_reference_does)
{
    struct json *all = NULL;
    struct tokenizer *t = open_fixture(&all);
    const struct json *cases = jsn_get(all, "decode");
    cr_assert_geq(jsn_size(cases), 5);
    for (size_t i = 0; i < jsn_size(cases); i++) {
        int n = 0;
        int32_t *ids = read_ids(jsn_get(jsn_at(cases, i), "ids"), &n);
        expect_text(t, ids, n, jsn_at(cases, i));
        free(ids);
    }
    jsn_free(all);
    tokenizer_close(t);
}

Test(tokenizer, encodes_every_prompt_as_the_reference_does)
{
    struct json *all = NULL;
    struct tokenizer *t = open_fixture(&all);
    const struct json *cases = jsn_get(all, "prompts");
    cr_assert_geq(jsn_size(cases), 5);
    for (size_t i = 0; i < jsn_size(cases); i++) {
        const char *prompt = jsn_string(jsn_get(jsn_at(cases, i), "prompt"), "");
        int32_t *ids = NULL;
        int n = 0;
        cr_assert_eq(tokenizer_encode_prompt(t, prompt, strlen(prompt), &ids, &n, NULL), ST_OK);
        expect_ids(jsn_get(jsn_at(cases, i), "ids"), ids, n, prompt);
        free(ids);
    }
    jsn_free(all);
    tokenizer_close(t);
}

Test(tokenizer, each_digit_has_one_id_and_llama_its_known_ones)
{
    static const int32_t llama[10] = {29900, 29896, 29906, 29941, 29946, 29945, 29953, 29955, 29947, 29929};
    struct json *all = NULL;
    struct tokenizer *t = open_fixture(&all);
    int found[10] = {0};
    for (int32_t id = -1; id < tokenizer_vocab(t); id++)
        if (tokenizer_digit(t, id) >= 0)
            found[tokenizer_digit(t, id)]++;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(found[i], 1);
        cr_assert(tokenizer_vocab(t) != LLAMA_REGION + 1 || tokenizer_digit(t, llama[i]) == i);
    }
    jsn_free(all);
    tokenizer_close(t);
}

static struct tokenizer *open_own(void)
{
    return open_at("model/pretrained", OWN_REGION);
}

static char *decode(const struct tokenizer *t, const int32_t *ids, int n, bool cleanup, size_t *token_end)
{
    char *text = NULL;
    struct diag why = {0};
    cr_assert_eq(tokenizer_decode(t, ids, n, cleanup, &text, token_end, &why), ST_OK, "%s", why.text);
    return text;
}

static void round_trip(const struct tokenizer *t, const char *text, const char *want)
{
    int32_t *ids = NULL;
    int n = 0;
    cr_assert_eq(tokenizer_encode(t, text, strlen(text), &ids, &n, NULL), ST_OK);
    cr_assert_eq(ids[0], 1);
    char *back = decode(t, ids, n, false, NULL);
    cr_assert_str_eq(back, want);
    free(back);
    free(ids);
}

Test(tokenizer, text_comes_back_with_any_character)
{
    struct tokenizer *t = open_own();
    round_trip(t, "a red car [12, 345, 678, 999]", "a red car [12, 345, 678, 999]");
    round_trip(t, "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80");
    round_trip(t, "two  spaces\nand\tmore", "two  spaces\nand\tmore");
    round_trip(t, "", "");
    tokenizer_close(t);
}

Test(tokenizer, region_token_eats_the_white_space_around_it_and_prints_with_spaces)
{
    struct tokenizer *t = open_own();
    int32_t *tight = NULL, *wide = NULL;
    int n_tight = 0, n_wide = 0;
    const char *a = "car<region_fea>and", *b = "car \t\xe3\x80\x80<region_fea>\xc2\xa0 and";
    cr_assert_eq(tokenizer_encode(t, a, strlen(a), &tight, &n_tight, NULL), ST_OK);
    cr_assert_eq(tokenizer_encode(t, b, strlen(b), &wide, &n_wide, NULL), ST_OK);
    cr_assert_eq(n_tight, n_wide);
    cr_assert_arr_eq(tight, wide, (size_t)n_wide * sizeof *wide);
    char *text = decode(t, wide, n_wide, true, NULL);
    cr_assert_str_eq(text, "car <region_fea> and");
    free(text);
    free(tight);
    free(wide);
    tokenizer_close(t);
}

Test(tokenizer, white_space_that_is_none_for_python_stays_beside_the_region_token)
{
    struct tokenizer *t = open_own();
    int32_t *ids = NULL;
    int n = 0;
    const char *text = "car\xe2\x80\x8b<region_fea>"; /* U+200B */
    cr_assert_eq(tokenizer_encode(t, text, strlen(text), &ids, &n, NULL), ST_OK);
    char *back = decode(t, ids, n, false, NULL);
    cr_assert_str_eq(back, "car\xe2\x80\x8b <region_fea>");
    free(back);
    free(ids);
    tokenizer_close(t);
}

Test(tokenizer, broken_utf8_is_refused_with_its_offset)
{
    static const char *const bad[] = {"abc\x80", "abc\xc3", "abc\xc0\xaf", "abc\xed\xa0\x80", "abc\xf4\x90\x80\x80"};
    struct tokenizer *t = open_own();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct diag why = {0};
        int32_t *ids = NULL;
        int n = 0;
        cr_assert_eq(tokenizer_encode(t, bad[i], strlen(bad[i]), &ids, &n, &why), ST_FORMAT);
        cr_assert(strstr(why.text, "byte 3"), "%s", why.text);
        cr_assert_eq(tokenizer_encode_prompt(t, bad[i], strlen(bad[i]), &ids, &n, &why), ST_FORMAT);
        cr_assert_null(ids);
    }
    tokenizer_close(t);
}

static int32_t byte_id(unsigned char b)
{
    return 3 + b;
}

Test(tokenizer, broken_byte_runs_print_replacement_characters_and_never_nul)
{
    struct tokenizer *t = open_own();
    const int32_t cut[] = {byte_id(0xE6), byte_id(0xBC), byte_id('x')};
    char *text = decode(t, cut, 3, false, NULL);
    cr_assert_str_eq(text, "\xef\xbf\xbd\xef\xbf\xbdx");
    free(text);
    const int32_t nul[] = {byte_id('a'), byte_id(0), byte_id('b')};
    text = decode(t, nul, 3, false, NULL);
    cr_assert_str_eq(text, "a\xef\xbf\xbd"
                           "b");
    free(text);
    tokenizer_close(t);
}

Test(tokenizer, ids_out_of_range_are_refused)
{
    struct tokenizer *t = open_own();
    char *text = NULL;
    struct detokenizer *d = NULL;
    const char *piece;
    size_t len;
    cr_assert_eq(detokenizer_new(t, &d), ST_OK);
    const int32_t bad[] = {-1, TOKEN_IMAGE, OWN_REGION + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(tokenizer_decode(t, &bad[i], 1, true, &text, NULL, NULL), ST_INVALID);
        cr_assert_eq(detokenizer_feed(d, bad[i], &piece, &len), ST_INVALID);
        cr_assert_eq(tokenizer_digit(t, bad[i]), -1);
    }
    cr_assert_null(text);
    detokenizer_free(d);
    tokenizer_close(t);
}

Test(tokenizer, each_token_is_what_its_text_is_to_a_box)
{
    struct tokenizer *t = open_own();
    int32_t *classes = calloc((size_t)tokenizer_vocab(t), sizeof *classes), *ids = NULL;
    struct diag why = {{0}};
    int n = 0, boxes = 0;
    cr_assert_eq(tokenizer_box_classes(t, classes, &why), ST_OK, "%s", why.text);
    const char *text = "a duck [83, 111, 416, 597], and two [1, 2, 3, 4][5, 6, 7, 8].";
    cr_assert_eq(tokenizer_encode(t, text, strlen(text), &ids, &n, NULL), ST_OK);
    struct box_state s = {0, 0, 0, 0};
    for (int i = 0; i < n; i++) {
        cr_assert(box_allowed(&s, 100) >> classes[ids[i]] & 1, "token %d of \"%s\"", i, text);
        s = box_next(s, classes[ids[i]]);
        boxes += classes[ids[i]] == BOX_CLOSE || classes[ids[i]] == BOX_CLOSE_OPEN;
        cr_expect(tokenizer_digit(t, ids[i]) < 0 || classes[ids[i]] == BOX_DIGIT + tokenizer_digit(t, ids[i]));
    }
    cr_expect(s.place == 0 && boxes == 3, "%d boxes", boxes);
    cr_expect_eq(classes[OWN_REGION], BOX_TEXT);
    free(ids);
    free(classes);
    tokenizer_close(t);
}

Test(tokenizer, token_ends_rise_to_the_length_of_the_text_and_cover_what_was_printed)
{
    struct tokenizer *t = open_own();
    int32_t *ids = NULL;
    int n = 0;
    const char *question = "  a dog , isn 't it ? [1, 2]  ";
    cr_assert_eq(tokenizer_encode(t, question, strlen(question), &ids, &n, NULL), ST_OK);
    size_t *end = calloc((size_t)n, sizeof *end);
    char *text = decode(t, ids, n, true, end);
    cr_assert_str_eq(text, "a dog, isn 't it? [1, 2]");
    cr_assert_eq(end[n - 1], strlen(text));
    for (int i = 1; i < n; i++)
        cr_assert_leq(end[i - 1], end[i]);
    int seen = 0;
    for (int i = 1; i < n; i++) {
        int digit = tokenizer_digit(t, ids[i]);
        if (digit < 0)
            continue;
        seen++;
        cr_assert_eq(end[i] - end[i - 1], 1);
        cr_assert_eq(text[end[i] - 1], '0' + digit);
    }
    cr_assert_eq(seen, 2);
    free(text);
    free(end);
    free(ids);
    tokenizer_close(t);
}

static bool is_whole_utf8(const char *s, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t code;
        int n = utf8_decode(s + at, len - at, &code);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

Test(tokenizer, streamed_pieces_are_whole_characters_and_add_up_to_the_text)
{
    struct tokenizer *t = open_own();
    uint32_t random = 12345;
    for (int round = 0; round < 300; round++) {
        int32_t ids[40];
        char all[8192];
        size_t used = 0;
        for (int i = 0; i < 40; i++) {
            random = random * 1664525 + 1013904223;
            ids[i] = (int32_t)((random >> 8) % (round % 2 ? OWN_REGION + 1 : 259));
        }
        struct detokenizer *d = NULL;
        const char *piece;
        size_t len;
        cr_assert_eq(detokenizer_new(t, &d), ST_OK);
        for (int i = 0; i <= 40; i++) {
            enum status s = i < 40 ? detokenizer_feed(d, ids[i], &piece, &len) : detokenizer_end(d, &piece, &len);
            cr_assert_eq(s, ST_OK);
            cr_assert(is_whole_utf8(piece, len));
            memcpy(all + used, piece, len);
            used += len;
        }
        detokenizer_free(d);
        used = text_strip_answer(all, used, NULL, 0);
        char *text = decode(t, ids, 40, false, NULL);
        cr_assert_eq(strlen(text), used);
        cr_assert_arr_eq(text, all, used);
        free(text);
    }
    tokenizer_close(t);
}

Test(tokenizer, a_model_that_is_none_and_a_region_id_that_is_a_piece_are_refused)
{
    struct tokenizer *t = NULL;
    struct diag why = {0};
    cr_assert_eq(tokenizer_open("model/reference", OWN_REGION, &t, &why), ST_MISSING);
    cr_assert_eq(tokenizer_open("model/pretrained", OWN_REGION - 1, &t, &why), ST_FORMAT);
    cr_assert(strstr(why.text, "768 pieces"), "%s", why.text);
    char dir[SCRATCH_PATH], path[SCRATCH_PATH];
    scratch_make(dir);
    scratch_join(path, dir, "tokenizer.model");
    scratch_write(path, "this is no model", 16);
    cr_assert_eq(tokenizer_open(dir, OWN_REGION, &t, &why), ST_FORMAT);
    scratch_remove(dir);
    cr_assert_null(t);
}
