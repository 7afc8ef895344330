#include "formats/read/repeats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool add(struct repeats *r, const char *id, const char *image, const char *manifest, uint64_t line, char *first)
{
    char text[256];
    struct json *v = NULL;
    struct input input = {.manifest = manifest, .line = line};
    bool again = false;
    int n = snprintf(text, sizeof text, "{\"id\":\"%s\",\"image\":\"%s\",\"task\":\"caption\"}", id, image);
    cr_assert_eq(jsn_parse(text, (size_t)n, "test", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &input.job, NULL), ST_OK);
    jsn_free(v);
    cr_assert_eq(repeats_add(r, &input, &again, first, 256, NULL), ST_OK);
    job_free(input.job);
    return again;
}

Test(repeats, an_id_with_another_job_is_told_with_the_place_of_the_first)
{
    struct repeats *r = NULL;
    char first[256] = "";
    cr_assert_eq(repeats_new(&r), ST_OK);
    cr_expect_not(add(r, "a", "1.png", "m.jsonl", 1, first));
    cr_expect_not(add(r, "b", "2.png", "m.jsonl", 2, first));
    cr_expect_not(add(r, "b", "2.png", "m.jsonl", 3, first), "the same job again is no repeat");
    cr_expect(add(r, "b", "3.png", "n.jsonl", 4, first));
    cr_expect_str_eq(first, "m.jsonl:2");
    cr_expect_not(add(r, "c", "1.png", NULL, 0, first));
    cr_expect(add(r, "c", "2.png", "n.jsonl", 5, first));
    cr_expect_str_eq(first, "");
    repeats_free(r);
}

Test(repeats, thousands_of_ids_are_kept_apart)
{
    enum { N = 20000 };
    struct repeats *r = NULL;
    char id[32], first[256] = "", place[32];
    cr_assert_eq(repeats_new(&r), ST_OK);
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "%d", i);
        cr_assert_not(add(r, id, "a.png", "m.jsonl", (uint64_t)i + 1, first));
    }
    for (int i = 0; i < N; i += 97) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(place, sizeof place, "m.jsonl:%d", i + 1);
        cr_assert(add(r, id, "b.png", "n.jsonl", 1, first));
        cr_assert_str_eq(first, place);
    }
    repeats_free(r);
}
