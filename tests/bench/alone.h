/* oneDNN alone: one product by its own threads, as a baseline. */
#ifndef TESTS_BENCH_ALONE_H
#define TESTS_BENCH_ALONE_H

#include <stdbool.h>
#include <string.h>

#include "kernels/backend.h"
#include "kernels/cpu/dnnl_api.h"
#include "tests/bench/bench.h"

extern void omp_set_num_threads(int n);

/* After its products oneDNN's threads spin for a while; nothing else is measured then. */
enum { ALONE_SETTLE_US = 20000 };

struct alone {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, w, y;
};

/* Ordinary numbers of each type: no zeros, no denormals. */
static inline void alone_fill(dnnl_memory_t memory, const struct desc *d)
{
    void *data;
    CHECK(!dnnl_memory_get_data_handle(memory, &data));
    memset(data, 0x3d, dnnl_memory_desc_get_size(desc_view(d)));
}

/* x [rows, k] times a packed W [n, k]. false: this oneDNN has no such product on this processor. */
static inline bool alone_open(struct alone *out, enum dtype dtype, int threads, int rows, int k, int n)
{
    dnnl_data_type_t input = dtype == DTYPE_F32 ? dnnl_f32 : dtype == DTYPE_BF16 ? dnnl_bf16 : dnnl_s8;
    dnnl_data_type_t output = dtype == DTYPE_INT8 ? dnnl_s32 : dnnl_f32;
    struct alone a;
    struct desc x = {0}, w = {0}, y = {0}, packed = {0};
    dnnl_primitive_desc_t pd;
    omp_set_num_threads(threads);
    CHECK(!dnnl_engine_create(&a.engine, dnnl_cpu, 0) && !dnnl_stream_create(&a.stream, a.engine, 1));
    CHECK(desc_plain(&x, rows, k, input, dnnl_ab) && desc_plain(&y, rows, n, output, dnnl_ab));
    CHECK(desc_plain(&w, k, n, input, dnnl_format_tag_any));
    if (!matmul_describe(&pd, a.engine, &x, &w, &y, NULL)) {
        dnnl_stream_destroy(a.stream);
        dnnl_engine_destroy(a.engine);
        return false;
    }
    CHECK(!dnnl_primitive_create(&a.primitive, pd));
    CHECK(desc_query(&packed, pd, dnnl_query_weights_md));
    CHECK(!dnnl_memory_create(&a.x, desc_view(&x), a.engine, DNNL_MEMORY_ALLOCATE));
    CHECK(!dnnl_memory_create(&a.w, desc_view(&packed), a.engine, DNNL_MEMORY_ALLOCATE));
    CHECK(!dnnl_memory_create(&a.y, desc_view(&y), a.engine, DNNL_MEMORY_ALLOCATE));
    alone_fill(a.x, &x);
    alone_fill(a.w, &packed);
    desc_fini(&x);
    desc_fini(&w);
    desc_fini(&y);
    desc_fini(&packed);
    dnnl_primitive_desc_destroy(pd);
    *out = a;
    return true;
}

static inline void alone_run(struct alone *a)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, a->x}, {DNNL_ARG_WEIGHTS, a->w}, {DNNL_ARG_DST, a->y}};
    CHECK(!dnnl_primitive_execute(a->primitive, a->stream, 3, args) && !dnnl_stream_wait(a->stream));
}

static inline void alone_close(struct alone *a)
{
    dnnl_memory_destroy(a->x);
    dnnl_memory_destroy(a->w);
    dnnl_memory_destroy(a->y);
    dnnl_primitive_destroy(a->primitive);
    dnnl_stream_destroy(a->stream);
    dnnl_engine_destroy(a->engine);
}

#endif
