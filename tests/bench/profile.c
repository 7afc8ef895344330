/* Where the engine's time goes: captions of the corpus and 8 regions an image, default model, each operation of the
 * backend timed around its call (the linker's --wrap; on the CPU an operation has run when it returns). Shares of the
 * time in steps. `profile FOLDER`, from the repository's root. */
#include "kernels/backend.h"
#include "tests/bench/world.h"

enum family { GEMM, ATTENTION, NORM, REGION, SAMPLE, ROWS, FAMILIES };
static const char *const family_names[FAMILIES] = {"gemm", "attention", "norm", "region", "sample", "rows"};
static int64_t spent_us[FAMILIES];

/* TIMED(family, name, parameters, arguments): the operation as the linker wraps it. */
#define TIMED(family, name, parameters, arguments)                                                                     \
    void __real_##name parameters;                                                                                     \
    void __wrap_##name parameters;                                                                                     \
    void __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        int64_t begun_us = clock_us();                                                                                 \
        __real_##name arguments;                                                                                       \
        spent_us[family] += clock_us() - begun_us;                                                                     \
    }

TIMED(GEMM, op_linear,
      (struct backend * be, struct act *out, int out_col, const struct act *x, int rows, const struct weight *w,
       const struct weight *bias, enum epilogue epilogue),
      (be, out, out_col, x, rows, w, bias, epilogue))
TIMED(GEMM, op_glu, (struct backend * be, struct act *out, const struct act *x, int rows, const struct weight *w),
      (be, out, x, rows, w))
TIMED(ATTENTION, op_attention,
      (struct backend * be, struct act *out, const struct act *qkv, const struct step *step, int layer),
      (be, out, qkv, step, layer))
TIMED(ATTENTION, op_attention_full,
      (struct backend * be, struct act *out, const struct act *qkv, int images, int length, int heads),
      (be, out, qkv, images, length, heads))
TIMED(ATTENTION, op_rope_append,
      (struct backend * be, struct act *qkv, const struct step *step, int layer, const struct weight *inv_freq),
      (be, qkv, step, layer, inv_freq))
TIMED(NORM, op_norm,
      (struct backend * be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
       const struct weight *weight, const struct weight *bias, float eps, bool f32_only),
      (be, out, x, rows, kind, weight, bias, eps, f32_only))
TIMED(REGION, op_region_gather,
      (struct backend * be, struct act *out, const struct act *features, const struct array *image,
       const struct array *points, int regions, int n_points, int grid, bool transposed),
      (be, out, features, image, points, regions, n_points, grid, transposed))
TIMED(REGION, op_region_center, (struct backend * be, struct act *points, int regions, int n_points),
      (be, points, regions, n_points))
TIMED(REGION, op_region_pool,
      (struct backend * be, struct act *out, const struct act *a, const struct act *bm, const struct act *points,
       const struct array *anchors, const struct array *neighbours, int regions, int n_points, int n_anchors,
       int n_neighbours, const struct weight *norm_weight, const struct weight *norm_bias, float eps, bool max_pool),
      (be, out, a, bm, points, anchors, neighbours, regions, n_points, n_anchors, n_neighbours, norm_weight, norm_bias,
       eps, max_pool))
TIMED(REGION, op_region_take,
      (struct backend * be, struct act *dst, const struct act *src, const struct array *index, int regions,
       int n_points, int n_taken),
      (be, dst, src, index, regions, n_points, n_taken))
TIMED(REGION, op_region_select,
      (struct backend * be, struct array *anchors, struct array *neighbours, const struct array *xy,
       const struct array *size, const struct array *start, int regions, int n_points, int n_anchors, int n_neighbours),
      (be, anchors, neighbours, xy, size, start, regions, n_points, n_anchors, n_neighbours))
TIMED(REGION, op_region_take_xy,
      (struct backend * be, struct array *xy_out, const struct array *xy, const struct array *anchors, int regions,
       int n_points, int n_taken),
      (be, xy_out, xy, anchors, regions, n_points, n_taken))
TIMED(SAMPLE, op_sample,
      (struct backend * be, const struct act *logits, const struct step *step, struct tasks *tasks, int vocab,
       int suppress),
      (be, logits, step, tasks, vocab, suppress))
TIMED(ROWS, op_embed,
      (struct backend * be, struct act *x, const struct step *step, const struct weight *table,
       const struct act *image_rows, const struct act *region_rows, const struct array *last_token),
      (be, x, step, table, image_rows, region_rows, last_token))
TIMED(ROWS, op_take_rows,
      (struct backend * be, struct act *dst, const struct act *src, const struct array *rows, int n),
      (be, dst, src, rows, n))
TIMED(ROWS, op_copy_rows,
      (struct backend * be, struct act *dst, int dst_row, const struct act *src, int src_row, int n),
      (be, dst, dst_row, src, src_row, n))
TIMED(ROWS, op_patchify,
      (struct backend * be, struct act *out, const struct array *pixels, int images, int side, int patch),
      (be, out, pixels, images, side, patch))
TIMED(ROWS, op_vision_embed,
      (struct backend * be, struct act *x, const struct act *patches, int images, int n_patches,
       const struct weight *class_embedding, const struct weight *position),
      (be, x, patches, images, n_patches, class_embedding, position))
TIMED(ROWS, op_drop_class, (struct backend * be, struct act *dst, const struct act *x, int images, int n_patches),
      (be, dst, x, images, n_patches))

int main(int argc, char **argv)
{
    enum { ROUNDS = 5 };
    static struct world w;
    struct engine_stats before, after;
    char name[64];
    double rest = 1;
    CHECK(argc > 1);
    open_world(&w);
    captions_together(&w);
    regions_of_all(&w);
    memset(spent_us, 0, sizeof spent_us);
    engine_stats(w.engine, &before);
    for (int round = 0; round < ROUNDS; round++) {
        captions_together(&w);
        regions_of_all(&w);
    }
    engine_stats(w.engine, &after);
    for (int i = 0; i < FAMILIES; i++) {
        double share = (double)spent_us[i] / (double)(after.step_us - before.step_us);
        rest -= share;
        snprintf(name, sizeof name, "cpu.share_%s", family_names[i]);
        measure_write(argv[1], &(struct measure){name, "of steps", share, 0, 0});
    }
    measure_write(argv[1], &(struct measure){"cpu.share_rest", "of steps", rest, 0, 0});
    free_world(&w);
    return 0;
}
