/* Row functions of one instruction set. simd_body.h is compiled once for each set over vec_*.h; within a set every
 * function sums in one fixed order, so a row's bits depend on the row alone. n is a count of floats, any n >= 0 unless
 * said; pointers need no alignment. */
#ifndef KERNELS_CPU_SIMD_H
#define KERNELS_CPU_SIMD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ATTEND_ROWS = 8, /* query rows that share the loads of an attention block */
};

/* One block of up to ATTN_BLOCK keys of one head, as pages of KV_PAGE positions, in bf16 or f32. */
struct attend_block {
    const void *const *k; /* page: [dim][KV_PAGE] */
    const void *const *v; /* page: [KV_PAGE][padded] */
    int dim, padded;      /* head dim, and the same rounded up to HEAD_PAD */
    bool bf16;
};
enum { HEAD_PAD = 16 };

/* A query row and the running softmax of its head. */
struct attend_row {
    const float *q; /* dim values */
    float scale;
    int visible; /* keys of the block that the row sees: the first `visible`, >= 1 */
    float *max, *sum, *out;
};

/* Own products run over k in runs; of a run, rows of x are first copied near each other (near_*, widened where they are
 * small), then they pass every panel of the run. */
enum {
    PANEL_RUN = 256,                           /* even, for the pairs of int8 */
    NEAR_ROW = PANEL_RUN * (int)sizeof(float), /* bytes of a near row: of floats, or half full of int16 pairs */
};

/* Rows of x, of `stride` elements each, from the run's first k on. */
struct near_job {
    const void *x;
    void *near;
    int rows, k, stride;
};

/* One panel of `panel` columns of an own packed matrix times near rows, over a run of k. */
struct panel_job {
    const void *panel; /* f32 or bf16: [k][panel]; int8: [k/2][panel][2] */
    const void *near;
    int rows, k;
    void *y; /* f32, or int32 for int8; `columns` values a row */
    int y_stride, columns;
    bool add; /* y holds the sums of the k before these */
};

struct simd {
    const char *name;
    int panel;
    void (*rms_row)(float *out, const float *x, const float *weight, int n, float eps, bool round_bf16);
    void (*layer_row)(float *out, const float *x, const float *weight, const float *bias, int n, float eps);
    void (*to_bf16)(uint16_t *out, const float *x, int n);
    void (*from_bf16)(float *out, const uint16_t *x, int n);
    float (*to_int8)(int8_t *out, const float *x, int n); /* returns the scale */
    void (*dequant)(float *out, const int32_t *x, float row_scale, const float *column_scale, int n); /* in place */
    void (*add)(float *y, const float *x, int n);                                                     /* y += x */
    void (*quick_gelu)(float *y, int n);
    /* Turns the pairs (x[i], x[half + i]) by angles whose cosines and then sines are in turn. */
    void (*rotate)(float *x, const float *turn, int half);
    void (*silu_mul)(float *out, const float *gate, const float *up, int n);
    double (*exp_sum)(const float *x, int n, float max, float factor); /* sum of exp((x - max) * factor) */
    void (*exp_row)(float *out, const float *x, int n, float max, float factor);
    float (*max_row)(const float *x, int n); /* n >= 1; NaN where x holds one is not promised */
    /* Weighted sum of four rows. */
    void (*blend)(float *out, const float *const rows[4], const float weights[4], int n);
    /* v = LayerNorm(relu(a - anchor + b)) then out = max(out, v), or out += v; tmp holds n floats. */
    void (*region_pool_row)(float *out, const float *a, const float *anchor, const float *b, const float *weight,
                            const float *bias, int n, float eps, bool max_pool, float *tmp);
    void (*attend)(const struct attend_block *block, const struct attend_row *rows, int n);
    void (*near_f32)(const struct near_job *job);
    void (*near_bf16)(const struct near_job *job);
    void (*near_int8)(const struct near_job *job); /* an odd k pairs its last number with a zero */
    void (*panel_f32)(const struct panel_job *job);
    void (*panel_bf16)(const struct panel_job *job);
    void (*panel_int8)(const struct panel_job *job);
};

const struct simd *simd_scalar(void);
const struct simd *simd_avx2(void);
const struct simd *simd_avx512(void);

/* The best set of this processor that is not above `isa` ("auto", "scalar", "avx2", "avx512"); NULL when `isa` is
 * unknown or the processor lacks it. */
const struct simd *simd_select(const char *isa);

#endif
