/* The region sampler around its products. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct gather_job {
    struct cpu *cpu;
    struct act *out;
    const struct act *features;
    const int32_t *image;
    const float *points;
    int regions, n_points, grid;
    bool transposed;
};

/* Corner of the cell that holds coordinate c, and how far into it. */
static int cell(float c, int grid, float *fraction)
{
    int i = (int)floorf(c);
    i = i < 0 ? 0 : i > grid - 2 ? grid - 2 : i;
    *fraction = c - (float)i;
    return i;
}

static void gather_rows(void *ctx, int thread)
{
    const struct gather_job *j = ctx;
    int C = j->features->cols;
    struct part p = pool_part(j->regions * j->n_points, thread, j->cpu->threads);
    for (int row = p.begin; row < p.end; row++) {
        float px = j->points[2 * row], py = j->points[2 * row + 1], last = (float)(j->grid - 1), fx, fy;
        /* The released weights were trained with the two swapped (spec 4.3 step 3). */
        int col = cell((j->transposed ? py : px) * last, j->grid, &fx);
        int line = cell((j->transposed ? px : py) * last, j->grid, &fy);
        int image = j->image[row / j->n_points], first = (image * j->grid + line) * j->grid + col;
        assert(image >= 0 && (image + 1) * j->grid * j->grid <= j->features->max_rows);
        const float *const rows[4] = {act_row(j->features, first), act_row(j->features, first + 1),
                                      act_row(j->features, first + j->grid), act_row(j->features, first + j->grid + 1)};
        const float weights[4] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
        float *out = act_row(j->out, row);
        j->cpu->simd->blend(out, rows, weights, C);
        out[C] = px;
        out[C + 1] = py;
    }
}

void cpu_region_gather(struct backend *be, struct act *out, const struct act *features, const struct array *image,
                       const struct array *points, int regions, int n_points, int grid, bool transposed)
{
    struct gather_job j = {cpu_of(be), out,      features, array_i32(image), array_f32(points),
                           regions,    n_points, grid,     transposed};
    cpu_run(j.cpu, (int64_t)regions * n_points * features->cols * 4, gather_rows, &j);
    act_written(out);
}

enum { CENTER_COLS = 64 };

struct center_job {
    struct cpu *cpu;
    struct act *points;
    int regions, n_points, blocks; /* of CENTER_COLS columns a region */
};

static void center_blocks(void *ctx, int thread)
{
    const struct center_job *j = ctx;
    int C = j->points->cols - 2;
    struct part p = pool_part(j->regions * j->blocks, thread, j->cpu->threads);
    for (int i = p.begin; i < p.end; i++) {
        float mean[CENTER_COLS] = {0};
        int first = i / j->blocks * j->n_points, from = i % j->blocks * CENTER_COLS;
        int n = C - from < CENTER_COLS ? C - from : CENTER_COLS;
        for (int row = 0; row < j->n_points; row++) {
            const float *x = act_row(j->points, first + row) + from;
            for (int c = 0; c < n; c++)
                mean[c] += x[c];
        }
        for (int c = 0; c < n; c++)
            mean[c] /= (float)j->n_points;
        for (int row = 0; row < j->n_points; row++) {
            float *x = act_row(j->points, first + row) + from;
            for (int c = 0; c < n; c++)
                x[c] -= mean[c];
        }
    }
}

void cpu_region_center(struct backend *be, struct act *points, int regions, int n_points)
{
    int blocks = (points->cols - 2 + CENTER_COLS - 1) / CENTER_COLS;
    struct center_job j = {cpu_of(be), points, regions, n_points, blocks};
    cpu_run(j.cpu, (int64_t)regions * n_points * points->cols * 2, center_blocks, &j);
    act_written(points);
}

struct pool_job {
    struct cpu *cpu;
    struct act *out;
    const struct act *a, *bm, *points;
    const int32_t *anchors, *neighbours;
    int regions, n_points, n_anchors, n_neighbours;
    const float *weight, *bias;
    float eps;
    bool max_pool;
};

static void pool_anchor(const struct pool_job *j, int row, float *tmp)
{
    int C = j->a->cols, first = row / j->n_anchors * j->n_points, anchor = first + j->anchors[row];
    const int32_t *near = j->neighbours + (ptrdiff_t)row * j->n_neighbours;
    const float *at = act_row(j->points, anchor);
    float *out = act_row(j->out, row);
    for (int c = 0; c < C; c++)
        out[c] = j->max_pool ? -INFINITY : 0.0f;
    for (int k = 0; k < j->n_neighbours; k++)
        j->cpu->simd->region_pool_row(out, act_row(j->a, first + near[k]), act_row(j->a, anchor), act_row(j->bm, row),
                                      j->weight, j->bias, C, j->eps, j->max_pool, tmp);
    for (int c = 0; c < C && !j->max_pool; c++)
        out[c] /= (float)j->n_neighbours;
    out[C] = at[C];
    out[C + 1] = at[C + 1];
}

static void pool_rows(void *ctx, int thread)
{
    const struct pool_job *j = ctx;
    struct part p = pool_part(j->regions * j->n_anchors, thread, j->cpu->threads);
    for (int row = p.begin; row < p.end; row++)
        pool_anchor(j, row, j->cpu->scratch[thread].wide);
}

void cpu_region_pool(struct backend *be, struct act *out, const struct act *a, const struct act *bm,
                     const struct act *points, const struct array *anchors, const struct array *neighbours, int regions,
                     int n_points, int n_anchors, int n_neighbours, const struct weight *norm_weight,
                     const struct weight *norm_bias, float eps, bool max_pool)
{
    struct pool_job j = {.cpu = cpu_of(be),
                         .out = out,
                         .a = a,
                         .bm = bm,
                         .points = points,
                         .anchors = array_i32(anchors),
                         .neighbours = array_i32(neighbours),
                         .regions = regions,
                         .n_points = n_points,
                         .n_anchors = n_anchors,
                         .n_neighbours = n_neighbours,
                         .weight = vector_of(norm_weight),
                         .bias = vector_of(norm_bias),
                         .eps = eps,
                         .max_pool = max_pool};
    cpu_run(j.cpu, (int64_t)regions * n_anchors * n_neighbours * a->cols, pool_rows, &j);
    act_written(out);
}

void cpu_region_take(struct backend *be, struct act *dst, const struct act *src, const struct array *index, int regions,
                     int n_points, int n_taken)
{
    const int32_t *i = array_i32(index);
    (void)be;
    for (int row = 0; row < regions * n_taken; row++)
        memcpy(act_row(dst, row), act_row(src, row / n_taken * n_points + i[row]), (size_t)dst->cols * sizeof(float));
    act_written(dst);
}
