/* The dispatcher with a played clock: no socket, no Redis. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"
#include "protocol/message.h"
#include "tests/caption_job.h"
#include "tests/unit/broker/rig.h"

static struct dispatch *d;
static struct link_peer client = {.bytes = "cli", .len = 3};
static const struct link_peer worker = {.bytes = "wrk", .len = 3};
static const uint8_t sid[SESSION_BYTES] = "session of 16 b";

static void set_up(void)
{
    d = rig_open(10000);
}

static void tear_down(void)
{
    dispatch_free(d);
}

TestSuite(dispatch, .init = set_up, .fini = tear_down);

static void say(enum side side, const struct message *m, int64_t now)
{
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(m, &bytes, &len), ST_OK);
    dispatch_on_message(d, side, side == SIDE_CLIENT ? &client : &worker, bytes, len, now);
    free(bytes);
}

/* The next call of that script, others are answered as lost; args are freed. */
static bool next_call(enum script script, uint64_t *tag, size_t *n_args)
{
    struct dispatch_output o;
    while (dispatch_next(d, &o)) {
        bool found = o.kind == OUTPUT_CALL && o.script == script;
        *tag = o.tag;
        *n_args = o.args.n;
        dispatch_output_fini(&o);
        if (found)
            return true;
    }
    return false;
}

/* The next message that goes out; *bytes is what it borrows from. */
static bool next_message(struct message *m, uint8_t **bytes)
{
    struct dispatch_output o;
    while (dispatch_next(d, &o)) {
        if (o.kind == OUTPUT_SEND) {
            *bytes = o.bytes;
            cr_assert_eq(message_decode(o.bytes, o.len, m, NULL), ST_OK);
            return true;
        }
        dispatch_output_fini(&o);
    }
    return false;
}

static struct message expect(enum message_kind kind)
{
    struct message m = {.kind = MESSAGE_ERROR};
    uint8_t *bytes = NULL;
    cr_assert(next_message(&m, &bytes), "no %s", message_kind_name(kind));
    cr_assert_eq(m.kind, kind, "%s, expected %s: %.*s", message_kind_name(m.kind), message_kind_name(kind),
                 (int)m.text.len, (const char *)m.text.bytes);
    free(bytes); /* numbers of m stay good, its views do not */
    return m;
}

/* A job of tenant and campaign; *body malloc'ed. */
static struct message_row row_of(const char *tenant, const char *campaign, const char *key, uint8_t *id, uint8_t **body)
{
    const struct job job = caption_job(key, tenant, campaign);
    size_t len;
    cr_assert_eq(job_encode(&job, body, &len, NULL), ST_OK);
    job_id(&job, id);
    return (struct message_row){.id = id, .n = {1, 4, 0}, .body = {*body, len}};
}

static void submit_rows(uint64_t request, const struct message_row *rows, size_t n)
{
    struct wire_writer w;
    wire_writer_init(&w, 100000);
    wire_put_array(&w, n);
    for (size_t i = 0; i < n; i++)
        message_row_put(&w, &rows[i]);
    struct message m = {
        .kind = MESSAGE_SUBMIT, .request = request, .campaign = {(const uint8_t *)"c", 1}, .rows = {w.bytes, w.len}};
    say(SIDE_CLIENT, &m, 0);
    wire_writer_fini(&w);
}

static void submit(uint64_t request, int n)
{
    enum { MOST = 4 };
    struct message_row rows[MOST] = {{.id = NULL}};
    uint8_t ids[MOST][ID_BYTES], *bodies[MOST];
    char key[32];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%d-%d", (int)request, i);
        rows[i] = row_of("t", "c", key, ids[i], &bodies[i]);
    }
    submit_rows(request, rows, (size_t)n);
    for (int i = 0; i < n; i++)
        free(bodies[i]);
}

static void lose(uint64_t tag, int64_t now)
{
    struct reply r = {.kind = REPLY_LOST};
    dispatch_on_reply(d, tag, &r, now);
}

Test(dispatch, submits_that_arrive_while_one_is_on_the_way_share_the_next_call)
{
    uint64_t tag;
    size_t n;
    submit(1, 1);
    dispatch_tick(d, 0);
    cr_assert(next_call(SCRIPT_SUBMIT, &tag, &n));
    cr_assert_eq(n, 2 + 7 + 7);
    submit(2, 2);
    submit(3, 1);
    dispatch_tick(d, 1);
    uint64_t second;
    cr_assert(!next_call(SCRIPT_SUBMIT, &second, &n));
    struct reply first[] = {rig_text("n"), rig_number(1), rig_text("7")};
    rig_answer(d, tag, first, 3, 2);
    dispatch_tick(d, 2);
    struct message m = expect(MESSAGE_ACCEPTED);
    cr_assert_eq(m.request, 1);
    cr_assert(next_call(SCRIPT_SUBMIT, &second, &n));
    cr_assert_eq(n, 2 + 7 + 8 + 7 + 7);
    struct reply both[] = {rig_text("nd"), rig_number(3),    rig_text("7"),
                           rig_text("B"),  rig_number(1000), rig_text("7")};
    rig_answer(d, second, both, 6, 3);
    m = expect(MESSAGE_ACCEPTED);
    cr_assert(m.request == 2 && m.unfinished == 3);
    m = expect(MESSAGE_BUSY);
    cr_assert(m.request == 3 && m.retry_ms > 0 && m.unfinished == 1000);
}

Test(dispatch, a_lost_answer_or_a_redis_that_is_away_is_busy_not_an_error)
{
    uint64_t tag;
    size_t n;
    submit(1, 1);
    dispatch_tick(d, 0);
    cr_assert(next_call(SCRIPT_SUBMIT, &tag, &n));
    lose(tag, 5);
    cr_assert_eq(expect(MESSAGE_BUSY).request, 1);
    dispatch_on_store(d, 0, false, 1);
    submit(2, 1);
    cr_assert_eq(expect(MESSAGE_BUSY).request, 2);
    struct message m = {.kind = MESSAGE_STATUS, .request = 3};
    say(SIDE_CLIENT, &m, 6);
    cr_assert_gt(expect(MESSAGE_ERROR).retry_ms, 0);
}

static void expect_refused(uint64_t request, enum message_code code)
{
    struct message m = {.kind = MESSAGE_ERROR};
    uint8_t *bytes = NULL;
    cr_assert(next_message(&m, &bytes));
    cr_expect(m.kind == MESSAGE_ERROR && m.request == request);
    cr_expect(wire_view_is(m.code, message_code_name(code)), "%.*s: %.*s", (int)m.code.len, (const char *)m.code.bytes,
              (int)m.text.len, (const char *)m.text.bytes);
    free(bytes);
    uint64_t tag;
    size_t n;
    dispatch_tick(d, 0);
    cr_expect(!next_call(SCRIPT_SUBMIT, &tag, &n), "something of it was taken");
}

Test(dispatch, a_job_under_the_id_of_another_is_refused_by_name)
{
    uint8_t id[ID_BYTES], other[ID_BYTES], *body, *body_2;
    struct message_row row = row_of("t", "c", "mine", id, &body);
    memcpy(other, id, ID_BYTES);
    other[0] ^= 1;
    row.id = other;
    submit_rows(1, &row, 1);
    expect_refused(1, CODE_REFUSED);
    free(body);
    row = row_of("t", "d", "mine", id, &body); /* the message is for campaign c */
    submit_rows(2, &row, 1);
    expect_refused(2, CODE_REFUSED);
    free(body);
    struct message_row two[] = {row_of("t", "c", "mine", id, &body), row_of("u", "c", "theirs", other, &body_2)};
    submit_rows(3, two, 2);
    expect_refused(3, CODE_REFUSED);
    free(body);
    free(body_2);
    row.body = (struct wire_view){(const uint8_t *)"body", 4};
    submit_rows(4, &row, 1);
    expect_refused(4, CODE_FORMAT);
}

Test(dispatch, a_campaign_of_another_tenant_is_refused)
{
    uint64_t tag;
    size_t n;
    submit(1, 1);
    dispatch_tick(d, 0);
    cr_assert(next_call(SCRIPT_SUBMIT, &tag, &n));
    struct reply r[] = {rig_text("T"), rig_number(0), rig_text("7")};
    rig_answer(d, tag, r, 3, 1);
    expect_refused(1, CODE_REFUSED);
}

Test(dispatch, held_bytes_are_bounded)
{
    for (uint64_t i = 0; i < 300; i++) {
        client.bytes[0] = (uint8_t)i;
        submit(i, 1);
    }
    cr_assert(!dispatch_wants_clients(d));
    struct message m = expect(MESSAGE_BUSY);
    cr_assert_gt(m.retry_ms, 0);
}

Test(dispatch, a_client_that_floods_is_told_to_wait_and_another_is_served)
{
    for (uint64_t i = 0; i < 40; i++)
        submit(i, 1);
    submit(40, 1);
    cr_assert_eq(expect(MESSAGE_BUSY).request, 40);
    cr_assert(dispatch_wants_clients(d));
    struct message status = {.kind = MESSAGE_STATUS, .request = 41};
    say(SIDE_CLIENT, &status, 0);
    cr_assert_eq(expect(MESSAGE_ERROR).request, 41);
    client.bytes[0] = 'x';
    uint64_t tag;
    size_t n;
    status.request = 42;
    say(SIDE_CLIENT, &status, 0);
    cr_assert(next_call(SCRIPT_STATUS, &tag, &n));
    lose(tag, 1);
    for (int i = 0; i < 40; i++) { /* answers make room again */
        say(SIDE_CLIENT, &status, 0);
        cr_assert(next_call(SCRIPT_STATUS, &tag, &n), "%d", i);
        lose(tag, 1);
    }
}

Test(dispatch, garbage_newer_versions_and_the_wrong_socket_get_an_error)
{
    dispatch_on_message(d, SIDE_CLIENT, &client, "\xdd\xff\xff\xff\xff", 5, 0);
    expect(MESSAGE_ERROR);
    dispatch_on_message(d, SIDE_CLIENT, &client, "\x94\x02\x01\x09\x80", 5, 0);
    cr_assert_eq(expect(MESSAGE_ERROR).request, 9);
    struct message m = {.kind = MESSAGE_BEAT, .session = {sid, sizeof sid}};
    say(SIDE_CLIENT, &m, 0);
    expect(MESSAGE_ERROR);
    struct message ping = {.kind = MESSAGE_PING, .request = 4};
    say(SIDE_CLIENT, &ping, 0);
    cr_assert_eq(expect(MESSAGE_PONG).request, 4);
}

static void hello_of(const uint8_t *session, int64_t now)
{
    uint64_t tag;
    size_t n;
    struct message m = {
        .kind = MESSAGE_HELLO, .session = {session, sizeof sid}, .class_name = {(const uint8_t *)"m/f32", 5}};
    say(SIDE_WORKER, &m, now);
    cr_assert(next_call(SCRIPT_HELLO, &tag, &n));
    struct reply r[] = {rig_text("new"), rig_number(0)};
    rig_answer(d, tag, r, 2, now);
    struct message w = expect(MESSAGE_WELCOME);
    cr_assert(w.lease_ms == 12000 && w.beat_ms == 3000 && w.route == ROUTE_DIRECT);
}

static void hello(int64_t now)
{
    hello_of(sid, now);
}

static void credit_of(const uint8_t *session, uint64_t seq, uint64_t want, int64_t now)
{
    struct message m = {.kind = MESSAGE_CREDIT, .session = {session, sizeof sid}, .seq = seq, .want = want};
    say(SIDE_WORKER, &m, now);
}

static void credit(uint64_t seq, uint64_t want, int64_t now)
{
    credit_of(sid, seq, want, now);
}

static uint64_t expect_claim(int64_t now)
{
    uint64_t tag;
    size_t n;
    dispatch_tick(d, now);
    cr_assert(next_call(SCRIPT_CLAIM, &tag, &n));
    return tag;
}

static bool claims(int64_t now)
{
    uint64_t tag;
    size_t n;
    dispatch_tick(d, now);
    return next_call(SCRIPT_CLAIM, &tag, &n);
}

Test(dispatch, credit_becomes_a_claim_and_jobs)
{
    credit(1, 8, 0);
    expect(MESSAGE_ERROR); /* who is that? */
    hello(0);
    credit(2, 8, 1);
    uint64_t tag = expect_claim(1);
    struct reply r[] = {rig_number(0),          rig_text("ok"),           rig_number(1), rig_text("0123456789abcdef"),
                        rig_text("2|1|0|7|1|"), rig_text("1|4|0|7||body")};
    rig_answer(d, tag, r, 6, 2);
    struct message m = {.kind = MESSAGE_ERROR};
    uint8_t *bytes = NULL;
    struct wire_reader rows;
    cr_assert(next_message(&m, &bytes) && m.kind == MESSAGE_JOBS && m.seq == 2);
    cr_assert_eq(message_rows_open(&m, &rows), 1);
    struct message_row row = message_row_next(&rows);
    cr_assert(row.n[0] == 2 && row.n[1] == 1 && wire_view_is(row.body, "body"));
    free(bytes);
    cr_assert(!claims(1000)); /* the credit is used up */
    credit(2, 8, 1001);       /* an old one, repeated */
    cr_assert(!claims(1002));
    credit(3, 7, 1003);
    cr_assert(claims(1004));
}

Test(dispatch, a_lost_claim_makes_the_worker_resume)
{
    hello(0);
    credit(2, 8, 1);
    lose(expect_claim(1), 2);
    struct message m = expect(MESSAGE_JOBS);
    cr_assert_eq(m.seq, 2);
    cr_assert(!claims(3));
}

Test(dispatch, a_class_without_work_is_asked_rarely_until_there_is_some)
{
    hello(0);
    credit(2, 8, 1);
    struct reply empty[] = {rig_number(0), rig_text("ok"), rig_number(0)};
    rig_answer(d, expect_claim(1), empty, 3, 1);
    cr_assert(!claims(2));
    rig_answer(d, expect_claim(20), empty, 3, 20);
    cr_assert(!claims(22));
    submit(1, 1);
    uint64_t tag;
    size_t n;
    dispatch_tick(d, 23);
    cr_assert(next_call(SCRIPT_SUBMIT, &tag, &n));
    struct reply accepted[] = {rig_text("n"), rig_number(1), rig_text("7")};
    rig_answer(d, tag, accepted, 3, 24);
    cr_assert(claims(24)); /* at once */
}

Test(dispatch, a_worker_that_was_reaped_is_told)
{
    hello(0);
    credit(2, 8, 1);
    struct reply gone[] = {rig_number(0), rig_text("gone"), rig_number(0)};
    rig_answer(d, expect_claim(1), gone, 3, 2);
    expect(MESSAGE_ERROR);
    credit(2, 8, 3);
    expect(MESSAGE_ERROR);
}

Test(dispatch, relay_answers_after_the_commit)
{
    hello(0);
    struct wire_writer w;
    wire_writer_init(&w, 1000);
    struct message_row row = {
        .id = (const uint8_t *)"0123456789abcdef", .n = {OUTCOME_DONE}, .body = {(const uint8_t *)"{}", 2}};
    wire_put_array(&w, 1);
    message_row_put(&w, &row);
    struct message m = {.kind = MESSAGE_DONE, .request = 9, .session = {sid, sizeof sid}, .rows = {w.bytes, w.len}};
    say(SIDE_WORKER, &m, 1);
    wire_writer_fini(&w);
    uint64_t tag;
    size_t n;
    cr_assert(next_call(SCRIPT_FINISH, &tag, &n));
    cr_assert_eq(n, 4);
    struct reply r[] = {rig_text("s")};
    rig_answer(d, tag, r, 1, 2);
    cr_assert_eq(expect(MESSAGE_DONE_ACK).request, 9);
}

Test(dispatch, a_draining_broker_takes_nothing_and_becomes_idle)
{
    uint64_t tag;
    size_t n;
    submit(1, 1);
    dispatch_tick(d, 0);
    cr_assert(next_call(SCRIPT_SUBMIT, &tag, &n));
    dispatch_drain(d);
    cr_assert(!dispatch_is_idle(d));
    submit(2, 1);
    expect(MESSAGE_BUSY);
    struct reply r[] = {rig_text("n"), rig_number(1), rig_text("7")};
    rig_answer(d, tag, r, 3, 1);
    expect(MESSAGE_ACCEPTED);
}

static void expect_busy(const char *status, const char *reason)
{
    uint64_t tag;
    size_t n;
    struct message m = {.kind = MESSAGE_ERROR};
    uint8_t *bytes = NULL;
    submit(1, 1);
    dispatch_tick(d, 0);
    cr_assert(next_call(SCRIPT_SUBMIT, &tag, &n));
    struct reply r[] = {rig_text(status), rig_number(5), rig_text("7")};
    rig_answer(d, tag, r, 3, 1);
    cr_assert(next_message(&m, &bytes) && m.kind == MESSAGE_BUSY);
    cr_expect(m.retry_ms >= 1000 && m.unfinished == 5);
    cr_expect_not_null(memmem(m.text.bytes, m.text.len, reason, strlen(reason)), "%.*s", (int)m.text.len,
                       (const char *)m.text.bytes);
    free(bytes);
}

Test(dispatch, a_full_redis_and_a_quota_are_busy_with_their_reason)
{
    expect_busy("M", "70 % full");
    expect_busy("F", "needs more memory");
    expect_busy("Q", "quota");
}

Test(dispatch, a_session_that_gets_nothing_for_now_is_asked_for_later)
{
    static const char *const reasons[] = {"full", "ill", "drain"};
    int64_t now = 0;
    hello(now);
    credit(2, 8, now);
    for (int i = 0; i < 3; i++) {
        struct reply r[] = {rig_number(0), rig_text(reasons[i]), rig_number(0)};
        rig_answer(d, expect_claim(now), r, 3, now);
        cr_expect(!claims(now + 100), "%s", reasons[i]);
        now += 300;
    }
    cr_assert(claims(now));
}

/* What the next CLAIM asks for each session; returns how many sessions. */
static size_t asked_by_claim(int64_t now, uint64_t *tag, char want[8][4])
{
    enum { ALL = 5, EACH = 3 };
    struct dispatch_output o;
    size_t n = 0, len;
    dispatch_tick(d, now);
    while (dispatch_next(d, &o)) {
        if (o.kind == OUTPUT_CALL && o.script == SCRIPT_CLAIM) {
            *tag = o.tag;
            for (; ALL + n * EACH < o.args.n; n++) {
                const char *text = store_args_at(&o.args, ALL + n * EACH + 2, &len);
                snprintf(want[n], sizeof want[n], "%.*s", (int)len, text);
            }
        }
        dispatch_output_fini(&o);
    }
    return n;
}

Test(dispatch, sessions_that_wait_share_a_claim_and_what_there_is)
{
    static const uint8_t other[SESSION_BYTES] = "another session";
    char want[8][4];
    uint64_t tag;
    hello(0);
    hello_of(other, 0);
    credit(2, 32, 1);
    credit_of(other, 2, 32, 1);
    cr_assert_eq(asked_by_claim(1, &tag, want), 2);
    cr_assert_str_eq(want[0], "8"); /* nobody knows yet how much there is */
    cr_assert_str_eq(want[1], "8");
    struct reply some[] = {rig_number(10),         rig_text("ok"),
                           rig_number(1),          rig_text("0123456789abcdef"),
                           rig_text("0|0|0|7|1|"), rig_text("1|4|0|7||body"),
                           rig_text("ok"),         rig_number(0)};
    rig_answer(d, tag, some, 8, 2);
    expect(MESSAGE_JOBS);
    cr_assert_eq(asked_by_claim(3, &tag, want), 1); /* who got none still waits */
    cr_assert_str_eq(want[0], "32");                /* alone */
    struct reply one[] = {rig_number(10),         rig_text("ok"),           rig_number(1), rig_text("0123456789abcdeg"),
                          rig_text("0|0|0|7|1|"), rig_text("1|4|0|7||body")};
    credit(3, 31, 3); /* while nothing of it is on the way */
    rig_answer(d, tag, one, 6, 4);
    expect(MESSAGE_JOBS);
    credit_of(other, 3, 31, 4);
    cr_assert_eq(asked_by_claim(5, &tag, want), 2);
    cr_assert_str_eq(want[0], "5"); /* half of what was left each */
    cr_assert_str_eq(want[1], "5");
}

Test(dispatch, a_lost_claim_of_several_sessions_makes_each_resume)
{
    static const uint8_t other[SESSION_BYTES] = "another session";
    hello(0);
    hello_of(other, 0);
    credit(2, 8, 1);
    credit_of(other, 7, 8, 1);
    lose(expect_claim(1), 2);
    cr_assert_eq(expect(MESSAGE_JOBS).seq + expect(MESSAGE_JOBS).seq, 2 + 7);
    cr_assert(!claims(3));
}

/* The next SUBMIT: the campaign's number in it, and how its only job begins. */
static void expect_numbered(uint64_t *tag, const char *number, const char *front)
{
    enum { NUMBER = 3, BODY = 15 };
    struct dispatch_output o;
    size_t len;
    bool found = false;
    dispatch_tick(d, 0);
    while (dispatch_next(d, &o)) {
        if (o.kind == OUTPUT_CALL && o.script == SCRIPT_SUBMIT) {
            const char *text = store_args_at(&o.args, NUMBER, &len);
            cr_expect(len == strlen(number) && memcmp(text, number, len) == 0);
            text = store_args_at(&o.args, BODY, &len);
            cr_expect(len > strlen(front) && memcmp(text, front, strlen(front)) == 0);
            *tag = o.tag;
            found = true;
        }
        dispatch_output_fini(&o);
    }
    cr_assert(found);
}

Test(dispatch, a_campaigns_number_is_learnt_and_learnt_again_when_it_was_made_anew)
{
    uint64_t tag;
    struct reply first[] = {rig_text("n"), rig_number(1), rig_text("7")},
                 other[] = {rig_text("N"), rig_number(0), rig_text("12")};
    submit(1, 1);
    expect_numbered(&tag, "", "\x9d"); /* a job's array: the script puts the front in place */
    rig_answer(d, tag, first, 3, 1);
    expect(MESSAGE_ACCEPTED);
    submit(2, 1);
    expect_numbered(&tag, "7", "1|4|0|7||\x9d");
    rig_answer(d, tag, other, 3, 2);
    cr_assert_eq(expect(MESSAGE_BUSY).retry_ms, 1);
    submit(2, 1);
    expect_numbered(&tag, "12", "1|4|0|12||\x9d");
}
