/* The machine's peak: loops of nothing but multiply-adds, 8 independent sums of 16 lanes a thread, named so that they
 * stay in registers. */
#ifndef TESTS_BENCH_PEAK_H
#define TESTS_BENCH_PEAK_H

#include <immintrin.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"
#include "kernels/backend.h"
#include "tests/bench/bench.h"

enum { PEAK_STEPS = 4000000, PEAK_CHAINS = 8, PEAK_LANES = 16, PEAK_MAX_THREADS = 64 };

#define PEAK_CHAIN(instruction, sum) __asm__ volatile(instruction " %1, %1, %0" : "+v"(sum) : "v"(one))
#define PEAK_LOOP(name, instruction)                                                                                   \
    __attribute__((target("avx512f"))) static void *name(void *arg)                                                    \
    {                                                                                                                  \
        __m512 one = _mm512_set1_ps(1.0f), a = one, b = one, c = one, d = one, e = one, f = one, g = one, h = one;     \
        for (int i = 0; i < PEAK_STEPS; i++) {                                                                         \
            PEAK_CHAIN(instruction, a);                                                                                \
            PEAK_CHAIN(instruction, b);                                                                                \
            PEAK_CHAIN(instruction, c);                                                                                \
            PEAK_CHAIN(instruction, d);                                                                                \
            PEAK_CHAIN(instruction, e);                                                                                \
            PEAK_CHAIN(instruction, f);                                                                                \
            PEAK_CHAIN(instruction, g);                                                                                \
            PEAK_CHAIN(instruction, h);                                                                                \
        }                                                                                                              \
        return arg;                                                                                                    \
    }
PEAK_LOOP(peak_f32, "vfmadd231ps")
PEAK_LOOP(peak_bf16, "vdpbf16ps")
PEAK_LOOP(peak_int8, "vpdpbusd")

/* Whether this machine has the instructions of the loops. */
static inline bool peak_runs(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("avx512vnni");
}

/* GFLOP/s, or billions of int8 operations; f32, bf16 and int8 only. */
static inline double peak_gflops(enum dtype dtype, int threads)
{
    void *(*loop)(void *) = dtype == DTYPE_F32 ? peak_f32 : dtype == DTYPE_BF16 ? peak_bf16 : peak_int8;
    int operations = dtype == DTYPE_F32 ? 2 : dtype == DTYPE_BF16 ? 4 : 8;
    pthread_t ids[PEAK_MAX_THREADS];
    CHECK(threads > 0 && threads <= PEAK_MAX_THREADS);
    int64_t start = clock_us();
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, loop, NULL) == 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return (double)threads * PEAK_STEPS * PEAK_CHAINS * PEAK_LANES * operations / (double)(clock_us() - start) / 1e3;
}

#endif
