/* A bounded queue of items between two stages. Any number of threads on both sides. */
#ifndef WORKER_STAGE_QUEUE_H
#define WORKER_STAGE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"

struct item;

struct stage_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    struct item **ring;
    int capacity, first, n;
    bool closed;
};

MUST_CHECK enum status stage_queue_init(struct stage_queue *q, int capacity);
void stage_queue_fini(struct stage_queue *q); /* holds no items any more */
/* wait: block until there is room. ST_BUSY: full; ST_CLOSED. */
MUST_CHECK enum status stage_queue_put(struct stage_queue *q, struct item *item, bool wait);
/* wait: block until there is one. NULL: none, or closed and empty. */
struct item *stage_queue_take(struct stage_queue *q, bool wait);
void stage_queue_close(struct stage_queue *q); /* wakes all who wait; what is in it can still be taken */

#endif
