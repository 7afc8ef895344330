#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"

Test(progress, json_has_every_counter)
{
    struct campaign_status c = {
        .name = "x", .total = 10, .done = 3, .failed = 1, .ready = 2, .running = 4, .workers = 2};
    struct json *object = progress_json(&c);
    static const char *const keys[] = {"campaign", "total",     "done",    "failed", "ready", "running",
                                       "delayed",  "cancelled", "workers", "class",  "state", "completed"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_expect_not_null(jsn_get(object, keys[i]), "%s", keys[i]);
    cr_expect_eq(jsn_int(jsn_get(object, "done"), 0), 3);
    cr_expect_eq(jsn_size(object), sizeof keys / sizeof *keys);
    cr_expect_eq(progress_ended(&c), 4);
    jsn_free(object);
}

Test(progress, a_reason_to_wait_is_told_when_it_changes_and_once_a_minute)
{
    struct wait_reason last = {.text = ""};
    cr_expect(wait_reason_is_news(&last, "full", 500));
    cr_expect_not(wait_reason_is_news(&last, "", 1500));
    cr_expect_not(wait_reason_is_news(&last, "full", 2500), "it went and came back");
    cr_expect(wait_reason_is_news(&last, "quota", 3500));
    cr_expect(wait_reason_is_news(&last, "full", 4500));
    cr_expect_not(wait_reason_is_news(&last, "full", 64499));
    cr_expect(wait_reason_is_news(&last, "full", 64500));
}

Test(progress, rate_is_that_of_the_samples_kept)
{
    struct rate r = {0};
    cr_expect_lt(rate_value(&r), 0);
    rate_add(&r, 1000, 5);
    cr_expect_lt(rate_value(&r), 0);
    for (int i = 1; i <= 3 * RATE_SAMPLES; i++) /* ten images a second, and old samples fall out */
        rate_add(&r, 1000 + 500 * i, 5 + 5 * (uint64_t)i);
    cr_expect_float_eq(rate_value(&r), 10, 1e-9);
}

Test(progress, durations)
{
    char text[32];
    duration_text(12.9, text, sizeof text);
    cr_expect_str_eq(text, "12 s");
    duration_text(250, text, sizeof text);
    cr_expect_str_eq(text, "4 min 10 s");
    duration_text(3723, text, sizeof text);
    cr_expect_str_eq(text, "1 h 02 min");
    duration_text(-1, text, sizeof text);
    cr_expect_str_eq(text, "0 s");
}
