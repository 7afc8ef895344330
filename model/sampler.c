#include "model/sampler.h"

#include <stdlib.h>
#include <string.h>

static const float layer_norm_eps = 1e-5f; /* spec 4.2 */

static int points_into(const struct sampler_config *c, int stage)
{
    return stage == 0 ? c->points : c->stage_points[stage - 1];
}

enum status drawn_region_init(struct drawn_region *d, const struct sampler_config *c, const struct region *region,
                              uint64_t seed)
{
    int stage_in[CONFIG_MAX_STAGES], starts[CONFIG_MAX_STAGES];
    for (int i = 0; i < c->n_stages; i++)
        stage_in[i] = points_into(c, i);
    size_t n = (size_t)c->points;
    int64_t *chosen = malloc(n * sizeof *chosen);
    *d = (struct drawn_region){.width = region->width, .height = region->height};
    d->chosen = malloc(n * sizeof *d->chosen);
    d->xy = malloc(2 * n * sizeof *d->xy);
    enum status s = chosen && d->chosen && d->xy ? ST_OK : ST_NOMEM;
    if (s == ST_OK)
        s = region_draw(region, seed, c->points, c->n_stages, stage_in, chosen, starts);
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        int x, y;
        region_pixel(region, chosen[i], &x, &y);
        d->chosen[i] = (int32_t)chosen[i];
        d->xy[2 * i] = x;
        d->xy[2 * i + 1] = y;
    }
    for (int i = 0; s == ST_OK && i < c->n_stages; i++)
        d->starts[i] = starts[i];
    free(chosen);
    if (s != ST_OK)
        drawn_region_fini(d);
    return s;
}

enum status drawn_region_copy(struct drawn_region *d, const struct sampler_config *c, const struct drawn_region *from)
{
    size_t n = (size_t)c->points;
    *d = *from;
    d->chosen = malloc(n * sizeof *d->chosen);
    d->xy = malloc(2 * n * sizeof *d->xy);
    if (!d->chosen || !d->xy) {
        drawn_region_fini(d);
        return ST_NOMEM;
    }
    memcpy(d->chosen, from->chosen, n * sizeof *d->chosen);
    memcpy(d->xy, from->xy, 2 * n * sizeof *d->xy);
    return ST_OK;
}

void drawn_region_fini(struct drawn_region *d)
{
    free(d->chosen);
    free(d->xy);
    *d = (struct drawn_region){0};
}

size_t sampler_bytes_per_region(const struct config *c)
{
    const struct sampler_config *s = &c->sampler;
    size_t C = (size_t)s->feature_dim, floats = C + (size_t)c->decoder.hidden;
    for (int i = 0; i < s->n_stages; i++) {
        size_t n_in = (size_t)points_into(s, i), n_out = (size_t)s->stage_points[i];
        floats += n_in * (2 * C + 2) + n_out * (2 * C + 2) + n_in * 2 + n_out * (size_t)(1 + s->stage_neighbors[i]);
    }
    return (floats + (size_t)s->stage_points[s->n_stages - 1] * (C + 2)) * sizeof(float);
}

static enum status init_stage(struct sampler_stage *st, struct backend *be, int batch, int C, struct diag *why)
{
    size_t R = (size_t)batch, n_in = (size_t)st->n_in, n_out = (size_t)st->n_out;
    enum status s = backend_array(be, ARRAY_I32, R * n_in * 2, &st->xy, why);
    if (s == ST_OK)
        s = backend_array(be, ARRAY_I32, R, &st->start, why);
    if (s == ST_OK)
        s = backend_array(be, ARRAY_I32, R * n_out, &st->anchors, why);
    if (s == ST_OK)
        s = backend_array(be, ARRAY_I32, R * n_out * (size_t)st->n_neighbours, &st->neighbours, why);
    if (s == ST_OK)
        s = backend_act(be, batch * st->n_in, C + 2, &st->points, why);
    if (s == ST_OK)
        s = backend_act(be, batch * st->n_in, C, &st->products, why);
    if (s == ST_OK)
        s = backend_act(be, batch * st->n_out, C + 2, &st->taken, why);
    return s == ST_OK ? backend_act(be, batch * st->n_out, C, &st->anchor_products, why) : s;
}

enum status sampler_init(struct sampler *s, struct backend *be, const struct config *c, const struct sampler_weights *w,
                         int batch, struct diag *why)
{
    const struct sampler_config *cfg = &c->sampler;
    int C = cfg->feature_dim;
    *s = (struct sampler){.be = be, .config = cfg, .weights = w, .batch = batch, .grid = c->vision.grid};
    size_t R = (size_t)batch, N = (size_t)cfg->points;
    s->staging = malloc(R * N * 2 * sizeof *s->staging);
    enum status status = s->staging ? ST_OK : ST_NOMEM;
    for (int i = 0; status == ST_OK && i < cfg->n_stages; i++) {
        s->stages[i].n_in = points_into(cfg, i);
        s->stages[i].n_out = cfg->stage_points[i];
        s->stages[i].n_neighbours = cfg->stage_neighbors[i];
        status = init_stage(&s->stages[i], be, batch, C, why);
    }
    if (status == ST_OK)
        status = backend_array(be, ARRAY_I32, R, &s->image, why);
    if (status == ST_OK)
        status = backend_array(be, ARRAY_F32, R * N * 2, &s->points, why);
    if (status == ST_OK)
        status = backend_array(be, ARRAY_I32, R * 2, &s->size, why);
    if (status == ST_OK)
        status = backend_act(be, batch * cfg->stage_points[cfg->n_stages - 1], C + 2, &s->pooled, why);
    if (status == ST_OK)
        status = backend_act(be, batch, C, &s->flat, why);
    return status == ST_OK ? backend_act(be, batch, c->decoder.hidden, &s->out, why) : status;
}

void sampler_fini(struct sampler *s)
{
    free(s->staging);
    *s = (struct sampler){0};
}

static int gcd(int a, int b)
{
    while (b) {
        int r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Points are float32(x) / float32(W), without half-pixel offset (spec 4.3 step 2). */
static enum status write_points(struct sampler *s, const struct drawn_region *const *d, int n, struct diag *why)
{
    size_t N = (size_t)s->config->points;
    for (int r = 0; r < n; r++)
        memcpy(s->staging + 2 * N * (size_t)r, d[r]->xy, 2 * N * sizeof *d[r]->xy);
    enum status status = array_write(s->be, s->stages[0].xy, 0, 2 * N * (size_t)n, s->staging, why);
    if (status != ST_OK)
        return status;
    for (int r = 0; r < n; r++) {
        for (size_t i = 0; i < N; i++) {
            float point[2] = {(float)d[r]->xy[2 * i] / (float)d[r]->width,
                              (float)d[r]->xy[2 * i + 1] / (float)d[r]->height};
            memcpy(s->staging + 2 * (N * (size_t)r + i), point, sizeof point);
        }
    }
    return array_write(s->be, s->points, 0, 2 * N * (size_t)n, s->staging, why);
}

static enum status write_inputs(struct sampler *s, const struct drawn_region *const *d, const int *slots, int n,
                                struct diag *why)
{
    enum status status = write_points(s, d, n, why);
    int32_t *v = s->staging;
    for (int r = 0; r < n; r++)
        v[r] = slots[r];
    if (status == ST_OK)
        status = array_write(s->be, s->image, 0, (size_t)n, v, why);
    for (int r = 0; r < n; r++) {
        int g = gcd(d[r]->width, d[r]->height);
        v[2 * r] = d[r]->width / g;
        v[2 * r + 1] = d[r]->height / g;
    }
    if (status == ST_OK)
        status = array_write(s->be, s->size, 0, 2 * (size_t)n, v, why);
    for (int i = 0; status == ST_OK && i < s->config->n_stages; i++) {
        for (int r = 0; r < n; r++)
            v[r] = d[r]->starts[i];
        status = array_write(s->be, s->stages[i].start, 0, (size_t)n, v, why);
    }
    return status;
}

static void run_stage(struct sampler *s, int index, int n)
{
    struct backend *be = s->be;
    struct sampler_stage *st = &s->stages[index];
    const struct stage_weights *w = &s->weights->stages[index];
    bool last = index + 1 == s->config->n_stages;
    struct act *out = last ? s->pooled : s->stages[index + 1].points;
    op_region_select(be, st->anchors, st->neighbours, st->xy, s->size, st->start, n, st->n_in, st->n_out,
                     st->n_neighbours);
    /* Only differences of products are read, so the mean may go; the anchors' own products need the points whole. */
    op_region_take(be, st->taken, st->points, st->anchors, n, st->n_in, st->n_out);
    op_region_center(be, st->points, n, st->n_in);
    op_linear(be, st->products, 0, st->points, n * st->n_in, w->fold, NULL, EPI_NONE);
    op_linear(be, st->anchor_products, 0, st->taken, n * st->n_out, w->anchor, w->anchor_bias, EPI_NONE);
    op_region_pool(be, out, st->products, st->anchor_products, st->points, st->anchors, st->neighbours, n, st->n_in,
                   st->n_out, st->n_neighbours, w->norm, w->norm_bias, layer_norm_eps, s->config->max_pool);
    if (!last)
        op_region_take_xy(be, s->stages[index + 1].xy, st->xy, st->anchors, n, st->n_in, st->n_out);
}

static enum status read_trace(struct sampler *s, int n, const struct sampler_trace *trace, struct diag *why)
{
    enum status status = ST_OK;
    for (int i = 0; status == ST_OK && i < s->config->n_stages; i++) {
        struct sampler_stage *st = &s->stages[i];
        status = array_read(s->be, st->anchors, 0, (size_t)n * (size_t)st->n_out, trace->anchors[i], why);
    }
    return status;
}

enum status sampler_run(struct sampler *s, const struct act *features, const struct drawn_region *const *d,
                        const int *slots, const int32_t *rows, int n, struct act *region_rows,
                        const struct sampler_trace *trace, struct diag *why)
{
    struct backend *be = s->be;
    enum status status = write_inputs(s, d, slots, n, why);
    if (status != ST_OK)
        return status;
    op_region_gather(be, s->stages[0].points, features, s->image, s->points, n, s->config->points, s->grid,
                     s->config->transposed);
    for (int i = 0; i < s->config->n_stages; i++)
        run_stage(s, i, n);
    op_linear(be, s->flat, 0, s->pooled, n, s->weights->flatten, s->weights->flatten_bias, EPI_NONE);
    op_linear(be, s->out, 0, s->flat, n, s->weights->dim, s->weights->dim_bias, EPI_NONE);
    for (int i = 0; i < n; i++)
        op_copy_rows(be, region_rows, rows[i], s->out, i, 1);
    return trace ? read_trace(s, n, trace, why) : ST_OK;
}
