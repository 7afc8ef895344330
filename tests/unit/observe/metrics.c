#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "observe/metrics.h"
#include "observe/process.h"

static struct metrics *fresh(void)
{
    struct metrics *m = NULL;
    cr_assert_eq(metrics_new(&m), ST_OK);
    return m;
}

static void shows(const struct metrics *m, const char *expected)
{
    char *text = metrics_text(m);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, expected);
    free(text);
}

Test(metrics, a_counter_and_a_gauge_are_shown_with_help_and_type)
{
    struct metrics *m = fresh();
    struct metric *c = metrics_make(
        m, &(struct metric_info){.kind = METRIC_COUNTER, .name = "x_images_total", .help = "Images ended."});
    struct metric *g =
        metrics_make(m, &(struct metric_info){.kind = METRIC_GAUGE, .name = "x_queue", .help = "What waits."});
    metric_add(c, 3);
    metric_add(c, 4);
    metric_set(g, 9);
    metric_add(g, -2);
    shows(m, "# HELP x_images_total Images ended.\n# TYPE x_images_total counter\nx_images_total 7\n"
             "# HELP x_queue What waits.\n# TYPE x_queue gauge\nx_queue 7\n");
    metrics_free(m);
}

Test(metrics, members_of_a_family_stand_together_however_they_were_made)
{
    struct metrics *m = fresh();
    struct metric_info info = {.name = "x", .help = "X.", .kind = METRIC_GAUGE, .label = "stage", .value = "fetch"};
    metrics_make(m, &info);
    metrics_make(m, &(struct metric_info){.name = "y", .help = "Y.", .kind = METRIC_GAUGE});
    info.value = "decode";
    metric_set(metrics_make(m, &info), 2);
    shows(
        m,
        "# HELP x X.\n# TYPE x gauge\nx{stage=\"fetch\"} 0\nx{stage=\"decode\"} 2\n# HELP y Y.\n# TYPE y gauge\ny 0\n");
    metrics_free(m);
}

Test(metrics, a_histogram_counts_cumulatively_and_shows_seconds)
{
    static const int64_t bounds[] = {1000, 2000000};
    struct metrics *m = fresh();
    struct metric *h = metrics_make(m, &(struct metric_info){.kind = METRIC_HISTOGRAM,
                                                             .unit = UNIT_SECONDS,
                                                             .name = "t_seconds",
                                                             .help = "T.",
                                                             .bounds = bounds,
                                                             .n_bounds = 2});
    metric_observe(h, 1000); /* a bound belongs to its bucket */
    metric_observe(h, 1001);
    metric_observe(h, 5000000);
    shows(m, "# HELP t_seconds T.\n# TYPE t_seconds histogram\n"
             "t_seconds_bucket{le=\"0.001\"} 1\nt_seconds_bucket{le=\"2\"} 2\nt_seconds_bucket{le=\"+Inf\"} 3\n"
             "t_seconds_sum 5.002001\nt_seconds_count 3\n");
    metrics_free(m);
}

Test(metrics, what_a_label_holds_is_escaped)
{
    struct metrics *m = fresh();
    metrics_make(m,
                 &(struct metric_info){
                     .name = "x", .help = "a\\b\nc \"d\"", .kind = METRIC_GAUGE, .label = "l", .value = "q\"\\\n猫"});
    shows(m, "# HELP x a\\\\b\\nc \"d\"\n# TYPE x gauge\nx{l=\"q\\\"\\\\\\n猫\"} 0\n");
    metrics_free(m);
}

Test(metrics, nobody_who_counts_needs_to_know_whether_it_is_wanted)
{
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    metric_observe(NULL, 1);
    cr_assert_null(metrics_make(NULL, &(struct metric_info){.name = "x"}));
}

static void tell(void *ctx, struct exposition *e)
{
    exposition_family(e, METRIC_GAUGE, "asked", "Looked up.");
    exposition_sample(e, "asked", "", NULL, 0, *(int *)ctx);
}

Test(metrics, a_source_is_asked_each_time)
{
    struct metrics *m = fresh();
    int value = 1;
    cr_assert_eq(metrics_ask(m, tell, &value), ST_OK);
    shows(m, "# HELP asked Looked up.\n# TYPE asked gauge\nasked 1\n");
    value = 2;
    shows(m, "# HELP asked Looked up.\n# TYPE asked gauge\nasked 2\n");
    for (int i = 1; i < METRICS_MOST_SOURCES; i++)
        cr_assert_eq(metrics_ask(m, tell, &value), ST_OK);
    cr_assert_eq(metrics_ask(m, tell, &value), ST_LIMIT);
    metrics_free(m);
}

enum { THREADS = 4, TIMES = 20000 };

static void *count(void *ctx)
{
    struct metric **both = ctx;
    for (int i = 0; i < TIMES; i++) {
        metric_add(both[0], 1);
        metric_observe(both[1], i);
    }
    return NULL;
}

/* Value of a sample, by the text in front of it. */
static long long sample(const struct metrics *m, const char *name)
{
    char *text = metrics_text(m), *at = strstr(text, name);
    cr_assert_not_null(at);
    long long n = strtoll(at + strlen(name), NULL, 10);
    free(text);
    return n;
}

Test(metrics, no_count_is_lost_among_threads_while_others_read)
{
    static const int64_t bounds[] = {TIMES / 2};
    struct metrics *m = fresh();
    struct metric *both[2] = {
        metrics_make(m, &(struct metric_info){.kind = METRIC_COUNTER, .name = "c_total", .help = "C."}),
        metrics_make(m, &(struct metric_info){
                            .kind = METRIC_HISTOGRAM, .name = "h", .help = "H.", .bounds = bounds, .n_bounds = 1})};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, both), 0);
    for (int i = 0; i < 50; i++)
        cr_assert_leq(sample(m, "\nh_count "), THREADS * TIMES);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(sample(m, "\nc_total "), THREADS * TIMES);
    cr_assert_eq(sample(m, "\nh_count "), THREADS * TIMES);
    cr_assert_eq(sample(m, "h_bucket{le=\"10000\"} "), THREADS * (TIMES / 2 + 1));
    metrics_free(m);
}

Test(metrics, a_process_tells_its_start_memory_files_and_time)
{
    struct metrics *m = fresh();
    cr_assert_eq(process_metrics(m, "test"), ST_OK);
    long long start = sample(m, "\nprocess_start_time_seconds "), now = (long long)time(NULL);
    cr_assert(start > now - 3600 && start <= now + 2, "started at %lld, now is %lld", start, now);
    cr_assert_gt(sample(m, "\nprocess_resident_memory_bytes "), 100000);
    cr_assert_geq(sample(m, "\nprocess_open_fds "), 2);
    cr_assert_eq(sample(m, "ferretry_build_info{program=\"test\",version=\"0.1.0\"} "), 1);
    metrics_free(m);
}
