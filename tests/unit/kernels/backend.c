#include "kernels/random.h"
#include "tests/unit/kernels/harness.h"

#include <criterion/criterion.h>
#include <string.h>

static enum status try_open(const char *device, enum dtype dtype, const char *isa, struct diag *why)
{
    struct backend_options o = {.device = device, .dtype = dtype, .memory_bytes = 1 << 20, .threads = 1, .isa = isa};
    struct backend *be = NULL;
    enum status s = backend_open(&o, &be, why);
    backend_close(be);
    return s;
}

Test(backend, refuses_what_it_cannot_do_by_name)
{
    struct diag why = {{0}};
    cr_expect(try_open("cpu", DTYPE_F16, "auto", &why) == ST_UNSUPPORTED);
    cr_expect_str_eq(why.text, "cpu: dtype f16 is not supported; use f32, bf16 or int8");
    cr_expect(try_open("cpu", DTYPE_FP8, "auto", &why) == ST_UNSUPPORTED);
    cr_expect_str_eq(why.text, "cpu: dtype fp8 is not supported; use f32, bf16 or int8");
    cr_expect(try_open("cpu", DTYPE_F32, "avx1024", &why) == ST_UNSUPPORTED);
    cr_expect(strstr(why.text, "avx1024") != NULL);
    cr_expect(try_open("tpu", DTYPE_F32, "auto", &why) == ST_UNSUPPORTED);
    cr_expect(try_open("cpu", DTYPE_BF16, "scalar", &why) == ST_OK);
    cr_expect(try_open("cpu", DTYPE_F32, NULL, &why) == ST_OK);
}

Test(backend, a_device_that_is_not_there_is_told_in_one_sentence)
{
    struct diag why = {{0}};
    size_t bytes = 7;
    cr_expect(try_open("cuda:999", DTYPE_F32, "auto", &why) == ST_MISSING);
    cr_expect(strncmp(why.text, "device 'cuda:999': ", 19) == 0 && strchr(why.text, '\n') == NULL, "%s", why.text);
    cr_expect(backend_device_memory("cuda:999", &bytes, &why) == ST_MISSING && bytes == 7);
    cr_expect(backend_device_memory("tpu", &bytes, &why) == ST_UNSUPPORTED && bytes == 7);
    cr_expect(backend_device_memory("cpu", &bytes, &why) == ST_OK && bytes == 0);
}

Test(backend, dtype_names_go_both_ways)
{
    struct diag why = {{0}};
    for (int d = 0; d < DTYPE_COUNT_; d++) {
        enum dtype back = DTYPE_COUNT_;
        cr_expect(dtype_parse(dtype_name((enum dtype)d), &back, &why) == ST_OK && (int)back == d);
    }
    enum dtype untouched = DTYPE_BF16;
    cr_expect(dtype_parse("f64", &untouched, &why) == ST_INVALID && untouched == DTYPE_BF16);
    cr_expect_str_eq(why.text, "dtype 'f64' is none of f32, f16, bf16, int8, fp8");
}

static enum status read_ones(void *ctx, int row, int n, float *out, struct diag *why)
{
    int *failing_row = ctx;
    if (failing_row && row + n > *failing_row)
        return diag_set(why, ST_FORMAT, "x.safetensors: layer.w: row %d is not there", *failing_row);
    for (int i = 0; i < n * 64; i++)
        out[i] = 1;
    return ST_OK;
}

Test(backend, budget_is_kept_and_told_in_numbers)
{
    struct backend *be = open_with("auto", DTYPE_F32, 1, 3 << 20);
    struct act *a = NULL;
    struct diag why = {{0}};
    cr_expect(backend_act(be, 1024, 4096, &a, &why) == ST_NOMEM && a == NULL);
    cr_expect(strstr(why.text, "16777216") && strstr(why.text, "3145728"), "%s", why.text);
    struct weight_source src = {64 * 1024, 64, read_ones, NULL};
    struct weight *w = NULL;
    cr_expect(backend_weight(be, WEIGHT_LINEAR, &src, &w, &why) == ST_NOMEM && w == NULL);
    cr_expect(backend_used_bytes(be) <= backend_caps(be)->memory_bytes);
    struct kv_shape shape = {.layers = 2, .heads = 2, .head_dim = 64, .n_pages = 1000};
    cr_expect(backend_kv(be, &shape, &why) == ST_NOMEM);
    backend_close(be);
}

Test(backend, a_weight_takes_its_own_bytes_and_little_more_at_the_peak)
{
    struct backend *be = open_with("auto", DTYPE_BF16, 2, 7 << 20);
    struct weight_source src = {32 * 1024, 64, read_ones, NULL}; /* 4 MiB in bf16, 8 MiB in f32 */
    struct weight *w = NULL;
    struct diag why = {{0}};
    cr_expect(backend_weight(be, WEIGHT_LINEAR, &src, &w, &why) == ST_OK, "%s", why.text);
    cr_expect(backend_used_bytes(be) < (5 << 20), "%zu", backend_used_bytes(be));
    backend_close(be);
}

static enum status read_seed(void *ctx, int row, int n, float *out, struct diag *why)
{
    const struct weight_seed *s = ctx;
    (void)why;
    for (int i = 0; i < n * s->cols; i++)
        out[i] = random_spread(s->seed, (uint64_t)(row * s->cols + i), s->spread);
    return ST_OK;
}

Test(backend, a_seeded_weight_is_one_that_reads_the_generator_s_numbers)
{
    enum { ROWS = 130, COLS = 64 };
    const enum dtype dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};
    for (int d = 0; d < 3; d++) {
        struct backend *be = open_isa(0, dtypes[d]);
        struct weight_seed seed = {.rows = ROWS, .cols = COLS, .seed = 1ull << 63, .spread = 0.25f};
        struct weight_source src = {.rows = ROWS, .cols = COLS, .read = read_seed, .ctx = &seed};
        struct weight *made = NULL, *read = NULL;
        struct diag why = {{0}};
        float x[COLS];
        for (int i = 0; i < COLS; i++)
            x[i] = (float)(i % 7) - 3;
        cr_assert(backend_weight_seeded(be, WEIGHT_LINEAR, &seed, &made, &why) == ST_OK, "%s", why.text);
        cr_assert(backend_weight(be, WEIGHT_LINEAR, &src, &read, &why) == ST_OK, "%s", why.text);
        struct act *in = act_from(be, x, 1, COLS), *a = act_empty(be, 1, ROWS), *b = act_empty(be, 1, ROWS);
        op_linear(be, a, 0, in, 1, made, NULL, EPI_NONE);
        op_linear(be, b, 0, in, 1, read, NULL, EPI_NONE);
        float *got = rows_of(be, a, 1), *want = rows_of(be, b, 1);
        cr_expect(got[0] != 0 && memcmp(got, want, ROWS * sizeof *got) == 0);
        backend_close(be);
    }
}

Test(backend, reader_errors_come_through)
{
    for (int use = WEIGHT_LINEAR; use <= WEIGHT_VECTOR; use++) {
        struct backend *be = open_isa(0, DTYPE_INT8);
        int failing_row = 100;
        struct weight_source src = {130, 64, read_ones, &failing_row};
        struct weight *w = NULL;
        struct diag why = {{0}};
        cr_expect(backend_weight(be, (enum weight_use)use, &src, &w, &why) == ST_FORMAT && w == NULL);
        cr_expect_str_eq(why.text, "x.safetensors: layer.w: row 100 is not there");
        backend_close(be);
    }
}

Test(backend, arrays_and_activations_keep_what_is_written)
{
    struct backend *be = open_isa(0, DTYPE_F32);
    struct diag why = {{0}};
    struct array *a = NULL;
    unsigned char bytes[5] = {1, 2, 3, 4, 5}, back[5] = {0};
    cr_assert(backend_array(be, ARRAY_U8, 9, &a, &why) == ST_OK);
    cr_expect(array_write(be, a, 4, 5, bytes, &why) == ST_OK && array_read(be, a, 3, 5, back, &why) == ST_OK);
    cr_expect(back[0] == 0 && back[1] == 1 && back[4] == 4);
    float *x = values(1, 6 * 5);
    struct act *from = act_from(be, x, 6, 5), *to = act_empty(be, 4, 5), *picked = act_empty(be, 3, 5);
    op_copy_rows(be, to, 1, from, 3, 3);
    expect_same_bits(rows_of(be, to, 4) + 5, x + 15, 15 * sizeof *x, "copied rows");
    static const int32_t rows[] = {0, 5, 2};
    op_take_rows(be, picked, from, ints(be, rows, 3), 3);
    float *got = rows_of(be, picked, 3);
    for (int i = 0; i < 3; i++)
        expect_same_bits(got + 5 * i, x + 5 * rows[i], 5 * sizeof *x, "taken row");
    cr_expect(act_cols(to) == 5 && act_max_rows(to) == 4);
    backend_close(be);
}

Test(embed, takes_each_row_from_its_source)
{
    enum { VOCAB = 12, C = 21 };
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int d = 0; d < 2; d++) {
            struct backend *be = open_isa(isa, d ? DTYPE_BF16 : DTYPE_F32);
            if (!be)
                continue;
            float *table = values(1, VOCAB * C), *image = values(2, 4 * C), *region = values(3, 2 * C);
            static const int32_t kinds[] = {SOURCE_TOKEN, SOURCE_REGION, SOURCE_SLOT, SOURCE_IMAGE};
            static const int32_t index[] = {11, 1, 2, 3}, last[] = {0, 0, 7};
            struct step step = {.n_rows = 4, .source_kind = ints(be, kinds, 4), .source_index = ints(be, index, 4)};
            struct act *x = act_empty(be, 4, C);
            op_embed(be, x, &step, weight_of(be, WEIGHT_TABLE, table, VOCAB, C), act_from(be, image, 4, C),
                     act_from(be, region, 2, C), ints(be, last, 3));
            float *got = rows_of(be, x, 4);
            const float *want[] = {table + 11 * C, region + C, table + 7 * C, image + 3 * C};
            for (int i = 0; i < 4 * C; i++) {
                bool rounded = d && (i / C == 0 || i / C == 2);
                cr_expect_float_eq(got[i], want[i / C][i % C], rounded ? 0x1p-8f : 0);
            }
            backend_close(be);
        }
}
