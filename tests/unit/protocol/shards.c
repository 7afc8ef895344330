/* A queue of four shards on one Redis: what several of them say together. The fourth character of an id is its shard.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/slots.h"
#include "tests/unit/protocol/queue_case.h"

#define ON(shard, n) "id-" #shard "-" n "----------"
#define A0 ON(0, "a")
#define A1 ON(1, "a")
#define A2 ON(2, "a")
#define A3 ON(3, "a")
#define B1 ON(1, "b")
#define B3 ON(3, "b")

static void start(void)
{
    queue_case_start();
    queue_case_spread(4);
}

TestSuite(shards, .init = start, .fini = queue_case_stop, .timeout = 60);

/* How many jobs lie on a shard. */
static size_t jobs_on(int shard)
{
    struct store_answer a = CALL_AT(shard, SCRIPT_FSCK_WALK, "job", "job", "0", "100");
    size_t n = (a.reply.n - 1) / 2;
    store_answer_free(&a);
    return n;
}

static void six(void)
{
    campaign("c");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "6"), ROW(A3), ROW(A0), ROW(B3), ROW(A1), ROW(A2), ROW(B1)), 0, "nnnnnn");
}

/* All that waits, from each shard in turn; at: sequence number of the first claim. */
static void claim_all(const char *session, int at)
{
    for (int shard = 0; shard < 4; shard++) {
        char seq[16];
        snprintf(seq, sizeof seq, "%d", at + shard);
        struct store_answer a = CALL_AT(shard, SCRIPT_CLAIM, CREDIT(session, seq, "9"));
        store_answer_free(&a);
    }
}

Test(shards, ids_and_slots_are_spread_as_written_down)
{
    const uint8_t id[] = {0x00, 0x01, 0x02, 0x07, 0xff};
    cr_expect_eq(store_shard_of(id, 5), 0x10207 % 5);
    cr_expect_eq(slots_of_shard(0), 13109); /* as CLUSTER KEYSLOT {q:0} says */
}

Test(shards, a_submit_is_answered_in_the_order_of_its_rows_and_each_lies_on_its_shard)
{
    six();
    const size_t want[] = {1, 2, 1, 2};
    for (int shard = 0; shard < 4; shard++)
        cr_expect_eq(jobs_on(shard), want[shard], "shard %d: %zu", shard, jobs_on(shard));
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "4"), ROW(ON(2, "x")), ROW(A3), ROW(ON(0, "x")), ROW(A0)), 0, "ndnd");
    counters("c", "8 8 0 0 0 0 0");
}

Test(shards, several_messages_of_one_call_are_answered_one_by_one)
{
    campaign("c");
    campaign("d");
    struct store_answer a = CALL(SCRIPT_SUBMIT, INTO("c", "2"), ROW(A1), ROW(A2), "nowhere", "t", "", "0", "0", "1",
                                 ROW(A3), "d", "default", "", "0", "0", "3", ROW(ON(3, "d")), ROW(ON(1, "d")), ROW(A0));
    cr_expect(reply_is(&a.reply, 0, "nn") && reply_is(&a.reply, 3, "X") && reply_is(&a.reply, 6, "nnn"));
    cr_expect(reply_number(&a.reply, 1) == 2 && reply_number(&a.reply, 7) == 3);
    store_answer_free(&a);
    counters("c", "2 2 0 0 0 0 0");
    counters("d", "3 3 0 0 0 0 0");
}

Test(shards, a_window_and_a_quota_are_minded_in_equal_parts)
{
    campaign("c");
    DO(SCRIPT_TENANT, "default", "", "4");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "4"), ROW(A0), ROW(A1), ROW(A2), ROW(A3)), 0, "nnnn");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "1"), ROW(B1)), 0, "Q");
    expect_number(CALL(SCRIPT_TENANT, "default", "", ""), 2, 4);
    DO(SCRIPT_TENANT, "default", "", "0");
    expect(CALL(SCRIPT_SUBMIT, "4", "70", "c", "default", "", "0", "0", "1", ROW(B1)), 0, "B");
    expect(CALL(SCRIPT_SUBMIT, "5", "70", "c", "default", "", "0", "0", "1", ROW(B1)), 0, "n");
}

Test(shards, a_place_is_that_of_the_shard_that_knows_least)
{
    enum { MANIFEST = 13, OFFSET };
    const char *m = "manifest of thirty-two bytes ---";
    campaign("c");
    DO(SCRIPT_SUBMIT, "100", "70", "c", "", m, "700", "0", "0");
    struct store_answer a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_expect(reply_is(&a.reply.items[1], MANIFEST, m) && reply_is(&a.reply.items[1], OFFSET, "700"));
    store_answer_free(&a);
    DO(SCRIPT_SUBMIT, "100", "70", "c", "default", m, "900", "0", "1", ROW(A2)); /* the others have not heard of it */
    a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_expect(reply_is(&a.reply.items[1], MANIFEST, m) && reply_is(&a.reply.items[1], OFFSET, "700"));
    store_answer_free(&a);
    DO(SCRIPT_SUBMIT, "100", "70", "c", "default", "another one of thirty-two bytes!", "10", "0", "1", ROW(A3));
    a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_expect(reply_is(&a.reply.items[1], MANIFEST, ""));
    store_answer_free(&a);
}

Test(shards, a_session_is_one_on_all_shards_and_ends_are_answered_in_order)
{
    six();
    hello("s1");
    claim_all("s1", 1);
    counters("c", "6 0 6 0 0 0 0");
    struct store_answer a = CALL(SCRIPT_HEARTBEAT, "s1", "60000", A3, A1);
    cr_expect(reply_is(&a.reply, 0, "ok") && reply_number(&a.reply, 1) == 6 && reply_number(&a.reply, 4) == 0);
    store_answer_free(&a);
    a = CALL(SCRIPT_WORKERS, "");
    cr_expect(a.reply.n == 6 && reply_number(&a.reply, 2) == 6);
    store_answer_free(&a);
    a = CALL(SCRIPT_FINISH, "s1", A3, "d", "r", ON(2, "-"), "d", "r", A1, "d", "r", B3, "f", "r");
    cr_expect(reply_is(&a.reply, 0, "s0ss"));
    store_answer_free(&a);
    a = CALL(SCRIPT_RESUME, "s1", "9", "2000000", A0, A3);
    cr_expect(reply_is(&a.reply, 0, "ok") && reply_is(&a.reply, 2, A3) && a.reply.n == 3 + 2 * 3);
    store_answer_free(&a);
    expect_number(CALL(SCRIPT_HANDBACK, "s1", "1"), 0, 3);
    counters("c", "6 3 0 0 2 1 0");
    expect(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 0, "gone");
}

Test(shards, suspects_run_alone_whatever_the_session_has_elsewhere)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, INTO("c", "2"), ROW(A1), ROW(A2));
    hello("s1");
    DO(SCRIPT_HEARTBEAT, "s1", "60000");
    struct store_answer a = CALL_AT(1, SCRIPT_CLAIM, CREDIT("s1", "1", "9"));
    expect(a, 1, "ok");
    DO(SCRIPT_HEARTBEAT, "s1", "0", A1);
    for (int i = 0; i < 2; i++) {
        a = CALL_AT(1, SCRIPT_REAP, "1", "60000", "3");
        store_answer_free(&a);
        cr_assert_eq(usleep(5000), 0);
    }
    hello("s2");
    expect(CALL_AT(1, SCRIPT_CLAIM, CREDIT("s2", "1", "9|1")), 1, "alone"); /* it has one of another shard */
    expect(CALL_AT(1, SCRIPT_CLAIM, CREDIT("s2", "1", "9|0")), 1, "suspects");
    expect_number(CALL(SCRIPT_HELLO, "s2", "60000", "m/f32|caption||here"), 2, 1 + 1);
}

Test(shards, what_failed_is_listed_tried_again_and_forgotten_on_all_of_them)
{
    six();
    hello("s1");
    claim_all("s1", 1);
    DO(SCRIPT_FINISH, "s1", A0, "f", "r0", A1, "f", "r1", A2, "f", "r2", A3, "f", "r3", B1, "d", "\"uri\":\"x\"", B3,
       "d", "\"uri\":\"y\"");
    size_t dead = 0, met = 0, again = 0;
    char at[64] = "0";
    do {
        struct store_answer a = CALL(SCRIPT_DEAD, "c", at, "100", "100000");
        dead += (a.reply.n - 2) / 3;
        snprintf(at, sizeof at, "%lld", (long long)reply_number(&a.reply, 0));
        store_answer_free(&a);
    } while (strcmp(at, "0") != 0);
    cr_expect_eq(dead, 4);
    at[0] = '\0';
    do {
        struct store_answer a = CALL(SCRIPT_FORGET, "uri x", "", "\"uri\":\"x\"", at, "64");
        size_t len;
        const char *next = reply_bytes(&a.reply, 0, &len);
        snprintf(at, sizeof at, "%.*s", (int)len, next);
        met += (size_t)reply_number(&a.reply, 1);
        store_answer_free(&a);
    } while (at[0]);
    cr_expect_eq(met, 1);
    snprintf(at, sizeof at, "0");
    do {
        struct store_answer a = CALL(SCRIPT_REQUEUE, "c", at, "100");
        again += (size_t)reply_number(&a.reply, 1);
        snprintf(at, sizeof at, "%lld", (long long)reply_number(&a.reply, 0));
        store_answer_free(&a);
    } while (strcmp(at, "0") != 0);
    cr_expect_eq(again, 4);
    counters("c", "6 4 0 0 2 0 0");
}

Test(shards, campaigns_are_listed_once_and_set_on_all_shards)
{
    six();
    campaign("d");
    struct store_answer a = CALL(SCRIPT_STATUS, "", "1", "85", "0.5");
    cr_expect(a.reply.n == 3 && reply_number(&a.reply.items[1], 4) == 6 && reply_number(&a.reply.items[2], 4) == 0);
    store_answer_free(&a);
    expect(CALL(SCRIPT_CAMPAIGN_SET, "c", "paused"), 0, "ok");
    hello("s1");
    claim_all("s1", 1);
    counters("c", "6 6 0 0 0 0 0");
    expect(CALL(SCRIPT_CAMPAIGN_SET, "nowhere", "paused"), 0, "missing");
    expect(CALL(SCRIPT_CAMPAIGN, "c", "default", "m/f32", "another", "", ""), 0, "differs");
}
