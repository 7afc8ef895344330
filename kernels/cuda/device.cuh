/* What every kernel file begins with. A host compiler gets the same names from tests/simt/device.cuh. Kernels stand in
 * anonymous namespaces. */
#ifndef KERNELS_CUDA_DEVICE_CUH
#define KERNELS_CUDA_DEVICE_CUH

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

/* Parenthesise a kernel that is a template. */
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                         \
    kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
/* In front of a loop, n times: its arrays must stay in registers though it holds barriers, or its code be small. */
#define PRAGMA(text) _Pragma(#text)
#define UNROLL(n) PRAGMA(unroll n)
#endif

#include "kernels/cuda/ptx.cuh"

#endif
