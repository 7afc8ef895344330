/* Attention on the tensor cores: a block of threads takes up to 32 rows that read the same keys - the stacked queries
 * of an image's tasks, or a chunk of a prompt - for one head, and goes through their keys in blocks of ATTN_BLOCK
 * positions from the segment's start. Passes over segments follow each other as launches and hand a row's running
 * maximum, sum and unscaled output on: blocks merge in ascending order, pass after pass (design 5).
 *
 * A block of keys: a warp makes the scores of 32 of its keys, the warps agree on each row's maximum, and then each
 * makes 16 of every 64 outputs over all keys. The next keys come through cp.async while values are multiplied, and the
 * next values while keys are. What f32 holds on one side of a product - queries, weights, and keys and values where
 * there is no cache - goes in as the sum of two numbers of 16 bits, so that nothing but the cache is rounded: two or
 * three products for one, which decoding (bound by memory) should not feel and prefill (a few percent of whose work
 * this is) little.
 *
 * D = 128: 94 KiB of shared memory, so one block an SM of sm_80, 86 and 89, two of sm_90; 64 KiB of keys and values
 * under way keep an SM's share of 3.35 TB/s busy. A key's 512 bytes serve up to 32 rows: 2 x 32 x 128 x 2 sums for 512
 * bytes.
 *
 * Bits of a row: its scores and outputs are sums in an order of their own, whatever other rows stand in the tile. Keys
 * that a row does not see weigh exactly 0; a key that is not finite reaches its whole tile, which shares its segment.
 */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

enum { WARPS = 4, THREADS = 32 * WARPS, GROUP = ATTN_BLOCK / WARPS /* keys of a warp */ };
enum { ROWS = 16 /* of a product */, TILES = ATTENTION_TILE / ROWS };
enum { PAD = 16 /* bytes: ldmatrix then meets no bank twice */, WEIGHT_STRIDE = ATTN_BLOCK * 2 + PAD };
enum { PAIRS = 2 /* times 16 outputs of a warp */, SCORES = GROUP / 8 };
enum { MOST_TILES = 64 /* at once of a pass and head: with 32 heads four times what an H100 holds */ };
/* The largest head dimensions: what 99 KiB of shared memory hold. */
enum { MOST_CACHED = 16 * PAIRS * WARPS, MOST_FULL = 64 };

template <class T> struct halves;
template <> struct halves<__half> {
    static __device__ __forceinline__ unsigned bits(__half x)
    {
        return __half_as_ushort(x);
    }
    static __device__ __forceinline__ void mma(float *c, const unsigned *a, const unsigned *b)
    {
        mma_f16(c, a, b);
    }
};
template <> struct halves<__nv_bfloat16> {
    static __device__ __forceinline__ unsigned bits(__nv_bfloat16 x)
    {
        return __bfloat16_as_ushort(x);
    }
    static __device__ __forceinline__ void mma(float *c, const unsigned *a, const unsigned *b)
    {
        mma_bf16(c, a, b);
    }
};

/* x and y side by side, and what their rounding left over. */
template <class T> __device__ __forceinline__ void split(float x, float y, unsigned *high, unsigned *low)
{
    T xh = value<T>::narrow(x), yh = value<T>::narrow(y);
    T xl = value<T>::narrow(x - value<T>::widen(xh)), yl = value<T>::narrow(y - value<T>::widen(yh));
    *high = halves<T>::bits(xh) | halves<T>::bits(yh) << 16;
    *low = halves<T>::bits(xl) | halves<T>::bits(yl) << 16;
}

/* Rows that read one segment, and where it stands. Keys and values come from the cache or, where there is none, from
 * the rows [first, first + length) of qkv. */
struct tile {
    int row, n, page0, base, length, first;
};

/* Where things stand in shared memory: high halves, then low ones where there are any. */
template <bool CACHED> struct places {
    int stride; /* bytes of a row of D numbers */
    __host__ __device__ explicit places(int D) : stride(D * 2 + PAD)
    {
    }
    __host__ __device__ int half() const
    {
        return ATTN_BLOCK * stride;
    }
    __host__ __device__ int values() const
    {
        return (CACHED ? 1 : 2) * half();
    }
    __host__ __device__ int queries() const
    {
        return 2 * values();
    }
    __host__ __device__ int query_half() const
    {
        return TILES * ROWS * stride;
    }
    __host__ __device__ int weights() const
    {
        return queries() + 2 * query_half();
    }
    __host__ __device__ int maxima() const
    {
        return weights() + 2 * ROWS * WEIGHT_STRIDE;
    }
    __host__ __device__ int sums() const
    {
        return maxima() + WARPS * ROWS * static_cast<int>(sizeof(float));
    }
    __host__ __device__ int bytes() const
    {
        return sums() + WARPS * ROWS * static_cast<int>(sizeof(float));
    }
};

/* One head's keys (part 0) or values (part 1) of the block that begins at `at`, zeros from `seen` on. */
template <class T>
__device__ void fetch_cached(unsigned char *to, int stride, const attention_args &a, const kv_cache &c, int layer,
                             const tile &t, int at, int seen, int part)
{
    int D = c.head_dim, pieces = D / 8;
    UNROLL(1)
    for (int i = threadIdx.x; i < ATTN_BLOCK * pieces; i += THREADS) {
        int key = i / pieces, piece = i % pieces, place = at + key;
        unsigned char *spot = to + key * stride + piece * 16;
        if (place < seen)
            cp_async16(spot, static_cast<const T *>(c.pages) +
                                 kv_place(c, a.pages[t.page0 + place / KV_PAGE], layer, blockIdx.y) +
                                 part * KV_PAGE * D + place % KV_PAGE * D + piece * 8);
        else
            *reinterpret_cast<uint4 *>(spot) = make_uint4(0, 0, 0, 0);
    }
    cp_async_commit();
}

/* n rows of f32, `row_stride` apart, times `scale`, as two halves; zeros behind the last of them up to `rows`. */
template <class T>
__device__ void fetch_split(unsigned char *to, int stride, int half, const float *from, size_t row_stride, int n,
                            int rows, int D, float scale)
{
    UNROLL(1)
    for (int i = threadIdx.x; i < rows * (D / 2); i += THREADS) {
        int row = i / (D / 2), d = i % (D / 2) * 2;
        unsigned high = 0, low = 0;
        if (row < n)
            split<T>(from[row * row_stride + d] * scale, from[row * row_stride + d + 1] * scale, &high, &low);
        *reinterpret_cast<unsigned *>(to + row * stride + d * 2) = high;
        *reinterpret_cast<unsigned *>(to + half + row * stride + d * 2) = low;
    }
}

/* A lane's rows are lane / 4 and that + 8: how many keys of the segment they see, and what they come to so far. */
struct running {
    int seen[2];
    float max[2], sum[2], out[PAIRS][2][4];
};

/* Scores of ROWS rows with this warp's GROUP keys. */
template <class T, bool CACHED>
__device__ void multiply_keys(float (*c)[4], const unsigned char *queries, int query_half, const unsigned char *keys,
                              int key_half, int stride, int D)
{
    int lane = threadIdx.x % 32;
    const unsigned char *a = queries + lane % 16 * stride + lane / 16 * 16;
    const unsigned char *b = keys + (threadIdx.x / 32 * GROUP + lane % 8 + lane / 16 * 8) * stride + lane / 8 % 2 * 16;
    UNROLL(1)
    for (int k = 0; k < D * 2; k += 32) {
        unsigned high[4], low[4], key[4];
        ldmatrix_x4(high, a + k);
        ldmatrix_x4(low, a + query_half + k);
        for (int j = 0; j < SCORES / 2; j++) {
            ldmatrix_x4(key, b + j * 16 * stride + k);
            for (int i = 0; i < 2; i++) {
                halves<T>::mma(c[2 * j + i], high, key + 2 * i);
                halves<T>::mma(c[2 * j + i], low, key + 2 * i);
            }
            if (CACHED)
                continue;
            ldmatrix_x4(key, b + key_half + j * 16 * stride + k);
            for (int i = 0; i < 2; i++)
                halves<T>::mma(c[2 * j + i], high, key + 2 * i);
        }
    }
}

/* This warp's outputs of ROWS rows: weights times values, over all keys in ascending order. */
template <class T, bool CACHED>
__device__ void multiply_values(float (*c)[2][4], const unsigned char *weights, const unsigned char *values,
                                int value_half, int stride, int D)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const unsigned char *a = weights + lane % 16 * WEIGHT_STRIDE + lane / 16 * 16;
    const unsigned char *b = values + (lane % 8 + lane / 8 % 2 * 8) * stride + lane / 16 * 16;
    UNROLL(1)
    for (int k = 0; k < ATTN_BLOCK; k += 16) {
        unsigned high[4], low[4], v[4];
        ldmatrix_x4(high, a + k * 2);
        ldmatrix_x4(low, a + ROWS * WEIGHT_STRIDE + k * 2);
        for (int p = 0; p < PAIRS; p++) {
            int d = (p * WARPS + warp) * 16;
            if (d >= D)
                break;
            ldmatrix_x4_trans(v, b + k * stride + d * 2);
            for (int i = 0; i < 2; i++) {
                halves<T>::mma(c[p][i], high, v + 2 * i);
                halves<T>::mma(c[p][i], low, v + 2 * i);
            }
            if (CACHED)
                continue;
            ldmatrix_x4_trans(v, b + value_half + k * stride + d * 2);
            for (int i = 0; i < 2; i++)
                halves<T>::mma(c[p][i], high, v + 2 * i);
        }
    }
}

__device__ __forceinline__ float quad_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 2));
}
__device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(ALL_LANES, x, 1);
    return x + __shfl_xor_sync(ALL_LANES, x, 2);
}

/* Scores become weights in shared memory, as two halves; each row's largest score and its weights' sum over the block
 * come back. visible: keys of the block that the lane's rows see. Two barriers inside. */
template <class T>
__device__ void weigh(float (*c)[4], const int *visible, unsigned char *weights, float *maxima, float *sums, float *max,
                      float *sum)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = warp * GROUP + lane % 4 * 2;
    for (int r = 0; r < 2; r++) {
        float top = -INFINITY;
        for (int j = 0; j < SCORES; j++)
            for (int e = 0; e < 2; e++)
                if (first + j * 8 + e < visible[r])
                    top = fmaxf(top, c[j][2 * r + e]);
        top = quad_max(top);
        if (lane % 4 == 0)
            maxima[warp * ROWS + r * 8 + lane / 4] = top;
    }
    __syncthreads();
    for (int r = 0; r < 2; r++) {
        int row = r * 8 + lane / 4;
        float top = maxima[row], own = 0;
        for (int w = 1; w < WARPS; w++)
            top = fmaxf(top, maxima[w * ROWS + row]);
        for (int j = 0; j < SCORES; j++) {
            float x = c[j][2 * r], y = c[j][2 * r + 1];
            int key = first + j * 8;
            x = key < visible[r] ? expf(x - top) : 0.0f;
            y = key + 1 < visible[r] ? expf(y - top) : 0.0f;
            own += x + y;
            unsigned high, low;
            split<T>(x, y, &high, &low);
            *reinterpret_cast<unsigned *>(weights + row * WEIGHT_STRIDE + key * 2) = high;
            *reinterpret_cast<unsigned *>(weights + (ROWS + row) * WEIGHT_STRIDE + key * 2) = low;
        }
        own = quad_sum(own);
        if (lane % 4 == 0)
            sums[warp * ROWS + row] = own;
        max[r] = top;
    }
    __syncthreads();
    for (int r = 0; r < 2; r++) {
        int row = r * 8 + lane / 4;
        sum[r] = sums[row];
        for (int w = 1; w < WARPS; w++)
            sum[r] += sums[w * ROWS + row];
    }
}

/* A block that a row sees nothing of changes no bit of it. */
__device__ void merge(running &r, const float *max, const float *sum, float (*fresh)[2][4])
{
    for (int i = 0; i < 2; i++) {
        float top = max[i] > r.max[i] ? max[i] : r.max[i];
        float old = r.max[i] == -INFINITY ? 0.0f : expf(r.max[i] - top);
        float now = max[i] == -INFINITY ? 0.0f : expf(max[i] - top);
        r.max[i] = top;
        r.sum[i] = r.sum[i] * old + sum[i] * now;
        for (int p = 0; p < PAIRS; p++)
            for (int j = 0; j < 2; j++)
                for (int e = 2 * i; e < 2 * i + 2; e++)
                    r.out[p][j][e] = r.out[p][j][e] * old + fresh[p][j][e] * now;
    }
}

/* Whether a row is in a span of a pass in [from, to). */
__device__ bool in_passes(const attention_args &a, int row, int from, int to)
{
    bool in = false;
    UNROLL(1)
    for (int pass = from; pass < to; pass++)
        in = in || a.row_span[pass * a.rows + row] >= 0;
    return in;
}

/* A lane's output: pair p of 16 columns of this warp, tile j of 8, e of 2. */
__device__ __forceinline__ int column(int p, int j, int e)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    return (p * WARPS + warp) * 16 + j * 8 + lane % 4 * 2 + e;
}

/* How many of the segment's keys a row of the tile sees; 0 behind its last. */
template <bool CACHED> __device__ int seen_by(const attention_args &a, const tile &t, int in_tile)
{
    if (in_tile >= t.n)
        return 0;
    int before = CACHED ? a.position[t.row + in_tile] - t.base + 1 : t.length;
    return before < 0 ? 0 : before < t.length ? before : t.length;
}

/* a.state [rows][heads][2]: maximum and sum so far; out holds the unscaled outputs between passes. */
template <bool CACHED>
__device__ void take_up(running &r, const attention_args &a, const tile &t, int first_row, int pass, const float *out,
                        int heads, int D)
{
    for (int i = 0; i < 2; i++) {
        int in_tile = first_row + i * 8 + threadIdx.x % 32 / 4, row = t.row + in_tile;
        bool begun = in_tile < t.n && in_passes(a, row, 0, pass);
        size_t head = static_cast<size_t>(row) * heads + blockIdx.y;
        r.seen[i] = seen_by<CACHED>(a, t, in_tile);
        r.max[i] = begun ? a.state[2 * head] : -INFINITY;
        r.sum[i] = begun ? a.state[2 * head + 1] : 0.0f;
        for (int p = 0; p < PAIRS; p++)
            for (int j = 0; j < 2; j++)
                for (int e = 0; e < 2; e++) {
                    int d = column(p, j, e);
                    r.out[p][j][2 * i + e] = begun && d < D ? out[head * D + d] : 0.0f;
                }
    }
}

template <class T>
__device__ void put_down(const running &r, const attention_args &a, const tile &t, int first_row, int pass, float *out,
                         T *copy, int heads, int D)
{
    for (int i = 0; i < 2; i++) {
        int in_tile = first_row + i * 8 + threadIdx.x % 32 / 4, row = t.row + in_tile;
        if (in_tile >= t.n)
            continue;
        bool last = !in_passes(a, row, pass + 1, a.n_passes), any = r.sum[i] > 0 || r.sum[i] != r.sum[i];
        size_t head = static_cast<size_t>(row) * heads + blockIdx.y;
        if (!last && threadIdx.x < 32 && threadIdx.x % 4 == 0) {
            a.state[2 * head] = r.max[i];
            a.state[2 * head + 1] = r.sum[i];
        }
        for (int p = 0; p < PAIRS; p++)
            for (int j = 0; j < 2; j++)
                for (int e = 0; e < 2; e++) {
                    int d = column(p, j, e);
                    float x = r.out[p][j][2 * i + e];
                    if (d < D && last)
                        put(out, copy, head * D + d, any ? x / r.sum[i] : 0.0f);
                    else if (d < D)
                        out[head * D + d] = x;
                }
    }
}

template <class T, bool CACHED>
__device__ void fetch_part(unsigned char *to, int stride, const attention_args &a, const kv_cache &c, int layer,
                           const tile &t, int at, int seen, int part)
{
    int C = c.heads * c.head_dim, n = seen - at < ATTN_BLOCK ? seen - at : ATTN_BLOCK;
    if (CACHED)
        fetch_cached<T>(to, stride, a, c, layer, t, at, seen, part);
    else
        fetch_split<T>(to, stride, ATTN_BLOCK * stride,
                       a.qkv + static_cast<size_t>(t.first + at) * 3 * C + (1 + part) * C + blockIdx.y * c.head_dim,
                       static_cast<size_t>(3) * C, n, ATTN_BLOCK, c.head_dim, 1.0f);
}

/* Rows m * ROWS.. of the tile and the block of keys at `key`, which are in shared memory; their values may be on the
 * way. The tile's last rows send for the next keys. */
template <class T, bool CACHED>
__device__ __forceinline__ void attend_block(running &r, const attention_args &a, const kv_cache &c, int layer,
                                             const tile &t, int m, int key, int most)
{
    DYNAMIC_SHARED(memory);
    int D = c.head_dim;
    places<CACHED> at(D);
    auto *maxima = reinterpret_cast<float *>(memory + at.maxima()),
         *sums = reinterpret_cast<float *>(memory + at.sums());
    float scores[SCORES][4] = {}, fresh[PAIRS][2][4] = {}, top[2], sum[2];
    int visible[2] = {r.seen[0] - key, r.seen[1] - key};
    multiply_keys<T, CACHED>(scores, memory + at.queries() + m * ROWS * at.stride, at.query_half(), memory, at.half(),
                             at.stride, D);
    cp_async_wait<0>(); /* for the values, before the barriers that follow */
    weigh<T>(scores, visible, memory + at.weights(), maxima, sums, top, sum);
    if ((m + 1) * ROWS >= t.n && key + ATTN_BLOCK < most)
        fetch_part<T, CACHED>(memory, at.stride, a, c, layer, t, key + ATTN_BLOCK, most, 0);
    multiply_values<T, CACHED>(fresh, memory + at.weights(), memory + at.values(), at.half(), at.stride, D);
    merge(r, top, sum, fresh);
}

template <class T, bool CACHED>
__device__ void attend(const attention_args &a, const kv_cache &c, int layer, const tile &t, int pass, float *out,
                       T *copy)
{
    DYNAMIC_SHARED(memory);
    int D = c.head_dim, C = c.heads * D, most = 0;
    places<CACHED> at(D);
    running r[TILES];
    UNROLL(TILES)
    for (int m = 0; m < TILES; m++)
        take_up<CACHED>(r[m], a, t, m * ROWS, pass, out, c.heads, D);
    UNROLL(1)
    for (int i = 0; i < t.n; i++)
        most = max(most, seen_by<CACHED>(a, t, i));
    if (most > 0) {
        fetch_split<T>(memory + at.queries(), at.stride, at.query_half(),
                       a.qkv + static_cast<size_t>(t.row) * 3 * C + blockIdx.y * D, static_cast<size_t>(3) * C, t.n,
                       TILES * ROWS, D, 1.0f / sqrtf(static_cast<float>(D)));
        fetch_part<T, CACHED>(memory, at.stride, a, c, layer, t, 0, most, 0);
        fetch_part<T, CACHED>(memory + at.values(), at.stride, a, c, layer, t, 0, most, 1);
    }
    UNROLL(1)
    for (int key = 0; key < most; key += ATTN_BLOCK) {
        cp_async_wait<1>();
        __syncthreads(); /* keys are there */
        UNROLL(TILES)
        for (int m = 0; m < TILES; m++)
            if (m * ROWS < t.n) /* few stacked queries: half a tile */
                attend_block<T, CACHED>(r[m], a, c, layer, t, m, key, most);
        __syncthreads(); /* values have been read */
        if (key + ATTN_BLOCK < most)
            fetch_part<T, CACHED>(memory + at.values(), at.stride, a, c, layer, t, key + ATTN_BLOCK, most, 1);
    }
    UNROLL(TILES)
    for (int m = 0; m < TILES; m++)
        put_down(r[m], a, t, m * ROWS, pass, out, copy, c.heads, D);
}

/* How many tiles a pass has stands on the device: blocks take them in turns. What a tile reads of shared memory it has
 * read before its last barrier. */
template <class T>
__global__ void __launch_bounds__(THREADS, 2)
    cached_tiles(attention_args a, kv_cache cache, int layer, int pass, float *out, T *copy)
{
    int end = a.counts->first[pass + 1];
    UNROLL(1)
    for (int i = a.counts->first[pass] + blockIdx.x; i < end; i += gridDim.x) {
        span s = a.spans[i];
        tile t = {s.row, s.n, s.page0, s.base, s.length, 0};
        attend<T, true>(a, cache, layer, t, pass, out, copy);
    }
}

/* A tile's rows are of one image. */
template <class T>
__global__ void __launch_bounds__(THREADS, 2)
    full_tiles(attention_args a, kv_cache shape, int length, float *out, T *copy)
{
    int each = (length + ATTENTION_TILE - 1) / ATTENTION_TILE, first = blockIdx.x / each * length;
    int at = blockIdx.x % each * ATTENTION_TILE;
    tile t = {first + at, min(length - at, static_cast<int>(ATTENTION_TILE)), 0, 0, length, first};
    attend<T, false>(a, shape, 0, t, 0, out, copy);
}

template <class T>
void launch_passes(cudaStream_t s, const attention_args &a, const kv_cache &cache, int layer, float *out, T *copy)
{
    int bytes = places<true>(cache.head_dim).bytes(),
        most = a.rows < MOST_TILES ? a.rows : static_cast<int>(MOST_TILES);
    for (int pass = 0; pass < a.n_passes; pass++)
        LAUNCH((cached_tiles<T>), dim3(most, cache.heads), THREADS, bytes, s, a, cache, layer, pass, out, copy);
}

template <class T>
void launch_full(cudaStream_t s, const float *qkv, int images, int length, int heads, int D, float *out, T *copy)
{
    attention_args a = {};
    a.qkv = qkv;
    a.n_passes = 1;
    dim3 grid(images * ((length + ATTENTION_TILE - 1) / ATTENTION_TILE), heads);
    kv_cache shape = {nullptr, 1, heads, D};
    LAUNCH((full_tiles<T>), grid, THREADS, (places<false>(D).bytes()), s, a, shape, length, out, copy);
}

template <class T> cudaError_t allow_shared()
{
    cudaError_t e =
        cudaFuncSetAttribute(reinterpret_cast<const void *>(cached_tiles<T>),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, places<true>(MOST_CACHED).bytes());
    return e == cudaSuccess
               ? cudaFuncSetAttribute(reinterpret_cast<const void *>(full_tiles<T>),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, places<false>(MOST_FULL).bytes())
               : e;
}

} // namespace

cudaError_t cuda_attention_prepare(void)
{
    cudaError_t e = allow_shared<__half>();
    return e == cudaSuccess ? allow_shared<__nv_bfloat16>() : e;
}

bool cuda_attention_tiled(enum dtype d, int head_dim, bool cached)
{
    return d != DTYPE_F32 && head_dim % 16 == 0 && head_dim <= (cached ? MOST_CACHED : MOST_FULL);
}

void cuda_attention_tiles(cudaStream_t s, enum dtype d, float *out, void *copy, const attention_args &a,
                          const kv_cache &cache, int layer)
{
    if (d == DTYPE_F16)
        launch_passes(s, a, cache, layer, out, static_cast<__half *>(copy));
    else
        launch_passes(s, a, cache, layer, out, static_cast<__nv_bfloat16 *>(copy));
}

void cuda_attention_full_tiles(cudaStream_t s, enum dtype d, float *out, void *copy, const float *qkv, int images,
                               int length, int heads, int head_dim)
{
    if (d == DTYPE_F16)
        launch_full(s, qkv, images, length, heads, head_dim, out, static_cast<__half *>(copy));
    else
        launch_full(s, qkv, images, length, heads, head_dim, out, static_cast<__nv_bfloat16 *>(copy));
}
