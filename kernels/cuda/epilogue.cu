/* What stands behind a product: bias, activation, residual, and the copy for the next product. A block a row. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

__device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

template <class T, enum epilogue E>
__global__ void epilogue_rows(float *out, T *copy, int out_cols, int out_col, const float *product, int N,
                              const float *bias)
{
    for (int i = threadIdx.x; i < N; i += BLOCK) {
        float y = product[static_cast<size_t>(blockIdx.x) * N + i] + (bias ? bias[i] : 0.0f);
        size_t at = static_cast<size_t>(blockIdx.x) * out_cols + out_col + i;
        if (E == EPI_QUICK_GELU)
            put(out, copy, at, y * sigmoid(1.702f * y));
        else
            out[at] = E == EPI_ADD ? out[at] + y : y;
    }
}

template <class T> __global__ void glu_rows(float *out, T *copy, const float *product, int F)
{
    const float *gate = product + static_cast<size_t>(blockIdx.x) * 2 * F, *up = gate + F;
    for (int i = threadIdx.x; i < F; i += BLOCK)
        put(out, copy, static_cast<size_t>(blockIdx.x) * F + i, gate[i] * sigmoid(gate[i]) * up[i]);
}

template <class T>
void epilogue_of(cudaStream_t s, float *out, void *copy, int out_cols, int out_col, const float *product, int rows,
                 int N, const float *bias, enum epilogue epilogue)
{
    T *c = static_cast<T *>(copy);
    if (epilogue == EPI_QUICK_GELU)
        LAUNCH((epilogue_rows<T, EPI_QUICK_GELU>), rows, BLOCK, 0, s, out, c, out_cols, out_col, product, N, bias);
    else if (epilogue == EPI_ADD)
        LAUNCH((epilogue_rows<T, EPI_ADD>), rows, BLOCK, 0, s, out, c, out_cols, out_col, product, N, bias);
    else
        LAUNCH((epilogue_rows<T, EPI_NONE>), rows, BLOCK, 0, s, out, c, out_cols, out_col, product, N, bias);
}

} // namespace

void cuda_epilogue(cudaStream_t s, enum dtype d, float *out, void *copy, int out_cols, int out_col,
                   const float *product, int rows, int N, const float *bias, enum epilogue epilogue)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        epilogue_of<__half>(s, out, copy, out_cols, out_col, product, rows, N, bias, epilogue);
    else if (d == DTYPE_BF16)
        epilogue_of<__nv_bfloat16>(s, out, copy, out_cols, out_col, product, rows, N, bias, epilogue);
    else
        epilogue_of<float>(s, out, copy, out_cols, out_col, product, rows, N, bias, epilogue);
}

void cuda_glu(cudaStream_t s, enum dtype d, float *out, void *copy, const float *product, int rows, int F)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        LAUNCH((glu_rows<__half>), rows, BLOCK, 0, s, out, static_cast<__half *>(copy), product, F);
    else if (d == DTYPE_BF16)
        LAUNCH((glu_rows<__nv_bfloat16>), rows, BLOCK, 0, s, out, static_cast<__nv_bfloat16 *>(copy), product, F);
    else
        LAUNCH((glu_rows<float>), rows, BLOCK, 0, s, out, static_cast<float *>(copy), product, F);
}
