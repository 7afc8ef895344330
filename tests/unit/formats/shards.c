/* Claims of formats/read/inputs.h about tar shards and buckets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/read/inputs.h"
#include "scratch.h"

static void make_shard(const char *name)
{
    char command[1024];
    scratch_folder("files");
    scratch_text("files/0001.jpg", "first image");
    scratch_text("files/0001.json", "{\"caption\": \"x\"}");
    scratch_text("files/0002.png", "second");
    scratch_text("files/0002.txt", "words");
    scratch_text("files/0003.webp", "");
    snprintf(command, sizeof command, "cd '%s' && tar -C files --sort=name -cf %s .", scratch(), name);
    cr_assert_eq(system(command), 0);
}

/* "KEY IMAGE GROUP!ERROR" a line; the scratch folder is left out. */
static void list(const struct inputs_options *o, char *out, size_t size)
{
    struct inputs *in;
    struct diag why = {""};
    enum status s;
    size_t n = 0, len = strlen(scratch());
    out[0] = '\0';
    cr_assert_eq(inputs_open(o, &in, &why), ST_OK);
    for (;;) {
        struct input i = {0};
        if ((s = inputs_next(in, &i, &why)) != ST_OK)
            break;
        const char *key = i.job->key, *image = i.job->image, *group = i.job->group ? i.job->group : "-";
        key += strncmp(key, scratch(), len) == 0 ? len + 1 : 0;
        image += strncmp(image, scratch(), len) == 0 ? len + 1 : 0;
        group += strncmp(group, scratch(), len) == 0 ? len + 1 : 0;
        n += (size_t)snprintf(out + n, size - n, "%s %s %s%s%s\n", key, image, group, i.error ? "!" : "",
                              i.error ? i.error : "");
        input_fini(&i);
    }
    cr_assert_eq(s, ST_CLOSED);
    inputs_close(in);
}

static struct job *caption(void)
{
    struct json *v = NULL;
    struct job *job = NULL;
    static const char text[] = "{\"image\": \"x\", \"task\": \"caption\"}";
    cr_assert_eq(jsn_parse(text, strlen(text), "job", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &job, NULL), ST_OK);
    jsn_free(v);
    return job;
}

Test(shards, a_shard_gives_its_images_by_place_and_nothing_else)
{
    char out[4096];
    struct job *job = caption();
    make_shard("s.tar");
    const char *path = scratch_path("s.tar");
    list(&(struct inputs_options){.paths = &path, .n_paths = 1, .defaults = job}, out, sizeof out);
    cr_expect_str_eq(out,
                     "s.tar#0001.jpg s.tar#0001.jpg@1024+11 s.tar\n"
                     "s.tar#0002.png s.tar#0002.png@3072+6 s.tar\n"
                     "s.tar#0003.webp s.tar#0003.webp -!empty_file\n",
                     "%s", out);
    job_free(job);
}

/* "KEY N" a line, of all inputs that say how many their shard has. */
static void list_counting(const char *path, char *out, size_t size)
{
    struct job *job = caption();
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = job};
    struct inputs *in;
    struct input i = {0};
    struct diag why = {""};
    size_t n = 0;
    out[0] = '\0';
    cr_assert_eq(inputs_open(&o, &in, &why), ST_OK);
    for (; inputs_next(in, &i, &why) == ST_OK; input_fini(&i))
        if (i.job->group_images > 0)
            n += (size_t)snprintf(out + n, size - n, "%s %d\n", strrchr(i.job->key, '/') + 1, i.job->group_images);
    inputs_close(in);
    job_free(job);
}

Test(shards, the_last_image_of_a_whole_shard_says_how_many_there_are)
{
    char out[4096], command[512];
    scratch_folder("d");
    make_shard("d/a.tar");
    snprintf(command, sizeof command,
             "cd '%s' && cp d/a.tar d/b.tar && head -c 3700 d/b.tar >d/cut.tar && tar -cf d/one.tar files/0002.png",
             scratch());
    cr_assert_eq(system(command), 0);
    list_counting(scratch_path("d"), out, sizeof out);
    cr_expect_str_eq(out, "a.tar#0003.webp 3\nb.tar#0003.webp 3\n0002.png 1\n", "%s", out);
}

Test(shards, shards_in_a_folder_are_opened_where_they_stand)
{
    char out[4096];
    struct job *job = caption();
    scratch_folder("d");
    make_shard("d/b.tar");
    scratch_text("d/a.jpg", "x");
    scratch_text("d/c.jpg", "x");
    scratch_text("d/broken.tar", "no tar at all");
    const char *path = scratch_path("d");
    list(&(struct inputs_options){.paths = &path, .n_paths = 1, .defaults = job}, out, sizeof out);
    cr_expect(strstr(out, "d/a.jpg d/a.jpg -\nd/b.tar#0001.jpg"), "%s", out);
    cr_expect(strstr(out, "d/broken.tar d/broken.tar -!bad_shard\nd/c.jpg"), "%s", out);
    job_free(job);
}

Test(shards, a_shard_without_images_or_cut_in_a_member_is_an_error_of_its_own)
{
    char out[4096], command[512];
    struct job *job = caption();
    make_shard("s.tar");
    snprintf(command, sizeof command, "cd '%s' && head -c 1030 s.tar >cut.tar && tar -cf none.tar files/0002.txt",
             scratch());
    cr_assert_eq(system(command), 0);
    const char *paths[] = {scratch_path("cut.tar"), scratch_path("none.tar")};
    list(&(struct inputs_options){.paths = paths, .n_paths = 2, .defaults = job}, out, sizeof out);
    cr_expect(strstr(out, "cut.tar#0001.jpg cut.tar#0001.jpg -!bad_member\n"), "%s", out);
    cr_expect(strstr(out, "none.tar none.tar -!not_an_image\n"), "%s", out);
    job_free(job);
}

/* ---- elsewhere ---- */

/* Answers every URI with the scratch folder's s.tar, but what has "gone" in it. */
static enum status read_elsewhere(void *ctx, const char *uri, uint64_t offset, uint64_t length, uint8_t **bytes,
                                  size_t *len, struct diag *why)
{
    (void)ctx;
    if (strstr(uri, "gone"))
        return diag_set(why, ST_MISSING, "HTTP status 404");
    FILE *f = fopen(scratch_path("s.tar"), "rb");
    cr_assert(f);
    *bytes = malloc((size_t)length);
    cr_assert(*bytes);
    fseek(f, (long)offset, SEEK_SET);
    *len = fread(*bytes, 1, (size_t)length, f);
    fclose(f);
    return ST_OK;
}

/* Two pages. */
static enum status list_elsewhere(void *ctx, const char *uri, char **token, char ***names, int *n, struct diag *why)
{
    (void)ctx;
    if (strstr(uri, "closed"))
        return diag_set(why, ST_REFUSED, "AccessDenied");
    *names = calloc(2, sizeof **names);
    cr_assert(*names);
    if (!*token) {
        (*names)[0] = strdup("s3://pics/a/1.jpg");
        (*names)[1] = strdup("s3://pics/a/s.tar");
        *n = 2;
        *token = strdup("more");
    } else {
        (*names)[0] = strdup("s3://pics/a/z.jpg");
        *n = 1;
        free(*token);
        *token = NULL;
    }
    return ST_OK;
}

Test(shards, a_bucket_is_listed_page_by_page_and_its_shards_are_opened)
{
    char out[4096];
    struct job *job = caption();
    const struct inputs_remote remote = {.read = read_elsewhere, .list = list_elsewhere};
    make_shard("s.tar");
    const char *paths[] = {"s3://pics/a/", "s3://closed/", "s3://pics/one.jpg"};
    list(&(struct inputs_options){.paths = paths, .n_paths = 3, .defaults = job, .remote = &remote}, out, sizeof out);
    cr_expect_str_eq(out,
                     "s3://pics/a/1.jpg s3://pics/a/1.jpg -\n"
                     "s3://pics/a/s.tar#0001.jpg s3://pics/a/s.tar#0001.jpg@1024+11 s3://pics/a/s.tar\n"
                     "s3://pics/a/s.tar#0002.png s3://pics/a/s.tar#0002.png@3072+6 s3://pics/a/s.tar\n"
                     "s3://pics/a/s.tar#0003.webp s3://pics/a/s.tar#0003.webp -!empty_file\n"
                     "s3://pics/a/z.jpg s3://pics/a/z.jpg -\n"
                     "s3://closed/ s3://closed/ -!unreadable\n"
                     "s3://pics/one.jpg s3://pics/one.jpg -\n",
                     "%s", out);
    job_free(job);
}

Test(shards, no_message_about_a_source_elsewhere_tells_its_password)
{
    struct job *job = caption();
    const char *paths[] = {"https://me:word@example.org/gone.tar", "s3://me:word@closed/"};
    const struct inputs_remote remote = {.read = read_elsewhere, .list = list_elsewhere};
    struct inputs_options o = {.paths = paths, .n_paths = 2, .defaults = job, .remote = &remote};
    struct inputs *in;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    for (int i = 0; i < 2; i++) {
        struct input one = {0};
        cr_assert_eq(inputs_next(in, &one, NULL), ST_OK);
        cr_expect(one.error && strstr(one.message, i == 0 ? "https://example.org/gone.tar: " : "s3://closed/: "), "%s",
                  one.message);
        cr_expect_str_eq(one.job->image, paths[i]);
        input_fini(&one);
    }
    inputs_close(in);
    job_free(job);
}

Test(shards, a_shard_elsewhere_is_read_by_its_uri_or_says_why_not)
{
    char out[4096];
    struct job *job = caption();
    const struct inputs_remote remote = {.read = read_elsewhere, .list = list_elsewhere};
    make_shard("s.tar");
    const char *paths[] = {"https://example.org/s.tar", "https://example.org/gone.tar"};
    struct inputs_options o = {.paths = paths, .n_paths = 2, .defaults = job, .remote = &remote};
    list(&o, out, sizeof out);
    cr_expect(strstr(out, "https://example.org/s.tar#0002.png https://example.org/s.tar#0002.png@3072+6"), "%s", out);
    cr_expect(strstr(out, "https://example.org/gone.tar https://example.org/gone.tar -!missing_file\n"), "%s", out);
    o.remote = NULL;
    list(&o, out, sizeof out);
    cr_expect(strstr(out, "https://example.org/s.tar https://example.org/s.tar -!unreadable\n"), "%s", out);
    job_free(job);
}
