#include "formats/write/coco_names.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/formats/scratch.h"

static int64_t image_of(struct coco_names *n, const char *text)
{
    struct json *record = NULL;
    cr_assert_eq(jsn_parse(text, strlen(text), "test", &record, NULL), ST_OK);
    int64_t number = coco_names_image(n, record);
    jsn_free(record);
    return number;
}

Test(coco_names, images_keep_their_numbers_and_others_can_never_meet_them)
{
    struct coco_names n;
    cr_assert_eq(coco_names_open(&n, NULL, NULL), ST_OK);
    cr_assert_eq(image_of(&n, "{\"id\":\"397133\"}"), 397133);
    cr_assert_eq(image_of(&n, "{\"id\":\"ann-1\",\"meta\":{\"image_id\":12}}"), 12);
    cr_assert_eq(image_of(&n, "{\"id\":\"a.jpg\"}"), (int64_t)1 << 40);
    cr_assert_eq(image_of(&n, "{\"id\":\"0017\"}"), ((int64_t)1 << 40) + 1, "another text than 17");
    coco_names_fini(&n);
}

Test(coco_names, images_without_numbers_are_counted)
{
    struct coco_names n;
    cr_assert_eq(coco_names_open(&n, NULL, NULL), ST_OK);
    cr_assert_eq(image_of(&n, "{\"id\":\"a.jpg\"}"), 1);
    cr_assert_eq(image_of(&n, "{\"id\":\"17\"}"), 2, "one that looks like a number among names");
    coco_names_fini(&n);
}

Test(coco_names, given_categories_are_found_as_words_the_longest_first)
{
    static const struct {
        const char *phrase;
        int64_t want;
    } rows[] = {{"a small teddy bear", 88}, {"two Bears", 23},        {"a bearing", 0},
                {"a hot dog", 58},          {"a dog, a hot dog", 58}, {"the zebra", 0}};
    struct coco_names n;
    struct diag why = {""};
    int64_t category;
    scratch_text("c.json", "{\"categories\":[{\"id\":23,\"name\":\"bear\"},{\"id\":88,\"name\":\"teddy bear\"},"
                           "{\"id\":18,\"name\":\"dog\"},{\"id\":58,\"name\":\"hot dog\"}]}");
    cr_assert_eq(coco_names_open(&n, scratch_path("c.json"), &why), ST_OK, "%s", why.text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(coco_names_category(&n, rows[i].phrase, &category), ST_OK);
        cr_assert_eq(category, rows[i].want, "%s: %lld", rows[i].phrase, (long long)category);
    }
    coco_names_fini(&n);
}

Test(coco_names, a_file_of_no_categories_is_named)
{
    struct coco_names n;
    struct diag why = {""};
    scratch_text("none.json", "{\"images\":[]}");
    cr_assert_eq(coco_names_open(&n, scratch_path("none.json"), &why), ST_FORMAT);
    cr_assert(strstr(why.text, "none.json: expected a list of categories"), "%s", why.text);
    coco_names_fini(&n);
    scratch_text("bad.json", "[{\"id\":1,\"name\":\"a\"},{\"name\":\"b\"}]");
    cr_assert_eq(coco_names_open(&n, scratch_path("bad.json"), &why), ST_FORMAT);
    cr_assert(strstr(why.text, "bad.json: categories[1]"), "%s", why.text);
    coco_names_fini(&n);
}

Test(words, thousands_keep_their_numbers)
{
    struct words w = {0};
    int64_t number;
    char text[16];
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 1; i <= 5000; i++) {
            snprintf(text, sizeof text, "w%d", i);
            cr_assert_eq(words_number(&w, text, &number), ST_OK);
            cr_assert_eq(number, i);
        }
    }
    cr_assert_eq(w.n, 5000);
    cr_assert_eq(words_add(&w, "w7", 9), ST_INVALID);
    words_fini(&w);
}
