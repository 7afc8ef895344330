#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/caption_job.h"
#include "tests/queue/bench.h"

enum { META_BYTES = 330 };

void check(enum status s, const struct diag *why)
{
    if (s == ST_OK)
        return;
    fprintf(stderr, "queue-bench: %s\n", why->text);
    exit(1);
}

/* ---- the queue -----------------------------------------------------------------------------------------------------
 */

struct client *queue_connect(const struct queue *q)
{
    char brokers[LIST_LEN];
    struct client *c;
    struct diag why = {.text = ""};
    client_list(&q->chaos, -1, brokers);
    struct client_options o = {.address = brokers, .timeout_ms = 60000};
    check(client_open(&o, &c, &why), &why);
    return c;
}

void queue_campaign(struct client *c, const char *name, const char *tenant)
{
    struct diag why = {.text = ""};
    struct campaign_spec spec = {.name = name, .tenant = tenant, .class_name = CHAOS_CLASS, .pin = "bench"};
    check(client_campaign(c, &spec, NULL, &why), &why);
}

static void start_all(struct queue *q)
{
    chaos_init(&q->chaos, "bench");
    children_start_all(&q->chaos);
    (void)redis_number(q, "config set auto-aof-rewrite-min-size 256mb", "OK"); /* as deploy/redis.conf has it, */
    (void)redis_number(q, "config set hash-max-listpack-entries 64", "OK");    /* and this */
    (void)redis_number(q, "config set maxmemory 16gb", "OK");                  /* ten million jobs fit */
}

void queue_open(const struct bench *b, int brokers, int lease_ms, struct queue *q)
{
    enum { LONG_LEASE_MS = 30000 };
    *q = (struct queue){.jobs = b->jobs,
                        .chaos = {.broker = b->broker,
                                  .route = "direct",
                                  .window = "100000000",
                                  .lease_ms = lease_ms ? lease_ms : LONG_LEASE_MS,
                                  .count = {[ROLE_BROKER] = brokers}}};
    start_all(q);
    q->client = queue_connect(q);
    queue_campaign(q->client, CHAOS_CAMPAIGN, "default");
    snprintf(q->report, sizeof q->report, "%s/report", q->chaos.dir);
}

void queue_open_redis(struct queue *q)
{
    *q = (struct queue){.jobs = 0};
    start_all(q);
}

void queue_close(struct queue *q)
{
    client_close(q->client);
    children_kill_all(&q->chaos);
    CHECK(chaos_remove(&q->chaos));
}

/* ---- sessions ------------------------------------------------------------------------------------------------------
 */

static void wait_sessions(struct queue *q, size_t n)
{
    enum { STEP_US = 20000, TRIES = 1500 };
    struct diag why = {.text = ""};
    for (int i = 0; i < TRIES; i++) {
        struct worker_status *all = NULL;
        size_t there = 0;
        check(client_workers(q->client, &all, &there, &why), &why);
        free(all);
        if (there >= n)
            return;
        usleep(STEP_US);
    }
    CHECK(false && "all sessions came");
}

void fleet_start(const struct bench *b, struct queue *q, const struct fleet_plan *plan)
{
    char brokers[LIST_LEN], sessions[16], credit[16], bytes[16];
    worker_list(&q->chaos, -1, brokers);
    snprintf(sessions, sizeof sessions, "%d", plan->sessions);
    snprintf(credit, sizeof credit, "%d", plan->credit);
    snprintf(bytes, sizeof bytes, "%d", plan->record_bytes);
    q->fleet = fork();
    if (q->fleet == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(b->fleet, b->fleet, brokers, CHAOS_CLASS, sessions, credit, bytes, q->report,
              plan->holds ? "hold" : "end", NULL);
        _exit(127);
    }
    wait_sessions(q, (size_t)plan->sessions);
}

void fleet_stop(struct queue *q, double *p50, double *p99)
{
    unsigned long long n = 0;
    kill(q->fleet, SIGTERM);
    waitpid(q->fleet, NULL, 0);
    FILE *f = fopen(q->report, "r");
    CHECK(f && fscanf(f, "%llu %lf %lf", &n, p50, p99) == 3);
    fclose(f);
}

void fleet_kill(struct queue *q)
{
    kill(q->fleet, SIGKILL);
    waitpid(q->fleet, NULL, 0);
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------
 */

/* A job of about half a KB. Borrows all texts. */
static struct job make_job(const char *key, const char *campaign, const char *tenant)
{
    static char meta[META_BYTES + 3];
    memset(meta, 'x', sizeof meta - 1);
    meta[0] = meta[META_BYTES + 1] = '"';
    struct job job = caption_job(key, tenant, campaign);
    job.meta = meta;
    return job;
}

void submit(struct client *c, const char *key, const char *campaign, const char *tenant)
{
    struct diag why = {.text = ""};
    struct job job = make_job(key, campaign, tenant);
    check(client_submit(c, &job, NULL, &why), &why);
}

uint8_t *make_body(size_t *len)
{
    struct diag why = {.text = ""};
    struct job job = make_job("good-000000", CHAOS_CAMPAIGN, "default");
    uint8_t *bytes;
    check(job_encode(&job, &bytes, len, &why), &why);
    return bytes;
}

size_t body_bytes(void)
{
    size_t len;
    free(make_body(&len));
    return len;
}

void submit_range(struct client *c, long from, long n, const char *campaign, const char *tenant)
{
    struct diag why = {.text = ""};
    for (long i = from; i < from + n; i++) {
        char key[KEY_BYTES];
        snprintf(key, sizeof key, "good-%06ld", i);
        submit(c, key, campaign, tenant);
    }
    check(client_flush(c, &why), &why);
}

struct campaign_status look(struct client *c, const char *campaign)
{
    struct campaign_status s;
    struct diag why = {.text = ""};
    check(client_status(c, campaign, &s, &why), &why);
    return s;
}

/* ---- numbers -------------------------------------------------------------------------------------------------------
 */

double cpu_us(pid_t pid)
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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double percentile(double *values, size_t n, double p)
{
    qsort(values, n, sizeof *values, by_value);
    return values[(size_t)(p * (double)(n - 1))];
}

double number_of(const char *command, const char *after)
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

double redis_number(const struct queue *q, const char *command, const char *after)
{
    char line[2 * PATH_LEN];
    snprintf(line, sizeof line, "redis-cli -s %s %s", q->chaos.redis, command);
    return number_of(line, after);
}
