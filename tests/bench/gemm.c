/* op_linear at 7B sizes against oneDNN alone (one product over all channels, its own threads) and against a loop of
 * nothing but multiply-adds. The three take turns, because memory speed on shared machines comes in phases; the best
 * round of each counts. `gemm FOLDER [threads]`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernels/backend.h"
#include "kernels/cpu/dnnl_api.h"
#include "kernels/random.h"
#include "tests/bench/bench.h"
#include "tests/bench/peak.h"

extern void omp_set_num_threads(int n);

/* After its products oneDNN's threads spin for a while; nothing else is measured then. */
enum { SETTLE_US = 20000 };
enum { ROUNDS = 6, PEAK_TURNS = 3 };

struct type {
    enum dtype dtype;
    dnnl_data_type_t input, output;
};
static const struct type types[] = {
    {DTYPE_F32, dnnl_f32, dnnl_f32}, {DTYPE_BF16, dnnl_bf16, dnnl_f32}, {DTYPE_INT8, dnnl_s8, dnnl_s32}};

/* ---- ours ---- */

static enum status read_rows(void *ctx, int row, int n, float *out, struct diag *why)
{
    int cols = *(int *)ctx;
    (void)why;
    for (int i = 0; i < n * cols; i++)
        out[i] = random_uniform((uint64_t)row, (uint64_t)i) - 0.5f;
    return ST_OK;
}

struct ours {
    struct backend *be;
    struct weight *w;
    struct act *x, *y;
};

static struct ours ours_open(const struct type *t, int threads, int rows, int k, int n)
{
    struct backend_options o = {
        .device = "cpu", .dtype = t->dtype, .memory_bytes = (size_t)8 << 30, .threads = threads};
    struct ours u;
    struct diag why = {{0}};
    struct weight_source src = {n, k, read_rows, &k};
    CHECK(backend_open(&o, &u.be, &why) == ST_OK && backend_weight(u.be, WEIGHT_LINEAR, &src, &u.w, &why) == ST_OK);
    CHECK(backend_act(u.be, rows, k, &u.x, &why) == ST_OK && backend_act(u.be, rows, n, &u.y, &why) == ST_OK);
    float *row = calloc((size_t)rows * (size_t)k, sizeof *row);
    CHECK(row && read_rows(&k, 0, rows, row, NULL) == ST_OK && act_write(u.be, u.x, 0, rows, row, &why) == ST_OK);
    free(row);
    return u;
}

/* ---- oneDNN alone ---- */

struct alone {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, w, y;
};

/* Ordinary numbers of each type: no zeros, no denormals. */
static void fill_memory(dnnl_memory_t memory, const struct desc *d)
{
    void *data;
    CHECK(!dnnl_memory_get_data_handle(memory, &data));
    memset(data, 0x3d, dnnl_memory_desc_get_size(desc_view(d)));
}

static struct alone alone_open(const struct type *t, int threads, int rows, int k, int n)
{
    struct alone a;
    struct desc x = {0}, w = {0}, y = {0}, packed = {0};
    dnnl_primitive_desc_t pd;
    omp_set_num_threads(threads);
    CHECK(!dnnl_engine_create(&a.engine, dnnl_cpu, 0) && !dnnl_stream_create(&a.stream, a.engine, 1));
    CHECK(desc_plain(&x, rows, k, t->input, dnnl_ab) && desc_plain(&y, rows, n, t->output, dnnl_ab));
    CHECK(desc_plain(&w, k, n, t->input, dnnl_format_tag_any));
    CHECK(matmul_describe(&pd, a.engine, &x, &w, &y, NULL) && !dnnl_primitive_create(&a.primitive, pd));
    CHECK(desc_query(&packed, pd, dnnl_query_weights_md));
    CHECK(!dnnl_memory_create(&a.x, desc_view(&x), a.engine, DNNL_MEMORY_ALLOCATE));
    CHECK(!dnnl_memory_create(&a.w, desc_view(&packed), a.engine, DNNL_MEMORY_ALLOCATE));
    CHECK(!dnnl_memory_create(&a.y, desc_view(&y), a.engine, DNNL_MEMORY_ALLOCATE));
    fill_memory(a.x, &x);
    fill_memory(a.w, &packed);
    desc_fini(&x);
    desc_fini(&w);
    desc_fini(&y);
    desc_fini(&packed);
    dnnl_primitive_desc_destroy(pd);
    return a;
}

static void alone_run(struct alone *a)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, a->x}, {DNNL_ARG_WEIGHTS, a->w}, {DNNL_ARG_DST, a->y}};
    CHECK(!dnnl_primitive_execute(a->primitive, a->stream, 3, args) && !dnnl_stream_wait(a->stream));
}

static void alone_close(struct alone *a)
{
    dnnl_memory_destroy(a->x);
    dnnl_memory_destroy(a->w);
    dnnl_memory_destroy(a->y);
    dnnl_primitive_destroy(a->primitive);
    dnnl_stream_destroy(a->stream);
    dnnl_engine_destroy(a->engine);
}

/* ---- the turns ---- */

struct result {
    double ours, alone, peak; /* GFLOP/s */
};

static struct result measure(const struct type *t, int threads, int rows, int k, int n)
{
    struct result best = {0, 0, 0};
    struct ours u = ours_open(t, threads, rows, k, n);
    struct alone a = alone_open(t, threads, rows, k, n);
    double flop = 2.0 * rows * k * n;
    int repeats = flop > 5e9 ? 1 : 10;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = clock_us();
        for (int i = 0; i < repeats; i++)
            op_linear(u.be, u.y, 0, u.x, rows, u.w, NULL, EPI_NONE);
        double ours = flop * repeats / (double)(clock_us() - start) / 1e3;
        omp_set_num_threads(threads);
        start = clock_us();
        for (int i = 0; i < repeats; i++)
            alone_run(&a);
        double alone = flop * repeats / (double)(clock_us() - start) / 1e3;
        usleep(SETTLE_US);
        best.ours = ours > best.ours && round > 0 ? ours : best.ours;
        best.alone = alone > best.alone && round > 0 ? alone : best.alone;
        for (int i = 0; i < PEAK_TURNS; i++) {
            double peak = peak_gflops(t->dtype, threads);
            best.peak = peak > best.peak ? peak : best.peak;
        }
    }
    alone_close(&a);
    backend_close(u.be);
    return best;
}

int main(int argc, char **argv)
{
    static const int sizes[][3] = {{676, 4096, 4096}, {676, 4096, 11008}, {676, 11008, 4096}, {8, 4096, 11008}};
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 2;
    CHECK(argc > 1 && threads > 0);
    if (!peak_runs()) {
        puts("gemm: needs AVX-512 with BF16 and VNNI");
        return 0;
    }
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int *z = sizes[s];
            struct result r = measure(&types[t], threads, z[0], z[1], z[2]);
            char name[96], of_peak[128];
            snprintf(name, sizeof name, "linear-%s-%dx%dx%d", dtype_name(types[t].dtype), z[0], z[1], z[2]);
            snprintf(of_peak, sizeof of_peak, "%s-of-peak", name);
            measure_write(argv[1], &(struct measure){name, "GFLOP/s", r.ours, r.alone});
            measure_write(argv[1], &(struct measure){of_peak, "GFLOP/s", r.ours, r.peak});
        }
    return 0;
}
