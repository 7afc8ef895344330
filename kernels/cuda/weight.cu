/* Weights: the reader fills pinned memory with f32 rows, which travel to the device and are narrowed there, row by row
 * as activations are, so that both round alike. Padding is zero. */
#include "kernels/cuda/cuda.cuh"

#include <cstdlib>

static void *row_at(const cuda_weight &w, int row)
{
    return static_cast<char *>(w.data) + static_cast<size_t>(row) * static_cast<size_t>(w.cols) * type_bytes(w.type);
}

static enum status read_matrix(cuda &c, const struct weight_source *src, cuda_weight &w, struct diag *why)
{
    size_t row_bytes = static_cast<size_t>(src->cols) * sizeof(float);
    int at_once = static_cast<int>(STAGE_BYTES / row_bytes);
    if (at_once == 0)
        return diag_set(why, ST_LIMIT, "%s: a row of %d numbers, at most %zu are supported", c.base.caps.device,
                        src->cols, STAGE_BYTES / sizeof(float));
    enum status s = ST_OK;
    for (int row = 0; s == ST_OK && row < src->rows; row += at_once) {
        int n = src->rows - row < at_once ? src->rows - row : at_once;
        size_t bytes = static_cast<size_t>(n) * row_bytes;
        void *stage = cuda_stage(c, bytes);
        if (!stage)
            break;
        s = src->read(src->ctx, row, n, static_cast<float *>(stage), why);
        if (s != ST_OK)
            break;
        bool as_it_is = w.type == DTYPE_F32;
        cuda_well(
            c, cudaMemcpyAsync(as_it_is ? row_at(w, row) : c.upload, stage, bytes, cudaMemcpyHostToDevice, c.stream));
        if (!as_it_is)
            cuda_narrow(c.stream, w.type, row_at(w, row), w.scales ? w.scales + row : nullptr,
                        static_cast<const float *>(c.upload), n, src->cols, w.cols);
        cuda_launched(c, "narrowing of weights", n, src->cols);
    }
    return s == ST_OK ? cuda_state(c, why) : s;
}

/* A matrix for products, and room for the widest product. */
static enum status new_matrix(cuda &c, const struct weight_source *src, cuda_weight &w, struct diag *why)
{
    bool exact = w.type == DTYPE_F32;
    w.rows = exact ? src->rows : round_up(src->rows, GEMM_ALIGN);
    w.cols = exact ? src->cols : round_up(src->cols, GEMM_ALIGN);
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
    s = read_matrix(c, src, w, why);
    return s == ST_OK ? gemm_prepare(c, w.type, w.rows, w.cols, w.data, &w.plan, why) : s;
}

static enum status new_table(cuda &c, const struct weight_source *src, cuda_weight &w, struct diag *why)
{
    w.rows = src->rows;
    w.cols = src->cols;
    size_t bytes = static_cast<size_t>(w.rows) * static_cast<size_t>(w.cols) * type_bytes(w.type);
    enum status s = cuda_alloc(c, bytes, &w.data, why);
    return s == ST_OK ? read_matrix(c, src, w, why) : s;
}

/* Of any length: a position table is one. */
static enum status new_vector(cuda &c, const struct weight_source *src, cuda_weight &w, struct diag *why)
{
    w.rows = src->rows;
    w.cols = src->cols;
    size_t bytes = static_cast<size_t>(w.rows) * static_cast<size_t>(w.cols) * sizeof(float);
    auto *values = static_cast<float *>(malloc(bytes));
    enum status s = values ? cuda_alloc(c, bytes, &w.data, why) : ST_NOMEM;
    if (s == ST_OK)
        s = src->read(src->ctx, 0, src->rows, values, why);
    if (s == ST_OK) {
        cuda_write(c, w.data, values, bytes);
        s = cuda_state(c, why);
    }
    free(values);
    return s;
}

enum status cuda_weight_new(struct backend *be, enum weight_use use, const struct weight_source *src,
                            struct weight **out, struct diag *why)
{
    cuda &c = *cuda_of(be);
    void *head;
    enum status s = cuda_head(c, sizeof(cuda_weight), &head, why);
    if (s != ST_OK)
        return s;
    auto *w = static_cast<cuda_weight *>(head);
    w->base.use = use;
    w->base.rows = src->rows;
    w->base.cols = src->cols;
    if (use == WEIGHT_VECTOR) {
        w->type = DTYPE_F32;
        s = new_vector(c, src, *w, why);
    } else if (use == WEIGHT_TABLE) {
        w->type = kept_type(be->dtype);
        s = new_table(c, src, *w, why);
    } else {
        w->type = use == WEIGHT_LINEAR_F32 ? DTYPE_F32 : be->dtype;
        s = new_matrix(c, src, *w, why);
    }
    if (s == ST_OK)
        *out = &w->base;
    return s;
}
