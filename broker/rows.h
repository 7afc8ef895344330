/* What scripts answer of campaigns and sessions, as the protocol's types. */
#ifndef BROKER_ROWS_H
#define BROKER_ROWS_H

#include "protocol/campaign.h"
#include "protocol/reply.h"

/* Element i as terminated text of at most max bytes, cut. */
void row_text(const struct reply *r, size_t i, char *out, size_t max);
/* A campaign row (campaign_row in common.lua). */
void row_campaign(const struct reply *row, struct campaign_status *out);
/* A session of WORKERS' answer, which has ROW_WORKER_ELEMENTS elements from `at` on. */
enum { ROW_WORKER_ELEMENTS = 6 };
void row_worker(const struct reply *r, size_t at, struct worker_status *out);

#endif
