#include "kernels/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* About 20 us of pauses: longer than the gap between two operations of a step, far shorter than the gap between steps.
 */
enum { SPIN_ROUNDS = 2000 };

struct pool {
    int threads, started; /* workers besides the caller that run */
    pthread_t *ids;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint job;     /* number of the job at hand; a change wakes the workers */
    atomic_int pending;  /* workers still in the job */
    atomic_bool closing; /* the next "job" is to leave */
    pool_fn fn;          /* written before `job` changes, read after */
    void *ctx;
};

struct worker {
    struct pool *pool;
    int thread;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void wait_for_job(struct pool *p, unsigned seen)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&p->job, memory_order_acquire) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->job, memory_order_acquire) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct worker w = *(struct worker *)arg;
    free(arg);
    unsigned seen = 0;
    for (;;) {
        wait_for_job(w.pool, seen);
        seen++;
        if (atomic_load(&w.pool->closing))
            return NULL;
        w.pool->fn(w.pool->ctx, w.thread);
        if (atomic_fetch_sub_explicit(&w.pool->pending, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&w.pool->lock);
            pthread_cond_signal(&w.pool->done);
            pthread_mutex_unlock(&w.pool->lock);
        }
    }
}

static void post_job(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->job, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static bool start_worker(struct pool *p, int thread)
{
    struct worker *w = malloc(sizeof *w);
    if (!w)
        return false;
    *w = (struct worker){p, thread};
    if (pthread_create(&p->ids[p->started], NULL, worker_main, w) != 0) {
        free(w);
        return false;
    }
    p->started++;
    return true;
}

enum status pool_open(int threads, struct pool **out)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    p->threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->ids = calloc((size_t)threads, sizeof *p->ids);
    bool ok = p->ids != NULL;
    for (int t = 1; ok && t < threads; t++)
        ok = start_worker(p, t);
    if (!ok) {
        pool_close(p);
        return ST_NOMEM;
    }
    *out = p;
    return ST_OK;
}

void pool_close(struct pool *p)
{
    if (!p)
        return;
    atomic_store(&p->closing, true);
    post_job(p);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->ids);
    free(p);
}

int pool_threads(const struct pool *p)
{
    return p->threads;
}

void pool_run(struct pool *p, pool_fn fn, void *ctx)
{
    if (p->threads == 1) {
        fn(ctx, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    atomic_store_explicit(&p->pending, p->threads - 1, memory_order_relaxed);
    post_job(p);
    fn(ctx, 0);
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&p->pending, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->pending, memory_order_acquire) != 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

/* The lowest CPU number that shares a core with `cpu`, or cpu itself where the system does not say. */
static int core_leader(int cpu)
{
    char path[96];
    int leader = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (!f)
        return cpu;
    if (fscanf(f, "%d", &leader) != 1)
        leader = cpu;
    fclose(f);
    return leader;
}

int pool_default_threads(void)
{
    cpu_set_t allowed, leaders;
    CPU_ZERO(&leaders);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            int leader = core_leader(cpu);
            CPU_SET(leader >= 0 && leader < CPU_SETSIZE ? leader : cpu, &leaders);
        }
    }
    int n = CPU_COUNT(&leaders);
    return n > 0 ? n : 1;
}
