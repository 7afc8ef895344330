#include "formats/read/repeats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
    enum repeat repeat;
    char place[64]; /* "-": none */
    char message[DIAG_BYTES];
};

static struct found add(struct repeats *r, const char *id, const char *image, const char *manifest, uint64_t line)
{
    char text[256], *place = NULL;
    struct json *v = NULL;
    struct found found = {0};
    struct input input = {.manifest = manifest, .line = line};
    int n = snprintf(text, sizeof text, "{\"id\":\"%s\",\"image\":\"%s\",\"task\":\"caption\"}", id, image);
    cr_assert_eq(jsn_parse(text, (size_t)n, "test", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &input.job, NULL), ST_OK);
    jsn_free(v);
    cr_assert_eq(repeats_add(r, &input, &found.repeat, &place, NULL), ST_OK);
    cr_expect_eq(input.error != NULL, found.repeat == REPEAT_OTHER);
    snprintf(found.place, sizeof found.place, "%s", place ? place : "-");
    snprintf(found.message, sizeof found.message, "%s", input.message);
    free(place);
    input_fini(&input);
    return found;
}

Test(repeats, an_id_with_another_job_is_an_error_that_names_both_places)
{
    struct repeats *r = NULL;
    cr_assert_eq(repeats_new(&r), ST_OK);
    cr_expect_eq(add(r, "a", "1.png", "m.jsonl", 1).repeat, REPEAT_NONE);
    cr_expect_eq(add(r, "b", "2.png", "m.jsonl", 2).repeat, REPEAT_NONE);
    cr_expect_eq(add(r, "b", "2.png", "m.jsonl", 3).repeat, REPEAT_SAME);
    struct found other = add(r, "b", "3.png", "n.jsonl", 4);
    cr_expect_eq(other.repeat, REPEAT_OTHER);
    cr_expect_str_eq(other.place, "n.jsonl:4");
    cr_expect_str_eq(other.message, "n.jsonl:4: id \"b\" names another job already, at m.jsonl:2");
    cr_expect_eq(add(r, "c", "1.png", NULL, 0).repeat, REPEAT_NONE);
    other = add(r, "c", "2.png", NULL, 0);
    cr_expect_eq(other.repeat, REPEAT_OTHER);
    cr_expect_str_eq(other.place, "-");
    cr_expect_str_eq(other.message, "id \"c\" names another job of this run");
    repeats_free(r);
}

Test(repeats, a_place_of_any_bytes_and_length_is_a_key)
{
    enum { LONG = LIMIT_URI_BYTES + 500 };
    struct repeats *r = NULL;
    char name[LONG + 1];
    for (size_t i = 0; i + 1 < LONG; i += 2)
        memcpy(name + i, "\xC3\xBC", 2); /* u with dots */
    name[LONG] = '\0';
    cr_assert_eq(repeats_new(&r), ST_OK);
    cr_expect_eq(add(r, "a", "1.png", name, 1).repeat, REPEAT_NONE);
    struct json *job = NULL;
    struct input input = {.manifest = name, .line = 22};
    enum repeat repeat;
    char *place = NULL;
    static const char text[] = "{\"id\":\"a\",\"image\":\"2.png\",\"task\":\"caption\"}";
    cr_assert_eq(jsn_parse(text, sizeof text - 1, "test", &job, NULL), ST_OK);
    cr_assert_eq(job_from_json(job, NULL, &input.job, NULL), ST_OK);
    cr_assert_eq(repeats_add(r, &input, &repeat, &place, NULL), ST_OK);
    cr_assert_eq(repeat, REPEAT_OTHER);
    cr_expect_leq(strlen(place), LIMIT_URI_BYTES);
    cr_expect_neq((unsigned char)place[0] & 0xC0, 0x80, "begins with half a letter");
    cr_expect_str_eq(place + strlen(place) - 3, ":22");
    free(place);
    jsn_free(job);
    input_fini(&input);
    repeats_free(r);
}

Test(repeats, two_broken_inputs_of_one_id_are_two)
{
    struct repeats *r = NULL;
    char id[] = "a", image[] = "1.png", tenant[] = "default", campaign[] = "", policy[] = "default";
    struct job job = {.key = id, .image = image, .tenant = tenant, .campaign = campaign, .policy = policy};
    cr_assert_eq(repeats_new(&r), ST_OK);
    for (uint64_t line = 1; line <= 2; line++) {
        struct input input = {.job = &job, .error = "invalid_job", .manifest = "m.jsonl", .line = line};
        enum repeat repeat;
        char *place = NULL;
        snprintf(input.message, sizeof input.message, "m.jsonl:%d: no image", (int)line);
        cr_assert_eq(repeats_add(r, &input, &repeat, &place, NULL), ST_OK);
        cr_expect_eq(repeat, line == 1 ? REPEAT_NONE : REPEAT_OTHER);
        cr_expect_str_eq(input.error, "invalid_job", "what was wrong first stays said");
        free(place);
    }
    repeats_free(r);
}

Test(repeats, thousands_of_ids_are_kept_apart)
{
    enum { N = 20000 };
    struct repeats *r = NULL;
    char id[32], place[32];
    cr_assert_eq(repeats_new(&r), ST_OK);
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(add(r, id, "a.png", "m.jsonl", (uint64_t)i + 1).repeat, REPEAT_NONE);
    }
    for (int i = 0; i < N; i += 97) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(place, sizeof place, "at m.jsonl:%d", i + 1);
        struct found found = add(r, id, "b.png", "n.jsonl", 1);
        cr_assert_eq(found.repeat, REPEAT_OTHER);
        cr_assert(strstr(found.message, place), "%s", found.message);
    }
    repeats_free(r);
}
