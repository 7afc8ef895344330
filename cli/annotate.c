/* `ferret annotate`: the worker's pipeline over PATH arguments, in this process. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/remote.h"
#include "formats/read/inputs.h"
#include "formats/read/local_path.h"
#include "formats/read/repeats.h"
#include "formats/write/jsonl.h"
#include "media/fetch.h"
#include "observe/trace.h"
#include "worker/loading.h"
#include "worker/meters.h"
#include "worker/cache_flags.h"
#include "worker/feature_cache.h"
#include "worker/fetch_flags.h"
#include "worker/pipeline.h"

struct annotate_flags {
    struct task_flags task;
    struct model_flags model;
    const char *out;
    struct fetch_flags fetch;
    struct cache_flags cache;
    struct setting_list roots;
    const char *trace;
    uint8_t background[3]; /* RGB */
};

static const struct setting annotate_rows[] = {
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct annotate_flags, out),
     .fallback = "-",
     .value = "FILE",
     .help = "where records go, one a line; - is stdout",
     .letter = 'o'},
    {.name = "root",
     .type = SETTING_LIST,
     .offset = offsetof(struct annotate_flags, roots),
     .value = "NAME=DIR",
     .help = "the folders that files may lie in, which manifests may call NAME:path; without it anywhere"},
    {.name = "background",
     .type = SETTING_COLOUR,
     .offset = offsetof(struct annotate_flags, background),
     .fallback = "ffffff",
     .help = "behind transparent pixels"},
    {.name = "trace",
     .type = SETTING_STRING,
     .offset = offsetof(struct annotate_flags, trace),
     .value = "FILE",
     .help = "write what the stages did when as Chrome trace events, for Perfetto"},
};

enum { EXIT_OF_SIGNAL = 128 }; /* and the signal's number, as shells have it */

/* The signal, after SIGINT and SIGTERM: take no further input, finish what has begun. */
static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    interrupted = signal_number;
}

/* A second signal ends the program at once. */
static void watch_signals(void)
{
    struct sigaction stop = {.sa_handler = interrupt, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* Where records go; several threads of the pipeline write. */
struct output {
    pthread_mutex_t lock;
    struct jsonl *file;
    enum status status; /* of writing: the first that failed */
    struct diag why;
    /* each input taken is in one of these */
    long n_ok, n_partial, n_failed, n_not_begun, n_unwritten;
    long n_taken, n_again; /* of the feeding thread; again: the same job had come before */
};

static void write_record(struct output *o, const struct json *record)
{
    const char *status = jsn_string(jsn_get(record, "status"), "failed");
    char *text = record ? jsn_text(record) : NULL;
    pthread_mutex_lock(&o->lock);
    if (o->status == ST_OK)
        o->status = text ? jsonl_put(o->file, text, strlen(text), &o->why) : ST_NOMEM;
    if (o->status != ST_OK)
        o->n_unwritten++;
    else if (strcmp(status, "ok") == 0)
        o->n_ok++;
    else if (strcmp(status, "partial") == 0)
        o->n_partial++;
    else
        o->n_failed++;
    pthread_mutex_unlock(&o->lock);
    free(text);
}

static bool can_write(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    bool ok = o->status == ST_OK;
    pthread_mutex_unlock(&o->lock);
    return ok;
}

static void on_done(void *ctx, struct pipeline_done *done)
{
    struct output *o = ctx;
    if (done->handed_back && (interrupted || !can_write(o))) {
        pthread_mutex_lock(&o->lock);
        o->n_not_begun++;
        pthread_mutex_unlock(&o->lock);
    } else {
        if (done->handed_back)
            done->record =
                result_failure(done->job, ERROR_ENVIRONMENT, "device", "the engine was lost before it began");
        write_record(o, done->record);
    }
    jsn_free(done->record);
    job_free(done->job);
}

/* Everything that is open while images are annotated. */
struct session {
    struct job *defaults;
    struct engine_choice choice;
    struct media_roots *roots;
    bool anywhere; /* no root was named: all files of this machine are under one */
    struct fetch_choice fetch;
    struct remote remote;
    struct inputs *inputs;
    struct repeats *repeats;
    struct pipeline *pipeline;
    struct trace *trace;
    struct meters *meters;
    struct output output;
};

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

/* Without --root any file of this machine may be named, since whoever types the command may read it; links are followed
 * here, where they may lead anywhere. The id stays the name that was given: two links to one file are two inputs. */
static enum status follow_links(struct job *job)
{
    char *file = job->image[0] == '/' ? realpath(job->image, NULL) : NULL;
    char *text = NULL;
    if (!file)
        return ST_OK; /* another URI, or a file that is not there, which the fetch will say */
    enum status s = path_as_text(file, &text);
    free(file);
    if (s != ST_OK)
        return s;
    free(job->image);
    job->image = text;
    return ST_OK;
}

static void write_failure(struct output *o, const struct input *input)
{
    struct json *record = result_failure(input->job, input->error_class, input->error, input->message);
    write_record(o, record);
    jsn_free(record);
}

/* An input whose id has a record already. With the same job nothing is left to do; another job fails under the name of
 * its place, or without a record where it has none. */
static void end_repeat(struct output *o, struct input *input, enum repeat repeat, char *place)
{
    if (repeat == REPEAT_SAME) {
        o->n_again++;
        return;
    }
    if (place) {
        free(input->job->key);
        input->job->key = place;
        write_failure(o, input);
        return;
    }
    fprintf(stderr, "ferret annotate: %s: %s\n", input->error, input->message);
    pthread_mutex_lock(&o->lock);
    o->n_failed++;
    pthread_mutex_unlock(&o->lock);
}

static enum status feed_one(struct session *s, struct input *input, struct diag *why)
{
    enum repeat repeat = REPEAT_NONE;
    char *place = NULL;
    enum status st = repeats_add(s->repeats, input, &repeat, &place, why);
    if (st == ST_OK || st == ST_LIMIT) /* no queue here: a job may be longer, and is not compared */
        st = input->error || !s->anywhere ? ST_OK : follow_links(input->job);
    if (st != ST_OK)
        return st;
    s->output.n_taken++;
    if (repeat != REPEAT_NONE) {
        end_repeat(&s->output, input, repeat, place);
        return ST_OK;
    }
    if (input->error) {
        write_failure(&s->output, input);
        return ST_OK;
    }
    st = pipeline_put(s->pipeline, input->job, NULL, true, why);
    input->job = NULL;
    if (st != ST_OK)
        s->output.n_taken--;
    return st;
}

static enum status feed(struct session *s, struct diag *why)
{
    while (!interrupted && can_write(&s->output)) {
        struct input input = {0};
        enum status st = inputs_next(s->inputs, &input, why);
        if (st != ST_OK)
            return st == ST_CLOSED ? ST_OK : st;
        st = feed_one(s, &input, why);
        input_fini(&input);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum status open_roots(struct session *s, const struct setting_list *given, struct diag *why)
{
    static const char *const all[] = {"local=/"};
    s->anywhere = given->n == 0;
    return s->anywhere ? media_roots_new(all, 1, &s->roots, why)
                       : media_roots_new(given->items, given->n, &s->roots, why);
}

/* A path is its own URI, where it lies under a root: so it is told by its place in a manifest, and no shard elsewhere
 * is looked into. */
static enum status path_under_root(void *ctx, const char *path, char **uri, struct diag *why)
{
    char *named = NULL;
    enum status s = media_roots_uri(ctx, path, &named, why);
    free(named);
    if (s != ST_OK)
        return s;
    return (*uri = strdup(path)) ? ST_OK : ST_NOMEM;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static enum status open_session(struct session *s, const struct annotate_flags *f, const struct settings *settings,
                                struct diag *why)
{
    enum status st = task_flags_job(&f->task, &s->defaults, why);
    const char *const *paths = settings_args(settings);
    if (st == ST_OK)
        st = model_flags_resolve(&f->model, &s->choice, why);
    if (st == ST_OK)
        st = open_roots(s, &f->roots, why);
    if (st == ST_OK)
        st = fetch_flags_resolve(&f->fetch, s->roots, &s->fetch, why);
    if (st == ST_OK)
        st = task_flags_check_paths(&f->task, paths, settings_n_args(settings), why);
    remote_init(&s->remote, &s->fetch.options);
    struct inputs_options in = {.paths = paths,
                                .n_paths = settings_n_args(settings),
                                .defaults = s->defaults,
                                .uri = path_under_root,
                                .uri_ctx = s->roots,
                                .images = f->task.images.items,
                                .n_images = f->task.images.n,
                                .remote = &s->remote.inputs};
    if (st == ST_OK)
        st = inputs_open(&in, &s->inputs, why);
    if (st == ST_OK)
        st = repeats_new(&s->repeats);
    if (st == ST_OK && f->trace)
        st = trace_open(f->trace, "ferret annotate", &s->trace, why);
    if (st == ST_OK && f->trace)
        st = meters_new(NULL, s->trace, &s->meters);
    if (st == ST_OK)
        fputs(s->choice.notice, stderr);
    struct engine_options engine = s->choice.options;
    struct loading loading = {.log = NULL};
    engine.stop = &interrupted;
    engine.on_progress = loading_progress;
    engine.progress_ctx = &loading; /* the load is over when the pipeline is open */
    struct pipeline_options options = {
        .engine = engine, .fetch = s->fetch.options, .background = f->background, .meters = s->meters};
    cache_flags_apply(&f->cache, &options);
    if (st == ST_OK)
        st = pipeline_open(&options, on_done, &s->output, &s->pipeline, why);
    if (st == ST_OK && strcmp(s->choice.device, "cpu") != 0)
        loading_account(NULL, pipeline_engine(s->pipeline));
    return st == ST_OK ? jsonl_open(f->out, false, &s->output.file, why) : st;
}

static void close_session(struct session *s)
{
    pipeline_close(s->pipeline);
    meters_free(s->meters);
    struct diag why = {""};
    if (trace_close(s->trace, &why) != ST_OK)
        fprintf(stderr, "ferret annotate: %s\n", why.text);
    inputs_close(s->inputs);
    remote_fini(&s->remote);
    repeats_free(s->repeats);
    media_roots_free(s->roots);
    engine_choice_fini(&s->choice);
    job_free(s->defaults);
    jsonl_close(s->output.file);
}

static void tell_kept(const struct session *s)
{
    struct feature_cache_stats c;
    pipeline_cache_stats(s->pipeline, &c);
    if (c.hits + c.misses > 0)
        fprintf(stderr, "features: %llu images were kept, %llu were not; %llu were not read again\n",
                (unsigned long long)c.hits, (unsigned long long)c.misses, (unsigned long long)c.unread);
}

static enum status annotate(struct session *s, struct diag *why)
{
    struct output *o = &s->output;
    enum status st = feed(s, why);
    pipeline_drain(s->pipeline, interrupted || !can_write(o));
    if (st == ST_OK && o->status != ST_OK)
        st = diag_set(why, o->status, "%s", o->why.text);
    if (st == ST_OK)
        st = jsonl_sync(o->file, why);
    tell_kept(s);
    fprintf(stderr, "%ld ok, %ld partial, %ld failed", o->n_ok, o->n_partial, o->n_failed);
    if (o->n_again > 0)
        fprintf(stderr, ", %ld the same again", o->n_again);
    if (o->n_unwritten > 0)
        fprintf(stderr, ", %ld not written", o->n_unwritten);
    if (o->n_not_begun > 0)
        fprintf(stderr, ", %ld not begun", o->n_not_begun);
    if (interrupted || st != ST_OK)
        fprintf(stderr, " of %ld inputs taken%s", o->n_taken, interrupted ? " (interrupted)" : "");
    fputc('\n', stderr);
    if (st == ST_OK && o->n_taken == 0 && !interrupted)
        fputs("ferret annotate: no inputs: there is no file under what was named\n", stderr);
    return st;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    struct session s = {.output = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    watch_signals();
    enum status st = open_session(&s, options, settings, why);
    if (st == ST_OK)
        st = annotate(&s, why);
    if (interrupted)
        *exit_code = EXIT_OF_SIGNAL + interrupted;
    else if (s.output.n_failed + s.output.n_partial + s.output.n_not_begun > 0)
        *exit_code = EXIT_ITEMS_FAILED;
    close_session(&s);
    return interrupted && st == ST_CANCELLED ? ST_OK : st; /* the load heard it */
}

int cmd_annotate(int argc, char **argv)
{
    struct annotate_flags f = {0};
    const struct setting_group groups[] = {
        {.title = "output", .rows = annotate_rows, .n_rows = sizeof annotate_rows / sizeof *annotate_rows},
        task_flags_group(offsetof(struct annotate_flags, task)),
        model_flags_group(offsetof(struct annotate_flags, model)),
        fetch_flags_group(offsetof(struct annotate_flags, fetch)),
        cache_flags_group(offsetof(struct annotate_flags, cache)),
    };
    const struct settings_program program = {
        .name = "ferret annotate",
        .args = "PATH...",
        .summary =
            "Annotates images in this process and writes one JSON record a line, as they end. A PATH is an\n"
            "image, an address (https:, s3:), a folder, a glob, a tar shard, a bucket (s3://NAME/), a list of\n"
            "paths and addresses (.txt), a manifest (.jsonl; both also .gz, .zst), - for one on stdin, or a file\n"
            "of COCO, LVIS, RefCOCO or Visual Genome.",
        .examples = "  ferret annotate photos/ -o captions.jsonl\n"
                    "  ferret annotate a.jpg --task locate --phrase 'red ball' --phrase dog\n"
                    "  ferret annotate a.jpg --task describe --box 10,20,200,180\n"
                    "  ferret annotate a.jpg --task ask --point 50,60 --question 'What is at {region0}?'\n"
                    "  zcat jobs.jsonl.gz | ferret annotate - | jq -r .tasks[].text\n",
        .min_args = 1,
        .max_args = -1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &f, run);
}
