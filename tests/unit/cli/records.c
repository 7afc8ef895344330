/* Claims of cli/records.c about folders that an export wrote. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/records.h"

static char folder[] = "/tmp/ferret-unit.XXXXXX";
static const char *const names[] = {"part-00000.jsonl.zst", "errors-00000.jsonl.zst", "errors-00001.jsonl.zst",
                                    "a.jsonl", "b.jsonl"};
enum { PART, ERRORS, LATER_ERRORS, FILE_A, FILE_B, ALL };

static void path_of(int file, char out[64])
{
    snprintf(out, 64, "%s/%s", folder, names[file]);
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void end(void)
{
    char path[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of((int)i, path);
        unlink(path);
    }
    rmdir(folder);
}

/* Readers know compressed text by its bytes, not by its name. */
static void put(int file, const char *line)
{
    char path[64];
    path_of(file, path);
    FILE *f = fopen(path, "ae");
    cr_assert_not_null(f);
    fprintf(f, "%s\n", line);
    fclose(f);
}

/* job NULL: a record without a queue. */
static void put_record(int file, const char *id, const char *job, const char *status, int try)
{
    char line[512], number[64] = "null";
    if (job)
        snprintf(number, sizeof number, "\"%s\"", job);
    bool failed = strcmp(status, "failed") == 0;
    snprintf(line, sizeof line,
             "{\"schema\":1,\"id\":\"%s\",\"job\":%s,\"status\":\"%s\",\"image\":{\"uri\":\"x\"},\"tasks\":[],"
             "%s\"meta\":%d}",
             id, number, status,
             failed ? "\"error\":{\"class\":\"permanent\",\"code\":\"missing\",\"message\":\"m\"}," : "", try);
    put(file, line);
}

static enum status note(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    char *told = ctx;
    size_t n = strlen(told);
    (void)text;
    (void)len;
    (void)why;
    snprintf(told + n, 256 - n, "%s:%d ", jsn_string(jsn_get(record, "id"), "?"),
             (int)jsn_int(jsn_get(record, "meta"), 0));
    return ST_OK;
}

/* "ID:TRY " of each record that was given. */
static const char *read_paths(const char *const *paths, int n)
{
    static char told[256];
    struct diag why = {""};
    told[0] = '\0';
    cr_assert_eq(records_of_files(&(struct setting_list){paths, n}, note, told, &why), ST_OK, "%s", why.text);
    return told;
}

static const char *read_all(void)
{
    const char *const paths[] = {folder};
    return read_paths(paths, 1);
}

/* ALL: the folder. */
static const char *read_two(int first, int second)
{
    char paths[2][64];
    for (int i = 0; i < 2; i++) {
        int file = i == 0 ? first : second;
        if (file == ALL)
            snprintf(paths[i], sizeof paths[i], "%s", folder);
        else
            path_of(file, paths[i]);
    }
    return read_paths((const char *const[]){paths[0], paths[1]}, 2);
}

TestSuite(records, .init = begin, .fini = end);

Test(records, what_failed_and_then_went_well_is_given_once)
{
    put_record(PART, "good", "aa", "ok", 1);
    put_record(PART, "late", "bb", "ok", 2);
    put_record(ERRORS, "late", "bb", "failed", 1);
    put_record(ERRORS, "bad", "cc", "failed", 1);
    cr_expect_str_eq(read_all(), "good:1 late:2 bad:1 ");
}

Test(records, what_failed_time_and_again_is_given_as_it_failed_last)
{
    put_record(ERRORS, "a", "aa", "failed", 1);
    put_record(ERRORS, "b", "bb", "failed", 1);
    put_record(ERRORS, "a", "aa", "failed", 2);
    put_record(LATER_ERRORS, "a", "aa", "failed", 3);
    cr_expect_str_eq(read_all(), "b:1 a:3 ");
}

Test(records, a_record_that_lost_its_id_gives_way_to_one_of_its_job)
{
    put_record(ERRORS, "aa", "aa", "failed", 1);
    put_record(PART, "a", "aa", "partial", 2);
    cr_expect_str_eq(read_all(), "a:2 ");
}

Test(records, without_jobs_ids_tell_images_apart)
{
    put_record(PART, "a", NULL, "ok", 2);
    put_record(ERRORS, "a", NULL, "failed", 1);
    put_record(ERRORS, "b", NULL, "failed", 1);
    cr_expect_str_eq(read_all(), "a:2 b:1 ");
}

Test(records, in_one_file_what_went_well_wins_wherever_it_stands)
{
    char path[64];
    put_record(FILE_A, "x", NULL, "ok", 1);
    put_record(FILE_A, "a", NULL, "failed", 1);
    put_record(FILE_A, "b", NULL, "partial", 1);
    put_record(FILE_A, "c", NULL, "failed", 1);
    put_record(FILE_A, "a", NULL, "ok", 2);
    put_record(FILE_A, "b", NULL, "failed", 2);
    put_record(FILE_A, "a", NULL, "failed", 3);
    put_record(FILE_A, "c", NULL, "failed", 2);
    path_of(FILE_A, path);
    cr_expect_str_eq(read_paths((const char *const[]){path}, 1), "x:1 b:1 a:2 c:2 ");
}

Test(records, what_failed_in_one_place_and_went_well_in_another_is_given_once)
{
    put_record(FILE_A, "a", NULL, "failed", 1);
    put_record(FILE_A, "b", NULL, "ok", 1);
    put_record(FILE_A, "d", NULL, "failed", 1);
    put_record(FILE_B, "a", NULL, "ok", 2);
    put_record(FILE_B, "b", NULL, "failed", 2);
    put_record(PART, "d", NULL, "ok", 3);
    cr_expect_str_eq(read_two(FILE_A, FILE_B), "b:1 d:1 a:2 ");
    cr_expect_str_eq(read_two(FILE_B, FILE_A), "a:2 b:1 d:1 ");
    cr_expect_str_eq(read_two(FILE_A, ALL), "a:1 b:1 d:3 ");
    cr_expect_str_eq(read_two(ALL, FILE_A), "d:3 a:1 b:1 ");
}

Test(records, a_pipe_is_read_once)
{
    char path[64], other[64];
    put_record(FILE_B, "a", NULL, "ok", 1);
    path_of(FILE_A, path);
    path_of(FILE_B, other);
    cr_assert_eq(mkfifo(path, 0600), 0);
    pid_t writer = fork();
    if (writer == 0) {
        put_record(FILE_A, "b", NULL, "failed", 1);
        _exit(0);
    }
    cr_expect_str_eq(read_paths((const char *const[]){other, path}, 2), "a:1 b:1 ");
    waitpid(writer, NULL, 0);
}

Test(records, what_is_no_record_among_failures_is_named_by_its_line)
{
    const char *const paths[] = {folder};
    struct diag why = {""};
    char told[256] = "";
    put_record(ERRORS, "a", "aa", "failed", 1);
    put(ERRORS, "{\"schema\":1}");
    put_record(PART, "b", "bb", "ok", 1);
    cr_assert_neq(records_of_files(&(struct setting_list){paths, 1}, note, told, &why), ST_OK);
    cr_expect(strstr(why.text, "errors-00000.jsonl.zst:2: "), "%s", why.text);
}
