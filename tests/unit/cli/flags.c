#include <criterion/criterion.h>
#include <string.h>

#include "cli/commands.h"

struct options {
    struct task_flags task;
    struct link_flags link;
};

/* Reads a command line and makes the job that a PATH would stand for. */
static enum status read_job(int argc, char **argv, struct job **job, struct diag *why)
{
    struct options o = {0};
    const struct setting_group groups[] = {task_flags_group(offsetof(struct options, task)),
                                           link_flags_group(offsetof(struct options, link))};
    const struct settings_program program = {
        .name = "test", .args = "", .summary = "", .examples = "", .groups = groups, .n_groups = 2};
    struct settings *s = NULL;
    enum status status = settings_read(&program, argc, argv, &o, &s, why);
    cr_assert_eq(status, ST_OK, "%s", why->text);
    status = task_flags_job(&o.task, job, why);
    settings_free(s);
    return status;
}

#define ARGS(...)                                                                                                      \
    (int)(sizeof((const char *[]){"test", __VA_ARGS__}) / sizeof(char *)), (char **)(uintptr_t)(const char *[])        \
    {                                                                                                                  \
        "test", __VA_ARGS__, NULL                                                                                      \
    }

Test(flags, a_plain_command_line_captions_with_the_defaults)
{
    struct job *job = NULL;
    struct diag why = {{0}};
    cr_assert_eq(read_job(ARGS("--seed", "7"), &job, &why), ST_OK);
    cr_assert_eq(job->n_tasks, 1);
    cr_expect_eq(job->tasks[0].kind, TASK_CAPTION);
    cr_expect_eq(job->tasks[0].options.max_tokens, 512);
    cr_expect_eq(job->tasks[0].options.seed, 7);
    cr_expect(job->tasks[0].options.repetition_stop);
    cr_expect_str_eq(job->policy, "default");
    job_free(job);
}

Test(flags, boxes_points_and_phrases_become_regions_and_texts)
{
    struct job *job = NULL;
    struct diag why = {{0}};
    cr_assert_eq(read_job(ARGS("--task", "locate", "--phrase", "a ball", "--phrase", "a cube", "--box", "1,2,3.5,4",
                               "--point", "5,6", "--compat", "ml-ferret"),
                          &job, &why),
                 ST_OK);
    cr_assert_eq(job->n_regions, 2);
    cr_expect_eq(job->regions[0].kind, JOB_BOX);
    cr_expect_eq(job->regions[0].box[2], 3.5);
    cr_expect_eq(job->regions[1].kind, JOB_POINT);
    cr_expect_eq(job->regions[1].box[1], 6);
    cr_assert_eq(job->tasks[0].n_phrases, 2);
    cr_expect_str_eq(job->tasks[0].phrases[1], "a cube");
    cr_expect_str_eq(job->policy, "ml-ferret");
    cr_expect_not(job->tasks[0].options.repetition_stop);
    job_free(job);
}

static void expect_refused(int argc, char **argv, const char *sentence)
{
    struct job *job = NULL;
    struct diag why = {{0}};
    cr_expect_neq(read_job(argc, argv, &job, &why), ST_OK);
    cr_expect_neq(strstr(why.text, sentence), NULL, "got: %s, want: %s", why.text, sentence);
    cr_expect_null(job);
}

Test(flags, what_makes_no_job_is_named)
{
    expect_refused(ARGS("--box", "1,2,3"), "--box \"1,2,3\": expected X1,Y1,X2,Y2");
    expect_refused(ARGS("--point", "1;2"), "--point \"1;2\": expected X,Y");
    expect_refused(ARGS("--box", "1,2,3,4,5"), "--box");
    expect_refused(ARGS("--box", "1,2,3,nan"), "--box");
    expect_refused(ARGS("--task", "ask"), "expected --question");
    expect_refused(ARGS("--compat", "other"), "--compat \"other\": expected ml-ferret");
}

Test(flags, texts_of_another_task_are_a_usage_error)
{
    struct job *job = NULL;
    struct diag why = {{0}};
    cr_expect_eq(read_job(ARGS("--phrase", "dog"), &job, &why), ST_INVALID);
    cr_expect_not_null(strstr(why.text, "--phrase"), "%s", why.text);
    cr_expect_eq(read_job(ARGS("--task", "locate", "--phrase", "dog", "--question", "What?"), &job, &why), ST_INVALID);
    cr_expect_not_null(strstr(why.text, "--question"), "%s", why.text);
}

Test(flags, phrases_to_locate_come_from_flags_or_a_manifest)
{
    struct diag why = {{0}};
    const char *const folder[] = {"photos"}, *const manifest[] = {"a.jsonl.gz"};
    struct task_flags none = {.task = TASK_LOCATE};
    cr_expect_eq(task_flags_check_paths(&none, manifest, 1, &why), ST_OK, "%s", why.text);
    cr_expect_eq(task_flags_check_paths(&none, folder, 1, &why), ST_INVALID);
    cr_expect_not_null(strstr(why.text, "expected at least one --phrase"), "%s", why.text);
}

Test(flags, regions_to_describe_come_from_flags_or_a_manifest)
{
    struct diag why = {{0}};
    const char *const folder[] = {"photos"}, *const manifests[] = {"a.jsonl.gz", "-"};
    const char *const box[] = {"1,2,3,4"};
    struct task_flags f = {.task = TASK_DESCRIBE};
    cr_expect_eq(task_flags_check_paths(&f, folder, 1, &why), ST_INVALID);
    cr_expect_not_null(strstr(why.text, "--box"), "%s", why.text);
    cr_expect_eq(task_flags_check_paths(&f, manifests, 2, &why), ST_OK);
    f.boxes = (struct setting_list){.items = box, .n = 1};
    cr_expect_eq(task_flags_check_paths(&f, folder, 1, &why), ST_OK);
    f = (struct task_flags){.task = TASK_CAPTION};
    cr_expect_eq(task_flags_check_paths(&f, folder, 1, &why), ST_OK);
}
