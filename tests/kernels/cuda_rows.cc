#include "tests/kernels/twin.cuh"

#include <cuda_bf16.h>

/* A table as the device holds it. */
static const void *table_of(twin &t, const std::vector<float> &values)
{
    if (t.dtype == DTYPE_F32)
        return t.send(values);
    std::vector<__nv_bfloat16> narrow(values.size());
    for (size_t i = 0; i < values.size(); i++)
        narrow[i] = __float2bfloat16_rn(values[i]);
    return t.send(narrow);
}

static void check_embed(twin &t, int rows, int cols)
{
    size_t C = static_cast<size_t>(cols), n = static_cast<size_t>(rows);
    std::vector<float> table = numbers(1, 50 * C), image = numbers(2, 9 * C), region = numbers(3, 4 * C);
    std::vector<int32_t> kind(n), index(n), last = {49, 0, 17};
    const int32_t limits[4] = {50, 3, 9, 4};
    for (size_t r = 0; r < n; r++) {
        kind[r] = static_cast<int32_t>(r * 7 % 4);
        index[r] = static_cast<int32_t>(r * 11) % limits[kind[r]];
    }
    embed_sources from = {t.send(kind), t.send(index), t.send(last), table_of(t, table), t.send(image), t.send(region)};
    float *x = t.room<float>(n * C);
    cuda_embed(t.s, t.dtype, x, rows, cols, from);
    struct step step = {};
    step.n_rows = rows;
    step.source_kind = t.ints(kind);
    step.source_index = t.ints(index);
    struct act *want = t.act(rows, cols);
    op_embed(t.be, want, &step, t.weight(WEIGHT_TABLE, table, cols), t.act(image, cols), t.act(region, cols),
             t.ints(last));
    t.close(t.fetch(x, n * C), t.rows_of(want, rows), 0, "embed");
}

static void check_take(twin &t, int rows, int cols)
{
    std::vector<float> x = uneven(5, rows, cols);
    std::vector<int32_t> taken;
    for (int r = 0; r < rows; r += 3)
        taken.push_back(r);
    int n = static_cast<int>(taken.size());
    float *out = t.room<float>(taken.size() * static_cast<size_t>(cols));
    cuda_take_rows(t.s, out, t.send(x), t.send(taken), n, cols);
    struct act *want = t.act(n, cols);
    op_take_rows(t.be, want, t.act(x, cols), t.ints(taken), n);
    t.close(t.fetch(out, taken.size() * static_cast<size_t>(cols)), t.rows_of(want, n), 0, "take_rows");
}

static void check_vision(twin &t, int images, int side, int patch, int cols)
{
    int patches = side / patch * (side / patch), rows = images * patches, width = 3 * patch * patch;
    std::vector<float> pixels = numbers(6, static_cast<size_t>(images) * 3 * static_cast<size_t>(side * side));
    float *cut = t.room<float>(static_cast<size_t>(rows * width));
    cuda_patchify(t.s, cut, t.send(pixels), images, side, patch);
    struct act *want_cut = t.act(rows, width);
    op_patchify(t.be, want_cut, t.floats(pixels), images, side, patch);
    t.close(t.fetch(cut, static_cast<size_t>(rows * width)), t.rows_of(want_cut, rows), 0, "patchify");

    std::vector<float> x = uneven(7, rows, cols), first = numbers(8, static_cast<size_t>(cols));
    std::vector<float> place = numbers(9, static_cast<size_t>((patches + 1) * cols));
    size_t n = static_cast<size_t>(images * (patches + 1) * cols);
    float *placed = t.room<float>(n), *back = t.room<float>(static_cast<size_t>(rows * cols));
    cuda_vision_embed(t.s, placed, t.send(x), images, patches, cols, t.send(first), t.send(place));
    cuda_drop_class(t.s, back, placed, images, patches, cols);
    struct act *want = t.act(images * (patches + 1), cols), *dropped = t.act(rows, cols);
    op_vision_embed(t.be, want, t.act(x, cols), images, patches, t.vector(first), t.vector(place));
    op_drop_class(t.be, dropped, want, images, patches);
    t.close(t.fetch(placed, n), t.rows_of(want, images * (patches + 1)), 0, "vision_embed");
    t.close(t.fetch(back, static_cast<size_t>(rows * cols)), t.rows_of(dropped, rows), 0, "drop_class");
}

void test_rows(twin &t)
{
    static const int shapes[][2] = {{1, 1}, {4, 33}, {29, 256}, {8, 700}};
    for (auto &[rows, cols] : shapes) {
        check_embed(t, rows, cols);
        check_take(t, rows, cols);
    }
    check_vision(t, 1, 4, 4, 5);
    check_vision(t, 3, 28, 14, 300);
    embed_sources nothing = {};
    cuda_embed(t.s, t.dtype, nullptr, 0, 8, nothing);
    cuda_take_rows(t.s, nullptr, nullptr, nullptr, 0, 8);
    cuda_patchify(t.s, nullptr, nullptr, 0, 28, 14);
}
