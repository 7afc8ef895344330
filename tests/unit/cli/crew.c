#include "cli/crew.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(crew, a_class_is_told_as_model_and_precision)
{
    char text[CLASS_TEXT_BYTES];
    crew_class_text("0123456789abcdef0123/bf16", text);
    cr_expect_str_eq(text, "model 0123456789ab at bf16");
    crew_class_text("tiny/f32", text);
    cr_expect_str_eq(text, "model tiny at f32");
    crew_class_text("tiny", text);
    cr_expect_str_eq(text, "model tiny at ?");
}

Test(crew, only_unfinished_images_without_a_live_worker_miss_one)
{
    struct campaign_status c = {.total = 3, .done = 1, .failed = 1, .ready = 1};
    cr_expect(crew_is_missing(&c));
    c.workers = 1;
    cr_expect_not(crew_is_missing(&c));
    c = (struct campaign_status){.total = 3, .done = 2, .failed = 1};
    cr_expect_not(crew_is_missing(&c));
    c = (struct campaign_status){.total = 3, .ready = 3, .state = CAMPAIGN_CANCELLED};
    cr_expect_not(crew_is_missing(&c));
}

Test(crew, lapsed_sessions_are_those_of_the_class_without_a_lease)
{
    struct worker_status list[] = {{.class_name = "m/f32", .lease_ms = -1},
                                   {.class_name = "m/f32", .lease_ms = 400},
                                   {.class_name = "m/bf16", .lease_ms = -7},
                                   {.class_name = "m/f32", .lease_ms = -900}};
    cr_expect_eq(crew_lapsed(list, 4, "m/f32"), 2);
    cr_expect_eq(crew_lapsed(list, 4, "other/f32"), 0);
    cr_expect_eq(crew_lapsed(NULL, 0, "m/f32"), 0);
}
