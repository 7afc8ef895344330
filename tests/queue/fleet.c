/* Many workers' sessions in one process, each as ferret-worker has it, before an engine that ends every job at once
 * with a record of so many bytes. Told to stop, it writes how long DONE took: from the call to its answer.
 *
 *   queue-fleet BROKERS CLASS SESSIONS CREDIT RECORD_BYTES REPORT end|hold
 *
 * hold: jobs never end.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/program.h"
#include "protocol/store.h"
#include "worker/session.h"

enum { MOST_SESSIONS = 256, BUCKETS = 20000, BUCKET_US = 100 };

static volatile sig_atomic_t stop;
static _Atomic unsigned buckets[BUCKETS];
static size_t record_bytes;
static bool holds;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

/* ---- how long DONE takes: a session has one on the way, and a thread of its own -----------------------------------
 */

static _Thread_local int64_t sent_us;
static _Thread_local uint64_t sent_tag;

enum status __real_store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag);
enum status __wrap_store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag);
enum status __wrap_store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag)
{
    if (script == SCRIPT_FINISH) {
        sent_us = clock_us();
        sent_tag = tag;
    }
    return __real_store_send(s, script, args, tag);
}

bool __real_store_take(struct store *s, struct store_answer *out);
bool __wrap_store_take(struct store *s, struct store_answer *out);
bool __wrap_store_take(struct store *s, struct store_answer *out)
{
    bool there = __real_store_take(s, out);
    if (there && sent_us && out->tag == sent_tag) {
        int64_t at = (clock_us() - sent_us) / BUCKET_US;
        atomic_fetch_add(&buckets[at < BUCKETS ? at : BUCKETS - 1], 1);
        sent_us = 0;
    }
    return there;
}

static void report(const char *path)
{
    uint64_t n = 0, so_far = 0;
    double p50 = 0, p99 = 0;
    for (int i = 0; i < BUCKETS; i++)
        n += buckets[i];
    for (int i = 0; i < BUCKETS; i++) {
        so_far += buckets[i];
        if (p50 == 0 && 2 * so_far >= n)
            p50 = (i + 1) * BUCKET_US / 1000.0;
        if (p99 == 0 && 100 * so_far >= 99 * n)
            p99 = (i + 1) * BUCKET_US / 1000.0;
    }
    FILE *f = fopen(path, "w");
    if (f) {
        fprintf(f, "%llu %.2f %.2f\n", (unsigned long long)n, p50, p99);
        fclose(f);
    }
}

/* ---- sessions ------------------------------------------------------------------------------------------------------
 */

struct one {
    struct session *session;
    pthread_t thread;
    enum status ended;
};

static enum status start(void *ctx, struct job *job, struct flight *flight, struct diag *why)
{
    struct one *o = ctx;
    if (holds) {
        session_started(o->session, flight);
        job_free(job);
        return ST_OK;
    }
    char *record = malloc(record_bytes + 1);
    if (!record)
        return diag_set(why, ST_NOMEM, "memory is short");
    int n = snprintf(record, record_bytes + 1,
                     "{\"schema\":1,\"id\":\"%s\",\"status\":\"ok\",\"image\":{},\"tasks\":[],\"x\":\"", job->key);
    memset(record + n, 'x', record_bytes - (size_t)n);
    memcpy(record + record_bytes - 2, "\"}", 3);
    job_free(job);
    struct session_end end = {.record = record};
    session_started(o->session, flight);
    session_finished(o->session, flight, &end);
    return ST_OK;
}

static void cancel(void *ctx, struct flight *flight)
{
    (void)ctx;
    (void)flight;
}

static void drain(void *ctx)
{
    (void)ctx;
}

static enum status state(void *ctx, struct diag *why)
{
    (void)ctx;
    (void)why;
    return ST_OK;
}

static void *run(void *arg)
{
    struct one *o = arg;
    o->ended = session_run(o->session, &stop, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    enum { ARGS = 8, DRAIN_MS = 1000, SMALLEST = 128 };
    static struct one all[MOST_SESSIONS];
    static const struct log log = {.component = "fleet", .level = LOG_ERROR};
    if (argc != ARGS)
        return 2;
    int n = (int)strtol(argv[3], NULL, 10);
    record_bytes = strtoul(argv[5], NULL, 10);
    holds = strcmp(argv[7], "hold") == 0;
    if (n < 1 || n > MOST_SESSIONS || record_bytes < SMALLEST)
        return 2;
    program_catch_stops(on_signal);
    struct session_options o = {.broker = argv[1],
                                .class_name = argv[2],
                                .tasks = "caption",
                                .label = "fleet",
                                .context = 1,
                                .credit = (int)strtol(argv[4], NULL, 10),
                                .drain_ms = DRAIN_MS,
                                .log = &log};
    for (int i = 0; i < n; i++) {
        struct diag why = {.text = ""};
        struct session_engine e = {.ctx = &all[i], .start = start, .cancel = cancel, .drain = drain, .state = state};
        if (session_open(&o, &e, &all[i].session, &why) != ST_OK) {
            fprintf(stderr, "fleet: %s\n", why.text);
            return 1;
        }
    }
    for (int i = 0; i < n; i++)
        if (pthread_create(&all[i].thread, NULL, run, &all[i]) != 0)
            return 1;
    for (int i = 0; i < n; i++) {
        pthread_join(all[i].thread, NULL);
        session_close(all[i].session);
    }
    report(argv[6]);
    return 0;
}
