/* The operations of kernels/backend.h on plain device pointers: each puts its kernels on a stream and returns. Legend
 * and meaning as there; `copy` is the result in the compute dtype `d` (f16 or bf16), NULL where none is wanted or d is
 * f32. No rows is fine and launches nothing. */
#ifndef KERNELS_CUDA_OPS_CUH
#define KERNELS_CUDA_OPS_CUH

#include <cuda_runtime.h>

/* In C a function may be named like a struct. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "kernels/backend.h"
#include "kernels/box_automaton.h"
}
#pragma GCC diagnostic pop

/* What changes from step to step stands on the device, since a step's launches may have been recorded: how many of the
 * rows and of the sampled rows are real, and where each pass's spans stand: [first[p], first[p + 1]). */
struct step_counts {
    int rows, sampled, first[MAX_SEGMENTS + 1];
};

/* norm.cu; bias is NULL for NORM_RMS */
void cuda_norm(cudaStream_t s, enum dtype d, float *out, void *copy, const float *x, int rows, int cols,
               enum norm_kind kind, const float *weight, const float *bias, float eps);

/* rows.cu */
struct embed_sources {
    const int32_t *kind, *index, *last_token;
    const void *table; /* f32 or the compute dtype */
    const float *image_rows, *region_rows;
};
void cuda_embed(cudaStream_t s, enum dtype d, float *x, int rows, int cols, const embed_sources &from);
void cuda_take_rows(cudaStream_t s, float *dst, const float *src, const int32_t *rows, int n, int cols);
void cuda_patchify(cudaStream_t s, float *out, const float *pixels, int images, int side, int patch);
void cuda_vision_embed(cudaStream_t s, float *x, const float *patches, int images, int n_patches, int cols,
                       const float *class_embedding, const float *position);
void cuda_drop_class(cudaStream_t s, float *dst, const float *x, int images, int n_patches, int cols);

/* narrow.cu: copy [rows][padded] in type d (f16, bf16, int8, FP8), zeros behind the first cols; x [rows][cols]. int8
 * and FP8: scales[row] = max|x| / 127 or 448, what a number of the copy stands for. */
void cuda_narrow(cudaStream_t s, enum dtype d, void *copy, float *scales, const float *x, int rows, int cols,
                 int padded);

/* gemm_own.cu: D [M, N] = A [M, K] B [N, K]^T, rows lda, ldb and ldd elements apart. D is f32, or int32 where A and B
 * are int8. In types other than f32 rows are aligned to 16 bytes; K is what is summed over. */
struct gemm_args {
    const void *a, *b;
    void *d;
    int lda, ldb, ldd, M, N, K;
};
void cuda_gemm(cudaStream_t s, enum dtype type, const gemm_args &g);
/* Once a device, before cuda_gemm. */
cudaError_t cuda_gemm_prepare(void);

/* epilogue.cu: what stands behind a product y [rows, N], whose rows are `stride` apart: numbers, or those of unit
 * scales that row x column scale makes what they stand for (int8: int32; FP8: f32). */
struct product {
    const void *y;
    int stride;
    bool integers;
    const float *row_scale, *column_scale; /* NULL: none */
};
/* out has out_cols columns, its first written one is out_col; the copy is of the same shape. GLU: product [rows, 2F]
 * as [gate | up], out [rows, F]. */
void cuda_epilogue(cudaStream_t s, enum dtype d, float *out, void *copy, int out_cols, int out_col, const product &y,
                   int rows, int N, const float *bias, enum epilogue epilogue);
void cuda_glu(cudaStream_t s, enum dtype d, float *out, void *copy, const product &y, int rows, int F);

/* region.cu; features [images * grid^2, cols], out [regions * n_points, cols + 2] */
void cuda_region_gather(cudaStream_t s, float *out, const float *features, const int32_t *image, const float *points,
                        int regions, int n_points, int grid, int cols, bool transposed);
/* points [regions * n_points, cols + 2]: the last two columns stay */
void cuda_region_center(cudaStream_t s, float *points, int regions, int n_points, int cols);
struct region_pool_args {
    float *out;          /* [R * n_anchors, out_cols >= cols + 2] */
    const float *a, *bm; /* [R * n_points, cols], [R * n_anchors, cols] */
    const float *points; /* [R * n_points, point_cols >= cols + 2] */
    const float *weight, *bias;
    const int32_t *anchors, *neighbours;
    int cols, out_cols, point_cols, n_points, n_anchors, n_neighbours;
    float eps;
    bool max_pool;
};
void cuda_region_pool(cudaStream_t s, const region_pool_args &r, int regions);
void cuda_region_take(cudaStream_t s, float *dst, const float *src, const int32_t *index, int regions, int n_points,
                      int n_taken, int cols);
void cuda_region_take_xy(cudaStream_t s, int32_t *dst, const int32_t *xy, const int32_t *anchors, int regions,
                         int n_points, int n_taken);
/* Once a device, before cuda_region_select: up to MAX_REGION_POINTS points then fit. */
cudaError_t cuda_region_prepare(void);
void cuda_region_select(cudaStream_t s, int32_t *anchors, int32_t *neighbours, const int32_t *xy, const int32_t *size,
                        const int32_t *start, int regions, int n_points, int n_anchors, int n_neighbours);

/* kv.cu; the cache holds the compute dtype (bf16 for int8): page after page, layer after layer, each head's K and then
 * V, both [KV_PAGE][D]. */
struct kv_cache {
    void *pages;
    int layers, heads, head_dim;
};
/* Number of elements in front of a head's K; its V stands KV_PAGE * head_dim behind. */
inline __host__ __device__ size_t kv_place(const kv_cache &c, int page, int layer, int head)
{
    return ((static_cast<size_t>(page) * c.layers + layer) * c.heads + head) * 2 * KV_PAGE * c.head_dim;
}
/* rows: at least counts->rows. */
void cuda_rope_append(cudaStream_t s, enum dtype d, float *qkv, const kv_cache &cache, int layer,
                      const int32_t *position, const int32_t *kv_page, const int32_t *kv_at, const float *inv_freq,
                      int rows, const step_counts *counts);

/* attention.cu, attention_tile.cu. Spans of a step as attention takes them: at most ATTENTION_TILE rows each. Every row
 * is in one at least. */
enum { ATTENTION_TILE = 32 };
/* On the host, for a step whose operations run over `rows` rows. spans: room for MAX_SEGMENTS * n_rows of them;
 * row_span [MAX_SEGMENTS][rows]: index into spans, -1 = the row is in none of that pass. */
void cuda_attention_plan(const struct step &step, int rows, span *spans, int32_t *row_span, step_counts *out);

/* Everything pointed to is on the device. */
struct attention_args {
    const float *qkv;
    int rows, n_passes; /* rows: at least counts->rows */
    const int32_t *position, *pages, *row_span;
    const span *spans;
    float *state; /* [rows][heads][2] */
    const step_counts *counts;
};
/* d: of the cache and, where it is wanted, of the copy. */
void cuda_attention(cudaStream_t s, enum dtype d, float *out, void *copy, const attention_args &a,
                    const kv_cache &cache, int layer);
void cuda_attention_full(cudaStream_t s, enum dtype d, float *out, void *copy, const float *qkv, int images, int length,
                         int heads, int head_dim);
/* Once a device, before both. */
cudaError_t cuda_attention_prepare(void);
/* The form on tensor cores, and whether it takes a head dimension: both above choose by it. */
bool cuda_attention_tiled(enum dtype d, int head_dim, bool cached);
void cuda_attention_tiles(cudaStream_t s, enum dtype d, float *out, void *copy, const attention_args &a,
                          const kv_cache &cache, int layer);
void cuda_attention_full_tiles(cudaStream_t s, enum dtype d, float *out, void *copy, const float *qkv, int images,
                               int length, int heads, int head_dim);

/* sample.cu; the arrays of struct tasks on the device */
struct tasks_view {
    int history;
    int32_t *last, *count, *finish, *tokens;
    struct sampled *newest;
    const int32_t *max_tokens, *seed, *stop_ids, *repetition;
    const float *temperature, *top_p;
    const int32_t *boxes; /* NULL: nobody's are constrained */
    struct box_state *box_state;
    const int32_t *box_class;
};
/* Sampled rows [first, first + n) of the step, as far as they are real; logits are `stride` apart; weights: room for
 * n * vocab numbers */
void cuda_sample(cudaStream_t s, const float *logits, int stride, float *weights, const int32_t *sample_slot, int first,
                 int n, const step_counts *counts, const tasks_view &tasks, int vocab, int suppress);

#endif
