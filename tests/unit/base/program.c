#include "base/program.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(program, every_way_to_fail_has_its_exit_code)
{
    static const struct {
        enum status status;
        int code;
    } ends[] = {{ST_IO, EXIT_ITEMS_FAILED},     {ST_CANCELLED, EXIT_ITEMS_FAILED}, {ST_INVALID, EXIT_USAGE},
                {ST_MISSING, EXIT_USAGE},       {ST_TIMEOUT, EXIT_UNREACHABLE},    {ST_CLOSED, EXIT_UNREACHABLE},
                {ST_REFUSED, EXIT_REFUSED},     {ST_LIMIT, EXIT_REFUSED},          {ST_NOMEM, EXIT_REFUSED},
                {ST_UNSUPPORTED, EXIT_REFUSED}, {ST_DEVICE, EXIT_DEVICE_LOST},     {ST_OK, EXIT_OK}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        cr_expect_eq(program_exit_code(ends[i].status), ends[i].code, "%s", status_word(ends[i].status));
}

Test(program, output_that_finds_no_room_is_a_failure)
{
    cr_expect_eq(program_end("test", EXIT_REFUSED), EXIT_REFUSED);
    cr_expect_eq(program_end("test", EXIT_OK), EXIT_OK);
    cr_assert(freopen("/dev/full", "w", stdout));
    puts("lost");
    cr_expect_eq(program_end("test", EXIT_OK), EXIT_ITEMS_FAILED);
    puts("lost");
    cr_expect_eq(program_end("test", EXIT_USAGE), EXIT_USAGE, "a worse end stays what it is");
}
