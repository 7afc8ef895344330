/* A session carries questions for twins to brokers that know them, which the test plays. */
#include <pthread.h>

#include "tests/unit/protocol/played_broker.h"
#include "tests/unit/worker/idle_engine.h"
#include "worker/session.h"

enum { LEASE_MS = 3000, BEAT_MS = 100, WAIT_MS = 10000 };

static const struct log quiet = {.component = "test", .level = LOG_ERROR};
static struct played broker;
static struct twins *twins;
static struct session *session;
static pthread_t runner;
static volatile sig_atomic_t stop;
static enum status ended;

static void *run(void *arg)
{
    struct diag why;
    (void)arg;
    ended = session_run(session, &stop, &why);
    return NULL;
}

static void set_up(void)
{
    played_open(&broker);
    cr_assert_eq(twins_new(9, WAIT_MS, &twins), ST_OK);
    struct session_options o = {.broker = broker.address,
                                .class_name = "m/f32",
                                .tasks = "caption",
                                .label = "test",
                                .context = 1,
                                .credit = 8,
                                .drain_ms = 100,
                                .twins = twins,
                                .log = &quiet};
    cr_assert_eq(session_open(&o, &idle_engine, &session, NULL), ST_OK);
    cr_assert_eq(pthread_create(&runner, NULL, run, NULL), 0);
}

static void tear_down(void)
{
    stop = 1;
    for (bool bye = false; !bye;) {
        cr_assert(played_next(&broker, PLAYED_WAIT_MS), "no HANDBACK with bye");
        bye = broker.message.kind == MESSAGE_HANDBACK && broker.message.bye;
        if (broker.message.kind == MESSAGE_HANDBACK)
            played_answer(&broker, (struct message){.kind = MESSAGE_HANDBACK_ACK});
    }
    pthread_join(runner, NULL);
    cr_expect_eq(ended, ST_OK);
    session_close(session);
    twins_free(twins);
    played_close(&broker);
}

TestSuite(session_twins, .init = set_up, .fini = tear_down, .timeout = 60);

static void settle(uint64_t flags)
{
    played_expect(&broker, MESSAGE_HELLO);
    played_answer(&broker, (struct message){.kind = MESSAGE_WELCOME,
                                            .route = ROUTE_RELAY,
                                            .shards = 1,
                                            .lease_ms = LEASE_MS,
                                            .beat_ms = BEAT_MS,
                                            .flags = flags});
    played_hand_out(&broker, MESSAGE_RESUMED, played_expect(&broker, MESSAGE_RESUME)->seq, NULL, 0);
    played_expect(&broker, MESSAGE_CREDIT);
    played_expect(&broker, MESSAGE_BEAT); /* it has been round its loop since then */
    played_answer(&broker, (struct message){.kind = MESSAGE_BEAT_ACK});
}

/* What comes until the second BEAT from now is no TWINS. */
static void expect_no_question(void)
{
    for (int beats = 0; beats < 2;) {
        cr_assert(played_next(&broker, PLAYED_WAIT_MS));
        cr_assert_neq(broker.message.kind, MESSAGE_TWINS);
        if (broker.message.kind != MESSAGE_BEAT)
            continue;
        played_answer(&broker, (struct message){.kind = MESSAGE_BEAT_ACK});
        beats++;
    }
}

static const struct twin asked = {.is_named = true, .key = "a key of 16 byt", .sha256 = "00"};
static int64_t waited_ms;

static void *ask(void *arg)
{
    char id[2 * ID_BYTES + 1];
    int64_t since = clock_ms();
    (void)arg;
    cr_expect_null(twins_find(twins, &asked, id));
    waited_ms = clock_ms() - since;
    return NULL;
}

Test(session_twins, a_broker_that_does_not_say_that_it_knows_them_is_not_asked)
{
    settle(0);
    ask(NULL);
    cr_expect_lt(waited_ms, WAIT_MS);
    expect_no_question();
}

Test(session_twins, a_broker_that_refuses_is_not_asked_again_and_the_session_lives_on)
{
    pthread_t asker;
    settle(FLAG_TWINS);
    cr_assert_eq(pthread_create(&asker, NULL, ask, NULL), 0);
    const struct message *m = played_expect(&broker, MESSAGE_TWINS);
    cr_assert_eq(m->ids.len, ID_BYTES);
    cr_expect(memcmp(m->ids.bytes, asked.key, ID_BYTES) == 0);
    cr_expect_eq(m->n, 9);
    played_error(&broker, CODE_FORMAT, "not a message for a broker");
    pthread_join(asker, NULL);
    cr_expect_lt(waited_ms, WAIT_MS);
    ask(NULL);
    expect_no_question();
}

Test(session_twins, a_broker_without_redis_is_asked_again_later)
{
    pthread_t asker;
    settle(FLAG_TWINS);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&asker, NULL, ask, NULL), 0);
        played_expect(&broker, MESSAGE_TWINS);
        played_error(&broker, CODE_STORE, "Redis is away");
        pthread_join(asker, NULL);
        cr_expect_lt(waited_ms, WAIT_MS);
    }
}
