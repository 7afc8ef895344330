#include "tests/unit/kernels/harness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static double *layer_norm(const float *x, const float *w, const float *b, int rows, int n, double eps)
{
    double *y = product(x, x, rows, 0, n);
    for (int r = 0; r < rows; r++) {
        double mean = 0, var = 0;
        const float *row = x + (ptrdiff_t)r * n;
        for (int i = 0; i < n; i++)
            mean += (double)row[i] / n;
        for (int i = 0; i < n; i++)
            var += ((double)row[i] - mean) * ((double)row[i] - mean) / n;
        for (int i = 0; i < n; i++)
            y[(ptrdiff_t)r * n + i] = ((double)row[i] - mean) / sqrt(var + eps) * (double)w[i] + (double)b[i];
    }
    return y;
}

static double *rms_norm(const float *x, const float *w, int rows, int n, double eps)
{
    double *y = product(x, x, rows, 0, n);
    for (int r = 0; r < rows; r++) {
        double squares = 0;
        const float *row = x + (ptrdiff_t)r * n;
        for (int i = 0; i < n; i++)
            squares += (double)row[i] * (double)row[i] / n;
        for (int i = 0; i < n; i++)
            y[(ptrdiff_t)r * n + i] = (double)row[i] / sqrt(squares + eps) * (double)w[i];
    }
    return y;
}

static const int widths[] = {1, 2, 15, 31, 97, 257, 1024, 4096};

Test(norm, agrees_with_double_for_any_width_and_size)
{
    static const float scales[] = {1, 150};
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
            for (int s = 0; s < 2; s++) {
                int n = widths[i], rows = 7;
                struct backend *be = open_isa(isa, DTYPE_F32);
                if (!be)
                    continue;
                float *x = values(1, (size_t)(rows * n)), *w = values(2, (size_t)n), *b = values(3, (size_t)n);
                for (int k = 0; k < rows * n; k++)
                    x[k] = x[k] * scales[s] + 0.5f;
                struct weight *W = weight_of(be, WEIGHT_VECTOR, w, 1, n), *B = weight_of(be, WEIGHT_VECTOR, b, 1, n);
                struct act *in = act_from(be, x, rows, n), *out = act_empty(be, rows, n);
                op_norm(be, out, in, rows, NORM_RMS, W, NULL, 1e-6f, false);
                expect_close(rows_of(be, out, rows), rms_norm(x, w, rows, n, 1e-6), (size_t)(rows * n), 1e-6,
                             backend_caps(be)->device);
                op_norm(be, in, in, rows, NORM_LAYER, W, B, 1e-5f, false);
                expect_close(rows_of(be, in, rows), layer_norm(x, w, b, rows, n, 1e-5), (size_t)(rows * n), 2e-6,
                             backend_caps(be)->device);
                backend_close(be);
            }
}

Test(norm, rms_rounds_to_bf16_before_the_weight)
{
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        struct backend *be = open_isa(isa, DTYPE_BF16);
        if (!be)
            continue;
        enum { N = 40 };
        float *x = values(1, N), *w = values(2, N);
        struct act *out = act_empty(be, 1, N);
        op_norm(be, out, act_from(be, x, 1, N), 1, NORM_RMS, weight_of(be, WEIGHT_VECTOR, w, 1, N), NULL, 1e-6f, true);
        float *got = rows_of(be, out, 1);
        for (int i = 0; i < N; i++) {
            float rounded = got[i] / w[i];
            uint32_t bits;
            memcpy(&bits, &rounded, sizeof bits);
            bits = (bits + 0x8000) & 0xFFFF0000;
            memcpy(&rounded, &bits, sizeof bits);
            cr_expect(rounded * w[i] == got[i], "%s element %d is no bf16 number times the weight", isa_name(isa), i);
        }
        backend_close(be);
    }
}

Test(norm, row_bits_do_not_depend_on_other_rows)
{
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        struct backend *be = open_isa(isa, DTYPE_F32);
        if (!be)
            continue;
        enum { N = 300, ROWS = 63 };
        float *x = values(1, N * ROWS), *w = values(2, N);
        struct weight *W = weight_of(be, WEIGHT_VECTOR, w, 1, N);
        struct act *out = act_empty(be, ROWS, N);
        op_norm(be, out, act_from(be, x, ROWS, N), ROWS, NORM_RMS, W, NULL, 1e-6f, true);
        float *all = rows_of(be, out, ROWS);
        for (int r = 0; r < ROWS; r += 31) {
            op_norm(be, out, act_from(be, x + r * N, 1, N), 1, NORM_RMS, W, NULL, 1e-6f, true);
            expect_same_bits(rows_of(be, out, 1), all + r * N, N * sizeof(float), isa_name(isa));
        }
        backend_close(be);
    }
}
