/* What each peer has on the way, so that one that floods waits alone: questions that Redis has not answered, and bytes
 * of jobs not yet accepted. A peer counts as its connection, and also as its key where it is a client with one, so that
 * many connections get it no further. */
#ifndef BROKER_BUDGET_H
#define BROKER_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "broker/dispatch.h"

struct budget;
struct budget_limits {
    size_t bytes, key_bytes; /* of a connection, of a key */
    int calls, key_calls;
};
MUST_CHECK enum status budget_new(const struct budget_limits *limits, struct budget **out);
void budget_free(struct budget *b); /* NULL is fine */

/* A question of so many bytes of jobs. False: it has too much on the way, or memory is short; nothing was taken. */
bool budget_take(struct budget *b, enum side side, const struct link_peer *peer, size_t bytes);
/* The same when it has been answered. */
void budget_give(struct budget *b, enum side side, const struct link_peer *peer, size_t bytes);
size_t budget_size(const struct budget *b); /* accounts with something on the way */

#endif
