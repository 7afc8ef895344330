/* What a backend implements: the table behind kernels/backend.h. backend.c and operations.c check every call and then
 * go through `ops`; a plugin fills the same table. Only backends include this. */
#ifndef KERNELS_BACKEND_IMPL_H
#define KERNELS_BACKEND_IMPL_H

#include "kernels/backend.h"

/* Heads of each handle; a backend's own struct begins with it. */
struct backend {
    const struct backend_ops *ops;
    struct backend_caps caps;
    enum dtype dtype;
    size_t used_bytes;
    struct kv_shape kv; /* layers = 0 until backend_kv */
    int sends;          /* under way */
    bool ran_out;       /* an allocation was refused: backend_ran_out */
};
struct weight {
    enum weight_use use;
    int rows, cols;
};
struct act {
    int max_rows, cols;
};
struct array {
    enum array_kind kind;
    size_t n;
};

struct backend_ops {
    void (*close)(struct backend *be);
    void *(*mark)(const struct backend *be);
    void (*forget)(struct backend *be, void *mark);
    enum status (*sync)(struct backend *be, struct diag *why);
    enum status (*weight)(struct backend *be, enum weight_use use, const struct weight_source *src, struct weight **out,
                          struct diag *why);
    enum status (*weight_seeded)(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                                 struct weight **out, struct diag *why);
    enum status (*act)(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why);
    enum status (*act_write)(struct backend *be, struct act *a, int row, int n, const float *values, struct diag *why);
    enum status (*act_read)(struct backend *be, const struct act *a, int row, int n, float *values, struct diag *why);
    enum status (*array)(struct backend *be, enum array_kind kind, size_t n, struct array **out, struct diag *why);
    enum status (*array_write)(struct backend *be, struct array *a, size_t at, size_t n, const void *values,
                               struct diag *why);
    enum status (*array_read)(struct backend *be, const struct array *a, size_t at, size_t n, void *values,
                              struct diag *why);
    void (*array_send)(struct backend *be, const struct array *a, size_t n);
    enum status (*array_receive)(struct backend *be, void *values, struct diag *why);
    size_t (*kv_page_bytes)(const struct backend *be, const struct kv_shape *shape);
    enum status (*kv)(struct backend *be, const struct kv_shape *shape, struct diag *why);
    void (*step_size)(const struct backend *be, struct step *step, int max_sampled);
    enum status (*step_record)(struct backend *be, const struct step *step, bool *begun, struct diag *why);
    bool (*step_begin)(struct backend *be, const struct step *step, bool replay);
    enum status (*step_end)(struct backend *be, struct diag *why);

    void (*copy_rows)(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n);
    void (*norm)(struct backend *be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
                 const struct weight *weight, const struct weight *bias, float eps, bool f32_only);
    void (*linear)(struct backend *be, struct act *out, int out_col, const struct act *x, int rows,
                   const struct weight *w, const struct weight *bias, enum epilogue epilogue);
    void (*glu)(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *w);
    void (*patchify)(struct backend *be, struct act *out, const struct array *pixels, int images, int side, int patch);
    void (*vision_embed)(struct backend *be, struct act *x, const struct act *patches, int images, int n_patches,
                         const struct weight *class_embedding, const struct weight *position);
    void (*attention_full)(struct backend *be, struct act *out, const struct act *qkv, int images, int length,
                           int heads);
    void (*drop_class)(struct backend *be, struct act *dst, const struct act *x, int images, int n_patches);
    void (*region_gather)(struct backend *be, struct act *out, const struct act *features, const struct array *image,
                          const struct array *points, int regions, int n_points, int grid, bool transposed);
    void (*region_center)(struct backend *be, struct act *points, int regions, int n_points);
    void (*region_pool)(struct backend *be, struct act *out, const struct act *a, const struct act *bm,
                        const struct act *points, const struct array *anchors, const struct array *neighbours,
                        int regions, int n_points, int n_anchors, int n_neighbours, const struct weight *norm_weight,
                        const struct weight *norm_bias, float eps, bool max_pool);
    void (*region_take)(struct backend *be, struct act *dst, const struct act *src, const struct array *index,
                        int regions, int n_points, int n_taken);
    void (*region_select)(struct backend *be, struct array *anchors, struct array *neighbours, const struct array *xy,
                          const struct array *size, const struct array *start, int regions, int n_points, int n_anchors,
                          int n_neighbours);
    void (*region_take_xy)(struct backend *be, struct array *xy_out, const struct array *xy,
                           const struct array *anchors, int regions, int n_points, int n_taken);
    void (*embed)(struct backend *be, struct act *x, const struct step *step, const struct weight *table,
                  const struct act *image_rows, const struct act *region_rows, const struct array *last_token);
    void (*rope_append)(struct backend *be, struct act *qkv, const struct step *step, int layer,
                        const struct weight *inv_freq);
    void (*attention)(struct backend *be, struct act *out, const struct act *qkv, const struct step *step, int layer);
    void (*take_rows)(struct backend *be, struct act *dst, const struct act *src, const struct array *rows, int n);
    void (*sample)(struct backend *be, const struct act *logits, const struct step *step, struct tasks *tasks,
                   int vocab, int suppress);
};

/* kernels/cpu: opens a backend on this processor. */
MUST_CHECK enum status cpu_open(const struct backend_options *o, struct backend **out, struct diag *why);

#endif
