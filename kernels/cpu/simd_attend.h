/* One attention block for up to ATTEND_ROWS query rows: included by each simd_*.c after simd_rows.h. Every row goes
 * through the same operations in the same order whatever rows it shares the block with: keys a row does not see count
 * as exp(-inf) = 0 exactly. */
#ifndef KERNELS_CPU_SIMD_ATTEND_H
#define KERNELS_CPU_SIMD_ATTEND_H

#include "kernels/backend.h"
#include "kernels/cpu/simd.h"

/* A tile of rows keeps its sums in registers: ATTEND_TILE x PAGE_VECS of them. */
enum {
    PAGE_VECS = KV_PAGE / VF,
    ATTEND_TILE = VEC_REGISTERS / 2 / PAGE_VECS,
    VALUE_COLUMNS = 32, /* columns of V at a time: as many sums as for the scores */
};

struct attend_work {
    float q[ATTEND_ROWS][MAX_HEAD_DIM];
    float score[ATTEND_ROWS][ATTN_BLOCK];
    float out[ATTEND_ROWS][MAX_HEAD_DIM + HEAD_PAD];
};

static inline __attribute__((always_inline)) vf load_cached(const void *p, ptrdiff_t at, bool bf16)
{
    return bf16 ? vf_load_bf16((const uint16_t *)p + at) : vf_load((const float *)p + at);
}

/* Scores of rows [row, row + n) against one page. n and bf16 are constants at every call, so sums stay in registers. */
static inline __attribute__((always_inline)) void tile_scores(struct attend_work *w, const struct attend_block *b,
                                                              int page, int row, int n, bool bf16)
{
    vf sum[ATTEND_TILE][PAGE_VECS];
    for (int r = 0; r < n; r++)
        for (int c = 0; c < PAGE_VECS; c++)
            sum[r][c] = vf_set(0.0f);
    for (int d = 0; d < b->dim; d++) {
        vf key[PAGE_VECS];
        for (int c = 0; c < PAGE_VECS; c++)
            key[c] = load_cached(b->k[page], d * KV_PAGE + c * VF, bf16);
        for (int r = 0; r < n; r++) {
            vf q = vf_set(w->q[row + r][d]);
            for (int c = 0; c < PAGE_VECS; c++)
                sum[r][c] = vf_fma(q, key[c], sum[r][c]);
        }
    }
    for (int r = 0; r < n; r++)
        for (int c = 0; c < PAGE_VECS; c++)
            vf_store(&w->score[row + r][page * KV_PAGE + c * VF], sum[r][c]);
}

/* Adds score x value of a page's first n_keys to `columns` columns of rows [row, row + n). */
static inline __attribute__((always_inline)) void tile_values(struct attend_work *w, const struct attend_block *b,
                                                              int page, int n_keys, int column, int columns, int row,
                                                              int n, bool bf16)
{
    vf sum[ATTEND_TILE][VALUE_COLUMNS / VF];
    for (int r = 0; r < n; r++)
        for (int c = 0; c < columns / VF; c++)
            sum[r][c] = vf_load(&w->out[row + r][column + c * VF]);
    for (int j = 0; j < n_keys; j++) {
        vf value[VALUE_COLUMNS / VF];
        for (int c = 0; c < columns / VF; c++)
            value[c] = load_cached(b->v[page], (ptrdiff_t)j * b->padded + column + c * VF, bf16);
        for (int r = 0; r < n; r++) {
            vf p = vf_set(w->score[row + r][page * KV_PAGE + j]);
            for (int c = 0; c < columns / VF; c++)
                sum[r][c] = vf_fma(p, value[c], sum[r][c]);
        }
    }
    for (int r = 0; r < n; r++)
        for (int c = 0; c < columns / VF; c++)
            vf_store(&w->out[row + r][column + c * VF], sum[r][c]);
}

static inline __attribute__((always_inline)) void page_scores(struct attend_work *w, const struct attend_block *b,
                                                              int page, int n, bool bf16)
{
    int row = 0;
    for (; row + ATTEND_TILE <= n; row += ATTEND_TILE)
        tile_scores(w, b, page, row, ATTEND_TILE, bf16);
    for (; row + ATTEND_TILE / 2 <= n; row += ATTEND_TILE / 2)
        tile_scores(w, b, page, row, ATTEND_TILE / 2, bf16);
    for (; row < n; row++)
        tile_scores(w, b, page, row, 1, bf16);
}

static inline __attribute__((always_inline)) void page_values(struct attend_work *w, const struct attend_block *b,
                                                              int page, int n_keys, int n, bool bf16)
{
    int column = 0;
    for (; column + VALUE_COLUMNS <= b->padded; column += VALUE_COLUMNS) {
        int row = 0;
        for (; row + ATTEND_TILE <= n; row += ATTEND_TILE)
            tile_values(w, b, page, n_keys, column, VALUE_COLUMNS, row, ATTEND_TILE, bf16);
        for (; row + ATTEND_TILE / 2 <= n; row += ATTEND_TILE / 2)
            tile_values(w, b, page, n_keys, column, VALUE_COLUMNS, row, ATTEND_TILE / 2, bf16);
        for (; row < n; row++)
            tile_values(w, b, page, n_keys, column, VALUE_COLUMNS, row, 1, bf16);
    }
    for (int row = 0; column < b->padded && row < n; row++)
        tile_values(w, b, page, n_keys, column, HEAD_PAD, row, 1, bf16);
}

/* Turns a row's scores into exp(score - max); returns their sum. */
static inline float block_softmax(float *score, int n_keys, int visible, float *max)
{
    for (int j = visible; j < n_keys; j++)
        score[j] = -INFINITY;
    vf top = vf_load(score), sum = vf_set(0.0f);
    for (int j = VF; j < n_keys; j += VF)
        top = vf_max(top, vf_load(score + j));
    *max = vf_hmax(top);
    vf m = vf_set(*max);
    for (int j = 0; j < n_keys; j += VF) {
        vf e = vf_exp(vf_sub(vf_load(score + j), m));
        vf_store(score + j, e);
        sum = vf_add(sum, e);
    }
    return vf_sum(sum);
}

/* Merges the block's (max, sum, out) into the row's running ones. */
static inline void merge(const struct attend_row *row, float max, float sum, const float *out, int dim)
{
    float top = max > *row->max ? max : *row->max;
    float old = *row->max == -INFINITY ? 0.0f : exp_one(*row->max - top), fresh = exp_one(max - top);
    *row->max = top;
    *row->sum = *row->sum * old + sum * fresh;
    for (int d = 0; d < dim; d += VF) {
        vf a = vf_mul(load_part(row->out + d, dim - d), vf_set(old));
        store_part(row->out + d, vf_fma(vf_load(out + d), vf_set(fresh), a), dim - d);
    }
}

static inline __attribute__((always_inline)) void attend_rows(const struct attend_block *b,
                                                              const struct attend_row *rows, int n, bool bf16)
{
    struct attend_work w;
    float max[ATTEND_ROWS], sum[ATTEND_ROWS];
    int visible = 0;
    for (int r = 0; r < n; r++) {
        visible = rows[r].visible > visible ? rows[r].visible : visible;
        for (int d = 0; d < b->dim; d++)
            w.q[r][d] = rows[r].q[d] * rows[r].scale;
        memset(w.out[r], 0, (size_t)b->padded * sizeof(float));
    }
    int n_pages = (visible + KV_PAGE - 1) / KV_PAGE;
    for (int p = 0; p < n_pages; p++)
        page_scores(&w, b, p, n, bf16);
    for (int r = 0; r < n; r++)
        sum[r] = block_softmax(w.score[r], n_pages * KV_PAGE, rows[r].visible, &max[r]);
    for (int p = 0; p < n_pages; p++) {
        int left = visible - p * KV_PAGE;
        page_values(&w, b, p, left < KV_PAGE ? left : KV_PAGE, n, bf16);
    }
    for (int r = 0; r < n; r++)
        merge(&rows[r], max[r], sum[r], w.out[r], b->dim);
}

static void attend(const struct attend_block *block, const struct attend_row *rows, int n)
{
    if (block->bf16)
        attend_rows(block, rows, n, true);
    else
        attend_rows(block, rows, n, false);
}

#endif
