/* To add one: a function that uses a library from end to end, and a row in the table at the bottom. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "model/checkpoint.h"
#include "model/checkpoint_check.h"
#include "model/config.h"
#include "model/prompt.h"
#include "model/region.h"
#include "protocol/job.h"
#include "protocol/message.h"
#include "protocol/result.h"
#include "tests/torture/queue.h"
#include "tests/torture/scenarios.h"
#include "tests/torture/torture.h"

#define FIXTURES "tests/parity/fixtures/"

static const char job_line[] =
    "{\"id\":\"k\",\"image\":\"local:a.png\",\"regions\":[{\"id\":\"r\",\"box\":[1,2,3,4]},{\"polygon\":[[1,1,5,1,3,4]]"
    "}],"
    "\"tasks\":[{\"kind\":\"caption\"},{\"kind\":\"locate\",\"phrases\":[\"a\",\"b\"]},{\"kind\":\"describe\"}],"
    "\"meta\":{\"x\":[1,2]}}";

static enum status json_round(void)
{
    struct json *root = NULL;
    enum status s = jsn_parse(job_line, strlen(job_line), "line", &root, NULL);
    if (s != ST_OK)
        return s;
    struct json *copy = jsn_copy(root);
    char *text = copy ? jsn_text_indented(copy, 2) : NULL;
    free(text);
    jsn_free(copy);
    jsn_free(root);
    return text ? ST_OK : ST_NOMEM;
}

static enum status settings_round(void)
{
    struct {
        struct task_flags task;
        struct link_flags link;
    } o = {0};
    const struct setting_group groups[] = {task_flags_group(0), link_flags_group(sizeof o.task)};
    const struct settings_program p = {
        .name = "t", .args = "X...", .summary = "", .examples = "", .max_args = -1, .groups = groups, .n_groups = 2};
    const char *argv[] = {"t",      "--phrase", "a",     "x",       "--phrase", "b",
                          "--task", "locate",   "--box", "1,2,3,4", "y",        NULL};
    struct settings *settings = NULL;
    struct job *job = NULL;
    enum status s = settings_read(&p, 11, (char *const *)(uintptr_t)argv, &o, &settings, NULL);
    if (s == ST_OK)
        s = task_flags_job(&o.task, &job, NULL);
    job_free(job);
    settings_free(settings);
    return s;
}

static enum status help_round(void)
{
    struct link_flags o = {0};
    const struct setting_group groups[] = {link_flags_group(0)};
    const struct settings_program p = {
        .name = "t", .args = "", .summary = "", .examples = "", .groups = groups, .n_groups = 1};
    const char *argv[] = {"t", "--print-config", NULL};
    struct settings *settings = NULL;
    enum status s = settings_read(&p, 2, (char *const *)(uintptr_t)argv, &o, &settings, NULL);
    settings_free(settings);
    return s;
}

static enum status job_round(void)
{
    struct json *line = NULL, *out = NULL;
    struct job *job = NULL, *back = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum status s = jsn_parse(job_line, strlen(job_line), "line", &line, NULL);
    if (s == ST_OK)
        s = job_from_json(line, NULL, &job, NULL);
    if (s == ST_OK)
        s = job_encode(job, &bytes, &len, NULL);
    if (s == ST_OK)
        s = job_decode(bytes, len, &back, NULL);
    if (s == ST_OK)
        s = job_to_json(back, &out);
    jsn_free(out);
    jsn_free(line);
    if (s == ST_OK) {
        struct json *record = result_failure(back, ERROR_PERMANENT, "missing", "no such file");
        s = record ? ST_OK : ST_NOMEM;
        jsn_free(record);
    }
    free(bytes);
    job_free(job);
    job_free(back);
    return s;
}

static enum status message_round(void)
{
    struct message m = {.kind = MESSAGE_STATUS, .request = 7};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum status s = message_encode(&m, &bytes, &len);
    struct message back;
    if (s == ST_OK)
        s = message_decode(bytes, len, &back, NULL);
    free(bytes);
    return s;
}

static enum status region_round(void)
{
    static const double xy[] = {1, 1, 30, 2, 20, 28};
    const struct region_spec spec = {.kind = REGION_POLYGON, .xy = xy, .n_points = 3};
    struct region region = {0};
    enum status s = region_make(&spec, 32, 32, &region, NULL);
    int64_t chosen[16];
    int starts[1], stage_in[1] = {16};
    if (s == ST_OK)
        s = region_draw(&region, 5, 16, 1, stage_in, chosen, starts);
    region_fini(&region);
    return s;
}

static enum status checkpoint_round(void)
{
    struct config *config = NULL;
    struct checkpoint *model = NULL, *tower = NULL;
    enum status s = config_load(FIXTURES "tiny-ferret-b-delta", FIXTURES "tiny-ferret-b-clip", &config, NULL);
    if (s == ST_OK)
        s = checkpoint_open(FIXTURES "tiny-ferret-b-delta", FIXTURES "tiny-ferret-b-base", &model, NULL);
    if (s == ST_OK)
        s = checkpoint_open(config->tower_dir, NULL, &tower, NULL);
    if (s == ST_OK)
        s = checkpoint_check(model, tower, config, NULL);
    char *prompt = NULL;
    const char *turns[] = {"What is here?"};
    if (s == ST_OK)
        s = prompt_render(&config->template, turns, 1, &prompt, NULL);
    free(prompt);
    checkpoint_close(tower);
    checkpoint_close(model);
    config_free(config);
    return s;
}

const struct scenario scenarios[] = {
    {"json", json_round, NULL, false, true},
    {"settings and task flags", settings_round, NULL, false, false},
    {"settings as JSON", help_round, NULL, false, false},
    {"job: JSON, MessagePack, record", job_round, NULL, false, false},
    {"message", message_round, NULL, false, false},
    {"region: polygon and draws", region_round, NULL, false, false},
    {"checkpoint: config, delta, tower, prompt", checkpoint_round, NULL, false, false},
    {"answers: entities and official scanners", answer_round, NULL, false, false},
    {"inputs: manifest and folder", inputs_round, NULL, false, false},
    {"inputs: a shard, data sets, a batch", read_round, NULL, false, false},
    {"cache of what was fetched", cache_round, NULL, false, false},
    {"overlay", overlay_round, NULL, false, false},
    {"preprocess", preprocess_round, NULL, false, false},
    {"engine: open, an image with a region, close", engine_round, NULL, true, false},
    {"broker: submit, hello, credit, asked again", dispatch_round, NULL, true, false},
    {"broker: snapshot and a campaign as JSON", board_round, NULL, true, false},
    {"observe: metrics over HTTP", web_round, NULL, false, false},
    {"observe: trace", trace_round, NULL, true, false},
    {"link: router and dealer", link_round, NULL, false, false},
    {"fetch: a root, a file, data", fetch_round, NULL, false, false},
    {"decoders: start and stop", pool_round, NULL, false, false},
    {"worker: tasks planned", plan_round, NULL, false, false},
    {"worker: a record copied", copy_round, NULL, false, false},
    {"worker: twins", twins_round, NULL, true, false},
    {"worker: a record made", record_round, NULL, false, true},
    {"worker: an image through the pipeline", pipeline_round, NULL, true, false},
    {"worker: a session that is given a job", session_round, queue_end, true, false},
    {"store: a call to Redis", store_round, queue_end, true, false},
    {"client: submit, seal, status, results", client_round, queue_end, true, false},
    {NULL, NULL, NULL, false, false},
};
