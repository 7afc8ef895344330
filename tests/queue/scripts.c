/* What the scripts of a job's life cost Redis: nothing but their calls, one after the other, with so many jobs each.
 * All jobs are handed in first, then handed out, then ended, so that each script's share can be told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/store.h"
#include "tests/queue/bench.h"

enum { SESSION_LEN = 16, MOST_JOBS = 256, CALL_MS = 60000 };
enum step { STEP_SUBMIT, STEP_CLAIM, STEP_FINISH, STEPS };

/* A Redis, one campaign in it, and sessions that hold as many jobs as one call takes, or as a worker's credit. */
struct driver {
    struct queue queue;
    struct store *store;
    const uint8_t *body;
    size_t body_len, group, held, jobs;
};

static struct store_answer call(const struct driver *d, enum script script, struct store_args *args)
{
    struct store_answer a;
    struct diag why = {.text = ""};
    check(store_call(d->store, script, args, CALL_MS, &a, &why), &why);
    store_args_fini(args);
    return a;
}

static void arg_texts(struct store_args *args, const char *const *texts)
{
    for (; *texts; texts++)
        store_arg_str(args, *texts);
}

static void tell(const struct driver *d, enum script script, const char *const *texts)
{
    struct store_args args = {.shard = 0};
    arg_texts(&args, texts);
    struct store_answer a = call(d, script, &args);
    store_answer_free(&a);
}

static void arg_id(struct store_args *args, size_t job)
{
    uint64_t halves[ID_BYTES / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) { /* spread as hashes are */
        halves[i] = (2 * job + i + 1) * 0x9e3779b97f4a7c15U;
        halves[i] ^= halves[i] >> 29;
    }
    store_arg_more(args, halves, sizeof halves);
}

static void arg_session(struct store_args *args, const struct driver *d, size_t job)
{
    char name[SESSION_LEN + 1];
    snprintf(name, sizeof name, "session-%08zu", job / d->held);
    store_arg_str(args, name);
}

/* As the broker hands them in once it knows the campaign's number. */
static void submit_jobs(const struct driver *d, size_t from)
{
    static const char *const front[] = {"100000000", "70", CHAOS_CAMPAIGN, "1", "default", "", "0", "0", NULL};
    static const char stored[] = "1|4|0|1||";
    const uint64_t run[] = {d->group, 1, 4, 0, 0, d->group};
    struct store_args args = {.shard = 0};
    arg_texts(&args, front);
    for (size_t i = 0; i < sizeof run / sizeof *run; i++)
        store_arg_u64(&args, run[i]);
    store_arg(&args, "", 0);
    for (size_t i = 0; i < d->group; i++)
        arg_id(&args, from + i);
    for (size_t i = 0; i < d->group; i++) {
        store_arg_str(&args, stored);
        store_arg_more(&args, d->body, d->body_len);
    }
    struct store_answer a = call(d, SCRIPT_SUBMIT, &args);
    size_t n;
    CHECK(*reply_bytes(&a.reply, 0, &n) == 'n' && n == d->group);
    store_answer_free(&a);
}

static void claim_jobs(const struct driver *d, size_t from)
{
    static const char *const front[] = {"16", "512", "2097152", "85", "0.5", NULL};
    struct store_args args = {.shard = 0};
    arg_texts(&args, front);
    arg_session(&args, d, from);
    store_arg_u64(&args, from + 1);
    store_arg_u64(&args, d->group);
    struct store_answer a = call(d, SCRIPT_CLAIM, &args);
    CHECK(reply_number(&a.reply, 2) == (long long)d->group);
    store_answer_free(&a);
}

/* Jobs are handed out in the order in which they came in. */
static void end_jobs(const struct driver *d, size_t from)
{
    struct store_args args = {.shard = 0};
    char letters[MOST_JOBS], record[RECORD_BYTES];
    memset(letters, 'd', d->group);
    memset(record, 'x', sizeof record);
    arg_session(&args, d, from);
    store_arg(&args, letters, d->group);
    store_arg(&args, "", 0);
    for (size_t i = 0; i < d->group; i++)
        arg_id(&args, from + i);
    for (size_t i = from; i < from + d->group; i++) {
        memcpy(record, &i, sizeof i); /* no two are the same */
        store_arg(&args, record, sizeof record);
    }
    struct store_answer a = call(d, SCRIPT_FINISH, &args);
    size_t n;
    CHECK(*reply_bytes(&a.reply, 0, &n) == 's' && n == d->group);
    store_answer_free(&a);
}

/* What Redis has taken so far: in scripts, and with the reading of calls and the writing of its file. */
struct cost {
    double script_us, all_us;
};

static struct cost cost_of(const struct driver *d)
{
    return (struct cost){.script_us = redis_number(&d->queue, "info commandstats | grep evalsha", ",usec="),
                         .all_us = cpu_us(d->queue.chaos.pids[ROLE_REDIS][0])};
}

static void driver_open(struct driver *d)
{
    static const char *const campaign[] = {CHAOS_CAMPAIGN, "default", CHAOS_CLASS, "bench", "", "", NULL};
    struct diag why = {.text = ""};
    queue_open_redis(&d->queue);
    check(store_open(d->queue.chaos.redis, 1, &d->store, &why), &why);
    check(store_wait_ready(d->store, CALL_MS, &why), &why);
    tell(d, SCRIPT_BOOT, (const char *const[]){"2", "1", NULL});
    tell(d, SCRIPT_CAMPAIGN, campaign);
    for (size_t job = 0; job < d->jobs; job += d->held) {
        struct store_args args = {.shard = 0};
        arg_session(&args, d, job);
        arg_texts(&args, (const char *const[]){"100000000", CHAOS_CLASS "|caption||bench", NULL});
        struct store_answer a = call(d, SCRIPT_HELLO, &args);
        store_answer_free(&a);
    }
}

/* Processor time of Redis a job, for each script. */
static void measure_group(const struct bench *b, size_t group)
{
    static void (*const steps[STEPS])(const struct driver *, size_t) = {submit_jobs, claim_jobs, end_jobs};
    static const char *const names[STEPS] = {"submit", "claim", "finish"};
    size_t some = (size_t)b->jobs / (group == 1 ? 8 : 1); /* one by one takes its time */
    struct driver d = {.group = group, .held = group > CREDIT ? group : CREDIT};
    uint8_t *body = make_body(&d.body_len);
    d.body = body;
    d.jobs = some / d.held * d.held + d.held;
    driver_open(&d);
    fprintf(stderr, "  %3zu jobs a call:", group);
    for (int k = 0; k < STEPS; k++) {
        struct cost before = cost_of(&d);
        for (size_t job = 0; job < d.jobs; job += group)
            steps[k](&d, job);
        struct cost after = cost_of(&d);
        double script = (after.script_us - before.script_us) / (double)d.jobs;
        double all = (after.all_us - before.all_us) / (double)d.jobs;
        char name[64];
        snprintf(name, sizeof name, "queue.%s_us_of_%zu", names[k], group);
        measure_write(b->folder, &(struct measure){name, "us", all, 0, 0});
        fprintf(stderr, "  %s %5.1f us, of it in the script %5.1f", names[k], all, script);
    }
    fprintf(stderr, "\n");
    store_close(d.store);
    queue_close(&d.queue);
    free(body);
}

void measure_scripts(const struct bench *b)
{
    static const size_t groups[] = {1, 16, 64, MOST_JOBS};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        measure_group(b, groups[i]);
}
