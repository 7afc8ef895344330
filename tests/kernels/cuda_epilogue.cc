#include "tests/kernels/twin.cuh"

#include <cmath>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void check_epilogue(twin &t, int rows, int N, int out_cols, int out_col, enum epilogue e, bool with_bias)
{
    std::vector<float> y = uneven(1, rows, N), bias = numbers(2, static_cast<size_t>(N)),
                       before = numbers(3, static_cast<size_t>(rows * out_cols));
    float *out = t.send(before);
    void *copy =
        e == EPI_QUICK_GELU && t.dtype != DTYPE_F32 ? t.room<char>(before.size() * copy_bytes(t.dtype)) : nullptr;
    cuda_epilogue(t.s, t.dtype, out, copy, out_cols, out_col, {t.send(y), N, false, nullptr, nullptr}, rows, N,
                  with_bias ? t.send(bias) : nullptr, e);
    std::vector<float> want = before, got = t.fetch(out, before.size());
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < N; i++) {
            size_t at = static_cast<size_t>(r * out_cols + out_col + i);
            double v = static_cast<double>(y[static_cast<size_t>(r * N + i)]) +
                       (with_bias ? static_cast<double>(bias[static_cast<size_t>(i)]) : 0);
            double w = e == EPI_QUICK_GELU ? v * sigmoid(1.702 * v)
                       : e == EPI_ADD      ? v + static_cast<double>(want[at])
                                           : v;
            want[at] = static_cast<float>(w);
        }
    t.close(got, want, 1e-6, "epilogue");
    if (copy && N == out_cols)
        t.copied(copy, got, "copy of an epilogue");
}

/* An identity for a weight makes the CPU's op_glu an activation alone. */
static void check_glu(twin &t, int rows, int F)
{
    std::vector<float> y = uneven(4, rows, 2 * F), identity(static_cast<size_t>(4 * F * F));
    size_t n = static_cast<size_t>(rows * F);
    float *out = t.room<float>(n);
    void *copy = t.dtype == DTYPE_F32 ? nullptr : t.room<char>(n * copy_bytes(t.dtype));
    cuda_glu(t.s, t.dtype, out, copy, {t.send(y), 2 * F, false, nullptr, nullptr}, rows, F);
    std::vector<float> got = t.fetch(out, n), want(n);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < F; i++) {
            double g = static_cast<double>(y[static_cast<size_t>(r * 2 * F + i)]),
                   u = static_cast<double>(y[static_cast<size_t>(r * 2 * F + F + i)]);
            want[static_cast<size_t>(r * F + i)] = static_cast<float>(g * sigmoid(g) * u);
        }
    t.close(got, want, 1e-6, "GLU");
    if (copy)
        t.copied(copy, got, "copy of a GLU");
    if (t.dtype != DTYPE_F32)
        return;
    for (int i = 0; i < 2 * F; i++)
        identity[static_cast<size_t>(i * 2 * F + i)] = 1;
    struct act *a = t.act(rows, F);
    op_glu(t.be, a, t.act(y, 2 * F), rows, t.weight(WEIGHT_GLU, identity, 2 * F));
    t.close(got, t.rows_of(a, rows), 1e-6, "GLU against the CPU");
}

void test_epilogue(twin &t)
{
    for (enum epilogue e : {EPI_NONE, EPI_QUICK_GELU, EPI_ADD})
        for (bool with_bias : {false, true}) {
            check_epilogue(t, 1, 1, 1, 0, e, with_bias);
            check_epilogue(t, 5, 300, 300, 0, e, with_bias);
            check_epilogue(t, 3, 40, 100, 60, e, with_bias);
        }
    check_glu(t, 1, 1);
    check_glu(t, 6, 77);
    check_glu(t, 3, 300);
}
