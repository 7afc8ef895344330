/* Numbers that a program tells of itself: counters, gauges and histograms, and their text in Prometheus' exposition
 * format (0.0.4).
 *
 * A registry is filled while a program starts and read while it runs: making metrics is for one thread, before the
 * first metrics_text. Changing a metric is for any thread at any time, without a lock. A NULL metric is changed without
 * effect, so code that counts need not know whether anybody wants to see it. Values are integers; a family of
 * UNIT_SECONDS is fed with microseconds and shown in seconds. */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include <stdint.h>

#include "base/status.h"
#include "observe/exposition.h"

enum metric_unit { UNIT_ONE, UNIT_SECONDS };

/* A family, or one more member of it: the same name with other labels. */
struct metric_info {
    enum metric_kind kind;
    enum metric_unit unit;
    const char *name;          /* "ferretry_images_total"; borrowed */
    const char *help;          /* one line; borrowed */
    const char *label, *value; /* one label and its value, or NULL; copied */
    const int64_t *bounds;     /* METRIC_HISTOGRAM: upper bounds, ascending, as they are fed; borrowed */
    int n_bounds;              /* 1 .. METRIC_MOST_BOUNDS */
};
enum { METRIC_MOST_BOUNDS = 24 };

struct metric;
struct metrics;
MUST_CHECK enum status metrics_new(struct metrics **out);
void metrics_free(struct metrics *m); /* its metrics too; NULL is fine */

/* The metric lives as long as the registry. NULL where memory is short, or m is NULL. Members of a family stand next to
 * each other in the text however they were made; kind, unit and help of its first one count. */
struct metric *metrics_make(struct metrics *m, const struct metric_info *info);

void metric_add(struct metric *c, int64_t n);     /* counter: n >= 0; gauge: any */
void metric_set(struct metric *g, int64_t value); /* gauge; a counter that is counted elsewhere and never falls */
void metric_observe(struct metric *h, int64_t value);

/* Bounds for times from a millisecond to ten minutes, in microseconds. */
enum { METRIC_TIME_BOUNDS = 16 };
extern const int64_t metric_time_bounds[METRIC_TIME_BOUNDS];

/* Numbers that are looked up when they are asked for, after those of the registry: fn writes whole families. It runs on
 * the thread that asks. At most METRICS_MOST_SOURCES. */
enum { METRICS_MOST_SOURCES = 8 };
typedef void (*metrics_source)(void *ctx, struct exposition *e);
MUST_CHECK enum status metrics_ask(struct metrics *m, metrics_source fn, void *ctx);

/* All of them as text, malloc'ed and terminated; NULL when memory is short. Any thread. */
char *metrics_text(const struct metrics *m);

#endif
