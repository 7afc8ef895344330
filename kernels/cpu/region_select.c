/* Which points a region keeps: farthest point sampling and nearest neighbours over exact integer distances. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

#include <assert.h>

struct select_job {
    struct cpu *cpu;
    int32_t *anchors, *neighbours;
    const int32_t *xy, *size, *start;
    int regions, n_points, n_anchors, n_neighbours;
};

/* Squared distances of point p to all n, in units of 1 / (W H): below 2^63 as long as W H stays below 2^31. */
static void distances(int64_t *out, const int32_t *xy, int n, int p, int64_t W, int64_t H)
{
    for (int i = 0; i < n; i++) {
        int64_t dx = (xy[2 * i] - (int64_t)xy[2 * p]) * H, dy = (xy[2 * i + 1] - (int64_t)xy[2 * p + 1]) * W;
        out[i] = dx * dx + dy * dy;
    }
}

/* The K smallest by (distance, index), ascending: candidates come in index order, so an equal one goes behind. */
static void nearest_k(int32_t *out, int64_t *kept, const int64_t *distance, int n, int K)
{
    int held = 0;
    for (int i = 0; i < n; i++) {
        if (held == K && distance[i] >= kept[K - 1])
            continue;
        int at = held < K ? held++ : K - 1;
        for (; at > 0 && kept[at - 1] > distance[i]; at--) {
            kept[at] = kept[at - 1];
            out[at] = out[at - 1];
        }
        kept[at] = distance[i];
        out[at] = i;
    }
}

/* Each anchor is the point farthest from all earlier ones, the first of equals; when distinct points run out that is
 * point 0 again and again. The distances from it serve its neighbours too. `room` holds 3 x n_points. */
static void select_region(const struct select_job *j, int region, int64_t *room)
{
    int N = j->n_points, K = j->n_neighbours, at = j->start[region];
    const int32_t *xy = j->xy + (ptrdiff_t)region * N * 2, *size = j->size + 2 * region;
    int64_t *nearest = room, *fresh = room + N, *kept = room + 2 * N;
    assert(at >= 0 && at < N);
    for (int i = 0; i < N; i++)
        nearest[i] = INT64_MAX;
    for (int s = 0; s < j->n_anchors; s++) {
        ptrdiff_t row = (ptrdiff_t)region * j->n_anchors + s;
        j->anchors[row] = at;
        distances(fresh, xy, N, at, size[0], size[1]);
        nearest_k(j->neighbours + row * K, kept, fresh, N, K);
        at = 0;
        for (int i = 0; i < N; i++) {
            nearest[i] = fresh[i] < nearest[i] ? fresh[i] : nearest[i];
            if (nearest[i] > nearest[at])
                at = i;
        }
    }
}

static void select_regions(void *ctx, int thread)
{
    const struct select_job *j = ctx;
    struct part p = pool_part(j->regions, thread, j->cpu->threads);
    for (int r = p.begin; r < p.end; r++)
        select_region(j, r, (int64_t *)(void *)j->cpu->scratch[thread].wide);
}

void cpu_region_select(struct backend *be, struct array *anchors, struct array *neighbours, const struct array *xy,
                       const struct array *size, const struct array *start, int regions, int n_points, int n_anchors,
                       int n_neighbours)
{
    struct select_job j = {.cpu = cpu_of(be),
                           .anchors = array_i32(anchors),
                           .neighbours = array_i32(neighbours),
                           .xy = array_i32(xy),
                           .size = array_i32(size),
                           .start = array_i32(start),
                           .regions = regions,
                           .n_points = n_points,
                           .n_anchors = n_anchors,
                           .n_neighbours = n_neighbours};
    cpu_run(j.cpu, (int64_t)regions * n_anchors * n_points, select_regions, &j);
}

void cpu_region_take_xy(struct backend *be, struct array *xy_out, const struct array *xy, const struct array *anchors,
                        int regions, int n_points, int n_taken)
{
    const int32_t *from = array_i32(xy), *index = array_i32(anchors);
    int32_t *to = array_i32(xy_out);
    (void)be;
    for (int row = 0; row < regions * n_taken; row++) {
        int at = row / n_taken * n_points + index[row];
        to[2 * row] = from[2 * at];
        to[2 * row + 1] = from[2 * at + 1];
    }
}
