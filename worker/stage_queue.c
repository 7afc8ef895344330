#include "worker/stage_queue.h"

#include <stdlib.h>

enum status stage_queue_init(struct stage_queue *q, int capacity)
{
    *q = (struct stage_queue){.capacity = capacity};
    if (!(q->ring = calloc((size_t)capacity, sizeof *q->ring)))
        return ST_NOMEM;
    if (pthread_mutex_init(&q->lock, NULL) == 0) {
        if (pthread_cond_init(&q->filled, NULL) == 0) {
            if (pthread_cond_init(&q->emptied, NULL) == 0)
                return ST_OK;
            pthread_cond_destroy(&q->filled);
        }
        pthread_mutex_destroy(&q->lock);
    }
    free(q->ring);
    q->ring = NULL;
    return ST_NOMEM;
}

void stage_queue_fini(struct stage_queue *q)
{
    if (!q->ring)
        return;
    free(q->ring);
    q->ring = NULL;
    pthread_cond_destroy(&q->emptied);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
}

enum status stage_queue_put(struct stage_queue *q, struct item *item, bool wait)
{
    enum status s = ST_OK;
    pthread_mutex_lock(&q->lock);
    while (wait && !q->closed && q->n == q->capacity)
        pthread_cond_wait(&q->emptied, &q->lock);
    if (q->closed) {
        s = ST_CLOSED;
    } else if (q->n == q->capacity) {
        s = ST_BUSY;
    } else {
        q->ring[(q->first + q->n++) % q->capacity] = item;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return s;
}

struct item *stage_queue_take(struct stage_queue *q, bool wait)
{
    struct item *item = NULL;
    pthread_mutex_lock(&q->lock);
    while (wait && !q->closed && q->n == 0)
        pthread_cond_wait(&q->filled, &q->lock);
    if (q->n > 0) {
        item = q->ring[q->first];
        q->first = (q->first + 1) % q->capacity;
        q->n--;
        pthread_cond_signal(&q->emptied);
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void stage_queue_close(struct stage_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_cond_broadcast(&q->emptied);
    pthread_mutex_unlock(&q->lock);
}
