/* What a broker tells of itself: messages, calls of Redis and how long they took, what it holds. One thread changes
 * them, any reads. NULL meters take everything without effect. */
#ifndef BROKER_METERS_H
#define BROKER_METERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/dispatch.h"
#include "observe/metrics.h"

struct meters;
/* m is borrowed while they live. */
MUST_CHECK enum status meters_new(struct metrics *m, struct meters **out);
void meters_free(struct meters *m); /* NULL is fine */

void meters_message(struct meters *m, bool sent, const void *bytes, size_t len); /* a frame */
void meters_call(struct meters *m, enum script script, uint64_t tag, int64_t now_us);
void meters_reply(struct meters *m, uint64_t tag, int64_t now_us);
void meters_loop(struct meters *m, const struct dispatch *d, bool redis_is_up);

#endif
