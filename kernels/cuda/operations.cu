/* The backend's table, and the operations that are one launch each: handles become pointers, results forget or keep
 * their copies. */
#include "kernels/cuda/cuda.cuh"

void cuda_close(struct backend *be);
enum status cuda_sync(struct backend *be, struct diag *why);
void cuda_copy_rows(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n);

namespace
{

/* The copy that a kernel of the compute dtype writes beside its values: rows without padding, no scales. */
void *fused_copy(const cuda &c, const cuda_act &a)
{
    return a.copy && !has_scales(c.base.dtype) && a.padded_cols == a.base.cols ? a.copy : nullptr;
}

void wrote(cuda &c, struct act *out, const char *operation, int rows, bool with_copy)
{
    act_of(out)->copied = with_copy && fused_copy(c, *act_of(out)) ? rows : 0;
    cuda_launched(c, operation, rows, out->cols);
}

void norm(struct backend *be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
          const struct weight *weight, const struct weight *bias, float eps, bool f32_only)
{
    cuda &c = *cuda_of(be);
    void *copy = f32_only ? nullptr : fused_copy(c, *act_of(out));
    /* int8 and FP8 quantise whole rows, after the weight: nothing is rounded before. */
    enum dtype rounded = has_scales(be->dtype) ? DTYPE_F32 : be->dtype;
    cuda_norm(c.stream, rounded, act_of(out)->values, copy, act_of(x)->values, rows, x->cols, kind, vector_of(weight),
              vector_of(bias), eps);
    wrote(c, out, "norm", rows, copy != nullptr);
}

void patchify(struct backend *be, struct act *out, const struct array *pixels, int images, int side, int patch)
{
    cuda &c = *cuda_of(be);
    cuda_patchify(c.stream, act_of(out)->values, floats_of(pixels), images, side, patch);
    wrote(c, out, "patches", images * (side / patch) * (side / patch), false);
}

void vision_embed(struct backend *be, struct act *x, const struct act *patches, int images, int n_patches,
                  const struct weight *class_embedding, const struct weight *position)
{
    cuda &c = *cuda_of(be);
    cuda_vision_embed(c.stream, act_of(x)->values, act_of(patches)->values, images, n_patches, x->cols,
                      vector_of(class_embedding), vector_of(position));
    wrote(c, x, "embedding of patches", images * (n_patches + 1), false);
}

void attention_full(struct backend *be, struct act *out, const struct act *qkv, int images, int length, int heads)
{
    cuda &c = *cuda_of(be);
    void *copy = fused_copy(c, *act_of(out));
    cuda_attention_full(c.stream, kept_type(be->dtype), act_of(out)->values, copy, act_of(qkv)->values, images, length,
                        heads, out->cols / heads);
    wrote(c, out, "attention inside images", images * length, true);
}

void drop_class(struct backend *be, struct act *dst, const struct act *x, int images, int n_patches)
{
    cuda &c = *cuda_of(be);
    cuda_drop_class(c.stream, act_of(dst)->values, act_of(x)->values, images, n_patches, x->cols);
    wrote(c, dst, "removal of class rows", images * n_patches, false);
}

void region_gather(struct backend *be, struct act *out, const struct act *features, const struct array *image,
                   const struct array *points, int regions, int n_points, int grid, bool transposed)
{
    cuda &c = *cuda_of(be);
    cuda_region_gather(c.stream, act_of(out)->values, act_of(features)->values, ints_of(image), floats_of(points),
                       regions, n_points, grid, features->cols, transposed);
    wrote(c, out, "points of regions", regions * n_points, false);
}

void region_center(struct backend *be, struct act *points, int regions, int n_points)
{
    cuda &c = *cuda_of(be);
    cuda_region_center(c.stream, act_of(points)->values, regions, n_points, points->cols - 2);
    wrote(c, points, "means of regions", regions * n_points, false);
}

void region_pool(struct backend *be, struct act *out, const struct act *a, const struct act *bm,
                 const struct act *points, const struct array *anchors, const struct array *neighbours, int regions,
                 int n_points, int n_anchors, int n_neighbours, const struct weight *norm_weight,
                 const struct weight *norm_bias, float eps, bool max_pool)
{
    cuda &c = *cuda_of(be);
    region_pool_args args = {act_of(out)->values,
                             act_of(a)->values,
                             act_of(bm)->values,
                             act_of(points)->values,
                             vector_of(norm_weight),
                             vector_of(norm_bias),
                             ints_of(anchors),
                             ints_of(neighbours),
                             a->cols,
                             out->cols,
                             points->cols,
                             n_points,
                             n_anchors,
                             n_neighbours,
                             eps,
                             max_pool};
    cuda_region_pool(c.stream, args, regions);
    wrote(c, out, "pooling of regions", regions * n_anchors, false);
}

void region_take(struct backend *be, struct act *dst, const struct act *src, const struct array *index, int regions,
                 int n_points, int n_taken)
{
    cuda &c = *cuda_of(be);
    cuda_region_take(c.stream, act_of(dst)->values, act_of(src)->values, ints_of(index), regions, n_points, n_taken,
                     dst->cols);
    wrote(c, dst, "anchors of regions", regions * n_taken, false);
}

void region_select(struct backend *be, struct array *anchors, struct array *neighbours, const struct array *xy,
                   const struct array *size, const struct array *start, int regions, int n_points, int n_anchors,
                   int n_neighbours)
{
    cuda &c = *cuda_of(be);
    cuda_region_select(c.stream, ints_of(anchors), ints_of(neighbours), ints_of(xy), ints_of(size), ints_of(start),
                       regions, n_points, n_anchors, n_neighbours);
    cuda_launched(c, "choice of points", regions, n_points);
}

void region_take_xy(struct backend *be, struct array *xy_out, const struct array *xy, const struct array *anchors,
                    int regions, int n_points, int n_taken)
{
    cuda &c = *cuda_of(be);
    cuda_region_take_xy(c.stream, ints_of(xy_out), ints_of(xy), ints_of(anchors), regions, n_points, n_taken);
    cuda_launched(c, "places of anchors", regions, n_taken);
}

void embed(struct backend *be, struct act *x, const struct step *step, const struct weight *table,
           const struct act *image_rows, const struct act *region_rows, const struct array *last_token)
{
    cuda &c = *cuda_of(be);
    embed_sources from = {ints_of(step->source_kind),
                          ints_of(step->source_index),
                          last_token ? ints_of(last_token) : nullptr,
                          weight_of(table)->data,
                          image_rows ? act_of(image_rows)->values : nullptr,
                          region_rows ? act_of(region_rows)->values : nullptr};
    cuda_embed(c.stream, kept_type(be->dtype), act_of(x)->values, step->rows, x->cols, from);
    wrote(c, x, "embedding", step->rows, false);
}

void rope_append(struct backend *be, struct act *qkv, const struct step *step, int layer, const struct weight *inv_freq)
{
    cuda &c = *cuda_of(be);
    cuda_rope_append(c.stream, kept_type(be->dtype), act_of(qkv)->values, c.cache, layer, ints_of(step->position),
                     ints_of(step->kv_page), ints_of(step->kv_at), vector_of(inv_freq), step->rows, c.counts);
    wrote(c, qkv, "RoPE", step->rows, false);
}

void attention(struct backend *be, struct act *out, const struct act *qkv, const struct step *step, int layer)
{
    cuda &c = *cuda_of(be);
    attention_args args = {act_of(qkv)->values,
                           step->rows,
                           MAX_SEGMENTS,
                           ints_of(step->position),
                           ints_of(step->pages),
                           c.row_span,
                           c.spans,
                           c.attention_state,
                           c.counts};
    cuda_attention(c.stream, kept_type(be->dtype), act_of(out)->values, fused_copy(c, *act_of(out)), args, c.cache,
                   layer);
    wrote(c, out, "attention", step->rows, true);
}

void take_rows(struct backend *be, struct act *dst, const struct act *src, const struct array *rows, int n)
{
    cuda &c = *cuda_of(be);
    cuda_take_rows(c.stream, act_of(dst)->values, act_of(src)->values, ints_of(rows), n, dst->cols);
    wrote(c, dst, "taken rows", n, false);
}

/* The weights of a draw stand where products do, as many rows at once as fit. */
void sample(struct backend *be, const struct act *logits, const struct step *step, struct tasks *t, int vocab,
            int suppress)
{
    cuda &c = *cuda_of(be);
    tasks_view view = {t->history,
                       ints_of(t->last),
                       ints_of(t->count),
                       ints_of(t->finish),
                       ints_of(t->tokens),
                       reinterpret_cast<struct sampled *>(ints_of(t->newest)),
                       ints_of(t->max_tokens),
                       ints_of(t->seed),
                       ints_of(t->stop_ids),
                       ints_of(t->repetition),
                       floats_of(t->temperature),
                       floats_of(t->top_p),
                       t->boxes ? ints_of(t->boxes) : nullptr,
                       t->boxes ? reinterpret_cast<struct box_state *>(ints_of(t->box_state)) : nullptr,
                       t->boxes ? ints_of(t->box_class) : nullptr};
    int at_once = static_cast<int>(c.product_bytes / (static_cast<size_t>(vocab) * sizeof(float)));
    for (int i = 0, n; i < step->samples; i += n) {
        n = step->samples - i < at_once ? step->samples - i : at_once;
        cuda_sample(c.stream, act_of(logits)->values, logits->cols, static_cast<float *>(c.product),
                    ints_of(step->sample_slot), i, n, c.counts, view, vocab, suppress);
        cuda_launched(c, "sampling", n, vocab);
    }
}

} // namespace

const struct backend_ops cuda_operations = {cuda_close,
                                            cuda_mark,
                                            cuda_forget,
                                            cuda_sync,
                                            cuda_weight_new,
                                            cuda_weight_seeded,
                                            cuda_act_new,
                                            cuda_act_write,
                                            cuda_act_read,
                                            cuda_array_new,
                                            cuda_array_write,
                                            cuda_array_read,
                                            cuda_array_send,
                                            cuda_array_receive,
                                            cuda_kv_page_bytes,
                                            cuda_kv,
                                            cuda_step_size,
                                            cuda_step_record,
                                            cuda_step_begin,
                                            cuda_step_end,
                                            cuda_copy_rows,
                                            norm,
                                            cuda_linear,
                                            cuda_op_glu,
                                            patchify,
                                            vision_embed,
                                            attention_full,
                                            drop_class,
                                            region_gather,
                                            region_center,
                                            region_pool,
                                            region_take,
                                            region_select,
                                            region_take_xy,
                                            embed,
                                            rope_append,
                                            attention,
                                            take_rows,
                                            sample};
