/* Numbers of a campaign for people: what status and watch print. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "protocol/campaign.h"

/* {"campaign","total","done","failed","ready","running","delayed","cancelled","workers","class","state","completed",
 * "stopped"?,"labels"?}; NULL when memory is short. */
struct json *progress_json(const struct campaign_status *c);
uint64_t progress_ended(const struct campaign_status *c); /* done, failed and cancelled */

/* Images a second over the last half minute or so. */
enum { RATE_SAMPLES = 32 };
struct rate {
    int64_t ms[RATE_SAMPLES];
    uint64_t ended[RATE_SAMPLES];
    int n, next;
};
void rate_add(struct rate *r, int64_t now_ms, uint64_t ended);
double rate_value(const struct rate *r); /* negative while unknown */

/* Why nothing moves, as last told. */
struct wait_reason {
    char text[DIAG_BYTES];
    int64_t told_ms;
};
/* Whether to tell it now: a reason that comes and goes is told once a minute. "" is none. */
bool wait_reason_is_news(struct wait_reason *last, const char *reason, int64_t now_ms);

/* "1 h 02 min", "4 min 10 s", "12 s". */
void duration_text(double seconds, char *out, size_t size);

#endif
