/* Attention over the cache and inside images. What is here is its plain form, for f32 and for head dimensions that the
 * tiles of attention_tile.cu don't take: a block a row and head, a thread a key of a block of ATTN_BLOCK positions
 * counted from the segment's start, partial sums merged in ascending order (design 5). What is visible is all that a
 * row's bits depend on. Keys are read once a row. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

/* A row's running maximum, sum and, in the threads, its outputs d = thread, thread + ATTN_BLOCK. */
enum { OUTPUTS = MAX_HEAD_DIM / ATTN_BLOCK };
struct running {
    float max, sum, out[OUTPUTS];
};

struct block_memory {
    float q[MAX_HEAD_DIM], weight[ATTN_BLOCK];
};

/* Merges one block of keys. Key i stands at keys[i] and its value at values[i], or NULL in threads that see none. */
template <class T>
__device__ void attend_block(running &r, block_memory &m, const T *key, const T *const *values, int visible, int D)
{
    float score = -INFINITY;
    if (key) {
        score = 0;
        for (int d = 0; d < D; d++)
            score += m.q[d] * value<T>::widen(key[d]);
    }
    float max = block_reduce<ATTN_BLOCK>(score, -INFINITY, larger());
    float weight = key ? expf(score - max) : 0.0f, sum = block_reduce<ATTN_BLOCK>(weight, 0.0f, add());
    m.weight[threadIdx.x] = weight;
    __syncthreads();
    float top = max > r.max ? max : r.max, old = r.max == -INFINITY ? 0.0f : expf(r.max - top), fresh = expf(max - top);
    r.max = top;
    r.sum = r.sum * old + sum * fresh;
    for (int o = 0; o < OUTPUTS; o++) {
        int d = threadIdx.x + o * ATTN_BLOCK;
        float out = 0;
        for (int j = 0; j < visible && d < D; j++)
            out += m.weight[j] * value<T>::widen(values[j][d]);
        r.out[o] = r.out[o] * old + out * fresh;
    }
    __syncthreads(); /* weights and the addresses of values have been read */
}

__device__ void start_row(running &r, block_memory &m, const float *q, int D)
{
    r = {-INFINITY, 0, {}};
    float scale = 1.0f / sqrtf(static_cast<float>(D));
    for (int d = threadIdx.x; d < D; d += ATTN_BLOCK)
        m.q[d] = q[d] * scale;
    __syncthreads();
}

template <class T> __device__ void end_row(const running &r, float *out, T *copy, size_t at, int D)
{
    for (int o = 0; o < OUTPUTS; o++) {
        int d = threadIdx.x + o * ATTN_BLOCK;
        if (d < D)
            put(out, copy, at + d, r.sum > 0 || r.sum != r.sum ? r.out[o] / r.sum : 0.0f);
    }
}

/* T: of the cache and of the copy. row_span [MAX_SEGMENTS][rows]: the span that a row is in, or -1. */
template <class T>
__global__ void __launch_bounds__(ATTN_BLOCK) cached(attention_args a, kv_cache cache, int layer, float *out, T *copy)
{
    __shared__ block_memory m;
    __shared__ const T *values[ATTN_BLOCK];
    int row = blockIdx.x, head = blockIdx.y, D = cache.head_dim, C = cache.heads * D;
    if (row >= a.counts->rows)
        return;
    int position = a.position[row];
    running r;
    start_row(r, m, a.qkv + static_cast<size_t>(row) * 3 * C + head * D, D);
    for (int pass = 0; pass < a.n_passes; pass++) {
        int at_span = a.row_span[pass * a.rows + row];
        if (at_span < 0)
            continue;
        span s = a.spans[at_span];
        int seen = position - s.base + 1 < s.length ? position - s.base + 1 : s.length;
        for (int at = 0; at < seen; at += ATTN_BLOCK) {
            int visible = seen - at < ATTN_BLOCK ? seen - at : ATTN_BLOCK, key = at + threadIdx.x;
            const T *mine = nullptr;
            if (key < seen) {
                mine = static_cast<const T *>(cache.pages) +
                       kv_place(cache, a.pages[s.page0 + key / KV_PAGE], layer, head) + key % KV_PAGE * D;
                values[threadIdx.x] = mine + KV_PAGE * D;
            }
            attend_block(r, m, mine, values, visible, D);
        }
    }
    end_row(r, out, copy, static_cast<size_t>(row) * C + head * D, D);
}

template <class T>
__global__ void __launch_bounds__(ATTN_BLOCK) full(const float *qkv, float *out, T *copy, int length, int heads, int D)
{
    __shared__ block_memory m;
    __shared__ const float *values[ATTN_BLOCK];
    size_t row = blockIdx.x, first = row / length * length;
    int head = blockIdx.y, C = heads * D;
    running r;
    start_row(r, m, qkv + row * 3 * C + head * D, D);
    for (int at = 0; at < length; at += ATTN_BLOCK) {
        int visible = length - at < ATTN_BLOCK ? length - at : ATTN_BLOCK;
        const float *mine = nullptr;
        if (static_cast<int>(threadIdx.x) < visible) {
            mine = qkv + (first + at + threadIdx.x) * 3 * C + C + head * D;
            values[threadIdx.x] = mine + C;
        }
        attend_block(r, m, mine, values, visible, D);
    }
    end_row(r, out, copy, row * C + head * D, D);
}

} // namespace

void cuda_attention(cudaStream_t s, enum dtype d, float *out, void *copy, const attention_args &a,
                    const kv_cache &cache, int layer)
{
    dim3 grid(a.rows, cache.heads);
    if (a.rows == 0)
        return;
    if (cuda_attention_tiled(d, cache.head_dim, true))
        cuda_attention_tiles(s, d, out, copy, a, cache, layer);
    else if (d == DTYPE_F16)
        LAUNCH((cached<__half>), grid, ATTN_BLOCK, 0, s, a, cache, layer, out, static_cast<__half *>(copy));
    else if (d == DTYPE_F32)
        LAUNCH((cached<float>), grid, ATTN_BLOCK, 0, s, a, cache, layer, out, static_cast<float *>(copy));
    else
        LAUNCH((cached<__nv_bfloat16>), grid, ATTN_BLOCK, 0, s, a, cache, layer, out,
               static_cast<__nv_bfloat16 *>(copy));
}

void cuda_attention_full(cudaStream_t s, enum dtype d, float *out, void *copy, const float *qkv, int images, int length,
                         int heads, int head_dim)
{
    dim3 grid(images * length, heads);
    if (images == 0)
        return;
    if (cuda_attention_tiled(d, head_dim, false))
        cuda_attention_full_tiles(s, d, out, copy, qkv, images, length, heads, head_dim);
    else if (d == DTYPE_F16)
        LAUNCH((full<__half>), grid, ATTN_BLOCK, 0, s, qkv, out, static_cast<__half *>(copy), length, heads, head_dim);
    else if (d == DTYPE_F32)
        LAUNCH((full<float>), grid, ATTN_BLOCK, 0, s, qkv, out, static_cast<float *>(copy), length, heads, head_dim);
    else
        LAUNCH((full<__nv_bfloat16>), grid, ATTN_BLOCK, 0, s, qkv, out, static_cast<__nv_bfloat16 *>(copy), length,
               heads, head_dim);
}
