#include "worker/tasks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Run from the repository's root. */
static struct config *load_config(void)
{
    struct config *c = NULL;
    struct diag why = {""};
    cr_assert_eq(
        config_load("tests/parity/fixtures/tiny-ferret-a", "tests/parity/fixtures/tiny-ferret-a-clip", &c, &why), ST_OK,
        "%s", why.text);
    return c;
}

static struct job *read_job(const char *text)
{
    struct json *v = NULL;
    struct job *j = NULL;
    struct diag why = {""};
    cr_assert_eq(jsn_parse(text, strlen(text), "test", &v, &why), ST_OK, "%s", why.text);
    cr_assert_eq(job_from_json(v, NULL, &j, &why), ST_OK, "%s", why.text);
    jsn_free(v);
    return j;
}

struct planned {
    struct config *config;
    struct job *job;
    struct task_plan plan;
};

static struct planned plan(const char *text, int width, int height)
{
    struct planned p = {.config = load_config(), .job = read_job(text)};
    cr_assert_eq(tasks_plan(p.job, p.config, width, height, &p.plan), ST_OK);
    return p;
}

static void done(struct planned *p)
{
    tasks_fini(&p->plan);
    job_free(p->job);
    config_free(p->config);
}

Test(tasks, describe_is_one_answer_a_region_and_every_other_kind_one)
{
    struct planned p = plan("{\"image\":\"a\",\"regions\":[{\"point\":[5,5]},{\"box\":[1,1,9,9]}],\"tasks\":[{\"kind\":"
                            "\"caption\"},{\"kind\":\"describe\"},{\"kind\":\"locate\",\"phrase\":\"dog\"},{\"kind\":"
                            "\"ask\",\"question\":\"Why {region1} and {region0}?\"}]}",
                            100, 50);
    static const char *const ids[] = {"caption", "describe-0", "describe-1", "locate", "ask"};
    static const int regions[] = {0, 1, 1, 0, 2};
    cr_assert_eq(p.plan.n_entries, 5);
    for (int i = 0; i < 5; i++) {
        cr_assert_str_eq(p.plan.entries[i].id, ids[i]);
        cr_assert_eq(p.plan.entries[i].n_regions, regions[i]);
        cr_assert_null(p.plan.entries[i].error.code);
        cr_assert_not_null(strstr(p.plan.entries[i].prompt, "<image>"));
    }
    /* the k-th token takes the k-th region, in the order of the text */
    cr_assert_eq(p.plan.entries[4].regions[0].kind, REGION_BOX);
    cr_assert_eq(p.plan.entries[4].regions[1].kind, REGION_POINT);
    cr_assert_str_eq(p.plan.entries[4].question, "Why [10, 20, 90, 180] and [50, 100]?");
    done(&p);
}

Test(tasks, regions_are_drawn_by_the_plan_and_not_by_the_engine)
{
    struct planned p =
        plan("{\"image\":\"a\",\"regions\":[{\"box\":[1,1,60,40]},{\"point\":[500,5]}],\"tasks\":[{\"kind\":"
             "\"describe\",\"options\":{\"seed\":9}}]}",
             100, 50);
    struct engine_task tasks[2];
    struct drawn_region want;
    const struct task_entry *e = p.plan.entries;
    cr_assert_eq(drawn_region_init(&want, &p.config->sampler, &e->regions[0], 9), ST_OK);
    cr_assert_eq(tasks_for_engine(&p.plan, 0, tasks), 1);
    cr_assert_eq(tasks[0].regions, e->drawn);
    size_t n = (size_t)p.config->sampler.points;
    cr_expect_arr_eq(e->drawn->chosen, want.chosen, n * sizeof *want.chosen);
    cr_expect_arr_eq(e->drawn->xy, want.xy, 2 * n * sizeof *want.xy);
    cr_expect_null(e[1].drawn, "a failed entry is not drawn");
    drawn_region_fini(&want);
    done(&p);
}

Test(tasks, tasks_of_one_kind_without_ids_are_numbered)
{
    struct planned p =
        plan("{\"image\":\"a\",\"regions\":[{\"point\":[5,5]}],\"tasks\":[{\"kind\":\"caption\"},{\"id\":"
             "\"mine\",\"kind\":\"caption\"},{\"kind\":\"caption\"},{\"id\":\"d\",\"kind\":\"describe\"}]}",
             100, 50);
    static const char *const ids[] = {"caption-0", "mine", "caption-1", "d-0"};
    for (int i = 0; i < 4; i++)
        cr_assert_str_eq(p.plan.entries[i].id, ids[i]);
    done(&p);
}

Test(tasks, a_bad_region_fails_the_answers_that_use_it_and_no_other)
{
    struct planned p =
        plan("{\"image\":\"a\",\"regions\":[{\"point\":[500,5]},{\"point\":[5,5]},{\"rle\":{\"size\":[50,100]"
             ",\"counts\":[5000]}},{\"polygon\":[[1,1,9,1,1,1]]}],\"tasks\":[{\"kind\":\"describe\"},"
             "{\"kind\":\"ask\",\"question\":\"{region1}?\"},{\"id\":\"bad\",\"kind\":\"ask\","
             "\"question\":\"{region1} or {region0}?\"}]}",
             100, 50);
    static const bool bad[] = {true, false, true, true, false, true};
    struct engine_task tasks[6];
    for (int i = 0; i < 6; i++) {
        const struct task_error *e = &p.plan.entries[i].error;
        cr_assert_eq(e->code != NULL, bad[i], "entry %d", i);
        if (bad[i])
            cr_assert_str_eq(e->code, "invalid_region");
    }
    cr_assert_eq(strncmp(p.plan.entries[0].error.message, "regions[0]: ", 12), 0, "%s",
                 p.plan.entries[0].error.message);
    cr_assert_eq(tasks_for_engine(&p.plan, 1000, tasks), 2);
    cr_assert_eq(tasks[0].id, 1001);
    cr_assert_eq(tasks[1].id, 1004);
    done(&p);
}

Test(tasks, a_mention_of_no_region_fails_that_answer_alone)
{
    struct planned p =
        plan("{\"image\":\"a\",\"tasks\":[{\"kind\":\"ask\",\"question\":\"What is {region7}?\"},{\"kind\":"
             "\"caption\"}]}",
             100, 50);
    cr_assert_str_eq(p.plan.entries[0].error.code, "invalid_job");
    cr_assert_str_eq(p.plan.entries[0].question, "What is {region7}?");
    cr_assert_null(p.plan.entries[1].error.code);
    done(&p);
}

Test(tasks, options_and_turns_reach_the_engine)
{
    struct planned p =
        plan("{\"image\":\"a\",\"options\":{\"max_tokens\":9,\"temperature\":0.5,\"top_p\":0.25,\"seed\":77,"
             "\"stop\":[\"END\"],\"repetition_stop\":false},\"tasks\":[{\"kind\":\"ask\",\"turns\":[\"One?\","
             "\"First.\",\"Two?\"]}]}",
             100, 50);
    struct engine_task task;
    cr_assert_eq(tasks_for_engine(&p.plan, 0, &task), 1);
    cr_assert_eq(task.max_tokens, 9);
    cr_assert_eq(task.temperature, 0.5f);
    cr_assert_eq(task.top_p, 0.25f);
    cr_assert_eq(task.seed, 77);
    cr_assert_eq(task.n_stops, 1);
    cr_assert_str_eq(task.stop_texts[0], "END");
    cr_assert(!task.repetition_stop);
    cr_assert_not_null(strstr(task.prompt, "First."));
    cr_assert_str_eq(p.plan.entries[0].question, "Two?");
    done(&p);
}

Test(tasks, an_answer_that_is_not_finite_is_a_permanent_error)
{
    struct task_entry e = {.id = NULL};
    struct engine_result r = {.outcome = OUTCOME_NON_FINITE, .why = "not finite"};
    tasks_take_result(&e, &r);
    cr_assert(e.error.code && !strcmp(e.error.code, "non_finite"));
    cr_assert(e.error.class_ == ERROR_PERMANENT && !strcmp(e.error.message, "not finite"));
}
