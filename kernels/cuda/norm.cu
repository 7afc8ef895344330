/* RMSNorm and LayerNorm: a block a row, read from memory twice or three times (from L2 after the first) and written
 * once, with its copy. Bound by bandwidth: 4 to 6 bytes of traffic a number. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

template <class T>
__global__ void __launch_bounds__(BLOCK)
    rms_rows(float *out, T *copy, const float *x, const float *weight, int cols, float eps)
{
    size_t row = static_cast<size_t>(blockIdx.x) * cols;
    float sum = 0;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        sum += x[row + i] * x[row + i];
    float factor = 1.0f / sqrtf(block_reduce<BLOCK>(sum, 0.0f, add()) / cols + eps);
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        put(out, copy, row + i, rounded<T>(x[row + i] * factor) * weight[i]);
}

template <class T>
__global__ void __launch_bounds__(BLOCK)
    layer_rows(float *out, T *copy, const float *x, const float *weight, const float *bias, int cols, float eps)
{
    size_t row = static_cast<size_t>(blockIdx.x) * cols;
    float sum = 0, squares = 0;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        sum += x[row + i];
    float mean = block_reduce<BLOCK>(sum, 0.0f, add()) / cols;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        squares += (x[row + i] - mean) * (x[row + i] - mean);
    float factor = 1.0f / sqrtf(block_reduce<BLOCK>(squares, 0.0f, add()) / cols + eps);
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        put(out, copy, row + i, (x[row + i] - mean) * factor * weight[i] + bias[i]);
}

template <class T>
void norm(cudaStream_t s, float *out, void *copy, const float *x, int rows, int cols, enum norm_kind kind,
          const float *weight, const float *bias, float eps)
{
    if (kind == NORM_RMS)
        LAUNCH((rms_rows<T>), rows, BLOCK, 0, s, out, static_cast<T *>(copy), x, weight, cols, eps);
    else
        LAUNCH((layer_rows<T>), rows, BLOCK, 0, s, out, static_cast<T *>(copy), x, weight, bias, cols, eps);
}

} // namespace

void cuda_norm(cudaStream_t s, enum dtype d, float *out, void *copy, const float *x, int rows, int cols,
               enum norm_kind kind, const float *weight, const float *bias, float eps)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        norm<__half>(s, out, copy, x, rows, cols, kind, weight, bias, eps);
    else if (d == DTYPE_BF16)
        norm<__nv_bfloat16>(s, out, copy, x, rows, cols, kind, weight, bias, eps);
    else
        norm<float>(s, out, copy, x, rows, cols, kind, weight, bias, eps);
}
