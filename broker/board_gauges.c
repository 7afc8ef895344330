/* The queue in Prometheus' terms. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "broker/board_impl.h"

enum { TOLD_CAMPAIGNS = 200, STALE_MS = 30000 };

static void gauge(struct exposition *e, const char *name, const char *help, double value)
{
    exposition_family(e, METRIC_GAUGE, name, help);
    exposition_sample(e, name, "", NULL, 0, value);
}

static void tell_waiting(const struct snapshot *s, struct exposition *e)
{
    static const char name[] = "ferretry_queue_jobs";
    static const char *const priorities[PRIORITIES] = {"0", "1", "2"};
    exposition_family(e, METRIC_GAUGE, name, "Images that wait to be handed out.");
    for (size_t i = 0; i < s->n_tenants; i++)
        for (int p = 0; p < PRIORITIES; p++) {
            struct exposition_label labels[] = {{"tenant", s->tenants[i].name}, {"priority", priorities[p]}};
            exposition_sample(e, name, "", labels, 2, (double)s->tenants[i].waiting[p]);
        }
}

static void tell_campaigns(const struct snapshot *s, struct exposition *e)
{
    static const char name[] = "ferretry_campaign_images";
    exposition_family(e, METRIC_GAUGE, name,
                      "Images of campaigns that are not complete, the newest 200, by their state.");
    size_t told = 0;
    for (size_t i = 0; i < s->n_campaigns && told < TOLD_CAMPAIGNS; i++) {
        const struct campaign_status *c = &s->campaigns[i].status;
        if (c->completed || c->state == CAMPAIGN_CANCELLED)
            continue;
        told++;
        const struct {
            const char *state;
            uint64_t n;
        } rows[] = {{"ready", c->ready}, {"running", c->running}, {"delayed", c->delayed},
                    {"done", c->done},   {"failed", c->failed},   {"cancelled", c->cancelled}};
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            struct exposition_label labels[] = {{"campaign", c->name}, {"tenant", c->tenant}, {"state", rows[k].state}};
            exposition_sample(e, name, "", labels, 3, (double)rows[k].n);
        }
    }
}

/* Each class and state once, with how many sessions are so. */
static void tell_workers(const struct snapshot *s, struct exposition *e)
{
    static const char name[] = "ferretry_queue_workers";
    static const char *const states[] = {"well", "quarantined", "draining", "lost"};
    exposition_family(e, METRIC_GAUGE, name, "Workers by class (model and precision) and state.");
    for (size_t i = 0; i < s->n_workers; i++) {
        const char *class_name = s->workers[i].class_name;
        size_t first = 0, n[4] = {0};
        while (strcmp(s->workers[first].class_name, class_name) != 0)
            first++;
        if (first != i)
            continue;
        for (size_t k = i; k < s->n_workers; k++) {
            const struct worker_status *w = &s->workers[k];
            if (strcmp(w->class_name, class_name) == 0)
                n[w->lease_ms < 0                    ? 3
                  : strcmp(w->state, states[1]) == 0 ? 1
                  : strcmp(w->state, states[2]) == 0 ? 2
                                                     : 0]++;
        }
        for (int k = 0; k < 4; k++) {
            struct exposition_label labels[] = {{"class", class_name}, {"state", states[k]}};
            exposition_sample(e, name, "", labels, 2, (double)n[k]);
        }
    }
}

static void tell_numbers(const struct snapshot *s, struct exposition *e)
{
    gauge(e, "ferretry_queue_unfinished_jobs", "Jobs that have not ended, in whatever state.", (double)s->unfinished);
    gauge(e, "ferretry_queue_delayed_jobs", "Jobs that wait for a time: retries and delays.", (double)s->delayed);
    gauge(e, "ferretry_queue_suspect_groups", "Groups of jobs that may have killed a worker and run by themselves.",
          (double)s->suspects);
    gauge(e, "ferretry_queue_memory_ratio", "Share of Redis' memory limit in use, of the fullest node.",
          (double)s->memory_percent / 100.0);
    gauge(e, "ferretry_queue_memory_limit_bytes", "Redis' memory limit.", (double)s->memory_limit);
    gauge(e, "ferretry_queue_record_bytes", "Records that wait in Redis to be exported.", (double)s->record_bytes);
    gauge(e, "ferretry_queue_drained", "1 while nothing is handed out by an operator's wish.", s->drained);
}

void board_gauges(void *board, struct exposition *e)
{
    struct board *b = board;
    pthread_mutex_lock(&b->lock);
    bool told = b->taken && b->elected && clock_ms() - b->taken_ms < STALE_MS;
    gauge(e, "ferretry_broker_elected", "1: this broker tells the queue's gauges, so that sums over brokers are true.",
          told);
    if (told) {
        tell_waiting(&b->snapshot, e);
        tell_campaigns(&b->snapshot, e);
        tell_workers(&b->snapshot, e);
        tell_numbers(&b->snapshot, e);
    }
    pthread_mutex_unlock(&b->lock);
}
