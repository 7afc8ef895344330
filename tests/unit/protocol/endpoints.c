#include "protocol/endpoints.h"

#include <criterion/criterion.h>
#include <string.h>

static struct endpoints *make(const char *text)
{
    struct endpoints *e = NULL;
    struct diag why = {.text = ""};
    cr_assert_eq(endpoints_new(text, &e, &why), ST_OK, "%s", why.text);
    return e;
}

Test(endpoints, all_of_a_list_have_their_turn_before_one_comes_again)
{
    struct endpoints *e = make("tcp://10.0.0.1:7411,ipc:///tmp/x,tcp://[::1]:7411");
    const char *want[] = {"tcp://10.0.0.1:7411", "ipc:///tmp/x", "tcp://[::1]:7411"};
    int at = -1;
    for (int i = 0; i < 9; i++) {
        const char *next = endpoints_next(e);
        int found = -1;
        for (int k = 0; k < 3; k++)
            if (strcmp(next, want[k]) == 0)
                found = k;
        cr_assert(found >= 0, "%s", next);
        cr_assert(at < 0 || found == (at + 1) % 3);
        at = found;
    }
    cr_assert_eq(endpoints_count(e), 3);
    endpoints_free(e);
}

Test(endpoints, the_first_one_is_drawn_so_that_peers_spread)
{
    int first = 0;
    for (int i = 0; i < 64; i++) {
        struct endpoints *e = make("ipc://a,ipc://b");
        first += strcmp(endpoints_next(e), "ipc://a") == 0;
        endpoints_free(e);
    }
    cr_assert(first > 0 && first < 64); /* wrong once in 2^63 runs */
}

Test(endpoints, a_comma_in_a_folder_ends_no_address)
{
    struct endpoints *e = make("ipc:///tmp/a,b/broker");
    cr_assert_str_eq(endpoints_next(e), "ipc:///tmp/a,b/broker");
    endpoints_free(e);
}

Test(endpoints, a_host_name_becomes_its_hosts_and_an_unknown_one_stays)
{
    struct endpoints *e = make("tcp://localhost:7411");
    const char *found = endpoints_next(e);
    cr_assert(strcmp(found, "tcp://127.0.0.1:7411") == 0 || strcmp(found, "tcp://[::1]:7411") == 0, "%s", found);
    endpoints_free(e);
    e = make("tcp://no-such-host.invalid:7411");
    cr_assert_str_eq(endpoints_next(e), "tcp://no-such-host.invalid:7411");
    endpoints_free(e);
}

Test(endpoints, empty_and_half_written_parts_are_refused)
{
    const char *const bad[] = {"", "tcp://a:1,", "tcp://a:1,b:2", ",tcp://a:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct endpoints *e = NULL;
        cr_expect_eq(endpoints_new(bad[i], &e, NULL), ST_INVALID, "%s", bad[i]);
        endpoints_free(e);
    }
}

Test(endpoints, addresses_of_this_host_are_known)
{
    static const char *const here[] = {"ipc:///tmp/x",     "tcp://127.0.0.1:7411", "tcp://127.8.0.1:1",
                                       "tcp://[::1]:7411", "tcp://localhost:1",    "ipc:///a,tcp://127.0.0.1:1"};
    static const char *const away[] = {"tcp://*:7411",
                                       "tcp://10.0.0.1:7411",
                                       "tcp://0.0.0.0:1",
                                       "tcp://[::]:1",
                                       "tcp://127.0.0.1.example.org:7411",
                                       "tcp://127.0.0.1:0;10.0.0.1:7411",
                                       "tcp://localhost.example:1",
                                       "tcp://eth0:1",
                                       "tcp://127.0.0.1",
                                       "tcp://",
                                       "ipc:///a,tcp://10.0.0.1:1",
                                       "pgm://eth0;239.192.1.1:5555",
                                       ""};
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        cr_assert(endpoints_are_local(here[i]), "%s", here[i]);
    for (size_t i = 0; i < sizeof away / sizeof *away; i++)
        cr_assert_not(endpoints_are_local(away[i]), "%s", away[i]);
}
