#include "tests/unit/kernels/harness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

__extension__ typedef __int128 exact; /* wider than the product needs */

struct choice {
    int32_t *anchors, *neighbours;
};

static struct choice chosen(struct backend *be, const int32_t *xy, const int32_t *size, const int32_t *start, int R,
                            int N, int S, int K)
{
    struct array *anchors = ints(be, NULL, (size_t)(R * S)), *neighbours = ints(be, NULL, (size_t)(R * S * K));
    op_region_select(be, anchors, neighbours, ints(be, xy, (size_t)(R * N * 2)), ints(be, size, (size_t)(R * 2)),
                     ints(be, start, (size_t)R), R, N, S, K);
    return (struct choice){ints_of(be, anchors, (size_t)(R * S)), ints_of(be, neighbours, (size_t)(R * S * K))};
}

static exact distance(const int32_t *xy, int a, int b, const int32_t *size)
{
    exact dx = (exact)(xy[2 * a] - xy[2 * b]) * size[1], dy = (exact)(xy[2 * a + 1] - xy[2 * b + 1]) * size[0];
    return dx * dx + dy * dy;
}

/* The rule written down: every step looks at every earlier anchor again. */
static void check_farthest(const int32_t *anchors, const int32_t *xy, const int32_t *size, int start, int N, int S)
{
    cr_expect(anchors[0] == start);
    for (int s = 1; s < S; s++) {
        int best = 0;
        exact best_distance = -1;
        for (int i = 0; i < N; i++) {
            exact nearest = distance(xy, i, anchors[0], size);
            for (int e = 1; e < s; e++) {
                exact d = distance(xy, i, anchors[e], size);
                nearest = d < nearest ? d : nearest;
            }
            if (nearest > best_distance) {
                best = i;
                best_distance = nearest;
            }
        }
        cr_expect(anchors[s] == best, "anchor %d is %d, the rule says %d", s, anchors[s], best);
    }
}

/* A neighbour's place is the number of points before it by (distance, index). */
static void check_nearest(const int32_t *near, int anchor, const int32_t *xy, const int32_t *size, int N, int K)
{
    for (int i = 0; i < N; i++) {
        int before = 0;
        exact mine = distance(xy, i, anchor, size);
        for (int o = 0; o < N; o++) {
            exact d = distance(xy, o, anchor, size);
            before += d < mine || (d == mine && o < i);
        }
        if (before < K)
            cr_expect(near[before] == i, "neighbour %d of %d is %d, the rule says %d", before, anchor, near[before], i);
    }
}

static void check_scene(struct backend *be, uint64_t seed, int range, const int32_t *size, int R, int N, int S, int K)
{
    int32_t *xy = keep((size_t)(R * N * 2) * sizeof *xy), sizes[8], start[4];
    float *u = values(seed, (size_t)(R * N * 2));
    for (int i = 0; i < R * N * 2; i++)
        xy[i] = (int32_t)((u[i] + 1) * 0.5f * (float)range);
    for (int r = 0; r < R; r++) {
        memcpy(sizes + 2 * r, size, 2 * sizeof *size);
        start[r] = (r * 7 + 3) % N;
    }
    struct choice c = chosen(be, xy, sizes, start, R, N, S, K);
    for (int r = 0; r < R; r++) {
        const int32_t *points = xy + r * N * 2;
        check_farthest(c.anchors + r * S, points, size, start[r], N, S);
        for (int s = 0; s<S; s += S> 8 ? 5 : 1)
            check_nearest(c.neighbours + (r * S + s) * K, c.anchors[r * S + s], points, size, N, K);
    }
}

Test(region_select, follows_the_written_rule_with_ties_and_duplicates)
{
    struct backend *be = open_isa(0, DTYPE_F32);
    static const int32_t square[] = {1, 1}, wide[] = {4, 3}, huge[] = {65535, 32749};
    check_scene(be, 1, 640, wide, 2, 128, 32, 24);
    check_scene(be, 2, 6, square, 4, 100, 60, 24); /* 36 distinct places only */
    check_scene(be, 3, 32000, huge, 1, 64, 16, 7); /* distances near 2^62 */
    check_scene(be, 4, 1, square, 1, 8, 8, 8);     /* all in one place */
    backend_close(be);
}

Test(region_select, repeats_point_zero_when_distinct_points_run_out)
{
    struct backend *be = open_isa(0, DTYPE_F32);
    static const int32_t xy[] = {5, 5, 5, 5, 9, 5, 5, 5}, size[] = {4, 3}, start[] = {1};
    struct choice c = chosen(be, xy, size, start, 1, 4, 4, 2);
    static const int32_t anchors[] = {1, 2, 0, 0};
    expect_same_bits(c.anchors, anchors, sizeof anchors, "anchors");
    backend_close(be);
}

Test(region_gather, blends_four_cells_and_appends_the_point)
{
    enum { B = 2, GRID = 6, C = 19, R = 3, N = 40 };
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int transposed = 0; transposed < 2; transposed++) {
            struct backend *be = open_isa(isa, DTYPE_BF16);
            if (!be)
                continue;
            float *f = values(1, B * GRID * GRID * C), *p = values(2, R * N * 2);
            for (int i = 0; i < R * N * 2; i++)
                p[i] = i < 4 ? (float)(i / 2) : (p[i] + 1) / 2; /* the corners 0 and 1 too */
            static const int32_t image[R] = {1, 0, 1};
            struct act *out = act_empty(be, R * N, C + 2);
            op_region_gather(be, out, act_from(be, f, B * GRID * GRID, C), ints(be, image, R), floats(be, p, R * N * 2),
                             R, N, GRID, transposed);
            float *got = rows_of(be, out, R * N);
            double want[C + 2];
            for (int i = 0; i < R * N; i++) {
                double x = (double)p[2 * i + transposed] * (GRID - 1), y = (double)p[2 * i + !transposed] * (GRID - 1);
                int cx = x >= GRID - 1 ? GRID - 2 : (int)x, cy = y >= GRID - 1 ? GRID - 2 : (int)y;
                const float *cell = f + ((image[i / N] * GRID + cy) * GRID + cx) * C;
                for (int c = 0; c < C; c++) {
                    double top = (double)cell[c] * (1 - (x - cx)) + (double)cell[C + c] * (x - cx);
                    const float *below = cell + GRID * C;
                    double bottom = (double)below[c] * (1 - (x - cx)) + (double)below[C + c] * (x - cx);
                    want[c] = top * (1 - (y - cy)) + bottom * (y - cy);
                }
                want[C] = (double)p[2 * i];
                want[C + 1] = (double)p[2 * i + 1];
                expect_close(got + i * (C + 2), want, C + 2, 2e-6, isa_name(isa));
            }
            backend_close(be);
        }
}

static void pool_row(double *out, const float *a, const float *anchor, const float *b, const float *w,
                     const float *bias, int C, bool max_pool)
{
    double v[64], mean = 0, var = 0;
    for (int c = 0; c < C; c++) {
        v[c] = fmax(0, (double)a[c] - (double)anchor[c] + (double)b[c]);
        mean += v[c] / C;
    }
    for (int c = 0; c < C; c++)
        var += (v[c] - mean) * (v[c] - mean) / C;
    for (int c = 0; c < C; c++) {
        v[c] = (v[c] - mean) / sqrt(var + 1e-5) * (double)w[c] + (double)bias[c];
        out[c] = max_pool ? fmax(out[c], v[c]) : out[c] + v[c];
    }
}

Test(region_pool, agrees_with_double_for_max_and_mean)
{
    enum { R = 2, N = 12, S = 5, K = 4, C = 37 };
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int max_pool = 0; max_pool < 2; max_pool++) {
            struct backend *be = open_isa(isa, DTYPE_F32);
            if (!be)
                continue;
            float *a = values(1, R * N * C), *bm = values(2, R * S * C), *pts = values(3, R * N * (C + 2));
            float *w = values(4, C), *bias = values(5, C);
            int32_t anchors[R * S], near[R * S * K];
            for (int i = 0; i < R * S; i++)
                anchors[i] = i * 5 % N;
            for (int i = 0; i < R * S * K; i++)
                near[i] = i * 7 % N;
            struct act *out = act_empty(be, R * S, C + 2);
            op_region_pool(be, out, act_from(be, a, R * N, C), act_from(be, bm, R * S, C),
                           act_from(be, pts, R * N, C + 2), ints(be, anchors, R * S), ints(be, near, R * S * K), R, N,
                           S, K, weight_of(be, WEIGHT_VECTOR, w, 1, C), weight_of(be, WEIGHT_VECTOR, bias, 1, C), 1e-5f,
                           max_pool);
            float *got = rows_of(be, out, R * S);
            for (int i = 0; i < R * S; i++) {
                double want[C + 2];
                int base = i / S * N, at = base + anchors[i];
                for (int c = 0; c < C; c++)
                    want[c] = max_pool ? (double)-INFINITY : 0;
                for (int k = 0; k < K; k++)
                    pool_row(want, a + (base + near[i * K + k]) * C, a + at * C, bm + i * C, w, bias, C, max_pool);
                for (int c = 0; c < C && !max_pool; c++)
                    want[c] /= K;
                want[C] = (double)pts[at * (C + 2) + C];
                want[C + 1] = (double)pts[at * (C + 2) + C + 1];
                expect_close(got + i * (C + 2), want, C + 2, 2e-6, isa_name(isa));
            }
            backend_close(be);
        }
}

Test(region_center, takes_each_region_s_mean_from_its_features_alone)
{
    enum { R = 3, N = 9, C = 131 };
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        struct backend *be = open_isa(isa, DTYPE_F32);
        if (!be)
            continue;
        float *x = values(1, R * N * (C + 2));
        struct act *all = act_from(be, x, R * N, C + 2), *one = act_from(be, x + N * (C + 2), N, C + 2);
        op_region_center(be, all, R, N);
        op_region_center(be, one, 1, N);
        float *got = rows_of(be, all, R * N), *alone = rows_of(be, one, N);
        expect_same_bits(got + N * (C + 2), alone, N * (C + 2) * sizeof(float), "a region alone");
        for (int row = 0; row < R * N; row++) {
            double want[C + 2];
            for (int c = 0; c < C + 2; c++) {
                double mean = 0;
                for (int k = 0; k < N && c < C; k++)
                    mean += (double)x[(row / N * N + k) * (C + 2) + c] / N;
                want[c] = (double)x[row * (C + 2) + c] - mean;
            }
            expect_close(got + row * (C + 2), want, C + 2, 1e-6, isa_name(isa));
            expect_same_bits(got + row * (C + 2) + C, x + row * (C + 2) + C, 2 * sizeof(float), "coordinates");
        }
        backend_close(be);
    }
}

Test(region_take, moves_rows_and_pixels_of_the_right_region)
{
    enum { R = 3, N = 7, S = 4, C = 5 };
    struct backend *be = open_isa(0, DTYPE_F32);
    float *x = values(1, R * N * C);
    int32_t index[R * S], xy[R * N * 2];
    for (int i = 0; i < R * S; i++)
        index[i] = i * 3 % N;
    for (int i = 0; i < R * N * 2; i++)
        xy[i] = i * 11;
    struct act *taken = act_empty(be, R * S, C);
    struct array *index_array = ints(be, index, R * S), *xy_out = ints(be, NULL, R * S * 2);
    op_region_take(be, taken, act_from(be, x, R * N, C), index_array, R, N, S);
    op_region_take_xy(be, xy_out, ints(be, xy, R * N * 2), index_array, R, N, S);
    float *got = rows_of(be, taken, R * S);
    int32_t *pixels = ints_of(be, xy_out, R * S * 2);
    for (int i = 0; i < R * S; i++) {
        int from = i / S * N + index[i];
        expect_same_bits(got + i * C, x + from * C, C * sizeof(float), "row");
        expect_same_bits(pixels + 2 * i, xy + 2 * from, 2 * sizeof *xy, "pixel");
    }
    backend_close(be);
}
