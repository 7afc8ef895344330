#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"

static enum status read_line(const char *text, const struct job *defaults, struct job **out, struct diag *why)
{
    struct json *v = NULL;
    enum status s = jsn_parse(text, strlen(text), "test", &v, why);
    cr_assert_eq(s, ST_OK, "%s in %s", why->text, text);
    s = job_from_json(v, defaults, out, why);
    jsn_free(v);
    return s;
}

static struct job *good(const char *text, const struct job *defaults)
{
    struct job *j = NULL;
    struct diag why = {""};
    enum status s = read_line(text, defaults, &j, &why);
    cr_assert_eq(s, ST_OK, "%s: %s", text, why.text);
    return j;
}

static void bad(const char *text, enum status want, const char *begins)
{
    struct job *j = NULL;
    struct diag why = {""};
    enum status s = read_line(text, NULL, &j, &why);
    cr_assert_eq(s, want, "%s: status %s, %s", text, status_word(s), why.text);
    cr_assert_eq(strncmp(why.text, begins, strlen(begins)), 0, "%s: \"%s\" does not begin with \"%s\"", text, why.text,
                 begins);
    cr_assert_null(j);
}

/* head, n times 'x', tail. */
static char *filled(const char *head, size_t n, const char *tail)
{
    char *xs = calloc(1, n + 1), *text = NULL;
    memset(xs, 'x', n);
    cr_assert_gt(asprintf(&text, "%s%s%s", head, xs, tail), 0);
    free(xs);
    return text;
}

Test(job_json, the_shortest_line_has_every_default)
{
    struct job *j = good("{\"image\":\"a.jpg\",\"task\":\"caption\"}", NULL);
    cr_assert_str_eq(j->image, "a.jpg");
    cr_assert_str_eq(j->key, "a.jpg");
    cr_assert_str_eq(j->policy, "default");
    cr_assert_str_eq(j->tenant, "default");
    cr_assert_str_eq(j->campaign, "");
    cr_assert_eq(j->priority, 1);
    cr_assert_eq(j->max_retries, 4);
    cr_assert_eq(j->n_tasks, 1);
    cr_assert_eq(j->tasks[0].options.max_tokens, 512);
    cr_assert_eq(j->tasks[0].options.temperature, 0);
    cr_assert_eq(j->tasks[0].options.top_p, 1);
    cr_assert(j->tasks[0].options.repetition_stop);
    job_free(j);
}

#define I "{\"image\":\"a\","
static const struct {
    const char *line;
    enum status want;
    const char *begins;
} cases[] = {
    {"[]", ST_FORMAT, "expected an object, found a list"},
    {"{\"task\":\"caption\"}", ST_FORMAT, "image: missing"},
    {"{\"image\":7,\"task\":\"caption\"}", ST_FORMAT, "image: expected a text, found a whole number"},
    {"{\"image\":\"\",\"task\":\"caption\"}", ST_INVALID, "image: empty"},
    {"{\"image\":{},\"task\":\"caption\"}", ST_FORMAT, "image: empty; an image has a path, url or uri"},
    {"{\"image\":{\"path\":\"a\",\"url\":\"b\"},\"task\":\"caption\"}", ST_FORMAT, "image.url: stands beside"},
    {"{\"image\":{\"file\":\"a\"},\"task\":\"caption\"}", ST_FORMAT, "image.file: unknown field"},
    {I "\"id\":null,\"task\":\"caption\"}", ST_FORMAT, "id: expected a text, found null"},
    {I "\"colour\":1,\"task\":\"caption\"}", ST_FORMAT, "colour: unknown field; expected one of id, image"},
    {I "\"x\":1}", ST_FORMAT, "x: unknown field"},
    {"{\"image\":\"a\"}", ST_INVALID, "task: missing"},
    {I "\"task\":\"paint\"}", ST_UNSUPPORTED,
     "task: unknown task \"paint\"; expected caption, describe, locate or ask"},
    {I "\"task\":3}", ST_FORMAT, "task: expected caption"},
    {I "\"task\":\"caption\",\"tasks\":[]}", ST_FORMAT, "tasks: stands beside \"task\""},
    {I "\"tasks\":[]}", ST_INVALID, "tasks: 0 of them"},
    {I "\"tasks\":{}}", ST_FORMAT, "tasks: expected a list, found an object"},
    {I "\"tasks\":[7]}", ST_FORMAT, "tasks[0]: expected an object"},
    {I "\"tasks\":[{}]}", ST_FORMAT, "tasks[0].kind: missing"},
    {I "\"tasks\":[{\"kind\":\"caption\"},{\"kind\":\"paint\"}]}", ST_UNSUPPORTED, "tasks[1].kind: unknown task"},
    {I "\"tasks\":[{\"task\":\"paint\"}]}", ST_UNSUPPORTED, "tasks[0].task: unknown task"},
    {I "\"tasks\":[{\"kind\":\"caption\",\"task\":\"ask\"}]}", ST_FORMAT, "tasks[0].task: stands beside \"kind\""},
    {I "\"tasks\":[{\"kind\":\"caption\",\"x\":1}]}", ST_FORMAT, "tasks[0].x: unknown field"},
    {I "\"tasks\":[{\"kind\":\"caption\",\"id\":5}]}", ST_FORMAT, "tasks[0].id: expected a text"},
    {I "\"tasks\":[{\"kind\":\"locate\"}]}", ST_INVALID, "tasks[0].phrases: missing"},
    {I "\"tasks\":[{\"kind\":\"locate\",\"phrases\":[]}]}", ST_INVALID, "tasks[0].phrases: an empty list"},
    {I "\"tasks\":[{\"kind\":\"locate\",\"phrases\":[1]}]}", ST_FORMAT, "tasks[0].phrases: expected a text"},
    {I "\"tasks\":[{\"kind\":\"caption\",\"phrase\":\"x\"}]}", ST_INVALID, "tasks[0].phrases: a task \"caption\""},
    {I "\"tasks\":[{\"kind\":\"ask\"}]}", ST_INVALID, "tasks[0].question: missing"},
    {I "\"tasks\":[{\"kind\":\"ask\",\"turns\":[\"a\",\"b\"]}]}", ST_INVALID, "tasks[0].turns: 2 of them"},
    {I "\"tasks\":[{\"kind\":\"describe\"}]}", ST_INVALID, "tasks[0].regions: missing"},
    {I "\"tasks\":[{\"kind\":\"describe\",\"regions\":[0]}]}", ST_INVALID, "tasks[0].regions[0]: there is no"},
    {I "\"tasks\":[{\"kind\":\"describe\",\"regions\":[\"dog\"]}]}", ST_INVALID, "tasks[0].regions[0]: no region"},
    {I "\"tasks\":[{\"kind\":\"describe\",\"regions\":[0.5]}]}", ST_FORMAT, "tasks[0].regions[0]: expected an"},
    {I "\"tasks\":[{\"kind\":\"describe\",\"regions\":3}]}", ST_FORMAT, "tasks[0].regions: expected a list"},
    {I "\"tasks\":[{\"id\":\"t\",\"kind\":\"caption\"},{\"id\":\"t\",\"kind\":\"caption\"}]}", ST_INVALID,
     "tasks[1].id: \"t\" is also"},
    {I "\"tasks\":[{\"kind\":\"caption\",\"options\":{\"seed\":-1}}]}", ST_FORMAT, "tasks[0].options.seed: "},
    {I "\"tasks\":[{\"kind\":\"caption\",\"params\":{\"max_tokens\":0}}]}", ST_INVALID,
     "tasks[0].options.max_tokens: 0 is outside 1..2048"},
    {I "\"task\":\"caption\",\"options\":{\"max_tokens\":\"9\"}}", ST_FORMAT, "options.max_tokens: expected"},
    {I "\"task\":\"caption\",\"options\":{\"max_tokens\":99999999999}}", ST_INVALID, "options.max_tokens: "},
    {I "\"task\":\"caption\",\"options\":{\"temperature\":3}}", ST_INVALID, "tasks[0].options.temperature: 3"},
    {I "\"task\":\"caption\",\"options\":{\"top_p\":0}}", ST_INVALID, "tasks[0].options.top_p: 0"},
    {I "\"task\":\"caption\",\"options\":{\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}}", ST_INVALID, "options.stop: 5"},
    {I "\"task\":\"caption\",\"options\":{\"stop\":[1]}}", ST_FORMAT, "options.stop: expected a text"},
    {I "\"task\":\"caption\",\"options\":{\"repetition_stop\":1}}", ST_FORMAT, "options.repetition_stop: "},
    {I "\"task\":\"caption\",\"options\":{\"beam\":1}}", ST_FORMAT, "options.beam: unknown field"},
    {I "\"task\":\"caption\",\"options\":[]}", ST_FORMAT, "options: expected an object"},
    {I "\"task\":\"caption\",\"options\":{},\"params\":{}}", ST_FORMAT, "params: stands beside \"options\""},
    {I "\"task\":\"caption\",\"policy\":\"best\"}", ST_INVALID, "policy: unknown policy \"best\""},
    {I "\"task\":\"caption\",\"group\":5}", ST_FORMAT, "group: expected a text"},
    {I "\"task\":\"caption\",\"group_images\":-1}", ST_INVALID, "group_images: -1 is outside"},
    {I "\"task\":\"caption\",\"group_images\":\"all\"}", ST_FORMAT, "group_images: expected"},
    {I "\"task\":\"caption\",\"priority\":3}", ST_INVALID, "priority: 3 is outside 0..2"},
    {I "\"task\":\"caption\",\"retries\":-1}", ST_INVALID, "retries: -1 is outside"},
    {I "\"task\":\"caption\",\"deadline\":\"2h\"}", ST_FORMAT,
     "deadline: expected Unix time in milliseconds, found a text; for a time from now there is --deadline 2h"},
    {I "\"task\":\"caption\",\"deadline\":3600}", ST_INVALID, "deadline: 3600 is no Unix time in milliseconds"},
    {I "\"task\":\"caption\",\"deadline\":1764000000}", ST_INVALID, "deadline: 1764000000 is no Unix time in mill"},
    {I "\"task\":\"caption\",\"deadline\":-1}", ST_INVALID, "deadline: -1 is outside"},
    {I "\"task\":\"caption\",\"not_before\":60}", ST_INVALID,
     "not_before: 60 is no Unix time in milliseconds, which has 13 digits; for a time from now there is --delay 2h"},
    {I "\"task\":\"caption\",\"max_runtime\":60}", ST_INVALID,
     "max_runtime: 60 milliseconds are less than 1000; for seconds write a text such as \"90s\""},
    {I "\"task\":\"caption\",\"max_runtime\":\"soon\"}", ST_FORMAT, "max_runtime: expected milliseconds or a text"},
    {I "\"task\":\"caption\",\"max_runtime\":\"8d\"}", ST_FORMAT, "max_runtime: expected milliseconds or a text"},
    {I "\"phrases\":[\"dog\"]}", ST_FORMAT, "phrases: belongs to a \"task\""},
    {I "\"task\":\"caption\",\"regions\":{}}", ST_FORMAT, "regions: expected a list"},
    {I "\"task\":\"caption\",\"regions\":[1]}", ST_FORMAT, "regions[0]: expected an object"},
    {I "\"task\":\"caption\",\"regions\":[{}]}", ST_FORMAT, "regions[0]: no shape"},
    {I "\"task\":\"caption\",\"regions\":[{\"box\":[1,2,3,4],\"point\":[1,2]}]}", ST_FORMAT, "regions[0]: several"},
    {I "\"task\":\"caption\",\"regions\":[{\"box\":[1,2,3]}]}", ST_FORMAT, "regions[0].box: expected a list of 4"},
    {I "\"task\":\"caption\",\"regions\":[{\"point\":[1,\"2\"]}]}", ST_FORMAT, "regions[0].point: expected a numb"},
    {I "\"task\":\"caption\",\"regions\":[{\"point\":[1,1e10]}]}", ST_INVALID, "regions[0].point: 1e+10"},
    {I "\"task\":\"caption\",\"regions\":[{\"polygon\":[]}]}", ST_FORMAT, "regions[0].polygon: expected a list of"},
    {I "\"task\":\"caption\",\"regions\":[{\"polygon\":[[1,2,3]]}]}", ST_FORMAT, "regions[0].polygon: expected a f"},
    {I "\"task\":\"caption\",\"regions\":[{\"polygon\":[[1,2,3,4]]}]}", ST_INVALID, "regions[0].polygon: ring 0"},
    {I "\"task\":\"caption\",\"regions\":[{\"polygon\":[[1,2],[3,4],[5,6]]}]}", ST_INVALID,
     "regions[0].polygon: ring 0 has 1 points; expected a list of rings [[x,y,x,y,...],...], each of at least 3"},
    {I "\"task\":\"caption\",\"regions\":[{\"scribble\":[1]}]}", ST_FORMAT, "regions[0].scribble: expected a flat"},
    {I "\"task\":\"caption\",\"regions\":[{\"scribble\":[1,2],\"stroke_width\":0}]}", ST_INVALID,
     "regions[0].stroke_width: 0 is not"},
    {I "\"task\":\"caption\",\"regions\":[{\"point\":[1,2],\"stroke_width\":3}]}", ST_FORMAT,
     "regions[0].stroke_width: belongs"},
    {I "\"task\":\"caption\",\"regions\":[{\"rle\":{\"size\":[2,2]}}]}", ST_INVALID, "regions[0].rle.counts: miss"},
    {I "\"task\":\"caption\",\"regions\":[{\"rle\":{\"counts\":[4]}}]}", ST_INVALID, "regions[0].rle.size: [0, 0]"},
    {I "\"task\":\"caption\",\"regions\":[{\"rle\":{\"size\":[2],\"counts\":[4]}}]}", ST_FORMAT,
     "regions[0].rle.size: expected [height"},
    {I "\"task\":\"caption\",\"regions\":[{\"rle\":{\"size\":[2,2],\"counts\":[-4]}}]}", ST_FORMAT,
     "regions[0].rle.counts[0]: expected"},
    {I "\"task\":\"caption\",\"regions\":[{\"point\":[1,2],\"id\":\"\"}]}", ST_INVALID, "regions[0].id: empty"},
    {I "\"task\":\"caption\",\"regions\":[{\"point\":[1,2],\"id\":\"a\"},{\"point\":[1,2],\"id\":\"a\"}]}", ST_INVALID,
     "regions[1].id: \"a\" is also"},
};
#undef I

Test(job_json, every_field_error_begins_with_its_path)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad(cases[i].line, cases[i].want, cases[i].begins);
}

Test(job_json, a_question_over_the_limit_is_a_limit_not_a_format_error)
{
    char *line = filled("{\"image\":\"a\",\"task\":\"ask\",\"question\":\"", LIMIT_TEXT_BYTES + 1, "\"}");
    bad(line, ST_LIMIT, "tasks[0].question: 12289 bytes; at most 12288");
    free(line);
}

Test(job_json, meta_over_its_size_or_depth_is_refused)
{
    char *line = filled("{\"image\":\"a\",\"task\":\"caption\",\"meta\":\"", LIMIT_META_BYTES, "\"}");
    bad(line, ST_INVALID, "meta: 4098 bytes");
    free(line);
    bad("{\"image\":\"a\",\"task\":\"caption\",\"meta\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", ST_INVALID,
        "meta: nested 17");
    job_free(good("{\"image\":\"a\",\"task\":\"caption\",\"meta\":\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\"}", NULL));
}

Test(job_json, options_of_the_line_reach_every_task_whatever_their_order)
{
    struct job *j =
        good("{\"tasks\":[{\"kind\":\"caption\",\"options\":{\"seed\":9}},{\"kind\":\"ask\",\"question\":\"?\"}],"
             "\"options\":{\"max_tokens\":20,\"seed\":3,\"stop\":\"END\"},\"image\":{\"url\":\"http://x/a\"},"
             "\"id\":42}",
             NULL);
    cr_assert_str_eq(j->key, "42");
    cr_assert_str_eq(j->image, "http://x/a");
    cr_assert_eq(j->tasks[0].options.max_tokens, 20);
    cr_assert_eq(j->tasks[0].options.seed, 9);
    cr_assert_eq(j->tasks[1].options.seed, 3);
    cr_assert_str_eq(j->tasks[1].options.stop[0], "END");
    job_free(j);
}

Test(job_json, a_task_names_regions_by_index_or_id)
{
    struct job *j = good("{\"image\":\"a\",\"tasks\":[{\"kind\":\"describe\",\"regions\":[\"dog\",0]}],"
                         "\"regions\":[{\"point\":[1,2]},{\"id\":\"dog\",\"box\":[1,2,3,4],\"normalised\":false}]}",
                         NULL);
    cr_assert_eq(j->tasks[0].n_regions, 2);
    cr_assert_eq(j->tasks[0].regions[0], 1);
    cr_assert_eq(j->tasks[0].regions[1], 0);
    job_free(j);
}

Test(job_json, the_ml_ferret_policy_turns_the_repetition_stop_off_unless_asked_for)
{
    struct job *j = good("{\"image\":\"a\",\"task\":\"caption\",\"policy\":\"ml-ferret\"}", NULL);
    cr_assert(!j->tasks[0].options.repetition_stop);
    struct job *k = good("{\"options\":{\"repetition_stop\":true},\"image\":\"a\",\"task\":\"caption\","
                         "\"policy\":\"ml-ferret\"}",
                         NULL);
    cr_assert(k->tasks[0].options.repetition_stop);
    /* under such defaults a line may go back */
    struct job *back = good("{\"image\":\"b\",\"policy\":\"default\"}", j);
    cr_assert(back->tasks[0].options.repetition_stop);
    job_free(back);
    job_free(k);
    job_free(j);
}

Test(job_json, uncompressed_counts_become_cocos_string)
{
    /* counts of a 10 x 10 mask: by hand 5 -> "5", 3 -> "3", 7 -> "7", 3 - 3 = 0 -> "0", 82 - 7 = 75 -> 32|11+48, 2+48
     */
    struct job *j = good("{\"image\":\"a\",\"task\":\"caption\",\"regions\":[{\"rle\":{\"size\":[10,10],"
                         "\"counts\":[5,3,7,3,82]}}]}",
                         NULL);
    cr_assert_str_eq(j->regions[0].rle_counts, "5370[2");
    job_free(j);
}

Test(job_json, a_polygon_may_be_one_flat_ring_or_several)
{
    struct job *j = good("{\"image\":\"a\",\"task\":\"caption\",\"regions\":[{\"polygon\":[1,1,5,1,5,5]},"
                         "{\"polygon\":[[0,0,9,0,9,9],[2,2,4,2,4,4,2,4]]}]}",
                         NULL);
    cr_assert_eq(j->regions[0].n_rings, 1);
    cr_assert_eq(j->regions[0].ring_ends[0], 3);
    cr_assert_eq(j->regions[1].n_rings, 2);
    cr_assert_eq(j->regions[1].ring_ends[1], 7);
    cr_assert_eq(j->regions[1].xy[13], 4);
    job_free(j);
}

Test(job_json, a_line_without_tasks_takes_those_of_the_defaults)
{
    struct job *d = good("{\"image\":\"-\",\"task\":\"locate\",\"phrases\":[\"dog\",\"cat\"],\"group\":\"g\","
                         "\"regions\":[{\"id\":\"r\",\"point\":[1,2]}],\"priority\":2,\"options\":{\"seed\":5}}",
                         NULL);
    struct job *j = good("{\"image\":\"b\",\"options\":{\"max_tokens\":7}}", d);
    cr_assert_eq(j->tasks[0].kind, TASK_LOCATE);
    cr_assert_str_eq(j->tasks[0].phrases[1], "cat");
    cr_assert_eq(j->tasks[0].options.seed, 5);
    cr_assert_eq(j->tasks[0].options.max_tokens, 7);
    cr_assert_str_eq(j->regions[0].id, "r");
    cr_assert_str_eq(j->group, "g");
    cr_assert_eq(j->priority, 2);
    cr_assert_str_eq(j->key, "b");
    job_free(j);
    j = good("{\"image\":\"b\",\"task\":\"locate\"}", d);
    cr_assert_eq(j->tasks[0].n_phrases, 2);
    job_free(j);
    j = good("{\"image\":\"b\",\"task\":\"locate\",\"phrase\":\"owl\"}", d);
    cr_assert_eq(j->tasks[0].n_phrases, 1);
    job_free(j);
    j = good("{\"image\":\"b\",\"tasks\":[{\"kind\":\"describe\",\"regions\":[\"r\"]}]}", d);
    cr_assert_eq(j->tasks[0].regions[0], 0);
    job_free(j);
    job_free(d);
}

Test(job_json, times_are_instants_and_a_runtime_is_milliseconds_or_a_text)
{
    static const char *const runtimes[] = {"90000", "\"90s\"", "\"90\"", "\"1.5m\"", "\"90000ms\""};
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
        char text[256];
        snprintf(
            text, sizeof text,
            "{\"image\":\"a\",\"task\":\"caption\",\"max_runtime\":%s,\"deadline\":1764000000000,\"not_before\":0}",
            runtimes[i]);
        struct job *j = good(text, NULL);
        cr_expect_eq(j->max_runtime_ms, 90000, "%s", text);
        cr_expect(j->deadline_ms == 1764000000000 && j->not_before_ms == 0);
        job_free(j);
    }
}

Test(job_json, json_written_is_the_job_read)
{
    struct job *j =
        good("{\"image\":\"a\",\"id\":\"k\",\"group\":\"g\",\"group_images\":7,\"priority\":0,\"retries\":1,"
             "\"deadline\":1700000000099,\"not_before\":1700000000001,\"max_runtime\":90001,"
             "\"meta\":{\"x\":[1,2.5,null]},\"regions\":[{\"id\":\"p\",\"point\":[0.5,0.25],"
             "\"normalised\":true},{\"box\":[1,2,3,4]},{\"polygon\":[[0,0,9,0,9,9]]},"
             "{\"scribble\":[1,2,3,4],\"stroke_width\":2.5},{\"rle\":{\"size\":[10,10],\"counts\":[100]}}],"
             "\"tasks\":[{\"id\":\"t\",\"kind\":\"describe\",\"regions\":[0,4]},{\"kind\":\"ask\","
             "\"turns\":[\"a\",\"b\",\"c\"]},{\"kind\":\"locate\",\"phrase\":\"dog\",\"options\":"
             "{\"stop\":[\"x\"],\"temperature\":0.5,\"top_p\":0.9,\"repetition_stop\":false}}]}",
             NULL);
    struct json *v = NULL, *w = NULL;
    cr_assert_eq(job_to_json(j, &v), ST_OK);
    char *text = jsn_text(v);
    struct job *k = good(text, NULL);
    cr_assert_eq(job_to_json(k, &w), ST_OK);
    char *again = jsn_text(w);
    cr_assert_str_eq(text, again);
    cr_assert_str_eq(k->meta, "{\"x\":[1,2.5,null]}");
    free(text);
    free(again);
    jsn_free(v);
    jsn_free(w);
    job_free(j);
    job_free(k);
}
