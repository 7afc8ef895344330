#include "tests/unit/kernels/harness.h"

#include <criterion/criterion.h>
#include <math.h>

Test(patchify, orders_a_patch_as_channel_row_column)
{
    enum { B = 2, SIDE = 6, PATCH = 3, GRID = SIDE / PATCH, COLS = 3 * PATCH * PATCH };
    struct backend *be = open_isa(0, DTYPE_F32);
    float *pixels = values(1, B * 3 * SIDE * SIDE);
    struct act *out = act_empty(be, B * GRID * GRID, COLS);
    op_patchify(be, out, floats(be, pixels, B * 3 * SIDE * SIDE), B, SIDE, PATCH);
    float *got = rows_of(be, out, B * GRID * GRID);
    for (int i = 0; i < B * GRID * GRID * COLS; i++) {
        int row = i / COLS, c = i % COLS / 9, y = row % 4 / GRID * PATCH + i % 9 / 3, x = row % GRID * PATCH + i % 3;
        cr_expect(got[i] == pixels[((row / 4 * 3 + c) * SIDE + y) * SIDE + x], "element %d", i);
    }
    backend_close(be);
}

Test(vision_embed, puts_the_class_first_and_adds_positions_and_drop_class_takes_it_off)
{
    enum { B = 2, P = 4, C = 17 };
    struct backend *be = open_isa(1, DTYPE_F32);
    if (!be)
        cr_skip_test("no AVX2");
    float *patches = values(1, B * P * C), *class_row = values(2, C), *position = values(3, (P + 1) * C);
    struct act *x = act_empty(be, B * (P + 1), C), *dropped = act_empty(be, B * P, C);
    op_vision_embed(be, x, act_from(be, patches, B * P, C), B, P, weight_of(be, WEIGHT_VECTOR, class_row, 1, C),
                    weight_of(be, WEIGHT_VECTOR, position, 1, (P + 1) * C));
    op_drop_class(be, dropped, x, B, P);
    float *got = rows_of(be, x, B * (P + 1)), *rest = rows_of(be, dropped, B * P);
    for (int i = 0; i < B * (P + 1) * C; i++) {
        int row = i / C, place = row % (P + 1), b = row / (P + 1), c = i % C;
        float from = place == 0 ? class_row[c] : patches[(b * P + place - 1) * C + c];
        cr_expect(got[i] == from + position[place * C + c]);
        cr_expect(place == 0 || rest[(b * P + place - 1) * C + c] == got[i]);
    }
    backend_close(be);
}

static double *full(const float *qkv, int images, int L, int heads, int D)
{
    int C = heads * D;
    double *out = keep((size_t)(images * L * C) * sizeof *out), *p = keep((size_t)L * sizeof *p);
    for (int i = 0; i < images * L * heads; i++) {
        int row = i / heads, h = i % heads, first = row / L * L;
        double total = 0;
        for (int j = 0; j < L; j++) {
            double score = 0;
            for (int d = 0; d < D; d++)
                score += (double)qkv[row * 3 * C + h * D + d] * (double)qkv[(first + j) * 3 * C + C + h * D + d];
            total += p[j] = exp(score / sqrt(D));
        }
        for (int j = 0; j < L; j++)
            for (int d = 0; d < D; d++)
                out[row * C + h * D + d] += p[j] / total * (double)qkv[(first + j) * 3 * C + 2 * C + h * D + d];
    }
    return out;
}

Test(attention_full, agrees_with_double_and_keeps_images_apart)
{
    static const int shapes[][4] = {{1, 1, 1, 2}, {2, 37, 4, 16}, {3, 129, 3, 24}, {1, 577, 2, 64}};
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            int B = shapes[i][0], L = shapes[i][1], H = shapes[i][2], D = shapes[i][3], C = H * D;
            struct backend *be = open_isa(isa, DTYPE_F32);
            if (!be)
                continue;
            float *qkv = values(1, (size_t)(B * L * 3 * C));
            struct act *out = act_empty(be, B * L, C);
            op_attention_full(be, out, act_from(be, qkv, B * L, 3 * C), B, L, H);
            float *all = rows_of(be, out, B * L);
            expect_close(all, full(qkv, B, L, H, D), (size_t)(B * L * C), 1e-6, backend_caps(be)->device);
            op_attention_full(be, out, act_from(be, qkv + (ptrdiff_t)(B - 1) * L * 3 * C, L, 3 * C), 1, L, H);
            expect_same_bits(rows_of(be, out, L), all + (ptrdiff_t)(B - 1) * L * C, sizeof(float) * (size_t)(L * C),
                             "the last image alone");
            backend_close(be);
        }
}
