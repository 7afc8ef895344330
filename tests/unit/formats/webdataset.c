/* Claims of formats/write/webdataset.c about when a shard is under its name; what is in one is read by webdataset
 * itself in tests/consumers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/write/format.h"
#include "scratch.h"

static void *begin(void)
{
    void *writer = NULL;
    struct diag why = {""};
    scratch_folder("out");
    const struct format_options o = {.dir = scratch_path("out"), .title = "t"};
    cr_assert_eq(format_webdataset.open(&o, &writer, &why), ST_OK, "%s", why.text);
    return writer;
}

static void put_named(void *writer, const char *id, const char *shard, const char *member, int group_images)
{
    char text[512], more[64] = "";
    struct json *record = NULL;
    struct diag why = {""};
    if (group_images > 0)
        snprintf(more, sizeof more, "\"group_images\":%d,", group_images);
    snprintf(text, sizeof text,
             "{\"schema\":1,\"id\":\"%s\",%s\"status\":\"ok\",\"image\":{\"uri\":\"data:%s.tar#%s@512+9\"},"
             "\"tasks\":[]}",
             id, more, shard, member);
    cr_assert_eq(jsn_parse(text, strlen(text), "record", &record, &why), ST_OK, "%s", why.text);
    cr_assert_eq(format_webdataset.put(writer, record, NULL, &why), ST_OK, "%s", why.text);
    jsn_free(record);
}

static void put(void *writer, const char *shard, const char *member, int group_images)
{
    char name[64];
    snprintf(name, sizeof name, "%s.jpg", member);
    put_named(writer, name, shard, name, group_images);
}

static bool is_whole(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "out/%s", name);
    return access(scratch_path(path), F_OK) == 0;
}

/* Members of a shard in their order, as tar lists them. */
static void list(const char *name, char *out, size_t size)
{
    char command[512];
    snprintf(command, sizeof command, "tar -tf '%s/out/%s' | tr '\\n' ' '", scratch(), name);
    FILE *p = popen(command, "r");
    cr_assert(p);
    out[fread(out, 1, size - 1, p)] = '\0';
    cr_assert_eq(pclose(p), 0);
}

/* Gives its notes. */
static const char *end(void *writer, bool keep)
{
    static struct diag notes;
    struct diag why = {""};
    notes = (struct diag){""};
    cr_assert_eq(format_webdataset.close(writer, keep, &notes, &why), ST_OK, "%s", why.text);
    return notes.text;
}

Test(webdataset, a_shard_is_closed_by_the_last_of_its_images_in_whatever_order_they_come)
{
    void *w = begin();
    put(w, "a", "3", 3);
    put(w, "b", "1", 0);
    put(w, "a", "1", 0);
    cr_expect(!is_whole("a.tar"));
    put(w, "a", "2", 0);
    cr_expect(is_whole("a.tar") && !is_whole("a.tar.new"));
    cr_expect(!is_whole("b.tar"));
    end(w, false);
    cr_expect(is_whole("a.tar"), "what was whole went with what was not");
    cr_expect(!is_whole("b.tar") && !is_whole("b.tar.new"));
}

Test(webdataset, an_image_with_two_records_counts_once_and_has_the_first)
{
    char names[512];
    void *w = begin();
    put(w, "a", "1", 0);
    put(w, "a", "1", 0);
    put(w, "a", "2", 2);
    cr_expect(is_whole("a.tar"));
    put(w, "b", "1", 0);
    put(w, "b", "1", 2);
    cr_expect(!is_whole("b.tar"));
    const char *notes = end(w, true);
    cr_expect_str_eq(notes, "left out: 2 records that came again; the first one of each stands");
    list("b.tar", names, sizeof names);
    cr_expect_str_eq(names, "1.ann.json ", "%s", names);
}

Test(webdataset, a_record_that_comes_again_may_be_the_one_that_says_how_many_images_there_are)
{
    char names[512];
    void *w = begin();
    put(w, "a", "1", 0);
    put(w, "a", "2", 0);
    put(w, "a", "1", 2);
    cr_expect(is_whole("a.tar"));
    end(w, true);
    list("a.tar", names, sizeof names);
    cr_expect_str_eq(names, "1.ann.json 2.ann.json ", "%s", names);
}

Test(webdataset, behind_the_end_of_its_shard_a_record_is_known_again_and_a_new_image_finds_its_place)
{
    char names[512];
    void *w = begin();
    put(w, "a", "1", 0);
    put(w, "a", "2", 2);
    put(w, "a", "1", 0);
    cr_expect(is_whole("a.tar") && !is_whole("a.tar.new"));
    put_named(w, "1.png", "a", "1.png", 0);
    put(w, "a", "3", 0);
    cr_expect(is_whole("a.tar") && !is_whole("a.tar.new"));
    put(w, "a", "3", 0);
    end(w, true);
    list("a.tar", names, sizeof names);
    cr_expect_str_eq(names, "1.ann.json 2.ann.json 1.png.ann.json 3.ann.json ", "%s", names);
}

Test(webdataset, images_of_one_key_are_fields_of_it)
{
    char names[512];
    void *w = begin();
    put(w, "a", "0001.left", 4);
    put(w, "a", "0001.right", 0);
    put(w, "a", "in.v2/a", 0);
    cr_expect(!is_whole("a.tar"), "keys were counted rather than images");
    put(w, "a", "in.v2/a.b", 0);
    cr_expect(is_whole("a.tar"));
    cr_expect_str_eq(end(w, true), "");
    list("a.tar", names, sizeof names);
    cr_expect_str_eq(names, "0001.left.ann.json 0001.right.ann.json in.v2/a.ann.json in.v2/a.b.ann.json ", "%s", names);
}

Test(webdataset, no_two_images_get_one_name)
{
    char names[512];
    void *w = begin();
    static const char *const members[] = {"a.jpg.png", "a.png", "a.jpg", "a", "b/.x"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        put_named(w, members[i], "a", members[i], 0);
    put_named(w, "a.png", "b", "a.png", 0);
    cr_expect_str_eq(end(w, true), "");
    list("a.tar", names, sizeof names);
    cr_expect_str_eq(names, "a.jpg.ann.json a.ann.json a.jpg.2.ann.json a.2.ann.json b/.x.ann.json ", "%s", names);
    list("b.tar", names, sizeof names);
    cr_expect_str_eq(names, "a.ann.json ", "%s", names);
}

Test(webdataset, an_image_that_was_asked_about_twice_counts_once_and_has_both_records)
{
    char names[512];
    void *w = begin();
    put_named(w, "first", "a", "1.jpg", 2);
    put_named(w, "second", "a", "1.jpg", 2);
    cr_expect(!is_whole("a.tar"));
    put_named(w, "second", "a", "1.jpg", 2);
    put_named(w, "third", "a", "2.jpg", 2);
    cr_expect(is_whole("a.tar"));
    cr_expect(strstr(end(w, true), "left out: 1 records"));
    list("a.tar", names, sizeof names);
    cr_expect_str_eq(names, "1.ann.json 1.jpg.ann.json 2.ann.json ", "%s", names);
}

Test(webdataset, more_shards_than_may_be_open_are_all_written)
{
    char name[32], names[512];
    void *w = begin();
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "s%02d", i);
            put(w, name, turn ? "b" : "a", turn ? 2 : 0);
        }
    cr_expect(is_whole("s00.tar") && is_whole("s99.tar"));
    end(w, true);
    list("s37.tar", names, sizeof names);
    cr_expect_str_eq(names, "a.ann.json b.ann.json ", "%s", names);
}
