#include "tests/unit/kernels/harness.h"
#include "kernels/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const isas[ISA_COUNT] = {"scalar", "avx2", "avx512"};

const char *isa_name(int isa)
{
    return isas[isa];
}

struct backend *open_with(const char *isa, enum dtype dtype, int threads, size_t memory_bytes)
{
    struct backend_options o = {
        .device = "cpu", .dtype = dtype, .memory_bytes = memory_bytes, .threads = threads, .isa = isa};
    struct backend *be = NULL;
    struct diag why = {{0}};
    enum status s = backend_open(&o, &be, &why);
    if (s == ST_UNSUPPORTED)
        return NULL;
    cr_assert(s == ST_OK, "%s", why.text);
    return be;
}

struct backend *open_isa(int isa, enum dtype dtype)
{
    return open_with(isas[isa], dtype, 2, (size_t)1 << 30);
}

static void must(enum status s, const struct diag *why)
{
    cr_assert(s == ST_OK, "%s: %s", status_word(s), why->text);
}

void *keep(size_t bytes)
{
    static struct kept {
        struct kept *next;
        max_align_t data[];
    } * all;
    struct kept *k = calloc(1, sizeof *k + bytes);
    cr_assert(k);
    k->next = all;
    all = k;
    return k->data;
}

float *zeros(size_t n)
{
    return keep(n * sizeof(float));
}

float *values(uint64_t seed, size_t n)
{
    float *p = zeros(n);
    for (size_t i = 0; i < n; i++)
        p[i] = random_uniform(seed, i) * 2 - 1;
    return p;
}

struct reader {
    const float *data;
    int cols, next, rows;
};

static enum status read_rows(void *ctx, int row, int n, float *out, struct diag *why)
{
    struct reader *r = ctx;
    (void)why;
    if (row == 0)
        r->next = 0;
    cr_assert(row == r->next && n > 0 && row + n <= r->rows, "rows are read in order, once a pass");
    r->next = row + n;
    memcpy(out, r->data + (size_t)row * (size_t)r->cols, (size_t)n * (size_t)r->cols * sizeof *out);
    return ST_OK;
}

struct weight *weight_of(struct backend *be, enum weight_use use, const float *data, int rows, int cols)
{
    struct reader r = {data, cols, 0, rows};
    struct weight_source src = {rows, cols, read_rows, &r};
    struct weight *w = NULL;
    struct diag why = {{0}};
    must(backend_weight(be, use, &src, &w, &why), &why);
    cr_assert(r.next == rows);
    return w;
}

struct act *act_empty(struct backend *be, int rows, int cols)
{
    struct act *a = NULL;
    struct diag why = {{0}};
    must(backend_act(be, rows, cols, &a, &why), &why);
    return a;
}

struct act *act_from(struct backend *be, const float *data, int rows, int cols)
{
    struct act *a = act_empty(be, rows, cols);
    struct diag why = {{0}};
    must(act_write(be, a, 0, rows, data, &why), &why);
    return a;
}

float *rows_of(struct backend *be, const struct act *a, int rows)
{
    float *p = zeros((size_t)rows * (size_t)act_cols(a));
    struct diag why = {{0}};
    must(act_read(be, a, 0, rows, p, &why), &why);
    return p;
}

static struct array *array_of(struct backend *be, enum array_kind kind, const void *data, size_t n)
{
    struct array *a = NULL;
    struct diag why = {{0}};
    must(backend_array(be, kind, n ? n : 1, &a, &why), &why);
    if (data && n)
        must(array_write(be, a, 0, n, data, &why), &why);
    return a;
}

struct array *ints(struct backend *be, const int32_t *data, size_t n)
{
    return array_of(be, ARRAY_I32, data, n);
}

struct array *floats(struct backend *be, const float *data, size_t n)
{
    return array_of(be, ARRAY_F32, data, n);
}

int32_t *ints_of(struct backend *be, const struct array *a, size_t n)
{
    return (int32_t *)(void *)floats_of(be, a, n);
}

float *floats_of(struct backend *be, const struct array *a, size_t n)
{
    float *p = zeros(n);
    struct diag why = {{0}};
    must(array_read(be, a, 0, n, p, &why), &why);
    return p;
}

double relative_error(const float *got, const double *want, size_t n)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += want[i] * want[i];
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

void expect_close(const float *got, const double *want, size_t n, double bound, const char *what)
{
    double error = relative_error(got, want, n);
    cr_expect(error <= bound, "%s: relative error %.3g, allowed %.3g", what, error, bound);
}

void expect_same_bits(const void *a, const void *b, size_t bytes, const char *what)
{
    cr_expect(memcmp(a, b, bytes) == 0, "%s: bits differ", what);
}

double *product(const float *x, const float *w, int rows, int k, int n)
{
    double *y = keep((size_t)rows * (size_t)n * sizeof *y);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < n; c++)
            for (int i = 0; i < k; i++)
                y[(ptrdiff_t)r * n + c] += (double)x[(ptrdiff_t)r * k + i] * (double)w[(ptrdiff_t)c * k + i];
    return y;
}
