/* What operators do: single jobs, what failed for good, campaigns closed, things forgotten. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/protocol/queue_case.h"

TestSuite(scripts_operate, .init = queue_case_start, .fini = queue_case_stop);

static void expect_state(const char *id, const char *want)
{
    expect(CALL(SCRIPT_JOB, id, "show", "0"), 0, want);
}

Test(scripts_operate, a_job_is_found_wherever_it_is)
{
    three();
    hello("s1");
    expect_state(ID1, "ready");
    expect_state("9-job-0000000000", "missing");
    expect_claim("s1", "1", "3", 3, "ok");
    struct store_answer a = CALL(SCRIPT_JOB, ID1, "show", "0");
    cr_assert(reply_is(&a.reply, 0, "running") && reply_is(&a.reply, 1, "c") && reply_is(&a.reply, 2, "s1"));
    cr_assert(reply_is(&a.reply, 3, "body of " ID1));
    store_answer_free(&a);
    DO(SCRIPT_FINISH, "s1", ID1, "d", "record 1", ID2, "f", "record 2", ID3, "t", "");
    a = CALL(SCRIPT_JOB, ID1, "show", "0");
    cr_assert(reply_is(&a.reply, 0, "done") && reply_is(&a.reply, 4, "record 1"));
    store_answer_free(&a);
    expect_state(ID2, "failed");
    expect_state(ID3, "delayed");
    DO(SCRIPT_TRIM, "c", "1", "512");
    expect_state(ID1, "ended");
}

Test(scripts_operate, one_job_is_cancelled_wherever_it_is)
{
    three();
    DO(SCRIPT_SUBMIT, INTO("c", "1"), "4-job-0000000000", "1", "2", "0", "99999999999999", "body");
    hello("s1");
    expect_claim("s1", "1", "1", 1, "ok");
    DO(SCRIPT_JOB, "4-job-0000000000", "cancel", "0"); /* delayed: at once */
    counters("c", "4 2 1 0 0 0 1");
    DO(SCRIPT_JOB, ID1, "cancel", "0"); /* running: by the next beat */
    expect(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 2, ID1);
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "f", "cancelled"), 0, "c");
    counters("c", "4 2 0 0 0 0 2");
    DO(SCRIPT_JOB, ID2, "cancel", "0"); /* waiting: at its turn */
    expect_claim("s1", "2", "9", 1, "ok");
    counters("c", "4 0 1 0 0 0 3");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "2"), ROW(ID1), ROW(ID2)), 0, "ff"); /* for good */
    DO(SCRIPT_JOB, ID3, "cancel", "0");
    DO(SCRIPT_HANDBACK, "s1", "1", "");
    hello("t2");
    expect_claim("t2", "1", "9", 0, "ok");
    counters("c", "4 0 0 0 0 0 4");
}

Test(scripts_operate, a_campaign_whose_last_job_is_cancelled_is_complete)
{
    three();
    hello("s1");
    DO(SCRIPT_SUBMIT, "100", "70", "c", "", "", "0", "1", "0");
    expect_claim("s1", "1", "2", 2, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "1", ID2, "d", "2");
    DO(SCRIPT_JOB, ID3, "cancel", "0");
    expect_claim("s1", "2", "2", 0, "ok");
    struct store_answer a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert_eq(reply_number(&a.reply.items[1], 17), 1);
    store_answer_free(&a);
}

Test(scripts_operate, work_that_ended_before_its_cancel_was_heard_stands)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "1", 1, "ok");
    DO(SCRIPT_JOB, ID1, "cancel", "0");
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "d", "record"), 0, "s");
    counters("c", "3 2 0 0 1 0 0");
    struct store_answer a = CALL(SCRIPT_QUEUE, "");
    cr_assert(reply_is(&a.reply, 12, "cancelled one by one"));
    cr_assert_eq(reply_number(&a.reply, 13), 0);
    store_answer_free(&a);
}

static void fail_all(const char *session, const char *seq)
{
    hello(session);
    expect_claim(session, seq, "3", 3, "ok");
    DO(SCRIPT_FINISH, session, ID1, "f", "bad 1", ID2, "f", "bad 2", ID3, "f", "bad 3");
}

Test(scripts_operate, what_failed_is_retried_and_has_one_record_in_the_end)
{
    three();
    fail_all("s1", "1");
    counters("c", "3 0 0 0 0 3 0");
    expect(CALL(SCRIPT_JOB, ID1, "retry", "0"), 0, "ready");
    counters("c", "3 1 0 0 0 2 0");
    expect_number(CALL(SCRIPT_REQUEUE, "c", "0", "256"), 1, 2);
    counters("c", "3 3 0 0 0 0 0");
    expect_number(CALL(SCRIPT_TENANT, "default", "", ""), 2, 3);
    expect_claim("s1", "2", "3", 3, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "good 1", ID2, "d", "good 2", ID3, "f", "bad again");
    counters("c", "3 0 0 0 2 1 0");
    struct store_answer a = CALL(SCRIPT_RESULTS, "c", "0", "10", "1000");
    cr_assert_eq(reply_number(&a.reply, 0), 6); /* three slots are empty */
    cr_assert_eq(a.reply.n, 2 + 3 * 3);
    cr_assert(reply_is(&a.reply, 2, ID1) && reply_is(&a.reply, 3, "good 1"));
    cr_assert_eq(reply_number(&a.reply, 4), 4);
    store_answer_free(&a);
    a = CALL(SCRIPT_DEAD, "c", "0", "256", "100000");
    cr_assert(a.reply.n == 5 && reply_is(&a.reply, 2, ID3) && reply_is(&a.reply, 3, "bad again"));
    store_answer_free(&a);
    DO(SCRIPT_TRIM, "c", "6", "512");
    expect_number(CALL(SCRIPT_REQUEUE, "c", "0", "256"), 1, 1); /* also after its record has left */
    counters("c", "3 1 0 0 2 0 0");
}

Test(scripts_operate, a_purged_campaign_leaves_nothing_and_its_name_is_free)
{
    three();
    fail_all("s1", "1");
    DO(SCRIPT_REQUEUE, "c", "0", "256");
    expect_claim("s1", "2", "1", 1, "ok");
    DO(SCRIPT_CAMPAIGN_SET, "c", "purged");
    DO(SCRIPT_SWEEP, "100");
    counters("c", "3 0 1 0 0 0 2");
    DO(SCRIPT_FINISH, "s1", ID1, "f", "cancelled");
    for (int i = 0; i < 3; i++)
        DO(SCRIPT_SWEEP, "100");
    expect(CALL(SCRIPT_TRIM, "c", "0", "1"), 0, "missing");
    campaign("c");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "1"), ROW(ID1)), 0, "n");
    struct store_answer a = CALL(SCRIPT_QUEUE, "");
    cr_assert_eq(reply_number(&a.reply, 5), 0); /* bytes of records */
    store_answer_free(&a);
}

static int forget(const char *tombstone, const char *in_body, const char *in_record)
{
    char place[64] = "";
    int met = 0;
    do {
        struct store_answer a = CALL(SCRIPT_FORGET, tombstone, in_body, in_record, place, "64");
        size_t len;
        const char *next = reply_bytes(&a.reply, 0, &len);
        snprintf(place, sizeof place, "%.*s", (int)len, next);
        met += (int)reply_number(&a.reply, 1);
        store_answer_free(&a);
    } while (*place);
    return met;
}

Test(scripts_operate, a_forgotten_uri_leaves_neither_job_nor_record)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "2", 2, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "{\"uri\":\"x\"}");
    expect_number(CALL(SCRIPT_FORGOTTEN, "0"), 0, 0);
    cr_assert_eq(forget("uri x", "body of", "\"uri\":\"x\""), 3);
    counters("c", "3 1 1 0 1 0 0");
    expect(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 2, ID2);
    expect(CALL(SCRIPT_FINISH, "s1", ID2, "d", "{\"uri\":\"x\"}"), 0, "c"); /* too late for a record */
    expect_claim("s1", "2", "9", 0, "ok");
    counters("c", "3 0 0 0 1 0 2");
    struct store_answer a = CALL(SCRIPT_RESULTS, "c", "0", "10", "1000");
    cr_assert(a.reply.n == 2 && reply_number(&a.reply, 0) == 1);
    store_answer_free(&a);
    expect(CALL(SCRIPT_FORGOTTEN, "0"), 2, "uri x");
}

Test(scripts_operate, a_forgotten_failure_is_counted_as_not_kept)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "2", 2, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "f", "{\"uri\":\"x\"}", ID2, "f", "{\"uri\":\"y\"}");
    cr_assert_eq(forget("uri x", "body of " ID1, "\"uri\":\"x\""), 1);
    cr_assert_eq(private_redis_field(&queue_redis, "{q:0}:c:1", "unkept"), 1);
    struct store_answer a = CALL(SCRIPT_DEAD, "c", "0", "256", "100000");
    cr_assert_eq(a.reply.n, 2 + 1 * 3);
    store_answer_free(&a);
}
