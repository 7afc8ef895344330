/* The region sampler around its products. Points, anchors and neighbours are few: these kernels cost microseconds, and
 * are written to be exact. Distances are integers (spec 4.6), below 2^63 while W x H stays below 2^31. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

/* Corner of the cell that holds coordinate c, and how far into it. */
__device__ int cell(float c, int grid, float *fraction)
{
    int i = static_cast<int>(floorf(c));
    i = i < 0 ? 0 : i > grid - 2 ? grid - 2 : i;
    *fraction = c - static_cast<float>(i);
    return i;
}

__global__ void gather_rows(float *out, const float *features, const int32_t *image, const float *points, int n_points,
                            int grid, int cols, bool transposed)
{
    size_t row = blockIdx.x;
    float px = points[2 * row], py = points[2 * row + 1], last = static_cast<float>(grid - 1), fx, fy;
    /* The released weights were trained with the two swapped (spec 4.3 step 3). */
    int col = cell((transposed ? py : px) * last, grid, &fx), line = cell((transposed ? px : py) * last, grid, &fy);
    const float *first = features + (static_cast<size_t>(image[row / n_points] * grid + line) * grid + col) * cols;
    const float *below = first + static_cast<size_t>(grid) * cols;
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        out[row * (cols + 2) + i] = (1 - fx) * (1 - fy) * first[i] + fx * (1 - fy) * first[cols + i] +
                                    (1 - fx) * fy * below[i] + fx * fy * below[cols + i];
    if (threadIdx.x < 2)
        out[row * (cols + 2) + cols + threadIdx.x] = threadIdx.x ? py : px;
}

/* A thread a column of a region: the sum runs in the rows' order. */
__global__ void center_columns(float *points, int n_points, int cols)
{
    int col = static_cast<int>(blockIdx.y * BLOCK + threadIdx.x);
    if (col >= cols)
        return;
    float *x = points + static_cast<size_t>(blockIdx.x) * n_points * (cols + 2) + col, mean = 0;
    for (int row = 0; row < n_points; row++)
        mean += x[static_cast<size_t>(row) * (cols + 2)];
    mean /= static_cast<float>(n_points);
    for (int row = 0; row < n_points; row++)
        x[static_cast<size_t>(row) * (cols + 2)] -= mean;
}

/* A block an anchor. A thread keeps its columns' ReLU values in shared memory between the passes over a neighbour. */
__global__ void __launch_bounds__(BLOCK) pool_rows(region_pool_args w)
{
    DYNAMIC_SHARED(raw);
    float *v = reinterpret_cast<float *>(raw);
    size_t row = blockIdx.x, first = row / w.n_anchors * w.n_points, anchor = first + w.anchors[row];
    const float *a0 = w.a + anchor * w.cols, *b = w.bm + row * w.cols, *at = w.points + anchor * w.point_cols;
    float *out = w.out + row * w.out_cols;
    for (int k = 0; k < w.n_neighbours; k++) {
        const float *a = w.a + (first + w.neighbours[row * w.n_neighbours + k]) * w.cols;
        float sum = 0, squares = 0;
        for (int i = threadIdx.x; i < w.cols; i += BLOCK) {
            v[i] = fmaxf(0.0f, a[i] - a0[i] + b[i]);
            sum += v[i];
        }
        float mean = block_reduce<BLOCK>(sum, 0.0f, add()) / w.cols;
        for (int i = threadIdx.x; i < w.cols; i += BLOCK)
            squares += (v[i] - mean) * (v[i] - mean);
        float factor = 1.0f / sqrtf(block_reduce<BLOCK>(squares, 0.0f, add()) / w.cols + w.eps);
        for (int i = threadIdx.x; i < w.cols; i += BLOCK) {
            float y = (v[i] - mean) * factor * w.weight[i] + w.bias[i];
            out[i] = k == 0 ? y : w.max_pool ? fmaxf(out[i], y) : out[i] + y;
        }
    }
    for (int i = threadIdx.x; i < w.cols && !w.max_pool; i += BLOCK)
        out[i] /= w.n_neighbours;
    if (threadIdx.x < 2)
        out[w.cols + threadIdx.x] = at[w.cols + threadIdx.x];
}

template <class T> __global__ void take(T *dst, const T *src, const int32_t *index, int n_points, int n_taken, int cols)
{
    size_t row = blockIdx.x, from = row / n_taken * n_points + index[row];
    for (int i = threadIdx.x; i < cols; i += BLOCK)
        dst[row * cols + i] = src[from * cols + i];
}

/* A distance and the point it belongs to. */
struct candidate {
    long long distance;
    int index;
};
/* The farther one, and the first of equals. */
struct farther {
    __device__ candidate operator()(candidate a, candidate b) const
    {
        bool first = a.distance > b.distance || (a.distance == b.distance && a.index < b.index);
        return first ? a : b;
    }
};
struct nearer {
    __device__ candidate operator()(candidate a, candidate b) const
    {
        bool first = a.distance < b.distance || (a.distance == b.distance && a.index < b.index);
        return first ? a : b;
    }
};

template <class F> __device__ candidate block_pick(candidate x, F better)
{
    __shared__ candidate parts[BLOCK / 32];
    for (int o = 16; o; o >>= 1) {
        candidate other;
        other.distance = __shfl_xor_sync(ALL_LANES, x.distance, o);
        other.index = __shfl_xor_sync(ALL_LANES, x.index, o);
        x = better(x, other);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = parts[0];
    for (int w = 1; w < BLOCK / 32; w++)
        x = better(x, parts[w]);
    return x;
}

const long long FARTHEST = 0x7FFFFFFFFFFFFFFFLL;

/* A block a region. Shared: each point's distance to the nearest anchor so far, then to the newest. */
__global__ void __launch_bounds__(BLOCK) select_points(int32_t *anchors, int32_t *neighbours, const int32_t *xy,
                                                       const int32_t *size, const int32_t *start, int N, int S, int K)
{
    DYNAMIC_SHARED(raw);
    long long *nearest = reinterpret_cast<long long *>(raw), *fresh = nearest + N;
    int region = blockIdx.x, at = start[region];
    const int32_t *points = xy + static_cast<size_t>(region) * N * 2;
    long long W = size[2 * region], H = size[2 * region + 1];
    for (int i = threadIdx.x; i < N; i += BLOCK)
        nearest[i] = FARTHEST;
    for (int s = 0; s < S; s++) {
        size_t row = static_cast<size_t>(region) * S + s;
        candidate far = {-1, 0x7FFFFFFF};
        for (int i = threadIdx.x; i < N; i += BLOCK) {
            long long dx = (points[2 * i] - static_cast<long long>(points[2 * at])) * H;
            long long dy = (points[2 * i + 1] - static_cast<long long>(points[2 * at + 1])) * W;
            fresh[i] = dx * dx + dy * dy;
            nearest[i] = fresh[i] < nearest[i] ? fresh[i] : nearest[i];
            far = farther()(far, {nearest[i], i});
        }
        if (threadIdx.x == 0)
            anchors[row] = at;
        /* A thread reads and marks its own points alone. */
        for (int k = 0; k < K; k++) {
            candidate near = {FARTHEST, 0x7FFFFFFF};
            for (int i = threadIdx.x; i < N; i += BLOCK)
                near = nearer()(near, {fresh[i], i});
            near = block_pick(near, nearer());
            if (threadIdx.x == 0)
                neighbours[row * K + k] = near.index;
            if (near.index % BLOCK == static_cast<int>(threadIdx.x))
                fresh[near.index] = FARTHEST; /* taken */
        }
        at = block_pick(far, farther()).index;
    }
}

} // namespace

void cuda_region_gather(cudaStream_t s, float *out, const float *features, const int32_t *image, const float *points,
                        int regions, int n_points, int grid, int cols, bool transposed)
{
    if (regions > 0)
        LAUNCH(gather_rows, regions * n_points, BLOCK, 0, s, out, features, image, points, n_points, grid, cols,
               transposed);
}

void cuda_region_center(cudaStream_t s, float *points, int regions, int n_points, int cols)
{
    if (regions > 0)
        LAUNCH(center_columns, dim3(regions, (cols + BLOCK - 1) / BLOCK), BLOCK, 0, s, points, n_points, cols);
}

void cuda_region_pool(cudaStream_t s, const region_pool_args &r, int regions)
{
    if (regions > 0)
        LAUNCH(pool_rows, regions * r.n_anchors, BLOCK, r.cols * sizeof(float), s, r);
}

void cuda_region_take(cudaStream_t s, float *dst, const float *src, const int32_t *index, int regions, int n_points,
                      int n_taken, int cols)
{
    if (regions > 0)
        LAUNCH((take<float>), regions * n_taken, BLOCK, 0, s, dst, src, index, n_points, n_taken, cols);
}

void cuda_region_take_xy(cudaStream_t s, int32_t *dst, const int32_t *xy, const int32_t *anchors, int regions,
                         int n_points, int n_taken)
{
    if (regions > 0)
        LAUNCH((take<int32_t>), regions * n_taken, BLOCK, 0, s, dst, xy, anchors, n_points, n_taken, 2);
}

/* 64 KiB at MAX_REGION_POINTS: more than a block gets unasked. */
cudaError_t cuda_region_prepare(void)
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(select_points),
                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                MAX_REGION_POINTS * 2 * static_cast<int>(sizeof(long long)));
}

void cuda_region_select(cudaStream_t s, int32_t *anchors, int32_t *neighbours, const int32_t *xy, const int32_t *size,
                        const int32_t *start, int regions, int n_points, int n_anchors, int n_neighbours)
{
    if (regions > 0)
        LAUNCH(select_points, regions, BLOCK, n_points * 2 * sizeof(long long), s, anchors, neighbours, xy, size, start,
               n_points, n_anchors, n_neighbours);
}
