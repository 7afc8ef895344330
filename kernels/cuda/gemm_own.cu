/* Products without a library: where cuBLASLt has no algorithm that keeps the row rule, and for odd shapes.
 *
 * Tensor cores (f16, bf16, int8, FP8): a block of 128 threads makes 64 x 64 results, a warp 32 x 32 of them. Slabs of
 * 64 bytes of K come through cp.async into three stages of shared memory, padded to 80 bytes a row so that ldmatrix
 * meets no bank twice. The types differ in mma.sync alone: fragments have the same bytes. 30 KiB of shared memory and
 * 92 registers let five blocks share an SM of sm_80. A slab does 64 x 64 x 64 bytes of products for 8 KiB loaded, 32
 * products of 16 bits a byte: bound by L2 rather than by the tensor cores, which is why the library comes first.
 *
 * f32: a block of 256 threads makes 64 x 64 results, 4 x 4 a thread, slabs of 16.
 *
 * A result is summed over K in ascending order whatever M is and wherever its row stands: the row rule. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

enum { TILE = 64, WARPS = 4, THREADS = 32 * WARPS, SLAB = 64, STRIDE = SLAB + 16, STAGES = 3, STEP = 32 };
enum { STAGE = 2 * TILE * STRIDE /* bytes: A's rows, then B's */ };

struct f16_product {
    using sum = float;
    static constexpr int BYTES = 2;
    static __device__ __forceinline__ void mma(sum *c, const unsigned *a, const unsigned *b)
    {
        mma_f16(c, a, b);
    }
};
struct bf16_product {
    using sum = float;
    static constexpr int BYTES = 2;
    static __device__ __forceinline__ void mma(sum *c, const unsigned *a, const unsigned *b)
    {
        mma_bf16(c, a, b);
    }
};
struct s8_product {
    using sum = int;
    static constexpr int BYTES = 1;
    static __device__ __forceinline__ void mma(sum *c, const unsigned *a, const unsigned *b)
    {
        mma_s8(c, a, b);
    }
};
struct e4m3_product {
    using sum = float;
    static constexpr int BYTES = 1;
    static __device__ __forceinline__ void mma(sum *c, const unsigned *a, const unsigned *b)
    {
        mma_e4m3(c, a, b);
    }
};

/* Brings 64 rows of one matrix, from byte `at` of K on, into a stage. Rows past the last repeat it, and what is made of
 * them is dropped; bytes past K are zero. */
__device__ void fetch_rows(unsigned char *to, const unsigned char *from, size_t row_bytes, int first, int rows, int at,
                           int k_bytes)
{
    for (int i = threadIdx.x; i < TILE * SLAB / 16; i += THREADS) {
        int row = i / (SLAB / 16), byte = i % (SLAB / 16) * 16;
        unsigned char *place = to + row * STRIDE + byte;
        int source = first + row < rows ? first + row : rows - 1;
        if (at + byte < k_bytes)
            cp_async16(place, from + source * row_bytes + at + byte);
        else
            *reinterpret_cast<uint4 *>(place) = make_uint4(0, 0, 0, 0);
    }
}

template <class P> __device__ void fetch_slab(unsigned char *stages, const gemm_args &g, int slab)
{
    unsigned char *stage = stages + slab % STAGES * STAGE;
    int at = slab * SLAB, k_bytes = g.K * P::BYTES;
    if (at < k_bytes) {
        fetch_rows(stage, static_cast<const unsigned char *>(g.a), static_cast<size_t>(g.lda) * P::BYTES,
                   blockIdx.y * TILE, g.M, at, k_bytes);
        fetch_rows(stage + TILE * STRIDE, static_cast<const unsigned char *>(g.b),
                   static_cast<size_t>(g.ldb) * P::BYTES, blockIdx.x * TILE, g.N, at, k_bytes);
    }
    cp_async_commit();
}

/* A warp's 32 x 32 results over one slab. */
template <class P>
__device__ void multiply_slab(typename P::sum (*c)[4][4], const unsigned char *stage, int row, int col, int lane)
{
    const unsigned char *a = stage + (row + lane % 16) * STRIDE + lane / 16 * 16;
    const unsigned char *b = stage + (TILE + col + lane % 8 + lane / 16 * 8) * STRIDE + lane / 8 % 2 * 16;
    for (int k = 0; k < SLAB; k += STEP) {
        unsigned fa[2][4], fb[2][4];
        for (int i = 0; i < 2; i++) {
            ldmatrix_x4(fa[i], a + i * 16 * STRIDE + k);
            ldmatrix_x4(fb[i], b + i * 16 * STRIDE + k);
        }
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 4; j++)
                P::mma(c[i][j], fa[i], fb[j / 2] + j % 2 * 2);
    }
}

template <class P> __global__ void __launch_bounds__(THREADS) tensor_product(gemm_args g)
{
    DYNAMIC_SHARED(stages);
    typename P::sum c[2][4][4] = {};
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = warp / 2 * 32, col = warp % 2 * 32;
    int slabs = (g.K * P::BYTES + SLAB - 1) / SLAB;
    for (int i = 0; i < STAGES - 1; i++)
        fetch_slab<P>(stages, g, i);
    for (int i = 0; i < slabs; i++) {
        cp_async_wait<STAGES - 2>();
        __syncthreads(); /* the slab is there for all, and the stage that is fetched next has been read by all */
        fetch_slab<P>(stages, g, i + STAGES - 1);
        multiply_slab<P>(c, stages + i % STAGES * STAGE, row, col, lane);
    }
    auto *d = static_cast<typename P::sum *>(g.d);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            for (int e = 0; e < 4; e++) {
                int m = blockIdx.y * TILE + row + i * 16 + e / 2 * 8 + lane / 4;
                int n = blockIdx.x * TILE + col + j * 8 + lane % 4 * 2 + e % 2;
                if (m < g.M && n < g.N)
                    d[static_cast<size_t>(m) * g.ldd + n] = c[i][j][e];
            }
}

enum { PLAIN_THREADS = 256, PLAIN_SLAB = 16, EACH = 4, PLAIN_STRIDE = TILE + 4 };

/* 64 rows by 16 of K, transposed; zeros outside. */
__device__ void fetch_plain(float (*to)[PLAIN_STRIDE], const float *from, int stride, int first, int rows, int at,
                            int K)
{
    for (int i = threadIdx.x; i < TILE * PLAIN_SLAB; i += PLAIN_THREADS) {
        int row = i / PLAIN_SLAB, k = i % PLAIN_SLAB;
        bool inside = first + row < rows && at + k < K;
        to[k][row] = inside ? from[static_cast<size_t>(first + row) * stride + at + k] : 0.0f;
    }
}

__global__ void __launch_bounds__(PLAIN_THREADS) plain_product(gemm_args g)
{
    __shared__ float a[PLAIN_SLAB][PLAIN_STRIDE], b[PLAIN_SLAB][PLAIN_STRIDE];
    float c[EACH][EACH] = {};
    int row = threadIdx.x / (TILE / EACH) * EACH, col = threadIdx.x % (TILE / EACH) * EACH;
    int first_row = blockIdx.y * TILE, first_col = blockIdx.x * TILE;
    for (int at = 0; at < g.K; at += PLAIN_SLAB) {
        __syncthreads();
        fetch_plain(a, static_cast<const float *>(g.a), g.lda, first_row, g.M, at, g.K);
        fetch_plain(b, static_cast<const float *>(g.b), g.ldb, first_col, g.N, at, g.K);
        __syncthreads();
        for (int k = 0; k < PLAIN_SLAB && first_row + row < g.M; k++)
            for (int i = 0; i < EACH; i++)
                for (int j = 0; j < EACH; j++)
                    c[i][j] += a[k][row + i] * b[k][col + j];
    }
    auto *d = static_cast<float *>(g.d);
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++)
            if (first_row + row + i < g.M && first_col + col + j < g.N)
                d[static_cast<size_t>(first_row + row + i) * g.ldd + first_col + col + j] = c[i][j];
}

template <class P> cudaError_t allow_stages()
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(tensor_product<P>),
                                cudaFuncAttributeMaxDynamicSharedMemorySize, STAGES * STAGE);
}

} // namespace

cudaError_t cuda_gemm_prepare(void)
{
    cudaError_t e = allow_stages<f16_product>();
    e = e == cudaSuccess ? allow_stages<bf16_product>() : e;
    e = e == cudaSuccess ? allow_stages<s8_product>() : e;
    return e == cudaSuccess ? allow_stages<e4m3_product>() : e;
}

void cuda_gemm(cudaStream_t s, enum dtype type, const gemm_args &g)
{
    if (g.M == 0)
        return;
    dim3 grid((g.N + TILE - 1) / TILE, (g.M + TILE - 1) / TILE);
    if (type == DTYPE_F32)
        LAUNCH(plain_product, grid, PLAIN_THREADS, 0, s, g);
    else if (type == DTYPE_F16)
        LAUNCH((tensor_product<f16_product>), grid, THREADS, STAGES * STAGE, s, g);
    else if (type == DTYPE_BF16)
        LAUNCH((tensor_product<bf16_product>), grid, THREADS, STAGES * STAGE, s, g);
    else if (type == DTYPE_INT8)
        LAUNCH((tensor_product<s8_product>), grid, THREADS, STAGES * STAGE, s, g);
    else
        LAUNCH((tensor_product<e4m3_product>), grid, THREADS, STAGES * STAGE, s, g);
}
