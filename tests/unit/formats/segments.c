#include "formats/write/segments.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/formats/scratch.h"

static struct segments *open_at(const char *dir, uint64_t cursor)
{
    struct segments *s;
    struct diag why = {""};
    cr_assert_eq(segments_open(dir, "summer", 40, &s, &why), ST_OK, "%s", why.text);
    cr_assert_eq(segments_cursor(s), cursor);
    return s;
}

static void put(struct segments *s, const char *text)
{
    struct diag why = {""};
    cr_assert_eq(segments_put(s, text, strlen(text), &why), ST_OK, "%s", why.text);
}

static void commit(struct segments *s, uint64_t cursor)
{
    struct diag why = {""};
    cr_assert_eq(segments_commit(s, cursor, &why), ST_OK, "%s", why.text);
}

static void expect_file(const char *dir, int number, const char *want)
{
    char path[256], text[256] = "";
    snprintf(path, sizeof path, "%s/records-%06d.jsonl", dir, number);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    cr_assert_str_eq(text, want);
}

Test(segments, what_was_not_committed_is_gone_after_a_kill_and_nothing_else)
{
    const char *dir = scratch_path("kill");
    struct segments *s = open_at(dir, 0);
    put(s, "{\"n\":1}");
    put(s, "{\"n\":2}");
    commit(s, 2);
    put(s, "{\"n\":3}");
    segments_close(s); /* as killed */
    s = open_at(dir, 2);
    expect_file(dir, 1, "{\"n\":1}\n{\"n\":2}\n");
    put(s, "{\"n\":3}");
    commit(s, 3);
    segments_close(s);
    s = open_at(dir, 3);
    expect_file(dir, 1, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    segments_close(s);
}

Test(segments, a_full_file_is_followed_by_another)
{
    const char *dir = scratch_path("full");
    struct segments *s = open_at(dir, 0);
    put(s, "{\"text\":\"forty bytes are too many for one\"}");
    commit(s, 1);
    segments_close(s);
    s = open_at(dir, 1);
    put(s, "{}");
    commit(s, 2);
    segments_close(s);
    expect_file(dir, 2, "{}\n");
}

Test(segments, a_folder_has_one_writer_and_one_source)
{
    const char *dir = scratch_path("one");
    struct segments *s = open_at(dir, 0), *other;
    struct diag why = {""};
    cr_assert_eq(segments_open(dir, "summer", 40, &other, &why), ST_REFUSED);
    put(s, "{}");
    commit(s, 1);
    segments_close(s);
    cr_assert_eq(segments_open(dir, "winter", 40, &other, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "\"summer\", not of \"winter\""), "%s", why.text);
}

static enum status drop_two(void *ctx, const char *text, size_t len, char **out, struct diag *why)
{
    (void)ctx;
    (void)why;
    if (len == 14 && memcmp(text, "{\"number\":222}", len) == 0)
        *out = strdup("{\"gone\":1}");
    return ST_OK;
}

Test(segments, a_rewritten_line_keeps_its_length_so_that_places_stay_right)
{
    const char *dir = scratch_path("rewrite");
    struct segments *s = open_at(dir, 0);
    struct diag why = {""};
    put(s, "{\"number\":111}");
    put(s, "{\"number\":222}");
    commit(s, 2);
    cr_assert_eq(segments_rewrite(s, drop_two, NULL, &why), ST_OK, "%s", why.text);
    put(s, "{}");
    commit(s, 3);
    segments_close(s);
    expect_file(dir, 1, "{\"number\":111}\n{\"gone\":1}    \n{}\n");
    segments_close(open_at(dir, 3));
}
