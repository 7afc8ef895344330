/* What the page shows, from answers as Redis gives them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/board_impl.h"

#define TEXT(s)                                                                                                        \
    {                                                                                                                  \
        .kind = REPLY_BYTES, .bytes = s, .len = sizeof s - 1                                                           \
    }
#define NUMBER(i)                                                                                                      \
    {                                                                                                                  \
        .kind = REPLY_INT, .integer = i                                                                                \
    }
#define ARRAY(...)                                                                                                     \
    {                                                                                                                  \
        .kind = REPLY_ARRAY, .items = (struct reply[]){__VA_ARGS__},                                                   \
        .n = sizeof((struct reply[]){__VA_ARGS__}) / sizeof(struct reply)                                              \
    }
/* total ready running delayed done failed cancelled, waiting at priorities */
#define CAMPAIGN(name, tenant, done, failed, ready, p1, completed)                                                     \
    ARRAY(TEXT(name), TEXT(tenant), TEXT("hash/f32"), TEXT("active"), NUMBER((done) + (failed) + (ready)),             \
          NUMBER(ready), NUMBER(0), NUMBER(0), NUMBER(done), NUMBER(failed), NUMBER(0), NUMBER(0), NUMBER(1),          \
          TEXT(""), TEXT("0"), TEXT(""), TEXT(""), NUMBER(completed), NUMBER(0), NUMBER(p1), NUMBER(0))

static void add(struct snapshot *s, struct reply r)
{
    cr_assert_eq(snapshot_add_campaigns(s, &r), ST_OK);
}

Test(snapshot, a_campaign_on_two_shards_is_one)
{
    struct snapshot s = {.n_campaigns = 0};
    struct reply one = ARRAY(NUMBER(0), CAMPAIGN("a", "t", 10, 1, 5, 5, 1), CAMPAIGN("b", "t", 0, 0, 7, 7, 0));
    struct reply two = ARRAY(NUMBER(0), CAMPAIGN("a", "t", 20, 2, 0, 0, 0));
    add(&s, one);
    add(&s, two);
    cr_assert_eq(s.n_campaigns, 2);
    cr_assert_eq(s.campaigns[0].status.total, 38);
    cr_assert_eq(s.campaigns[0].status.done, 30);
    cr_assert_not(s.campaigns[0].status.completed, "it is not complete while a shard has more of it");
    cr_assert_eq(s.n_tenants, 1);
    cr_assert_eq(s.tenants[0].waiting[1], 12);
    cr_assert_eq(snapshot_ended(&s), 33);
    snapshot_fini(&s);
}

Test(snapshot, what_redis_did_not_answer_is_no_snapshot)
{
    struct snapshot s = {.n_campaigns = 0};
    struct reply lost = {.kind = REPLY_LOST}, error = {.kind = REPLY_ERROR, .bytes = "ERR", .len = 3},
                 empty = ARRAY(NUMBER(0));
    cr_assert_eq(snapshot_add_campaigns(&s, &lost), ST_FORMAT);
    cr_assert_eq(snapshot_add_workers(&s, &error), ST_FORMAT);
    cr_assert_eq(snapshot_add_numbers(&s, &lost), ST_FORMAT);
    cr_assert_eq(snapshot_add_news(&s, &empty), ST_FORMAT);
}

Test(snapshot, errors_of_shards_are_sorted_by_time_and_the_oldest_fall_out)
{
    struct snapshot s = {.n_campaigns = 0};
    char ms[60][32];
    struct reply items[60] = {{0}};
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 15; i++) { /* newest first, even ones on one shard and odd ones on the other */
            int at = 1000 - 2 * i - half;
            int n = snprintf(ms[i], sizeof ms[i], "%d", at);
            items[3 * i] = (struct reply){.kind = REPLY_BYTES, .bytes = ms[i], .len = (size_t)n};
            items[3 * i + 1] = (struct reply)TEXT("c");
            items[3 * i + 2] =
                i % 2 ? (struct reply)TEXT("") : (struct reply)TEXT("{\"id\":\"x\",\"error\":{\"code\":\"y\"}}");
        }
        struct reply r = ARRAY({.kind = REPLY_ARRAY}, {.kind = REPLY_ARRAY, .items = items, .n = 45});
        cr_assert_eq(snapshot_add_news(&s, &r), ST_OK);
    }
    cr_assert_eq(s.n_errors, SNAPSHOT_NEWS);
    for (size_t i = 0; i < s.n_errors; i++)
        cr_assert_eq(s.errors[i].ms, 1000 - (int64_t)i, "error %zu is of %lld", i, (long long)s.errors[i].ms);
    snapshot_fini(&s);
}

Test(snapshot, an_event_that_is_none_is_passed_over)
{
    struct snapshot s = {.n_campaigns = 0};
    struct reply r =
        ARRAY(ARRAY(TEXT("5|completed|a|b"), TEXT("x"), TEXT("7|stopped"), TEXT("9|stopped|c")), {.kind = REPLY_ARRAY});
    cr_assert_eq(snapshot_add_news(&s, &r), ST_OK);
    cr_assert_eq(s.n_events, 2);
    cr_assert_str_eq(s.events[0].campaign, "c");
    cr_assert_str_eq(s.events[1].campaign, "a|b");
    cr_assert_str_eq(s.events[1].what, "completed");
    snapshot_fini(&s);
}

/* ---- how fast -------------------------------------------------------------------------------------------------------
 */

static void note(struct rates *r, int64_t now_ms, int done, double *rate)
{
    struct snapshot s = {.n_campaigns = 0};
    add(&s, (struct reply)ARRAY(NUMBER(0), CAMPAIGN("a", "t", done, 0, 100, 100, 0)));
    rates_note(r, &s, now_ms, 1700000000000 + now_ms);
    *rate = s.campaigns[0].rate;
    snapshot_fini(&s);
}

Test(rates, a_campaign_goes_as_fast_as_its_images_ended_lately)
{
    struct rates r = {.n = 0};
    double rate;
    note(&r, 1000, 50, &rate);
    cr_assert_lt(rate, 0, "one look says nothing of speed");
    for (int i = 1; i <= 30; i++)
        note(&r, 1000 + 1000 * i, 50 + 3 * i, &rate);
    cr_assert_float_eq(rate, 3.0, 0.01);
    for (int i = 31; i <= 60; i++) /* then nothing ends any more */
        note(&r, 1000 + 1000 * i, 140, &rate);
    cr_assert_float_eq(rate, 0.0, 0.01);
    note(&r, 62000, 5, &rate); /* purged, and made anew */
    cr_assert_lt(rate, 0);
    rates_fini(&r);
}

Test(rates, the_curve_has_a_point_every_two_seconds_however_often_somebody_looks)
{
    struct rates r = {.n = 0};
    double rate;
    int64_t now = 1000;
    int done = 0;
    for (int i = 0; i < 20; i++, now += 500) /* 2 images in half a second */
        note(&r, now, done += 2, &rate);
    cr_assert(r.curve_n == 4 || r.curve_n == 5, "%d points in ten seconds", r.curve_n);
    now += 4500;
    for (int i = 0; i < 10; i++, now += 5000)
        note(&r, now, done += 20, &rate);
    cr_assert(r.curve_n >= 29 && r.curve_n <= 30, "%d points in a minute", r.curve_n);
    for (int i = 0; i < r.curve_n; i++)
        cr_assert_float_eq(r.curve[i], 4.0, 0.5, "point %d is %g", i, r.curve[i]);
    for (int i = 0; i < 300; i++, now += 5000)
        note(&r, now, done += 20, &rate);
    cr_assert_eq(r.curve_n, HISTORY);
    rates_fini(&r);
}

/* ---- what is shown
 * --------------------------------------------------------------------------------------------------- */

Test(board, what_is_under_way_is_listed_before_what_is_done)
{
    struct snapshot s = {.n_campaigns = 0};
    struct rates r = {.n = 0};
    add(&s, (struct reply)ARRAY(NUMBER(0), CAMPAIGN("new and done", "t", 9, 0, 0, 0, 1),
                                CAMPAIGN("<b>\"&", "t", 1, 1, 2, 2, 0)));
    char *text = board_json(&s, &r, 5);
    struct json *root = NULL;
    cr_assert_eq(jsn_parse(text, strlen(text), "snapshot", &root, NULL), ST_OK);
    const struct json *list = jsn_get(root, "campaigns");
    cr_assert_str_eq(jsn_string(jsn_get(jsn_at(list, 0), "name"), ""), "<b>\"&");
    cr_assert_str_eq(jsn_string(jsn_get(jsn_at(list, 1), "name"), ""), "new and done");
    cr_assert_eq(jsn_int(jsn_get(jsn_at(list, 0), "failed"), 0), 1);
    cr_assert_eq(jsn_size(jsn_get(root, "waiting")), 1);
    jsn_free(root);
    free(text);
    snapshot_fini(&s);
}

Test(board, records_of_shards_come_in_turn_and_one_that_is_broken_is_left_out)
{
    struct reply one =
        ARRAY(CAMPAIGN("a", "t", 9, 0, 0, 0, 1), TEXT("{\"id\":\"1\"}"), TEXT("{\"id\":"), TEXT("{\"id\":\"3\"}"));
    struct reply two = ARRAY(CAMPAIGN("a", "t", 1, 0, 0, 0, 1), TEXT("{\"id\":\"2\"}"));
    const struct reply *both[] = {&one, &two};
    char *text = board_campaign_json(both, 2, 24);
    struct json *root = NULL;
    cr_assert_eq(jsn_parse(text, strlen(text), "results", &root, NULL), ST_OK);
    cr_assert_eq(jsn_int(jsn_get(jsn_get(root, "campaign"), "done"), 0), 10);
    const struct json *list = jsn_get(root, "records");
    cr_assert_eq(jsn_size(list), 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(jsn_string(jsn_get(jsn_at(list, i), "id"), "?")[0], (char)('1' + (int)i));
    jsn_free(root);
    free(text);
}
