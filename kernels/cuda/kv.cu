/* RoPE and what is written to the KV cache. A warp a row and head: 12 bytes of traffic a number of q, k and v and the
 * write of K and V. Angles are rounded to f32 first and turned by the exact functions, as the reference does. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

enum { WARPS = 4 };

template <class T>
__global__ void rope_append(float *qkv, kv_cache cache, int layer, const int32_t *position, const int32_t *kv_page,
                            const int32_t *kv_at, const float *inv_freq, const step_counts *counts)
{
    int work = blockIdx.x * WARPS + threadIdx.y, row = work / cache.heads, head = work % cache.heads;
    if (row >= counts->rows)
        return;
    int D = cache.head_dim, C = cache.heads * D, half = D / 2;
    float *q = qkv + static_cast<size_t>(row) * 3 * C + head * D, *k = q + C, *v = k + C;
    T *keys = static_cast<T *>(cache.pages) + kv_place(cache, kv_page[row], layer, head) + kv_at[row] * D;
    T *values = keys + KV_PAGE * D;
    for (int i = threadIdx.x; i < half; i += 32) {
        float angle = __fmul_rn(static_cast<float>(position[row]), inv_freq[i]), c = cosf(angle), s = sinf(angle);
        float qa = q[i], qb = q[half + i], ka = k[i], kb = k[half + i];
        q[i] = qa * c - qb * s;
        q[half + i] = qb * c + qa * s;
        k[i] = ka * c - kb * s;
        k[half + i] = kb * c + ka * s;
        keys[i] = value<T>::narrow(k[i]);
        keys[half + i] = value<T>::narrow(k[half + i]);
    }
    for (int i = threadIdx.x; i < D; i += 32)
        values[i] = value<T>::narrow(v[i]);
}

} // namespace

void cuda_rope_append(cudaStream_t s, enum dtype d, float *qkv, const kv_cache &cache, int layer,
                      const int32_t *position, const int32_t *kv_page, const int32_t *kv_at, const float *inv_freq,
                      int rows, const step_counts *counts)
{
    if (rows == 0)
        return;
    dim3 grid((rows * cache.heads + WARPS - 1) / WARPS), block(32, WARPS);
    if (d == DTYPE_F16)
        LAUNCH((rope_append<__half>), grid, block, 0, s, qkv, cache, layer, position, kv_page, kv_at, inv_freq, counts);
    else if (d == DTYPE_F32)
        LAUNCH((rope_append<float>), grid, block, 0, s, qkv, cache, layer, position, kv_page, kv_at, inv_freq, counts);
    else
        LAUNCH((rope_append<__nv_bfloat16>), grid, block, 0, s, qkv, cache, layer, position, kv_page, kv_at, inv_freq,
               counts);
}
