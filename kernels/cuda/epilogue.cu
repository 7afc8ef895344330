/* What stands behind a product: bias, activation, residual, and the copy for the next product. A block a row. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

__device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

__device__ __forceinline__ float number(const product &p, size_t row, int col)
{
    size_t at = row * p.stride + col;
    float y = p.integers ? static_cast<float>(static_cast<const int *>(p.y)[at]) : static_cast<const float *>(p.y)[at];
    return p.row_scale ? y * (p.row_scale[row] * p.column_scale[col]) : y;
}

template <class T, enum epilogue E>
__global__ void epilogue_rows(float *out, T *copy, int out_cols, int out_col, product p, int N, const float *bias)
{
    for (int i = threadIdx.x; i < N; i += BLOCK) {
        float y = number(p, blockIdx.x, i) + (bias ? bias[i] : 0.0f);
        size_t at = static_cast<size_t>(blockIdx.x) * out_cols + out_col + i;
        if (E == EPI_QUICK_GELU)
            put(out, copy, at, y * sigmoid(1.702f * y));
        else
            out[at] = E == EPI_ADD ? out[at] + y : y;
    }
}

template <class T> __global__ void glu_rows(float *out, T *copy, product p, int F)
{
    for (int i = threadIdx.x; i < F; i += BLOCK) {
        float gate = number(p, blockIdx.x, i), up = number(p, blockIdx.x, F + i);
        put(out, copy, static_cast<size_t>(blockIdx.x) * F + i, gate * sigmoid(gate) * up);
    }
}

template <class T>
void epilogue_of(cudaStream_t s, float *out, void *copy, int out_cols, int out_col, const product &y, int rows, int N,
                 const float *bias, enum epilogue epilogue)
{
    T *c = static_cast<T *>(copy);
    if (epilogue == EPI_QUICK_GELU)
        LAUNCH((epilogue_rows<T, EPI_QUICK_GELU>), rows, BLOCK, 0, s, out, c, out_cols, out_col, y, N, bias);
    else if (epilogue == EPI_ADD)
        LAUNCH((epilogue_rows<T, EPI_ADD>), rows, BLOCK, 0, s, out, c, out_cols, out_col, y, N, bias);
    else
        LAUNCH((epilogue_rows<T, EPI_NONE>), rows, BLOCK, 0, s, out, c, out_cols, out_col, y, N, bias);
}

} // namespace

void cuda_epilogue(cudaStream_t s, enum dtype d, float *out, void *copy, int out_cols, int out_col, const product &y,
                   int rows, int N, const float *bias, enum epilogue epilogue)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        epilogue_of<__half>(s, out, copy, out_cols, out_col, y, rows, N, bias, epilogue);
    else if (d == DTYPE_BF16)
        epilogue_of<__nv_bfloat16>(s, out, copy, out_cols, out_col, y, rows, N, bias, epilogue);
    else
        epilogue_of<float>(s, out, copy, out_cols, out_col, y, rows, N, bias, epilogue);
}

void cuda_glu(cudaStream_t s, enum dtype d, float *out, void *copy, const product &y, int rows, int F)
{
    if (rows == 0)
        return;
    if (d == DTYPE_F16)
        LAUNCH((glu_rows<__half>), rows, BLOCK, 0, s, out, static_cast<__half *>(copy), y, F);
    else if (d == DTYPE_BF16)
        LAUNCH((glu_rows<__nv_bfloat16>), rows, BLOCK, 0, s, out, static_cast<__nv_bfloat16 *>(copy), y, F);
    else
        LAUNCH((glu_rows<float>), rows, BLOCK, 0, s, out, static_cast<float *>(copy), y, F);
}
