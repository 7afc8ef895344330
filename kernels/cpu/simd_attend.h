/* One attention block for up to ATTEND_ROWS query rows: included by each simd_*.c after simd_rows.h. Every row goes
 * through the same operations in the same order whatever rows it shares the block with: keys a row does not see count
 * as exp(-inf) = 0 exactly. */
#ifndef KERNELS_CPU_SIMD_ATTEND_H
#define KERNELS_CPU_SIMD_ATTEND_H

#include "kernels/backend.h"
#include "kernels/cpu/simd.h"

enum { PAGE_VECS = KV_PAGE / VF, VALUE_VECS = HEAD_PAD / VF };

struct attend_work {
    float q[ATTEND_ROWS][MAX_HEAD_DIM];
    float score[ATTEND_ROWS][ATTN_BLOCK];
    float out[ATTEND_ROWS][MAX_HEAD_DIM + HEAD_PAD];
};

/* Scores of n rows against one page. n is a constant at every call, so the sums stay in registers. */
static inline __attribute__((always_inline)) void page_scores(struct attend_work *w, const float *k, int dim, int page,
                                                              int n)
{
    vf sum[ATTEND_ROWS][PAGE_VECS];
    for (int r = 0; r < n; r++)
        for (int c = 0; c < PAGE_VECS; c++)
            sum[r][c] = vf_set(0.0f);
    for (int d = 0; d < dim; d++) {
        vf key[PAGE_VECS];
        for (int c = 0; c < PAGE_VECS; c++)
            key[c] = vf_load(k + d * KV_PAGE + c * VF);
        for (int r = 0; r < n; r++) {
            vf q = vf_set(w->q[r][d]);
            for (int c = 0; c < PAGE_VECS; c++)
                sum[r][c] = vf_fma(q, key[c], sum[r][c]);
        }
    }
    for (int r = 0; r < n; r++)
        for (int c = 0; c < PAGE_VECS; c++)
            vf_store(&w->score[r][page * KV_PAGE + c * VF], sum[r][c]);
}

/* out[r] += sum over the page's keys of score x value, HEAD_PAD columns at a time. */
static inline __attribute__((always_inline)) void page_values(struct attend_work *w, const float *v, int padded,
                                                              int page, int n_keys, int n)
{
    for (int d = 0; d < padded; d += HEAD_PAD) {
        vf sum[ATTEND_ROWS][VALUE_VECS];
        for (int r = 0; r < n; r++)
            for (int c = 0; c < VALUE_VECS; c++)
                sum[r][c] = vf_load(&w->out[r][d + c * VF]);
        for (int j = 0; j < n_keys; j++) {
            const float *value = v + j * padded + d;
            for (int r = 0; r < n; r++) {
                vf p = vf_set(w->score[r][page * KV_PAGE + j]);
                for (int c = 0; c < VALUE_VECS; c++)
                    sum[r][c] = vf_fma(p, vf_load(value + c * VF), sum[r][c]);
            }
        }
        for (int r = 0; r < n; r++)
            for (int c = 0; c < VALUE_VECS; c++)
                vf_store(&w->out[r][d + c * VF], sum[r][c]);
    }
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
                                                              const struct attend_row *rows, int n)
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
        page_scores(&w, b->k[p], b->dim, p, n);
    for (int r = 0; r < n; r++)
        sum[r] = block_softmax(w.score[r], n_pages * KV_PAGE, rows[r].visible, &max[r]);
    for (int p = 0; p < n_pages; p++) {
        int left = visible - p * KV_PAGE;
        page_values(&w, b->v[p], b->padded, p, left < KV_PAGE ? left : KV_PAGE, n);
    }
    for (int r = 0; r < n; r++)
        merge(&rows[r], max[r], sum[r], w.out[r], b->dim);
}

static void attend(const struct attend_block *block, const struct attend_row *rows, int n)
{
    switch (n) {
    case 1: attend_rows(block, rows, 1); break;
    case 2: attend_rows(block, rows, 2); break;
    case 3: attend_rows(block, rows, 3); break;
    default: attend_rows(block, rows, ATTEND_ROWS); break;
    }
}

#endif
