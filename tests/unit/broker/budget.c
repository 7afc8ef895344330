#include "broker/budget.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct budget *b;

static void set_up(void)
{
    const struct budget_limits limits = {.bytes = 100, .key_bytes = 150, .calls = 4, .key_calls = 6};
    cr_assert_eq(budget_new(&limits, &b), ST_OK);
}
static void tear_down(void)
{
    budget_free(b);
}
TestSuite(budget, .init = set_up, .fini = tear_down);

static struct link_peer peer(const char *name, char key)
{
    struct link_peer p = {.len = (uint8_t)strlen(name), .trust = key ? LINK_HAS_KEY : LINK_ANYBODY};
    memcpy(p.bytes, name, strlen(name));
    memset(p.key, key, sizeof p.key);
    return p;
}

Test(budget, a_peer_that_has_its_fill_does_not_touch_another)
{
    struct link_peer a = peer("a", 0), c = peer("c", 0);
    for (int i = 0; i < 4; i++)
        cr_assert(budget_take(b, SIDE_CLIENT, &a, 1));
    cr_assert_not(budget_take(b, SIDE_CLIENT, &a, 1));
    cr_assert(budget_take(b, SIDE_CLIENT, &c, 1));
    cr_assert(budget_take(b, SIDE_WORKER, &a, 1), "names of the two sockets have nothing to do with each other");
    budget_give(b, SIDE_CLIENT, &a, 1);
    cr_assert(budget_take(b, SIDE_CLIENT, &a, 1));
}

Test(budget, bytes_are_bounded_and_a_first_message_always_fits)
{
    struct link_peer a = peer("a", 0);
    cr_assert(budget_take(b, SIDE_CLIENT, &a, 1000));
    cr_assert_not(budget_take(b, SIDE_CLIENT, &a, 1));
    budget_give(b, SIDE_CLIENT, &a, 1000);
    cr_assert(budget_take(b, SIDE_CLIENT, &a, 60));
    cr_assert_not(budget_take(b, SIDE_CLIENT, &a, 60));
}

Test(budget, many_connections_of_a_clients_key_share_one_budget)
{
    int got = 0;
    for (int i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        struct link_peer p = peer(name, 'k');
        got += budget_take(b, SIDE_CLIENT, &p, 10);
    }
    cr_assert_eq(got, 6);
    struct link_peer stranger = peer("0", 'z');
    cr_assert_not(budget_take(b, SIDE_CLIENT, &stranger, 1000) && budget_take(b, SIDE_CLIENT, &stranger, 1));
}

Test(budget, workers_of_one_key_are_counted_one_by_one)
{
    for (int i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        struct link_peer p = peer(name, 'k');
        cr_assert(budget_take(b, SIDE_WORKER, &p, 0));
    }
}

Test(budget, what_is_given_back_leaves_nothing_behind)
{
    enum { PEERS = 500, ROUNDS = 20000 };
    static int held[PEERS];
    unsigned random = 1;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1103515245 + 12345;
        int n = (int)(random >> 8) % PEERS;
        char name[8];
        snprintf(name, sizeof name, "%d", n);
        struct link_peer p = peer(name, 0);
        if (random & 0x80) {
            bool took = budget_take(b, SIDE_CLIENT, &p, 7);
            cr_assert_eq(took, held[n] < 4, "peer %d has %d", n, held[n]);
            held[n] += took;
        } else if (held[n] > 0) {
            budget_give(b, SIDE_CLIENT, &p, 7);
            held[n]--;
        }
    }
    for (int n = 0; n < PEERS; n++) {
        char name[8];
        snprintf(name, sizeof name, "%d", n);
        struct link_peer p = peer(name, 0);
        for (; held[n] > 0; held[n]--)
            budget_give(b, SIDE_CLIENT, &p, 7);
    }
    cr_assert_eq(budget_size(b), 0);
}
