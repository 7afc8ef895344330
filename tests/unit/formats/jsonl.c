#include "formats/write/jsonl.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/formats/scratch.h"

static void expect(const char *name, const char *want)
{
    char text[1024] = "";
    FILE *f = fopen(scratch_path(name), "r");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    cr_assert_str_eq(text, want);
}

static void put(const char *name, bool append, const char *text)
{
    struct jsonl *f = NULL;
    cr_assert_eq(jsonl_open(scratch_path(name), append, &f, NULL), ST_OK);
    cr_assert_eq(jsonl_put(f, text, strlen(text), NULL), ST_OK);
    cr_assert_eq(jsonl_sync(f, NULL), ST_OK);
    jsonl_close(f);
}

Test(jsonl, lines_are_appended_in_folders_made_on_the_way)
{
    put("a/b/out.jsonl", true, "{\"n\":1}");
    put("a/b/out.jsonl", true, "{\"n\":2}");
    expect("a/b/out.jsonl", "{\"n\":1}\n{\"n\":2}\n");
    put("a/b/out.jsonl", false, "{\"n\":3}");
    expect("a/b/out.jsonl", "{\"n\":3}\n");
}

Test(jsonl, half_a_line_at_the_end_is_cut_off)
{
    scratch_text("out.jsonl", "{\"n\":1}\n{\"n\":2,\"te");
    put("out.jsonl", true, "{\"n\":2}");
    expect("out.jsonl", "{\"n\":1}\n{\"n\":2}\n");
    scratch_text("out.jsonl", "{\"n\":1,\"te");
    put("out.jsonl", true, "{\"n\":1}");
    expect("out.jsonl", "{\"n\":1}\n");
}

Test(jsonl, half_a_line_longer_than_a_block_is_cut_off_too)
{
    char *long_half = calloc(1, 200001);
    memset(long_half, 'x', 200000);
    memcpy(long_half, "{}\n", 3);
    scratch_text("out.jsonl", long_half);
    free(long_half);
    put("out.jsonl", true, "[]");
    expect("out.jsonl", "{}\n[]\n");
}

Test(jsonl, a_line_that_finds_no_room_leaves_the_whole_ones)
{
    struct jsonl *f = NULL;
    char text[100];
    memset(text, 'x', sizeof text);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 60, .rlim_max = 60}), 0);
    cr_assert_eq(jsonl_open(scratch_path("full.jsonl"), false, &f, NULL), ST_OK);
    cr_assert_eq(jsonl_put(f, "{\"n\":1}", 7, NULL), ST_OK);
    cr_assert_eq(jsonl_put(f, text, sizeof text, NULL), ST_IO);
    jsonl_close(f);
    expect("full.jsonl", "{\"n\":1}\n");
}

Test(jsonl, a_pipe_whose_reader_left_ends_without_words)
{
    struct jsonl *f = NULL;
    struct diag why = {""};
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(ends[0]);
    cr_assert_eq(jsonl_open("-", false, &f, NULL), ST_OK);
    cr_expect_eq(jsonl_put(f, "{}", 2, &why), ST_CANCELLED);
    cr_expect_str_eq(why.text, "");
    jsonl_close(f);
}

Test(jsonl, a_full_disk_is_an_error_with_the_files_name)
{
    struct jsonl *f = NULL;
    struct diag why = {""};
    cr_assert_eq(jsonl_open("/dev/full", false, &f, NULL), ST_OK);
    cr_assert_eq(jsonl_put(f, "{}", 2, &why), ST_IO);
    cr_assert_eq(strncmp(why.text, "/dev/full: ", 11), 0, "%s", why.text);
    jsonl_close(f);
}
