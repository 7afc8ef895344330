/* `ferret up`: one machine's worth in the foreground. Starts Redis, then brokers, then workers; restarts what ends;
 * stops in the opposite order, so that work in progress is finished and kept. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/children.h"
#include "cli/commands.h"
#include "cli/crew.h"
#include "cli/private_redis.h"
#include "cli/up_brokers.h"
#include "cli/up_file.h"
#include "cli/up_http.h"
#include "worker/cache_flags.h"
#include "worker/fetch_flags.h"

enum {
    MAX_WORKERS = 256,
    TICK_MS = 100,
    START_LIMIT_MS = 60000,
    REDIS_LOAD_LIMIT_MS = 3600000, /* a long append-only file is read at start */
    BROKER_GRACE_MS = 15000,
    WORKER_SLACK_MS = 5000, /* a worker hands back by itself at the end of its grace */
    REDIS_GRACE_MS = 60000,
    FETCH_ARGS = 64,
    GIVE_UP_AFTER = 3, /* ends in a row before the first worker has ever been ready */
};

struct up_options {
    const char *data;
    int64_t workers, brokers, redis_memory, dedup;
    const char *redis_server;
    double grace_s;
    uint8_t background[3];
    struct setting_list roots;
    struct service_flags service;
    struct log_flags log;
    struct model_flags model;
    struct fetch_flags fetch; /* read by the workers */
    struct cache_flags cache; /* likewise */
};

struct up {
    const struct up_options *o;
    char data[PATHS_BYTES];
    char broker_program[PATH_MAX], worker_program[PATH_MAX];
    int lock_fd;
    struct engine_choice choice;
    char **fetch_flags; /* for the workers */
    int n_fetch_flags;
    int n_workers;      /* --workers a device */
    char (*device)[48]; /* of each worker */
    char dtype[16], memory[32], threads[16], isa[16], drain_ms[32], background[8], cache_bytes[32], dedup[32];
    struct up_http http;
    char (*worker_http)[UP_HTTP_ADDRESS]; /* one a worker */
    struct private_redis redis;
    struct children children;
    struct up_brokers brokers;
    struct child *workers; /* n_workers of them in a row */
    int stop_signal;
};

static struct setting_group up_group(void)
{
    static const struct setting rows[] = {
        {.name = "data",
         .type = SETTING_STRING,
         .offset = offsetof(struct up_options, data),
         .fallback = DEFAULT_DATA_DIR,
         .value = "DIR",
         .help = "sockets and Redis' append-only file; the other commands find this broker by it"},
        {.name = "workers",
         .type = SETTING_INT,
         .offset = offsetof(struct up_options, workers),
         .fallback = "1",
         .min = 1,
         .max = MAX_WORKERS,
         .help = "worker processes; they share --memory and the cores"},
        {.name = "brokers",
         .type = SETTING_INT,
         .offset = offsetof(struct up_options, brokers),
         .fallback = "1",
         .min = 1,
         .max = PATHS_BROKERS,
         .help = "broker processes; while one is away its clients and workers go on with another"},
        {.name = "root",
         .type = SETTING_LIST,
         .offset = offsetof(struct up_options, roots),
         .fallback = "local=/",
         .value = "NAME=DIR",
         .help = "a folder that workers may read images from, and the status page pictures"},
        {.name = "redis-memory",
         .type = SETTING_BYTES,
         .offset = offsetof(struct up_options, redis_memory),
         .fallback = "1GiB",
         .min = 16 << 20,
         .max = 1e15,
         .help = "most that Redis may use; a full one refuses new jobs and loses none"},
        {.name = "redis-server",
         .type = SETTING_STRING,
         .offset = offsetof(struct up_options, redis_server),
         .fallback = "redis-server",
         .value = "PROGRAM",
         .help = "the Redis to run"},
        {.name = "grace",
         .type = SETTING_SECONDS,
         .offset = offsetof(struct up_options, grace_s),
         .fallback = "60",
         .min = 0,
         .max = 86400,
         .help = "how long workers may finish what they have begun when told to stop"},
        {.name = "dedup",
         .type = SETTING_INT,
         .offset = offsetof(struct up_options, dedup),
         .fallback = "0",
         .min = 0,
         .max = 10000000,
         .value = "N",
         .help = "results that the queue keeps to copy between images with the same bytes and questions, within a "
                 "tenant; 0: none are copied"},
        {.name = "background",
         .type = SETTING_COLOUR,
         .offset = offsetof(struct up_options, background),
         .fallback = "ffffff",
         .help = "behind transparent pixels"},
    };
    return (struct setting_group){.title = "service", .rows = rows, .n_rows = sizeof rows / sizeof *rows};
}

/* --http means the broker's here, and has a default. */
static struct setting_group up_service_group(void)
{
    static const struct setting rows[] = {
        {.name = "http",
         .type = SETTING_STRING,
         .offset = offsetof(struct up_options, service.http),
         .value = "ADDR|off",
         .help = "where the status page is shown, the metrics of other brokers and of workers at the ports behind it; "
                 "default: " UP_HTTP_DEFAULT ", or the next free ports"},
        {.name = "http-token",
         .type = SETTING_STRING,
         .offset = offsetof(struct up_options, service.token),
         .value = "TOKEN",
         .help = "who looks must bring it; default: a random one, kept in DIR/http.token",
         .secret = true},
    };
    return (struct setting_group){.title = "looking at it", .rows = rows, .n_rows = sizeof rows / sizeof *rows};
}

/* ---- before anything starts ------------------------------------------------------------------------------------- */

static enum status prepare_data(struct up *u, struct diag *why)
{
    const char *dir = u->o->data;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return diag_set(why, ST_IO, "%s: %s", dir, strerror(errno));
    char *full = realpath(dir, NULL);
    if (!full)
        return diag_set(why, ST_IO, "%s: %s", dir, strerror(errno));
    int n = snprintf(u->data, sizeof u->data, "%s", full);
    free(full);
    if (n >= (int)sizeof u->data)
        return diag_set(why, ST_LIMIT, "%s: path too long", dir);
    char path[PATHS_BYTES + 8];
    snprintf(path, sizeof path, "%s/lock", u->data);
    u->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (u->lock_fd < 0)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    if (flock(u->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return diag_set(why, ST_REFUSED, "%s: another `ferret up` is running on this folder", u->data);
    return ST_OK;
}

/* The other programs stand beside this one. */
static enum status find_programs(struct up *u, struct diag *why)
{
    char self[PATH_MAX - 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return diag_set(why, ST_MISSING, "/proc/self/exe does not say where this program is");
    self[n] = 0;
    *strrchr(self, '/') = 0;
    snprintf(u->broker_program, sizeof u->broker_program, "%s/ferret-broker", self);
    snprintf(u->worker_program, sizeof u->worker_program, "%s/ferret-worker", self);
    const char *const programs[] = {u->broker_program, u->worker_program};
    for (int i = 0; i < 2; i++) {
        if (access(programs[i], X_OK) != 0)
            return diag_set(why, ST_MISSING, "%s: %s", programs[i], strerror(errno));
    }
    return ST_OK;
}

/* What may be read is said behind the n arguments that there are. */
static enum status add_roots(const struct up *u, struct child *child, int n, struct diag *why)
{
    if (u->o->roots.n > (CHILD_ARGS - 1 - n) / 2)
        return diag_set(why, ST_LIMIT, "%d times --root, at most %d", u->o->roots.n, (CHILD_ARGS - 1 - n) / 2);
    for (int i = 0; i < u->o->roots.n; i++) {
        child->argv[n++] = "--root";
        child->argv[n++] = u->o->roots.items[i];
    }
    return ST_OK;
}

/* With cuda:all each device has its --workers. */
static enum status place_workers(struct up *u, struct diag *why)
{
    int n = (int)u->o->workers * u->choice.devices;
    if (n > MAX_WORKERS)
        return diag_set(why, ST_LIMIT, "%d workers on %d devices, at most %d in all", (int)u->o->workers,
                        u->choice.devices, MAX_WORKERS);
    u->n_workers = n;
    u->device = calloc((size_t)n, sizeof *u->device);
    if (!u->device)
        return ST_NOMEM;
    int kind = (int)strcspn(u->choice.device, ":");
    for (int i = 0; i < n; i++) {
        if (u->choice.devices == 1)
            snprintf(u->device[i], sizeof *u->device, "%s", u->choice.device);
        else
            snprintf(u->device[i], sizeof *u->device, "%.*s:%d", kind, u->choice.device, i % u->choice.devices);
    }
    return ST_OK;
}

/* A device's memory is shared by its workers, the machine's cores by all. */
static void worker_values(struct up *u)
{
    static const char *const isas[] = {"auto", "scalar", "avx2", "avx512"};
    const struct up_options *o = u->o;
    const struct backend_options *backend = &u->choice.options.backend;
    snprintf(u->dtype, sizeof u->dtype, "%s", dtype_name(backend->dtype));
    snprintf(u->memory, sizeof u->memory, "%lld", (long long)(backend->memory_bytes / (size_t)o->workers));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long threads = o->model.threads ? o->model.threads : u->n_workers == 1 ? 0 : cores / u->n_workers;
    snprintf(u->threads, sizeof u->threads, "%ld", u->n_workers > 1 && threads < 1 ? 1 : threads);
    snprintf(u->isa, sizeof u->isa, "%s", isas[o->model.isa]);
    snprintf(u->background, sizeof u->background, "%02x%02x%02x", o->background[0], o->background[1], o->background[2]);
    snprintf(u->dedup, sizeof u->dedup, "%lld", (long long)o->dedup);
    snprintf(u->cache_bytes, sizeof u->cache_bytes, "%lld", (long long)o->cache.bytes);
    snprintf(u->drain_ms, sizeof u->drain_ms, "%.0f", o->grace_s * 1000);
}

static enum status add_worker(struct up *u, int index, struct diag *why)
{
    char name[32];
    snprintf(name, sizeof name, "worker-%d", index);
    struct child *child = children_add(&u->children, name);
    child->catches_stops = true;
    /* Addresses are said outright: a variable that means another broker must not get through. */
    const char *cache = u->o->cache.dir;
    const char *pairs[][2] = {
        {"--feature-cache", cache},
        {"--feature-cache-bytes", cache ? u->cache_bytes : NULL},
        {"--feature-cache-type", !cache                             ? NULL
                                 : u->o->cache.type == FEATURES_F16 ? "f16"
                                                                    : "f32"},
        {"--broker", u->brokers.to_workers},
        {"--drain-ms", u->drain_ms},
        {"--model", u->choice.model_dir},
        {"--vision-tower", u->o->model.vision_tower},
        {"--base", u->o->model.base},
        {"--dtype", u->dtype},
        {"--device", u->device[index]},
        {"--memory", u->memory},
        {"--threads", u->threads},
        {"--isa", u->isa},
        {"--background", u->background},
        {"--dedup", u->dedup},
        {"--http", u->http.is_off ? NULL : u->worker_http[index]},
    };
    int n = 0;
    child->argv[n++] = u->worker_program;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!pairs[i][1])
            continue;
        child->argv[n++] = pairs[i][0];
        child->argv[n++] = pairs[i][1];
    }
    if (u->o->model.fast)
        child->argv[n++] = "--fast";
    if (u->n_fetch_flags > FETCH_ARGS)
        return diag_set(why, ST_LIMIT, "%d settings of fetching, at most %d", u->n_fetch_flags, FETCH_ARGS);
    for (int i = 0; i < u->n_fetch_flags; i++)
        child->argv[n++] = u->fetch_flags[i];
    return add_roots(u, child, n, why);
}

/* What holds for this command's log holds for its children's. */
static enum status pass_log(const struct log_flags *f)
{
    static const char *const forms[] = {"text", "json"}, *const levels[] = {"error", "warn", "info", "debug"};
    bool ok = setenv("FERRET_LOG", forms[f->form], 1) == 0 && setenv("FERRET_LOG_LEVEL", levels[f->level], 1) == 0;
    return ok ? ST_OK : ST_NOMEM;
}

/* The token travels in the environment: others can read command lines. */
static enum status prepare_http(struct up *u, struct diag *why)
{
    int workers = u->n_workers, brokers = (int)u->o->brokers;
    u->worker_http = calloc((size_t)workers, sizeof *u->worker_http);
    if (!u->worker_http)
        return ST_NOMEM;
    enum status s = up_http_prepare(&u->o->service, u->data, brokers + workers, &u->http, why);
    if (s != ST_OK || u->http.is_off)
        return s;
    for (int i = 0; i < workers; i++)
        up_http_address(&u->http, brokers + i, u->worker_http[i]);
    return setenv("FERRET_HTTP_TOKEN", u->http.token, 1) == 0 ? ST_OK : ST_NOMEM;
}

static enum status add_brokers(struct up *u, struct diag *why)
{
    int n_args;
    enum status s = ST_OK;
    up_brokers_add(&u->brokers, &u->children, u->broker_program, u->redis.socket, &u->http, &n_args);
    for (int i = 0; s == ST_OK && i < u->brokers.n; i++) {
        u->brokers.children[i].keep_fd = u->redis.lock_fd; /* its sockets are in the folder too */
        if (!u->http.is_off)
            s = add_roots(u, &u->brokers.children[i], n_args, why); /* its pages show pictures */
    }
    return s;
}

static enum status prepare(struct up *u, struct diag *why)
{
    enum status s = children_init(&u->children, why); /* from here on a stop waits until it can be done in order */
    if (s == ST_OK)
        s = find_programs(u, why);
    if (s == ST_OK)
        s = model_flags_resolve(&u->o->model, &u->choice, why);
    if (s == ST_OK)
        s = place_workers(u, why);
    if (s == ST_OK)
        s = prepare_data(u, why);
    if (s == ST_OK)
        s = up_file_write(u->data, &u->o->roots, why);
    if (s != ST_OK)
        return s;
    fputs(u->choice.notice, stderr);
    struct child *redis = children_add(&u->children, "redis");
    s = pass_log(&u->o->log);
    if (s == ST_OK)
        s = prepare_http(u, why);
    if (s == ST_OK)
        s = private_redis_prepare(u->data, u->o->redis_server, u->o->redis_memory, &u->redis, redis, why);
    if (s == ST_OK)
        s = up_brokers_prepare(&u->brokers, (int)u->o->brokers, u->data, why);
    if (s != ST_OK)
        return s;
    s = add_brokers(u, why);
    worker_values(u);
    u->workers = &u->children.list[u->children.n];
    for (int i = 0; s == ST_OK && i < u->n_workers; i++)
        s = add_worker(u, i, why);
    return s;
}

/* ---- starting --------------------------------------------------------------------------------------------------- */

/* Waits a tick; false when it is time to stop. */
static bool tick(struct up *u)
{
    u->stop_signal = children_wait(&u->children, TICK_MS);
    return u->stop_signal == 0;
}

static enum status start_redis(struct up *u, struct diag *why)
{
    struct child *redis = &u->children.list[0];
    enum status s = child_start(&u->children, redis, why);
    int64_t begin = clock_ms();
    while (s == ST_OK) {
        enum status answer = private_redis_ping(&u->redis);
        if (answer == ST_OK)
            return ST_OK;
        if (redis->last_exit == EXIT_NOT_FOUND)
            return diag_set(why, ST_MISSING, "%s is not installed or not in PATH; the package is redis-server",
                            u->o->redis_server);
        if (redis->quick_ends >= GIVE_UP_AFTER)
            return diag_set(why, ST_MISSING, "%s does not run; the package is redis-server, its log %s",
                            u->o->redis_server, u->redis.log_file);
        if (clock_ms() - begin > (answer == ST_BUSY ? REDIS_LOAD_LIMIT_MS : START_LIMIT_MS))
            return diag_set(why, ST_TIMEOUT, "Redis does not answer; its log is %s", u->redis.log_file);
        if (!tick(u))
            return ST_CANCELLED;
    }
    return s;
}

/* Wrong settings and refusals stay what they are, however often a program is started. */
static bool gave_up(const struct child *child)
{
    bool final = child->last_exit == EXIT_USAGE || child->last_exit == EXIT_REFUSED;
    return child->quick_ends >= (final ? 1 : GIVE_UP_AFTER);
}

static enum status tell_gave_up(const struct child *child, struct diag *why)
{
    enum status s = child->last_exit == EXIT_REFUSED ? ST_REFUSED : ST_MISSING;
    return diag_set(why, s, "%s can't run (code %d); its reason stands above", child->name, child->last_exit);
}

/* The session of one of our workers; its label says the process. Those of an earlier `up` may still be there. */
static const struct worker_status *session_of(const struct child *worker, const struct worker_status *list, size_t n)
{
    char pid[32];
    snprintf(pid, sizeof pid, " %d ", (int)worker->pid);
    for (size_t i = 0; i < n; i++) {
        if (strstr(list[i].label, pid))
            return &list[i];
    }
    return NULL;
}

/* Whether all of our workers have one; then *class_name is what they run. */
static bool all_welcomed(const struct up *u, struct client *client, char class_name[CLASS_BYTES + 1])
{
    struct worker_status *list = NULL;
    size_t n = 0;
    struct diag quiet = {{0}};
    bool all = client_workers(client, &list, &n, &quiet) == ST_OK;
    for (int w = 0; all && w < u->n_workers; w++) {
        const struct worker_status *session = session_of(&u->workers[w], list, n);
        all = session != NULL;
        if (session)
            memcpy(class_name, session->class_name, CLASS_BYTES + 1);
    }
    free(list);
    return all;
}

static enum status wait_ready(struct up *u, struct client *client, struct diag *why)
{
    char class_name[CLASS_BYTES + 1];
    for (;;) {
        struct diag quiet = {{0}}; /* the broker may be on its way down and up again */
        if (all_welcomed(u, client, class_name) && crew_tell_waiting(client, class_name, &quiet) == ST_OK)
            return ST_OK;
        for (int i = 0; i < u->n_workers; i++) {
            if (gave_up(&u->workers[i]))
                return tell_gave_up(&u->workers[i], why);
        }
        for (int i = 0; i < u->brokers.n; i++) {
            if (gave_up(&u->brokers.children[i]))
                return tell_gave_up(&u->brokers.children[i], why);
        }
        if (!tick(u))
            return ST_CANCELLED;
    }
}

/* A client of that broker, once it answers. */
static enum status reach_broker(struct up *u, int broker, struct client **out, struct diag *why)
{
    const struct client_options options = {.address = u->brokers.clients[broker], .timeout_ms = 1000};
    int64_t begin = clock_ms();
    for (;;) {
        if (client_open(&options, out, why) == ST_OK)
            return ST_OK;
        if (gave_up(&u->brokers.children[broker]))
            return tell_gave_up(&u->brokers.children[broker], why);
        if (clock_ms() - begin > START_LIMIT_MS)
            return diag_set(why, ST_TIMEOUT, "%s does not answer", u->brokers.children[broker].name);
        if (!tick(u))
            return ST_CANCELLED;
    }
}

static enum status start_all(struct up *u, struct diag *why)
{
    enum status s = start_redis(u, why);
    if (s == ST_OK)
        s = up_brokers_start(&u->brokers, &u->children, why);
    for (int i = 0; s == ST_OK && i < u->n_workers; i++)
        s = child_start(&u->children, &u->workers[i], why);
    if (s != ST_OK)
        return s;
    struct client *client = NULL;
    for (int i = 0; s == ST_OK && i < u->brokers.n; i++) {
        client_close(client);
        client = NULL;
        s = reach_broker(u, i, &client, why);
    }
    if (s == ST_OK)
        s = wait_ready(u, client, why);
    client_close(client);
    return s;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static void run_until_stopped(struct up *u)
{
    char brokers[32] = "";
    if (u->brokers.n > 1)
        snprintf(brokers, sizeof brokers, "%d brokers, ", u->brokers.n);
    fprintf(stderr, "ferret up: ready: %s%d worker%s, data in %s\n", brokers, u->n_workers,
            u->n_workers == 1 ? "" : "s", u->data);
    if (!u->http.is_off) {
        char url[UP_HTTP_URL];
        up_http_url(&u->http, url);
        fprintf(stderr, "ferret up: status page: %s\n", url);
    }
    while (tick(u))
        ;
    log_line(&u->children.log, LOG_INFO, "stopping (%s)", strsignal(u->stop_signal));
}

static void stop(struct up *u)
{
    children_stop(&u->children, "worker", (int)(u->o->grace_s * 1000) + WORKER_SLACK_MS);
    children_stop(&u->children, "broker", BROKER_GRACE_MS);
    children_stop(&u->children, "redis", REDIS_GRACE_MS);
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    (void)exit_code;
    /* A file of settings for this command has keys that the children refuse, and a client's keys are not theirs. */
    static const char *const not_theirs[] = {"FERRET_CONFIG",
                                             "FERRET_HTTP",
                                             "FERRET_TRACE",
                                             "FERRET_KEY_FILE",
                                             "FERRET_BROKER_KEY_FILE",
                                             "FERRET_ALLOW_FILE",
                                             "FERRET_REDIS_USER",
                                             "FERRET_REDIS_PASSWORD",
                                             "FERRET_REDIS_PASSWORD_FILE"};
    for (size_t i = 0; i < sizeof not_theirs / sizeof *not_theirs; i++)
        unsetenv(not_theirs[i]);
    struct up *u = calloc(1, sizeof *u);
    enum status s = u ? ST_OK : ST_NOMEM;
    if (s == ST_OK) {
        u->o = options;
        u->lock_fd = -1;
        u->redis.lock_fd = -1;
        u->children.log = (struct log){
            .component = "up", .level = (enum log_level)u->o->log.level, .form = (enum log_form)u->o->log.form};
        const struct setting_group fetch = fetch_flags_group(0);
        struct fetch_choice unused; /* what each worker would refuse is refused once, and by no command line shown */
        s = fetch_flags_resolve(&u->o->fetch, NULL, &unused, why);
        if (s == ST_OK)
            s = settings_flags(settings, &fetch, &u->fetch_flags, &u->n_fetch_flags);
        if (s == ST_OK)
            s = prepare(u, why);
        if (s == ST_OK) {
            s = start_all(u, why);
            if (s == ST_OK)
                run_until_stopped(u);
            stop(u);
        }
        private_redis_fini(&u->redis);
        free(u->worker_http);
        free(u->device);
        engine_choice_fini(&u->choice);
        settings_flags_free(u->fetch_flags, u->n_fetch_flags);
        if (u->lock_fd >= 0)
            close(u->lock_fd);
    }
    free(u);
    return s == ST_CANCELLED ? ST_OK : s;
}

int cmd_up(int argc, char **argv)
{
    struct up_options o = {.model.all_devices = true};
    const struct setting_group groups[] = {up_group(),
                                           up_service_group(),
                                           log_flags_group(offsetof(struct up_options, log)),
                                           model_flags_group(offsetof(struct up_options, model)),
                                           fetch_flags_group(offsetof(struct up_options, fetch)),
                                           cache_flags_group(offsetof(struct up_options, cache))};
    const struct settings_program program = {
        .name = "ferret up",
        .args = "",
        .summary = "Runs a private Redis, brokers and workers on this machine, in the foreground, until Ctrl-C.\n"
                   "State stays in the data folder: started again on it, everything goes on where it was.",
        .examples = "  ferret up --workers 2\n"
                    "  ferret up --data /var/lib/ferretry --model /models/ferret-7b --dtype bf16\n",
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
