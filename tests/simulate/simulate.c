/* make simulate: how far one queue reaches, found out with the broker's own dispatcher. Ends with 1 where an image was
 * lost or done twice, a broker did not come to rest, or memory grew with the number of images. */
#include "tests/simulate/simulate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/program.h"
#include "base/settings.h"

void world_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("FAIL simulate: ", stdout);
    vprintf(fmt, args);
    puts("");
    va_end(args);
    exit(1);
}

void world_tell(struct world *w, int broker, enum side side, const struct link_peer *peer, const struct message *m)
{
    uint8_t *bytes;
    size_t len;
    if (message_encode(m, &bytes, &len) != ST_OK)
        world_fail("memory is short");
    w->in++;
    dispatch_on_message(w->brokers[broker], side, peer, bytes, len, w->now_us / 1000);
    free(bytes);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        world_fail("/proc/self/statm can't be read");
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- a round of the server's loop ----------------------------------------------------------------------------------
 */

static uint64_t argument(const struct store_args *args, size_t i, size_t *len)
{
    const char *text = store_args_at(args, i, len);
    char copy[24] = "";
    memcpy(copy, text, *len < sizeof copy - 1 ? *len : sizeof copy - 1);
    return strtoull(copy, NULL, 10);
}

static void add_part(struct call *c, uint64_t n)
{
    enum { PARTS = 256 };
    if (!c->parts && !(c->parts = malloc(PARTS * sizeof *c->parts)))
        world_fail("memory is short");
    if (c->n_parts == PARTS)
        world_fail("a call of over %d parts", PARTS);
    c->parts[c->n_parts++] = (uint16_t)n;
    c->n += (uint32_t)n;
}

/* What protocol/scripts/submit.lua is given: groups, and in them runs. */
static void read_groups(const struct store_args *args, struct call *c)
{
    enum { FRONT = 2, OF_GROUP = 7, GROUP_N = 6, OF_RUN = 6, RUN_N = 4 }; /* and a body a job */
    size_t len;
    for (size_t at = FRONT; at + OF_GROUP <= args->n;) {
        uint64_t n = argument(args, at + GROUP_N, &len), seen = 0, run;
        for (at += OF_GROUP; seen < n && at + OF_RUN <= args->n; seen += run, at += OF_RUN + run)
            run = argument(args, at + RUN_N, &len);
        if (seen != n)
            world_fail("a SUBMIT of %" PRIu64 " images has runs of %" PRIu64, n, seen);
        add_part(c, n);
    }
}

/* What protocol/scripts/claim.lua is given: sessions with their credit. */
static void read_sessions(const struct store_args *args, struct call *c)
{
    enum { FRONT = 5, OF_SESSION = 3, WANT = 2 };
    size_t len;
    for (size_t at = FRONT; at + OF_SESSION <= args->n; at += OF_SESSION)
        add_part(c, argument(args, at + WANT, &len));
}

static void pass_on(struct world *w, int broker, struct dispatch_output *o)
{
    if (o->kind == OUTPUT_SEND) {
        fleet_on_message(w, broker, o);
        return;
    }
    struct call c = {.broker = broker, .worker = -1, .tag = o->tag, .script = o->script};
    if (o->script == SCRIPT_SUBMIT)
        read_groups(&o->args, &c);
    else if (o->script == SCRIPT_CLAIM)
        read_sessions(&o->args, &c);
    shard_call(&w->shard, &c, w->now_us);
}

static void round_of(struct world *w, int broker)
{
    struct dispatch_output o;
    dispatch_tick(w->brokers[broker], w->now_us / 1000);
    while (dispatch_next(w->brokers[broker], &o)) {
        pass_on(w, broker, &o);
        dispatch_output_fini(&o);
    }
}

static void step(struct world *w)
{
    struct call c;
    struct reply reply;
    fleet_step(w);
    while (shard_take(&w->shard, w->now_us, &c, &reply)) {
        if (c.broker < 0)
            fleet_on_reply(w, &c);
        else
            dispatch_on_reply(w->brokers[c.broker], c.tag, &reply, w->now_us / 1000);
    }
    for (int b = 0; b < w->plan.brokers; b++)
        round_of(w, b);
    w->now_us += w->plan.step_ms * 1000;
}

/* ---- beginning and end ----------------------------------------------------------------------------------------------
 */

static void world_init(struct world *w)
{
    struct dispatch_options o = {.worker_redis = "redis:6379",
                                 .route = ROUTE_DIRECT,
                                 .lease_ms = w->plan.lease_ms,
                                 .beat_ms = w->plan.beat_ms,
                                 .window = (uint64_t)w->plan.window,
                                 .result_budget = 0.5,
                                 .max_held_bytes = 64 << 20};
    /* Whole messages of images. */
    w->plan.images = (w->plan.images + SUBMIT_JOBS - 1) / SUBMIT_JOBS * SUBMIT_JOBS;
    w->random = (uint64_t)w->plan.seed;
    shard_init(&w->shard, &w->plan);
    w->brokers = calloc((size_t)w->plan.brokers, sizeof *w->brokers);
    for (int i = 0; w->brokers && i < w->plan.brokers; i++) {
        if (dispatch_new(&o, &w->brokers[i]) != ST_OK)
            world_fail("memory is short");
        dispatch_on_store(w->brokers[i], 0, true, 1);
    }
    if (!w->brokers)
        world_fail("memory is short");
    fleet_init(w);
}

static void world_fini(struct world *w)
{
    for (int i = 0; i < w->plan.brokers; i++)
        dispatch_free(w->brokers[i]);
    free(w->brokers);
    fleet_fini(w);
    shard_fini(&w->shard);
}

/* Told to stop, brokers come to rest: nothing that they were asked is left. */
static void come_to_rest(struct world *w)
{
    enum { STEPS = 10000 };
    for (int b = 0; b < w->plan.brokers; b++)
        dispatch_drain(w->brokers[b]);
    for (int i = 0; i < STEPS; i++) {
        bool idle = true;
        struct call c;
        struct reply reply;
        while (shard_take(&w->shard, w->now_us, &c, &reply))
            if (c.broker >= 0)
                dispatch_on_reply(w->brokers[c.broker], c.tag, &reply, w->now_us / 1000);
        for (int b = 0; b < w->plan.brokers; b++) {
            round_of(w, b);
            idle &= dispatch_is_idle(w->brokers[b]);
        }
        if (idle)
            return;
        w->now_us += w->plan.step_ms * 1000;
    }
    world_fail("brokers that were told to stop have calls on the way for ever");
}

static void check(const struct world *w, long half_kib, long end_kib)
{
    enum { GROWTH_KIB = 4096 };
    uint64_t done = 0;
    for (int64_t i = 0; i < w->plan.workers; i++)
        done += w->workers[i].done;
    if (w->shard.submitted != (uint64_t)w->plan.images || w->shard.done != w->shard.submitted || done != w->shard.done)
        world_fail("of %" PRId64 " images %" PRIu64 " were taken in, %" PRIu64 " ended in Redis, %" PRIu64
                   " at workers",
                   w->plan.images, w->shard.submitted, w->shard.done, done);
    if (end_kib - half_kib > GROWTH_KIB)
        world_fail("resident memory grew by %ld KiB in the second half", end_kib - half_kib);
}

static void report(const struct world *w, int64_t begun_us, int64_t ns, long half_kib, long end_kib)
{
    const struct shard *s = &w->shard;
    double images = (double)w->plan.images, seconds = (double)(w->now_us - begun_us) / 1e6, idle = 0;
    for (int64_t i = 0; i < w->plan.workers; i++)
        idle += (double)w->workers[i].idle_us / 1e6;
    printf("images %" PRId64 ", workers %" PRId64 " of %.3g images/s, brokers %" PRId64 ", credit %" PRId64 "\n",
           w->plan.images, w->plan.workers, w->plan.rate, w->plan.brokers, w->plan.credit);
    printf("simulated time          %.1f h\n", seconds / 3600);
    printf("images a second         %.0f of %.0f that the workers could do\n", images / seconds,
           w->plan.rate * (double)w->plan.workers);
    printf("workers without work    %.2f %% of the time\n", 100 * idle / (seconds * (double)w->plan.workers));
    printf("Redis busy              %.1f %%; its slowest answer %.0f ms\n", (double)s->busy_us / 1e4 / seconds,
           (double)s->slowest_us / 1e3);
    printf("calls an image          submit %.4f, claim %.4f, finish %.4f, beats %.4f\n",
           (double)s->calls[SCRIPT_SUBMIT] / images, (double)s->calls[SCRIPT_CLAIM] / images,
           (double)s->calls[SCRIPT_FINISH] / images, (double)s->calls[SCRIPT_HEARTBEAT] / images);
    printf("messages an image       %.4f to brokers, %.4f from them\n", (double)w->in / images,
           (double)w->out / images);
    printf("SUBMIT of %d answered   %.1f ms on average, %.0f ms at most; %" PRIu64 " told to wait\n", SUBMIT_JOBS,
           w->accepts ? (double)w->accept_us[0] / 1e3 / (double)w->accepts : 0, (double)w->accept_us[1] / 1e3, w->busy);
    printf("CPU of the simulation   %.0f s, %.2f us an image\n", (double)ns / 1e9, (double)ns / 1e3 / images);
    printf("resident memory         %ld KiB at half, %ld KiB at the end\n", half_kib, end_kib);
    puts("PASS simulate: every image ends once, brokers come to rest, memory does not grow with the images");
}

#define ROW(field, flag, kind, def, ...)                                                                               \
    {                                                                                                                  \
        .name = flag, .type = kind, .offset = offsetof(struct plan, field), .fallback = def, __VA_ARGS__               \
    }
static const struct setting rows[] = {
    ROW(images, "images", SETTING_INT, "500000", .min = 1, .max = 1e10, .help = "how many go through"),
    ROW(workers, "workers", SETTING_INT, "1000", .min = 1, .max = 100000, .help = "sessions"),
    ROW(brokers, "brokers", SETTING_INT, "4", .min = 1, .max = 256, .help = "workers spread over them"),
    ROW(clients, "clients", SETTING_INT, "16", .min = 1, .max = 1000, .help = "who hand in without end"),
    ROW(rate, "rate", SETTING_FLOAT, "8", .min = 0.01, .max = 1000, .help = "images a second and worker"),
    ROW(credit, "credit", SETTING_INT, "32", .min = 1, .max = LIMIT_HELD_JOBS, .help = "images that a worker holds"),
    ROW(window, "window", SETTING_INT, "2000000", .min = 1, .max = 1e9, .help = "unfinished images in Redis"),
    ROW(call_us, "call-us", SETTING_FLOAT, "20", .min = 0, .max = 1e6,
        .help = "what a call costs Redis, its sync included"),
    ROW(submit_us, "submit-us", SETTING_FLOAT, "13", .min = 0, .max = 1e6, .help = "and each image in a SUBMIT"),
    ROW(claim_us, "claim-us", SETTING_FLOAT, "10", .min = 0, .max = 1e6, .help = "in a CLAIM"),
    ROW(finish_us, "finish-us", SETTING_FLOAT, "20", .min = 0, .max = 1e6, .help = "in a DONE"),
    ROW(lease_ms, "lease-ms", SETTING_INT, "12000", .min = 200, .max = 3600000, .help = "as ferret-broker has it"),
    ROW(beat_ms, "beat-ms", SETTING_INT, "3000", .min = 50, .max = 600000, .help = "as ferret-broker has it"),
    ROW(step_ms, "step-ms", SETTING_INT, "5", .min = 1, .max = 1000, .help = "a round of the servers' loops"),
    ROW(seed, "seed", SETTING_INT, "1", .min = 0, .max = 1e18, .help = "of the times that images take"),
};
static const struct setting_group groups[] = {{"the plan", rows, sizeof rows / sizeof *rows, 0}};
static const struct settings_program program = {
    .name = "simulate",
    .args = "",
    .summary = "Runs a queue's whole life with the broker's own dispatcher, a played Redis and played workers.",
    .examples = "  simulate --images 1000000000 --workers 10000 --brokers 16 --rate 1\n",
    .groups = groups,
    .n_groups = 1,
};

int main(int argc, char **argv)
{
    static struct world w;
    struct settings *settings;
    int code;
    if (!settings_start(&program, argc, argv, &w.plan, &settings, &code))
        return program_end("simulate", code);
    world_init(&w);
    long half_kib = 0;
    int64_t begun_us = w.now_us, before = cpu_ns();
    while (w.shard.done < (uint64_t)w.plan.images) {
        step(&w);
        if (half_kib == 0 && 2 * w.shard.done >= (uint64_t)w.plan.images)
            half_kib = resident_kib();
    }
    int64_t ended_us = w.now_us, ns = cpu_ns() - before;
    long end_kib = resident_kib();
    come_to_rest(&w);
    w.now_us = ended_us;
    check(&w, half_kib, end_kib);
    report(&w, begun_us, ns, half_kib, end_kib);
    world_fini(&w);
    settings_free(settings);
    return program_end("simulate", EXIT_OK);
}
