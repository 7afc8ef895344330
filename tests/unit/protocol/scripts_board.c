/* What the status page asks. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/protocol/queue_case.h"

TestSuite(scripts_board, .init = queue_case_start, .fini = queue_case_stop);

Test(scripts_board, one_broker_is_elected_until_it_no_longer_asks)
{
    expect_number(CALL(SCRIPT_ELECT, "aa", "60000"), 0, 1);
    expect_number(CALL(SCRIPT_ELECT, "bb", "60000"), 0, 0);
    expect_number(CALL(SCRIPT_ELECT, "aa", "1"), 0, 1);
    struct timespec ms = {.tv_nsec = 5000000};
    nanosleep(&ms, NULL);
    expect_number(CALL(SCRIPT_ELECT, "bb", "60000"), 0, 1);
    expect_number(CALL(SCRIPT_ELECT, "aa", "60000"), 0, 0);
}

Test(scripts_board, campaigns_come_newest_first_with_what_waits)
{
    three();
    campaign("newer");
    struct store_answer a = CALL(SCRIPT_BOARD, "0", "85", "0.5");
    cr_assert_eq(a.reply.n, 3);
    cr_assert_eq(reply_number(&a.reply, 0), 0, "no page more");
    cr_assert(reply_is(&a.reply.items[1], 0, "newer"));
    cr_assert(reply_is(&a.reply.items[2], 0, "c"));
    cr_assert_eq(reply_number(&a.reply.items[1], 19), 0);
    cr_assert_eq(reply_number(&a.reply.items[2], 19), 3, "three wait at priority 1");
    cr_assert_eq(reply_number(&a.reply.items[2], 18), 0);
    store_answer_free(&a);
}

Test(scripts_board, many_campaigns_come_in_pages)
{
    for (int i = 0; i < 70; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        campaign(name);
    }
    struct store_answer a = CALL(SCRIPT_BOARD, "0", "85", "0.5");
    cr_assert_eq(a.reply.n, 65);
    cr_assert(reply_is(&a.reply.items[1], 0, "c69"));
    cr_assert_eq(reply_number(&a.reply, 0), 6);
    store_answer_free(&a);
    a = CALL(SCRIPT_BOARD, "6", "85", "0.5");
    cr_assert_eq(a.reply.n, 7);
    cr_assert_eq(reply_number(&a.reply, 0), 0);
    cr_assert(reply_is(&a.reply.items[6], 0, "c0"));
    store_answer_free(&a);
}

Test(scripts_board, what_failed_last_is_told_with_its_record)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "well", ID2, "f", "bad 2");
    DO(SCRIPT_FINISH, "s1", ID3, "f", "bad 3");
    struct store_answer a = CALL(SCRIPT_NEWS, "20");
    cr_assert_eq(a.reply.n, 2);
    const struct reply *errors = &a.reply.items[1];
    cr_assert_eq(errors->n, 6);
    cr_assert(reply_is(errors, 1, "c") && reply_is(errors, 2, "bad 3") && reply_is(errors, 5, "bad 2"));
    cr_assert_gt(reply_number(errors, 0), 1600000000000);
    store_answer_free(&a);
    /* what is to be forgotten is not told on */
    DO(SCRIPT_FORGET, "uri x", "x", "\"uri\":\"x\"", "", "64");
    a = CALL(SCRIPT_NEWS, "20");
    cr_assert_eq(a.reply.items[1].n, 0);
    store_answer_free(&a);
}

Test(scripts_board, the_last_hundred_errors_are_kept_and_long_records_are_not)
{
    static char text[5001];
    memset(text, 'x', 5000);
    campaign("c");
    hello("s1");
    for (int i = 0; i < 104; i++) {
        char id[17], seq[8];
        snprintf(id, sizeof id, "%03d-job-00000000", i);
        snprintf(seq, sizeof seq, "%d", i + 1);
        DO(SCRIPT_SUBMIT, INTO("c", "1"), id, "1", "0", "0", "0", "body");
        expect_claim("s1", seq, "1", 1, "ok");
        DO(SCRIPT_FINISH, "s1", id, "f", i == 103 ? text : id);
    }
    struct store_answer a = CALL(SCRIPT_NEWS, "200");
    const struct reply *errors = &a.reply.items[1];
    cr_assert_eq(errors->n, 300);
    cr_assert(reply_is(errors, 2, ""), "a record of 5,000 bytes was kept");
    cr_assert(reply_is(errors, 5, "102-job-00000000") && reply_is(errors, 299, "004-job-00000000"));
    store_answer_free(&a);
}

Test(scripts_board, newest_records_come_first_within_a_number_of_bytes)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "record 1", ID2, "d", "record 2", ID3, "d", "record 3");
    struct store_answer a = CALL(SCRIPT_NEWEST, "c", "2", "1000");
    cr_assert_eq(a.reply.n, 3);
    cr_assert(reply_is(&a.reply.items[0], 0, "c"));
    cr_assert(reply_is(&a.reply, 1, "record 3") && reply_is(&a.reply, 2, "record 2"));
    store_answer_free(&a);
    a = CALL(SCRIPT_NEWEST, "c", "3", "10");
    cr_assert_eq(a.reply.n, 2);
    store_answer_free(&a);
    expect(CALL(SCRIPT_NEWEST, "none", "2", "1000"), 0, "missing");
}

Test(scripts_board, what_a_worker_says_is_kept_until_it_goes)
{
    hello("s1");
    struct store_answer a = CALL(SCRIPT_WORKERS, "");
    cr_assert(reply_is(&a.reply, 5, ""));
    store_answer_free(&a);
    DO(SCRIPT_HEARTBEAT, "s1", "60000|1|2|3");
    DO(SCRIPT_HEARTBEAT, "s1", "60000"); /* one that says nothing changes nothing */
    a = CALL(SCRIPT_WORKERS, "");
    cr_assert(reply_is(&a.reply, 5, "1|2|3"));
    cr_assert_gt(reply_number(&a.reply, 3), 50000, "and its lease is renewed");
    store_answer_free(&a);
    DO(SCRIPT_HANDBACK, "s1", "1");
    hello("s1");
    a = CALL(SCRIPT_WORKERS, "");
    cr_assert(reply_is(&a.reply, 5, ""));
    store_answer_free(&a);
}
