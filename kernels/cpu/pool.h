/* A fixed team of threads that runs one function at a time, the caller included. Work is split by thread number only,
 * so results never depend on scheduling. Workers spin briefly after a job and then sleep. */
#ifndef KERNELS_CPU_POOL_H
#define KERNELS_CPU_POOL_H

#include "base/status.h"

struct pool;

/* `threads` >= 1 including the caller. The caller owns it; pool_close(). ST_NOMEM when threads can't be made. */
MUST_CHECK enum status pool_open(int threads, struct pool **out);
void pool_close(struct pool *p); /* NULL is fine */
int pool_threads(const struct pool *p);

typedef void (*pool_fn)(void *ctx, int thread);
/* Calls fn(ctx, 0 .. threads-1), one call a thread, and returns when all have. One caller at a time. */
void pool_run(struct pool *p, pool_fn fn, void *ctx);

/* Physical cores that this process may run on, at least 1. */
int pool_default_threads(void);

/* The part of n items that belongs to a thread: [begin, end). */
struct part {
    int begin, end;
};
static inline struct part pool_part(int n, int thread, int threads)
{
    struct part p = {(int)((long long)n * thread / threads), (int)((long long)n * (thread + 1) / threads)};
    return p;
}

#endif
