#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "protocol/campaign.h"
#include "worker/meters.h"

static struct meters *fresh(struct metrics *m)
{
    struct meters *meters = NULL;
    cr_assert_eq(meters_new(m, NULL, &meters), ST_OK);
    return meters;
}

Test(meters, a_beat_says_ends_rates_and_how_busy_threads_were)
{
    struct meters *m = fresh(NULL);
    char said[METERS_LINE_BYTES];
    struct worker_said w;
    int64_t now = clock_us();
    meters_threads(m, STATION_DECODE, 2);
    meters_threads(m, STATION_ENGINE, 1);
    for (int i = 0; i < 20; i++)
        meters_image(m, i % 4 ? IMAGE_DONE : IMAGE_FAILED, ERROR_PERMANENT);
    meters_image(m, IMAGE_RETURNED, ERROR_PERMANENT);
    meters_stage(m, STAGE_DECODE, NULL, 0, 3000000);
    meters_stage(m, STAGE_PREPROCESS, NULL, 0, 1000000);
    struct engine_stats stats = {.steps = 4, .step_us = 8000000, .images_encoded = 20};
    meters_engine(m, &stats);
    meters_line(m, now + 10000000, said);
    cr_assert(worker_said_is_sound(said, strlen(said)), "%s", said);
    cr_assert(worker_said_read(said, &w), "%s", said);
    cr_assert_eq(w.images, 20);
    cr_assert_eq(w.failed, 5);
    cr_assert(w.images_per_1000s > 1900 && w.images_per_1000s <= 2000, "%s", said);
    cr_assert_eq(w.fetch, 0);
    cr_assert(w.decode > 190 && w.decode <= 200, "%s", said);
    cr_assert(w.engine > 780 && w.engine <= 800, "%s", said);
    /* within a second it repeats itself; later nothing new is rate 0 */
    meters_line(m, now + 10500000, said);
    cr_assert(worker_said_read(said, &w) && w.images_per_1000s > 1900, "%s", said);
    meters_line(m, now + 20000000, said);
    cr_assert(worker_said_read(said, &w) && w.images == 20 && w.images_per_1000s == 0 && w.engine == 0, "%s", said);
    meters_free(m);
}

Test(meters, what_is_not_said_in_numbers_is_not_understood)
{
    struct worker_said w;
    static const char *const bad[] = {"", "1", "1|2|3|4|5|6", "1|2|3|4|5|6|7|8", "a|2|3|4|5|6|7", "1|2|3|4|5|6|"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(worker_said_read(bad[i], &w), "\"%s\" was read", bad[i]);
    cr_assert_not(worker_said_is_sound("1|<b>", 5));
    cr_assert(worker_said_is_sound("1|2", 3));
}

Test(meters, each_stage_of_an_image_and_a_task_is_observed)
{
    struct metrics *m = NULL;
    cr_assert_eq(metrics_new(&m), ST_OK);
    struct meters *meters = fresh(m);
    for (int s = STAGE_FETCH; s <= STAGE_PREPROCESS; s++)
        meters_stage(meters, (enum stage)s, "a", 0, 1000);
    struct engine_stats stats = {.images_encoded = 3, .encode_us = 30000, .step_us = 50000, .steps = 1};
    meters_engine(meters, &stats);
    struct engine_result r = {.outcome = OUTCOME_OK, .n_prompt = 100, .n_tokens = 7, .prefill_us = 1, .decode_us = 2};
    meters_task(meters, "a", &r);
    r.outcome = OUTCOME_CANCELLED;
    meters_task(meters, "a", &r);
    meters_stored(meters, clock_us());
    char *text = metrics_text(m);
    static const char *const expected[] = {"_count{stage=\"fetch\"} 1\n",
                                           "_count{stage=\"decode\"} 1\n",
                                           "_count{stage=\"preprocess\"} 1\n",
                                           "_count{stage=\"encode\"} 3\n",
                                           "_sum{stage=\"encode\"} 0.03\n",
                                           "_count{stage=\"prefill\"} 1\n",
                                           "_count{stage=\"generate\"} 1\n",
                                           "_count{stage=\"done\"} 1\n",
                                           "tokens_total{kind=\"prompt\"} 100\n",
                                           "tokens_total{kind=\"answer\"} 7\n",
                                           "busy_seconds_total{station=\"engine\"} 0.05\n"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_assert(strstr(text, expected[i]), "no %s in\n%s", expected[i], text);
    free(text);
    meters_free(meters);
    metrics_free(m);
}
