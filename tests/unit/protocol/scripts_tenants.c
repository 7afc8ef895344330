/* Whose work comes when: tenants, priorities, delays, deadlines, retries; sessions that are ill or to drain. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/protocol/queue_case.h"

TestSuite(scripts_tenants, .init = queue_case_start, .fini = queue_case_stop);

#define PLAIN(id, prio) id, prio, "2", "0", "0", "body"

static void fill(const char *tenant, const char *name, int n)
{
    char id[17];
    DO(SCRIPT_CAMPAIGN, name, tenant, "m/f32", "pin", "", "");
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "%03d-%-12.12s", i, name);
        DO(SCRIPT_SUBMIT, "100000", "70", name, tenant, "", "0", "0", "1", PLAIN(id, "1"));
    }
}

/* Of the next `want` jobs, how many are the campaign's. */
static int share(const char *session, const char *seq, const char *want, const char *name)
{
    struct store_answer a = CALL(SCRIPT_CLAIM, session, seq, want, "4", "512", "2000000", "85", "0.5");
    int n = 0;
    for (size_t i = CLAIM_FIRST; i < a.reply.n; i += CLAIM_ROW) {
        size_t len;
        const char *id = reply_bytes(&a.reply, i, &len);
        n += len == 16 && strncmp(id + 4, name, strlen(name)) == 0;
    }
    store_answer_free(&a);
    return n;
}

Test(scripts_tenants, a_tenant_of_three_times_the_weight_gets_three_times_the_work)
{
    fill("heavy", "heavy", 100);
    fill("light", "light", 100);
    expect_number(CALL(SCRIPT_TENANT, "heavy", "3", ""), 0, 3);
    hello("s1");
    int heavy = share("s1", "1", "80", "heavy");
    cr_assert(heavy >= 56 && heavy <= 64, "%d of 80", heavy);
}

Test(scripts_tenants, a_small_tenant_does_not_wait_behind_a_big_one)
{
    fill("big", "big", 200);
    hello("s1");
    cr_assert_eq(share("s1", "1", "40", "big"), 40);
    fill("small", "small", 1);
    cr_assert_eq(share("s1", "2", "8", "small"), 1);
}

Test(scripts_tenants, a_quota_makes_a_tenant_wait_and_is_counted_exactly)
{
    fill("t", "c", 3);
    expect_number(CALL(SCRIPT_TENANT, "t", "", "4"), 2, 3);
#define MORE(id) "100", "70", "c", "t", "", "0", "0", "1", PLAIN(id, "1")
    expect(CALL(SCRIPT_SUBMIT, MORE("4-job-0000000000")), 0, "n");
    expect(CALL(SCRIPT_SUBMIT, MORE("5-job-0000000000")), 0, "Q");
    hello("s1");
    struct store_answer a = claim("s1", "1", "1");
    char id[17] = "";
    size_t len;
    memcpy(id, reply_bytes(&a.reply, CLAIM_FIRST, &len), 16);
    store_answer_free(&a);
    expect(CALL(SCRIPT_SUBMIT, MORE("5-job-0000000000")), 0, "Q"); /* running counts too */
    DO(SCRIPT_FINISH, "s1", id, "d", "record");
    expect(CALL(SCRIPT_SUBMIT, MORE("5-job-0000000000")), 0, "n");
    expect_number(CALL(SCRIPT_TENANT, "t", "", "0"), 1, 0);
    expect(CALL(SCRIPT_SUBMIT, MORE("6-job-0000000000")), 0, "n");
    expect_number(CALL(SCRIPT_TENANT, "t", "", ""), 2, 5);
}

Test(scripts_tenants, priorities_are_strict)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, INTO("c", "3"), PLAIN(ID1, "2"), PLAIN(ID2, "1"), PLAIN(ID3, "0"));
    hello("s1");
    expect(claim("s1", "1", "1"), CLAIM_FIRST, ID3);
    expect(claim("s1", "2", "1"), CLAIM_FIRST, ID2);
    expect(claim("s1", "3", "1"), CLAIM_FIRST, ID1);
}

/* Unix ms, so far from now. */
static const char *at(long long ms)
{
    static char text[4][24];
    static int next;
    next = (next + 1) % 4;
    snprintf(text[next], sizeof text[next], "%lld", (long long)clock_wall_ms() + ms);
    return text[next];
}

Test(scripts_tenants, a_delayed_job_waits_and_then_comes)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, INTO("c", "2"), ID1, "1", "2", "0", at(60), "body", ID2, "1", "2", "0", at(-60), "body");
    counters("c", "2 1 0 1 0 0 0");
    usleep(80000);
    expect_number(CALL(SCRIPT_PROMOTE, "10"), 0, 1);
    counters("c", "2 2 0 0 0 0 0");
}

Test(scripts_tenants, a_deadline_that_has_passed_ends_a_job_unrun)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, INTO("c", "2"), ID1, "1", "2", at(-5), "0", "body", ID2, "1", "2", at(60000), "0", "body");
    hello("s1");
    expect_claim("s1", "1", "9", 1, "ok");
    counters("c", "2 0 1 1 0 0 0");
    expect(CALL(SCRIPT_DOOMED, ""), 1, "expired");
    DO(SCRIPT_BURY, ID1, "record");
    counters("c", "2 0 1 0 0 1 0");
}

Test(scripts_tenants, what_failed_together_does_not_come_back_together)
{
    campaign("c");
    DO(SCRIPT_SUBMIT, INTO("c", "2"), ROW("1-job-00000000aa"), ROW("2-job-00000000zz"));
    hello("s1");
    expect_claim("s1", "1", "2", 2, "ok");
    expect(CALL(SCRIPT_FINISH, "s1", "1-job-00000000aa", "t", "", "2-job-00000000zz", "t", ""), 0, "rr");
    struct store_answer a = CALL(SCRIPT_JOB, "1-job-00000000aa", "show", "0");
    long long due = reply_number(&a.reply, 11);
    cr_assert(reply_is(&a.reply, 0, "delayed") && due > 0);
    store_answer_free(&a);
    a = CALL(SCRIPT_JOB, "2-job-00000000zz", "show", "0");
    cr_assert_neq(reply_number(&a.reply, 11), due);
    store_answer_free(&a);
}

Test(scripts_tenants, a_retry_prefers_another_session_but_is_passed_over_once_only)
{
    three();
    hello("s1");
    hello("t2");
    expect(claim("s1", "1", "1"), CLAIM_FIRST, ID1);
    DO(SCRIPT_FINISH, "s1", ID1, "t", "");
    DO(SCRIPT_PROMOTE, "10");
    usleep(1300000);
    DO(SCRIPT_PROMOTE, "10"); /* to the head of its queue */
    expect_claim("s1", "2", "3", 2, "ok");
    counters("c", "3 1 2 0 0 0 0");
    expect(claim("t2", "1", "1"), CLAIM_FIRST, ID1);
    DO(SCRIPT_FINISH, "t2", ID1, "t", "");
    usleep(2600000);
    DO(SCRIPT_PROMOTE, "10");
    expect_claim("t2", "2", "1", 0, "ok");
    expect(claim("t2", "3", "1"), CLAIM_FIRST, ID1); /* nobody else wanted it */
}

static void many(int n)
{
    char id[17];
    campaign("c");
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "%03d-job-00000000", i);
        DO(SCRIPT_SUBMIT, "1000", "70", "c", "default", "", "0", "0", "1", PLAIN(id, "1"));
    }
}

static void end(const char *session, int first, int n, const char *outcome, const char *want)
{
    char id[17];
    for (int i = first; i < first + n; i++) {
        snprintf(id, sizeof id, "%03d-job-00000000", i);
        expect(CALL(SCRIPT_FINISH, session, id, outcome, "record"), 0, want);
    }
}

Test(scripts_tenants, a_session_whose_environment_fails_alone_hands_back_and_rests)
{
    many(40);
    hello("ill");
    hello("well");
    expect_claim("ill", "1", "20", 20, "ok");
    end("ill", 0, 7, "e", "r");
    DO(SCRIPT_HEARTBEAT, "ill", "60000", "010-job-00000000");
    counters("c", "40 20 13 7 0 0 0");
    end("ill", 7, 1, "e", "r"); /* the eighth: neither it nor what was not begun counts a try */
    counters("c", "40 32 1 7 0 0 0");
    expect_number(CALL(SCRIPT_HEARTBEAT, "ill", "60000"), 3, 1);
    expect_claim("ill", "2", "9", 0, "ill");
    struct store_answer a = CALL(SCRIPT_WORKERS, "");
    cr_assert(reply_is(&a.reply, 4, "quarantined") || reply_is(&a.reply, 10, "quarantined"));
    store_answer_free(&a);
    a = CALL(SCRIPT_JOB, "007-job-00000000", "show", "0");
    cr_assert_eq(reply_number(&a.reply, 8), 0); /* failures */
    store_answer_free(&a);
    expect_claim("well", "1", "60", 32, "ok");
}

Test(scripts_tenants, of_several_shards_each_needs_its_part_of_the_failures)
{
    many(40);
    hello("ill");
    hello("well");
    DO(SCRIPT_BOOT, "2", "4");
    expect_claim("ill", "1", "20", 20, "ok");
    end("ill", 0, 2, "e", "r");
    expect_number(CALL(SCRIPT_HEARTBEAT, "ill", "60000"), 3, 0);
    end("ill", 2, 1, "e", "r");
    expect_number(CALL(SCRIPT_HEARTBEAT, "ill", "60000"), 3, 1);
    counters("c", "40 38 0 2 0 0 0");
}

Test(scripts_tenants, where_all_fail_by_their_environment_nobody_rests)
{
    many(40);
    hello("s1");
    hello("s2");
    expect_claim("s1", "1", "20", 20, "ok");
    expect_claim("s2", "1", "20", 20, "ok");
    for (int i = 0; i < 12; i++) {
        end("s2", 20 + i, 1, "e", "r");
        end("s1", i, 1, "e", "r");
        if (i == 6) /* both have as many */
            expect_number(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 3, 0);
    }
    expect_number(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 3, 0);
    expect_number(CALL(SCRIPT_HEARTBEAT, "s2", "60000"), 3, 0);
}

Test(scripts_tenants, a_drain_stops_one_session_or_all)
{
    three();
    hello("s1");
    hello("t2");
    expect_number(CALL(SCRIPT_DRAIN, "s1", "1"), 0, 1);
    expect_number(CALL(SCRIPT_DRAIN, "nobody", "1"), 0, 0);
    expect_claim("s1", "1", "1", 0, "drain");
    expect_number(CALL(SCRIPT_HEARTBEAT, "s1", "60000"), 3, 2);
    expect_claim("t2", "1", "1", 1, "ok");
    DO(SCRIPT_DRAIN, "", "1");
    expect_claim("t2", "2", "1", 0, "drain");
    expect_number(CALL(SCRIPT_HEARTBEAT, "t2", "60000"), 3, 0); /* it stays */
    DO(SCRIPT_DRAIN, "", "0");
    expect_claim("t2", "3", "1", 1, "ok");
}

Test(scripts_tenants, a_campaign_of_which_too_many_fail_pauses_itself)
{
    DO(SCRIPT_CAMPAIGN, "c", "default", "m/f32", "pin", "", "500");
    many(120);
    hello("s1");
    expect_claim("s1", "1", "110", 110, "ok");
    end("s1", 0, 49, "d", "s");
    end("s1", 49, 50, "f", "s");
    expect_claim("s1", "2", "1", 1, "ok"); /* 99 have ended: too few to tell */
    end("s1", 99, 3, "f", "s");
    struct store_answer a = CALL(SCRIPT_STATUS, "c", "0", "85", "0.5");
    cr_assert(reply_is(&a.reply.items[1], 3, "paused") && reply_is(&a.reply.items[1], 16, "failures"));
    store_answer_free(&a);
    expect_claim("s1", "3", "1", 0, "ok");
    a = CALL(SCRIPT_EVENTS, "0");
    cr_assert_eq(a.reply.n, 3);
    size_t len;
    const char *text = reply_bytes(&a.reply, 2, &len);
    cr_assert(memmem(text, len, "|stopped|c", 10));
    store_answer_free(&a);
    DO(SCRIPT_CAMPAIGN_SET, "c", "active"); /* counts afresh */
    end("s1", 102, 5, "f", "s");
    expect_claim("s1", "4", "1", 1, "ok");
}

#define ACME "\nacme\nbeta\n"

/* Campaign "c" is of tenant "default"; whoever is for others is told the same as where there is none. */
Test(scripts_tenants, anothers_campaign_is_not_there)
{
    three();
    hello("s1");
    expect_claim("s1", "1", "1", 1, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "f", "record");
    expect(CALL(SCRIPT_CAMPAIGN_SET, "c", "paused", ACME), 0, "missing");
    expect(CALL(SCRIPT_RESULTS, "c", "0", "10", "1000", ACME), 0, "missing");
    expect(CALL(SCRIPT_TRIM, "c", "1", "10", ACME), 0, "missing");
    expect(CALL(SCRIPT_REQUEUE, "c", "0", "10", "1000", ACME), 0, "missing");
    expect(CALL(SCRIPT_DEAD, "c", "0", "10", "1000", ACME), 0, "missing");
    expect(CALL(SCRIPT_JOB, ID1, "retry", "0", ACME), 0, "missing");                /* ended */
    expect(CALL(SCRIPT_JOB, ID2, "cancel", "0", ACME), 0, "missing");               /* waits */
    expect(CALL(SCRIPT_SUBMIT, "100", "70", "c", ACME, "", "0", "1", "0"), 0, "T"); /* no row says whose it is */
    for (int i = 0; i < 2; i++) {
        struct store_answer a = CALL(SCRIPT_STATUS, i ? "c" : "", "0", "85", "0.5", ACME);
        cr_expect_eq(a.reply.n, 1, "a row of another's campaign");
        store_answer_free(&a);
    }
    counters("c", "3 2 0 0 0 1 0");
    expect(CALL(SCRIPT_RESULTS, "c", "0", "10", "1000", "\ndefault\n"), 3, "record");
    expect(CALL(SCRIPT_SUBMIT, "100", "70", "c", "\nacme\ndefault\n", "", "0", "1", "0"), 0, "");
    expect(CALL(SCRIPT_JOB, ID2, "cancel", "0", "\ndefault\n"), 0, "ready");
}

Test(scripts_tenants, events_of_others_are_left_out)
{
    three();
    DO(SCRIPT_SUBMIT, "100", "70", "c", "", "", "0", "1", "0");
    hello("s1");
    expect_claim("s1", "1", "3", 3, "ok");
    DO(SCRIPT_FINISH, "s1", ID1, "d", "1", ID2, "d", "2", ID3, "d", "3");
    struct store_answer a = CALL(SCRIPT_EVENTS, "0", ACME);
    cr_assert_eq(a.reply.n, 2);
    cr_assert_eq(reply_number(&a.reply, 0), 1, "the cursor goes on");
    store_answer_free(&a);
    a = CALL(SCRIPT_EVENTS, "0", "\ndefault\n");
    cr_assert_eq(a.reply.n, 3);
    store_answer_free(&a);
}
