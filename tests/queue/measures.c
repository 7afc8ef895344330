/* What is measured beside rates: how long things take, what waiting jobs cost, whose turn it is. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* ACCEPTED: sixteen clients that hand in 16 jobs and wait for the answer. */
enum { CLIENTS = 16, MESSAGE_JOBS = 16, WINDOW = CLIENTS * MESSAGE_JOBS, ANY_WINDOW = 1 << 30 };

struct latency {
    struct queue queue;
    int messages;             /* of each client */
    int window;               /* jobs that were handed in and have no record yet, at most */
    _Atomic int on_the_way;   /* of those */
    double *accepted, *ended; /* how long in ms: one a message, one a job */
    size_t n_accepted, n_ended, n_jobs;
};

struct asker {
    struct latency *of;
    pthread_t thread;
    int index;
};

/* Until there is room for another message. */
static void take_room(struct latency *l)
{
    enum { STEP_US = 200 };
    for (;;) {
        int before = atomic_load(&l->on_the_way);
        if (before + MESSAGE_JOBS > l->window)
            usleep(STEP_US);
        else if (atomic_compare_exchange_strong(&l->on_the_way, &before, before + MESSAGE_JOBS))
            return;
    }
}

static void *run_asker(void *arg)
{
    const struct asker *a = arg;
    struct latency *l = a->of;
    struct client *c = queue_connect(&l->queue);
    struct diag why = {.text = ""};
    for (int i = 0; i < l->messages; i++) {
        take_room(l);
        int64_t from = clock_us();
        for (int k = 0; k < MESSAGE_JOBS; k++) {
            char key[KEY_BYTES];
            snprintf(key, sizeof key, "%lld-%d-%d-%d", (long long)from, a->index, i, k);
            submit(c, key, CHAOS_CAMPAIGN, "default");
        }
        check(client_flush(c, &why), &why);
        l->accepted[a->index * l->messages + i] = (double)(clock_us() - from) / 1000;
    }
    client_close(c);
    return NULL;
}

/* The key says when it was handed in. */
static bool see_result(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    struct latency *l = ctx;
    const char *key = memmem(record, len, "\"id\":\"", 6);
    (void)id;
    if (key && l->n_ended < l->n_jobs) {
        l->ended[l->n_ended++] = (double)(clock_us() - strtoll(key + 6, NULL, 10)) / 1000;
        atomic_fetch_sub(&l->on_the_way, 1);
    }
    return true;
}

static void read_results(struct latency *l)
{
    struct diag why = {.text = ""};
    struct result_cursor cursor = {.shards = 0};
    while (l->n_ended < l->n_jobs) {
        bool more;
        check(client_results(l->queue.client, CHAOS_CAMPAIGN, &cursor, see_result, l, &more, &why), &why);
        if (!more)
            usleep(1000);
    }
}

/* What the disk takes to keep a message's jobs: nothing is accepted sooner. */
static double sync_ms(const struct latency *l)
{
    enum { SYNCS = 200, BYTES = MESSAGE_JOBS << 10 };
    static const char jobs[BYTES];
    char path[PATH_LEN + 16];
    double ms[SYNCS];
    snprintf(path, sizeof path, "%s/synced", l->queue.chaos.dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    CHECK(fd >= 0);
    for (int i = 0; i < SYNCS; i++) {
        int64_t from = clock_us();
        CHECK(write(fd, jobs, BYTES) == BYTES && fdatasync(fd) == 0);
        ms[i] = (double)(clock_us() - from) / 1000;
    }
    close(fd);
    return percentile(ms, SYNCS, 0.99);
}

static void take_latency(const struct bench *b, struct latency *l)
{
    enum { MESSAGES_MOST = 100 };
    struct asker askers[CLIENTS];
    double p50, p99;
    int messages = (int)(b->jobs / WINDOW) + 1;
    l->messages = messages < MESSAGES_MOST ? messages : MESSAGES_MOST;
    l->n_accepted = (size_t)l->messages * CLIENTS;
    l->n_jobs = l->n_accepted * MESSAGE_JOBS;
    l->accepted = malloc(l->n_accepted * sizeof *l->accepted);
    l->ended = malloc(l->n_jobs * sizeof *l->ended);
    CHECK(l->accepted && l->ended);
    queue_open(b, 1, 0, &l->queue);
    fleet_start(b, &l->queue, &shipped);
    for (int i = 0; i < CLIENTS; i++) {
        askers[i] = (struct asker){.of = l, .index = i};
        CHECK(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]) == 0);
    }
    read_results(l);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(askers[i].thread, NULL);
    fleet_stop(&l->queue, &p50, &p99);
}

/* With 256 jobs between hand-in and record, as the goal was set; then with a queue that grows, in which Redis has as
 * much to do as it can and who hands in waits behind all of it. */
void measure_latency(const struct bench *b)
{
    static struct latency few = {.window = WINDOW}, many = {.window = ANY_WINDOW};
    take_latency(b, &few);
    double sync = sync_ms(&few);
    queue_close(&few.queue);
    take_latency(b, &many);
    queue_close(&many.queue);
    const struct measure all[] = {
        {"queue.sync_p99_ms", "ms", sync, 0, 0},
        {"queue.accepted_p50_ms", "ms", percentile(few.accepted, few.n_accepted, 0.5), 0, 0},
        {"queue.accepted_p99_ms", "ms", percentile(few.accepted, few.n_accepted, 0.99), sync, 0},
        {"queue.result_p50_ms", "ms", percentile(few.ended, few.n_ended, 0.5), 0, 0},
        {"queue.result_p99_ms", "ms", percentile(few.ended, few.n_ended, 0.99), sync, 0},
        {"queue.backlog_accepted_p50_ms", "ms", percentile(many.accepted, many.n_accepted, 0.5), 0, 0},
        {"queue.backlog_accepted_p99_ms", "ms", percentile(many.accepted, many.n_accepted, 0.99), sync, 0},
    };
    write_all(b, all, sizeof all / sizeof *all);
    free(few.accepted);
    free(few.ended);
    free(many.accepted);
    free(many.ended);
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
    measure_write(b->folder, &(struct measure){"queue.dead_worker_s", "s", seconds, LEASE / 1000.0, 0});
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
        {"queue.bytes_beyond_body", "B/job", (after - before) / (double)b->depth - (double)body_bytes(), 0, 0},
        {"queue.broker_rss_growth_mb", "MB", grown / 1024, 0, 0},
        {"queue.longest_submit_ms", "ms", submitting, 0, 0},
        {"queue.longest_script_ms", "ms", longest_script_ms(&q), 0, 0},
        {"queue.depth", "jobs", (double)b->depth, 0, 0},
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
    measure_write(b->folder, &(struct measure){"queue.others_done_before_small", "jobs", others, 0, 0});
}
