/* How many jobs are handed out at once, by how fast they end. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "tests/unit/broker/rig.h"

enum { SPAN_MS = 256, CREDIT = 32 };

static struct dispatch *d;
static const struct link_peer worker = {.bytes = "wrk", .len = 3};
static const uint8_t sids[2][SESSION_BYTES] = {"session of 16 b", "another session"};

static void say(const struct message *m, int64_t now)
{
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(m, &bytes, &len), ST_OK);
    dispatch_on_message(d, SIDE_WORKER, &worker, bytes, len, now);
    free(bytes);
}

static void credit(int session, uint64_t seq, uint64_t owned, int64_t now)
{
    struct message m = {
        .kind = MESSAGE_CREDIT, .session = {sids[session], SESSION_BYTES}, .seq = seq, .want = CREDIT, .owned = owned};
    say(&m, now);
}

/* The next call of that script; what a CLAIM asks for its second session, else 0. */
static uint64_t next_call(enum script script, uint64_t *tag)
{
    enum { SECOND_WANT = 10 };
    struct dispatch_output o;
    uint64_t want = 0;
    bool found = false;
    while (!found && dispatch_next(d, &o)) {
        found = o.kind == OUTPUT_CALL && o.script == script;
        *tag = o.tag;
        size_t len = 0;
        const char *at = found && o.args.n > SECOND_WANT ? store_args_at(&o.args, SECOND_WANT, &len) : "";
        for (size_t i = 0; i < len; i++)
            want = 10 * want + (uint64_t)(at[i] - '0');
        dispatch_output_fini(&o);
    }
    cr_assert(found);
    return want;
}

static void set_up(void)
{
    d = rig_open(10000);
    for (int i = 0; i < 2; i++) {
        struct message m = {
            .kind = MESSAGE_HELLO, .session = {sids[i], SESSION_BYTES}, .class_name = {(const uint8_t *)"m/f32", 5}};
        struct reply welcome[] = {rig_text("new"), rig_number(0)};
        uint64_t tag;
        say(&m, 0);
        (void)next_call(SCRIPT_HELLO, &tag);
        rig_answer(d, tag, welcome, 2, 0);
    }
}

static void tear_down(void)
{
    dispatch_free(d);
}

TestSuite(pace, .init = set_up, .fini = tear_down);

/* What is asked for the second of two sessions that wait, while two jobs do, after the first got one every so often and
 * has ended each or none. */
static uint64_t asked_after(int64_t apart_ms, bool ends)
{
    const int64_t from = 100000, until = from + 2 * SPAN_MS;
    uint64_t tag, got = 0;
    credit(1, 2, 0, from);
    for (int64_t now = from;; now += apart_ms, got++) {
        struct reply one[] = {rig_number(2),          rig_text("ok"),
                              rig_number(1),          rig_text("0123456789abcdef"),
                              rig_text("0|0|0|7|1|"), rig_text("1|4|0|7||body"),
                              rig_text("ok"),         rig_number(0)};
        credit(0, 2 + got, ends ? 0 : got, now);
        dispatch_tick(d, now);
        uint64_t asked = next_call(SCRIPT_CLAIM, &tag);
        if (now >= until)
            return asked;
        rig_answer(d, tag, one, sizeof one / sizeof *one, now);
    }
}

Test(pace, where_jobs_end_fast_more_are_handed_out_at_once)
{
    cr_assert_eq(asked_after(8, true), SPAN_MS / 8 / 2);
}

Test(pace, where_jobs_take_long_nobody_gets_more_than_there_is_for_each)
{
    cr_assert_eq(asked_after(SPAN_MS, true), 1);
}

Test(pace, jobs_that_were_taken_fast_and_have_not_ended_are_no_reason_to_hand_out_more)
{
    cr_assert_eq(asked_after(8, false), 1);
}
