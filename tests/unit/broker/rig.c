#include "tests/unit/broker/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#include "protocol/message.h"

struct dispatch *rig_open(size_t max_held_bytes)
{
    struct dispatch *d = NULL;
    struct dispatch_options o = {.worker_redis = "/r",
                                 .route = ROUTE_DIRECT,
                                 .lease_ms = 12000,
                                 .beat_ms = 3000,
                                 .window = 1000,
                                 .max_held_bytes = max_held_bytes};
    cr_assert_eq(dispatch_new(&o, &d), ST_OK);
    dispatch_on_store(d, 0, true, 1);
    return d;
}

struct reply rig_text(const char *s)
{
    return (struct reply){.kind = REPLY_BYTES, .bytes = s, .len = strlen(s)};
}

struct reply rig_number(int64_t n)
{
    return (struct reply){.kind = REPLY_INT, .integer = n};
}

void rig_answer(struct dispatch *d, uint64_t tag, struct reply *items, size_t n, int64_t now)
{
    struct reply r = {.kind = REPLY_ARRAY, .items = items, .n = n};
    dispatch_on_reply(d, tag, &r, now);
}
