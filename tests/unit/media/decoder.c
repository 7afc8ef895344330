/* Claims of media/decoder.h: what a child answers, and what its death, sleep or confinement mean. */
#include "media/decoder.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "media/sandbox.h"
#include "tests/unit/media/files.h"

TestSuite(decoder, .timeout = 120);

static struct decoder_pool *pool(struct decoder_options o)
{
    struct decoder_pool *p = NULL;
    struct diag why = {0};
    cr_assert_eq(decoder_pool_open(&o, &p, &why), ST_OK, "%s", why.text);
    return p;
}

static enum image_error run(struct decoder_pool *p, const struct file *f, struct image *im)
{
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    enum image_error kind = IMAGE_ERROR_COUNT_;
    struct diag why = {0};
    enum status s = decoder_run(p, f->bytes, f->len, &policy, im, &kind, &why);
    cr_expect_eq(s == ST_OK, kind == IMAGE_OK, "%s", why.text);
    cr_expect(s == ST_OK || why.text[0]);
    return kind;
}

static pid_t parent_of(pid_t pid, char name[32])
{
    char path[64];
    int parent = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    if (fscanf(f, "%*d (%31[^)]) %*c %d", name, &parent) != 2)
        parent = -1;
    fclose(f);
    return parent;
}

/* A process of that name whose parent is the given one, or -1. */
static pid_t find_below(pid_t parent, const char *name)
{
    pid_t found = -1;
    DIR *d = opendir("/proc");
    cr_assert(d);
    for (struct dirent *e; found < 0 && (e = readdir(d));) {
        char its_name[32] = "";
        pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : -1;
        if (pid > 0 && parent_of(pid, its_name) == parent && strcmp(its_name, name) == 0)
            found = pid;
    }
    closedir(d);
    return found;
}

static pid_t decoding_child(pid_t owner)
{
    pid_t nursery = find_below(owner, "ferret-nursery");
    return nursery > 0 ? find_below(nursery, "ferret-decode") : -1;
}

/* Signals one process that is known; never a group. */
static void signal_child(pid_t child, int signal_number)
{
    cr_assert_gt(child, 1);
    cr_assert_eq(kill(child, signal_number), 0);
}

static void pause_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

Test(decoder, pixels_and_facts_equal_those_of_the_own_process)
{
    static const char *const names[] = {"alpha.png", "upright by EXIF.jpg", "scene.webp", "indexed.gif", "scan.tiff"};
    struct decoder_pool *p = pool((struct decoder_options){.children = 1});
    struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    cr_assert_eq(image_library_start("unit-media", NULL), ST_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file f = file_sample(names[i]);
        struct image here, there;
        cr_assert_eq(image_decode(f.bytes, f.len, &policy, &here, NULL, NULL), ST_OK);
        cr_assert_eq(run(p, &f, &there), IMAGE_OK);
        cr_assert(here.width == there.width && here.height == there.height && here.notes == there.notes &&
                  here.orientation == there.orientation && here.frames == there.frames);
        cr_assert_str_eq(here.sha256, there.sha256);
        cr_assert_str_eq(here.format, there.format);
        cr_assert_arr_eq(here.rgb, there.rgb, (size_t)here.width * (size_t)here.height * 3);
        image_fini(&here);
        image_fini(&there);
        file_free(&f);
    }
    decoder_pool_close(p);
}

/* Samples of one picture, made by libvips; how far the codec may be from it, on average. */
Test(decoder, codecs_that_libvips_loads_as_modules_work_in_a_confined_child)
{
    static const struct {
        const char *name, *format;
        double most;
    } samples[] = {
        {"ducks.heic", "heif", 14}, {"ducks.avif", "avif", 14}, {"ducks.jxl", "jxl", 14}, {"lossless.jxl", "jxl", 0}};
    struct decoder_pool *p = pool((struct decoder_options){.children = 1});
    struct file original = file_read("tests/unit/media/samples/ducks.png");
    struct image want, found;
    cr_assert_eq(run(p, &original, &want), IMAGE_OK);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[128];
        double sum = 0;
        snprintf(path, sizeof path, "tests/unit/media/samples/%s", samples[i].name);
        struct file f = file_read(path);
        enum image_error kind = run(p, &f, &found);
        file_free(&f);
        if (kind == IMAGE_UNSUPPORTED_FORMAT) { /* a release whose libvips has no such module */
            cr_assert_null(getenv("REQUIRE_ALL"), "%s", samples[i].name);
            continue;
        }
        cr_assert_eq(kind, IMAGE_OK, "%s: %s", samples[i].name, image_error_word(kind));
        cr_expect_str_eq(found.format, samples[i].format);
        cr_assert(found.width == want.width && found.height == want.height);
        size_t n = (size_t)want.width * (size_t)want.height * 3;
        for (size_t k = 0; k < n; k++)
            sum += abs(found.rgb[k] - want.rgb[k]);
        cr_expect_leq(sum / (double)n, samples[i].most, "%s: %g off", samples[i].name, sum / (double)n);
        image_fini(&found);
    }
    image_fini(&want);
    file_free(&original);
    decoder_pool_close(p);
}

Test(decoder, the_rows_of_a_truncated_file_come_across)
{
    struct decoder_pool *p = pool((struct decoder_options){.children = 1});
    struct file whole = file_sample("landscape.jpg"), cut = file_cut(&whole, whole.len * 3 / 10);
    struct image im = {.rows_decoded = -1};
    cr_assert_eq(run(p, &cut, &im), IMAGE_TRUNCATED);
    cr_assert(im.rows_decoded > 0.1 && im.rows_decoded < 0.5, "%g", im.rows_decoded);
    file_free(&whole);
    file_free(&cut);
    decoder_pool_close(p);
}

struct task {
    struct decoder_pool *pool;
    struct file file;
    enum image_error want;
    bool ok;
};

static void *decode_often(void *ctx)
{
    struct task *t = ctx;
    t->ok = true;
    for (int i = 0; i < 20; i++) {
        struct image im = {0};
        t->ok = run(t->pool, &t->file, &im) == t->want && t->ok;
        image_fini(&im);
    }
    return NULL;
}

Test(decoder, threads_beyond_the_children_wait_and_get_their_own_answers)
{
    enum { THREADS = 6 };
    struct decoder_pool *p = pool((struct decoder_options){.children = 2});
    struct task tasks[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        tasks[i] = (struct task){.pool = p,
                                 .file = i % 2 ? file_sample("tall.jpg") : file_text("<html>"),
                                 .want = i % 2 ? IMAGE_OK : IMAGE_NOT_AN_IMAGE};
        cr_assert_eq(pthread_create(&threads[i], NULL, decode_often, &tasks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert(tasks[i].ok, "thread %d", i);
        file_free(&tasks[i].file);
    }
    decoder_pool_close(p);
}

/* An image that takes a second or two. */
static void *decode_slowly(void *ctx)
{
    struct task *t = ctx;
    struct image im = {0};
    t->ok = run(t->pool, &t->file, &im) == t->want;
    image_fini(&im);
    return NULL;
}

Test(decoder, a_crash_costs_one_image)
{
    struct decoder_pool *p = pool((struct decoder_options){.children = 1});
    struct task t = {.pool = p, .file = file_plain_png(7000, 7000, 7000), .want = IMAGE_CRASHED};
    pthread_t thread;
    pid_t child = -1;
    cr_assert_eq(pthread_create(&thread, NULL, decode_slowly, &t), 0);
    for (int i = 0; child < 0 && i < 500; i++) {
        pause_ms(5);
        child = decoding_child(getpid());
    }
    cr_assert_gt(child, 0);
    pause_ms(30);
    signal_child(child, SIGSEGV);
    pthread_join(thread, NULL);
    cr_assert(t.ok);
    struct file small = file_sample("tiny.png");
    struct image im = {0};
    cr_assert_eq(run(p, &small, &im), IMAGE_OK);
    image_fini(&im);
    child = decoding_child(getpid());
    signal_child(child, SIGKILL); /* between two images: nobody notices */
    for (int i = 0; i < 1000 && decoding_child(getpid()) == child; i++)
        pause_ms(5);
    cr_assert_eq(run(p, &small, &im), IMAGE_OK);
    image_fini(&im);
    file_free(&small);
    file_free(&t.file);
    decoder_pool_close(p);
}

Test(decoder, a_child_that_hangs_is_ended_in_time)
{
    enum { OURS_MS = 3000, BEFORE_THE_DEFAULT_MS = 25000 }; /* a busy machine starts a child within the first */
    struct decoder_pool *p = pool((struct decoder_options){.children = 1, .timeout_ms = OURS_MS});
    struct file small = file_sample("tiny.png");
    struct image im = {0};
    cr_assert_eq(run(p, &small, &im), IMAGE_OK);
    image_fini(&im);
    pid_t child = decoding_child(getpid());
    signal_child(child, SIGSTOP);
    int64_t from = clock_ms();
    cr_assert_eq(run(p, &small, &im), IMAGE_TIMEOUT);
    cr_assert_lt(clock_ms() - from, BEFORE_THE_DEFAULT_MS);
    cr_assert_eq(run(p, &small, &im), IMAGE_OK);
    image_fini(&im);
    file_free(&small);
    decoder_pool_close(p);
}

Test(decoder, a_picture_beyond_the_memory_limit_fails_alone)
{
    struct decoder_pool *p = pool((struct decoder_options){.children = 1, .memory_bytes = 96 << 20});
    struct file big = file_plain_png(9000, 9000, 9000), small = file_sample("tiny.png");
    struct image im = {0};
    enum image_error kind = run(p, &big, &im);
    cr_assert(kind == IMAGE_DECODE_FAILED || kind == IMAGE_CRASHED, "%s", image_error_word(kind));
    cr_assert_eq(run(p, &small, &im), IMAGE_OK);
    image_fini(&im);
    file_free(&big);
    file_free(&small);
    decoder_pool_close(p);
}

Test(decoder, closing_leaves_no_process_behind_and_so_does_a_killed_owner)
{
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    pid_t owner = fork();
    if (owner == 0) {
        struct decoder_pool *p = pool((struct decoder_options){.children = 1});
        struct file small = file_sample("tiny.png");
        struct image im = {0};
        bool ok = run(p, &small, &im) == IMAGE_OK;
        if (write(ready[1], &byte, ok) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    pid_t nursery = find_below(owner, "ferret-nursery"), child = decoding_child(owner);
    cr_assert(nursery > 0 && child > 0);
    signal_child(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    char name[32] = "";
    for (int i = 0; i < 1000 && (parent_of(child, name) >= 0 || parent_of(nursery, name) >= 0); i++)
        pause_ms(5);
    bool zombies_only = true; /* an orphan is its new parent's to bury */
    for (int i = 0; i < 2; i++) {
        char path[64], state = 'Z';
        snprintf(path, sizeof path, "/proc/%d/stat", i ? child : nursery);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'Z';
        if (f)
            fclose(f);
        zombies_only = zombies_only && state == 'Z';
    }
    cr_assert(zombies_only);
    struct decoder_pool *p = pool((struct decoder_options){.children = 1});
    struct file small = file_sample("tiny.png");
    struct image im = {0};
    cr_assert_eq(run(p, &small, &im), IMAGE_OK);
    image_fini(&im);
    file_free(&small);
    decoder_pool_close(p);
    cr_assert_eq(find_below(getpid(), "ferret-nursery"), -1);
}

/* Exit code of a confined process: which of the things that it must not do succeeded. */
static int try_everything(void)
{
    unsigned parts = 0;
    int wrong = 0;
    if (sandbox_enter((int64_t)1 << 30, &parts) != ST_OK)
        return 64;
    int writing = open("/tmp/ferret-sandbox-test", O_WRONLY | O_CREAT, 0600);
    int reading = open("/etc/passwd", O_RDONLY);
    wrong |= parts & SANDBOX_SECCOMP && socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 0;
    wrong |= writing >= 0 ? 2 : 0;
    wrong |= parts & SANDBOX_LANDLOCK && reading >= 0 ? 4 : 0;
    wrong |= parts & SANDBOX_SECCOMP && fork() >= 0 ? 8 : 0;
    wrong |= parts & SANDBOX_SECCOMP && (execl("/bin/true", "true", NULL), errno != EPERM) ? 16 : 0;
    wrong |= parts & SANDBOX_SECCOMP && kill(getppid(), 0) == 0 ? 32 : 0;
    return wrong;
}

Test(decoder, a_confined_process_reaches_neither_network_nor_files_nor_others)
{
    if (!sandbox_offered())
        cr_skip_test("the kernel offers neither seccomp nor landlock");
    int state = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_everything());
    cr_assert_eq(waitpid(pid, &state, 0), pid);
    cr_assert(WIFEXITED(state), "ended by signal %d", WTERMSIG(state));
    cr_assert_eq(WEXITSTATUS(state), 0, "%d", WEXITSTATUS(state));
}
