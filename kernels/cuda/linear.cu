/* op_linear and op_glu: the input's copy in the compute dtype, products of at most GEMM_ROWS rows, and what stands
 * behind them. A product goes straight into its activation where nothing does. */
#include "kernels/cuda/cuda.cuh"

/* Brings the copy in the compute dtype up to date for the first `rows` rows. */
static void convert(cuda &c, cuda_act &x, int rows)
{
    int cols = x.base.cols;
    if (rows <= x.copied)
        return;
    size_t first = static_cast<size_t>(x.copied), bytes = type_bytes(c.base.dtype);
    cuda_narrow(c.stream, c.base.dtype,
                static_cast<char *>(x.copy) + first * static_cast<size_t>(x.padded_cols) * bytes,
                x.scales ? x.scales + first : nullptr, x.values + first * static_cast<size_t>(cols), rows - x.copied,
                cols, x.padded_cols);
    cuda_launched(c, "narrowing", rows - x.copied, cols);
    x.copied = rows;
}

/* Input rows of one product, which may be several of the activation's side by side. */
struct input {
    const char *rows;
    const float *scales;
    int stride; /* elements */
    size_t bytes;
    bool padded; /* rows past the last are there to be read */
};

static input input_of(cuda &c, const struct act *a, int rows, const cuda_weight &w)
{
    cuda_act &x = *act_of(a);
    if (w.type == DTYPE_F32)
        return {reinterpret_cast<const char *>(x.values), nullptr, w.base.cols, sizeof(float),
                w.base.cols == x.base.cols};
    convert(c, x, rows);
    return {static_cast<const char *>(x.copy), x.scales, x.padded_cols, type_bytes(w.type), true};
}

/* The own kernel where the library's rows are not there: always or never for a matrix and its activation. */
static void multiply(cuda &c, const input &in, int row, int n, const cuda_weight &w, void *d, int ldd)
{
    gemm_args g = {in.rows + static_cast<size_t>(row) * static_cast<size_t>(in.stride) * in.bytes,
                   w.data,
                   d,
                   in.stride,
                   w.cols,
                   ldd,
                   n,
                   w.rows,
                   w.cols};
    if (in.padded)
        gemm_run(c, w.plan, g);
    else
        cuda_gemm(c.stream, w.type, g);
    cuda_launched(c, "product", n, w.rows);
}

static product product_of(const cuda &c, const input &in, int row, const cuda_weight &w)
{
    return {c.product, w.rows, w.type == DTYPE_INT8, in.scales ? in.scales + row : nullptr, w.scales};
}

/* Where the copy of a result goes, or NULL: rows of int8 and FP8 are narrowed whole, by the next product. */
static void *copy_at(const cuda &c, const cuda_act &out, int row)
{
    if (!out.copy || has_scales(c.base.dtype) || out.padded_cols != out.base.cols)
        return nullptr;
    return static_cast<char *>(out.copy) +
           static_cast<size_t>(row) * static_cast<size_t>(out.padded_cols) * type_bytes(c.base.dtype);
}

static int piece_of(int rows, int row)
{
    return rows - row < GEMM_ROWS ? rows - row : static_cast<int>(GEMM_ROWS);
}

void cuda_linear(struct backend *be, struct act *out, int out_col, const struct act *x, int rows,
                 const struct weight *weight, const struct weight *bias, enum epilogue epilogue)
{
    cuda &c = *cuda_of(be);
    cuda_act &o = *act_of(out);
    const cuda_weight &w = *weight_of(weight);
    input in = input_of(c, x, rows, w);
    bool direct = !bias && epilogue == EPI_NONE && !w.scales && w.rows == weight->rows;
    bool exact = !in.padded || !gemm_by_library(w.plan);
    direct = direct && (exact || (out_col % 4 == 0 && out->cols % 4 == 0));
    bool whole = out_col == 0 && weight->rows == out->cols;
    bool copied = epilogue == EPI_QUICK_GELU && whole && copy_at(c, o, 0);
    for (int row = 0, n; row < rows; row += n) {
        n = piece_of(rows, row);
        float *to = o.values + static_cast<size_t>(row) * static_cast<size_t>(out->cols);
        if (direct && (exact || gemm_padded(n) == n)) {
            multiply(c, in, row, n, w, to + out_col, out->cols);
            continue;
        }
        multiply(c, in, row, n, w, c.product, w.rows);
        cuda_epilogue(c.stream, be->dtype, to, copied ? copy_at(c, o, row) : nullptr, out->cols, out_col,
                      product_of(c, in, row, w), n, weight->rows, vector_of(bias), epilogue);
        cuda_launched(c, "what stands behind a product", n, weight->rows);
    }
    o.copied = copied ? rows : 0;
}

void cuda_op_glu(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *weight)
{
    cuda &c = *cuda_of(be);
    cuda_act &o = *act_of(out);
    const cuda_weight &w = *weight_of(weight);
    input in = input_of(c, x, rows, w);
    for (int row = 0, n; row < rows; row += n) {
        n = piece_of(rows, row);
        multiply(c, in, row, n, w, c.product, w.rows);
        cuda_glu(c.stream, be->dtype, o.values + static_cast<size_t>(row) * static_cast<size_t>(out->cols),
                 copy_at(c, o, row), product_of(c, in, row, w), n, out->cols);
        cuda_launched(c, "GLU", n, out->cols);
    }
    o.copied = copy_at(c, o, 0) ? rows : 0;
}
