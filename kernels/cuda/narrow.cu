/* f32 rows into the compute dtype: a block a row, read once or, where the row's scale must be found first, twice (the
 * second time from L1 or L2). Columns that pad are zero. Bound by bandwidth: 5 to 6 bytes a number. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

#include <cuda_fp8.h>

namespace
{

template <class T> __global__ void __launch_bounds__(BLOCK) plain_rows(T *copy, const float *x, int cols, int padded)
{
    size_t row = blockIdx.x;
    for (int i = threadIdx.x; i < padded; i += BLOCK)
        copy[row * padded + i] = value<T>::narrow(i < cols ? x[row * cols + i] : 0.0f);
}

/* Symmetric, by the row's largest value. */
struct to_int8 {
    using type = int8_t;
    static constexpr float LARGEST = 127.0f;
    static __device__ type narrow(float x)
    {
        return static_cast<int8_t>(__float2int_rn(x));
    }
};
struct to_e4m3 {
    using type = __nv_fp8_storage_t;
    static constexpr float LARGEST = 448.0f;
    static __device__ type narrow(float x)
    {
        return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
    }
};

/* A row of zeros has scale 0; one with a NaN gets it as its scale, which marks all that is made of it. */
template <class N>
__global__ void __launch_bounds__(BLOCK)
    scaled_rows(typename N::type *copy, float *scales, const float *x, int cols, int padded)
{
    size_t row = blockIdx.x;
    float top = 0;
    bool odd = false;
    for (int i = threadIdx.x; i < cols; i += BLOCK) {
        float v = x[row * cols + i];
        top = fmaxf(top, fabsf(v));
        odd = odd || v != v;
    }
    top = block_reduce<BLOCK>(top, 0.0f, larger());
    odd = __syncthreads_or(odd) != 0;
    float factor = top > 0 && !odd ? N::LARGEST / top : 0.0f;
    for (int i = threadIdx.x; i < padded; i += BLOCK)
        copy[row * padded + i] = N::narrow(i < cols && factor > 0 ? x[row * cols + i] * factor : 0.0f);
    if (threadIdx.x == 0)
        scales[row] = odd ? NAN : top / N::LARGEST;
}

} // namespace

void cuda_narrow(cudaStream_t s, enum dtype d, void *copy, float *scales, const float *x, int rows, int cols,
                 int padded)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        LAUNCH((plain_rows<__half>), rows, BLOCK, 0, s, static_cast<__half *>(copy), x, cols, padded);
    else if (d == DTYPE_BF16)
        LAUNCH((plain_rows<__nv_bfloat16>), rows, BLOCK, 0, s, static_cast<__nv_bfloat16 *>(copy), x, cols, padded);
    else if (d == DTYPE_INT8)
        LAUNCH((scaled_rows<to_int8>), rows, BLOCK, 0, s, static_cast<int8_t *>(copy), scales, x, cols, padded);
    else if (d == DTYPE_FP8)
        LAUNCH((scaled_rows<to_e4m3>), rows, BLOCK, 0, s, static_cast<__nv_fp8_storage_t *>(copy), scales, x, cols,
               padded);
}
