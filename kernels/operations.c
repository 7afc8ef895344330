/* Checks of every operation: shapes, ranges and handle kinds, once for all backends. A failed assert is a mistake of
 * the caller's code, never of data from outside. */
#include "kernels/backend_impl.h"
#include "kernels/box_automaton.h"

#include <assert.h>

static bool holds(const struct act *a, int rows, int cols)
{
    return a && rows >= 0 && rows <= a->max_rows && a->cols == cols;
}

static bool has(const struct array *a, enum array_kind kind, size_t n)
{
    return a && a->kind == kind && a->n >= n;
}

static bool is_vector(const struct weight *w, int64_t n)
{
    return w && w->use == WEIGHT_VECTOR && (int64_t)w->rows * w->cols == n;
}

void op_copy_rows(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n)
{
    assert(dst_row >= 0 && src_row >= 0 && n >= 0 && dst->cols == src->cols);
    assert(dst_row + n <= dst->max_rows && src_row + n <= src->max_rows);
    be->ops->copy_rows(be, dst, dst_row, src, src_row, n);
}

void op_norm(struct backend *be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
             const struct weight *weight, const struct weight *bias, float eps, bool f32_only)
{
    assert(x && holds(x, rows, x->cols) && holds(out, rows, x->cols) && eps > 0);
    assert(is_vector(weight, x->cols));
    assert(kind == NORM_RMS ? !bias : is_vector(bias, x->cols));
    be->ops->norm(be, out, x, rows, kind, weight, bias, eps, f32_only);
}

void op_linear(struct backend *be, struct act *out, int out_col, const struct act *x, int rows, const struct weight *w,
               const struct weight *bias, enum epilogue epilogue)
{
    assert(w && (w->use == WEIGHT_LINEAR || w->use == WEIGHT_LINEAR_F32));
    assert(x && rows >= 0 && w->cols % x->cols == 0 && (int64_t)rows * (w->cols / x->cols) <= x->max_rows);
    assert(w->cols == x->cols || w->use == WEIGHT_LINEAR_F32);
    assert(out && out != x && rows <= out->max_rows && out_col >= 0 && out_col + w->rows <= out->cols);
    assert(!bias || is_vector(bias, w->rows));
    be->ops->linear(be, out, out_col, x, rows, w, bias, epilogue);
}

void op_glu(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *w)
{
    assert(w && w->use == WEIGHT_GLU && holds(x, rows, w->cols) && holds(out, rows, w->rows / 2) && out != x);
    be->ops->glu(be, out, x, rows, w);
}

void op_patchify(struct backend *be, struct act *out, const struct array *pixels, int images, int side, int patch)
{
    assert(images >= 0 && patch > 0 && side > 0 && side % patch == 0);
    int grid = side / patch;
    assert(holds(out, images * grid * grid, 3 * patch * patch));
    assert(has(pixels, ARRAY_F32, (size_t)images * 3 * (size_t)side * (size_t)side));
    be->ops->patchify(be, out, pixels, images, side, patch);
}

void op_vision_embed(struct backend *be, struct act *x, const struct act *patches, int images, int n_patches,
                     const struct weight *class_embedding, const struct weight *position)
{
    assert(x && patches && x != patches && images >= 0 && n_patches > 0);
    assert(holds(x, images * (n_patches + 1), patches->cols) && holds(patches, images * n_patches, x->cols));
    assert(is_vector(class_embedding, x->cols) && is_vector(position, (int64_t)(n_patches + 1) * x->cols));
    be->ops->vision_embed(be, x, patches, images, n_patches, class_embedding, position);
}

void op_attention_full(struct backend *be, struct act *out, const struct act *qkv, int images, int length, int heads)
{
    assert(out && qkv && out != qkv && images >= 0 && length > 0 && heads > 0);
    assert(out->cols % heads == 0 && out->cols / heads <= MAX_HEAD_DIM);
    assert(holds(out, images * length, out->cols) && holds(qkv, images * length, 3 * out->cols));
    be->ops->attention_full(be, out, qkv, images, length, heads);
}

void op_drop_class(struct backend *be, struct act *dst, const struct act *x, int images, int n_patches)
{
    assert(dst && x && dst != x && images >= 0 && n_patches > 0);
    assert(holds(dst, images * n_patches, x->cols) && holds(x, images * (n_patches + 1), dst->cols));
    be->ops->drop_class(be, dst, x, images, n_patches);
}

void op_region_gather(struct backend *be, struct act *out, const struct act *features, const struct array *image,
                      const struct array *points, int regions, int n_points, int grid, bool transposed)
{
    assert(out && features && regions >= 0 && n_points > 0 && grid >= MIN_REGION_GRID);
    assert(holds(out, regions * n_points, features->cols + 2) && features->max_rows >= grid * grid);
    assert(has(image, ARRAY_I32, (size_t)regions) && has(points, ARRAY_F32, (size_t)regions * (size_t)n_points * 2));
    be->ops->region_gather(be, out, features, image, points, regions, n_points, grid, transposed);
}

void op_region_center(struct backend *be, struct act *points, int regions, int n_points)
{
    assert(points && regions >= 0 && n_points > 0 && points->cols > 2);
    assert(regions <= points->max_rows / n_points);
    be->ops->region_center(be, points, regions, n_points);
}

void op_region_pool(struct backend *be, struct act *out, const struct act *a, const struct act *bm,
                    const struct act *points, const struct array *anchors, const struct array *neighbours, int regions,
                    int n_points, int n_anchors, int n_neighbours, const struct weight *norm_weight,
                    const struct weight *norm_bias, float eps, bool max_pool)
{
    assert(out && a && bm && points && out != a && out != bm && out != points);
    assert(regions >= 0 && n_points > 0 && n_anchors > 0 && n_neighbours > 0 && eps > 0);
    int C = a->cols;
    assert(holds(a, regions * n_points, C) && holds(bm, regions * n_anchors, C));
    assert(holds(out, regions * n_anchors, C + 2) && points->cols >= C + 2);
    assert(points->max_rows >= regions * n_points);
    assert(has(anchors, ARRAY_I32, (size_t)regions * (size_t)n_anchors));
    assert(has(neighbours, ARRAY_I32, (size_t)regions * (size_t)n_anchors * (size_t)n_neighbours));
    assert(is_vector(norm_weight, C) && is_vector(norm_bias, C));
    be->ops->region_pool(be, out, a, bm, points, anchors, neighbours, regions, n_points, n_anchors, n_neighbours,
                         norm_weight, norm_bias, eps, max_pool);
}

void op_region_take(struct backend *be, struct act *dst, const struct act *src, const struct array *index, int regions,
                    int n_points, int n_taken)
{
    assert(dst && src && dst != src && regions >= 0 && n_points > 0 && n_taken > 0);
    assert(holds(src, regions * n_points, dst->cols) && holds(dst, regions * n_taken, src->cols));
    assert(has(index, ARRAY_I32, (size_t)regions * (size_t)n_taken));
    be->ops->region_take(be, dst, src, index, regions, n_points, n_taken);
}

void op_region_select(struct backend *be, struct array *anchors, struct array *neighbours, const struct array *xy,
                      const struct array *size, const struct array *start, int regions, int n_points, int n_anchors,
                      int n_neighbours)
{
    assert(regions >= 0 && n_anchors > 0 && n_neighbours > 0);
    assert(n_points > 0 && n_points <= MAX_REGION_POINTS && n_anchors <= n_points && n_neighbours <= n_points);
    size_t taken = (size_t)regions * (size_t)n_anchors;
    assert(has(anchors, ARRAY_I32, taken) && has(neighbours, ARRAY_I32, taken * (size_t)n_neighbours));
    assert(has(xy, ARRAY_I32, (size_t)regions * (size_t)n_points * 2));
    assert(has(size, ARRAY_I32, (size_t)regions * 2) && has(start, ARRAY_I32, (size_t)regions));
    be->ops->region_select(be, anchors, neighbours, xy, size, start, regions, n_points, n_anchors, n_neighbours);
}

void op_region_take_xy(struct backend *be, struct array *xy_out, const struct array *xy, const struct array *anchors,
                       int regions, int n_points, int n_taken)
{
    assert(xy_out != xy && regions >= 0 && n_points > 0 && n_taken > 0);
    assert(has(xy, ARRAY_I32, (size_t)regions * (size_t)n_points * 2));
    assert(has(xy_out, ARRAY_I32, (size_t)regions * (size_t)n_taken * 2));
    assert(has(anchors, ARRAY_I32, (size_t)regions * (size_t)n_taken));
    be->ops->region_take_xy(be, xy_out, xy, anchors, regions, n_points, n_taken);
}

void op_embed(struct backend *be, struct act *x, const struct step *step, const struct weight *table,
              const struct act *image_rows, const struct act *region_rows, const struct array *last_token)
{
    assert(x && step && table && table->use == WEIGHT_TABLE && table->cols == x->cols);
    size_t rows = (size_t)step->n_rows;
    assert(step->n_rows >= 0 && step->n_rows <= x->max_rows);
    assert(has(step->source_kind, ARRAY_I32, rows) && has(step->source_index, ARRAY_I32, rows));
    assert(!image_rows || image_rows->cols == x->cols);
    assert(!region_rows || region_rows->cols == x->cols);
    assert(!last_token || last_token->kind == ARRAY_I32);
    be->ops->embed(be, x, step, table, image_rows, region_rows, last_token);
}

void op_rope_append(struct backend *be, struct act *qkv, const struct step *step, int layer,
                    const struct weight *inv_freq)
{
    const struct kv_shape *kv = &be->kv;
    size_t rows = (size_t)step->n_rows;
    assert(layer >= 0 && layer < kv->layers);
    assert(holds(qkv, step->n_rows, 3 * kv->heads * kv->head_dim) && is_vector(inv_freq, kv->head_dim / 2));
    assert(has(step->position, ARRAY_I32, rows) && has(step->kv_page, ARRAY_I32, rows));
    assert(has(step->kv_at, ARRAY_I32, rows));
    be->ops->rope_append(be, qkv, step, layer, inv_freq);
}

static void check_spans(const struct step *step)
{
    for (int i = 0; i < step->n_spans; i++) {
        const struct span *s = &step->spans[i];
        assert(i == 0 || s[-1].pass <= s->pass);
        assert(s->pass >= 0 && s->pass < MAX_SEGMENTS && s->row >= 0 && s->n > 0 && s->row + s->n <= step->n_rows);
        assert(s->base >= 0 && s->length >= 0 && s->page0 >= 0);
        assert((size_t)s->page0 + (size_t)((s->length + KV_PAGE - 1) / KV_PAGE) <= step->pages->n);
    }
}

void op_attention(struct backend *be, struct act *out, const struct act *qkv, const struct step *step, int layer)
{
    const struct kv_shape *kv = &be->kv;
    assert(layer >= 0 && layer < kv->layers);
    assert(holds(out, step->n_rows, kv->heads * kv->head_dim) && holds(qkv, step->n_rows, 3 * out->cols));
    assert(has(step->position, ARRAY_I32, (size_t)step->n_rows) && has(step->pages, ARRAY_I32, 0));
    check_spans(step);
    be->ops->attention(be, out, qkv, step, layer);
}

void op_take_rows(struct backend *be, struct act *dst, const struct act *src, const struct array *rows, int n)
{
    assert(dst && src && dst != src && n >= 0 && n <= dst->max_rows && dst->cols == src->cols);
    assert(has(rows, ARRAY_I32, (size_t)n));
    be->ops->take_rows(be, dst, src, rows, n);
}

static void check_tasks(const struct tasks *t)
{
    size_t slots = (size_t)t->n_slots, ring = slots * (size_t)t->history;
    assert(t->n_slots > 0 && t->history > 0);
    assert(has(t->last, ARRAY_I32, slots) && has(t->count, ARRAY_I32, slots));
    assert(has(t->max_tokens, ARRAY_I32, slots) && has(t->finish, ARRAY_I32, slots));
    assert(has(t->temperature, ARRAY_F32, slots) && has(t->top_p, ARRAY_F32, slots));
    assert(has(t->seed, ARRAY_I32, 2 * slots) && has(t->stop_ids, ARRAY_I32, slots * MAX_STOP_IDS));
    assert(has(t->repetition, ARRAY_I32, slots) && has(t->tokens, ARRAY_I32, ring));
    assert(has(t->newest, ARRAY_I32, slots * SAMPLED_WORDS));
    assert(!t->boxes || (has(t->boxes, ARRAY_I32, slots) && has(t->box_state, ARRAY_I32, slots * BOX_STATE_WORDS)));
}

void op_sample(struct backend *be, const struct act *logits, const struct step *step, struct tasks *tasks, int vocab,
               int suppress)
{
    assert(logits && vocab > 1 && vocab <= logits->cols && suppress >= -1 && suppress < vocab);
    assert(step->n_sampled >= 0 && step->n_sampled <= logits->max_rows);
    assert(has(step->sample_slot, ARRAY_I32, (size_t)step->n_sampled));
    check_tasks(tasks);
    assert(!tasks->boxes || has(tasks->box_class, ARRAY_I32, (size_t)vocab));
    be->ops->sample(be, logits, step, tasks, vocab, suppress);
}
