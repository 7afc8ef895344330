/* Memory of Redis and results that leave it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/protocol/queue_case.h"

TestSuite(scripts_memory, .init = queue_case_start, .fini = queue_case_stop);

enum { KEPT_US = 30000 }; /* how long a script trusts what it last heard of memory */

static void set_memory(const char *value)
{
    private_redis_set(&queue_redis, "maxmemory", value);
    usleep(KEPT_US);
}

Test(scripts_memory, above_70_percent_nothing_is_taken_in)
{
    three();
    expect(CALL(SCRIPT_SUBMIT, "100", "0", "c", "default", "", "0", "0", "1", ROW("4-job-0000000000")), 0, "M");
    counters("c", "3 3 0 0 0 0 0");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "1"), ROW("4-job-0000000000")), 0, "n");
}

Test(scripts_memory, full_of_what_never_leaves_is_told_from_full_of_work_and_records)
{
    const char *const jobs[] = {"100", "0", "c", "default", "", "0", "0", "1", ROW("4-job-0000000000"), NULL};
    campaign("c");
    expect(call(SCRIPT_SUBMIT, jobs), 0, "F");
    DO(SCRIPT_SUBMIT, INTO("c", "1"), ROW(ID1));
    expect(call(SCRIPT_SUBMIT, jobs), 0, "M");
    hello("s1");
    expect_claim("s1", "1", "1", 1, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "a record");
    expect(call(SCRIPT_SUBMIT, jobs), 0, "M");
    DO(SCRIPT_TRIM, "c", "1", "512");
    expect(call(SCRIPT_SUBMIT, jobs), 0, "F");
}

Test(scripts_memory, in_a_full_redis_what_fails_for_good_leaves_its_record_and_no_job)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "f", "a record");
    set_memory("1mb");
    DO(SCRIPT_FINISH, "s1", ID2, "f", "a record");
    set_memory("1gb");
    DO(SCRIPT_FINISH, "s1", ID3, "f", "a record");
    struct store_answer a = CALL(SCRIPT_DEAD, "c", "0", "256", "100000");
    cr_assert_eq(a.reply.n, 2 + 2 * 3);
    store_answer_free(&a);
    counters("c", "3 0 0 0 0 3 0");
    cr_assert_eq(private_redis_field(&queue_redis, "{q:0}:c:1", "unkept"), 1);
}

Test(scripts_memory, claims_stop_and_what_runs_ends_even_in_a_full_redis)
{
    three();
    hello("s1");
    hello("s2");
    expect_claim("s1", "1", "2", 2, "ok");
    struct store_answer a = CALL(SCRIPT_CLAIM, "s1", "2", "1", "16", "512", "2000000", "0", "0.5");
    expect(a, CLAIM_STATE, "full");
    set_memory("1mb"); /* an empty Redis has more than that */
    expect(CALL(SCRIPT_HEARTBEAT, "s1", "60000", ID1), 0, "ok");
    a = CALL(SCRIPT_RESUME, "s1", "9", "2000000");
    cr_assert_eq(a.reply.n, 3 + 2 * 3);
    store_answer_free(&a);
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "d", "a record"), 0, "s");
    lapse("s1");
    cr_assert_eq(reap(), 1);
    a = CALL(SCRIPT_TRIM, "c", "1", "512");
    cr_assert_eq(reply_number(&a.reply, 0), 1);
    store_answer_free(&a);
    counters("c", "3 2 0 0 1 0 0");
    set_memory("1gb");
    expect_claim("s2", "1", "9", 2, "ok");
}

Test(scripts_memory, claims_wait_for_results_to_leave)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "2", 2, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "0123456789", ID2, "d", "0123456789");
    struct store_answer a = CALL(SCRIPT_CLAIM, "s1", "2", "1", "16", "512", "2000000", "85", "20");
    expect(a, CLAIM_STATE, "full");
    a = CALL(SCRIPT_STATUS, "c", "0", "85", "20");
    cr_assert(reply_is(&a.reply.items[1], 16, "results"));
    store_answer_free(&a);
    DO(SCRIPT_TRIM, "c", "1", "512");
    a = CALL(SCRIPT_CLAIM, "s1", "2", "1", "16", "512", "2000000", "85", "20");
    cr_assert_eq(claimed(&a), 1);
    store_answer_free(&a);
}

Test(scripts_memory, a_cursor_beyond_the_end_comes_back)
{
    three();
    expect_number(CALL(SCRIPT_RESULTS, "c", "7", "10", "1000"), 0, 0);
}

Test(scripts_memory, waiting_work_without_a_worker_of_its_class_says_so)
{
    three();
    struct store_answer a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert(reply_is(&a.reply.items[1], 16, "no-worker"));
    store_answer_free(&a);
    hello("s1");
    a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert(reply_is(&a.reply.items[1], 16, ""));
    store_answer_free(&a);
}

Test(scripts_memory, a_campaign_is_complete_when_it_is_sealed_and_all_have_ended)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "1", ID2, "d", "2", ID3, "d", "3");
    expect_number(CALL(SCRIPT_STATUS, "c", "0", "85", "0.5"), 0, 0);
    struct store_answer a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert_eq(reply_number(&a.reply.items[1], 17), 0); /* more may come */
    store_answer_free(&a);
    DO(SCRIPT_SUBMIT, "100", "70", "c", "", "", "0", "1", "0");
    a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert_eq(reply_number(&a.reply.items[1], 17), 1);
    store_answer_free(&a);
    DO(SCRIPT_SUBMIT, INTO("c", "1"), ROW("4-job-0000000000"));
    a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert_eq(reply_number(&a.reply.items[1], 17), 0);
    store_answer_free(&a);
}
