#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "observe/trace.h"

static char path[] = "/tmp/ferret-trace-XXXXXX";

static void fresh_path(void)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static struct trace *fresh(void)
{
    struct trace *t = NULL;
    struct diag why = {""};
    fresh_path();
    cr_assert_eq(trace_open(path, "test", &t, &why), ST_OK, "%s", why.text);
    return t;
}

static struct json *load(void)
{
    struct json *root = NULL;
    struct diag why = {""};
    cr_assert_eq(jsn_load(path, 64 << 20, &root, &why), ST_OK, "%s", why.text);
    cr_assert_eq(jsn_kind(root), JSON_KIND_ARRAY);
    return root;
}

static const char *member(const struct json *event, const char *key)
{
    return jsn_string(jsn_get(event, key), "");
}

Test(trace, events_have_what_the_format_wants)
{
    struct trace *t = fresh();
    trace_thread(t, "fetch");
    trace_did(t, "fetch", "a \"b\"\n猫.jpg", 1000, 3500);
    trace_lasted(t, "generate", NULL, 7, 2000, 9000);
    trace_level(t, "sequences", 3);
    cr_assert_eq(trace_close(t, NULL), ST_OK);
    struct json *root = load();
    cr_assert_eq(jsn_size(root), 6);
    const struct json *did = jsn_at(root, 2), *begin = jsn_at(root, 3), *end = jsn_at(root, 4),
                      *level = jsn_at(root, 5);
    cr_assert_str_eq(member(did, "ph"), "X");
    cr_assert_str_eq(member(did, "name"), "fetch");
    cr_assert_eq(jsn_int(jsn_get(did, "ts"), 0), 1000);
    cr_assert_eq(jsn_int(jsn_get(did, "dur"), 0), 2500);
    cr_assert_eq(jsn_int(jsn_get(did, "pid"), 0), getpid());
    cr_assert_str_eq(member(jsn_get(did, "args"), "image"), "a \"b\"\n猫.jpg");
    cr_assert_str_eq(member(begin, "ph"), "b");
    cr_assert_str_eq(member(end, "ph"), "e");
    cr_assert_str_eq(member(begin, "id"), member(end, "id"));
    cr_assert_str_eq(member(begin, "cat"), member(end, "cat"));
    cr_assert_eq(jsn_int(jsn_get(end, "ts"), 0), 9000);
    cr_assert_eq(jsn_int(jsn_get(jsn_get(level, "args"), "value"), 0), 3);
    jsn_free(root);
    unlink(path);
}

/* In a process of its own, whose writer becomes our child when it is killed. */
Test(trace, a_process_that_is_killed_leaves_a_whole_file)
{
    enum { ROUNDS = 5, SOME_BYTES = 64 << 10, PATIENCE_MS = 10000 };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int round = 0; round < ROUNDS; round++) {
        fresh_path();
        pid_t child = fork();
        if (child == 0) {
            struct trace *t = NULL;
            if (trace_open(path, "test", &t, NULL) == ST_OK)
                for (int64_t i = 0;; i++)
                    trace_did(t, "decode", "x.png", i, i + 1);
            _exit(1);
        }
        struct stat st = {.st_size = 0};
        for (int waited = 0; waited < PATIENCE_MS && (stat(path, &st) != 0 || st.st_size < SOME_BYTES); waited++)
            usleep(1000);
        kill(child, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0) /* it, and then its writer */
            ;
        struct json *root = load();
        cr_assert_gt(jsn_size(root), 100);
        jsn_free(root);
        unlink(path);
    }
}

enum { THREADS = 4, EVENTS = 500 };

static void *write_events(void *ctx)
{
    for (int i = 0; i < EVENTS; i++)
        trace_did(ctx, "decode", "x.png", i, i + 1);
    return NULL;
}

Test(trace, no_event_is_lost_among_threads)
{
    struct trace *t = fresh();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_events, t), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(trace_close(t, NULL), ST_OK);
    struct json *root = load();
    cr_assert_eq(jsn_size(root), 1 + THREADS * EVENTS);
    jsn_free(root);
    unlink(path);
}

Test(trace, a_full_disk_ends_it_with_a_whole_file_and_a_sentence)
{
    struct diag why = {""};
    struct rlimit small = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0); /* the writer has it too */
    struct trace *t = fresh();
    for (int i = 0; i < 50; i++)
        trace_did(t, "decode", "x.png", i, i + 1);
    cr_assert_eq(trace_close(t, &why), ST_IO);
    cr_assert(strstr(why.text, path) && strstr(why.text, "ends early"), "%s", why.text);
    struct json *root = load();
    jsn_free(root);
    unlink(path);
}

Test(trace, a_file_that_cannot_be_made_is_named)
{
    struct trace *t = NULL;
    struct diag why = {""};
    cr_assert_eq(trace_open("/no/such/folder/x.json", "test", &t, &why), ST_IO);
    cr_assert(strstr(why.text, "/no/such/folder/x.json"), "%s", why.text);
}

Test(trace, nobody_who_traces_needs_to_know_whether_it_is_wanted)
{
    trace_thread(NULL, "x");
    trace_did(NULL, "x", NULL, 0, 1);
    trace_lasted(NULL, "x", NULL, 1, 0, 1);
    trace_level(NULL, "x", 1);
    cr_assert_eq(trace_close(NULL, NULL), ST_OK);
}
