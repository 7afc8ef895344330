#include "tests/unit/kernels/harness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct shape {
    int rows, k, n;
} shapes[] = {{1, 1, 1},      {1, 31, 257},   {31, 257, 31},  {257, 31, 1},    {5, 127, 67},   {64, 96, 288},
              {80, 288, 104}, {3, 1026, 130}, {33, 512, 600}, {9, 1024, 1026}, {40, 1300, 70}, {150, 771, 33}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* f32: rounding of sums alone. bf16: both factors lose 8 bits, errors of one product 2^-9 each. int8: 1/127 steps. */
static double bound_of(enum dtype d)
{
    return d == DTYPE_F32 ? 1e-6 : d == DTYPE_BF16 ? 5e-3 : 1.5e-2;
}

static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};

static double gelu(double y)
{
    return y / (1 + exp(-1.702 * y));
}

static void check_linear(struct backend *be, enum dtype d, struct shape s, enum epilogue epilogue)
{
    size_t out_n = (size_t)s.rows * (size_t)s.n;
    float *x = values(1, (size_t)(s.rows * s.k)), *w = values(2, (size_t)(s.n * s.k)), *b = values(3, (size_t)s.n);
    float *start = values(4, out_n);
    struct act *in = act_from(be, x, s.rows, s.k), *out = act_from(be, start, s.rows, s.n);
    op_linear(be, out, 0, in, s.rows, weight_of(be, WEIGHT_LINEAR, w, s.n, s.k),
              weight_of(be, WEIGHT_VECTOR, b, 1, s.n), epilogue);
    double *want = product(x, w, s.rows, s.k, s.n);
    for (size_t i = 0; i < out_n; i++) {
        want[i] += (double)b[i % (size_t)s.n];
        want[i] = epilogue == EPI_ADD          ? want[i] + (double)start[i]
                  : epilogue == EPI_QUICK_GELU ? gelu(want[i])
                                               : want[i];
    }
    char what[128];
    snprintf(what, sizeof what, "%s %s %dx%dx%d epilogue %d", backend_caps(be)->device, dtype_name(d), s.rows, s.k, s.n,
             epilogue);
    expect_close(rows_of(be, out, s.rows), want, out_n, bound_of(d), what);
}

Test(linear, agrees_with_double_in_every_dtype_set_and_epilogue)
{
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (size_t d = 0; d < 3; d++)
            for (int s = 0; s < N_SHAPES; s++)
                for (int e = EPI_NONE; e <= EPI_ADD; e++) {
                    struct backend *be = open_isa(isa, dtypes[d]);
                    if (be)
                        check_linear(be, dtypes[d], shapes[s], (enum epilogue)e);
                    backend_close(be);
                }
}

Test(linear, writes_only_its_columns)
{
    struct backend *be = open_isa(0, DTYPE_F32);
    float *x = values(1, 4 * 8), *w = values(2, 5 * 8), *start = values(3, 4 * 20);
    struct act *out = act_from(be, start, 4, 20);
    op_linear(be, out, 7, act_from(be, x, 4, 8), 3, weight_of(be, WEIGHT_LINEAR, w, 5, 8), NULL, EPI_NONE);
    float *got = rows_of(be, out, 4);
    double *want = product(x, w, 3, 8, 5);
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 20; c++) {
            bool mine = r < 3 && c >= 7 && c < 12;
            double expected = mine ? want[r * 5 + c - 7] : (double)start[r * 20 + c];
            cr_expect_float_eq(got[r * 20 + c], expected, 1e-6);
        }
    backend_close(be);
}

Test(linear, f32_weight_reads_consecutive_rows_as_one)
{
    enum { R = 3, ROWS = 32, C = 18, N = 24 };
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        struct backend *be = open_isa(isa, DTYPE_BF16);
        if (!be)
            continue;
        float *x = values(1, R * ROWS * C), *w = values(2, N * ROWS * C);
        struct act *out = act_empty(be, R, N);
        op_linear(be, out, 0, act_from(be, x, R * ROWS, C), R, weight_of(be, WEIGHT_LINEAR_F32, w, N, ROWS * C), NULL,
                  EPI_NONE);
        expect_close(rows_of(be, out, R), product(x, w, R, ROWS * C, N), R * N, 1e-6, isa_name(isa));
        backend_close(be);
    }
}

/* The bits of every row must be those of the row alone. */
static void check_row_rule(struct backend *be, int k, int n, bool glu)
{
    enum { MOST = 300 };
    static const int counts[] = {1, 2, 3, 5, 8, 9, 17, 31, 48, 63, 65, 100, 129, 200, 255, 257, 300};
    float *x = values(7, (size_t)MOST * (size_t)k), *w = values(8, (size_t)(2 * n) * (size_t)k);
    struct weight *m = weight_of(be, glu ? WEIGHT_GLU : WEIGHT_LINEAR, w, glu ? 2 * n : n, k);
    struct act *in = act_from(be, x, MOST, k), *out = act_empty(be, MOST, n), *one = act_empty(be, 1, k);
    float *first = zeros((size_t)MOST * (size_t)n);
    struct diag why = {{0}};
    for (int r = 0; r < MOST; r++) {
        op_copy_rows(be, one, 0, in, r, 1);
        if (glu)
            op_glu(be, out, one, 1, m);
        else
            op_linear(be, out, 0, one, 1, m, NULL, EPI_NONE);
        cr_assert(act_read(be, out, 0, 1, first + (ptrdiff_t)r * n, &why) == ST_OK);
    }
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        if (glu)
            op_glu(be, out, in, counts[c], m);
        else
            op_linear(be, out, 0, in, counts[c], m, NULL, EPI_NONE);
        char what[96];
        snprintf(what, sizeof what, "%s k %d n %d rows %d", backend_caps(be)->device, k, n, counts[c]);
        expect_same_bits(rows_of(be, out, counts[c]), first, (size_t)counts[c] * (size_t)n * sizeof(float), what);
    }
}

Test(linear, row_bits_do_not_depend_on_other_rows)
{
    static const int dims[][2] = {{24, 72}, {96, 96}, {288, 544}, {1026, 64}, {2048, 96}, {31, 19}};
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (size_t d = 0; d < 3; d++)
            for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
                struct backend *be = open_isa(isa, dtypes[d]);
                if (be && backend_caps(be)->invariant)
                    check_row_rule(be, dims[i][0], dims[i][1], i % 2 == 0);
                backend_close(be);
            }
}

Test(linear, bits_do_not_depend_on_the_number_of_threads)
{
    enum { M = 37, K = 192, N = 700 };
    float *x = values(1, M * K), *w = values(2, N * K), *first = NULL;
    for (int isa = 0; isa < ISA_COUNT; isa++, first = NULL)
        for (int threads = 1; threads <= 4; threads++) {
            struct backend *be = open_with(isa_name(isa), DTYPE_F32, threads, (size_t)1 << 30);
            if (!be)
                continue;
            struct act *out = act_empty(be, M, N);
            op_linear(be, out, 0, act_from(be, x, M, K), M, weight_of(be, WEIGHT_LINEAR, w, N, K), NULL, EPI_NONE);
            float *got = rows_of(be, out, M);
            if (first)
                expect_same_bits(got, first, sizeof(float) * M * N, backend_caps(be)->device);
            first = first ? first : got;
            backend_close(be);
        }
}

Test(linear, int8_keeps_small_rows_beside_large_ones)
{
    enum { K = 64, N = 48 };
    struct backend *be = open_isa(2, DTYPE_INT8);
    if (!be)
        cr_skip_test("no AVX-512");
    float *x = values(1, 2 * K), *w = values(2, N * K);
    for (int i = 0; i < K; i++)
        x[i] *= 1000;
    struct act *out = act_empty(be, 2, N);
    op_linear(be, out, 0, act_from(be, x, 2, K), 2, weight_of(be, WEIGHT_LINEAR, w, N, K), NULL, EPI_NONE);
    expect_close(rows_of(be, out, 2) + N, product(x + K, w, 1, K, N), N, 1.5e-2, "small row");
    backend_close(be);
}

Test(glu, agrees_with_double)
{
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (size_t d = 0; d < 3; d++) {
            enum { M = 19, K = 100, F = 270 };
            struct backend *be = open_isa(isa, dtypes[d]);
            if (!be)
                continue;
            float *x = values(1, M * K), *w = values(2, 2 * F * K);
            struct act *out = act_empty(be, M, F);
            op_glu(be, out, act_from(be, x, M, K), M, weight_of(be, WEIGHT_GLU, w, 2 * F, K));
            double *gate = product(x, w, M, K, F), *up = product(x, w + F * K, M, K, F);
            for (int i = 0; i < M * F; i++)
                up[i] *= gate[i] / (1 + exp(-gate[i]));
            expect_close(rows_of(be, out, M), up, M * F, bound_of(dtypes[d]), backend_caps(be)->device);
            backend_close(be);
        }
}
