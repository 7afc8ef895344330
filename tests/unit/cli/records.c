/* Claims of cli/records.c about folders that an export wrote. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/records.h"

static char folder[] = "/tmp/ferret-unit.XXXXXX";
static const char *const names[] = {"part-00000.jsonl.zst", "errors-00000.jsonl.zst", "errors-00001.jsonl.zst"};
enum { PART, ERRORS, LATER_ERRORS };

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
static const char *read_all(void)
{
    static char told[256];
    const char *const paths[] = {folder};
    struct diag why = {""};
    told[0] = '\0';
    cr_assert_eq(records_of_files(&(struct setting_list){paths, 1}, note, told, &why), ST_OK, "%s", why.text);
    return told;
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
