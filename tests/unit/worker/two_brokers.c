/* A worker's session with a list of brokers, two of which the test plays. */
#include <pthread.h>

#include "tests/unit/protocol/played_broker.h"
#include "tests/unit/worker/idle_engine.h"
#include "worker/session.h"

enum { LEASE_MS = 3000, BEAT_MS = 100 };

static const struct log quiet = {.component = "test", .level = LOG_ERROR};
static volatile sig_atomic_t stop;
static enum status ended;

static void *run(void *arg)
{
    struct diag why;
    ended = session_run(arg, &stop, &why);
    return NULL;
}

/* Which of the two the session says HELLO to. */
static struct played *greeted(struct played brokers[2])
{
    for (int64_t until = clock_ms() + PLAYED_WAIT_MS; clock_ms() < until;)
        for (int i = 0; i < 2; i++)
            if (played_next(&brokers[i], 10) && brokers[i].message.kind == MESSAGE_HELLO)
                return &brokers[i];
    cr_assert_fail("no HELLO came");
    return NULL;
}

static void settle(struct played *p)
{
    played_answer(
        p, (struct message){
               .kind = MESSAGE_WELCOME, .route = ROUTE_RELAY, .shards = 1, .lease_ms = LEASE_MS, .beat_ms = BEAT_MS});
    played_hand_out(p, MESSAGE_RESUMED, played_expect(p, MESSAGE_RESUME)->seq, NULL, 0);
    played_expect(p, MESSAGE_CREDIT);
}

Test(session_two_brokers, a_silent_broker_is_left_under_the_same_session, .timeout = 60)
{
    struct played brokers[2];
    char both[2 * sizeof brokers[0].address];
    memset(brokers, 0, sizeof brokers);
    played_open(&brokers[0]);
    played_open(&brokers[1]);
    snprintf(both, sizeof both, "%s,%s", brokers[0].address, brokers[1].address);
    struct session_options o = {.broker = both,
                                .class_name = "m/f32",
                                .tasks = "caption",
                                .label = "test",
                                .context = 1,
                                .credit = 8,
                                .drain_ms = 100,
                                .log = &quiet};
    struct session *session;
    pthread_t runner;
    cr_assert_eq(session_open(&o, &idle_engine, &session, NULL), ST_OK);
    cr_assert_eq(pthread_create(&runner, NULL, run, session), 0);
    struct played *first = greeted(brokers);
    uint8_t id[SESSION_BYTES];
    memcpy(id, first->message.session.bytes, sizeof id);
    settle(first);
    played_expect(first, MESSAGE_PING);
    played_answer(first, (struct message){.kind = MESSAGE_PONG});
    played_expect(first, MESSAGE_PING); /* which gets no answer */
    struct played *second = greeted(brokers);
    cr_assert_neq(second, first);
    cr_expect_arr_eq(second->message.session.bytes, id, sizeof id);
    settle(second);
    stop = 1;
    pthread_join(runner, NULL);
    cr_expect_eq(ended, ST_OK);
    session_close(session);
    played_close(&brokers[0]);
    played_close(&brokers[1]);
}
