/* How fast jobs go through the queue as it ships, beside other queues in the same run, and what they cost.
 *
 *   queue-bench BROKER FLEET FOLDER [RABBIT]     writes FOLDER/queue.*.json
 *
 * QUEUE_JOBS (jobs of a turn), QUEUE_TURNS and QUEUE_DEPTH (jobs of the memory measure) are read from the environment;
 * QUEUE_MEASURES names what to measure, of "scripts rates latency depth fairness dead" (all), and QUEUE_PEERS=0 leaves
 * the other queues out. Redis runs with AOF always, jobs are 0.5 KB, records 1 KB; everything shares the machine, so
 * processor time an image is told beside each rate. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/queue/bench.h"
#include "tests/queue/peers.h"

enum { MOST_TURNS = 9, SUBMITTERS = 4 };

/* ---- a turn --------------------------------------------------------------------------------------------------------
 */

struct submitter {
    struct queue *queue;
    pthread_t thread;
    int index;
};

static void *run_submitter(void *arg)
{
    const struct submitter *s = arg;
    struct client *c = queue_connect(s->queue);
    long each = s->queue->jobs / SUBMITTERS;
    submit_range(c, s->index * each, each, CHAOS_CAMPAIGN, "default");
    client_close(c);
    return NULL;
}

/* Processor time of all that takes part. */
struct usage {
    double redis, broker, fleet, submit;
};

static struct usage usage_of(const struct queue *q)
{
    struct usage u = {
        .redis = cpu_us(q->chaos.pids[ROLE_REDIS][0]), .fleet = cpu_us(q->fleet), .submit = cpu_us(getpid())};
    for (int i = 0; i < q->chaos.count[ROLE_BROKER]; i++)
        u.broker += cpu_us(q->chaos.pids[ROLE_BROKER][i]);
    return u;
}

/* What a turn came to: images a second from the first submit to the last record, how long DONE took, processor time and
 * calls an image. */
struct turn {
    double rate, p50, p99, calls;
    struct usage us;
};

static struct turn take_turn(const struct bench *b, int brokers, const struct fleet_plan *plan)
{
    enum { LOOK_US = 20000 };
    struct queue q;
    struct submitter all[SUBMITTERS];
    struct turn t;
    queue_open(b, brokers, 0, &q);
    fleet_start(b, &q, plan);
    double n = (double)(b->jobs / SUBMITTERS * SUBMITTERS);
    double calls = redis_number(&q, "info commandstats", "cmdstat_evalsha:calls=");
    struct usage before = usage_of(&q);
    int64_t from = clock_us();
    for (int i = 0; i < SUBMITTERS; i++) {
        all[i] = (struct submitter){.queue = &q, .index = i};
        CHECK(pthread_create(&all[i].thread, NULL, run_submitter, &all[i]) == 0);
    }
    while ((double)look(q.client, CHAOS_CAMPAIGN).done < n)
        usleep(LOOK_US);
    t.rate = n * 1e6 / (double)(clock_us() - from);
    struct usage after = usage_of(&q);
    t.us = (struct usage){.redis = (after.redis - before.redis) / n,
                          .broker = (after.broker - before.broker) / n,
                          .fleet = (after.fleet - before.fleet) / n,
                          .submit = (after.submit - before.submit) / n};
    t.calls = (redis_number(&q, "info commandstats", "cmdstat_evalsha:calls=") - calls) / n;
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(all[i].thread, NULL);
    fleet_stop(&q, &t.p50, &t.p99);
    queue_close(&q);
    return t;
}

static double tell(const char *what, double rate)
{
    fprintf(stderr, "  %-16s %9.0f/s\n", what, rate);
    return rate;
}

static struct turn tell_turn(const char *what, struct turn t)
{
    tell(what, t.rate);
    fprintf(
        stderr,
        "    DONE p50 %.1f, p99 %.1f ms; processor time an image: Redis %.1f us, brokers %.1f us, sessions %.1f us, "
        "submitters %.1f us; calls an image %.3f\n",
        t.p50, t.p99, t.us.redis, t.us.broker, t.us.fleet, t.us.submit, t.calls);
    return t;
}

/* ---- others --------------------------------------------------------------------------------------------------------
 */

enum { PEER_SHARE = 40, PEER_LEAST = 100 }; /* they are slower: a share of the jobs is enough */

/* Redis alone: SETs of as many bytes, 64 on the way from each of 64 connections. */
static double plain_rate(const struct bench *b)
{
    struct queue q;
    char command[2 * PATH_LEN];
    queue_open(b, 1, 0, &q);
    snprintf(command, sizeof command, "redis-benchmark -s %s -t set -P 64 -c 64 -d 512 -n %ld -r 1000000 --csv",
             q.chaos.redis, 5 * b->jobs);
    double rate = number_of(command, "\"SET\",\"");
    queue_close(&q);
    return rate;
}

static double celery_rate(const struct bench *b)
{
    struct queue q;
    char command[2 * PATH_LEN];
    queue_open(b, 1, 0, &q);
    snprintf(command, sizeof command, "/usr/bin/python3 tests/queue/celery_jobs.py %s %ld 2>/dev/null", q.chaos.redis,
             b->jobs / PEER_SHARE + PEER_LEAST);
    double rate = number_of(command, "");
    queue_close(&q);
    return rate > 0 ? rate : 0;
}

static double beanstalkd_turn(const struct bench *b)
{
    struct chaos c = {.broker = NULL};
    chaos_init(&c, "beans");
    double rate = beanstalkd_rate(c.dir, b->jobs / PEER_SHARE + PEER_LEAST);
    CHECK(chaos_remove(&c));
    return rate;
}

static double rabbit_turn(const struct bench *b)
{
    struct chaos c = {.broker = NULL};
    char command[2 * PATH_LEN];
    if (!b->rabbit)
        return 0;
    chaos_init(&c, "rabbit");
    snprintf(command, sizeof command, "tests/queue/rabbitmq.sh %s %s %ld 2>/dev/null", b->rabbit, c.dir,
             b->jobs / 4 + PEER_LEAST);
    double rate = number_of(command, "");
    CHECK(chaos_remove(&c));
    return rate > 0 ? rate : 0;
}

/* ---- rates ---------------------------------------------------------------------------------------------------------
 */

enum column { SHIPPED, TWO, FAT, PLAIN, CELERY, BEANS, RABBIT, P50, P99, REDIS, BROKER, FLEET, SUBMIT, CALLS, COLUMNS };

static void note(double columns[COLUMNS][MOST_TURNS], int i, const struct turn *t)
{
    columns[SHIPPED][i] = t->rate;
    columns[P50][i] = t->p50;
    columns[P99][i] = t->p99;
    columns[REDIS][i] = t->us.redis;
    columns[BROKER][i] = t->us.broker;
    columns[FLEET][i] = t->us.fleet;
    columns[SUBMIT][i] = t->us.submit;
    columns[CALLS][i] = t->calls;
}

/* Turns of all, one after the other, so that a busy machine is busy for each. */
static void take_turns(const struct bench *b, bool peers, double columns[COLUMNS][MOST_TURNS])
{
    static const struct fleet_plan shipped = {.sessions = SESSIONS, .credit = CREDIT, .record_bytes = RECORD_BYTES};
    static const struct fleet_plan fat = {.sessions = 1, .credit = FAT_CREDIT, .record_bytes = SMALL_RECORD_BYTES};
    for (int i = 0; i < b->turns; i++) {
        struct turn t = tell_turn("shipped", take_turn(b, 1, &shipped));
        note(columns, i, &t);
        columns[PLAIN][i] = tell("Redis alone", plain_rate(b));
        columns[FAT][i] = tell_turn("one fat session", take_turn(b, 1, &fat)).rate;
        columns[BEANS][i] = peers ? tell("beanstalkd", beanstalkd_turn(b)) : 0;
        columns[TWO][i] = tell_turn("two brokers", take_turn(b, 2, &shipped)).rate;
        columns[CELERY][i] = peers ? tell("Celery", celery_rate(b)) : 0;
        columns[RABBIT][i] = peers ? tell("RabbitMQ quorum", rabbit_turn(b)) : 0;
    }
}

static double ratio(double ours, double theirs)
{
    return theirs > 0 ? ours / theirs : 0;
}

static void measure_rates(const struct bench *b, bool peers)
{
    double columns[COLUMNS][MOST_TURNS], m[COLUMNS];
    take_turns(b, peers, columns);
    for (int i = 0; i < COLUMNS; i++)
        m[i] = percentile(columns[i], (size_t)b->turns, 0.5);
    const struct measure all[] = {
        {"queue.shipped_images_per_s", "images/s", m[SHIPPED], m[PLAIN], 0},
        {"queue.shipped_2_brokers_per_s", "images/s", m[TWO], m[SHIPPED], 0},
        {"queue.ceiling_jobs_per_s", "jobs/s", m[FAT], m[PLAIN], 0},
        {"queue.redis_sets_per_s", "SETs/s", m[PLAIN], 0, 0},
        {"queue.done_p50_ms", "ms", m[P50], 0, 0},
        {"queue.done_p99_ms", "ms", m[P99], 0, 0},
        {"queue.redis_us_per_image", "us", m[REDIS], 1e6 / m[PLAIN], 0},
        {"queue.broker_us_per_image", "us", m[BROKER], 0, 0},
        {"queue.fleet_us_per_image", "us", m[FLEET], 0, 0},
        {"queue.submit_us_per_image", "us", m[SUBMIT], 0, 0},
        {"queue.calls_per_image", "calls", m[CALLS], 0, 0},
        {"queue.celery_ratio", "times", ratio(m[SHIPPED], m[CELERY]), 0, 0},
        {"queue.celery_jobs_per_s", "jobs/s", m[CELERY], 0, 0},
        {"queue.beanstalkd_ratio", "times", ratio(m[SHIPPED], m[BEANS]), 0, 0},
        {"queue.beanstalkd_jobs_per_s", "jobs/s", m[BEANS], 0, 0},
        {"queue.rabbitmq_ratio", "times", ratio(m[SHIPPED], m[RABBIT]), 0, 0},
        {"queue.rabbitmq_jobs_per_s", "jobs/s", m[RABBIT], 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value > 0)
            measure_write(b->folder, &all[i]);
        else if (peers)
            printf("%-36s not measured: not installed\n", all[i].name);
}

static long setting(const char *name, long fallback)
{
    const char *v = getenv(name);
    return v ? strtol(v, NULL, 10) : fallback;
}

static bool wants(const char *measure)
{
    const char *list = getenv("QUEUE_MEASURES");
    return !list || strstr(list, measure);
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        return 2;
    struct bench b = {.broker = argv[1],
                      .fleet = argv[2],
                      .folder = argv[3],
                      .rabbit = argv[4],
                      .jobs = setting("QUEUE_JOBS", 100000),
                      .depth = setting("QUEUE_DEPTH", 1000000),
                      .turns = (int)setting("QUEUE_TURNS", 3)};
    CHECK(b.jobs >= SUBMITTERS && b.depth > 0 && b.turns > 0 && b.turns <= MOST_TURNS);
    if (wants("scripts"))
        measure_scripts(&b);
    if (wants("rates"))
        measure_rates(&b, setting("QUEUE_PEERS", 1) != 0);
    if (wants("latency"))
        measure_latency(&b);
    if (wants("depth"))
        measure_depth(&b);
    if (wants("fairness"))
        measure_fairness(&b);
    if (wants("dead"))
        measure_dead_worker(&b);
    return 0;
}
