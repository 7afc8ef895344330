/* A dispatcher with a played clock, and what a played Redis answers it: no socket, no Redis. */
#ifndef TESTS_UNIT_BROKER_RIG_H
#define TESTS_UNIT_BROKER_RIG_H

#include "broker/dispatch.h"

/* One shard, connected at 1 ms; direct route, leases of 12 s, a window of 1,000 jobs. The caller frees it. */
struct dispatch *rig_open(size_t max_held_bytes);

struct reply rig_text(const char *s); /* borrowed */
struct reply rig_number(int64_t n);
/* The script of that tag gave these. */
void rig_answer(struct dispatch *d, uint64_t tag, struct reply *items, size_t n, int64_t now);

#endif
