/* Kernels with a mistake each, and the same without it: ordinary CUDA. */
#ifndef TESTS_SIMT_FAULTS_CUH
#define TESTS_SIMT_FAULTS_CUH

#include <cuda_runtime_api.h>

enum {
    FAULT_THREADS = 64,
    FAULT_BLOCKS = 4,
    FAULT_NUMBERS = FAULT_THREADS * FAULT_BLOCKS /* what the kernels read and write */
};

/* y = each block's numbers, backwards. */
void run_reverse(float *y, const float *x, bool with_barrier, cudaStream_t s);
void run_reverse_static(float *y, const float *x, bool with_barrier, cudaStream_t s);
/* y = x through shared memory by cp.async. */
void run_fetch(float *y, const float *x, bool with_wait, cudaStream_t s);
/* y[i + shift] = x[i]; scale doubles in place. */
void run_shift(float *y, const float *x, int shift, cudaStream_t s);
void run_scale(float *x, cudaStream_t s);
/* Writes dynamic shared memory of `bytes` bytes up to index last. */
void run_fill_shared(float *y, int bytes, int last, cudaStream_t s);
enum {
    DIVERGE_NONE,
    DIVERGE_BARRIER, /* half of the threads wait at another line */
    DIVERGE_SHUFFLE, /* half of a warp names all its lanes */
    DIVERGE_MASK,    /* lanes name different masks */
    DIVERGE_OUTSIDE, /* a lane is not in its own mask */
    DIVERGE_MIXED,   /* a barrier against a shuffle */
};
void run_diverge(float *y, int how, cudaStream_t s);
void run_shape(float *y, int blocks, int threads, int shared_bytes, cudaStream_t s);

/* y = factor * x: the factor as an argument, or read from device memory. */
void run_times(float *y, const float *x, float factor, cudaStream_t s);
void run_times_of(float *y, const float *x, const float *factor, cudaStream_t s);

/* faults_graph.cc: x holds i + 1; each prints what it finds wrong. */
void graph_argument(float *y, const float *x, cudaStream_t s, bool fault);
void graph_host_memory(float *y, const float *x, cudaStream_t s, bool fault);
void graph_wait(float *y, const float *x, cudaStream_t s, bool fault);
void graph_allocation(float *y, const float *x, cudaStream_t s, bool fault);

/* faults_library.cc */
void library_combination(bool fault);
void library_plan(bool fault);
void library_split(bool fault);

#endif
