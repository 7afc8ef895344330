#include "kernels/cuda/device.cuh"
#include "tests/simt/faults.cuh"

namespace
{

const unsigned ALL = 0xFFFFFFFFu;

__device__ int place()
{
    return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

__global__ void reverse(float *y, const float *x, bool with_barrier)
{
    DYNAMIC_SHARED(raw);
    float *held = reinterpret_cast<float *>(raw);
    held[threadIdx.x] = x[place()];
    if (with_barrier)
        __syncthreads();
    y[place()] = held[blockDim.x - 1 - threadIdx.x];
}

__global__ void reverse_static(float *y, const float *x, bool with_barrier)
{
    __shared__ float held[FAULT_THREADS];
    held[threadIdx.x] = x[place()];
    if (with_barrier)
        __syncthreads();
    y[place()] = held[blockDim.x - 1 - threadIdx.x];
}

__global__ void fetch(float *y, const float *x, bool with_wait)
{
    __shared__ __align__(16) float held[FAULT_THREADS];
    if (threadIdx.x < FAULT_THREADS / 4)
        cp_async16(held + threadIdx.x * 4, x + blockIdx.x * FAULT_THREADS + threadIdx.x * 4);
    cp_async_commit();
    if (with_wait)
        cp_async_wait<0>();
    __syncthreads();
    y[place()] = held[threadIdx.x];
}

__global__ void shift_by(float *y, const float *x, int shift)
{
    y[place() + shift] = x[place()];
}

__global__ void scale(float *x)
{
    x[place()] *= 2;
}

__global__ void times(float *y, const float *x, float factor)
{
    y[place()] = factor * x[place()];
}

__global__ void times_of(float *y, const float *x, const float *factor)
{
    y[place()] = *factor * x[place()];
}

__global__ void fill_shared(float *y, int last)
{
    DYNAMIC_SHARED(raw);
    float *held = reinterpret_cast<float *>(raw);
    for (int i = static_cast<int>(threadIdx.x); i <= last; i += static_cast<int>(blockDim.x))
        held[i] = 1;
    __syncthreads();
    y[place()] = held[0];
}

__global__ void diverge(float *y, int how)
{
    int lane = static_cast<int>(threadIdx.x % 32);
    float v = static_cast<float>(lane);
    if (how == DIVERGE_BARRIER && lane < 16)
        __syncthreads();
    else
        __syncthreads();
    if (how == DIVERGE_SHUFFLE && lane < 16)
        v = __shfl_xor_sync(ALL, v, 1);
    if (how == DIVERGE_MASK)
        v = __shfl_xor_sync(lane < 16 ? ALL : ALL - 1, v, 1);
    if (how == DIVERGE_OUTSIDE)
        v = __shfl_xor_sync(0xFFFFu, v, 1);
    if (how == DIVERGE_MIXED && lane < 16)
        v = __shfl_xor_sync(ALL, v, 1);
    __syncthreads();
    y[place()] = v;
}

} // namespace

void run_reverse(float *y, const float *x, bool with_barrier, cudaStream_t s)
{
    LAUNCH(reverse, FAULT_BLOCKS, FAULT_THREADS, FAULT_THREADS * sizeof(float), s, y, x, with_barrier);
}
void run_reverse_static(float *y, const float *x, bool with_barrier, cudaStream_t s)
{
    LAUNCH(reverse_static, FAULT_BLOCKS, FAULT_THREADS, 0, s, y, x, with_barrier);
}
void run_fetch(float *y, const float *x, bool with_wait, cudaStream_t s)
{
    LAUNCH(fetch, FAULT_BLOCKS, FAULT_THREADS, 0, s, y, x, with_wait);
}
void run_shift(float *y, const float *x, int shift, cudaStream_t s)
{
    LAUNCH(shift_by, FAULT_BLOCKS, FAULT_THREADS, 0, s, y, x, shift);
}
void run_scale(float *x, cudaStream_t s)
{
    LAUNCH(scale, FAULT_BLOCKS, FAULT_THREADS, 0, s, x);
}
void run_times(float *y, const float *x, float factor, cudaStream_t s)
{
    LAUNCH(times, FAULT_BLOCKS, FAULT_THREADS, 0, s, y, x, factor);
}
void run_times_of(float *y, const float *x, const float *factor, cudaStream_t s)
{
    LAUNCH(times_of, FAULT_BLOCKS, FAULT_THREADS, 0, s, y, x, factor);
}
void run_fill_shared(float *y, int bytes, int last, cudaStream_t s)
{
    LAUNCH(fill_shared, FAULT_BLOCKS, FAULT_THREADS, bytes, s, y, last);
}
void run_diverge(float *y, int how, cudaStream_t s)
{
    LAUNCH(diverge, FAULT_BLOCKS, FAULT_THREADS, 0, s, y, how);
}
void run_shape(float *y, int blocks, int threads, int shared_bytes, cudaStream_t s)
{
    LAUNCH(scale, blocks, threads, shared_bytes, s, y);
}
