/* Keys at the door of a router: who is let in, and what is known of a peer. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/link.h"
#include "tests/unit/protocol/free_port.h"

enum { WAIT_MS = 5000 };

static struct link_context *here, *there;   /* the broker's and the peers' */
static struct link *gate, *router, *dealer; /* dealer: of the test that runs */
static char ipc[64], tcp[64], both[160];
static char broker_public[LINK_KEY_TEXT], broker_secret[LINK_KEY_TEXT], own_public[LINK_KEY_TEXT],
    own_secret[LINK_KEY_TEXT];
static bool door_is_open;
static int asked;

static bool may_enter(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address)
{
    char text[LINK_KEY_TEXT];
    (void)ctx;
    link_key_text(key, text);
    cr_assert_str_eq(text, own_public);
    cr_assert_str_eq(address, "127.0.0.1");
    asked++;
    return door_is_open;
}

static void set_up(void)
{
    struct diag why = {""};
    cr_assert_eq(link_keypair(broker_public, broker_secret), ST_OK);
    cr_assert_eq(link_keypair(own_public, own_secret), ST_OK);
    snprintf(ipc, sizeof ipc, "ipc:///tmp/ferretry-gate-%d", (int)getpid());
    free_tcp_address(tcp);
    snprintf(both, sizeof both, "%s,%s", tcp, ipc);
    const struct link_keys keys = {.public_key = broker_public, .secret_key = broker_secret};
    const struct link_options g = {.kind = LINK_GATE}, r = {.kind = LINK_ROUTER, .address = both, .keys = &keys};
    cr_assert_eq(link_context_new(&here), ST_OK);
    cr_assert_eq(link_context_new(&there), ST_OK);
    cr_assert_eq(link_open(here, &g, &gate, &why), ST_OK, "%s", why.text);
    cr_assert_eq(link_open(here, &r, &router, &why), ST_OK, "%s", why.text);
    door_is_open = true;
    asked = 0;
}

static void tear_down(void)
{
    link_close(dealer); /* also after a failure: a context waits for its sockets */
    link_close(router);
    link_close(gate);
    link_context_free(here);
    link_context_free(there);
    unlink(ipc + strlen("ipc://"));
}

TestSuite(gate, .init = set_up, .fini = tear_down);

static struct link *connect_with(const char *address, const struct link_keys *keys)
{
    struct diag why = {""};
    const struct link_options o = {.kind = LINK_DEALER, .address = address, .keys = keys};
    link_close(dealer);
    dealer = NULL;
    cr_assert_eq(link_open(there, &o, &dealer, &why), ST_OK, "%s", why.text);
    return dealer;
}

/* Keeps saying hello until it is heard or the link is in trouble. */
static enum status hello(struct link *l, struct link_peer *peer, struct diag *why)
{
    for (int64_t until = clock_ms() + WAIT_MS; clock_ms() < until;) {
        struct link_poll items[] = {{.link = gate, .want_read = true}, {.link = router, .want_read = true}};
        struct link_frame f;
        cr_assert_eq(link_wait(items, 2, 10), ST_OK);
        link_gate_serve(gate, may_enter, NULL);
        (void)!link_send(l, NULL, (uint8_t *)strdup("hello"), 5);
        if (link_receive(router, &f) == ST_OK) {
            *peer = f.peer;
            link_frame_free(&f);
            return ST_OK;
        }
        (void)!link_receive(l, &f);
        enum status s = link_trouble(l, why);
        if (s != ST_OK)
            return s;
    }
    return ST_TIMEOUT;
}

static const struct link_keys own = {.public_key = own_public, .secret_key = own_secret, .server_key = broker_public};

Test(gate, a_peer_is_known_by_the_key_that_it_has_proved)
{
    struct link *l = connect_with(tcp, &own);
    struct link_peer peer;
    uint8_t key[LINK_KEY_BYTES];
    cr_assert_eq(hello(l, &peer, NULL), ST_OK);
    cr_assert_eq(peer.trust, LINK_HAS_KEY);
    cr_assert_eq(link_key_read(own_public, key), ST_OK);
    cr_assert_arr_eq(peer.key, key, LINK_KEY_BYTES);
    cr_assert_eq(asked, 1);
}

Test(gate, a_peer_of_this_host_is_plain_beside_encrypted_ones_and_known_as_such)
{
    struct link *l = connect_with(ipc, &own); /* keys are for tcp */
    struct link_peer peer;
    cr_assert_eq(hello(l, &peer, NULL), ST_OK);
    cr_assert_eq(peer.trust, LINK_THIS_HOST);
    cr_assert_eq(asked, 0);
}

Test(gate, a_key_that_is_turned_away_learns_why_and_comes_in_once_it_may)
{
    struct link *l = connect_with(tcp, &own);
    struct link_peer peer;
    struct diag why = {""};
    door_is_open = false;
    cr_assert_eq(hello(l, &peer, &why), ST_REFUSED);
    cr_assert(strstr(why.text, own_public) && strstr(why.text, tcp), "%s", why.text);
    door_is_open = true;
    for (int64_t until = clock_ms() + WAIT_MS; hello(l, &peer, &why) == ST_REFUSED;)
        cr_assert(clock_ms() < until, "it does not try again");
    cr_assert_eq(peer.trust, LINK_HAS_KEY);
}

Test(gate, who_has_no_key_or_not_the_brokers_gets_nothing_through)
{
    const struct link_keys wrong = {.public_key = own_public, .secret_key = own_secret, .server_key = own_public};
    const struct link_keys *keys[] = {NULL, &wrong};
    for (int i = 0; i < 2; i++) {
        struct link *l = connect_with(tcp, keys[i]);
        struct link_peer peer;
        struct diag why = {""};
        cr_assert_eq(hello(l, &peer, &why), ST_FORMAT);
        cr_assert(strstr(why.text, i ? "another key" : "--key-file"), "%s", why.text);
    }
    cr_assert_eq(asked, 0);
}

Test(gate, what_leaves_the_host_is_refused_without_keys)
{
    static const char *const addresses[] = {"tcp://10.255.255.1:7411", "tcp://*:0"};
    struct diag why = {""};
    for (int kind = LINK_ROUTER; kind <= LINK_DEALER; kind++)
        for (int i = 0; i < 2 - (kind == LINK_DEALER); i++) {
            struct link_options o = {.kind = (enum link_kind)kind, .address = addresses[i]};
            cr_assert_eq(link_open(there, &o, &dealer, &why), ST_REFUSED, "%s", addresses[i]);
            cr_assert(strstr(why.text, "--insecure"), "%s", why.text);
        }
    struct link_options o = {.kind = LINK_DEALER, .address = addresses[0], .insecure = true};
    cr_assert_eq(link_open(there, &o, &dealer, &why), ST_OK, "%s", why.text);
}

Test(gate, halves_of_a_key_belong_together)
{
    char found[LINK_KEY_TEXT];
    uint8_t key[LINK_KEY_BYTES];
    char text[LINK_KEY_TEXT];
    cr_assert_eq(link_public_key(own_secret, found), ST_OK);
    cr_assert_str_eq(found, own_public);
    cr_assert_eq(link_key_read(own_public, key), ST_OK);
    link_key_text(key, text);
    cr_assert_str_eq(text, own_public);
    cr_assert_eq(link_key_read("short", key), ST_FORMAT);
    cr_assert_eq(link_key_read("~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", key), ST_FORMAT);
    cr_assert_eq(link_public_key("########################################", found), ST_FORMAT);
}
