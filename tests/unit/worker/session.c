/* A worker's session against a broker that the test plays, on the relay route. The engine holds jobs until the test
 * lets them go. */
#include "worker/session.h"

#include <pthread.h>

#include "tests/unit/protocol/played_broker.h"
#include "worker/session_impl.h"

enum { LEASE_MS = 3000, BEAT_MS = 100, GRACE_MS = 30000, HELD = 8 };

static struct played broker;
static struct session *session;
static volatile sig_atomic_t stop;
static pthread_t runner;
static enum status ended;
static struct diag ended_why;
static const struct log quiet = {.component = "test", .level = LOG_ERROR};

/* ---- the engine ------------------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
    struct flight *flight;
    char key[32];
} held[HELD];
static int n_held, n_cancelled;
static bool stuck; /* what was begun does not end */

static enum status start(void *ctx, struct job *job, struct flight *flight, struct diag *why)
{
    (void)ctx;
    (void)why;
    pthread_mutex_lock(&lock);
    held[n_held].flight = flight;
    snprintf(held[n_held++].key, sizeof held[0].key, "%s", job->key);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    job_free(job);
    return ST_OK;
}

static void cancel(void *ctx, struct flight *flight)
{
    (void)ctx;
    (void)flight;
    pthread_mutex_lock(&lock);
    n_cancelled++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Everything that is still held goes back. */
static void drain(void *ctx)
{
    (void)ctx;
    struct session_end back = {.handed_back = true};
    pthread_mutex_lock(&lock);
    while (stuck)
        pthread_cond_wait(&changed, &lock);
    while (n_held)
        session_finished(session, held[--n_held].flight, &back);
    pthread_mutex_unlock(&lock);
}

static enum status state(void *ctx, struct diag *why)
{
    (void)ctx;
    (void)why;
    return ST_OK;
}

static void wait_count(const int *count, int want)
{
    pthread_mutex_lock(&lock);
    while (*count < want)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static struct flight *let_go(const char *key)
{
    struct flight *f = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_held && !f; i++)
        if (strcmp(held[i].key, key) == 0) {
            f = held[i].flight;
            held[i] = held[--n_held];
        }
    pthread_mutex_unlock(&lock);
    cr_assert_not_null(f, "%s is not held", key);
    return f;
}

static void finish(const char *key, char *record)
{
    struct session_end end = {.record = record};
    session_finished(session, let_go(key), &end);
}

/* ---- a session and its broker ------------------------------------------------------------------------------------ */

static void *run(void *arg)
{
    (void)arg;
    ended = session_run(session, &stop, &ended_why);
    return NULL;
}

static void set_up(void)
{
    static const struct session_engine engine = {.start = start, .cancel = cancel, .drain = drain, .state = state};
    played_open(&broker);
    struct session_options o = {.broker = broker.address,
                                .class_name = "m/f32",
                                .tasks = "caption",
                                .label = "test",
                                .context = 1,
                                .credit = HELD,
                                .drain_ms = GRACE_MS,
                                .log = &quiet};
    cr_assert_eq(session_open(&o, &engine, &session, NULL), ST_OK);
    cr_assert_eq(pthread_create(&runner, NULL, run, NULL), 0);
}

static void expect_end(enum status want)
{
    pthread_join(runner, NULL);
    cr_expect_eq(ended, want, "%s: %s", status_word(ended), ended_why.text);
}

/* Stops the session while the test goes on answering. */
static void finish_session(void)
{
    stop = 1;
    for (bool bye = false; !bye;) {
        cr_assert(played_next(&broker, PLAYED_WAIT_MS), "no HANDBACK with bye");
        bye = broker.message.kind == MESSAGE_HANDBACK && broker.message.bye;
        if (broker.message.kind == MESSAGE_HANDBACK)
            played_answer(&broker, (struct message){.kind = MESSAGE_HANDBACK_ACK});
    }
    expect_end(ST_OK);
}

static void tear_down(void)
{
    session_close(session);
    played_close(&broker);
}

TestSuite(session, .init = set_up, .fini = tear_down, .timeout = 60);

static void welcome(void)
{
    played_answer(
        &broker,
        (struct message){
            .kind = MESSAGE_WELCOME, .route = ROUTE_RELAY, .shards = 1, .lease_ms = LEASE_MS, .beat_ms = BEAT_MS});
}

/* HELLO, WELCOME, RESUME, RESUMED, and the credit that follows: the last message. */
static uint64_t settle(void)
{
    played_expect(&broker, MESSAGE_HELLO);
    welcome();
    uint64_t seq = played_expect(&broker, MESSAGE_RESUME)->seq;
    played_hand_out(&broker, MESSAGE_RESUMED, seq, NULL, 0);
    const struct message *m = played_expect(&broker, MESSAGE_CREDIT);
    cr_assert_eq(m->want, HELD);
    cr_assert_gt(m->seq, seq);
    return m->seq;
}

static void hand_out(const char *key, uint64_t seq)
{
    played_hand_out(&broker, MESSAGE_JOBS, seq, &key, 1);
}

/* The next DONE, answered; its only record's text is copied out. */
static void expect_done(const char *key, char *record, size_t size)
{
    const struct message *m = played_expect(&broker, MESSAGE_DONE);
    struct wire_reader r;
    cr_assert_eq(message_rows_open(m, &r), 1);
    struct message_row row = message_row_next(&r);
    struct played_job j = played_job(key);
    cr_expect(memcmp(row.id, j.id, ID_BYTES) == 0, "another job than %s", key);
    free(j.body);
    snprintf(record, size, "%.*s", (int)row.body.len, (const char *)row.body.bytes);
    played_answer(&broker, (struct message){.kind = MESSAGE_DONE_ACK, .statuses = played_text("s")});
}

/* ---- the claims -------------------------------------------------------------------------------------------------- */

Test(session, a_job_is_taken_run_and_its_record_stored)
{
    char record[64];
    hand_out("a", settle());
    wait_count(&n_held, 1);
    finish("a", strdup("{\"r\":1}"));
    expect_done("a", record, sizeof record);
    cr_expect_str_eq(record, "{\"r\":1}");
    finish_session();
}

Test(session, a_hello_that_is_refused_ends_the_worker_with_the_brokers_sentence)
{
    played_expect(&broker, MESSAGE_HELLO);
    played_error(&broker, CODE_FORMAT, "class and tasks are words");
    expect_end(ST_REFUSED);
    cr_expect_not_null(strstr(ended_why.text, "class and tasks are words"), "%s", ended_why.text);
}

Test(session, a_broker_that_speaks_a_newer_version_ends_the_worker_naming_both)
{
    static const char newer[] = "\x94\x02\x21\x01\x80"; /* [2, WELCOME, 1, {}] */
    played_expect(&broker, MESSAGE_HELLO);
    played_answer_bytes(&broker, newer, sizeof newer - 1);
    expect_end(ST_UNSUPPORTED);
    cr_expect(strchr(ended_why.text, '2') && strchr(ended_why.text, '1'), "%s", ended_why.text);
}

Test(session, a_broker_that_refuses_our_version_ends_the_worker)
{
    played_expect(&broker, MESSAGE_HELLO);
    played_error(&broker, CODE_VERSION, "version 1 is too old for version 2");
    expect_end(ST_UNSUPPORTED);
}

Test(session, a_stop_before_the_first_welcome_is_in_order)
{
    played_expect(&broker, MESSAGE_HELLO);
    stop = 1;
    expect_end(ST_OK);
}

Test(session, a_lost_welcome_is_asked_for_again_under_the_same_name)
{
    uint8_t name[SESSION_BYTES];
    memcpy(name, played_expect(&broker, MESSAGE_HELLO)->session.bytes, sizeof name);
    played_expect(&broker, MESSAGE_HELLO);
    cr_expect(memcmp(name, broker.message.session.bytes, sizeof name) == 0);
    welcome();
    played_expect(&broker, MESSAGE_RESUME);
    finish_session();
}

Test(session, a_lost_claim_is_repaired_by_resume)
{
    static const char *const keys[] = {"lost"};
    uint64_t seq = settle();
    played_hand_out(&broker, MESSAGE_JOBS, seq, NULL, 0); /* JOBS without rows: an answer may be lost */
    uint64_t higher = played_expect(&broker, MESSAGE_RESUME)->seq;
    cr_expect_gt(higher, seq);
    hand_out("late", seq); /* the old answer comes after all: fenced */
    played_hand_out(&broker, MESSAGE_RESUMED, higher, keys, 1);
    wait_count(&n_held, 1);
    char record[64];
    finish("lost", strdup("{}"));
    expect_done("lost", record, sizeof record);
    cr_expect_eq(n_held, 0, "a job was taken from an answer that was fenced");
    finish_session();
}

Test(session, two_beats_that_count_more_than_is_known_make_it_resume)
{
    settle();
    for (int i = 0; i < 2; i++) {
        played_expect(&broker, MESSAGE_BEAT);
        played_answer(&broker, (struct message){.kind = MESSAGE_BEAT_ACK, .owned = 1});
    }
    played_expect(&broker, MESSAGE_RESUME);
    finish_session();
}

Test(session, a_broker_that_went_and_came_back_gets_the_same_session_with_its_jobs)
{
    uint8_t name[SESSION_BYTES];
    hand_out("a", settle());
    wait_count(&n_held, 1);
    memcpy(name, broker.message.session.bytes, sizeof name);
    played_close(&broker);
    played_open(&broker);
    do /* whatever is asked of a broker that knows nobody */
        if (played_next(&broker, PLAYED_WAIT_MS) && broker.message.kind != MESSAGE_HELLO)
            played_error(&broker, CODE_SESSION, "this broker does not know the session; say HELLO");
    while (broker.message.kind != MESSAGE_HELLO);
    cr_expect(memcmp(name, broker.message.session.bytes, sizeof name) == 0);
    welcome();
    const struct message *m = played_expect(&broker, MESSAGE_RESUME);
    struct played_job a = played_job("a");
    cr_expect(m->ids.len == ID_BYTES && memcmp(m->ids.bytes, a.id, ID_BYTES) == 0, "it does not say what it has");
    free(a.body);
    played_hand_out(&broker, MESSAGE_RESUMED, m->seq, NULL, 0);
    char record[64];
    finish("a", strdup("{}"));
    expect_done("a", record, sizeof record);
    finish_session();
}

Test(session, a_stop_hands_back_what_has_not_begun)
{
    hand_out("a", settle());
    wait_count(&n_held, 1);
    stop = 1;
    const struct message *m = played_expect(&broker, MESSAGE_HANDBACK);
    struct played_job a = played_job("a");
    cr_expect(m->ids.len == ID_BYTES && memcmp(m->ids.bytes, a.id, ID_BYTES) == 0);
    free(a.body);
    cr_expect_eq(m->bye, 0);
    played_answer(&broker, (struct message){.kind = MESSAGE_HANDBACK_ACK});
    finish_session();
}

Test(session, a_stop_while_the_queue_is_away_waits_for_a_lease_not_for_the_grace)
{
    hand_out("a", settle());
    wait_count(&n_held, 1);
    finish("a", strdup("{}"));
    played_expect(&broker, MESSAGE_DONE); /* and no answer to it, nor to anything else */
    int64_t from = clock_ms();
    stop = 1;
    expect_end(ST_OK);
    cr_expect_lt(clock_ms() - from, GRACE_MS / 2);
}

Test(session, what_is_unfinished_when_the_grace_is_over_goes_back_and_nobody_waits_for_the_engine)
{
    enum { SHORT_MS = 400 };
    hand_out("a", settle());
    wait_count(&n_held, 1);
    session_started(session, held[0].flight);
    session->options.drain_ms = SHORT_MS; /* read when the stop comes */
    stuck = true;
    int64_t from = clock_ms();
    stop = 1;
    while (broker.message.kind != MESSAGE_HANDBACK)
        cr_assert(played_next(&broker, PLAYED_WAIT_MS), "no HANDBACK");
    cr_expect(broker.message.bye == 1 && broker.message.ids.len == 0); /* bye gives back what it owns, unmarked */
    cr_expect_geq(clock_ms() - from, SHORT_MS);
    played_answer(&broker, (struct message){.kind = MESSAGE_HANDBACK_ACK});
    expect_end(ST_TIMEOUT);
    pthread_mutex_lock(&lock);
    stuck = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

Test(session, leases_are_renewed_while_the_engine_computes)
{
    hand_out("long", settle());
    wait_count(&n_held, 1);
    int64_t from = clock_ms();
    for (int i = 0; i < 5; i++) {
        played_expect(&broker, MESSAGE_BEAT);
        played_answer(&broker, (struct message){.kind = MESSAGE_BEAT_ACK, .owned = 1});
    }
    cr_expect_lt(clock_ms() - from, LEASE_MS, "five beats take longer than a lease");
    finish_session();
}

Test(session, a_redis_that_cannot_be_reached_from_here_means_the_relay_route)
{
    played_expect(&broker, MESSAGE_HELLO);
    played_answer(&broker, (struct message){.kind = MESSAGE_WELCOME,
                                            .route = ROUTE_DIRECT,
                                            .address = played_text("/tmp/no/such/redis.sock"),
                                            .shards = 1,
                                            .lease_ms = LEASE_MS,
                                            .beat_ms = BEAT_MS});
    const char *key = "a";
    played_hand_out(&broker, MESSAGE_RESUMED, played_expect(&broker, MESSAGE_RESUME)->seq, &key, 1);
    wait_count(&n_held, 1);
    char record[64];
    finish("a", strdup("{}"));
    expect_done("a", record, sizeof record);
    finish_session();
}

Test(session, what_was_begun_is_told_at_once)
{
    hand_out("a", settle());
    wait_count(&n_held, 1);
    session_started(session, held[0].flight);
    const struct message *m;
    do
        m = played_expect(&broker, MESSAGE_BEAT);
    while (m->ids.len == 0);
    played_answer(&broker, (struct message){.kind = MESSAGE_BEAT_ACK, .owned = 1});
    finish_session();
}

Test(session, a_job_that_belongs_to_somebody_else_by_now_is_dropped)
{
    uint64_t seq = settle();
    hand_out("gone", seq);
    wait_count(&n_held, 1);
    played_hand_out(&broker, MESSAGE_JOBS, seq + 1, NULL, 0);
    struct played_job j = played_job("gone");
    uint64_t higher = played_expect(&broker, MESSAGE_RESUME)->seq;
    uint8_t none = 0x90; /* an empty array */
    played_answer(
        &broker, (struct message){.kind = MESSAGE_RESUMED, .seq = higher, .ids = {j.id, ID_BYTES}, .rows = {&none, 1}});
    free(j.body);
    wait_count(&n_cancelled, 1);
    finish("gone", strdup("{}"));
    while (played_next(&broker, 4 * BEAT_MS) && broker.message.kind != MESSAGE_BEAT)
        cr_expect_neq(broker.message.kind, MESSAGE_DONE, "its record was sent all the same");
    finish_session();
}

Test(session, a_record_over_its_limit_becomes_one_that_keeps_the_clients_key)
{
    char record[512], *huge = malloc(LIMIT_RESULT_BYTES + 2);
    cr_assert_not_null(huge);
    memset(huge, 'x', LIMIT_RESULT_BYTES + 1);
    huge[LIMIT_RESULT_BYTES + 1] = '\0';
    hand_out("photos/big.jpg", settle());
    wait_count(&n_held, 1);
    finish("photos/big.jpg", huge);
    expect_done("photos/big.jpg", record, sizeof record);
    cr_expect_not_null(strstr(record, "\"id\":\"photos/big.jpg\""), "%s", record);
    cr_expect_not_null(strstr(record, "result_too_large"), "%s", record);
    finish_session();
}

Test(session, a_job_that_runs_too_long_ends_without_waiting_for_the_engine)
{
    char record[512];
    hand_out("short-a", settle());
    wait_count(&n_held, 1);
    struct flight *f = let_go("short-a");
    session_started(session, f);
    expect_done("short-a", record, sizeof record);
    cr_expect_not_null(strstr(record, "\"code\":\"max_runtime\""), "%s", record);
    cr_expect_not_null(strstr(record, "\"id\":\"short-a\""), "%s", record);
    wait_count(&n_cancelled, 1);
    struct session_end late = {.record = strdup("{}")};
    session_finished(session, f, &late);
    while (played_next(&broker, 4 * BEAT_MS) && broker.message.kind != MESSAGE_BEAT)
        cr_expect_neq(broker.message.kind, MESSAGE_DONE, "its late record was sent all the same");
    finish_session();
}

static void answer_beat(uint64_t flags)
{
    played_expect(&broker, MESSAGE_BEAT);
    played_answer(&broker, (struct message){.kind = MESSAGE_BEAT_ACK, .owned = 1, .flags = flags});
}

Test(session, a_worker_that_is_to_drain_hands_back_and_ends)
{
    hand_out("a", settle());
    wait_count(&n_held, 1);
    answer_beat(FLAG_DRAIN);
    for (bool bye = false; !bye;) {
        cr_assert(played_next(&broker, PLAYED_WAIT_MS), "no HANDBACK with bye");
        bye = broker.message.kind == MESSAGE_HANDBACK && broker.message.bye;
        if (broker.message.kind == MESSAGE_HANDBACK)
            played_answer(&broker, (struct message){.kind = MESSAGE_HANDBACK_ACK});
    }
    expect_end(ST_OK);
}

Test(session, in_quarantine_it_asks_what_is_still_its_own)
{
    hand_out("a", settle());
    wait_count(&n_held, 1);
    answer_beat(FLAG_QUARANTINED);
    uint64_t seq = played_expect(&broker, MESSAGE_RESUME)->seq;
    struct played_job j = played_job("a");
    uint8_t none = 0x90; /* an empty array */
    played_answer(&broker,
                  (struct message){.kind = MESSAGE_RESUMED, .seq = seq, .ids = {j.id, ID_BYTES}, .rows = {&none, 1}});
    free(j.body);
    wait_count(&n_cancelled, 1); /* it went to another one */
    struct session_end end = {.handed_back = true};
    session_finished(session, let_go("a"), &end);
    finish_session();
}
