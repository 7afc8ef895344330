/* What a status page and the queue's gauges show, gathered from all shards. Filled by add calls with the answers of the
 * scripts; plain data then. One thread. */
#ifndef BROKER_SNAPSHOT_H
#define BROKER_SNAPSHOT_H

#include "base/json.h"
#include "base/status.h"
#include "protocol/campaign.h"
#include "protocol/reply.h"

enum { PRIORITIES = 3, SNAPSHOT_NEWS = 20 /* errors, events */ };

struct shown_campaign {
    struct campaign_status status;
    uint64_t waiting[PRIORITIES];
    double rate; /* images ended a second, lately; < 0: not known yet */
};
struct shown_tenant {
    char name[LIMIT_NAME_BYTES + 1];
    uint64_t waiting[PRIORITIES];
};
struct shown_error {
    int64_t ms; /* Unix time */
    char campaign[LIMIT_NAME_BYTES + 1];
    struct json *record; /* NULL: it was long */
};
struct shown_event {
    int64_t ms;
    char what[STOPPED_BYTES + 1], campaign[LIMIT_NAME_BYTES + 1];
};

struct snapshot {
    struct shown_campaign *campaigns; /* newest first */
    size_t n_campaigns, cap_campaigns;
    struct shown_tenant *tenants;
    size_t n_tenants, cap_tenants;
    struct worker_status *workers;
    size_t n_workers, cap_workers;
    struct shown_error errors[SNAPSHOT_NEWS]; /* newest first */
    size_t n_errors;
    struct shown_event events[SNAPSHOT_NEWS]; /* newest first */
    size_t n_events;
    /* of the shards' numbers: the fullest memory, and sums */
    int64_t memory_percent, memory_limit, record_bytes, unfinished, delayed, given_up, suspects;
    bool drained;
};
void snapshot_fini(struct snapshot *s); /* zeroed or filled; leaves it zeroed */

/* Answers of BOARD (one page), WORKERS, QUEUE and NEWS of one shard; a campaign, tenant or session that another
 * shard told of already is added to. ST_NOMEM; ST_FORMAT: not such an answer. */
MUST_CHECK enum status snapshot_add_campaigns(struct snapshot *s, const struct reply *r);
MUST_CHECK enum status snapshot_add_workers(struct snapshot *s, const struct reply *r);
MUST_CHECK enum status snapshot_add_numbers(struct snapshot *s, const struct reply *r);
MUST_CHECK enum status snapshot_add_news(struct snapshot *s, const struct reply *r);

/* Images that have ended, over all campaigns. */
uint64_t snapshot_ended(const struct snapshot *s);

#endif
