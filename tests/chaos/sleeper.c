/* A worker whose engine sleeps: ferret-worker's session, with a result that is a function of the job's key alone.
 *
 *   chaos-sleeper BROKERS CLASS CREDIT THREADS SLEEP_US
 *
 * Keys that begin with "bad-" end as permanent failures, "flaky-" fail now and then for a moment, "crash-" kill the
 * process. Where the environment has CHAOS_DEDUP each fourth job has one of a few pictures, and is asked for in the
 * index of results: what is found there must be the whole result of another job with that picture, else the process
 * dies. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/program.h"
#include "base/sha256.h"
#include "tests/chaos/gauges.h"
#include "worker/session.h"
#include "worker/twins.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

struct item {
    struct item *next;
    struct job *job;
    struct flight *flight;
};

struct sleeper {
    struct session *session;
    struct twins *twins;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct item *first, *last;
    int busy, sleep_us;
    bool draining, closing;
    unsigned seed;
    _Atomic int *in_flight;
};

static enum status start(void *ctx, struct job *job, struct flight *flight, struct diag *why)
{
    struct sleeper *s = ctx;
    struct item *i = calloc(1, sizeof *i);
    if (!i) {
        job_free(job);
        return diag_set(why, ST_NOMEM, "memory is short");
    }
    i->job = job;
    i->flight = flight;
    atomic_fetch_add(s->in_flight, 1);
    pthread_mutex_lock(&s->lock);
    if (s->last)
        s->last->next = i;
    else
        s->first = i;
    s->last = i;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return ST_OK;
}

static void cancel(void *ctx, struct flight *flight)
{
    (void)ctx;
    (void)flight;
}

static struct item *pop(struct sleeper *s)
{
    struct item *i = s->first;
    s->first = i->next;
    if (!s->first)
        s->last = NULL;
    return i;
}

static void drain(void *ctx)
{
    struct sleeper *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    while (s->first) {
        struct item *i = pop(s);
        struct session_end end = {.handed_back = true};
        session_finished(s->session, i->flight, &end);
        job_free(i->job);
        free(i);
    }
    while (s->busy)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static enum status state(void *ctx, struct diag *why)
{
    (void)ctx;
    (void)why;
    return ST_OK;
}

static void answer_of(const char *key, char hex[SHA256_HEX])
{
    uint8_t digest[SHA256_BYTES];
    sha256_of(key, strlen(key), digest);
    sha256_hex(digest, hex);
}

/* -1: one of its own. */
static long picture_of(const char *key)
{
    enum { PICTURES = 40, FOURTH = 4 };
    const char *dash = strrchr(key, '-');
    long n = dash ? strtol(dash + 1, NULL, 10) : 1;
    return n % FOURTH == 0 ? n / FOURTH % PICTURES : -1;
}

static void look_for_twin(struct sleeper *s, const struct job *j, struct twin *twin)
{
    char bytes[32], id[2 * ID_BYTES + 1], hex[SHA256_HEX];
    uint8_t content[SHA256_BYTES];
    long picture = s->twins ? picture_of(j->key) : -1;
    if (picture < 0)
        return;
    snprintf(bytes, sizeof bytes, "picture %ld", picture);
    sha256_of(bytes, strlen(bytes), content);
    twins_name(s->twins, j, content, twin);
    struct json *found = twins_find(s->twins, twin, id);
    const char *key = jsn_string(jsn_get(found, "id"), "");
    answer_of(key, hex);
    if (found && (picture_of(key) != picture || strcmp(jsn_string(jsn_get(found, "answer"), ""), hex) != 0)) {
        fprintf(stderr, "sleeper: %s has no twin in %s\n", j->key, key);
        raise(SIGKILL);
    }
    jsn_free(found);
}

static char *record_of(const struct job *j, const struct twin *twin)
{
    char hex[SHA256_HEX], *text = NULL;
    answer_of(j->key, hex);
    if (asprintf(&text,
                 "{\"schema\":1,\"id\":\"%s\",\"status\":\"ok\",\"image\":{\"sha256\":\"%s\"},\"tasks\":[],\"answer\":"
                 "\"%s\"}",
                 j->key, twin->sha256, hex) < 0)
        return NULL;
    return text;
}

static void run_item(struct sleeper *s, struct item *i, unsigned *seed)
{
    session_started(s->session, i->flight);
    if (strncmp(i->job->key, "crash-", 6) == 0) {
        enum { ENOUGH_US = 60000 }; /* for the beat that says it was begun */
        usleep(ENOUGH_US);
        raise(SIGKILL);
    }
    if (s->sleep_us)
        usleep((useconds_t)s->sleep_us);
    struct session_end end = {.failed = false};
    look_for_twin(s, i->job, &end.twin);
    end.record = record_of(i->job, &end.twin);
    if (strncmp(i->job->key, "bad-", 4) == 0 || (strncmp(i->job->key, "flaky-", 6) == 0 && rand_r(seed) % 10 == 0)) {
        end.failed = true;
        end.twin.is_named = false;
        end.error_class = i->job->key[0] == 'b' ? ERROR_PERMANENT : ERROR_TRANSIENT;
        struct json *r = result_failure(i->job, end.error_class, "as-told", "the key says so");
        free(end.record);
        end.record = r ? jsn_text(r) : NULL;
        jsn_free(r);
    }
    session_finished(s->session, i->flight, &end);
    atomic_fetch_sub(s->in_flight, 1);
    job_free(i->job);
    free(i);
}

static void *run(void *arg)
{
    struct sleeper *s = arg;
    pthread_mutex_lock(&s->lock);
    unsigned seed = s->seed++;
    while (!s->closing) {
        if (!s->first || s->draining) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        struct item *i = pop(s);
        s->busy++;
        pthread_mutex_unlock(&s->lock);
        run_item(s, i, &seed);
        pthread_mutex_lock(&s->lock);
        s->busy--;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int main(int argc, char **argv)
{
    enum { ARGS = 6, MOST_THREADS = 64, DRAIN_MS = 5000, TWINS = 1000, WAIT_MS = 100 };
    if (argc != ARGS)
        return 2;
    struct log log = {.component = "sleeper", .level = getenv("CHAOS_VERBOSE") ? LOG_INFO : LOG_ERROR};
    struct sleeper s = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .sleep_us = (int)strtol(argv[5], NULL, 10),
                        .seed = (unsigned)getpid(),
                        .in_flight = gauges_in_flight()};
    struct session_options o = {.broker = argv[1],
                                .class_name = argv[2],
                                .tasks = "caption",
                                .label = "sleeper",
                                .context = 1,
                                .credit = (int)strtol(argv[3], NULL, 10),
                                .drain_ms = DRAIN_MS,
                                .log = &log};
    struct session_engine e = {.ctx = &s, .start = start, .cancel = cancel, .drain = drain, .state = state};
    struct diag why = {.text = ""};
    program_catch_stops(on_signal);
    if (getenv("CHAOS_DEDUP") &&
        (twins_new(TWINS, WAIT_MS, &s.twins) != ST_OK || twins_set_maker(s.twins, "sleeper") != ST_OK))
        return 1;
    o.twins = s.twins;
    if (session_open(&o, &e, &s.session, &why) != ST_OK) {
        fprintf(stderr, "sleeper: %s\n", why.text);
        return 1;
    }
    pthread_t threads[MOST_THREADS];
    int n = (int)strtol(argv[4], NULL, 10);
    for (int i = 0; i < n && i < MOST_THREADS; i++)
        pthread_create(&threads[i], NULL, run, &s);
    enum status st = session_run(s.session, &stop, &why);
    pthread_mutex_lock(&s.lock);
    s.closing = true;
    pthread_cond_broadcast(&s.changed);
    pthread_mutex_unlock(&s.lock);
    for (int i = 0; i < n && i < MOST_THREADS; i++)
        pthread_join(threads[i], NULL);
    session_close(s.session);
    twins_free(s.twins);
    return st == ST_OK ? 0 : 1;
}
