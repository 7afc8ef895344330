/* How fast jobs go through the queue as it ships, beside other queues in the same run, and what they cost in memory.
 *
 *   queue-bench BROKER FLEET FOLDER     writes FOLDER/queue.*.json
 *
 * QUEUE_JOBS (jobs of a turn), QUEUE_TURNS and QUEUE_DEPTH (jobs of the memory measure) are read from the environment.
 * Redis runs with AOF always, jobs are 0.5 KB, records 1 KB; everything shares the machine. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/client.h"
#include "tests/bench/bench.h"
#include "tests/chaos/chaos.h"
#include "tests/queue/peers.h"

enum { SESSIONS = 64, CREDIT = 32, FAT_CREDIT = 512, KEY_BYTES = 64, META_BYTES = 330, MOST_TURNS = 9 };

struct bench {
    const char *broker, *fleet, *folder;
    long jobs, depth;
    int turns;
};

static void check(enum status s, const struct diag *why)
{
    if (s == ST_OK)
        return;
    fprintf(stderr, "queue-bench: %s\n", why->text);
    exit(1);
}

/* ---- a queue of its own ---------------------------------------------------------------------------------------------
 */

struct queue {
    struct chaos chaos;
    long jobs; /* of a turn */
    struct client *client;
    char report[PATH_LEN + 16];
    pid_t fleet;
};

static struct client *connect_client(const struct queue *q)
{
    char brokers[LIST_LEN];
    struct client *c;
    struct diag why = {.text = ""};
    client_list(&q->chaos, -1, brokers);
    struct client_options o = {.address = brokers, .timeout_ms = 60000};
    check(client_open(&o, &c, &why), &why);
    return c;
}

static void make_campaign(struct client *c, const char *name, const char *tenant)
{
    struct diag why = {.text = ""};
    struct campaign_spec spec = {.name = name, .tenant = tenant, .class_name = CHAOS_CLASS, .pin = "bench"};
    check(client_campaign(c, &spec, NULL, &why), &why);
}

static void queue_open(const struct bench *b, int brokers, struct queue *q)
{
    *q = (struct queue){.jobs = b->jobs,
                        .chaos = {.broker = b->broker,
                                  .route = "direct",
                                  .window = "100000000",
                                  .lease_ms = 30000,
                                  .count = {[ROLE_BROKER] = brokers}}};
    chaos_init(&q->chaos, "bench");
    children_start_all(&q->chaos);
    q->client = connect_client(q);
    make_campaign(q->client, CHAOS_CAMPAIGN, "default");
    snprintf(q->report, sizeof q->report, "%s/report", q->chaos.dir);
}

static void fleet_start(const struct bench *b, struct queue *q, int sessions, int credit)
{
    char brokers[LIST_LEN], n[16], c[16];
    worker_list(&q->chaos, -1, brokers);
    snprintf(n, sizeof n, "%d", sessions);
    snprintf(c, sizeof c, "%d", credit);
    q->fleet = fork();
    if (q->fleet == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(b->fleet, b->fleet, brokers, CHAOS_CLASS, n, c, "1024", q->report, NULL);
        _exit(127);
    }
}

/* Stops the fleet; how long DONE took, in ms. */
static void fleet_stop(struct queue *q, double *p50, double *p99)
{
    unsigned long long n = 0;
    kill(q->fleet, SIGTERM);
    waitpid(q->fleet, NULL, 0);
    FILE *f = fopen(q->report, "r");
    CHECK(f && fscanf(f, "%llu %lf %lf", &n, p50, p99) == 3);
    fclose(f);
}

static void queue_close(struct queue *q)
{
    client_close(q->client);
    children_kill_all(&q->chaos);
    CHECK(chaos_remove(&q->chaos));
}

/* ---- jobs
 * ------------------------------------------------------------------------------------------------------------ */

static void submit(struct client *c, const char *key, const char *campaign, const char *tenant)
{
    struct diag why = {.text = ""};
    struct job_task task = {.kind = TASK_CAPTION, .options = {.max_tokens = 16, .top_p = 1}};
    char meta[META_BYTES + 3], policy[] = "default", names[3][KEY_BYTES];
    memset(meta, 'x', sizeof meta - 1);
    meta[0] = meta[META_BYTES + 1] = '"';
    meta[META_BYTES + 2] = '\0';
    snprintf(names[0], KEY_BYTES, "%s", key);
    snprintf(names[1], KEY_BYTES, "%s", campaign);
    snprintf(names[2], KEY_BYTES, "%s", tenant);
    struct job job = {.key = names[0],
                      .image = names[0],
                      .tasks = &task,
                      .n_tasks = 1,
                      .policy = policy,
                      .meta = meta,
                      .priority = 1,
                      .max_retries = 4,
                      .tenant = names[2],
                      .campaign = names[1]};
    check(client_submit(c, &job, NULL, &why), &why);
}

static size_t body_bytes(void)
{
    struct job_task task = {.kind = TASK_CAPTION, .options = {.max_tokens = 16, .top_p = 1}};
    char meta[META_BYTES + 3], policy[] = "default", key[] = "good-000000", tenant[] = "default",
                               name[] = CHAOS_CAMPAIGN;
    memset(meta, 'x', sizeof meta - 1);
    meta[0] = meta[META_BYTES + 1] = '"';
    meta[META_BYTES + 2] = '\0';
    struct job job = {.key = key,
                      .image = key,
                      .tasks = &task,
                      .n_tasks = 1,
                      .policy = policy,
                      .meta = meta,
                      .priority = 1,
                      .max_retries = 4,
                      .tenant = tenant,
                      .campaign = name};
    uint8_t *bytes;
    size_t len;
    struct diag why = {.text = ""};
    check(job_encode(&job, &bytes, &len, &why), &why);
    free(bytes);
    return len;
}

static void submit_many(struct client *c, long n, const char *campaign, const char *tenant)
{
    struct diag why = {.text = ""};
    for (long i = 0; i < n; i++) {
        char key[KEY_BYTES];
        snprintf(key, sizeof key, "good-%06ld", i);
        submit(c, key, campaign, tenant);
    }
    check(client_flush(c, &why), &why);
}

static struct campaign_status look(struct client *c, const char *campaign)
{
    struct campaign_status s;
    struct diag why = {.text = ""};
    check(client_status(c, campaign, &s, &why), &why);
    return s;
}

/* ---- measures
 * -------------------------------------------------------------------------------------------------------- */

static void *run_submit(void *arg)
{
    struct queue *q = arg;
    struct client *c = connect_client(q);
    submit_many(c, q->jobs, CHAOS_CAMPAIGN, "default");
    client_close(c);
    return NULL;
}

/* Processor time that a process has used, in microseconds. */
static double cpu_us(pid_t pid)
{
    char path[64], line[1024];
    unsigned long long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    const char *at = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    CHECK(at && sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &kernel) == 2);
    fclose(f);
    return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

/* What a turn came to: images a second from the first submit to the last record, and processor time an image. */
struct turn {
    double rate, redis_us, broker_us, fleet_us;
};

static struct turn take_turn(const struct bench *b, int brokers, int sessions, int credit)
{
    enum { LOOK_US = 20000 };
    struct queue q;
    double p50, p99;
    pthread_t submitter;
    queue_open(b, brokers, &q);
    fleet_start(b, &q, sessions, credit);
    int64_t from = clock_us();
    CHECK(pthread_create(&submitter, NULL, run_submit, &q) == 0);
    while (look(q.client, CHAOS_CAMPAIGN).done < (uint64_t)b->jobs)
        usleep(LOOK_US);
    double n = (double)b->jobs;
    struct turn t = {.rate = n * 1e6 / (double)(clock_us() - from),
                     .redis_us = cpu_us(q.chaos.pids[ROLE_REDIS][0]) / n,
                     .broker_us = cpu_us(q.chaos.pids[ROLE_BROKER][0]) / n,
                     .fleet_us = cpu_us(q.fleet) / n};
    pthread_join(submitter, NULL);
    if (getenv("QUEUE_INFO")) {
        char command[2 * PATH_LEN];
        snprintf(command, sizeof command,
                 "redis-cli -s %s info all >/tmp/pace-info; redis-cli -s %s script show >/dev/null 2>&1", q.chaos.redis,
                 q.chaos.redis);
        (void)!system(command);
    }
    fleet_stop(&q, &p50, &p99);
    fprintf(stderr, "DONE p50 %.2f p99 %.2f ms\n", p50, p99);
    queue_close(&q);
    return t;
}

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
    struct client *c = connect_client(a->queue);
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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double *values, size_t n, double p)
{
    qsort(values, n, sizeof *values, by_value);
    return values[(size_t)(p * (double)(n - 1))];
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

static void measure_latency(const struct bench *b)
{
    struct queue q;
    int messages = (int)(b->jobs / (CLIENTS * MESSAGE_JOBS)) + 1;
    size_t n = (size_t)messages * CLIENTS, at = 0;
    double *accepted = malloc(n * sizeof *accepted);
    struct results results = {.ms = malloc(n * MESSAGE_JOBS * sizeof(double)), .cap = n * MESSAGE_JOBS};
    struct asker askers[CLIENTS];
    struct diag why = {.text = ""};
    CHECK(accepted && results.ms);
    queue_open(b, 1, &q);
    fleet_start(b, &q, SESSIONS, CREDIT);
    for (int i = 0; i < CLIENTS; i++, at += (size_t)messages) {
        askers[i] = (struct asker){.queue = &q, .index = i, .messages = messages, .ms = accepted + at};
        CHECK(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]) == 0);
    }
    struct result_cursor cursor = {.shards = 0};
    while (results.n < results.cap) {
        bool more;
        check(client_results(q.client, CHAOS_CAMPAIGN, &cursor, see_result, &results, &more, &why), &why);
        if (!more)
            usleep(1000);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(askers[i].thread, NULL);
    double p50, p99;
    fleet_stop(&q, &p50, &p99);
    queue_close(&q);
    const struct measure all[] = {
        {"queue.accepted_p50_ms", "ms", percentile(accepted, n, 0.5), 0},
        {"queue.accepted_p99_ms", "ms", percentile(accepted, n, 0.99), 0},
        {"queue.result_p50_ms", "ms", percentile(results.ms, results.n, 0.5), 0},
        {"queue.result_p99_ms", "ms", percentile(results.ms, results.n, 0.99), 0},
        {"queue.done_p50_ms", "ms", p50, 0},
        {"queue.done_p99_ms", "ms", p99, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        measure_write(b->folder, &all[i]);
    free(accepted);
    free(results.ms);
}

static double number_of(const char *command, const char *after)
{
    char line[256];
    double v = -1;
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, after);
        if (at)
            v = strtod(at + strlen(after), NULL);
    }
    if (f)
        pclose(f);
    return v;
}

static double redis_memory(const struct queue *q)
{
    char command[2 * PATH_LEN];
    snprintf(command, sizeof command, "redis-cli -s %s info memory", q->chaos.redis);
    return number_of(command, "used_memory:");
}

static double broker_rss_kb(const struct queue *q)
{
    char command[64];
    snprintf(command, sizeof command, "cat /proc/%d/status", (int)q->chaos.pids[ROLE_BROKER][0]);
    return number_of(command, "VmRSS:");
}

static void measure_depth(const struct bench *b)
{
    enum { WARM = 5000 };
    struct queue q;
    queue_open(b, 1, &q);
    make_campaign(q.client, "warm", "default");
    submit_many(q.client, WARM, "warm", "default");
    double before = redis_memory(&q), rss = broker_rss_kb(&q);
    submit_many(q.client, b->depth, CHAOS_CAMPAIGN, "default");
    double bytes = (redis_memory(&q) - before) / (double)b->depth - (double)body_bytes();
    const struct measure all[] = {
        {"queue.bytes_beyond_body", "B/job", bytes, 0},
        {"queue.broker_rss_growth_mb", "MB", (broker_rss_kb(&q) - rss) / 1024, 0},
        {"queue.depth", "jobs", (double)b->depth, 0},
    };
    queue_close(&q);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        measure_write(b->folder, &all[i]);
}

/* How many of the other's jobs were done when the small tenant's first was. */
static void measure_fairness(const struct bench *b)
{
    enum { OTHERS = 100000, SMALL = 100, FEW = 4 };
    struct queue q;
    queue_open(b, 1, &q);
    make_campaign(q.client, "small", "small");
    submit_many(q.client, OTHERS, CHAOS_CAMPAIGN, "default");
    submit_many(q.client, SMALL, "small", "small");
    fleet_start(b, &q, FEW, CREDIT);
    while (look(q.client, "small").done == 0)
        usleep(200);
    double others = (double)look(q.client, CHAOS_CAMPAIGN).done, p50, p99;
    fleet_stop(&q, &p50, &p99);
    queue_close(&q);
    measure_write(b->folder, &(struct measure){"queue.others_done_before_small", "jobs", others, 0});
}

/* Redis alone: SETs of as many bytes, 64 on the way from each of 64 connections. */
static double plain_rate(const struct bench *b)
{
    struct queue q;
    char command[2 * PATH_LEN];
    queue_open(b, 1, &q);
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
    queue_open(b, 1, &q);
    snprintf(command, sizeof command, "/usr/bin/python3 tests/queue/celery_jobs.py %s %ld 2>/dev/null", q.chaos.redis,
             b->jobs / 40 + 100);
    double rate = number_of(command, "");
    queue_close(&q);
    return rate > 0 ? rate : 0;
}

static double beanstalkd_turn(const struct bench *b)
{
    struct chaos c = {.broker = NULL};
    chaos_init(&c, "beans");
    double rate = beanstalkd_rate(c.dir, b->jobs / 40);
    CHECK(chaos_remove(&c));
    return rate;
}

static double tell(const char *what, double rate)
{
    fprintf(stderr, "  %-16s %9.0f/s\n", what, rate);
    return rate;
}

/* Turns of all, one after the other, so that a busy machine is busy for each. */
static void measure_rates(const struct bench *b)
{
    double shipped[MOST_TURNS], two[MOST_TURNS], fat[MOST_TURNS], plain[MOST_TURNS], celery[MOST_TURNS];
    double beans[MOST_TURNS], redis_us[MOST_TURNS], broker_us[MOST_TURNS], fleet_us[MOST_TURNS];
    size_t n = (size_t)b->turns;
    for (int i = 0; i < b->turns; i++) {
        struct turn t = take_turn(b, 1, SESSIONS, CREDIT);
        shipped[i] = tell("shipped", t.rate);
        fprintf(stderr, "    processor time an image: Redis %.0f us, broker %.0f us, 64 sessions %.0f us\n", t.redis_us,
                t.broker_us, t.fleet_us);
        redis_us[i] = t.redis_us, broker_us[i] = t.broker_us, fleet_us[i] = t.fleet_us;
        plain[i] = tell("Redis alone", plain_rate(b));
        fat[i] = tell("one fat session", take_turn(b, 1, 1, FAT_CREDIT).rate);
        beans[i] = tell("beanstalkd", beanstalkd_turn(b));
        two[i] = tell("two brokers", take_turn(b, 2, SESSIONS, CREDIT).rate);
        celery[i] = tell("Celery", celery_rate(b));
    }
    double images = percentile(shipped, n, 0.5), set = percentile(plain, n, 0.5);
    double celeries = percentile(celery, n, 0.5), beanstalks = percentile(beans, n, 0.5);
    const struct measure all[] = {
        {"queue.shipped_images_per_s", "images/s", images, set},
        {"queue.shipped_2_brokers_per_s", "images/s", percentile(two, n, 0.5), images},
        {"queue.ceiling_jobs_per_s", "jobs/s", percentile(fat, n, 0.5), set},
        {"queue.redis_sets_per_s", "SETs/s", set, 0},
        {"queue.redis_us_per_image", "us", percentile(redis_us, n, 0.5), 0},
        {"queue.broker_us_per_image", "us", percentile(broker_us, n, 0.5), 0},
        {"queue.fleet_us_per_image", "us", percentile(fleet_us, n, 0.5), 0},
        {"queue.celery_ratio", "times", celeries > 0 ? images / celeries : 0, 0},
        {"queue.celery_jobs_per_s", "jobs/s", celeries, 0},
        {"queue.beanstalkd_ratio", "times", beanstalks > 0 ? images / beanstalks : 0, 0},
        {"queue.beanstalkd_jobs_per_s", "jobs/s", beanstalks, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value > 0)
            measure_write(b->folder, &all[i]);
        else
            printf("%-36s not measured: not installed\n", all[i].name);
}

static long setting(const char *name, long fallback)
{
    const char *v = getenv(name);
    return v ? strtol(v, NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    struct bench b = {.broker = argv[1],
                      .fleet = argv[2],
                      .folder = argv[3],
                      .jobs = setting("QUEUE_JOBS", 100000),
                      .depth = setting("QUEUE_DEPTH", 1000000),
                      .turns = (int)setting("QUEUE_TURNS", 3)};
    const char *only = getenv("QUEUE_ONLY");
    if (only) {
        bool fat = strcmp(only, "fat") == 0;
        for (int i = 0; i < b.turns; i++) {
            struct turn t = take_turn(&b, 1, fat ? 1 : SESSIONS, fat ? FAT_CREDIT : CREDIT);
            fprintf(stderr, "%s %.0f/s redis %.1f us broker %.1f fleet %.1f\n", only, t.rate, t.redis_us, t.broker_us,
                    t.fleet_us);
        }
        return 0;
    }
    CHECK(b.jobs > 0 && b.depth > 0 && b.turns > 0 && b.turns <= MOST_TURNS);
    measure_rates(&b);
    measure_latency(&b);
    measure_depth(&b);
    measure_fairness(&b);
    return 0;
}
