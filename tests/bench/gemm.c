/* op_linear at 7B sizes against oneDNN alone (one product over all channels, its own threads) and against a loop of
 * nothing but multiply-adds. The three take turns, because memory speed on shared machines comes in phases; the best
 * round of each counts. `gemm FOLDER [threads]`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernels/backend.h"
#include "kernels/cpu/pool.h"
#include "kernels/random.h"
#include "tests/bench/alone.h"
#include "tests/bench/peak.h"

enum { ROUNDS = 6, PEAK_TURNS = 3 };

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

static struct ours ours_open(enum dtype dtype, int threads, int rows, int k, int n)
{
    struct backend_options o = {.device = "cpu", .dtype = dtype, .memory_bytes = (size_t)8 << 30, .threads = threads};
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

/* ---- the turns ---- */

struct result {
    double ours, alone, peak; /* GFLOP/s */
};

static struct result measure(enum dtype dtype, int threads, int rows, int k, int n)
{
    struct result best = {0, 0, 0};
    struct ours u = ours_open(dtype, threads, rows, k, n);
    struct alone a;
    bool other = alone_open(&a, dtype, threads, rows, k, n);
    double flop = 2.0 * rows * k * n;
    int repeats = flop > 5e9 ? 1 : 10;
    for (int round = 0; round < ROUNDS; round++) {
        struct watch w = watch_start();
        for (int i = 0; i < repeats; i++)
            op_linear(u.be, u.y, 0, u.x, rows, u.w, NULL, EPI_NONE);
        double ours = flop * repeats / watch_seconds(&w, threads) / 1e9;
        double alone = 0;
        if (other) {
            omp_set_num_threads(threads);
            w = watch_start();
            for (int i = 0; i < repeats; i++)
                alone_run(&a);
            alone = flop * repeats / watch_seconds(&w, threads) / 1e9;
            usleep(ALONE_SETTLE_US);
        }
        best.ours = round > 0 ? more(best.ours, ours) : 0; /* the first warms */
        best.alone = round > 0 ? more(best.alone, alone) : 0;
        for (int i = 0; i < PEAK_TURNS; i++)
            best.peak = more(best.peak, peak_gflops(dtype, threads));
    }
    if (other)
        alone_close(&a);
    backend_close(u.be);
    return best;
}

int main(int argc, char **argv)
{
    static const int sizes[][3] = {{676, 4096, 4096}, {676, 4096, 11008}, {676, 11008, 4096}, {8, 4096, 11008}};
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : pool_default_threads();
    CHECK(argc > 1 && threads > 0);
    if (!peak_runs()) {
        puts("gemm: needs AVX2");
        return 0;
    }
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int *z = sizes[s];
            struct result r = measure(types[t], threads, z[0], z[1], z[2]);
            char name[96], of_peak[128];
            snprintf(name, sizeof name, "linear-%s-%dx%dx%d", dtype_name(types[t]), z[0], z[1], z[2]);
            snprintf(of_peak, sizeof of_peak, "%s-of-peak", name);
            measure_write(argv[1], &(struct measure){name, "GFLOP/s", r.ours, r.alone, 0});
            measure_write(argv[1], &(struct measure){of_peak, "GFLOP/s", r.ours, r.peak, 0});
        }
    return 0;
}
