#include "protocol/reply.h"

#include <criterion/criterion.h>
#include <string.h>

static struct reply text(const char *bytes)
{
    return (struct reply){.kind = REPLY_BYTES, .bytes = bytes, .len = strlen(bytes)};
}

Test(reply, a_number_in_front_of_text_of_any_length_is_read)
{
    struct reply items[] = {
        text("1764385200123|completed|a campaign with a long name"),
        text("1764385200123|a"),
        text("-7"),
        text("9223372036854775807"),
        text("no number, and longer than one"),
        text(""),
        {.kind = REPLY_INT, .integer = 5},
        {.kind = REPLY_NIL},
        {.kind = REPLY_BYTES, .bytes = "123456", .len = 2},
    };
    static const int64_t want[] = {1764385200123, 1764385200123, -7, INT64_MAX, 0, 0, 5, 0, 12};
    enum { N = sizeof items / sizeof *items };
    const struct reply all = {.kind = REPLY_ARRAY, .items = items, .n = N};
    for (size_t i = 0; i < N; i++)
        cr_expect_eq(reply_number(&all, i), want[i], "element %zu", i);
    cr_expect_eq(reply_number(&all, N), 0);
    cr_expect_eq(reply_number(&items[6], 0), 0, "no array");
}
