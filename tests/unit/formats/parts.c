#include "formats/write/parts.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "base/sha256.h"
#include "formats/read/lines.h"
#include "tests/unit/formats/scratch.h"

enum { KILLED = 99 };

/* ---- calls that change what is on disk: the process may be told to die in front of the n-th or right behind it ----
 */

static int steps_left = -1;

static void step(void)
{
    if (steps_left >= 0 && steps_left-- == 0)
        _exit(KILLED);
}

#define STEP(name, parameters, call)                                                                                   \
    int name parameters                                                                                                \
    {                                                                                                                  \
        step();                                                                                                        \
        int result = (int)(call);                                                                                      \
        step();                                                                                                        \
        return result;                                                                                                 \
    }
/* What a killed process wrote stays, synced or not. */
STEP(fsync, (int fd), fd < 0)
STEP(fdatasync, (int fd), fd < 0)
STEP(rename, (const char *from, const char *to), syscall(SYS_rename, from, to))
STEP(unlink, (const char *path), syscall(SYS_unlink, path))
STEP(ftruncate, (int fd, off_t size), syscall(SYS_ftruncate, fd, size))

/* ---- a source of records, and a reader that deletes there what it has on disk ---- */

enum { RECORDS = 40, BATCH = 7, FORGOTTEN = 31, PART_BYTES = 2000 };

static void record_text(int i, char *text, size_t size)
{
    snprintf(text, size,
             "{\"schema\":1,\"id\":\"k%d\",\"status\":\"%s\",\"image\":{},\"tasks\":[],\"policy\":\"default\","
             "\"model\":{\"hash\":\"abc\",\"dtype\":\"f32\",\"device\":\"cpu %d\"}}",
             i, i % 5 == 4 ? "failed" : "ok", i);
}

static enum status put(struct parts *p, int i)
{
    char text[256];
    struct json *record = NULL;
    record_text(i, text, sizeof text);
    enum status s = jsn_parse(text, strlen(text), "test", &record, NULL);
    if (s == ST_OK)
        s = parts_put(p, record, text, strlen(text), NULL);
    jsn_free(record);
    return s;
}

static struct parts *open_parts(const char *dir, int shards)
{
    const struct parts_options o = {.dir = dir, .source = "summer", .part_bytes = PART_BYTES, .shards = shards};
    struct parts *p = NULL;
    struct diag why = {""};
    cr_assert_eq(parts_open(&o, &p, &why), ST_OK, "%s", why.text);
    return p;
}

#define AT(n) (&(const struct result_cursor){.at = {n}, .shards = 1})

static bool is_forgotten(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    return memmem(text, len, "\"k31\"", 5) != NULL;
}

/* Everything from the committed cursor on; then one record is forgotten, and taken out of what was written. */
static enum status take_all(const char *dir, int shards)
{
    const struct parts_options o = {.dir = dir, .source = "summer", .part_bytes = PART_BYTES, .shards = shards};
    struct parts *p = NULL;
    enum status s = parts_open(&o, &p, NULL);
    if (s != ST_OK)
        return s;
    for (uint64_t at = parts_cursor(p)->at[0]; s == ST_OK && at < RECORDS;) {
        for (int i = 0; s == ST_OK && i < BATCH && at < RECORDS; i++)
            s = put(p, (int)at++);
        if (s == ST_OK)
            s = parts_commit(p, AT(at), NULL);
    }
    if (s == ST_OK)
        s = parts_drop(p, is_forgotten, NULL, NULL);
    if (s == ST_OK)
        s = parts_finish(p, AT(RECORDS), true, NULL);
    parts_close(p);
    return s;
}

/* ---- what a folder holds ---- */

static int count_lines(const char *path, int *seen)
{
    struct lines *lines = NULL;
    struct line line;
    int n = 0;
    cr_assert_eq(lines_open(path, 1 << 20, &lines, NULL), ST_OK);
    enum status s;
    while ((s = lines_next(lines, &line, NULL)) == ST_OK) {
        struct json *record = NULL;
        cr_assert_eq(jsn_parse(line.text, line.len, "line", &record, NULL), ST_OK);
        int i = atoi(jsn_string(jsn_get(record, "id"), "k-1") + 1);
        cr_assert(i >= 0 && i < RECORDS);
        bool failed = strcmp(jsn_string(jsn_get(record, "status"), ""), "failed") == 0;
        cr_assert_eq(failed, strstr(path, "errors-") != NULL);
        seen[i]++;
        n++;
        jsn_free(record);
    }
    cr_assert_eq(s, ST_CLOSED);
    lines_close(lines);
    return n;
}

/* Also looks that it is one frame: many readers stop behind the first. */
static void file_digest(const char *path, char hex[SHA256_HEX])
{
    static uint8_t bytes[1 << 20];
    uint8_t digest[SHA256_BYTES];
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    cr_assert_eq(ZSTD_findFrameCompressedSize(bytes, n), n, "%s: several frames", path);
    sha256_of(bytes, n, digest);
    sha256_hex(digest, hex);
}

/* The manifest names each file there is, with its lines and its digest; each record but the forgotten one is in them
 * once. */
static void expect_whole(const char *dir)
{
    char path[512];
    int seen[RECORDS] = {0};
    struct json *m = NULL;
    glob_t found = {0};
    snprintf(path, sizeof path, "%s/_manifest.json", dir);
    cr_assert_eq(jsn_load(path, 1 << 20, &m, NULL), ST_OK, "%s", path);
    const struct json *files = jsn_get(m, "files"), *counts = jsn_get(m, "counts");
    for (size_t i = 0; i < jsn_size(files); i++) {
        const struct json *file = jsn_at(files, i);
        char hex[SHA256_HEX];
        snprintf(path, sizeof path, "%s/%s", dir, jsn_string(jsn_get(file, "name"), "?"));
        file_digest(path, hex);
        cr_assert_str_eq(jsn_string(jsn_get(file, "sha256"), ""), hex, "%s", path);
        cr_assert_eq(count_lines(path, seen), jsn_int(jsn_get(file, "records"), -1), "%s", path);
    }
    for (int i = 0; i < RECORDS; i++)
        cr_assert_eq(seen[i], i != FORGOTTEN, "record %d is there %d times", i, seen[i]);
    snprintf(path, sizeof path, "%s/*.zst*", dir);
    cr_assert_eq(glob(path, 0, NULL, &found), 0);
    cr_assert_eq(found.gl_pathc, jsn_size(files), "a file that the manifest does not name");
    globfree(&found);
    cr_assert_eq(jsn_int(jsn_get(counts, "records"), 0), RECORDS - 1);
    cr_assert_eq(jsn_int(jsn_get(counts, "failed"), 0), RECORDS / 5);
    cr_assert_eq(jsn_int(jsn_get(counts, "forgotten"), 0), 1);
    cr_assert_eq(jsn_size(jsn_get(m, "models")), 1, "a device is no model");
    jsn_free(m);
}

/* Runs take_all in a child that dies at its step `at`; true where it got to the end. */
static bool run_until(const char *dir, int shards, int at)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        steps_left = at;
        _exit(take_all(dir, shards) == ST_OK ? 0 : 1);
    }
    int code = 0;
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_assert(WIFEXITED(code) && (WEXITSTATUS(code) == 0 || WEXITSTATUS(code) == KILLED), "child: %d", code);
    return WEXITSTATUS(code) == 0;
}

static void kill_everywhere(int shards)
{
    bool ended = false;
    int at = 0;
    for (; !ended; at++) {
        char name[32];
        snprintf(name, sizeof name, "k%d-%d", shards, at);
        const char *dir = scratch_path(name);
        ended = run_until(dir, shards, at);
        /* Killed once more on the way of putting things in order. */
        if (!ended)
            (void)run_until(dir, shards, at % 11);
        cr_assert_eq(take_all(dir, shards), ST_OK, "after a kill at step %d", at);
        expect_whole(dir);
    }
    cr_assert_gt(at, 60, "only %d places to be killed at", at);
}

Test(parts, killed_anywhere_each_record_is_there_once)
{
    kill_everywhere(1);
}

Test(parts, killed_anywhere_with_shards_each_record_is_there_once)
{
    kill_everywhere(3);
}

Test(parts, what_was_not_committed_is_gone_after_a_kill_and_nothing_else)
{
    const char *dir = scratch_path("kill");
    int seen[RECORDS] = {0};
    char path[512];
    if (fork() == 0) {
        struct parts *p = open_parts(dir, 1);
        bool ok = put(p, 0) == ST_OK && put(p, 1) == ST_OK && parts_commit(p, AT(2), NULL) == ST_OK;
        ok = ok && put(p, 2) == ST_OK;
        _exit(ok ? KILLED : 1);
    }
    int code = 0;
    wait(&code);
    cr_assert_eq(WEXITSTATUS(code), KILLED);
    struct parts *p = open_parts(dir, 1);
    cr_assert_eq(parts_cursor(p)->at[0], 2);
    snprintf(path, sizeof path, "%s/part-00000.jsonl.zst", dir);
    cr_assert_eq(count_lines(path, seen), 2);
    parts_close(p);
}

Test(parts, a_shard_is_known_by_the_number_of_its_part)
{
    const char *dir = scratch_path("shards");
    cr_assert_eq(take_all(dir, 3), ST_OK);
    for (int number = 0; number < 9; number++) {
        char path[512];
        int seen[RECORDS] = {0};
        snprintf(path, sizeof path, "%s/part-%05d.jsonl.zst", dir, number);
        if (access(path, F_OK) != 0)
            continue;
        count_lines(path, seen);
        for (int i = 0; i < RECORDS; i++) {
            char key[16];
            uint8_t digest[SHA256_BYTES];
            snprintf(key, sizeof key, "k%d", i);
            sha256_of(key, strlen(key), digest);
            uint32_t word =
                (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
            cr_assert(!seen[i] || (int)(word % 3) == number % 3, "%s in %s", key, path);
        }
    }
}

Test(parts, a_folder_has_one_writer_one_source_and_one_number_of_shards)
{
    const char *dir = scratch_path("one");
    struct parts *p = open_parts(dir, 2), *other;
    struct parts_options o = {.dir = dir, .source = "summer", .part_bytes = PART_BYTES, .shards = 2};
    struct diag why = {""};
    cr_assert_eq(parts_open(&o, &other, &why), ST_REFUSED);
    cr_assert_eq(put(p, 0), ST_OK);
    cr_assert_eq(parts_commit(p, AT(1), &why), ST_OK);
    parts_close(p);
    o.source = "winter";
    cr_assert_eq(parts_open(&o, &other, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "\"summer\", not of \"winter\""), "%s", why.text);
    o.source = "summer";
    o.shards = 4;
    cr_assert_eq(parts_open(&o, &other, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "with 2 shards, not 4"), "%s", why.text);
}

Test(parts, the_manifest_goes_before_its_files_change_and_comes_back)
{
    const char *dir = scratch_path("again");
    char path[512];
    snprintf(path, sizeof path, "%s/_manifest.json", dir);
    struct parts *p = open_parts(dir, 1);
    cr_assert_eq(put(p, 0), ST_OK);
    cr_assert_eq(parts_finish(p, AT(1), false, NULL), ST_OK);
    parts_close(p);
    cr_assert_eq(access(path, F_OK), 0);
    p = open_parts(dir, 1);
    cr_assert_eq(parts_cursor(p)->at[0], 1);
    cr_assert_eq(put(p, 1), ST_OK);
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_eq(parts_finish(p, AT(2), true, NULL), ST_OK);
    parts_close(p);
    struct json *m = NULL;
    cr_assert_eq(jsn_load(path, 1 << 20, &m, NULL), ST_OK);
    cr_assert_eq(jsn_bool(jsn_get(m, "complete"), false), true);
    cr_assert_eq(jsn_size(jsn_get(m, "files")), 2);
    jsn_free(m);
}

Test(parts, a_part_that_is_gone_is_named)
{
    const char *dir = scratch_path("gone");
    char path[512];
    struct parts *p = open_parts(dir, 1);
    struct parts_options o = {.dir = dir, .source = "summer", .part_bytes = PART_BYTES, .shards = 1};
    struct diag why = {""};
    cr_assert_eq(put(p, 0), ST_OK);
    cr_assert_eq(parts_finish(p, AT(1), true, NULL), ST_OK);
    parts_close(p);
    snprintf(path, sizeof path, "%s/part-00000.jsonl.zst", dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(parts_open(&o, &p, &why), ST_FORMAT);
    cr_assert(strstr(why.text, "part-00000.jsonl.zst: was written, and is gone"), "%s", why.text);
}
