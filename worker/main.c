/* ferret-worker: one process a device. Takes jobs from a broker, runs fetch -> decode -> engine, writes the results. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "base/settings.h"
#include "base/version.h"
#include "media/fetch.h"
#include "protocol/campaign.h"
#include "protocol/key_file.h"
#include "protocol/paths.h"
#include "protocol/redis_login.h"
#include "worker/cache_flags.h"
#include "worker/fetch_flags.h"
#include "worker/loading.h"
#include "worker/model_flags.h"
#include "worker/pipeline.h"
#include "worker/session.h"
#include "worker/view.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

struct worker_flags {
    const char *data, *broker;
    struct setting_list roots;
    int64_t credit, drain_ms, dedup;
    bool verbose;
    const char *trace;
    uint8_t background[3];
    struct key_flags keys;
    struct redis_flags login;
    struct service_flags service;
    struct log_flags log;
    struct model_flags model;
    struct fetch_flags fetch;
    struct cache_flags cache;
};

#define ROW(field, flag, kind, def, ...)                                                                               \
    {                                                                                                                  \
        .name = flag, .type = kind, .offset = offsetof(struct worker_flags, field), .fallback = def, __VA_ARGS__       \
    }
static const struct setting rows[] = {
    ROW(data, "data", SETTING_STRING, NULL, .value = "DIR", .help = "folder of a local `ferret up`, for its sockets"),
    ROW(broker, "broker", SETTING_STRING, NULL, .value = "URL",
        .help = "brokers' addresses for workers, e.g. tcp://a:7412,tcp://b:7412; default: the socket in DIR"),
    ROW(roots, "root", SETTING_LIST, NULL, .value = "NAME=DIR",
        .help = "a folder that images are read from, for NAME:path"),
    ROW(credit, "credit", SETTING_INT, "32", .min = 1, .max = LIMIT_HELD_JOBS, .value = "N",
        .help = "images in flight at most, fetching and decoding included"),
    ROW(drain_ms, "drain-ms", SETTING_INT, "25000", .min = 0, .max = 86400000, .value = "MS",
        .help = "grace of a stop: what is unfinished then goes back to the queue"),
    ROW(dedup, "dedup", SETTING_INT, "0", .min = 0, .max = 10000000, .value = "N",
        .help = "results that the queue keeps to copy between images with the same bytes and questions, within a "
                "tenant; 0: none are copied"),
    ROW(background, "background", SETTING_COLOUR, "ffffff", .help = "behind transparent pixels"),
    ROW(trace, "trace", SETTING_STRING, NULL, .value = "FILE",
        .help = "write what the stages did when as Chrome trace events, for Perfetto"),
    ROW(verbose, "verbose", SETTING_BOOL, NULL, .help = "log more"),
};

/* ---- the engine, as a session sees it ---------------------------------------------------------------------------- */

struct worker {
    struct pipeline *pipeline;
    struct session *session; /* set before the first job comes */
    struct view *view;
    struct twins *twins; /* NULL: no results are copied */
    const struct log *log;
};

static enum status start(void *ctx, struct job *job, struct flight *flight, struct diag *why)
{
    struct worker *w = ctx;
    return pipeline_put(w->pipeline, job, flight, false, why); /* the first queue holds a whole credit */
}

static void cancel(void *ctx, struct flight *flight)
{
    struct worker *w = ctx;
    pipeline_cancel(w->pipeline, flight);
}

static void drain(void *ctx)
{
    struct worker *w = ctx;
    pipeline_drain(w->pipeline, true);
}

static enum status state(void *ctx, struct diag *why)
{
    struct worker *w = ctx;
    return pipeline_state(w->pipeline, why);
}

static void on_start(void *ctx, void *job_ctx)
{
    struct worker *w = ctx;
    session_started(w->session, job_ctx);
}

static enum status on_load(void *ctx, struct diag *why)
{
    struct worker *w = ctx;
    return view_listen(w->view, why);
}

static void turned(void *ctx, bool welcomed)
{
    struct worker *w = ctx;
    view_turn(w->view, welcomed);
}

/* A failure of this machine's is for its operator; one of a file is in its record. */
static void log_failure(const struct worker *w, const struct pipeline_done *done)
{
    uint8_t id[ID_BYTES];
    char hex[2 * ID_BYTES + 1];
    job_id(done->job, id);
    job_id_hex(id, hex);
    const char *why = jsn_string(jsn_get(jsn_get(done->record, "error"), "message"), "");
    if (done->error_class == ERROR_PERMANENT)
        log_about(w->log, LOG_INFO, done->job->campaign, hex, "failed: %s: %s", done->error_code, why);
    else
        log_about(w->log, LOG_WARN, done->job->campaign, hex, "failed here: %s: %s", done->error_code, why);
}

static void on_done(void *ctx, struct pipeline_done *done)
{
    struct worker *w = ctx;
    if (done->failed && done->job)
        log_failure(w, done);
    struct session_end end = {.handed_back = done->handed_back,
                              .failed = done->failed,
                              .error_class = done->error_class,
                              .record = done->record ? jsn_text(done->record) : NULL};
    if (done->twin)
        end.twin = *done->twin;
    session_finished(w->session, done->job_ctx, &end);
    jsn_free(done->record);
    job_free(done->job);
}

/* ---- program ----------------------------------------------------------------------------------------------------- */

/* *out is --broker, or the sockets in --data, written to buffer (PATHS_LIST_BYTES). */
static enum status find_broker(const struct worker_flags *f, char *buffer, const char **out, struct diag *why)
{
    int there;
    *out = f->broker ? f->broker : buffer;
    if (!f->broker && !f->data)
        return diag_set(why, ST_INVALID, "--broker or --data is needed");
    return f->broker ? ST_OK : paths_workers(f->data, buffer, &there, why);
}

static void make_label(char *out, size_t size, const char *device)
{
    enum { HOST_BYTES = 65 };
    char host[HOST_BYTES] = "host";
    (void)gethostname(host, sizeof host - 1);
    snprintf(out, size, "%s %d %s", host, (int)getpid(), device);
}

static enum status open_pipeline(const struct worker_flags *f, const struct engine_choice *choice,
                                 struct media_roots **roots, struct fetch_choice *fetch, struct worker *w,
                                 struct diag *why)
{
    enum status s = media_roots_new(f->roots.items, f->roots.n, roots, why);
    if (s == ST_OK)
        s = fetch_flags_resolve(&f->fetch, *roots, fetch, why);
    if (s != ST_OK)
        return s;
    struct engine_options engine = choice->options;
    struct loading loading = {.log = w->log};
    engine.stop = &stop;
    engine.on_progress = loading_progress;
    engine.progress_ctx = &loading; /* the load is over when the pipeline is open */
    struct pipeline_options o = {.engine = engine,
                                 .queue_images = (int)f->credit,
                                 .fetch = fetch->options,
                                 .background = f->background,
                                 .twins = w->twins,
                                 .meters = view_meters(w->view),
                                 .on_load = on_load,
                                 .on_start = on_start};
    cache_flags_apply(&f->cache, &o);
    return pipeline_open(&o, on_done, w, &w->pipeline, why);
}

/* What an answer depends on beside the job and the bytes. */
static enum status name_maker(const struct worker_flags *f, struct worker *w, const char *class_name)
{
    char maker[CLASS_BYTES + LIMIT_NAME_BYTES];
    snprintf(maker, sizeof maker, "%s %s %02x%02x%02x %d", class_name, FERRETRY_VERSION, f->background[0],
             f->background[1], f->background[2], engine_caps(pipeline_engine(w->pipeline))->invariant);
    return twins_set_maker(w->twins, maker);
}

static enum status run_session(const struct worker_flags *f, struct worker *w, const char *broker,
                               const struct link_keys *keys, const struct store_login *login, const char *dtype,
                               struct diag *why)
{
    const struct log *log = w->log;
    char class_name[CLASS_BYTES + 1], label[LIMIT_NAME_BYTES + 1];
    const struct engine *engine = pipeline_engine(w->pipeline);
    loading_account(log, engine);
    snprintf(class_name, sizeof class_name, "%s/%s", engine_model_hash(engine), dtype);
    make_label(label, sizeof label, engine_caps(engine)->device);
    view_loaded(w->view, class_name, engine_caps(engine)->device);
    struct session_options o = {.broker = broker,
                                .keys = keys,
                                .insecure = f->keys.insecure,
                                .login = login,
                                .class_name = class_name,
                                .tasks = "caption,describe,locate,ask",
                                .label = label,
                                .context = engine_config(engine)->decoder.max_positions,
                                .credit = (int)f->credit,
                                .drain_ms = (int)f->drain_ms,
                                .twins = w->twins,
                                .meters = view_meters(w->view),
                                .log = log};
    struct session_engine e = {
        .ctx = w, .start = start, .cancel = cancel, .drain = drain, .turned = turned, .state = state};
    enum status s = w->twins ? name_maker(f, w, class_name) : ST_OK;
    if (s == ST_OK)
        s = session_open(&o, &e, &w->session, why);
    if (s != ST_OK)
        return s;
    log_line(log, LOG_INFO, "class %.12s.../%s on %s; broker %s", class_name, dtype, engine_caps(engine)->device,
             broker);
    s = session_run(w->session, &stop, why);
    if (s == ST_TIMEOUT) { /* the grace is over and the engine is still computing: nobody waits for it */
        log_line(log, LOG_WARN, "%s; it went back to the queue", why->text);
        _exit(EXIT_OK);
    }
    return s;
}

static enum status work(const struct worker_flags *f, const struct log *log, struct diag *why)
{
    char buffer[PATHS_LIST_BYTES];
    const char *broker;
    struct key_ring ring;
    struct redis_login login;
    struct engine_choice choice = {.notice = NULL};
    struct media_roots *roots = NULL;
    struct fetch_choice fetch;
    struct worker w = {.log = log};
    enum status s = find_broker(f, buffer, &broker, why);
    if (s == ST_OK)
        s = key_flags_load(&f->keys, &ring, why);
    if (s == ST_OK)
        s = redis_flags_load(&f->login, f->login.user == NULL, &login, why);
    if (s == ST_OK)
        s = view_open(&f->service, f->trace, log, &w.view, why);
    if (s == ST_OK)
        s = model_flags_resolve(&f->model, &choice, why);
    if (s == ST_OK && choice.notice)
        fputs(choice.notice, stderr);
    if (s == ST_OK && f->dedup)
        s = twins_new(f->dedup, TWINS_WAIT_MS, &w.twins);
    if (s == ST_OK)
        s = open_pipeline(f, &choice, &roots, &fetch, &w, why);
    if (s == ST_OK)
        s = run_session(f, &w, broker, ring.use, login.use, dtype_name(choice.options.backend.dtype), why);
    pipeline_close(w.pipeline);
    session_close(w.session);
    twins_free(w.twins);
    view_close(w.view);
    media_roots_free(roots);
    engine_choice_fini(&choice);
    if (s == ST_CANCELLED && stop) { /* before it was ready: nothing was owned */
        log_line(log, LOG_INFO, "%s", why->text);
        return ST_OK;
    }
    return s;
}

int main(int argc, char **argv)
{
    const struct setting_group groups[] = {
        {.title = "worker", .rows = rows, .n_rows = sizeof rows / sizeof rows[0]},
        service_flags_group(offsetof(struct worker_flags, service)),
        log_flags_group(offsetof(struct worker_flags, log)),
        key_flags_group(offsetof(struct worker_flags, keys)),
        redis_flags_group(offsetof(struct worker_flags, login)),
        model_flags_group(offsetof(struct worker_flags, model)),
        fetch_flags_group(offsetof(struct worker_flags, fetch)),
        cache_flags_group(offsetof(struct worker_flags, cache)),
    };
    const struct settings_program program = {
        .name = "ferret-worker",
        .args = "",
        .summary = "Runs the model over jobs from a broker; one process a device.",
        .examples =
            "  ferret-worker --data /var/lib/ferretry --root photos=/srv/photos\n"
            "  ferret-worker --broker tcp://queue.example:7412 --key-file worker.key --device cuda:0 --dtype f16\n",
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    struct worker_flags f = {0};
    struct settings *settings;
    int code;
    program_catch_stops(on_signal);
    if (!settings_start(&program, argc, argv, &f, &settings, &code))
        return program_end("ferret-worker", code);
    struct log log = {.component = "worker",
                      .level = f.verbose ? LOG_DEBUG : (enum log_level)f.log.level,
                      .form = (enum log_form)f.log.form};
    if (log_limits_new(&log.limits) != ST_OK)
        log.limits = NULL; /* it logs without them */
    struct diag why = {.text = ""};
    enum status s = work(&f, &log, &why);
    if (s != ST_OK)
        log_line(&log, LOG_ERROR, "%s", why.text[0] ? why.text : status_word(s));
    log_limits_free(log.limits);
    settings_free(settings);
    return program_exit_code(s);
}
