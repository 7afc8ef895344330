/* Activations and arrays: making, filling, reading. */
#include "kernels/cuda/cuda.cuh"

enum status cuda_act_new(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why)
{
    cuda &c = *cuda_of(be);
    void *head, *values, *copy = nullptr, *scales = nullptr;
    enum status s = cuda_head(c, sizeof(cuda_act), &head, why);
    if (s != ST_OK)
        return s;
    auto *a = static_cast<cuda_act *>(head);
    a->base.max_rows = max_rows;
    a->base.cols = cols;
    a->padded_rows = gemm_padded(max_rows);
    a->padded_cols = round_up(cols, GEMM_ALIGN);
    size_t rows = static_cast<size_t>(a->padded_rows), n = rows * static_cast<size_t>(cols) * sizeof(float);
    size_t copy_bytes = rows * static_cast<size_t>(a->padded_cols) * type_bytes(be->dtype);
    s = cuda_alloc(c, n, &values, why);
    if (s == ST_OK && be->dtype != DTYPE_F32)
        s = cuda_alloc(c, copy_bytes, &copy, why);
    if (s == ST_OK && has_scales(be->dtype))
        s = cuda_alloc(c, rows * sizeof(float), &scales, why);
    if (s != ST_OK)
        return s;
    /* What pads is multiplied as well: it must be some number. */
    cuda_well(c, cudaMemsetAsync(values, 0, n, c.stream));
    if (copy)
        cuda_well(c, cudaMemsetAsync(copy, 0, copy_bytes, c.stream));
    if (scales)
        cuda_well(c, cudaMemsetAsync(scales, 0, rows * sizeof(float), c.stream));
    a->values = static_cast<float *>(values);
    a->copy = copy;
    a->scales = static_cast<float *>(scales);
    c.max_act_rows = max_rows > c.max_act_rows ? max_rows : c.max_act_rows;
    *out = &a->base;
    return cuda_state(c, why);
}

static size_t row_bytes(const struct act *a, int rows)
{
    return static_cast<size_t>(rows) * static_cast<size_t>(a->cols) * sizeof(float);
}

static float *row_of(const struct act *a, int row)
{
    return act_of(a)->values + static_cast<size_t>(row) * static_cast<size_t>(a->cols);
}

enum status cuda_act_write(struct backend *be, struct act *a, int row, int n, const float *values, struct diag *why)
{
    cuda_write(*cuda_of(be), row_of(a, row), values, row_bytes(a, n));
    act_of(a)->copied = 0;
    return cuda_state(*cuda_of(be), why);
}

enum status cuda_act_read(struct backend *be, const struct act *a, int row, int n, float *values, struct diag *why)
{
    return cuda_read(*cuda_of(be), values, row_of(a, row), row_bytes(a, n), why);
}

void cuda_copy_rows(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n)
{
    cuda &c = *cuda_of(be);
    if (n > 0)
        cuda_well(c, cudaMemcpyAsync(row_of(dst, dst_row), row_of(src, src_row), row_bytes(dst, n),
                                     cudaMemcpyDeviceToDevice, c.stream));
    act_of(dst)->copied = 0;
}

static size_t element_bytes(const struct array *a)
{
    return a->kind == ARRAY_U8 ? 1 : 4;
}

static char *element(const struct array *a, size_t at)
{
    return static_cast<char *>(reinterpret_cast<const cuda_array *>(a)->data) + at * element_bytes(a);
}

enum status cuda_array_new(struct backend *be, enum array_kind kind, size_t n, struct array **out, struct diag *why)
{
    cuda &c = *cuda_of(be);
    void *head;
    enum status s = cuda_head(c, sizeof(cuda_array), &head, why);
    if (s != ST_OK)
        return s;
    auto *a = static_cast<cuda_array *>(head);
    a->base.kind = kind;
    a->base.n = n;
    s = cuda_alloc(c, n * element_bytes(&a->base), &a->data, why);
    if (s != ST_OK)
        return s;
    cuda_well(c, cudaMemsetAsync(a->data, 0, n * element_bytes(&a->base), c.stream));
    *out = &a->base;
    return cuda_state(c, why);
}

enum status cuda_array_write(struct backend *be, struct array *a, size_t at, size_t n, const void *values,
                             struct diag *why)
{
    cuda_write(*cuda_of(be), element(a, at), values, n * element_bytes(a));
    return cuda_state(*cuda_of(be), why);
}

enum status cuda_array_read(struct backend *be, const struct array *a, size_t at, size_t n, void *values,
                            struct diag *why)
{
    return cuda_read(*cuda_of(be), values, element(a, at), n * element_bytes(a), why);
}
