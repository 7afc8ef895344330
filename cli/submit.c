/* `ferret submit`: inputs -> jobs of a campaign, streaming. Goes on where an earlier run of the same command was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/plan.h"
#include "cli/remote.h"
#include "cli/submit_end.h"
#include "cli/up_file.h"
#include "formats/read/inputs.h"
#include "formats/read/repeats.h"
#include "protocol/result.h"
#include "worker/fetch_flags.h"

enum {
    NAME_HASH_DIGITS = 8,
    PIN_DIGITS = 32,
    SHOWN_ERRORS = 20,
    WAIT_POLL_MS = 500,
    STEM_BYTES = 48,
    LONGEST_WAIT_S = 100000000,
};

struct submit_options {
    struct link_flags link;
    struct task_flags task;
    struct fetch_flags fetch; /* of shards and buckets that are looked into, and of a plan */
    const char *campaign;
    struct setting_list roots;
    double wait_s;
    const char *tenant;
    int64_t priority, retries;
    double delay_s, deadline_s, max_runtime_s, fail_stop;
    struct setting_list labels;
    struct plan_flags plan;
};

struct submit {
    const struct submit_options *o;
    struct client *client;
    struct inputs_options read;
    struct inputs *inputs;
    struct repeats *repeats;
    struct media_roots *roots;
    struct fetch_choice fetch;
    struct remote remote;
    struct job *defaults;
    uint8_t identity[INPUTS_IDENTITY_BYTES];
    char campaign[LIMIT_NAME_BYTES + 1];
    char pin[PIN_DIGITS + 1];
    uint64_t taken;    /* inputs of this run */
    uint64_t rejected; /* of them, those that are no job */
    bool anywhere;     /* roots are those of a plan without a `ferret up` */
    uint64_t lost;     /* accepted, and gone by a failover of Redis */
    bool goes_on;      /* behind what an earlier run handed in */
    bool terminal;
    char labels[LIMIT_NAME_BYTES + 1];
    struct wait_reason busy;
};

static const struct setting submit_rows[] = {
    {.name = "campaign",
     .type = SETTING_STRING,
     .offset = offsetof(struct submit_options, campaign),
     .value = "NAME",
     .help = "its name; without it one made from task and inputs"},
    {.name = "root",
     .type = SETTING_LIST,
     .offset = offsetof(struct submit_options, roots),
     .value = "NAME=DIR",
     .help = "how workers know a folder; without it as the `ferret up` on --data says"},
    {.name = "wait",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct submit_options, wait_s),
     .fallback = "60",
     .min = 0,
     .max = 86400,
     .help = "how long to wait for the first worker"},
    {.name = "tenant",
     .type = SETTING_STRING,
     .offset = offsetof(struct submit_options, tenant),
     .fallback = "default",
     .value = "NAME",
     .help = "whose campaign it is: tenants share the workers by weight"},
    {.name = "priority",
     .type = SETTING_INT,
     .offset = offsetof(struct submit_options, priority),
     .fallback = "1",
     .min = 0,
     .max = 2,
     .help = "0 before 1 before 2"},
    {.name = "retries",
     .type = SETTING_INT,
     .offset = offsetof(struct submit_options, retries),
     .fallback = "4",
     .min = 0,
     .max = 100,
     .help = "how often an image is tried again after a failure that may pass"},
    {.name = "delay",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct submit_options, delay_s),
     .max = LONGEST_WAIT_S,
     .help = "images are not begun before that"},
    {.name = "deadline",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct submit_options, deadline_s),
     .max = 9e15,
     .help = "images not begun by then fail as \"expired\"; from now, or Unix time in milliseconds as in manifests"},
    {.name = "max-runtime",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct submit_options, max_runtime_s),
     .max = 604800,
     .help = "an image that takes longer once it is begun fails"},
    {.name = "stop-at-failures",
     .type = SETTING_FLOAT,
     .offset = offsetof(struct submit_options, fail_stop),
     .max = 1,
     .value = "SHARE",
     .help = "pause the campaign when more than this share of its images failed, from 100 on"},
    {.name = "label",
     .type = SETTING_LIST,
     .offset = offsetof(struct submit_options, labels),
     .value = "NAME=VALUE",
     .help = "shown by status, for whoever sorts campaigns"},
};

/* ---- the campaign ----------------------------------------------------------------------------------------------- */

/* Tasks, regions and options of the command line: a campaign takes no others. */
static enum status make_pin(struct submit *s)
{
    char any[] = "*";
    struct job whole = *s->defaults; /* a view with a stand-in for what each image brings itself */
    whole.key = whole.image = any;
    struct json *object = NULL;
    enum status status = job_to_json(&whole, &object);
    if (status != ST_OK)
        return status;
    char *text = jsn_text(object);
    jsn_free(object);
    if (!text)
        return ST_NOMEM;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(text, strlen(text), digest);
    sha256_hex(digest, hex);
    snprintf(s->pin, sizeof s->pin, "%.*s", PIN_DIGITS, hex);
    free(text);
    return ST_OK;
}

/* "caption-photos-1a2b3c4d": the last word of the first path, and a hash over inputs and options, so that the same
 * command finds its campaign again. What comes on stdin can't be told before it is read: then the time. */
static void make_name(struct submit *s, const char *first)
{
    char stem[STEM_BYTES];
    const char *word = first + strlen(first);
    while (word > first && word[-1] == '/')
        word--;
    const char *end = word;
    while (word > first && word[-1] != '/')
        word--;
    int n = 0;
    for (; word < end && n < STEM_BYTES - 1; word++) {
        bool plain = (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') || (*word >= '0' && *word <= '9');
        if (plain || (n > 0 && stem[n - 1] != '-'))
            stem[n++] = plain ? *word : '-';
    }
    while (n > 0 && stem[n - 1] == '-')
        n--;
    stem[n] = 0;
    const char *task = task_kind_name((enum task_kind)s->o->task.task);
    if (strcmp(first, "-") == 0) {
        snprintf(s->campaign, sizeof s->campaign, "%s-stdin-%lld", task, (long long)clock_wall_ms());
        return;
    }
    struct sha256 sha;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_init(&sha);
    sha256_add(&sha, s->identity, sizeof s->identity);
    sha256_add(&sha, s->pin, strlen(s->pin));
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
    snprintf(s->campaign, sizeof s->campaign, "%s-%s%s%.*s", task, stem, n ? "-" : "", NAME_HASH_DIGITS, hex);
}

/* The campaign takes the class of the workers that are there; right after a start there may be none yet. */
static enum status open_campaign(struct submit *s, struct campaign_status *status, struct diag *why)
{
    struct campaign_spec spec = {
        .name = s->campaign, .tenant = s->o->tenant, .pin = s->pin, .labels = s->labels, .fail_stop = s->o->fail_stop};
    int64_t deadline = clock_ms() + (int64_t)(s->o->wait_s * 1000);
    for (bool told = false;; told = true) {
        enum status result = client_campaign(s->client, &spec, status, why);
        if (result != ST_BUSY)
            return result;
        if (clock_ms() >= deadline)
            return diag_wrap(why, ST_TIMEOUT, "no worker after %g s", s->o->wait_s);
        if (!told)
            fputs("ferret submit: waiting for a worker\n", stderr);
        nanosleep(&(struct timespec){.tv_nsec = WAIT_POLL_MS * 1000000L}, NULL);
    }
}

/* ---- the jobs --------------------------------------------------------------------------------------------------- */

static enum status root_uri(void *ctx, const char *path, char **uri, struct diag *why)
{
    const struct submit *s = ctx;
    return media_roots_uri(s->roots, path, uri, why);
}

static void show_counts(const struct submit *s)
{
    struct submit_counts c = client_submit_counts(s->client);
    fprintf(stderr, "\r\033[K%llu accepted, %llu there already", (unsigned long long)c.accepted,
            (unsigned long long)(c.duplicate + c.finished));
}

static bool on_wait(void *ctx, const struct submit_counts *counts)
{
    struct submit *s = ctx;
    const char *busy = client_submit_busy(s->client);
    (void)counts;
    if (wait_reason_is_news(&s->busy, busy, clock_ms()))
        fprintf(stderr, "%sferret submit: waiting: %s\n", s->terminal ? "\r\033[K" : "", busy);
    if (s->terminal)
        show_counts(s);
    return true;
}

static void tell_rejected(struct submit *s, const char *code, const char *message)
{
    s->rejected++;
    if (s->terminal)
        fputs("\r\033[K", stderr);
    if (s->rejected <= SHOWN_ERRORS)
        fprintf(stderr, "ferret submit: %s: %s\n", code, message);
    else if (s->rejected == SHOWN_ERRORS + 1)
        fputs("ferret submit: ...\n", stderr);
}

/* A stand-in that goes the way of all jobs and ends in a failed record, so that every input has one. */
static enum status refused_job(const struct input *input, const char *key, struct job **out, struct diag *why)
{
    struct json *line = jsn_new_object();
    const char *image = input->job->image;
    enum status status = jsn_put(line, "id", result_text(key));
    if (status == ST_OK)
        status = jsn_put(line, "image", result_text(image && *image ? image : key));
    if (status == ST_OK)
        status = jsn_put(line, "task", jsn_new_string("caption"));
    if (status == ST_OK)
        status = job_from_json(line, NULL, out, why);
    jsn_free(line);
    if (status != ST_OK)
        return status;
    (*out)->refused = strdup(input->error);
    (*out)->refused_why = strdup(input->message);
    return (*out)->refused && (*out)->refused_why ? ST_OK : ST_NOMEM;
}

/* From here on the input's job is its stand-in. */
static enum status put_stand_in(struct input *input, const char *key, struct diag *why)
{
    struct job *refused = NULL;
    enum status status = refused_job(input, key, &refused, why);
    if (status != ST_OK) {
        job_free(refused);
        return status;
    }
    job_free(input->job);
    input->job = refused;
    return ST_OK;
}

static enum status take_campaign(const struct submit *s, struct job *job)
{
    free(job->campaign);
    job->campaign = strdup(s->campaign);
    return job->campaign ? ST_OK : ST_NOMEM;
}

static enum status send(struct submit *s, const struct input *input, struct diag *why)
{
    struct place after = {.offset = input->offset};
    memcpy(after.manifest, s->identity, sizeof after.manifest);
    return client_submit(s->client, input->job, inputs_resumable(s->inputs) ? &after : NULL, why);
}

/* Gives the input the job that it has in the campaign, a stand-in where it is none, and compares it with what came
 * before. The caller owns *place: free. */
static enum status enter(struct submit *s, struct input *input, enum repeat *repeat, char **place, struct diag *why)
{
    enum status status = input->error ? put_stand_in(input, input->job->key, why) : ST_OK;
    if (status == ST_OK)
        status = take_campaign(s, input->job);
    if (status == ST_OK)
        status = repeats_add(s->repeats, input, repeat, place, why);
    if (status != ST_LIMIT || input->error)
        return status;
    input->error = "too_long";
    snprintf(input->message, sizeof input->message, "%s", why->text);
    return enter(s, input, repeat, place, why);
}

/* An id that the campaign would take for the job that it has under it: in a manifest it gets a record by its place. */
static enum status rename_repeat(struct submit *s, struct input *input, const char *place, struct diag *why)
{
    if (strcmp(place, input->job->key) == 0)
        return ST_OK;
    enum status status = put_stand_in(input, place, why);
    return status == ST_OK ? take_campaign(s, input->job) : status;
}

static enum status submit_one(struct submit *s, struct input *input, struct diag *why)
{
    enum repeat repeat;
    char *place = NULL;
    s->taken++;
    enum status status = enter(s, input, &repeat, &place, why);
    if (status != ST_OK)
        return status;
    if (input->error)
        tell_rejected(s, input->error, input->message);
    bool nameless = repeat == REPEAT_OTHER && !place;
    if (repeat == REPEAT_OTHER && place)
        status = rename_repeat(s, input, place, why);
    free(place);
    return status == ST_OK && !nameless ? send(s, input, why) : status;
}

/* The ids in front of the place that an earlier run reached: one that comes again behind it is told apart as within a
 * run. That costs reading the manifest up to there once more. */
static enum status remember_earlier(struct submit *s, uint64_t end, struct diag *why)
{
    struct inputs *earlier = NULL;
    enum status status = inputs_open(&s->read, &earlier, why);
    for (uint64_t at = 0; status == ST_OK && at < end;) {
        struct input input = {0};
        enum repeat repeat;
        char *place = NULL;
        status = inputs_next(earlier, &input, why);
        if (status == ST_OK) {
            at = input.offset;
            status = enter(s, &input, &repeat, &place, why);
        }
        free(place);
        input_fini(&input);
    }
    inputs_close(earlier);
    return status == ST_CLOSED ? ST_OK : status;
}

/* Where an earlier run of the same manifest was, the reading goes on behind it. */
static enum status resume(struct submit *s, const struct campaign_status *status, struct diag *why)
{
    _Static_assert((int)PLACE_HASH_BYTES == (int)INPUTS_IDENTITY_BYTES, "a place names the inputs by their identity");
    if (!inputs_resumable(s->inputs) || status->place.offset == 0 ||
        memcmp(status->place.manifest, s->identity, sizeof s->identity) != 0)
        return ST_OK;
    s->goes_on = true;
    fprintf(stderr, "ferret submit: goes on at byte %llu of the manifest\n", (unsigned long long)status->place.offset);
    enum status result = inputs_seek(s->inputs, status->place.offset, why);
    return result == ST_OK ? remember_earlier(s, status->place.offset, why) : result;
}

/* What was accepted in front of an error is worth keeping, unless the way to the broker is the error. */
static enum status leave(struct submit *s, enum status status)
{
    bool reachable = status != ST_TIMEOUT && status != ST_CLOSED;
    if (reachable && client_flush(s->client, NULL) != ST_OK)
        fputs("ferret submit: the jobs in front of this may not have been accepted\n", stderr);
    return status;
}

static enum status submit_all(struct submit *s, struct diag *why)
{
    client_on_wait(s->client, on_wait, s);
    for (;;) {
        struct input input = {0};
        enum status status = inputs_next(s->inputs, &input, why);
        if (status == ST_CLOSED)
            break;
        if (status == ST_OK)
            status = submit_one(s, &input, why);
        input_fini(&input);
        if (status != ST_OK)
            return leave(s, status);
    }
    enum status status = client_seal(s->client, s->campaign, why);
    if (s->terminal) {
        show_counts(s);
        fputc('\n', stderr);
    }
    return status;
}

/* ---- all together ----------------------------------------------------------------------------------------------- */

/* What manifests mean by a deadline, Unix time in milliseconds, means the same here: no count of seconds is so large.
 */
static enum status set_deadline(const struct submit_options *o, struct job *j, struct diag *why)
{
    int64_t now = clock_wall_ms();
    bool instant = o->deadline_s >= (double)JOB_FIRST_INSTANT_MS;
    if (!instant && o->deadline_s > LONGEST_WAIT_S)
        return diag_set(why, ST_INVALID,
                        "--deadline %.0f: expected up to %d seconds from now, or Unix time in milliseconds",
                        o->deadline_s, LONGEST_WAIT_S);
    if (instant && o->deadline_s <= (double)now)
        return diag_set(why, ST_INVALID, "--deadline %.0f: is over already, by %.0f s", o->deadline_s,
                        ((double)now - o->deadline_s) / 1000);
    j->deadline_ms = instant ? (int64_t)o->deadline_s : o->deadline_s > 0 ? now + (int64_t)(o->deadline_s * 1000) : 0;
    return ST_OK;
}

/* How jobs are queued is no part of what they ask for: the campaign does not pin it. */
static enum status set_queueing(struct submit *s, struct diag *why)
{
    const struct submit_options *o = s->o;
    struct job *j = s->defaults;
    j->priority = (int)o->priority;
    j->max_retries = (int)o->retries;
    j->not_before_ms = o->delay_s > 0 ? clock_wall_ms() + (int64_t)(o->delay_s * 1000) : 0;
    j->max_runtime_ms = (int64_t)(o->max_runtime_s * 1000);
    free(j->tenant);
    j->tenant = strdup(o->tenant);
    return j->tenant ? set_deadline(o, j, why) : ST_NOMEM;
}

static enum status join_labels(struct submit *s, struct diag *why)
{
    size_t n = 0;
    for (int i = 0; i < s->o->labels.n; i++) {
        const char *label = s->o->labels.items[i];
        if (!strchr(label, '=') || strchr(label, ','))
            return diag_set(why, ST_INVALID, "--label %s: expected NAME=VALUE without a comma", label);
        n += (size_t)snprintf(s->labels + n, sizeof s->labels - n, "%s%s", i ? "," : "", label);
        if (n >= sizeof s->labels)
            return diag_set(why, ST_LIMIT, "--label: over %d bytes together", LIMIT_NAME_BYTES);
    }
    return ST_OK;
}

/* A plan runs in this process, which reads what its user can where no `ferret up` says what its workers read. */
static const char *const anywhere_roots[] = {"local=/"};
static const struct setting_list anywhere = {anywhere_roots, 1};

static enum status find_roots(struct submit *s, struct diag *why)
{
    enum status status = up_file_roots(&s->o->link, &s->o->roots, &s->roots, why);
    bool none = status == ST_CLOSED || (status == ST_OK && media_roots_count(s->roots) == 0);
    if (s->o->plan.n == 0 || !none)
        return status;
    media_roots_free(s->roots);
    s->roots = NULL;
    s->anywhere = true;
    return media_roots_new(anywhere.items, anywhere.n, &s->roots, why);
}

static enum status prepare(struct submit *s, const char *const *paths, int n, struct diag *why)
{
    enum status status = task_flags_job(&s->o->task, &s->defaults, why);
    if (status == ST_OK)
        status = task_flags_check_paths(&s->o->task, paths, n, why);
    if (status == ST_OK)
        status = repeats_new(&s->repeats);
    if (status == ST_OK)
        status = find_roots(s, why);
    if (status == ST_OK)
        status = fetch_flags_resolve(&s->o->fetch, s->roots, &s->fetch, why);
    if (status == ST_OK)
        status = make_pin(s);
    if (status == ST_OK)
        status = set_queueing(s, why);
    if (status == ST_OK)
        status = join_labels(s, why);
    if (status != ST_OK)
        return status;
    remote_init(&s->remote, &s->fetch.options);
    s->read = (struct inputs_options){.paths = paths,
                                      .n_paths = n,
                                      .defaults = s->defaults,
                                      .uri = root_uri,
                                      .uri_ctx = s,
                                      .images = s->o->task.images.items,
                                      .n_images = s->o->task.images.n,
                                      .remote = &s->remote.inputs};
    status = inputs_open(&s->read, &s->inputs, why);
    if (status == ST_OK)
        status = inputs_identity(s->inputs, s->identity, why);
    if (status != ST_OK)
        return status;
    make_name(s, paths[0]);
    if (s->o->campaign && snprintf(s->campaign, sizeof s->campaign, "%s", s->o->campaign) >= (int)sizeof s->campaign)
        return diag_set(why, ST_INVALID, "--campaign: longer than %d bytes", LIMIT_NAME_BYTES);
    return ST_OK;
}

static enum status plan_paths(struct submit *s, uint64_t *failed, struct diag *why)
{
    const struct plan plan = {.o = &s->o->plan,
                              .program = "ferret submit",
                              .inputs = s->inputs,
                              .fetch = &s->fetch.options,
                              .fetch_flags = &s->o->fetch,
                              .link = &s->o->link,
                              .given_roots = s->anywhere ? &anywhere : &s->o->roots,
                              .title = s->campaign};
    return plan_run(&plan, failed, why);
}

static enum status submit_paths(struct submit *s, struct diag *why)
{
    struct campaign_status status = {.total = 0};
    enum status result = link_flags_open(&s->o->link, &s->client, why);
    if (result == ST_OK)
        result = open_campaign(s, &status, why);
    if (result == ST_OK)
        result = resume(s, &status, why);
    if (result == ST_OK) {
        if (!s->o->plan.json)
            puts(s->campaign);
        fflush(stdout);
        result = submit_all(s, why);
    }
    const struct submit_end end = {
        .campaign = s->campaign, .rejected = s->rejected, .total_before = status.total, .json = s->o->plan.json};
    if (result == ST_OK)
        result = submit_end_tell(&end, s->client, &s->lost, why);
    client_close(s->client);
    return result;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    struct submit s = {.o = options, .terminal = isatty(STDERR_FILENO)};
    uint64_t failed = 0;
    enum status status = prepare(&s, settings_args(settings), settings_n_args(settings), why);
    if (status == ST_OK)
        status = s.o->plan.n > 0 ? plan_paths(&s, &failed, why) : submit_paths(&s, why);
    inputs_close(s.inputs);
    remote_fini(&s.remote);
    repeats_free(s.repeats);
    media_roots_free(s.roots);
    job_free(s.defaults);
    if (status != ST_OK || s.o->plan.n > 0) {
        *exit_code = failed > 0 ? EXIT_ITEMS_FAILED : EXIT_OK;
        return status;
    }
    if (s.taken == 0 && !s.goes_on)
        fputs("ferret submit: no inputs: there is no file under what was named\n", stderr);
    if (s.rejected > 0)
        fprintf(stderr, "ferret submit: %llu inputs are no jobs and end as failed\n", (unsigned long long)s.rejected);
    *exit_code = s.rejected + s.lost > 0 ? EXIT_ITEMS_FAILED : EXIT_OK;
    return ST_OK;
}

int cmd_submit(int argc, char **argv)
{
    struct submit_options o = {0};
    const struct setting_group groups[] = {
        {.title = "campaign", .rows = submit_rows, .n_rows = sizeof submit_rows / sizeof *submit_rows},
        task_flags_group(offsetof(struct submit_options, task)),
        link_flags_group(offsetof(struct submit_options, link)),
        key_flags_group(offsetof(struct submit_options, link.keys)),
        fetch_flags_group(offsetof(struct submit_options, fetch)),
        plan_flags_group(offsetof(struct submit_options, plan)),
        plan_model_group(offsetof(struct submit_options, plan)),
    };
    const struct settings_program program = {
        .name = "ferret submit",
        .args = "PATH...",
        .summary = "Puts jobs into a campaign and prints its name. PATH: image files, addresses, folders,\n"
                   "globs, tar shards, buckets (s3://NAME/), lists of paths and addresses (.txt), manifests (.jsonl;\n"
                   "both also .gz, .zst), - for a manifest on stdin, or a file of COCO, LVIS, RefCOCO or Visual\n"
                   "Genome. Run again it goes on where it was.",
        .examples = "  ferret submit photos/\n"
                    "  ferret submit photos/ --task locate --phrase 'a red ball' --phrase 'a dog'\n"
                    "  ferret submit manifest.jsonl.zst --campaign winter\n"
                    "  ferret submit photos/ --plan 100 --hourly-cost 1.20 --plan-workers 8 -o sheet\n",
        .min_args = 1,
        .max_args = -1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
