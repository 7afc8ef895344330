#include "formats/read/inputs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/formats/scratch.h"

static struct job *caption_defaults(void)
{
    static const char line[] = "{\"image\":\"-\",\"task\":\"caption\"}";
    struct json *v = NULL;
    struct job *j = NULL;
    cr_assert_eq(jsn_parse(line, sizeof line - 1, "test", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &j, NULL), ST_OK);
    jsn_free(v);
    return j;
}

/* All inputs, one a line: "key" or "key!code", keys without the scratch folder. */
static void list(const char *const *paths, int n, char *out, size_t size)
{
    struct job *defaults = caption_defaults();
    struct inputs_options o = {.paths = paths, .n_paths = n, .defaults = defaults};
    struct inputs *in = NULL;
    struct input input;
    enum status s;
    out[0] = '\0';
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    while ((s = inputs_next(in, &input, NULL)) == ST_OK) {
        const char *key = input.job->key;
        size_t at = strlen(out), skip = strlen(scratch()) + 1;
        if (strncmp(key, scratch(), skip - 1) == 0)
            key += skip;
        snprintf(out + at, size - at, "%s%s%s\n", key, input.error ? "!" : "", input.error ? input.error : "");
        input_fini(&input);
    }
    cr_assert_eq(s, ST_CLOSED);
    inputs_close(in);
    job_free(defaults);
}

Test(inputs, a_folder_gives_every_entry_once_sorted_and_no_hidden_one)
{
    scratch_folder("d");
    scratch_folder("d/b");
    scratch_folder("d/x.jpg");
    scratch_folder("d/.git");
    scratch_text("d/c.png", "");
    scratch_text("d/a b\"'.jpg", "");
    scratch_text("d/b/z.jpg", "");
    scratch_text("d/b/notes.txt", "");
    scratch_text("d/.hidden.jpg", "");
    scratch_text("d/.git/a.jpg", "");
    scratch_text("d/\xE7\x8C\xAB.jpg", "");
    cr_assert_eq(mkfifo(scratch_path("d/pipe.jpg"), 0600), 0);
    cr_assert_eq(symlink("nowhere", scratch_path("d/dangling.jpg")), 0);
    cr_assert_eq(symlink("..", scratch_path("d/b/up")), 0);
    char out[4096];
    const char *path = scratch_path("d");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "d/a b\"'.jpg\nd/b/notes.txt\nd/b/up!not_a_file\nd/b/z.jpg\nd/c.png\nd/dangling.jpg\n"
                          "d/pipe.jpg\nd/x.jpg!not_a_file\nd/\xE7\x8C\xAB.jpg\n");
}

Test(inputs, arguments_come_in_their_order_and_each_bad_one_is_an_item)
{
    scratch_folder("photo.jpg");
    scratch_text("one.png", "");
    scratch_text("two.png", "");
    const char *paths[] = {scratch_path("two.png"), scratch_path("absent.jpg"), scratch_path("photo.jpg"),
                           scratch_path("*.png"),   scratch_path("*.gif"),      "https://example.org/a.jpg",
                           "photos:b.jpg"};
    char out[4096];
    list(paths, 7, out, sizeof out);
    cr_assert_str_eq(out, "two.png\nabsent.jpg\nphoto.jpg!not_a_file\none.png\ntwo.png\n*.gif!missing_file\n"
                          "https://example.org/a.jpg\nphotos:b.jpg\n");
}

Test(inputs, a_text_file_is_a_list_of_paths_and_addresses)
{
    char text[16384], out[4096];
    snprintf(text, sizeof text, "  a b.jpg \r\n\n%s\nhttps://example.org/%%20b.jpg?x=1#y\n%06000d\nsub/c.png",
             scratch_path("one.png"), 7);
    scratch_folder("lists");
    scratch_text("lists/images.txt", text);
    const char *path = scratch_path("lists/images.txt");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "lists/a b.jpg\none.png\nhttps://example.org/%20b.jpg?x=1#y\nlists/images.txt:5!too_long\n"
                          "lists/sub/c.png\n");
}

Test(inputs, an_ndjson_file_is_an_item_that_tells_how_manifests_are_called)
{
    char out[4096];
    scratch_text("jobs.ndjson", "{}");
    const char *path = scratch_path("jobs.ndjson");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "jobs.ndjson!not_an_image\n");
    cr_expect_not(inputs_is_manifest("jobs.ndjson"));
    cr_expect(inputs_is_manifest("coco.json"));
    cr_expect(inputs_is_manifest("jobs.jsonl.zst"));
    cr_expect(inputs_is_manifest("-"));
}

Test(inputs, a_byte_order_mark_costs_no_line)
{
    char out[4096];
    scratch_text("bom.jsonl", "\xEF\xBB\xBF{\"image\":\"a.jpg\"}\n\xEF\xBB\xBF{\"image\":\"b.jpg\"}\n");
    const char *path = scratch_path("bom.jsonl");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "a.jpg\nbom.jsonl:2!invalid_job\n", "one mark, in front of the first line alone");
}

Test(inputs, a_broken_line_keeps_the_id_that_can_be_read)
{
    char out[4096];
    scratch_text("m.jsonl", "{\"id\": \"seed\", \"image\": \"a\", \"options\": {\"seed\": 9223372036854775808}}\n"
                            "{\"id\": 17, \"image\": \"a\", \"priority\": 9}\n"
                            "{\"image\": \"a\", \"group\": \"id\", \"meta\": {\"id\": \"inner\"}, \"id\":18,\n"
                            "{\"meta\": {\"id\": \"inner\"}, \"tasks\":\n"
                            "{\"id\": \"cut\n"
                            "{\"id\": \"a \\\"quoted\\\" one\", \"image\": \"a\",,}\n");
    const char *path = scratch_path("m.jsonl");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "seed!invalid_job\n17!invalid_job\n18!invalid_job\nm.jsonl:4!invalid_job\n"
                          "m.jsonl:5!invalid_job\na \"quoted\" one!invalid_job\n");
}

Test(inputs, an_id_or_image_over_the_limit_is_one_item_named_by_its_place)
{
    enum { LONG = 5000 };
    char out[4096], text[2 * LONG + 200], x[LONG + 1];
    memset(x, 'x', LONG);
    x[LONG] = '\0';
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"image\":\"a\"}\n{\"image\":\"data:%s\"}\n{\"image\":\"b\"}\n", x, x);
    scratch_text("m.jsonl", text);
    const char *path = scratch_path("m.jsonl");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "m.jsonl:1!too_long\nm.jsonl:2!too_long\nb\n");
    struct job *defaults = caption_defaults();
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = defaults};
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
        cr_expect_leq(strlen(input.job->image), LIMIT_URI_BYTES);
        cr_expect_eq(input.line, i + 1);
        input_fini(&input);
    }
    inputs_close(in);
    job_free(defaults);
}

static const char MANIFEST[] = "{\"image\":\"a.jpg\"}\n"
                               "not json\n"
                               "\n"
                               "{\"image\":\"/abs/b.jpg\",\"id\":\"bee\"}\r\n"
                               "{\"image\":\"c.jpg\",\"task\":\"paint\"}\n"
                               "{\"id\":\"dee\",\"image\":\"d.jpg\",\"priority\":9}\n"
                               "{\"image\":\"data:image/png;base64,AAAA\",\"id\":\"e\"}";

static const char LISTED[] = "a.jpg\nm.jsonl:2!invalid_job\nbee\nm.jsonl:5!unknown_task\ndee!invalid_job\ne\n";

Test(inputs, a_malformed_line_is_an_item_and_the_next_line_follows)
{
    char out[4096];
    scratch_text("m.jsonl", MANIFEST);
    const char *path = scratch_path("m.jsonl");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, LISTED);
}

Test(inputs, messages_name_file_line_and_field)
{
    struct job *defaults = caption_defaults();
    scratch_text("m.jsonl", "{\"image\":\"a\"}\n{\"image\":\"a\",\"priority\":9}\n");
    const char *path = scratch_path("m.jsonl");
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = defaults};
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
    input_fini(&input);
    cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
    cr_assert_not_null(strstr(input.message, "m.jsonl:2: priority: 9 is outside 0..2"), "%s", input.message);
    input_fini(&input);
    inputs_close(in);
    job_free(defaults);
}

Test(inputs, relative_images_are_relative_to_the_manifest)
{
    struct job *defaults = caption_defaults();
    scratch_folder("sub");
    scratch_text("sub/m.jsonl", "{\"image\":\"x/./a.jpg\"}\n{\"image\":{\"path\":\"../b.jpg\"}}\n");
    const char *path = scratch_path("sub/m.jsonl");
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = defaults};
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
    cr_assert_str_eq(input.job->image, scratch_path("sub/x/a.jpg"));
    cr_assert_str_eq(input.job->key, input.job->image, "the key is where the image is, not how the line writes it");
    input_fini(&input);
    cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
    cr_assert_str_eq(input.job->image, scratch_path("b.jpg"));
    input_fini(&input);
    inputs_close(in);
    job_free(defaults);
}

Test(inputs, a_compressed_manifest_reads_like_the_plain_one)
{
    char out[4096];
    gzFile f = gzopen(scratch_path("m.jsonl.gz"), "wb");
    gzwrite(f, MANIFEST, 60); /* two members, as `cat a.gz b.gz` makes */
    gzclose(f);
    f = gzopen(scratch_path("m.jsonl.gz"), "ab");
    gzwrite(f, MANIFEST + 60, sizeof MANIFEST - 1 - 60);
    gzclose(f);
    const char *path = scratch_path("m.jsonl.gz");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "a.jpg\nm.jsonl.gz:2!invalid_job\nbee\nm.jsonl.gz:5!unknown_task\ndee!invalid_job\ne\n");
}

Test(inputs, a_cut_gzip_gives_its_whole_lines_and_one_error)
{
    char out[1 << 16], line[128];
    gzFile f = gzopen(scratch_path("cut.jsonl.gz"), "wb");
    srand(7);
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof line, "{\"image\":\"%d-%d.jpg\"}\n", rand(), rand());
        gzputs(f, line);
    }
    gzclose(f);
    struct stat st;
    cr_assert_eq(stat(scratch_path("cut.jsonl.gz"), &st), 0);
    cr_assert_eq(truncate(scratch_path("cut.jsonl.gz"), st.st_size / 2), 0);
    const char *path = scratch_path("cut.jsonl.gz");
    list(&path, 1, out, sizeof out);
    cr_assert(strlen(out) > 500, "%s", out);
    cr_assert_not_null(strstr(out, "cut.jsonl.gz!unreadable\n"), "%s", out);
}

Test(inputs, every_offset_is_a_place_to_go_on_from)
{
    struct job *defaults = caption_defaults();
    scratch_text("m.jsonl", MANIFEST);
    const char *path = scratch_path("m.jsonl");
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = defaults};
    uint64_t offsets[8], lines[8];
    char *keys[8];
    int n = 0;
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    cr_assert(inputs_resumable(in));
    while (inputs_next(in, &input, NULL) == ST_OK) {
        offsets[n] = input.offset;
        lines[n] = input.line;
        keys[n++] = strdup(input.job->image);
        input_fini(&input);
    }
    inputs_close(in);
    cr_assert_eq(n, 6);
    cr_assert_eq(offsets[5], sizeof MANIFEST - 1);
    for (int i = 0; i < n; i++) {
        cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
        cr_assert_eq(inputs_seek(in, offsets[i], NULL), ST_OK);
        enum status s = inputs_next(in, &input, NULL);
        cr_assert_eq(s, i + 1 < n ? ST_OK : ST_CLOSED);
        if (s == ST_OK) {
            cr_assert_str_eq(input.job->image, keys[i + 1]);
            cr_assert_eq(input.offset, offsets[i + 1]);
            cr_assert_eq(input.line, lines[i + 1], "lines keep their numbers");
            input_fini(&input);
        }
        inputs_close(in);
        free(keys[i]);
    }
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    cr_assert_eq(inputs_seek(in, sizeof MANIFEST + 10, NULL), ST_INVALID);
    inputs_close(in);
    job_free(defaults);
}

Test(inputs, a_line_over_the_limit_is_one_item_and_the_next_line_is_read)
{
    char out[4096];
    FILE *f = fopen(scratch_path("long.jsonl"), "w");
    fputs("{\"image\":\"a\"}\n{\"image\":\"", f);
    for (int i = 0; i < 3 * INPUTS_LINE_BYTES; i++)
        fputc('x', f);
    fputs("\"}\n{\"image\":\"b\"}\n", f);
    fclose(f);
    const char *path = scratch_path("long.jsonl");
    list(&path, 1, out, sizeof out);
    cr_assert_str_eq(out, "a\nlong.jsonl:2!too_long\nb\n");
}

Test(inputs, a_name_that_is_not_utf_8_becomes_a_file_uri)
{
    struct job *defaults = caption_defaults();
    scratch_text("caf\xE9.jpg", "");
    const char *path = scratch_path("caf\xE9.jpg");
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = defaults};
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
    cr_assert_null(input.error);
    cr_assert_eq(strncmp(input.job->image, "file:///", 8), 0);
    cr_assert_not_null(strstr(input.job->image, "/caf%E9.jpg"));
    input_fini(&input);
    inputs_close(in);
    job_free(defaults);
}

static enum status no_root(void *ctx, const char *path, char **uri, struct diag *why)
{
    (void)ctx, (void)uri;
    return diag_set(why, ST_MISSING, "%s: no root holds it", path);
}

Test(inputs, a_path_that_no_root_holds_is_an_item)
{
    struct job *defaults = caption_defaults();
    scratch_text("m.jsonl", "{\"image\":\"a.jpg\"}\n");
    const char *paths[] = {scratch_path("a.jpg"), scratch_path("m.jsonl")};
    struct inputs_options o = {.paths = paths, .n_paths = 2, .defaults = defaults, .uri = no_root};
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
        cr_assert_str_eq(input.error, "unknown_root");
        cr_assert_eq(input.error_class, ERROR_ENVIRONMENT);
        input_fini(&input);
    }
    inputs_close(in);
    job_free(defaults);
}

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_eq(fscanf(f, "%ld %ld", &pages, &resident), 2);
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The address sanitizer keeps freed memory for a while. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { GROWTH_KIB = 1 << 20 };
#else
enum { GROWTH_KIB = 2048 };
#endif

Test(inputs, memory_is_flat_over_a_long_manifest, .timeout = 60)
{
    enum { LINES = 100000 };
    struct job *defaults = caption_defaults();
    FILE *f = fopen(scratch_path("big.jsonl"), "w");
    for (int i = 0; i < LINES; i++)
        fprintf(f, "{\"image\":\"folder/%d.jpg\",\"meta\":{\"n\":%d}}\n", i, i);
    fclose(f);
    const char *path = scratch_path("big.jsonl");
    struct inputs_options o = {.paths = &path, .n_paths = 1, .defaults = defaults};
    struct inputs *in = NULL;
    struct input input;
    long before = 0;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    for (int i = 0; i < LINES; i++) {
        cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
        input_fini(&input);
        if (i == 1000)
            before = resident_kib();
    }
    cr_assert_leq(resident_kib() - before, GROWTH_KIB);
    inputs_close(in);
    job_free(defaults);
}

Test(inputs, what_fails_is_named_apart_from_the_current_folder)
{
    const char *path = "no*thing.png";
    struct inputs_options o = {.paths = &path, .n_paths = 1};
    struct inputs *in = NULL;
    struct input input;
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    cr_assert_eq(inputs_next(in, &input, NULL), ST_OK);
    cr_expect_str_eq(input.error, "missing_file");
    cr_expect_eq(input.job->key[0], '/', "%s", input.job->key);
    cr_expect_str_eq(input.job->image, input.job->key);
    input_fini(&input);
    inputs_close(in);
}
