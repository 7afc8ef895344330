/* Claims of media/fetch.h: what is read, what is refused and under which name. HTTP is the business of http.c. */
#include "media/fetch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64], spec[96];
    struct media_roots *roots;
    struct fetcher *fetcher;
};

static void write_file(const struct place *p, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f);
    cr_assert_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static struct place place_open(bool allow_private, size_t max_bytes)
{
    struct place p = {.dir = "/tmp/fetch-test-XXXXXX"};
    struct diag why = {0};
    cr_assert(mkdtemp(p.dir));
    snprintf(p.spec, sizeof p.spec, "pics=%s/root", p.dir);
    char root[96];
    snprintf(root, sizeof root, "%s/root", p.dir);
    cr_assert_eq(mkdir(root, 0755), 0);
    write_file(&p, "secret.txt", "secret");
    write_file(&p, "root/a b's.jpg", "hello");
    write_file(&p, "root/shard.tar", "0123456789");
    const char *specs[] = {p.spec};
    cr_assert_eq(media_roots_new(specs, 1, &p.roots, &why), ST_OK, "%s", why.text);
    struct fetch_options o = {.roots = p.roots,
                              .allow_private_hosts = allow_private,
                              .max_bytes = max_bytes,
                              .connect_timeout_ms = 2000,
                              .timeout_ms = 2000};
    cr_assert_eq(fetcher_open(&o, &p.fetcher, &why), ST_OK, "%s", why.text);
    return p;
}

static void place_close(struct place *p)
{
    char command[96];
    fetcher_close(p->fetcher);
    media_roots_free(p->roots);
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    cr_assert_eq(system(command), 0);
}

static void expect_words(const struct place *p, const char *uri, enum fetch_error want, const char *words)
{
    struct bytes b = {0};
    struct diag why = {0};
    enum fetch_error kind = FETCH_ERROR_COUNT_;
    cr_expect_neq(fetch(p->fetcher, uri, &b, &kind, &why), ST_OK, "%s", uri);
    cr_expect_str_eq(fetch_error_word(kind), fetch_error_word(want), "%s: %s", uri, why.text);
    cr_expect_neq(strstr(why.text, words), NULL, "%s", why.text);
}

static void expect(const struct place *p, const char *uri, enum fetch_error want, const char *text)
{
    struct bytes b = {0};
    struct diag why = {0};
    enum fetch_error kind = FETCH_ERROR_COUNT_;
    enum status s = fetch(p->fetcher, uri, &b, &kind, &why);
    cr_expect_str_eq(fetch_error_word(kind), fetch_error_word(want), "%s: %s (%s)", uri, fetch_error_word(kind),
                     why.text);
    cr_expect_eq(s == ST_OK, want == FETCH_OK);
    if (text) {
        cr_expect_eq(b.len, strlen(text));
        cr_expect(b.len == strlen(text) && memcmp(b.data, text, b.len) == 0, "%s", uri);
    }
    if (want != FETCH_OK)
        cr_expect(why.text[0], "%s: a refusal without a sentence", uri);
    bytes_fini(&b);
}

Test(fetch, a_file_is_read_by_root_by_path_and_as_the_only_root)
{
    struct place p = place_open(false, 0);
    char uri[160];
    expect(&p, "pics:a b's.jpg", FETCH_OK, "hello");
    expect(&p, "a b's.jpg", FETCH_OK, "hello");
    snprintf(uri, sizeof uri, "%s/root/a b's.jpg", p.dir);
    expect(&p, uri, FETCH_OK, "hello");
    snprintf(uri, sizeof uri, "file://%s/root/a b's.jpg", p.dir);
    expect(&p, uri, FETCH_OK, "hello");
    place_close(&p);
}

Test(fetch, nothing_outside_the_root_is_read)
{
    struct place p = place_open(false, 0);
    char link[128], to[128];
    snprintf(link, sizeof link, "%s/root/out.jpg", p.dir);
    snprintf(to, sizeof to, "%s/secret.txt", p.dir);
    cr_assert_eq(symlink(to, link), 0);
    snprintf(link, sizeof link, "%s/root/up", p.dir);
    cr_assert_eq(symlink("..", link), 0);
    expect(&p, "pics:../secret.txt", FETCH_OUTSIDE_ROOT, NULL);
    expect(&p, "pics:out.jpg", FETCH_OUTSIDE_ROOT, NULL);
    expect(&p, "pics:up/secret.txt", FETCH_OUTSIDE_ROOT, NULL);
    expect(&p, "pics:/etc/passwd", FETCH_OUTSIDE_ROOT, NULL);
    expect(&p, "/etc/passwd", FETCH_UNKNOWN_ROOT, NULL);
    expect(&p, to, FETCH_UNKNOWN_ROOT, NULL);
    place_close(&p);
}

Test(fetch, a_whole_path_behind_a_roots_name_is_told_what_is_wrong_with_it)
{
    struct place p = place_open(false, 0);
    expect_words(&p, "pics:/etc/passwd", FETCH_OUTSIDE_ROOT,
                 "pics:/etc/passwd: expected a path below the root, without / in front");
    place_close(&p);
}

Test(fetch, a_link_by_absolute_path_is_followed_where_it_stays_inside)
{
    struct place p = place_open(false, 0);
    char link[128], to[128];
    snprintf(link, sizeof link, "%s/root/inside.jpg", p.dir);
    snprintf(to, sizeof to, "%s/root/a b's.jpg", p.dir);
    cr_assert_eq(symlink(to, link), 0);
    snprintf(link, sizeof link, "%s/root/gone.jpg", p.dir);
    snprintf(to, sizeof to, "%s/root/nothing", p.dir);
    cr_assert_eq(symlink(to, link), 0);
    expect(&p, "pics:inside.jpg", FETCH_OK, "hello");
    expect(&p, "pics:gone.jpg", FETCH_MISSING, NULL);
    place_close(&p);
}

Test(fetch, links_in_a_circle_are_a_missing_file_and_the_kernels_own_stay_closed)
{
    struct place p = place_open(false, 0);
    char link[128];
    static const char *const circles[][2] = {{"self.jpg", "self.jpg"}, {"a.jpg", "b.jpg"}, {"b.jpg", "a.jpg"}};
    for (size_t i = 0; i < sizeof circles / sizeof *circles; i++) {
        snprintf(link, sizeof link, "%s/root/%s", p.dir, circles[i][0]);
        cr_assert_eq(symlink(circles[i][1], link), 0);
    }
    snprintf(link, sizeof link, "%s/root/whole.jpg", p.dir);
    cr_assert_eq(symlink(link, link), 0);
    expect_words(&p, "pics:self.jpg", FETCH_MISSING, "a symbolic link that leads to itself");
    expect_words(&p, "pics:b.jpg", FETCH_MISSING, "a symbolic link that leads to itself");
    expect_words(&p, "pics:self.jpg/x.jpg", FETCH_MISSING, "a symbolic link that leads to itself");
    expect_words(&p, "pics:whole.jpg", FETCH_MISSING, "a symbolic link that leads to itself");
    place_close(&p);
    int fd = open("/dev/null", O_RDONLY);
    struct place kernel = {0};
    cr_assert(fd >= 0);
    cr_assert_eq(media_roots_new(&(const char *){"proc=/proc"}, 1, &kernel.roots, NULL), ST_OK);
    cr_assert_eq(fetcher_open(&(struct fetch_options){.roots = kernel.roots, .no_http = true}, &kernel.fetcher, NULL),
                 ST_OK);
    snprintf(link, sizeof link, "proc:%d/fd/%d", (int)getpid(), fd);
    expect_words(&kernel, link, FETCH_OUTSIDE_ROOT, "leads out of its root");
    close(fd);
    fetcher_close(kernel.fetcher);
    media_roots_free(kernel.roots);
}

Test(fetch, what_is_no_regular_file_ends_at_once_with_its_name, .timeout = 10)
{
    struct place p = place_open(false, 0);
    char path[128];
    snprintf(path, sizeof path, "%s/root/fifo.jpg", p.dir);
    cr_assert_eq(mkfifo(path, 0644), 0);
    snprintf(path, sizeof path, "%s/root/folder.jpg", p.dir);
    cr_assert_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/root/dangling.jpg", p.dir);
    cr_assert_eq(symlink("nowhere", path), 0);
    expect(&p, "pics:fifo.jpg", FETCH_NOT_A_FILE, NULL);
    expect(&p, "pics:folder.jpg", FETCH_NOT_A_FILE, NULL);
    expect(&p, "pics:dangling.jpg", FETCH_MISSING, NULL);
    expect(&p, "pics:absent.jpg", FETCH_MISSING, NULL);
    expect(&p, "", FETCH_BAD_URI, NULL);
    place_close(&p);
}

Test(fetch, an_unknown_root_and_an_absent_folder_are_the_environments_fault)
{
    struct place p = place_open(false, 0);
    struct diag why = {0};
    expect(&p, "other:a.jpg", FETCH_UNKNOWN_ROOT, NULL);
    cr_expect_eq(fetch_error_class(FETCH_UNKNOWN_ROOT), MEDIA_ENVIRONMENT);
    const char *specs[] = {"gone=/nonexistent/folder"};
    struct media_roots *roots;
    struct fetcher *f;
    cr_assert_eq(media_roots_new(specs, 1, &roots, &why), ST_OK);
    struct fetch_options o = {.roots = roots, .no_http = true};
    cr_assert_eq(fetcher_open(&o, &f, &why), ST_OK);
    struct place gone = {.roots = roots, .fetcher = f};
    expect(&gone, "gone:a.jpg", FETCH_ROOT_ABSENT, NULL);
    expect(&gone, "http://example.org/", FETCH_BAD_URI, NULL);
    fetcher_close(f);
    media_roots_free(roots);
    place_close(&p);
}

Test(fetch, a_shards_member_is_one_range)
{
    struct place p = place_open(false, 0);
    expect(&p, "pics:shard.tar#x/y.jpg@3+4", FETCH_OK, "3456");
    expect(&p, "pics:shard.tar#x#y@z.jpg@0+10", FETCH_OK, "0123456789");
    expect(&p, "pics:shard.tar#x@3+8", FETCH_BAD_MEMBER, NULL);
    expect(&p, "pics:shard.tar#x@3+0", FETCH_BAD_MEMBER, NULL);
    expect(&p, "pics:shard.tar#x", FETCH_BAD_MEMBER, NULL);
    expect(&p, "pics:shard.tar#x@9223372036854775807+9223372036854775807", FETCH_BAD_MEMBER, NULL);
    place_close(&p);
}

/* What comes, or "-" where it is the same, or the word of its error. */
static const char *read_changed(const struct place *p, const char *uri, struct fetch_stamp *stamp)
{
    static char text[64];
    struct bytes b = {0};
    enum fetch_error kind;
    bool same = false;
    if (fetch_changed(p->fetcher, uri, stamp, &same, &b, &kind, NULL) != ST_OK)
        return fetch_error_word(kind);
    snprintf(text, sizeof text, "%.*s", (int)b.len, b.len ? (const char *)b.data : "");
    cr_expect(!same || b.len == 0);
    bytes_fini(&b);
    return same ? "-" : text;
}

Test(fetch, a_file_that_has_not_changed_is_not_read_again)
{
    char here[PATH_MAX - 64], spec[PATH_MAX];
    const char *const specs[] = {spec};
    struct place p = {.dir = ""};
    cr_assert_not_null(getcwd(here, sizeof here));
    snprintf(spec, sizeof spec, "here=%s/tests/unit/media", here);
    struct fetch_stamp stamp = {""}, part = {""}, data = {""};
    cr_assert_eq(media_roots_new(specs, 1, &p.roots, NULL), ST_OK);
    cr_assert_eq(fetcher_open(&(struct fetch_options){.roots = p.roots}, &p.fetcher, NULL), ST_OK);
    cr_expect_eq(strncmp(read_changed(&p, "here:fetch.c", &stamp), "/* ", 3), 0);
    cr_expect_eq(strncmp(stamp.text, "file ", 5), 0, "%s", stamp.text);
    cr_expect_str_eq(read_changed(&p, "here:fetch.c", &stamp), "-");
    for (size_t i = strlen("file "); stamp.text[i]; i++) { /* each number in it counts */
        struct fetch_stamp other = stamp;
        other.text[i] = stamp.text[i] == '7' ? '8' : '7';
        cr_expect_str_neq(read_changed(&p, "here:fetch.c", &other), "-");
        cr_expect_str_eq(other.text, stamp.text);
    }
    cr_expect_str_eq(read_changed(&p, "here:gone", &stamp), "missing");
    cr_expect_str_eq(read_changed(&p, "data:,hello", &data), "hello");
    cr_expect_str_eq(data.text, "");
    fetcher_close(p.fetcher);
    media_roots_free(p.roots);
    p = place_open(false, 0); /* a file of this moment could change once more and look the same */
    cr_expect_str_eq(read_changed(&p, "pics:shard.tar#x/y.jpg@3+4", &part), "3456");
    cr_expect_str_eq(part.text, "");
    place_close(&p);
}

Test(fetch, data_uris_are_taken_in_both_codings_and_bounded)
{
    struct place p = place_open(false, 0);
    expect(&p, "data:image/png;base64,aGVsbG8=", FETCH_OK, "hello");
    expect(&p, "data:,hel%6Co", FETCH_OK, "hello");
    expect(&p, "data:image/png;base64,a*b", FETCH_BAD_URI, NULL);
    expect(&p, "data:image/png", FETCH_BAD_URI, NULL);
    char *big = malloc((3 << 20) + 16);
    cr_assert(big);
    memset(big, 'A', (3 << 20) + 15);
    big[(3 << 20) + 15] = '\0';
    memcpy(big, "data:,", 6);
    expect(&p, big, FETCH_TOO_LARGE, NULL);
    free(big);
    place_close(&p);
}

Test(fetch, a_file_over_the_limit_is_refused_before_it_is_read)
{
    struct place p = place_open(false, 4);
    expect(&p, "pics:a b's.jpg", FETCH_TOO_LARGE, NULL);
    place_close(&p);
}

Test(fetch, roots_are_checked_when_they_are_named)
{
    struct media_roots *roots = NULL;
    struct diag why = {0};
    const char *bad[] = {"noequals", "a=relative", "=/x", "a/b=/x", "http=/x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(media_roots_new(&bad[i], 1, &roots, &why), ST_INVALID, "%s", bad[i]);
        cr_expect(strstr(why.text, bad[i]), "%s is not named in: %s", bad[i], why.text);
    }
    const char *twice[] = {"a=/x", "a=/y"};
    cr_expect_eq(media_roots_new(twice, 2, &roots, &why), ST_INVALID);
    const char *nested[] = {"outer=/x/", "inner=/x/y", "all=/"};
    char *uri = NULL;
    cr_assert_eq(media_roots_new(nested, 3, &roots, &why), ST_OK);
    cr_assert_eq(media_roots_uri(roots, "/x/y/z.jpg", &uri, &why), ST_OK);
    cr_expect_str_eq(uri, "inner:z.jpg");
    free(uri);
    cr_assert_eq(media_roots_uri(roots, "/xy/z.jpg", &uri, &why), ST_OK);
    cr_expect_str_eq(uri, "all:xy/z.jpg");
    free(uri);
    media_roots_free(roots);
}
