/* The CPU's operations, one family a file; contracts in kernels/backend.h. */
#ifndef KERNELS_CPU_OPS_H
#define KERNELS_CPU_OPS_H

#include "kernels/backend.h"

/* activation.c */
enum status cpu_act_new(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why);
enum status cpu_act_write(struct backend *be, struct act *a, int row, int n, const float *values, struct diag *why);
enum status cpu_act_read(struct backend *be, const struct act *a, int row, int n, float *values, struct diag *why);
enum status cpu_array_new(struct backend *be, enum array_kind kind, size_t n, struct array **out, struct diag *why);
enum status cpu_array_write(struct backend *be, struct array *a, size_t at, size_t n, const void *values,
                            struct diag *why);
enum status cpu_array_read(struct backend *be, const struct array *a, size_t at, size_t n, void *values,
                           struct diag *why);
void cpu_array_send(struct backend *be, const struct array *a, size_t n);
enum status cpu_array_receive(struct backend *be, void *values, struct diag *why);
void cpu_copy_rows(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n);
void cpu_take_rows(struct backend *be, struct act *dst, const struct act *src, const struct array *rows, int n);

/* weight.c */
enum status cpu_weight_new(struct backend *be, enum weight_use use, const struct weight_source *src,
                           struct weight **out, struct diag *why);
enum status cpu_weight_seeded(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                              struct weight **out, struct diag *why);

/* norm.c */
void cpu_norm(struct backend *be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
              const struct weight *weight, const struct weight *bias, float eps, bool f32_only);

/* linear.c */
void cpu_linear(struct backend *be, struct act *out, int out_col, const struct act *x, int rows, const struct weight *w,
                const struct weight *bias, enum epilogue epilogue);
void cpu_glu(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *w);

/* vision.c */
void cpu_patchify(struct backend *be, struct act *out, const struct array *pixels, int images, int side, int patch);
void cpu_vision_embed(struct backend *be, struct act *x, const struct act *patches, int images, int n_patches,
                      const struct weight *class_embedding, const struct weight *position);
void cpu_drop_class(struct backend *be, struct act *dst, const struct act *x, int images, int n_patches);

/* region.c and region_select.c */
void cpu_region_gather(struct backend *be, struct act *out, const struct act *features, const struct array *image,
                       const struct array *points, int regions, int n_points, int grid, bool transposed);
void cpu_region_center(struct backend *be, struct act *points, int regions, int n_points);
void cpu_region_pool(struct backend *be, struct act *out, const struct act *a, const struct act *bm,
                     const struct act *points, const struct array *anchors, const struct array *neighbours, int regions,
                     int n_points, int n_anchors, int n_neighbours, const struct weight *norm_weight,
                     const struct weight *norm_bias, float eps, bool max_pool);
void cpu_region_take(struct backend *be, struct act *dst, const struct act *src, const struct array *index, int regions,
                     int n_points, int n_taken);
void cpu_region_select(struct backend *be, struct array *anchors, struct array *neighbours, const struct array *xy,
                       const struct array *size, const struct array *start, int regions, int n_points, int n_anchors,
                       int n_neighbours);
void cpu_region_take_xy(struct backend *be, struct array *xy_out, const struct array *xy, const struct array *anchors,
                        int regions, int n_points, int n_taken);

/* embed.c, kv.c (cache and RoPE), attention.c, sample.c */
void cpu_embed(struct backend *be, struct act *x, const struct step *step, const struct weight *table,
               const struct act *image_rows, const struct act *region_rows, const struct array *last_token);
size_t cpu_kv_page_bytes(const struct backend *be, const struct kv_shape *shape);
enum status cpu_kv(struct backend *be, const struct kv_shape *shape, struct diag *why);
void cpu_rope_append(struct backend *be, struct act *qkv, const struct step *step, int layer,
                     const struct weight *inv_freq);
void cpu_attention(struct backend *be, struct act *out, const struct act *qkv, const struct step *step, int layer);
void cpu_attention_full(struct backend *be, struct act *out, const struct act *qkv, int images, int length, int heads);
void cpu_sample(struct backend *be, const struct act *logits, const struct step *step, struct tasks *tasks, int vocab,
                int suppress);

#endif
