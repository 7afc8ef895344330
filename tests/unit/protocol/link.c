#include "protocol/link.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/protocol/free_port.h"

enum { WAIT_MS = 5000 };

static bool receive(struct link *l, struct link_frame *f)
{
    for (int64_t until = clock_ms() + WAIT_MS; clock_ms() < until;) {
        struct link_poll item = {.link = l, .want_read = true};
        cr_assert_eq(link_wait(&item, 1, 100), ST_OK);
        if (link_receive(l, f) == ST_OK)
            return true;
    }
    return false;
}

static void post(struct link *l, const struct link_peer *peer, const char *text)
{
    for (int64_t until = clock_ms() + WAIT_MS; clock_ms() < until; usleep(1000))
        if (link_send(l, peer, (uint8_t *)strdup(text), strlen(text)) == ST_OK)
            return;
    cr_assert_fail("not sent: %s", text);
}

static void exchange(const char *address, const struct link_keys *server, const struct link_keys *client)
{
    struct link_context *c;
    struct link *router, *dealer;
    struct diag why = {""};
    cr_assert_eq(link_context_new(&c), ST_OK);
    struct link_options bind = {.kind = LINK_ROUTER, .address = address, .keys = server};
    struct link_options connect = {.kind = LINK_DEALER, .address = address, .keys = client};
    cr_assert_eq(link_open(c, &bind, &router, &why), ST_OK, "%s", why.text);
    cr_assert_eq(link_open(c, &connect, &dealer, &why), ST_OK, "%s", why.text);
    post(dealer, NULL, "question");
    struct link_frame f, g;
    cr_assert(receive(router, &f));
    cr_assert(f.len == 8 && memcmp(f.bytes, "question", 8) == 0);
    post(router, &f.peer, "answer");
    cr_assert(receive(dealer, &g));
    cr_assert(g.len == 6 && memcmp(g.bytes, "answer", 6) == 0);
    link_frame_free(&f);
    link_frame_free(&g);
    struct link_peer nobody = {.bytes = "none", .len = 4};
    cr_assert_eq(link_send(router, &nobody, (uint8_t *)strdup("x"), 1), ST_CLOSED);
    link_close(dealer);
    link_close(router);
    link_context_free(c);
    unlink(address + strlen("ipc://"));
}

Test(link, question_and_answer)
{
    char address[64];
    snprintf(address, sizeof address, "ipc:///tmp/ferretry-link-%d", (int)getpid());
    exchange(address, NULL, NULL);
}

Test(link, question_and_answer_encrypted)
{
    char server_public[LINK_KEY_TEXT], server_secret[LINK_KEY_TEXT], public_key[LINK_KEY_TEXT], secret[LINK_KEY_TEXT];
    if (link_keypair(server_public, server_secret) != ST_OK)
        cr_skip_test("ZeroMQ without CURVE");
    cr_assert_eq(link_keypair(public_key, secret), ST_OK);
    struct link_keys server = {.public_key = server_public, .secret_key = server_secret};
    struct link_keys client = {.public_key = public_key, .secret_key = secret, .server_key = server_public};
    char address[64];
    free_tcp_address(address);
    exchange(address, &server, &client);
}

static bool is_told(struct link *l, bool wants)
{
    struct link_poll item = {.link = l, .want_read = wants};
    cr_assert_eq(link_wait(&item, 1, wants ? WAIT_MS : 10), ST_OK);
    return item.can_read;
}

Test(link, what_lies_there_is_told_of_by_each_wait_until_it_is_taken)
{
    enum { FRAMES = 3 };
    char address[64];
    snprintf(address, sizeof address, "ipc:///tmp/ferretry-lies-%d", (int)getpid());
    struct link_context *c;
    struct link *router, *dealer;
    struct link_options bind = {.kind = LINK_ROUTER, .address = address};
    struct link_options connect = {.kind = LINK_DEALER, .address = address};
    cr_assert_eq(link_context_new(&c), ST_OK);
    cr_assert_eq(link_open(c, &bind, &router, NULL), ST_OK);
    cr_assert_eq(link_open(c, &connect, &dealer, NULL), ST_OK);
    for (int i = 0; i < FRAMES; i++)
        post(dealer, NULL, "question");
    for (int i = 0; i < FRAMES; i++) {
        struct link_frame f;
        cr_assert(is_told(router, true) && !is_told(router, false) && is_told(router, true), "frame %d", i);
        cr_assert_eq(link_receive(router, &f), ST_OK);
        link_frame_free(&f);
    }
    struct link_poll item = {.link = router, .want_read = true};
    int64_t from = clock_ms();
    cr_assert_eq(link_wait(&item, 1, 50), ST_OK);
    cr_assert(!item.can_read && clock_ms() - from >= 50);
    link_close(dealer);
    link_close(router);
    link_context_free(c);
    unlink(address + strlen("ipc://"));
}

Test(link, nothing_is_queued_for_a_broker_that_is_not_there)
{
    struct link_context *c;
    struct link *dealer;
    cr_assert_eq(link_context_new(&c), ST_OK);
    struct link_options o = {.kind = LINK_DEALER, .address = "ipc:///tmp/ferretry-nobody"};
    cr_assert_eq(link_open(c, &o, &dealer, NULL), ST_OK);
    cr_assert_eq(link_send(dealer, NULL, (uint8_t *)strdup("x"), 1), ST_BUSY);
    link_close(dealer);
    link_context_free(c);
}

Test(link, a_dealer_moves_to_the_next_router_of_its_list)
{
    char one[64], two[64], both[130];
    snprintf(one, sizeof one, "ipc:///tmp/ferretry-one-%d", (int)getpid());
    snprintf(two, sizeof two, "ipc:///tmp/ferretry-two-%d", (int)getpid());
    snprintf(both, sizeof both, "%s,%s", one, two);
    struct link_context *c;
    struct link *routers[2], *dealer;
    struct link_options o[] = {{.kind = LINK_ROUTER, .address = one},
                               {.kind = LINK_ROUTER, .address = two},
                               {.kind = LINK_DEALER, .address = both}};
    struct diag why = {""};
    cr_assert_eq(link_context_new(&c), ST_OK);
    cr_assert_eq(link_open(c, &o[0], &routers[0], &why), ST_OK, "%s", why.text);
    cr_assert_eq(link_open(c, &o[1], &routers[1], &why), ST_OK, "%s", why.text);
    cr_assert_eq(link_open(c, &o[2], &dealer, &why), ST_OK, "%s", why.text);
    int heard[2] = {0, 0};
    for (int i = 0; i < 4; i++) { /* each question reaches one router, and never the same twice in a row */
        struct link_poll items[] = {{.link = routers[0], .want_read = true}, {.link = routers[1], .want_read = true}};
        struct link_frame f;
        post(dealer, NULL, "question");
        cr_assert_eq(link_wait(items, 2, WAIT_MS), ST_OK);
        int at = items[1].can_read;
        cr_assert_eq(link_receive(routers[at], &f), ST_OK);
        link_frame_free(&f);
        cr_assert_eq(link_receive(routers[!at], &f), ST_BUSY);
        heard[at]++;
        cr_assert(link_move(dealer));
    }
    cr_assert(heard[0] == 2 && heard[1] == 2);
    link_close(dealer);
    o[2].address = one;
    cr_assert_eq(link_open(c, &o[2], &dealer, &why), ST_OK, "%s", why.text);
    cr_assert_not(link_move(dealer), "there is no other");
    post(dealer, NULL, "question");
    link_close(dealer);
    link_close(routers[0]);
    link_close(routers[1]);
    link_context_free(c);
    unlink(one + strlen("ipc://"));
    unlink(two + strlen("ipc://"));
}
