/* Kernels that show what the machine does; ordinary CUDA, which nvcc compiles too. */
#ifndef TESTS_SIMT_KERNELS_CUH
#define TESTS_SIMT_KERNELS_CUH

#include <cuda_runtime_api.h>

enum { SHUFFLES = 8, VOTES = 6 };
/* One warp: out[32][SHUFFLES], out[32][VOTES]. */
void run_shuffles(int *out, cudaStream_t s);
void run_votes(unsigned *out, cudaStream_t s);
/* out[blocks][3]: how many, whether any and whether all of n threads have a bit of `bits` set. */
void run_counts(int *out, int blocks, int n, unsigned bits, cudaStream_t s);
/* y[r] = softmax(x[r]), a block a row; threads past `live` end before the first barrier. */
void run_softmax(float *y, const float *x, int rows, int n, int live, cudaStream_t s);
/* sums[bins] += 1, total += x, top = max(top, i) over all blocks. */
void run_atomics(int *sums, float *total, int *top, int n, int bins, cudaStream_t s);
/* seen[blocks]: whether each block met its static shared memory as poison; it leaves zeros there. */
void run_poison(int *seen, int blocks, cudaStream_t s);
/* c [M, N] = a [M, K] b [N, K]^T, M, N multiples of 32 and 16, K of 32: cp.async, ldmatrix, mma.sync. */
void run_product_f16(float *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s);
void run_product_bf16(float *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s);
void run_product_s8(int *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s);
/* y = a x + y */
void run_axpy(float *y, const float *x, float a, int n, cudaStream_t s);

#endif
