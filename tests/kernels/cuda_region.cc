#include "tests/kernels/twin.cuh"

static std::vector<int32_t> pixels(uint64_t seed, int regions, int n, int range)
{
    std::vector<float> u = numbers(seed, static_cast<size_t>(regions * n * 2));
    std::vector<int32_t> xy(u.size());
    for (size_t i = 0; i < u.size(); i++)
        xy[i] = static_cast<int32_t>((u[i] + 1) * 0.5f * static_cast<float>(range));
    return xy;
}

static void check_gather(twin &t, int regions, int n, int grid, int cols, bool transposed)
{
    std::vector<float> features = numbers(1, static_cast<size_t>(2 * grid * grid * cols)),
                       points = numbers(2, static_cast<size_t>(regions * n * 2));
    std::vector<int32_t> image(static_cast<size_t>(regions));
    for (int r = 0; r < regions; r++)
        image[static_cast<size_t>(r)] = r % 2;
    for (size_t i = 0; i < points.size(); i++)
        points[i] = i % 7 == 0 ? static_cast<float>(i / 7 % 2) : (points[i] + 1) / 2; /* corners as well */
    size_t out_n = static_cast<size_t>(regions * n * (cols + 2));
    float *out = t.room<float>(out_n);
    cuda_region_gather(t.s, out, t.send(features), t.send(image), t.send(points), regions, n, grid, cols, transposed);
    struct act *want = t.act(regions * n, cols + 2);
    op_region_gather(t.be, want, t.act(features, cols), t.ints(image), t.floats(points), regions, n, grid, transposed);
    t.close(t.fetch(out, out_n), t.rows_of(want, regions * n), 1e-6, "region_gather");
}

static void check_center(twin &t, int regions, int n, int cols)
{
    std::vector<float> points = uneven(4, regions * n, cols + 2);
    float *x = t.send(points);
    cuda_region_center(t.s, x, regions, n, cols);
    struct act *want = t.act(points, cols + 2);
    op_region_center(t.be, want, regions, n);
    t.close(t.fetch(x, points.size()), t.rows_of(want, regions * n), 0, "region_center");
}

/* Selection, then everything that follows from it. A small range of pixels makes equal distances common. */
static void check_stage(twin &t, int regions, int N, int S, int K, int range, int cols)
{
    size_t R = static_cast<size_t>(regions), rs = R * static_cast<size_t>(S), rn = R * static_cast<size_t>(N);
    std::vector<int32_t> xy = pixels(3, regions, N, range), size, start;
    for (int r = 0; r < regions; r++) {
        size.insert(size.end(), {r % 2 ? 4 : 32767, r % 2 ? 3 : 65535});
        start.push_back((r * 7 + 3) % N);
    }
    int32_t *anchors = t.room<int32_t>(rs), *near = t.room<int32_t>(rs * static_cast<size_t>(K)),
            *taken = t.room<int32_t>(rs * 2);
    int32_t *points_xy = t.send(xy);
    cuda_region_select(t.s, anchors, near, points_xy, t.send(size), t.send(start), regions, N, S, K);
    cuda_region_take_xy(t.s, taken, points_xy, anchors, regions, N, S);
    struct array *want_anchors = t.ints(std::vector<int32_t>(rs)),
                 *want_near = t.ints(std::vector<int32_t>(rs * static_cast<size_t>(K)));
    struct array *want_taken = t.ints(std::vector<int32_t>(rs * 2)), *cpu_xy = t.ints(xy);
    op_region_select(t.be, want_anchors, want_near, cpu_xy, t.ints(size), t.ints(start), regions, N, S, K);
    op_region_take_xy(t.be, want_taken, cpu_xy, want_anchors, regions, N, S);
    t.same(t.fetch(anchors, rs), t.ints_of(want_anchors, rs), "anchors");
    t.same(t.fetch(near, rs * static_cast<size_t>(K)), t.ints_of(want_near, rs * static_cast<size_t>(K)), "neighbours");
    t.same(t.fetch(taken, rs * 2), t.ints_of(want_taken, rs * 2), "region_take_xy");

    size_t C = static_cast<size_t>(cols);
    std::vector<float> a = uneven(5, regions * N, cols), bm = numbers(6, rs * C), points = numbers(7, rn * (C + 2));
    std::vector<float> w = numbers(8, C), b = numbers(9, C);
    float *moved = t.room<float>(rs * (C + 2));
    cuda_region_take(t.s, moved, t.send(points), anchors, regions, N, S, cols + 2);
    struct act *want_moved = t.act(regions * S, cols + 2), *cpu_points = t.act(points, cols + 2);
    op_region_take(t.be, want_moved, cpu_points, want_anchors, regions, N, S);
    t.close(t.fetch(moved, rs * (C + 2)), t.rows_of(want_moved, regions * S), 0, "region_take");
    for (bool max_pool : {true, false}) {
        float *out = t.room<float>(rs * (C + 2));
        region_pool_args args = {out,     t.send(a), t.send(bm), t.send(points), t.send(w), t.send(b),
                                 anchors, near,      cols,       cols + 2,       cols + 2,  N,
                                 S,       K,         1e-5f,      max_pool};
        cuda_region_pool(t.s, args, regions);
        struct act *want = t.act(regions * S, cols + 2);
        op_region_pool(t.be, want, t.act(a, cols), t.act(bm, cols), cpu_points, want_anchors, want_near, regions, N, S,
                       K, t.vector(w), t.vector(b), 1e-5f, max_pool);
        t.close(t.fetch(out, rs * (C + 2)), t.rows_of(want, regions * S), 2e-6,
                max_pool ? "region_pool, max" : "region_pool, mean");
    }
}

void test_region(twin &t)
{
    if (cuda_region_prepare() != cudaSuccess)
        t.fail("cuda_region_prepare");
    check_gather(t, 1, 1, 2, 1, false);
    check_gather(t, 3, 40, 6, 96, true);
    check_gather(t, 2, 9, 24, 300, false);
    check_center(t, 1, 1, 1);
    check_center(t, 3, 50, 40);
    check_center(t, 2, 17, 300);
    check_stage(t, 1, 1, 1, 1, 10, 3);
    check_stage(t, 3, 50, 12, 5, 4, 40);
    check_stage(t, 2, 300, 20, 24, 16000, 300);
    check_stage(t, 1, 512, 128, 32, 24, 8);
}
