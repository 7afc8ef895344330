/* A client with a list of brokers, two of which the test plays. */
#include <pthread.h>

#include "protocol/client.h"
#include "tests/unit/protocol/played_broker.h"

enum { TIMEOUT_MS = 20000 };

static struct played brokers[2];
static char both[2 * sizeof brokers[0].address];
static struct client *client;
static pthread_t asker;
static enum status said;
static struct diag why;

static void set_up(void)
{
    played_open(&brokers[0]);
    played_open(&brokers[1]);
    snprintf(both, sizeof both, "%s,%s", brokers[0].address, brokers[1].address);
}

static void tear_down(void)
{
    client_close(client);
    played_close(&brokers[0]);
    played_close(&brokers[1]);
}

TestSuite(two_brokers, .init = set_up, .fini = tear_down, .timeout = 60);

/* The broker that is asked next; what it was asked is its last message. */
static struct played *asked(enum message_kind kind)
{
    for (int64_t until = clock_ms() + PLAYED_WAIT_MS; clock_ms() < until;)
        for (int i = 0; i < 2; i++)
            if (played_next(&brokers[i], 10) && brokers[i].message.kind == kind)
                return &brokers[i];
    cr_assert_fail("nobody was asked");
    return NULL;
}

static struct played *other(const struct played *p)
{
    return p == &brokers[0] ? &brokers[1] : &brokers[0];
}

static void *open_client(void *arg)
{
    (void)arg;
    struct client_options o = {.address = both, .timeout_ms = TIMEOUT_MS};
    said = client_open(&o, &client, &why);
    return NULL;
}

static void *ask_workers(void *arg)
{
    (void)arg;
    struct worker_status *list;
    size_t n;
    said = client_workers(client, &list, &n, &why);
    return NULL;
}

static void answer_workers(struct played *p)
{
    static const uint8_t none[] = {0x90};
    played_answer(p, (struct message){.kind = MESSAGE_SESSIONS, .rows = {none, sizeof none}});
}

static struct played *connect(void)
{
    cr_assert_eq(pthread_create(&asker, NULL, open_client, NULL), 0);
    struct played *p = asked(MESSAGE_PING);
    played_answer(p, (struct message){.kind = MESSAGE_PONG});
    pthread_join(asker, NULL);
    cr_assert_eq(said, ST_OK, "%s", why.text);
    return p;
}

Test(two_brokers, a_question_that_one_leaves_unanswered_goes_to_the_other)
{
    struct played *silent = connect();
    cr_assert_eq(pthread_create(&asker, NULL, ask_workers, NULL), 0);
    played_expect(silent, MESSAGE_WORKERS);
    played_expect(other(silent), MESSAGE_WORKERS);
    answer_workers(other(silent));
    pthread_join(asker, NULL);
    cr_expect_eq(said, ST_OK, "%s", why.text);
}

Test(two_brokers, one_that_lost_redis_is_left)
{
    struct played *cut_off = connect();
    cr_assert_eq(pthread_create(&asker, NULL, ask_workers, NULL), 0);
    for (bool moved = false; !moved;) {
        moved = asked(MESSAGE_WORKERS) != cut_off;
        if (!moved)
            played_error(cut_off, CODE_STORE, "Redis is away");
    }
    answer_workers(other(cut_off));
    pthread_join(asker, NULL);
    cr_expect_eq(said, ST_OK, "%s", why.text);
}

Test(two_brokers, one_that_is_gone_is_left_for_the_other)
{
    struct played *gone = connect();
    link_close(gone->link);
    gone->link = NULL;
    unlink(gone->address + strlen("ipc://"));
    cr_assert_eq(pthread_create(&asker, NULL, ask_workers, NULL), 0);
    played_expect(other(gone), MESSAGE_WORKERS);
    answer_workers(other(gone));
    pthread_join(asker, NULL);
    cr_expect_eq(said, ST_OK, "%s", why.text);
}
