/* Inside of the CPU backend. Legend as in kernels/backend.h. All operations run to their end before they return; the
 * engine's thread is thread 0 of the pool. */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/backend_impl.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/simd.h"

#include <stdatomic.h>

struct gemm;
struct packed;

/* What an operation writes its intermediate numbers to; one a thread. */
struct scratch {
    float *product;   /* rows of one block of a product, before its epilogue */
    float *pages;     /* one attention block in f32: K then V */
    float *near;      /* rows of a product in the own loops: OWN_NEAR_ROWS of NEAR_ROW bytes */
    float *row_state; /* running maximum and sum of each row: 2 x max_rows */
    float *wide;      /* 2 x the widest row and 6 numbers a region point: candidates of a sample, of neighbours */
};

struct allocation;

struct cpu {
    struct backend base;
    struct pool *pool;
    int threads;
    const struct simd *simd;
    struct gemm *gemm; /* NULL: own loops only */
    bool fast;         /* the row rule is lifted */
    struct allocation *allocations;
    struct scratch *scratch;
    size_t product_floats, wide_floats, state_floats; /* sizes of a scratch's arrays */
    int max_rows, max_cols, max_block;                /* largest activation, widest block of a packed matrix */
    atomic_bool failed;                               /* an operation failed: every later sync says so */
    struct diag failure;

    struct {
        size_t bytes;
        char data[ARRAY_SEND_BYTES];
    } sent[ARRAY_SENDS];
    int next_sent; /* that the next array_send fills */

    size_t page_bytes, layer_bytes, head_elements;
    char *pages;
    float *rope; /* cos then sin, each D/2, a position */
    int rope_positions, rope_filled;
    const struct weight *rope_freq;
};

struct cpu_weight {
    struct weight base;
    struct packed *matrix, *up; /* LINEAR: matrix; GLU: gate and up */
    void *values;               /* TABLE: f32 or bf16 rows; VECTOR: f32 */
};

struct cpu_array {
    struct array base;
    void *data;
};

struct cpu_act {
    struct act base;
    float *values;
    uint16_t *bf16;  /* copy in bf16, NULL in other dtypes */
    int8_t *int8;    /* copy in int8, NULL in other dtypes */
    float *scales;   /* of the int8 rows */
    int padded_rows; /* rows allocated: products run on padded row counts */
    int copied;      /* rows whose copy is up to date */
};

/* memory.c: everything an instance holds comes from here, aligned to 64 bytes and counted against its budget. */
MUST_CHECK enum status cpu_alloc(struct cpu *cpu, size_t bytes, void **out, struct diag *why);
void cpu_free(struct cpu *cpu, void *p); /* early; NULL is fine */
void cpu_free_all(struct cpu *cpu);
void *cpu_mark(const struct backend *be);
void cpu_forget(struct backend *be, void *mark);
/* Makes every thread's scratch fit the largest activation, block and head seen so far. */
MUST_CHECK enum status cpu_reserve_scratch(struct cpu *cpu, struct diag *why);

/* Keeps a failure of an operation for the next sync. */
void cpu_fail(struct cpu *cpu, const char *what);

/* Calls fn(ctx, thread) for every thread of the pool; in the caller alone where `numbers`, the count of numbers to be
 * touched, is not worth a wake-up. */
enum { WORTH_A_THREAD = 32 * 1024 };
static inline void cpu_run(struct cpu *cpu, int64_t numbers, pool_fn fn, void *ctx)
{
    if (numbers >= WORTH_A_THREAD)
        pool_run(cpu->pool, fn, ctx);
    else
        for (int thread = 0; thread < cpu->threads; thread++)
            fn(ctx, thread);
}

static inline struct cpu *cpu_of(struct backend *be)
{
    return (struct cpu *)be;
}
static inline struct cpu_act *act_of(const struct act *a)
{
    return (struct cpu_act *)(uintptr_t)a; /* the copy of a const activation is a cache */
}
static inline const float *vector_of(const struct weight *w)
{
    return ((const struct cpu_weight *)w)->values;
}
/* Row of an activation for writing f32 values. */
static inline float *act_row(const struct act *a, int row)
{
    return act_of(a)->values + (ptrdiff_t)row * a->cols;
}
/* To be called by every operation that has written f32 values. */
static inline void act_written(struct act *a)
{
    act_of(a)->copied = 0;
}
/* kv.c: K and then V of one head in a page of the cache. */
void *cpu_kv_head(const struct cpu *cpu, int page, int layer, int head);

int32_t *array_i32(const struct array *a);
float *array_f32(const struct array *a);

#endif
