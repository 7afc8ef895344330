#include "observe/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_S 1e6

const int64_t metric_time_bounds[METRIC_TIME_BOUNDS] = {1000,     2500,     5000,      10000,    25000,   50000,
                                                        100000,   250000,   500000,    1000000,  2500000, 5000000,
                                                        10000000, 30000000, 120000000, 600000000};

struct metric {
    struct metric *next;
    struct metric_info info;
    char *value_text;                                    /* of the label */
    atomic_int_fast64_t n;                               /* value; of a histogram the sum of what was observed */
    atomic_int_fast64_t buckets[METRIC_MOST_BOUNDS + 1]; /* not cumulative; the last one is above all bounds */
};

struct source {
    metrics_source fn;
    void *ctx;
};

struct metrics {
    struct metric *first;
    struct source sources[METRICS_MOST_SOURCES];
    int n_sources;
};

enum status metrics_new(struct metrics **out)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m)
        return ST_NOMEM;
    *out = m;
    return ST_OK;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    while (m->first) {
        struct metric *next = m->first->next;
        free(m->first->value_text);
        free(m->first);
        m->first = next;
    }
    free(m);
}

/* Behind the last member of its family, else at the end. */
static void insert(struct metrics *m, struct metric *metric)
{
    struct metric **at = &m->first, **end = NULL;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->info.name, metric->info.name) == 0)
            end = &(*at)->next;
    at = end ? end : at;
    metric->next = *at;
    *at = metric;
}

struct metric *metrics_make(struct metrics *m, const struct metric_info *info)
{
    if (!m || info->n_bounds > METRIC_MOST_BOUNDS)
        return NULL;
    struct metric *metric = calloc(1, sizeof *metric);
    if (!metric)
        return NULL;
    metric->info = *info;
    metric->value_text = strdup(info->value ? info->value : "");
    if (!metric->value_text) {
        free(metric);
        return NULL;
    }
    insert(m, metric);
    return metric;
}

void metric_add(struct metric *c, int64_t n)
{
    if (c)
        atomic_fetch_add_explicit(&c->n, n, memory_order_relaxed);
}

void metric_set(struct metric *g, int64_t value)
{
    if (g)
        atomic_store_explicit(&g->n, value, memory_order_relaxed);
}

void metric_observe(struct metric *h, int64_t value)
{
    if (!h)
        return;
    int i = 0;
    while (i < h->info.n_bounds && value > h->info.bounds[i])
        i++;
    atomic_fetch_add_explicit(&h->n, value, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
}

enum status metrics_ask(struct metrics *m, metrics_source fn, void *ctx)
{
    if (m->n_sources == METRICS_MOST_SOURCES)
        return ST_LIMIT;
    m->sources[m->n_sources++] = (struct source){fn, ctx};
    return ST_OK;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static double shown(const struct metric *m, int64_t n)
{
    return m->info.unit == UNIT_SECONDS ? (double)n / US_PER_S : (double)n;
}

static void put_bucket(struct exposition *e, const struct metric *m, double bound, int64_t n)
{
    enum { BOUND_BYTES = 40 };
    char text[BOUND_BYTES];
    if (isinf(bound))
        snprintf(text, sizeof text, "+Inf");
    else
        snprintf(text, sizeof text, "%.15g", bound);
    struct exposition_label labels[2] = {{m->info.label, m->value_text}, {"le", text}};
    bool labelled = m->info.label != NULL;
    exposition_sample(e, m->info.name, "_bucket", labels + !labelled, 1 + labelled, (double)n);
}

/* The count is the sum of the buckets as they were read, so that the text agrees with itself while others observe. */
static void put_histogram(struct exposition *e, const struct metric *m)
{
    struct exposition_label label = {m->info.label, m->value_text};
    int64_t n = 0;
    for (int i = 0; i <= m->info.n_bounds; i++) {
        n += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        put_bucket(e, m, i < m->info.n_bounds ? shown(m, m->info.bounds[i]) : INFINITY, n);
    }
    double sum = shown(m, atomic_load_explicit(&m->n, memory_order_relaxed));
    exposition_sample(e, m->info.name, "_sum", &label, m->info.label != NULL, sum);
    exposition_sample(e, m->info.name, "_count", &label, m->info.label != NULL, (double)n);
}

static void put_metric(struct exposition *e, const struct metric *m)
{
    struct exposition_label label = {m->info.label, m->value_text};
    if (m->info.kind == METRIC_HISTOGRAM)
        put_histogram(e, m);
    else
        exposition_sample(e, m->info.name, "", &label, m->info.label != NULL,
                          shown(m, atomic_load_explicit(&m->n, memory_order_relaxed)));
}

char *metrics_text(const struct metrics *m)
{
    struct exposition e = {.text = NULL};
    const char *family = "";
    for (const struct metric *metric = m->first; metric; metric = metric->next) {
        if (strcmp(family, metric->info.name) != 0)
            exposition_family(&e, metric->info.kind, metric->info.name, metric->info.help);
        family = metric->info.name;
        put_metric(&e, metric);
    }
    for (int i = 0; i < m->n_sources; i++)
        m->sources[i].fn(m->sources[i].ctx, &e);
    if (!e.failed && e.text)
        return e.text;
    free(e.text);
    return e.failed ? NULL : strdup("");
}
