/* Claims of media/hosts.h, with a clock of our own. */
#include "media/hosts.h"

#include <criterion/criterion.h>

Test(hosts, a_host_has_so_many_places_and_an_end_frees_one)
{
    struct hosts *h;
    cr_assert_eq(hosts_new(2, 0, &h), ST_OK);
    cr_expect_leq(hosts_when(h, "a:80", 100), 100);
    cr_assert_eq(hosts_begin(h, "a:80", 100), ST_OK);
    cr_assert_eq(hosts_begin(h, "a:80", 100), ST_OK);
    cr_expect_eq(hosts_when(h, "a:80", 100), INT64_MAX);
    cr_expect_leq(hosts_when(h, "b:80", 100), 100, "another host has places of its own");
    hosts_end(h, "a:80", 200);
    cr_expect_leq(hosts_when(h, "a:80", 200), 200);
    hosts_free(h);
}

Test(hosts, the_delay_lies_between_beginnings_also_behind_an_end)
{
    struct hosts *h;
    cr_assert_eq(hosts_new(8, 50, &h), ST_OK);
    cr_assert_eq(hosts_begin(h, "a:80", 100), ST_OK);
    hosts_end(h, "a:80", 110);
    cr_expect_eq(hosts_when(h, "a:80", 110), 150);
    cr_expect_leq(hosts_when(h, "a:80", 150), 150);
    hosts_free(h);
}

Test(hosts, the_later_of_two_pauses_counts)
{
    struct hosts *h;
    cr_assert_eq(hosts_new(8, 0, &h), ST_OK);
    hosts_pause(h, "a:80", 500);
    hosts_pause(h, "a:80", 300);
    cr_expect_eq(hosts_when(h, "a:80", 100), 500);
    cr_assert_eq(hosts_begin(h, "b:80", 100), ST_OK);
    hosts_end(h, "b:80", 100);
    cr_expect_eq(hosts_when(h, "a:80", 100), 500, "tidying up does not forget it");
    hosts_free(h);
}
