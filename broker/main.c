/* ferret-broker: hands out jobs. All state is in Redis; several may run at once on one Redis. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "base/settings.h"
#include "broker/server.h"
#include "broker/view.h"
#include "protocol/key_file.h"
#include "protocol/message.h"
#include "protocol/paths.h"
#include "protocol/redis_login.h"

enum { LAYOUT_VERSION = 2, START_MS = 10000 };

static volatile sig_atomic_t stop, reload;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static void on_hangup(int sig)
{
    (void)sig;
    reload = 1;
}

struct broker_flags {
    const char *data, *redis, *client_bind, *worker_bind, *worker_redis;
    const char *key_file, *allow_file;
    struct redis_flags login;
    int route;
    int64_t lease_ms, beat_ms, window, held_bytes, drain_ms, shards, replicas, replicas_ms;
    struct setting_memory result_memory;
    struct setting_list roots;
    bool is_unsafe, insecure, verbose;
    struct service_flags service;
    struct log_flags log;
};

#define ROW(field, flag, kind, def, ...)                                                                               \
    {                                                                                                                  \
        .name = flag, .type = kind, .offset = offsetof(struct broker_flags, field), .fallback = def, __VA_ARGS__       \
    }
static const struct setting rows[] = {
    ROW(data, "data", SETTING_STRING, NULL, .value = "DIR", .help = "folder with redis.sock; sockets are made there"),
    ROW(redis, "redis", SETTING_STRING, NULL, .value = "ADDR",
        .help = "Redis: /path/of/socket or host:port, of a cluster several nodes joined by commas; default: "
                "DIR/redis.sock"),
    ROW(shards, "shards", SETTING_INT, "0", .min = 0, .max = LIMIT_SHARDS, .value = "N",
        .help = "parts of a queue that is made now; 0: as it was made, else 1 (4 to 8 on a cluster)"),
    ROW(replicas, "replicas", SETTING_INT, "0", .min = 0, .max = 16, .value = "N",
        .help = "replicas of Redis that are to have a job before it is accepted"),
    ROW(replicas_ms, "replicas-ms", SETTING_INT, "200", .min = 1, .max = 10000, .value = "MS",
        .help = "how long they are waited for; then the answer says that only Redis itself has it"),
    ROW(client_bind, "client-bind", SETTING_STRING, NULL, .value = "URL",
        .help = "where clients connect, e.g. tcp://*:7411, or several joined by commas; default: a socket in DIR"),
    ROW(worker_bind, "worker-bind", SETTING_STRING, NULL, .value = "URL",
        .help = "where workers connect, e.g. tcp://*:7412, or several joined by commas; default: a socket in DIR"),
    ROW(route, "route", SETTING_CHOICE, "direct", .choices = "direct|relay", .value = "R",
        .help = "workers write results to Redis themselves, or through the broker"),
    ROW(worker_redis, "worker-redis", SETTING_STRING, NULL, .value = "ADDR",
        .help = "Redis as workers reach it, for the direct route; default: --redis"),
    ROW(lease_ms, "lease-ms", SETTING_INT, "12000", .min = 200, .max = 3600000, .value = "MS",
        .help = "a worker not heard of for so long loses its jobs"),
    ROW(beat_ms, "beat-ms", SETTING_INT, "3000", .min = 50, .max = 600000, .value = "MS",
        .help = "how often workers renew their lease; at most a third of it"),
    ROW(window, "window", SETTING_INT, "200000", .min = 1, .max = 1e9, .value = "N",
        .help = "unfinished jobs a campaign may have in Redis"),
    ROW(result_memory, "result-memory", SETTING_MEMORY, "0.5", .value = "SHARE|BYTES",
        .help = "results in Redis above which no work is handed out; a share is of its maxmemory"),
    ROW(held_bytes, "held-bytes", SETTING_BYTES, "64MiB", .min = 1 << 20, .max = 1e12, .value = "BYTES",
        .help = "submits held in memory before clients are made to wait"),
    ROW(roots, "root", SETTING_LIST, NULL, .value = "NAME=DIR",
        .help = "a folder of which the pages may show pictures that were annotated, as workers have it (repeatable)"),
    ROW(drain_ms, "drain-ms", SETTING_INT, "3000", .min = 0, .max = 600000, .value = "MS",
        .help = "how long a stop waits for answers of Redis"),
    ROW(key_file, "key-file", SETTING_STRING, NULL, .value = "FILE",
        .help = "CURVE keys of this broker, as `ferret admin keygen` makes them; tcp links are then encrypted"),
    ROW(allow_file, "allow-file", SETTING_STRING, NULL, .value = "FILE",
        .help = "keys that may come in, with roles and tenants; read again when it changes; default: allow.json beside "
                "--key-file"),
    ROW(insecure, "insecure", SETTING_BOOL, NULL, .help = "bind without keys, even where other hosts reach it"),
    ROW(is_unsafe, "unsafe", SETTING_BOOL, NULL, .help = "run on a Redis that may lose acknowledged jobs"),
    ROW(verbose, "verbose", SETTING_BOOL, NULL, .help = "log more"),
};

/* What the flags come to once defaults under --data are filled in. */
struct addresses {
    char redis[PATHS_BYTES], clients[PATHS_BYTES], workers[PATHS_BYTES];
};

static enum status pick(const char *given, const char *data,
                        enum status (*in_data)(const char *, char *, struct diag *), const char *flag, char *out,
                        struct diag *why)
{
    if (!given && !data)
        return diag_set(why, ST_INVALID, "--%s or --data is needed", flag);
    if (!given)
        return in_data(data, out, why);
    if (snprintf(out, PATHS_BYTES, "%s", given) >= PATHS_BYTES)
        return diag_set(why, ST_LIMIT, "--%s: over %d bytes", flag, PATHS_BYTES - 1);
    return ST_OK;
}

static enum status resolve(const struct broker_flags *f, struct addresses *a, struct diag *why)
{
    enum status s = pick(f->redis, f->data, paths_redis, "redis", a->redis, why);
    if (s == ST_OK)
        s = pick(f->client_bind, f->data, paths_client, "client-bind", a->clients, why);
    if (s == ST_OK)
        s = pick(f->worker_bind, f->data, paths_worker, "worker-bind", a->workers, why);
    if (s == ST_OK && 3 * f->beat_ms > f->lease_ms)
        s = diag_set(why, ST_INVALID, "--beat-ms %lld is over a third of --lease-ms %lld", (long long)f->beat_ms,
                     (long long)f->lease_ms);
    return s;
}

/* The broker's own keys, and where it finds those of others. */
struct keys {
    struct key_file own;
    struct link_keys keys;
    char allow_file[PATHS_BYTES];
};

static enum status load_keys(const struct broker_flags *f, struct keys *k, struct diag *why)
{
    if (!f->key_file)
        return f->allow_file ? diag_set(why, ST_INVALID, "--allow-file: expected --key-file beside it") : ST_OK;
    enum status s = key_file_read(f->key_file, true, &k->own, why);
    k->keys = (struct link_keys){.public_key = k->own.public_key, .secret_key = k->own.secret_key};
    if (s != ST_OK || !f->allow_file)
        return s == ST_OK ? key_file_beside(f->key_file, "allow.json", k->allow_file, sizeof k->allow_file, why) : s;
    if (snprintf(k->allow_file, sizeof k->allow_file, "%s", f->allow_file) >= (int)sizeof k->allow_file)
        return diag_set(why, ST_LIMIT, "--allow-file: over %d bytes", PATHS_BYTES - 1);
    return ST_OK;
}

static enum status boot(struct store *store, int shard, int64_t shards, long long *version, long long *has,
                        struct diag *why)
{
    struct store_args args = {.shard = shard};
    store_arg_u64(&args, LAYOUT_VERSION);
    if (shards > 0)
        store_arg_u64(&args, (uint64_t)shards);
    else
        store_arg_str(&args, "");
    struct store_answer a;
    enum status s = store_call(store, SCRIPT_BOOT, &args, START_MS, &a, why);
    store_args_fini(&args);
    if (s != ST_OK)
        return s;
    *version = reply_number(&a.reply, 0);
    *has = reply_number(&a.reply, 1);
    store_answer_free(&a);
    return ST_OK;
}

/* The queue must be of this layout and, where shards were asked for, of so many. The first broker writes both down, on
 * shard 0 first; what a shard lost with its Redis is written again. */
static enum status check_layout(struct store *store, int64_t asked, struct diag *why)
{
    long long version = 0, shards = 0;
    enum status s = boot(store, 0, 0, &version, &shards, why);
    if (s == ST_OK && shards == 0)
        s = boot(store, 0, asked > 0 ? asked : 1, &version, &shards, why);
    if (s == ST_OK && (version != LAYOUT_VERSION || shards < 1 || shards > LIMIT_SHARDS))
        return diag_set(why, ST_REFUSED,
                        "this Redis holds layout %lld with %lld shards; this program uses layout %d, up to %d shards",
                        version, shards, LAYOUT_VERSION, LIMIT_SHARDS);
    if (s == ST_OK && asked > 0 && asked != shards)
        return diag_set(why, ST_REFUSED, "--shards %lld: this queue was made with %lld shards, which can't be changed",
                        (long long)asked, shards);
    if (s == ST_OK)
        store_set_shards(store, (int)shards);
    for (int i = 1; s == ST_OK && i < shards; i++) {
        long long its = 0;
        s = boot(store, i, shards, &version, &its, why);
        if (s == ST_OK && (its != shards || version != LAYOUT_VERSION))
            s = diag_set(why, ST_REFUSED,
                         "shard %d is of a queue with %lld shards in layout %lld, shard 0 of %lld in %d", i, its,
                         version, shards, LAYOUT_VERSION);
    }
    return s;
}

/* A stop ends the wait. */
static enum status wait_store(struct store *store, struct diag *why)
{
    enum { STEP_MS = 100 };
    enum status s = ST_IO;
    for (int64_t until = clock_ms() + START_MS; s == ST_IO && !stop && clock_ms() < until;)
        s = store_wait_ready(store, STEP_MS, why);
    return stop ? ST_CANCELLED : s;
}

static enum status check_safety(const struct broker_flags *f, struct store *store, const struct log *log,
                                struct diag *why)
{
    enum status s = store_check_safety(store, START_MS, why);
    if (s == ST_REFUSED && f->is_unsafe) {
        log_line(log, LOG_WARN, "%s", why->text);
        return ST_OK;
    }
    return s == ST_REFUSED ? diag_wrap(why, ST_REFUSED, "refused (--unsafe runs all the same)") : s;
}

static enum status try_store(const struct broker_flags *f, const struct addresses *a, const struct store_login *login,
                             const struct log *log, struct store **out, struct diag *why)
{
    struct store *store;
    enum status s = store_open(a->redis, 1, &store, why);
    if (s != ST_OK)
        return s;
    store_log_in(store, login);
    s = wait_store(store, why);
    if (s == ST_OK)
        s = check_safety(f, store, log, why);
    if (s == ST_OK)
        s = check_layout(store, f->shards, why);
    if (s == ST_OK && store_shards(store) > 1) /* of the nodes that the other shards live on, too */
        s = check_safety(f, store, log, why);
    if (s != ST_OK) {
        store_close(store);
        return stop ? ST_CANCELLED : s == ST_IO ? ST_TIMEOUT : s; /* all that a store reads and writes is Redis */
    }
    *out = store;
    return ST_OK;
}

/* Redis may go away again between its first answer and the last check: then once more from the beginning. */
static enum status open_store(const struct broker_flags *f, const struct addresses *a, const struct store_login *login,
                              const struct log *log, struct store **out, struct diag *why)
{
    int64_t until = clock_ms() + START_MS;
    enum status s = try_store(f, a, login, log, out, why);
    while (s == ST_TIMEOUT && !stop && clock_ms() < until)
        s = try_store(f, a, login, log, out, why);
    return s;
}

static double result_budget(const struct broker_flags *f)
{
    return f->result_memory.bytes ? (double)f->result_memory.bytes : f->result_memory.share;
}

/* Looking has a connection of its own, as to the one that works. */
static enum status open_view(const struct broker_flags *f, const struct addresses *a, const struct store *working,
                             const struct store_login *login, const struct log *log, struct view **out,
                             struct diag *why)
{
    if (!f->service.http)
        return ST_OK;
    struct view_options o = {.flags = &f->service,
                             .result_budget = result_budget(f),
                             .roots = f->roots.items,
                             .n_roots = f->roots.n,
                             .log = log};
    enum status s = store_open(a->redis, store_shards(working), &o.store, why);
    if (s != ST_OK)
        return s;
    store_log_in(o.store, login);
    return view_open(&o, out, why);
}

/* More connections to the Redis that was found good. */
static enum status open_more(const struct broker_flags *f, const struct addresses *a, const struct store_login *login,
                             struct store **stores, struct diag *why)
{
    enum status s = ST_OK;
    for (int i = STORE_REST + 1; s == ST_OK && i < SERVER_STORES; i++) {
        s = store_open(a->redis, store_shards(stores[STORE_REST]), &stores[i], why);
        if (s == ST_OK)
            store_log_in(stores[i], login);
    }
    for (int i = STORE_REST + 1; s == ST_OK && i < SERVER_STORES; i++)
        s = wait_store(stores[i], why);
    if (s == ST_OK && f->replicas > 0)
        store_ask_replicas(stores[STORE_SUBMIT], (int)f->replicas, (int)f->replicas_ms);
    return s;
}

/* What a broker has before it serves. */
struct parts {
    struct addresses addresses;
    struct keys keys;
    struct redis_login login;
    struct store *stores[SERVER_STORES];
    struct view *view;
};

static enum status open_parts(const struct broker_flags *f, struct parts *p, const struct log *log, struct diag *why)
{
    enum status s = resolve(f, &p->addresses, why);
    if (s == ST_OK)
        s = load_keys(f, &p->keys, why);
    if (s == ST_OK)
        s = redis_flags_load(&f->login, true, &p->login, why);
    if (s == ST_OK)
        s = open_store(f, &p->addresses, p->login.use, log, &p->stores[STORE_REST], why);
    if (s == ST_OK)
        s = open_more(f, &p->addresses, p->login.use, p->stores, why);
    if (s == ST_OK)
        s = open_view(f, &p->addresses, p->stores[STORE_REST], p->login.use, log, &p->view, why);
    return s;
}

static enum status run_server(const struct broker_flags *f, const struct parts *p, const struct log *log,
                              struct diag *why)
{
    const struct addresses *a = &p->addresses;
    struct server *server = NULL;
    struct server_options o = {
        .client_address = a->clients,
        .worker_address = a->workers,
        .keys = f->key_file ? &p->keys.keys : NULL,
        .allow_file = f->key_file ? p->keys.allow_file : NULL,
        .insecure = f->insecure,
        .view = p->view,
        .log = log,
        .drain_ms = (int)f->drain_ms,
        .dispatch = {.worker_redis = f->worker_redis ? f->worker_redis : a->redis,
                     .route = f->route == 0 ? ROUTE_DIRECT : ROUTE_RELAY,
                     .lease_ms = f->lease_ms,
                     .beat_ms = f->beat_ms,
                     .window = (uint64_t)f->window,
                     .shards = store_shards(p->stores[STORE_REST]),
                     .replicas = (int)f->replicas,
                     .result_budget = result_budget(f),
                     .max_held_bytes = (size_t)f->held_bytes},
    };
    memcpy(o.stores, p->stores, sizeof o.stores);
    enum status s = server_open(&o, &server, why);
    if (s == ST_OK) {
        log_line(log, LOG_INFO, "ready: clients at %s, workers at %s, Redis at %s", a->clients, a->workers, a->redis);
        s = server_run(server, &stop, &reload);
        log_line(log, LOG_INFO, "stopped");
    }
    server_close(server);
    return s;
}

static enum status serve(const struct broker_flags *f, const struct log *log, struct diag *why)
{
    struct parts p = {.keys = {.allow_file = ""}};
    enum status s = open_parts(f, &p, log, why);
    if (s == ST_OK)
        s = run_server(f, &p, log, why);
    view_close(p.view);
    for (int i = 0; i < SERVER_STORES; i++)
        store_close(p.stores[i]);
    return s;
}

int main(int argc, char **argv)
{
    const struct setting_group groups[] = {
        {.title = "Broker", .rows = rows, .n_rows = sizeof rows / sizeof rows[0]},
        redis_flags_group(offsetof(struct broker_flags, login)),
        service_flags_group(offsetof(struct broker_flags, service)),
        log_flags_group(offsetof(struct broker_flags, log)),
    };
    const struct settings_program program = {
        .name = "ferret-broker",
        .args = "",
        .summary = "Hands out jobs between clients and workers; everything durable is in Redis.",
        .examples =
            "  ferret-broker --data /var/lib/ferretry --http 127.0.0.1:7420\n"
            "  ferret-broker --redis 127.0.0.1:6379 --client-bind 'tcp://*:7411' --worker-bind 'tcp://*:7412' \\\n"
            "                --key-file /etc/ferretry/broker.key\n",
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    struct broker_flags f = {0};
    struct settings *settings;
    int code;
    program_catch_stops(on_signal);
    signal(SIGHUP, on_hangup);
    if (!settings_start(&program, argc, argv, &f, &settings, &code))
        return program_end("ferret-broker", code);
    struct log log = {.component = "broker",
                      .level = f.verbose ? LOG_DEBUG : (enum log_level)f.log.level,
                      .form = (enum log_form)f.log.form};
    if (log_limits_new(&log.limits) != ST_OK)
        log.limits = NULL; /* it logs without them */
    struct diag why = {.text = ""};
    enum status s = serve(&f, &log, &why);
    if (s == ST_CANCELLED) /* told to stop before it was ready */
        s = ST_OK;
    if (s != ST_OK)
        log_line(&log, LOG_ERROR, "%s", why.text[0] ? why.text : status_word(s));
    log_limits_free(log.limits);
    settings_free(settings);
    return program_exit_code(s);
}
