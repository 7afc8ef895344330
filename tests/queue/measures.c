/* What is measured beside rates: how long things take, what waiting jobs cost, whose turn it is. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/queue/bench.h"

static const struct fleet_plan shipped = {.sessions = SESSIONS, .credit = CREDIT, .record_bytes = RECORD_BYTES};

static void write_all(const struct bench *b, const struct measure *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        measure_write(b->folder, &all[i]);
}

/* ---- latency -------------------------------------------------------------------------------------------------------
 */

/* ACCEPTED: clients that hand in 16 jobs and wait, sixteen of them: 256 jobs on the way. */
enum { CLIENTS = 16, MESSAGE_JOBS = 16 };
struct asker {
    struct queue *queue;
    pthread_t thread;
    int index, messages;
    double *ms; /* one a message */
};

static void *run_asker(void *arg)
{
    struct asker *a = arg;
    struct client *c = queue_connect(a->queue);
    struct diag why = {.text = ""};
    for (int i = 0; i < a->messages; i++) {
        int64_t from = clock_us();
        for (int k = 0; k < MESSAGE_JOBS; k++) {
            char key[KEY_BYTES];
            snprintf(key, sizeof key, "%lld-%d-%d-%d", (long long)clock_us(), a->index, i, k);
            submit(c, key, CHAOS_CAMPAIGN, "default");
        }
        check(client_flush(c, &why), &why);
        a->ms[i] = (double)(clock_us() - from) / 1000;
    }
    client_close(c);
    return NULL;
}

struct results {
    double *ms;
    size_t n, cap;
};

/* The key says when it was handed in. */
static bool see_result(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    struct results *r = ctx;
    const char *key = memmem(record, len, "\"id\":\"", 6);
    (void)id;
    if (key && r->n < r->cap)
        r->ms[r->n++] = (double)(clock_us() - strtoll(key + 6, NULL, 10)) / 1000;
    return true;
}

static void read_results(struct queue *q, struct results *r)
{
    struct diag why = {.text = ""};
    struct result_cursor cursor = {.shards = 0};
    while (r->n < r->cap) {
        bool more;
        check(client_results(q->client, CHAOS_CAMPAIGN, &cursor, see_result, r, &more, &why), &why);
        if (!more)
            usleep(1000);
    }
}

void measure_latency(const struct bench *b)
{
    enum { MESSAGES_MOST = 100 };
    struct queue q;
    int messages = (int)(b->jobs / (CLIENTS * MESSAGE_JOBS)) + 1;
    messages = messages < MESSAGES_MOST ? messages : MESSAGES_MOST;
    size_t n = (size_t)messages * CLIENTS, at = 0;
    double *accepted = malloc(n * sizeof *accepted), p50, p99;
    struct results results = {.ms = malloc(n * MESSAGE_JOBS * sizeof(double)), .cap = n * MESSAGE_JOBS};
    struct asker askers[CLIENTS];
    CHECK(accepted && results.ms);
    queue_open(b, 1, 0, &q);
    fleet_start(b, &q, &shipped);
    for (int i = 0; i < CLIENTS; i++, at += (size_t)messages) {
        askers[i] = (struct asker){.queue = &q, .index = i, .messages = messages, .ms = accepted + at};
        CHECK(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]) == 0);
    }
    read_results(&q, &results);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(askers[i].thread, NULL);
    fleet_stop(&q, &p50, &p99);
    queue_close(&q);
    const struct measure all[] = {
        {"queue.accepted_p50_ms", "ms", percentile(accepted, n, 0.5), 0},
        {"queue.accepted_p99_ms", "ms", percentile(accepted, n, 0.99), 0},
        {"queue.result_p50_ms", "ms", percentile(results.ms, results.n, 0.5), 0},
        {"queue.result_p99_ms", "ms", percentile(results.ms, results.n, 0.99), 0},
    };
    write_all(b, all, sizeof all / sizeof *all);
    free(accepted);
    free(results.ms);
}

/* ---- a worker that dies --------------------------------------------------------------------------------------------
 */

/* With the lease that ships: from kill -9 of a session that holds jobs until another one has ended them. */
void measure_dead_worker(const struct bench *b)
{
    enum { LEASE = 12000, JOBS = 32, STEP_US = 10000 };
    const struct fleet_plan holding = {.sessions = 1, .credit = JOBS, .record_bytes = RECORD_BYTES, .holds = true};
    const struct fleet_plan ending = {.sessions = 1, .credit = JOBS, .record_bytes = RECORD_BYTES};
    struct queue q;
    double p50, p99;
    queue_open(b, 1, LEASE, &q);
    fleet_start(b, &q, &holding);
    submit_range(q.client, 0, JOBS, CHAOS_CAMPAIGN, "default");
    while (look(q.client, CHAOS_CAMPAIGN).running < JOBS)
        usleep(STEP_US);
    fleet_kill(&q);
    int64_t from = clock_ms();
    fleet_start(b, &q, &ending);
    while (look(q.client, CHAOS_CAMPAIGN).done < JOBS)
        usleep(STEP_US);
    double seconds = (double)(clock_ms() - from) / 1000;
    fleet_stop(&q, &p50, &p99);
    queue_close(&q);
    measure_write(b->folder, &(struct measure){"queue.dead_worker_s", "s", seconds, LEASE / 1000.0});
}

/* ---- depth ---------------------------------------------------------------------------------------------------------
 */

static double broker_rss_kb(const struct queue *q)
{
    char command[64];
    snprintf(command, sizeof command, "cat /proc/%d/status", (int)q->chaos.pids[ROLE_BROKER][0]);
    return number_of(command, "VmRSS:");
}

/* Of all scripts since the queue was opened: how long the longest one took. */
static double longest_script_ms(const struct queue *q)
{
    return redis_number(q, "info latencystats", "usec_evalsha:p100=") / 1000;
}

/* What brokers, workers and operators do to a deep queue: hand out and end some of it, pause, resume and give it up. */
static void work_at_depth(const struct bench *b, struct queue *q)
{
    enum { SOME = 20000, STEP_US = 20000, SWEEP_US = 3000000 };
    static const enum campaign_state states[] = {CAMPAIGN_PAUSED, CAMPAIGN_ACTIVE, CAMPAIGN_PURGED};
    struct diag why = {.text = ""};
    uint64_t some = b->depth / 2 < SOME ? (uint64_t)b->depth / 2 : SOME;
    double p50, p99;
    fleet_start(b, q, &shipped);
    while (look(q->client, CHAOS_CAMPAIGN).done < some)
        usleep(STEP_US);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        check(client_campaign_set(q->client, CHAOS_CAMPAIGN, states[i], NULL, &why), &why);
    usleep(SWEEP_US);
    fleet_stop(q, &p50, &p99);
}

void measure_depth(const struct bench *b)
{
    enum { WARM = 5000 };
    struct queue q;
    queue_open(b, 1, 0, &q);
    queue_campaign(q.client, "warm", "default");
    submit_range(q.client, 0, WARM, "warm", "default");
    (void)redis_number(&q, "config set latency-tracking-info-percentiles 100", "OK");
    double before = redis_number(&q, "info memory", "used_memory:"), rss = broker_rss_kb(&q);
    submit_range(q.client, 0, b->depth, CHAOS_CAMPAIGN, "default");
    double after = redis_number(&q, "info memory", "used_memory:"), grown = broker_rss_kb(&q) - rss;
    double submitting = longest_script_ms(&q);
    work_at_depth(b, &q);
    const struct measure all[] = {
        {"queue.bytes_beyond_body", "B/job", (after - before) / (double)b->depth - (double)body_bytes(), 0},
        {"queue.broker_rss_growth_mb", "MB", grown / 1024, 0},
        {"queue.longest_submit_ms", "ms", submitting, 0},
        {"queue.longest_script_ms", "ms", longest_script_ms(&q), 0},
        {"queue.depth", "jobs", (double)b->depth, 0},
    };
    queue_close(&q);
    write_all(b, all, sizeof all / sizeof *all);
}

/* ---- fairness ------------------------------------------------------------------------------------------------------
 */

/* How many of the other's jobs were done when the small tenant's first was. */
void measure_fairness(const struct bench *b)
{
    enum { OTHERS = 100000, SMALL = 100, STEP_US = 200 };
    const struct fleet_plan few = {.sessions = 4, .credit = CREDIT, .record_bytes = RECORD_BYTES};
    struct queue q;
    queue_open(b, 1, 0, &q);
    queue_campaign(q.client, "small", "small");
    submit_range(q.client, 0, OTHERS, CHAOS_CAMPAIGN, "default");
    submit_range(q.client, 0, SMALL, "small", "small");
    fleet_start(b, &q, &few);
    while (look(q.client, "small").done == 0)
        usleep(STEP_US);
    double others = (double)look(q.client, CHAOS_CAMPAIGN).done, p50, p99;
    fleet_stop(&q, &p50, &p99);
    queue_close(&q);
    measure_write(b->folder, &(struct measure){"queue.others_done_before_small", "jobs", others, 0});
}
