#include "media/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/un.h>

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_public((const struct sockaddr *)&v4);
    cr_assert_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1, "%s", text);
    return address_is_public((const struct sockaddr *)&v6);
}

Test(address, local_ranges_are_closed_also_inside_ipv6)
{
    static const char *const closed[] = {"0.0.0.0",
                                         "10.1.2.3",
                                         "100.64.0.1",
                                         "100.127.255.255",
                                         "127.0.0.1",
                                         "127.9.9.9",
                                         "169.254.1.1",
                                         "169.254.169.254",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.0.0.1",
                                         "192.0.2.1",
                                         "192.168.1.1",
                                         "198.18.0.1",
                                         "198.19.0.1",
                                         "198.51.100.7",
                                         "203.0.113.9",
                                         "224.0.0.1",
                                         "239.1.1.1",
                                         "240.0.0.1",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "fe80::1",
                                         "fc00::1",
                                         "fd12::1",
                                         "ff02::1",
                                         "::ffff:127.0.0.1",
                                         "::ffff:10.0.0.1",
                                         "64:ff9b::7f00:1",
                                         "2002:7f00:1::",
                                         "2002:c0a8:101::",
                                         "2001::1",
                                         "2001:db8::1",
                                         "::ffff:169.254.169.254"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        cr_expect_not(is_public(closed[i]), "%s", closed[i]);
}

Test(address, the_internet_is_open)
{
    static const char *const open[] = {"1.1.1.1",         "9.255.255.255",  "11.0.0.0",         "100.63.255.255",
                                       "100.128.0.0",     "126.1.1.1",      "128.0.0.1",        "172.15.0.1",
                                       "172.32.0.1",      "192.169.0.1",    "223.255.255.255",  "2606:4700::1111",
                                       "2a00:1450::200e", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        cr_expect(is_public(open[i]), "%s", open[i]);
}

Test(address, other_families_are_closed)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    cr_assert_not(address_is_public((const struct sockaddr *)&local));
}
