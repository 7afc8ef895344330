#include "broker/pictures.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"

enum { PATH_BYTES = 300 };

/* root/a.png holds "picture", root/shard.tar "..picture..", root/out leads to secret beside root. */
static char folder[64];

static void put(const char *name, const char *text)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void set_up(void)
{
    char path[PATH_BYTES], target[PATH_BYTES];
    snprintf(folder, sizeof folder, "/tmp/ferretry-pictures-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/root", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    put("root/a.png", "picture");
    put("root/shard.tar", "..picture..");
    put("secret", "picture");
    snprintf(path, sizeof path, "%s/root/out", folder);
    snprintf(target, sizeof target, "%s/secret", folder);
    cr_assert_eq(symlink(target, path), 0);
}

static void clean_up(void)
{
    static const char *const names[] = {"root/a.png", "root/shard.tar", "root/out", "secret"};
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/root", folder);
    rmdir(path);
    rmdir(folder);
}

TestSuite(pictures, .init = set_up, .fini = clean_up);

/* "image/png picture", or why there is none. of: what the record's hash is of. */
static void read_one(int n_roots, const char *uri, const char *format, const char *of, char *said, size_t size)
{
    char root[PATH_BYTES], hex[SHA256_HEX], text[1024];
    uint8_t digest[SHA256_BYTES];
    struct pictures *p = NULL;
    struct json *record = NULL;
    struct picture picture;
    struct diag why = {.text = ""};
    snprintf(root, sizeof root, "box=%s/root", folder);
    const char *const roots[] = {root};
    cr_assert_eq(pictures_open(roots, n_roots, &p, NULL), ST_OK);
    sha256_of(of, strlen(of), digest);
    sha256_hex(digest, hex);
    int n = snprintf(text, sizeof text, "{\"image\":{\"uri\":\"%s\",\"format\":\"%s\",\"sha256\":\"%s\"}}", uri, format,
                     *of ? hex : "");
    cr_assert_eq(jsn_parse(text, (size_t)n, "test", &record, NULL), ST_OK);
    if (pictures_read(p, record, &picture, &why) == ST_OK) {
        snprintf(said, size, "%s %.*s", picture.type, (int)picture.len, (const char *)picture.bytes);
        free(picture.bytes);
    } else {
        snprintf(said, size, "%s", why.text);
    }
    jsn_free(record);
    pictures_close(p);
}

#define CHECK(n_roots, uri, format, of, expected)                                                                      \
    do {                                                                                                               \
        char said[DIAG_BYTES];                                                                                         \
        read_one(n_roots, uri, format, of, said, sizeof said);                                                         \
        cr_expect_str_eq(said, expected, "%s: %s", uri, said);                                                         \
    } while (0)

Test(pictures, a_file_under_a_root_is_shown_as_the_format_that_the_worker_found)
{
    CHECK(1, "box:a.png", "png", "picture", "image/png picture");
    CHECK(1, "box:a.png", "webp", "picture", "image/webp picture");
    CHECK(1, "box:shard.tar#a.png@2+7", "jpeg", "picture", "image/jpeg picture");
}

Test(pictures, only_what_was_annotated_is_shown)
{
    CHECK(1, "box:a.png", "png", "another picture", "the file has changed since it was annotated");
    CHECK(1, "box:a.png", "png", "", "it was not decoded");
    CHECK(1, "box:shard.tar", "png", "picture", "the file has changed since it was annotated");
}

Test(pictures, nothing_outside_the_roots_and_nothing_remote_is_read)
{
    CHECK(1, "box:out", "png", "picture", "box:out: leads out of its root");
    CHECK(1, "box:../secret", "png", "picture", "box:../secret: leads out of its root");
    CHECK(1, "other:a.png", "png", "picture", "it lies under no root of this broker (--root)");
    CHECK(0, "box:a.png", "png", "picture", "this broker reads no pictures (--root NAME=DIR lets it)");
    CHECK(1, "http://127.0.0.1/a.png", "png", "picture", "it lies on another host, which this page does not ask");
    CHECK(1, "s3://bucket/a.png", "png", "picture", "it lies on another host, which this page does not ask");
    CHECK(1, "box:gone.png", "png", "picture", "the file is not there for this broker");
}

Test(pictures, what_browsers_do_not_show_is_named)
{
    CHECK(1, "box:a.png", "tiff", "picture", "tiff is no format of browsers");
    CHECK(1, "box:a.png", "svg", "picture", "svg is no format of browsers");
}
