/* Weights: the reader fills pinned memory with f32 rows, which travel to the device and are narrowed there, row by row
 * as activations are, so that both round alike. A seed's rows are made there and travel nowhere. Padding is zero. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/value.cuh"

#include <cstdlib>

namespace
{

/* random_spread of kernels/random.h for numbers [first, first + count). */
__global__ void seeded_numbers(float *out, uint64_t first, uint64_t count, uint64_t seed, float spread)
{
    uint64_t step = static_cast<uint64_t>(gridDim.x) * BLOCK;
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * BLOCK + threadIdx.x; i < count; i += step)
        out[i] = (uniform(seed, first + i) - 0.5f) * (2 * spread);
}

/* Where rows come from: a reader on the host, or a seed. */
struct origin {
    int rows, cols;
    const struct weight_source *read;
    const struct weight_seed *seed;
};

} // namespace

static void launch_seeded(cuda &c, const struct weight_seed &s, uint64_t first, uint64_t count, float *out)
{
    const uint64_t most = 1024, blocks = (count + BLOCK - 1) / BLOCK;
    LAUNCH(seeded_numbers, static_cast<unsigned>(blocks < most ? blocks : most), BLOCK, 0, c.stream, out, first, count,
           s.seed, s.spread);
    cuda_launched(c, "seeded weights", s.rows, s.cols);
}

/* Rows [row, row + n) in f32 to the device. */
static enum status put_rows(cuda &c, const origin &from, int row, int n, float *out, struct diag *why)
{
    size_t count = static_cast<size_t>(n) * static_cast<size_t>(from.cols);
    if (from.seed) {
        launch_seeded(c, *from.seed, static_cast<uint64_t>(row) * static_cast<uint64_t>(from.cols), count, out);
        return ST_OK;
    }
    void *stage = cuda_stage(c, count * sizeof(float));
    if (!stage)
        return cuda_state(c, why);
    enum status s = from.read->read(from.read->ctx, row, n, static_cast<float *>(stage), why);
    if (s == ST_OK)
        cuda_well(c, cudaMemcpyAsync(out, stage, count * sizeof(float), cudaMemcpyHostToDevice, c.stream));
    return s;
}

static void *row_at(const cuda_weight &w, int row)
{
    return static_cast<char *>(w.data) + static_cast<size_t>(row) * static_cast<size_t>(w.cols) * type_bytes(w.type);
}

static enum status read_matrix(cuda &c, const origin &from, cuda_weight &w, struct diag *why)
{
    size_t row_bytes = static_cast<size_t>(from.cols) * sizeof(float);
    int at_once = static_cast<int>(STAGE_BYTES / row_bytes);
    if (at_once == 0)
        return diag_set(why, ST_LIMIT, "%s: a row of %d numbers, at most %zu are supported", c.base.caps.device,
                        from.cols, STAGE_BYTES / sizeof(float));
    bool as_it_is = w.type == DTYPE_F32;
    enum status s = ST_OK;
    for (int row = 0; s == ST_OK && row < from.rows; row += at_once) {
        int n = from.rows - row < at_once ? from.rows - row : at_once;
        s = put_rows(c, from, row, n, static_cast<float *>(as_it_is ? row_at(w, row) : c.upload), why);
        if (s != ST_OK || as_it_is)
            continue;
        cuda_narrow(c.stream, w.type, row_at(w, row), w.scales ? w.scales + row : nullptr,
                    static_cast<const float *>(c.upload), n, from.cols, w.cols);
        cuda_launched(c, "narrowing of weights", n, from.cols);
    }
    return s == ST_OK ? cuda_state(c, why) : s;
}

/* A matrix for products, and room for the widest product. */
static enum status new_matrix(cuda &c, const origin &from, cuda_weight &w, struct diag *why)
{
    bool exact = w.type == DTYPE_F32;
    w.rows = exact ? from.rows : round_up(from.rows, GEMM_ALIGN);
    w.cols = exact ? from.cols : round_up(from.cols, GEMM_ALIGN);
    size_t rows = static_cast<size_t>(w.rows), bytes = rows * static_cast<size_t>(w.cols) * type_bytes(w.type);
    void *scales = nullptr;
    enum status s = cuda_alloc(c, bytes, &w.data, why);
    if (s == ST_OK && has_scales(w.type))
        s = cuda_alloc(c, rows * sizeof(float), &scales, why);
    if (s == ST_OK)
        s = cuda_reserve(c, &c.product, &c.product_bytes, GEMM_ROWS * rows * sizeof(float), why);
    if (s != ST_OK)
        return s;
    w.scales = static_cast<float *>(scales);
    cuda_well(c, cudaMemsetAsync(w.data, 0, bytes, c.stream));
    if (scales)
        cuda_well(c, cudaMemsetAsync(scales, 0, rows * sizeof(float), c.stream));
    s = read_matrix(c, from, w, why);
    return s == ST_OK ? gemm_prepare(c, w.type, w.rows, w.cols, w.data, &w.plan, why) : s;
}

static enum status new_table(cuda &c, const origin &from, cuda_weight &w, struct diag *why)
{
    w.rows = from.rows;
    w.cols = from.cols;
    size_t bytes = static_cast<size_t>(w.rows) * static_cast<size_t>(w.cols) * type_bytes(w.type);
    enum status s = cuda_alloc(c, bytes, &w.data, why);
    return s == ST_OK ? read_matrix(c, from, w, why) : s;
}

/* Of any length: a position table is one. */
static enum status new_vector(cuda &c, const origin &from, cuda_weight &w, struct diag *why)
{
    w.rows = from.rows;
    w.cols = from.cols;
    size_t bytes = static_cast<size_t>(w.rows) * static_cast<size_t>(w.cols) * sizeof(float);
    if (from.seed) {
        enum status s = cuda_alloc(c, bytes, &w.data, why);
        return s == ST_OK ? put_rows(c, from, 0, from.rows, static_cast<float *>(w.data), why) : s;
    }
    auto *values = static_cast<float *>(malloc(bytes));
    enum status s = values ? cuda_alloc(c, bytes, &w.data, why) : ST_NOMEM;
    if (s == ST_OK)
        s = from.read->read(from.read->ctx, 0, from.rows, values, why);
    if (s == ST_OK) {
        cuda_write(c, w.data, values, bytes);
        s = cuda_state(c, why);
    }
    free(values);
    return s;
}

static enum status new_weight(struct backend *be, enum weight_use use, const origin &from, struct weight **out,
                              struct diag *why)
{
    cuda &c = *cuda_of(be);
    void *head;
    enum status s = cuda_head(c, sizeof(cuda_weight), &head, why);
    if (s != ST_OK)
        return s;
    auto *w = static_cast<cuda_weight *>(head);
    w->base.use = use;
    w->base.rows = from.rows;
    w->base.cols = from.cols;
    if (use == WEIGHT_VECTOR) {
        w->type = DTYPE_F32;
        s = new_vector(c, from, *w, why);
    } else if (use == WEIGHT_TABLE) {
        w->type = kept_type(be->dtype);
        s = new_table(c, from, *w, why);
    } else {
        w->type = use == WEIGHT_LINEAR_F32 ? DTYPE_F32 : be->dtype;
        s = new_matrix(c, from, *w, why);
    }
    if (s == ST_OK)
        *out = &w->base;
    return s;
}

enum status cuda_weight_new(struct backend *be, enum weight_use use, const struct weight_source *src,
                            struct weight **out, struct diag *why)
{
    return new_weight(be, use, {src->rows, src->cols, src, nullptr}, out, why);
}

enum status cuda_weight_seeded(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                               struct weight **out, struct diag *why)
{
    return new_weight(be, use, {seed->rows, seed->cols, nullptr, seed}, out, why);
}
