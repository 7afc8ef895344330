#include "protocol/link.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

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

static void exchange(const struct link_keys *server, const struct link_keys *client)
{
    char address[64];
    snprintf(address, sizeof address, "ipc:///tmp/ferretry-link-%d", (int)getpid());
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
}

Test(link, question_and_answer)
{
    exchange(NULL, NULL);
}

Test(link, question_and_answer_encrypted)
{
    char server_public[LINK_KEY_TEXT], server_secret[LINK_KEY_TEXT], public_key[LINK_KEY_TEXT], secret[LINK_KEY_TEXT];
    if (link_keypair(server_public, server_secret) != ST_OK)
        cr_skip_test("ZeroMQ without CURVE");
    cr_assert_eq(link_keypair(public_key, secret), ST_OK);
    struct link_keys server = {.public_key = server_public, .secret_key = server_secret};
    struct link_keys client = {.public_key = public_key, .secret_key = secret, .server_key = server_public};
    exchange(&server, &client);
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

Test(link, addresses_of_this_host_are_known)
{
    cr_assert(link_is_local("ipc:///tmp/x"));
    cr_assert(link_is_local("tcp://127.0.0.1:7411"));
    cr_assert(link_is_local("tcp://[::1]:7411"));
    cr_assert(!link_is_local("tcp://*:7411"));
    cr_assert(!link_is_local("tcp://10.0.0.1:7411"));
}
