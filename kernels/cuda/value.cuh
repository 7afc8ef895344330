/* What kernels share: number types and sums whose order depends on the block's size alone (the row rule). */
#ifndef KERNELS_CUDA_VALUE_CUH
#define KERNELS_CUDA_VALUE_CUH

#include "kernels/cuda/device.cuh"

enum : unsigned { ALL_LANES = 0xFFFFFFFFu };
enum { BLOCK = 256 /* threads of a kernel that owns a row */ };

/* A number of the compute dtype: float stands for f32, which needs no copy of its own. */
template <class T> struct value;
template <> struct value<float> {
    static constexpr bool COPIED = false;
    static __device__ float narrow(float x)
    {
        return x;
    }
    static __device__ float widen(float x)
    {
        return x;
    }
};
template <> struct value<__half> {
    static constexpr bool COPIED = true;
    static __device__ __half narrow(float x)
    {
        return __float2half_rn(x);
    }
    static __device__ float widen(__half x)
    {
        return __half2float(x);
    }
};
template <> struct value<__nv_bfloat16> {
    static constexpr bool COPIED = true;
    static __device__ __nv_bfloat16 narrow(float x)
    {
        return __float2bfloat16_rn(x);
    }
    static __device__ float widen(__nv_bfloat16 x)
    {
        return __bfloat162float(x);
    }
};

template <class T> __device__ __forceinline__ float rounded(float x)
{
    return value<T>::widen(value<T>::narrow(x));
}

/* Writes a result and, where the compute dtype is narrower, its copy. */
template <class T> __device__ __forceinline__ void put(float *out, T *copy, size_t at, float x)
{
    out[at] = x;
    if (value<T>::COPIED && copy)
        copy[at] = value<T>::narrow(x);
}

/* kernels/random.h for the device: the same number for (seed, counter), which the tests compare. */
__device__ __forceinline__ float uniform(uint64_t seed, uint64_t counter)
{
    uint64_t x = seed + (counter + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return static_cast<float>((x ^ (x >> 31)) >> 40) * (1.0f / 16777216.0f);
}

struct add {
    template <class V> __device__ V operator()(V a, V b) const
    {
        return a + b;
    }
};
struct larger {
    template <class V> __device__ V operator()(V a, V b) const
    {
        return a > b ? a : b;
    }
};

/* Every thread of a block of THREADS gets fn over all of them; neutral is fn's. */
template <int THREADS, class V, class F> static __device__ V block_reduce(V x, V neutral, F fn)
{
    __shared__ V parts[THREADS / 32];
    for (int o = 16; o; o >>= 1)
        x = fn(x, __shfl_xor_sync(ALL_LANES, x, o));
    __syncthreads(); /* the last reduction's parts have been read */
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = neutral;
    for (int w = 0; w < THREADS / 32; w++)
        x = fn(x, parts[w]);
    return x;
}

#endif
