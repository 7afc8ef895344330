/* Files under a root where openat2 does not exist: the own walk keeps the same promises, and follows no link at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "media/fetch.h"

/* For the rest of this test's process. */
static bool forget_openat2(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof steps / sizeof *steps, .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static void write_file(const char *path)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f);
    cr_assert_eq(fwrite("hello", 1, 5, f), 5);
    fclose(f);
}

static void expect(const struct fetcher *f, const char *uri, enum fetch_error want)
{
    struct bytes b = {0};
    enum fetch_error kind = FETCH_ERROR_COUNT_;
    struct diag why = {0};
    enum status s = fetch(f, uri, &b, &kind, &why);
    cr_expect_str_eq(fetch_error_word(kind), fetch_error_word(want), "%s: %s (%s)", uri, fetch_error_word(kind),
                     why.text);
    cr_expect(s != ST_OK || (b.len == 5 && memcmp(b.data, "hello", 5) == 0));
    bytes_fini(&b);
}

/* A link that may well lead to a file inside: refused, and not under a false name. */
static void expect_unfollowed(const struct fetcher *f, const char *uri)
{
    struct bytes b = {0};
    enum fetch_error kind = FETCH_ERROR_COUNT_;
    struct diag why = {0};
    cr_expect_neq(fetch(f, uri, &b, &kind, &why), ST_OK, "%s", uri);
    cr_expect_str_eq(fetch_error_word(kind), "outside_root", "%s: %s", uri, why.text);
    cr_expect_neq(strstr(why.text, "a symbolic link, and none is followed here"), NULL, "%s", why.text);
}

Test(fetch, without_openat2_nothing_outside_the_root_is_read_either)
{
    char dir[] = "/tmp/fetch-steps-XXXXXX", spec[64], name[300];
    struct media_roots *roots = NULL;
    struct fetcher *f = NULL;
    cr_assert(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
    cr_assert(mkdir("root", 0755) == 0 && mkdir("root/in", 0755) == 0 && mkfifo("root/fifo", 0644) == 0);
    write_file("secret");
    write_file("root/in/a.jpg");
    cr_assert(symlink("../secret", "root/out") == 0 && symlink("in", "root/link") == 0 &&
              symlink("circle", "root/circle") == 0);
    snprintf(spec, sizeof spec, "r=%s/root", dir);
    cr_assert_eq(media_roots_new(&(const char *){spec}, 1, &roots, NULL), ST_OK);
    cr_assert_eq(fetcher_open(&(struct fetch_options){.roots = roots, .no_http = true}, &f, NULL), ST_OK);
    if (!forget_openat2())
        cr_skip_test("no seccomp");
    expect(f, "r:in/a.jpg", FETCH_OK);
    expect(f, "r:in//a.jpg", FETCH_OK);
    expect_unfollowed(f, "r:out");
    expect_unfollowed(f, "r:link/a.jpg");
    expect_unfollowed(f, "r:circle");
    expect(f, "r:in/a.jpg/b.jpg", FETCH_MISSING);
    expect(f, "r:../secret", FETCH_OUTSIDE_ROOT);
    expect(f, "r:in/../../secret", FETCH_OUTSIDE_ROOT);
    expect(f, "r:/etc/passwd", FETCH_OUTSIDE_ROOT);
    expect(f, "r:fifo", FETCH_NOT_A_FILE);
    expect(f, "r:in", FETCH_NOT_A_FILE);
    expect(f, "r:absent", FETCH_MISSING);
    memset(name, 'n', sizeof name);
    name[0] = 'r';
    name[1] = ':';
    name[sizeof name - 1] = '\0';
    expect(f, name, FETCH_MISSING);
    fetcher_close(f);
    media_roots_free(roots);
    cr_assert(unlink("root/out") == 0 && unlink("root/link") == 0 && unlink("root/circle") == 0 &&
              unlink("root/fifo") == 0 && unlink("root/in/a.jpg") == 0 && rmdir("root/in") == 0 && rmdir("root") == 0 &&
              unlink("secret") == 0 && rmdir(dir) == 0);
}
