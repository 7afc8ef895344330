/* The machine's peak: loops of nothing but multiply-adds, twelve independent sums a thread that are named so that they
 * stay in registers. With AVX-512, BF16 and VNNI the instructions made for each type; else those of AVX2, where bf16 is
 * widened to f32 and int8 to pairs of 16 bits, the fastest exact way there is. */
#ifndef TESTS_BENCH_PEAK_H
#define TESTS_BENCH_PEAK_H

#include <immintrin.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"
#include "kernels/backend.h"
#include "tests/bench/bench.h"

enum { PEAK_STEPS = 2000000, PEAK_CHAINS = 12, PEAK_MAX_THREADS = 64 };

#define PEAK_TWELVE(chain)                                                                                             \
    chain(a) chain(b) chain(c) chain(d) chain(e) chain(f) chain(g) chain(h) chain(i) chain(j) chain(k) chain(l)
#define PEAK_LOOP(name, set, type, zero, chain)                                                                        \
    __attribute__((target(set))) static void *name(void *arg)                                                          \
    {                                                                                                                  \
        type one = zero(), a = one, b = one, c = one, d = one, e = one, f = one, g = one, h = one;                     \
        type i = one, j = one, k = one, l = one;                                                                       \
        for (int step = 0; step < PEAK_STEPS; step++) {                                                                \
            PEAK_TWELVE(chain)                                                                                         \
        }                                                                                                              \
        return arg;                                                                                                    \
    }
#define PEAK_FMA(sum) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(sum) : "v"(one));
#define PEAK_BF16(sum) __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(one));
#define PEAK_INT8(sum) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(sum) : "v"(one));
#define PEAK_PAIRS(sum)                                                                                                \
    __asm__ volatile("vpmaddwd %1, %1, %%ymm15\n\tvpaddd %%ymm15, %0, %0" : "+v"(sum) : "v"(one) : "xmm15");
PEAK_LOOP(peak512_f32, "avx512f", __m512, _mm512_setzero_ps, PEAK_FMA)
PEAK_LOOP(peak512_bf16, "avx512f", __m512, _mm512_setzero_ps, PEAK_BF16)
PEAK_LOOP(peak512_int8, "avx512f", __m512, _mm512_setzero_ps, PEAK_INT8)
PEAK_LOOP(peak256_f32, "avx2", __m256, _mm256_setzero_ps, PEAK_FMA)
PEAK_LOOP(peak256_int8, "avx2", __m256i, _mm256_setzero_si256, PEAK_PAIRS)

struct peak_loop {
    void *(*run)(void *);
    int operations; /* of an instruction */
};

/* f32, bf16 and int8 only. */
static inline struct peak_loop peak_loop(enum dtype dtype)
{
    bool typed = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    if (__builtin_cpu_supports("avx512f") && (typed || dtype == DTYPE_F32))
        return dtype == DTYPE_F32    ? (struct peak_loop){peak512_f32, 32}
               : dtype == DTYPE_BF16 ? (struct peak_loop){peak512_bf16, 64}
                                     : (struct peak_loop){peak512_int8, 128};
    return dtype == DTYPE_INT8 ? (struct peak_loop){peak256_int8, 32} : (struct peak_loop){peak256_f32, 16};
}

/* Whether this machine has the instructions of any of the loops. */
static inline bool peak_runs(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* One thread's processor seconds of a loop. */
struct peak_run {
    void *(*run)(void *);
    double worked;
};

static inline void *peak_thread(void *arg)
{
    struct peak_run *r = arg;
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    r->run(NULL);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    r->worked = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    return NULL;
}

/* GFLOP/s, or billions of int8 operations, of threads that run at once; each by its own processor time. */
static inline double peak_gflops(enum dtype dtype, int threads)
{
    struct peak_loop loop = peak_loop(dtype);
    static struct peak_run runs[PEAK_MAX_THREADS];
    pthread_t ids[PEAK_MAX_THREADS];
    double sum = 0;
    CHECK(threads > 0 && threads <= PEAK_MAX_THREADS);
    for (int i = 0; i < threads; i++) {
        runs[i] = (struct peak_run){.run = loop.run};
        CHECK(pthread_create(&ids[i], NULL, peak_thread, &runs[i]) == 0);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += (double)PEAK_STEPS * PEAK_CHAINS * loop.operations / runs[i].worked / 1e9;
    }
    return sum;
}

#endif
