#include "base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

Test(clock, monotonic_time_never_falls_and_its_two_units_agree)
{
    int64_t last = clock_us();
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_us();
        cr_assert_geq(now, last);
        last = now;
    }
    int64_t before = clock_us() / 1000, ms = clock_ms(), after = clock_us() / 1000;
    cr_assert(before <= ms && ms <= after);
}

Test(clock, wall_time_is_unix_time_in_milliseconds)
{
    int64_t before = (int64_t)time(NULL), ms = clock_wall_ms(), after = (int64_t)time(NULL);
    cr_assert(ms / 1000 >= before - 1 && ms / 1000 <= after + 1);
}
