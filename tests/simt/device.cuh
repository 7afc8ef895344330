/* CUDA C++ for a host compiler: put in front of every .cu (-include), which then compiles as plain C++. */
#ifndef TESTS_SIMT_DEVICE_CUH
#define TESTS_SIMT_DEVICE_CUH

#include "tests/simt/machine.cuh"

#include <cmath>
#include <cstring>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __shared__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __constant__
/* One copy an OS thread is one a running block. In a section, to be poisoned between blocks (machine.cc): that is why
 * kernels stand in an anonymous namespace, where templates have no merged copies. */
#define __shared__ static thread_local __attribute__((section("simt_shared")))
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(name) unsigned char *name = static_cast<unsigned char *>(simt::here->shared)

#define UNROLL(n)

#define threadIdx (simt::self->index)
#define blockIdx (simt::here->index)
#define blockDim (simt::here->dim)
#define gridDim (simt::here->grid)
#define warpSize 32

#define __syncthreads() ((void)simt::barrier(__LINE__, false))
#define __syncthreads_count(vote) simt::barrier(__LINE__, (vote) != 0)
#define __syncthreads_or(vote) (simt::barrier(__LINE__, (vote) != 0) != 0)
#define __syncthreads_and(vote) (simt::barrier(__LINE__, (vote) == 0) == 0)

#include "tests/simt/atomic.cuh"
#include "tests/simt/intrinsics.cuh"
#include "tests/simt/launch.cuh"
#include "tests/simt/ptx.cuh"
#include "tests/simt/warp.cuh"

#endif
