/* The shard's scripts on a real Redis: what each promises, and that counters equal contents after every step. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "tests/unit/protocol/queue_case.h"

TestSuite(scripts, .init = queue_case_start, .fini = queue_case_stop);

Test(scripts, a_campaign_pins_what_it_was_made_with)
{
    campaign("c");
    campaign("c");
    expect(CALL(SCRIPT_CAMPAIGN, "c", "default", "", "pin", "", ""), 0, "ok"); /* class left open: as it is */
    expect(CALL(SCRIPT_CAMPAIGN, "c", "default", "other/f32", "pin", "", ""), 1, "model and precision");
    expect(CALL(SCRIPT_CAMPAIGN, "c", "default", "m/f32", "pun", "", ""), 1, "tasks and options");
    expect(CALL(SCRIPT_CAMPAIGN, "c", "else", "m/f32", "pin", "", ""), 1, "tenant");
    expect(CALL(SCRIPT_CAMPAIGN, "d", "default", "", "pin", "", ""), 0, "noclass");
    hello("s1");
    expect(CALL(SCRIPT_CAMPAIGN, "d", "default", "", "pin", "", ""), 0, "ok");
}

Test(scripts, submitting_twice_is_free)
{
    three();
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "3"), ROW(ID1), ROW(ID2), ROW(ID2)), 0, "ddd");
    expect(CALL(SCRIPT_SUBMIT, INTO("x", "1"), ROW(ID1)), 0, "X");
    expect(CALL(SCRIPT_SUBMIT, "100", "70", "c", "else", "", "0", "0", "1", ROW(ID1)), 0, "T");
    counters("c", "3 3 0 0 0 0 0");
}

Test(scripts, the_window_is_kept_and_nothing_of_a_busy_message_is_taken)
{
    three();
    struct store_answer a = CALL(SCRIPT_SUBMIT, "4", "70", "c", "default", "", "0", "0", "2", ROW("4-job-0000000000"),
                                 ROW("5-job-0000000000"));
    cr_assert_eq(reply_number(&a.reply, 1), 3);
    expect(a, 0, "B");
    counters("c", "3 3 0 0 0 0 0");
}

Test(scripts, a_place_is_committed_with_its_jobs)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, "100", "70", "c", "default", "0123456789abcdef0123456789abcdef", "4711", "0", "1", ROW(ID1));
    struct store_answer a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert(reply_is(&a.reply.items[1], 13, "0123456789abcdef0123456789abcdef"));
    cr_assert_eq(reply_number(&a.reply.items[1], 14), 4711);
    store_answer_free(&a);
}

Test(scripts, claim_done_and_the_record)
{
    three();
    hello("s1");
    struct store_answer a = claim("s1", "1", "2");
    cr_assert(reply_is(&a.reply, CLAIM_FIRST, ID1) && reply_is(&a.reply, CLAIM_FIRST + 1, "0|0|0|1|1|"));
    cr_assert(reply_is(&a.reply, CLAIM_FIRST + 2, "1|2|0|1||body of " ID1));
    store_answer_free(&a);
    counters("c", "3 1 2 0 0 0 0");
    expect_claim("s1", "1", "2", 0, "stale"); /* a number is answered once */
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "d", "record 1", ID2, "f", "record 2", ID3, "d", "not mine"), 0, "ss0");
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "d", "again"), 0, "0");
    counters("c", "3 1 0 0 1 1 0");
    a = CALL(SCRIPT_RESULTS, "c", "0", "10", "1000");
    cr_assert_eq(reply_number(&a.reply, 0), 2);
    cr_assert(reply_is(&a.reply, 3, "record 1") && reply_is(&a.reply, 6, "record 2"));
    store_answer_free(&a);
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "1"), ROW(ID1)), 0, "f");
}

Test(scripts, trim_deletes_records_and_remembers_ids)
{
    three();
    hello("s1");
    DO(SCRIPT_CLAIM, CREDIT("s1", "1", "3"));
    DO(SCRIPT_FINISH, "s1", ID1, "d", "1", ID2, "d", "2", ID3, "d", "3");
    struct store_answer a = CALL(SCRIPT_TRIM, "c", "2", "512");
    cr_assert_eq(reply_number(&a.reply, 0), 2);
    store_answer_free(&a);
    a = CALL(SCRIPT_RESULTS, "c", "0", "10", "1000");
    cr_assert_eq(reply_number(&a.reply, 0), 3);
    cr_assert(reply_is(&a.reply, 3, "3"));
    store_answer_free(&a);
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "1"), ROW(ID1)), 0, "f");
    counters("c", "3 0 0 0 3 0 0");
}

Test(scripts, transient_failures_come_back_until_retries_are_used_up)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, INTO("c", "1"), ID1, "1", "1", "0", "0", "body");
    hello("s1");
    expect_claim("s1", "1", "1", 1, "ok");
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "t", "record"), 0, "r");
    counters("c", "1 0 0 1 0 0 0");
    struct store_answer a = CALL(SCRIPT_PROMOTE, "10");
    cr_assert_eq(a.reply.integer, 0); /* not due yet */
    store_answer_free(&a);
    usleep(1300000);
    DO(SCRIPT_PROMOTE, "10");
    counters("c", "1 1 0 0 0 0 0");
    expect_claim("s1", "2", "1", 1, "ok");
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "t", "record"), 0, "s");
    counters("c", "1 0 0 0 0 1 0");
}

Test(scripts, a_lost_claim_is_found_again_and_the_old_one_fenced)
{
    three();
    hello("s1");
    DO(SCRIPT_CLAIM, CREDIT("s1", "1", "2")); /* the answer never arrives */
    struct store_answer a = CALL(SCRIPT_RESUME, "s1", "5", "2000000", ID2, "job-not-mine-at-");
    cr_assert_eq(a.reply.n, 3 + 3);
    cr_assert(reply_is(&a.reply, 2, "job-not-mine-at-"));
    expect(a, 3, ID1);
    expect_claim("s1", "5", "1", 0, "stale");
    expect_claim("s1", "6", "1", 1, "ok");
}

Test(scripts, what_is_handed_back_goes_to_the_head_unmarked)
{
    three();
    hello("s1");
    hello("s2");
    expect_claim("s1", "1", "1", 1, "ok");
    DO(SCRIPT_HANDBACK, "s1", "0", ID1);
    counters("c", "3 3 0 0 0 0 0");
    struct store_answer a = claim("s2", "1", "1");
    cr_assert(reply_is(&a.reply, CLAIM_FIRST + 1, "0|0|0|1|1|"));
    expect(a, CLAIM_FIRST, ID1);
    DO(SCRIPT_HANDBACK, "s2", "1", "");
    counters("c", "3 3 0 0 0 0 0");
    expect_claim("s2", "2", "1", 0, "gone");
}

Test(scripts, pausing_and_cancelling_are_one_field)
{
    three();
    hello("s1");
    DO(SCRIPT_CAMPAIGN_SET, "c", "paused");
    expect_claim("s1", "1", "3", 0, "ok");
    DO(SCRIPT_CAMPAIGN_SET, "c", "active");
    expect_claim("s1", "1", "1", 1, "ok");
    DO(SCRIPT_CAMPAIGN_SET, "c", "cancelled");
    expect(CALL(SCRIPT_CAMPAIGN_SET, "c", "active"), 0, "cancelled");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "1"), ROW(ID1)), 0, "C");
    expect_claim("s1", "2", "3", 0, "ok");
    expect(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 2, ID1); /* stop it */
    DO(SCRIPT_SWEEP, "100");
    counters("c", "3 0 1 0 0 0 2");
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "f", "cancelled"), 0, "c");
    counters("c", "3 0 0 0 0 0 3");
}

Test(scripts, ends_in_one_call_count_each_job_once_however_they_are_mixed)
{
    three();
    campaign("d");
    DO(SCRIPT_SUBMIT, INTO("d", "1"), ROW("4-job-0000000000"));
    hello("s1");
    expect_claim("s1", "1", "4", 4, "ok");
    expect(CALL(SCRIPT_FINISH, "s1", ID1, "d", "one", ID2, "d", "two", ID1, "d", "once more"), 0, "ss0");
    counters("c", "3 0 1 0 2 0 0");
    expect(CALL(SCRIPT_RESULTS, "c", "0", "9", "1000"), 3, "one");
    expect(CALL(SCRIPT_FINISH, "s1", ID3, "d", "three", "4-job-0000000000", "d", "four", ID2, "d", "late"), 0, "ss0");
    counters("c", "3 0 0 0 3 0 0");
    counters("d", "1 0 0 0 1 0 0");
    expect(CALL(SCRIPT_RESULTS, "d", "0", "9", "1000"), 3, "four");
}

Test(scripts, work_goes_to_its_class_only_and_small_campaigns_do_not_wait)
{
    campaign("big");
    DO(SCRIPT_CAMPAIGN, "small", "default", "m/f32", "pin", "", "");
    char id[17];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "big-%012d", i);
        DO(SCRIPT_SUBMIT, "1000", "70", "big", "default", "", "0", "0", "1", id, "1", "2", "0", "0", "b");
    }
    DO(SCRIPT_SUBMIT, "1000", "70", "small", "default", "", "0", "0", "1", ROW(ID1));
    DO(SCRIPT_HELLO, "other", "60000", "x/f32|caption||here");
    expect_claim("other", "1", "10", 0, "ok");
    hello("s1");
    struct store_answer a = claim("s1", "1", "40");
    bool found = false;
    for (size_t i = CLAIM_FIRST; i < a.reply.n; i += CLAIM_ROW)
        found |= reply_is(&a.reply, i, ID1);
    cr_assert(found);
    store_answer_free(&a);
}

Test(scripts, a_gap_in_ticks_gives_everybody_a_lease)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_REAP, "300", "20", "3"); /* the first tick ever */
    lapse("s1");
    usleep(100000); /* more than two beats: Redis or all brokers were away */
    struct store_answer a = CALL(SCRIPT_REAP, "300", "20", "3");
    cr_assert_eq(reply_number(&a.reply, 0), 0);
    store_answer_free(&a);
    expect_claim("s1", "2", "1", 0, "lapsed");
    expect(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 0, "ok"); /* lives on */
    counters("c", "3 0 3 0 0 0 0");
}

Test(scripts, only_begun_work_is_suspected_and_three_crashes_alone_end_it)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_HEARTBEAT, "s1", "60000", ID1, ID2);
    lapse("s1");
    cr_assert_eq(reap(), 3);
    counters("c", "3 3 0 0 0 0 0");
    char session[4] = "s2";
    hello(session);
    expect_claim(session, "1", "9", 1, "suspects"); /* one half: one suspect, alone */
    expect_claim(session, "2", "9", 0, "alone");
    hello("t");
    expect_claim("t", "1", "9", 1, "suspects"); /* the other half, alone on another one */
    expect(CALL(SCRIPT_FINISH, "t", ID2, "d", "fine"), 0, "s");
    expect_claim("t", "2", "9", 1, "ok"); /* then the unsuspected one */
    expect(CALL(SCRIPT_FINISH, "t", ID3, "d", "fine"), 0, "s");
    for (int crash = 1; crash <= 3; crash++) {
        DO(SCRIPT_HEARTBEAT, session, "60000", ID1);
        lapse(session);
        cr_assert_eq(reap(), 1);
        session[1]++;
        hello(session);
        if (crash < 3)
            expect_claim(session, "1", "9", 1, "suspects");
    }
    expect_claim(session, "1", "9", 0, "ok");
    expect(CALL(SCRIPT_DOOMED, ""), 1, "poison");
    DO(SCRIPT_BURY, ID1, "record");
    struct store_answer a = CALL(SCRIPT_BURY, ID1, "by another broker");
    cr_assert_eq(a.reply.integer, 0);
    store_answer_free(&a);
    counters("c", "3 0 0 0 2 1 0");
}

/* Of the next session of an answer, how many jobs; *at: where its part begins, and then where the next one's does. */
static size_t part(const struct store_answer *a, size_t *at, const char *state)
{
    size_t n = (size_t)reply_number(&a->reply, *at + 1);
    cr_assert(reply_is(&a->reply, *at, state), "element %zu is not %s", *at, state);
    *at += 2 + CLAIM_ROW * n;
    return n;
}

Test(scripts, one_claim_serves_several_sessions_each_by_its_own_state)
{
    three();
    hello("s1");
    hello("s2");
    hello("s3");
    DO(SCRIPT_CLAIM, CREDIT("s2", "5", "1"));
    lapse("s3");
    struct store_answer a =
        CALL(SCRIPT_CLAIM, "nobody", "1", "1", "s2", "5", "1", "s3", "1", "1", "s1", "1", "1", "s2", "6", "9", LIMITS);
    size_t at = CLAIM_STATE;
    cr_assert_eq(reply_number(&a.reply, 0), 0); /* nothing waits now */
    cr_assert_eq(part(&a, &at, "gone"), 0);
    cr_assert_eq(part(&a, &at, "stale"), 0);
    cr_assert_eq(part(&a, &at, "lapsed"), 0);
    cr_assert(reply_is(&a.reply, at + 2, ID2));
    cr_assert_eq(part(&a, &at, "ok"), 1);
    cr_assert(reply_is(&a.reply, at + 2, ID3));
    cr_assert_eq(part(&a, &at, "ok"), 1);
    cr_assert_eq(at, a.reply.n);
    store_answer_free(&a);
    counters("c", "3 0 3 0 0 0 0");
    expect_claim("s2", "6", "1", 0, "stale");
    expect_number(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 1, 1);
    expect_number(CALL(SCRIPT_HEARTBEAT, "s2", "60000"), 1, 2);
}

Test(scripts, one_claim_hands_out_512_jobs_at_most_and_says_what_is_left)
{
    char id[17];
    campaign("c");
    for (int i = 0; i < 600; i++) {
        snprintf(id, sizeof id, "%03d-job-00000000", i);
        DO(SCRIPT_SUBMIT, "1000", "70", "c", "default", "", "0", "0", "1", id, "1", "2", "0", "0", "body");
    }
    hello("s1");
    hello("s2");
    hello("s3");
    struct store_answer a = CALL(SCRIPT_CLAIM, "s1", "1", "400", "s2", "1", "400", "s3", "1", "400", LIMITS);
    size_t at = CLAIM_STATE;
    cr_assert_eq(reply_number(&a.reply, 0), 88);
    cr_assert_eq(part(&a, &at, "ok"), 400);
    cr_assert_eq(part(&a, &at, "ok"), 112);
    cr_assert_eq(part(&a, &at, "ok"), 0);
    store_answer_free(&a);
    counters("c", "600 88 512 0 0 0 0");
}

Test(scripts, jobs_of_one_message_may_differ_in_all)
{
    campaign("c");
    expect(CALL(SCRIPT_SUBMIT, INTO("c", "3"), ID1, "1", "2", "0", "0", "one", ID2, "0", "3", "0", "0", "the second",
                ID3, "1", "2", "0", "99999999999999", ""),
           0, "nnn");
    counters("c", "3 2 0 1 0 0 0");
    hello("s1");
    struct store_answer a = claim("s1", "1", "3");
    cr_assert(reply_is(&a.reply, CLAIM_FIRST, ID2) && reply_is(&a.reply, CLAIM_FIRST + 2, "0|3|0|1||the second"));
    cr_assert(reply_is(&a.reply, CLAIM_FIRST + CLAIM_ROW, ID1));
    cr_assert(reply_is(&a.reply, CLAIM_FIRST + CLAIM_ROW + 2, "1|2|0|1||one"));
    store_answer_free(&a);
}

Test(scripts, bodies_come_as_they_are_stored_where_the_campaigns_number_is_right)
{
#define NUMBERED(number) "100", "70", "c", number, "default", "", "0", "0", "1", "1", "2", "0", "0", "1"
    campaign("c");
    struct store_answer a = CALL_PLAIN(SCRIPT_SUBMIT, NUMBERED("2"), ID1, "1|2|0|2||body");
    cr_assert(reply_is(&a.reply, 2, "1"));
    expect(a, 0, "N");
    counters("c", "0 0 0 0 0 0 0");
    expect(CALL_PLAIN(SCRIPT_SUBMIT, NUMBERED("1"), ID1, "1|2|0|1||body"), 0, "n");
    expect(CALL_PLAIN(SCRIPT_SUBMIT, NUMBERED(""), ID2, "body"), 0, "n");
    hello("s1");
    a = claim("s1", "1", "2");
    cr_assert(reply_is(&a.reply, CLAIM_FIRST + 2, "1|2|0|1||body"));
    cr_assert(reply_is(&a.reply, CLAIM_FIRST + CLAIM_ROW + 2, "1|2|0|1||body"));
    store_answer_free(&a);
}
