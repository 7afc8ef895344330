/* A case of the queue: a Redis of its own and short ways to call scripts with text; ids are 16 characters. */
#ifndef TESTS_UNIT_PROTOCOL_QUEUE_CASE_H
#define TESTS_UNIT_PROTOCOL_QUEUE_CASE_H

#include "tests/unit/protocol/private_redis.h"

extern struct private_redis queue_redis;
void queue_case_start(void);
void queue_case_spread(int shards); /* a queue of so many shards from here on */
void queue_case_stop(void);

/* NULL-terminated arguments; rows of SUBMIT and FINISH one by one, of CLAIM sessions in front. */
struct store_answer call(enum script script, const char *const *args);
#define CALL(script, ...) call(script, (const char *const[]){__VA_ARGS__, NULL})
struct store_answer call_at(int shard, enum script script, const char *const *args);
struct store_answer call_plain(enum script script, const char *const *args); /* as they are */
#define CALL_PLAIN(script, ...) call_plain(script, (const char *const[]){__VA_ARGS__, NULL})
#define CALL_AT(shard, script, ...) call_at(shard, script, (const char *const[]){__VA_ARGS__, NULL})
#define DO(script, ...)                                                                                                \
    do {                                                                                                               \
        struct store_answer done_ = CALL(script, __VA_ARGS__);                                                         \
        store_answer_free(&done_);                                                                                     \
    } while (0)

#define ID1 "1-job-0000000000"
#define ID2 "2-job-0000000000"
#define ID3 "3-job-0000000000"
#define ROW(id) id, "1", "2", "0", "0", "body of " id
/* SUBMIT's arguments in front of its rows, with a window of 100. */
#define INTO(campaign, n) "100", "70", campaign, "default", "", "0", "0", n
#define LIMITS "16", "512", "2000000", "85", "0.5"
#define CREDIT(session, seq, want) session, seq, want, LIMITS

void expect(struct store_answer a, size_t i, const char *want); /* element i; frees a */
void expect_number(struct store_answer a, size_t i, long long want);
/* total ready running delayed done failed cancelled, checked against their sum. */
void counters(const char *campaign, const char *want);
void campaign(const char *name);
void three(void); /* ID1 .. ID3 in campaign "c" */
void hello(const char *session);
struct store_answer claim(const char *session, const char *seq, const char *want);
enum { CLAIM_STATE = 1, CLAIM_FIRST = 3, CLAIM_ROW = 3 }; /* elements of its answer; a job's row begins with its id */
size_t claimed(const struct store_answer *a);             /* jobs in it */
void expect_claim(const char *session, const char *seq, const char *want, size_t n, const char *state);
void lapse(const char *session);
long long reap(void); /* how many jobs were taken back */

#endif
