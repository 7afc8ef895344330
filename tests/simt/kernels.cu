#include "kernels/cuda/device.cuh"
#include "tests/simt/kernels.cuh"

namespace
{

const unsigned ALL = 0xFFFFFFFFu;

__global__ void shuffles(int *out)
{
    int lane = static_cast<int>(threadIdx.x), *mine = out + lane * SHUFFLES;
    mine[0] = __shfl_sync(ALL, lane, 5);
    mine[1] = __shfl_sync(ALL, lane, 3, 8);
    mine[2] = __shfl_xor_sync(ALL, lane, 16);
    mine[3] = __shfl_xor_sync(ALL, lane, 3, 4);
    mine[4] = __shfl_down_sync(ALL, lane, 4);
    mine[5] = __shfl_down_sync(ALL, lane, 2, 8);
    mine[6] = __shfl_up_sync(ALL, lane, 1);
    mine[7] = -1;
    if (lane < 16)
        mine[7] = __shfl_xor_sync(0xFFFFu, lane, 1);
}

__global__ void votes(unsigned *out)
{
    int lane = static_cast<int>(threadIdx.x);
    unsigned *mine = out + lane * VOTES;
    mine[0] = __ballot_sync(ALL, lane % 3 == 0);
    mine[1] = static_cast<unsigned>(__any_sync(ALL, lane == 31));
    mine[2] = static_cast<unsigned>(__all_sync(ALL, lane < 31));
    unsigned half = lane < 16 ? 0x0000FFFFu : 0xFFFF0000u;
    mine[3] = __ballot_sync(half, lane & 1);
    mine[4] = static_cast<unsigned>(__all_sync(half, lane < 16));
    __syncwarp();
    mine[5] = __ballot_sync(ALL, 1);
}

__global__ void counts(int *out, unsigned bits)
{
    int vote = static_cast<int>(bits >> (threadIdx.x % 32) & 1);
    int n = __syncthreads_count(vote), any = __syncthreads_or(vote), all = __syncthreads_and(vote);
    if (threadIdx.x == 0) {
        out[blockIdx.x * 3] = n;
        out[blockIdx.x * 3 + 1] = any;
        out[blockIdx.x * 3 + 2] = all;
    }
}

__device__ float warp_sum(float x)
{
    for (int o = 16; o; o >>= 1)
        x += __shfl_xor_sync(ALL, x, o);
    return x;
}

__global__ void softmax(float *y, const float *x, int n, int live)
{
    if (static_cast<int>(threadIdx.x) >= live)
        return;
    DYNAMIC_SHARED(raw);
    __shared__ float parts[32];
    float *row = reinterpret_cast<float *>(raw), sum = 0;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += live)
        row[i] = __expf(x[blockIdx.x * n + i]);
    __syncthreads();
    /* Backwards: every thread sums numbers that another one has left. */
    for (int i = n - 1 - static_cast<int>(threadIdx.x); i >= 0; i -= live)
        sum += row[i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (int w = 0; w < live / 32; w++)
        sum += parts[w];
    for (int i = static_cast<int>(threadIdx.x); i < n; i += live)
        y[blockIdx.x * n + i] = row[i] / sum;
}

__global__ void atomics(int *sums, float *total, int *top, int n, int bins)
{
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n)
        return;
    atomicAdd(sums + i % bins, 1);
    atomicAdd(total, 0.5f);
    atomicMax(top, i);
}

__global__ void poison(int *seen)
{
    __shared__ float left[64];
    float mine = left[threadIdx.x];
    int poisoned = __syncthreads_count(mine != mine);
    left[threadIdx.x] = 0;
    if (threadIdx.x == 0)
        seen[blockIdx.x] = poisoned == 64;
}

struct f16_product {
    using sum = float;
    static constexpr int VALUE_BYTES = 2;
    static __device__ void mma(float *c, const unsigned *a, const unsigned *b)
    {
        mma_f16(c, a, b);
    }
};
struct bf16_product {
    using sum = float;
    static constexpr int VALUE_BYTES = 2;
    static __device__ void mma(float *c, const unsigned *a, const unsigned *b)
    {
        mma_bf16(c, a, b);
    }
};
struct s8_product {
    using sum = int;
    static constexpr int VALUE_BYTES = 1;
    static __device__ void mma(int *c, const unsigned *a, const unsigned *b)
    {
        mma_s8(c, a, b);
    }
};

/* One warp makes a tile of 32 x 16; slices of 32 bytes of K are fetched two ahead. */
template <class T>
__global__ void __launch_bounds__(32)
    product(typename T::sum *c, const unsigned char *a, const unsigned char *b, int N, int row_bytes)
{
    enum { SLICE = 32, STAGES = 3 };
    __shared__ __align__(16) unsigned char tile_a[STAGES][32 * SLICE], tile_b[STAGES][16 * SLICE];
    int lane = static_cast<int>(threadIdx.x);
    size_t row = blockIdx.y * 32, col = blockIdx.x * 16;
    typename T::sum sums[2][2][4] = {};
    auto fetch = [&](int slice) {
        int stage = slice % STAGES;
        for (int i = lane; i < 64; i += 32)
            cp_async16(tile_a[stage] + i * 16, a + (row + i / 2) * row_bytes + slice * SLICE + i % 2 * 16);
        cp_async16(tile_b[stage] + lane * 16, b + (col + lane / 2) * row_bytes + slice * SLICE + lane % 2 * 16);
    };
    int slices = row_bytes / SLICE;
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < slices)
            fetch(s);
        cp_async_commit();
    }
    for (int s = 0; s < slices; s++) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (s + STAGES - 1 < slices)
            fetch(s + STAGES - 1);
        cp_async_commit();
        unsigned fa[2][4], fb[4];
        for (int i = 0; i < 2; i++)
            ldmatrix_x4(fa[i], tile_a[s % STAGES] + (i * 16 + lane % 16) * SLICE + lane / 16 * 16);
        ldmatrix_x4(fb, tile_b[s % STAGES] + (lane % 8 + lane / 16 * 8) * SLICE + lane / 8 % 2 * 16);
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++)
                T::mma(sums[i][j], fa[i], fb + 2 * j);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            for (int e = 0; e < 4; e++)
                c[(row + i * 16 + lane / 4 + e / 2 * 8) * N + col + j * 8 + lane % 4 * 2 + e % 2] = sums[i][j][e];
}

template <class T>
void run_product(typename T::sum *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s)
{
    LAUNCH((product<T>), dim3(N / 16, M / 32), 32, 0, s, c, static_cast<const unsigned char *>(a),
           static_cast<const unsigned char *>(b), N, K * T::VALUE_BYTES);
}

__global__ void axpy(float *y, const float *x, float a, int n)
{
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        y[i] = a * x[i] + y[i];
}

} // namespace

void run_shuffles(int *out, cudaStream_t s)
{
    LAUNCH(shuffles, 1, 32, 0, s, out);
}
void run_votes(unsigned *out, cudaStream_t s)
{
    LAUNCH(votes, 1, 32, 0, s, out);
}
void run_counts(int *out, int blocks, int n, unsigned bits, cudaStream_t s)
{
    LAUNCH(counts, blocks, n, 0, s, out, bits);
}
void run_softmax(float *y, const float *x, int rows, int n, int live, cudaStream_t s)
{
    LAUNCH(softmax, rows, live + 40, n * sizeof(float), s, y, x, n, live);
}
void run_atomics(int *sums, float *total, int *top, int n, int bins, cudaStream_t s)
{
    LAUNCH(atomics, (n + 127) / 128, 128, 0, s, sums, total, top, n, bins);
}
void run_poison(int *seen, int blocks, cudaStream_t s)
{
    LAUNCH(poison, blocks, 64, 0, s, seen);
}
void run_product_f16(float *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s)
{
    run_product<f16_product>(c, a, b, M, N, K, s);
}
void run_product_bf16(float *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s)
{
    run_product<bf16_product>(c, a, b, M, N, K, s);
}
void run_product_s8(int *c, const void *a, const void *b, int M, int N, int K, cudaStream_t s)
{
    run_product<s8_product>(c, a, b, M, N, K, s);
}
void run_axpy(float *y, const float *x, float a, int n, cudaStream_t s)
{
    LAUNCH(axpy, (n + 255) / 256, 256, 0, s, y, x, a, n);
}
