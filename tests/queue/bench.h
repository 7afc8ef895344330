/* The bench's queue: Redis, brokers and sessions of its own, jobs that it hands in. */
#ifndef TESTS_QUEUE_BENCH_H
#define TESTS_QUEUE_BENCH_H

#include <sys/types.h>

#include "protocol/client.h"
#include "tests/bench/bench.h"
#include "tests/chaos/chaos.h"

enum { SESSIONS = 64, CREDIT = 32, FAT_CREDIT = 512, RECORD_BYTES = 1024, SMALL_RECORD_BYTES = 128, KEY_BYTES = 64 };

struct bench {
    const char *broker, *fleet, *folder, *rabbit; /* rabbit: NULL, not there */
    long jobs, depth;
    int turns;
};

struct queue {
    struct chaos chaos;
    long jobs; /* of a turn */
    struct client *client;
    char report[PATH_LEN + 16];
    pid_t fleet;
};

/* Ends the program where something failed. */
void check(enum status s, const struct diag *why);

/* lease_ms 0: longer than a turn. The campaign CHAOS_CAMPAIGN is there. */
void queue_open(const struct bench *b, int brokers, int lease_ms, struct queue *q);
void queue_close(struct queue *q);
void queue_open_redis(struct queue *q); /* nothing else; closed by queue_close too */
struct client *queue_connect(const struct queue *q);
void queue_campaign(struct client *c, const char *name, const char *tenant);

struct fleet_plan {
    int sessions, credit, record_bytes;
    bool holds; /* jobs never end */
};
void fleet_start(const struct bench *b, struct queue *q, const struct fleet_plan *plan); /* all have said HELLO */
void fleet_stop(struct queue *q, double *p50, double *p99);                              /* how long DONE took, in ms */
void fleet_kill(struct queue *q);                                                        /* -9 */

void submit(struct client *c, const char *key, const char *campaign, const char *tenant);
void submit_range(struct client *c, long from, long n, const char *campaign, const char *tenant);
uint8_t *make_body(size_t *len); /* of such a job, malloc'ed */
size_t body_bytes(void);         /* how many it has */
struct campaign_status look(struct client *c, const char *campaign);

double cpu_us(pid_t pid);                                 /* processor time so far */
double percentile(double *values, size_t n, double p);    /* sorts them */
double number_of(const char *command, const char *after); /* behind that word in what it prints; -1: not there */
double redis_number(const struct queue *q, const char *command, const char *after); /* of redis-cli */

/* scripts.c */
void measure_scripts(const struct bench *b);

/* measures.c */
void measure_latency(const struct bench *b);
void measure_depth(const struct bench *b);
void measure_fairness(const struct bench *b);
void measure_dead_worker(const struct bench *b);

#endif
