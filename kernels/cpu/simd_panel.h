/* Own products: rows of x times one panel of columns, for machines where oneDNN does not keep the row rule. Included by
 * each simd_*.c. An output element sums k in ascending order, one after the other, whatever the number of rows; between
 * runs of k the sum waits in y, which changes no bit of it. */
#ifndef KERNELS_CPU_SIMD_PANEL_H
#define KERNELS_CPU_SIMD_PANEL_H

#include "kernels/cpu/simd.h"

enum {
    PANEL = 2 * VF,
    PANEL_ROWS = 6,
    PANEL_RUN = 256, /* k at a time for which rows of x are copied, widened where they are small */
};

static inline void store_columns(float *y, vf low, vf high, int columns)
{
    store_part(y, low, columns);
    if (columns > VF)
        store_part(y + VF, high, columns - VF);
}

/* Columns [at, at + VF) of an unfinished row, or zeros. */
static inline vf start_columns(const struct panel_job *j, int row, int at)
{
    const float *y = (const float *)j->y + (ptrdiff_t)row * j->y_stride;
    return j->add && j->columns > at ? load_part(y + at, j->columns - at) : vf_set(0.0f);
}

static inline __attribute__((always_inline)) void panel_rows_f32(const struct panel_job *j, int row, int n)
{
    vf sum[PANEL_ROWS][2];
    float near[PANEL_ROWS][PANEL_RUN]; /* rows a power of two apart would evict each other */
    const float *w = j->panel, *x = (const float *)j->x + (ptrdiff_t)row * j->stride;
    for (int r = 0; r < n; r++) {
        sum[r][0] = start_columns(j, row + r, 0);
        sum[r][1] = start_columns(j, row + r, VF);
    }
    for (int first = 0; first < j->k; first += PANEL_RUN) {
        int n_k = j->k - first < PANEL_RUN ? j->k - first : PANEL_RUN;
        for (int r = 0; r < n; r++)
            memcpy(near[r], x + (ptrdiff_t)r * j->stride + first, (size_t)n_k * sizeof *x);
        for (int k = 0; k < n_k; k++, w += PANEL) {
            vf low = vf_load(w), high = vf_load(w + VF);
            for (int r = 0; r < n; r++) {
                vf v = vf_set(near[r][k]);
                sum[r][0] = vf_fma(v, low, sum[r][0]);
                sum[r][1] = vf_fma(v, high, sum[r][1]);
            }
        }
    }
    for (int r = 0; r < n; r++)
        store_columns((float *)j->y + (ptrdiff_t)(row + r) * j->y_stride, sum[r][0], sum[r][1], j->columns);
}

static inline __attribute__((always_inline)) void panel_rows_bf16(const struct panel_job *j, int row, int n)
{
    vf sum[PANEL_ROWS][2];
    float wide[PANEL_ROWS][PANEL_RUN];
    const uint16_t *w = j->panel, *x = (const uint16_t *)j->x + (ptrdiff_t)row * j->stride;
    for (int r = 0; r < n; r++) {
        sum[r][0] = start_columns(j, row + r, 0);
        sum[r][1] = start_columns(j, row + r, VF);
    }
    for (int first = 0; first < j->k; first += PANEL_RUN) {
        int n_k = j->k - first < PANEL_RUN ? j->k - first : PANEL_RUN;
        for (int r = 0; r < n; r++)
            from_bf16(wide[r], x + (ptrdiff_t)r * j->stride + first, n_k);
        for (int k = 0; k < n_k; k++, w += PANEL) {
            vf low = vf_load_bf16(w), high = vf_load_bf16(w + VF);
            for (int r = 0; r < n; r++) {
                vf v = vf_set(wide[r][k]);
                sum[r][0] = vf_fma(v, low, sum[r][0]);
                sum[r][1] = vf_fma(v, high, sum[r][1]);
            }
        }
    }
    for (int r = 0; r < n; r++)
        store_columns((float *)j->y + (ptrdiff_t)(row + r) * j->y_stride, sum[r][0], sum[r][1], j->columns);
}

static inline void store_sums(int32_t *y, vi low, vi high, const struct panel_job *j)
{
    int32_t t[PANEL];
    vi_store(t, low);
    vi_store(t + VF, high);
    for (int c = 0; c < j->columns; c++)
        y[c] = j->add ? y[c] + t[c] : t[c];
}

static inline __attribute__((always_inline)) void panel_rows_int8(const struct panel_job *j, int row, int n)
{
    vi sum[PANEL_ROWS][2];
    int16_t wide[PANEL_ROWS][PANEL_RUN + 1];
    const int8_t *w = j->panel, *x = (const int8_t *)j->x + (ptrdiff_t)row * j->stride;
    for (int r = 0; r < n; r++)
        sum[r][0] = sum[r][1] = vi_zero();
    for (int first = 0; first < j->k; first += PANEL_RUN) {
        int n_k = j->k - first < PANEL_RUN ? j->k - first : PANEL_RUN;
        for (int r = 0; r < n; r++) {
            for (int k = 0; k < n_k; k++)
                wide[r][k] = x[(ptrdiff_t)r * j->stride + first + k];
            wide[r][n_k] = 0; /* an odd k pairs its last number with a zero */
        }
        for (int k = 0; k < n_k; k += 2, w += 2 * PANEL) {
            vi low = vi_load_pairs(w), high = vi_load_pairs(w + 2 * VF);
            for (int r = 0; r < n; r++) {
                vi v = vi_set_pair(&wide[r][k]);
                sum[r][0] = vi_dot(v, low, sum[r][0]);
                sum[r][1] = vi_dot(v, high, sum[r][1]);
            }
        }
    }
    for (int r = 0; r < n; r++)
        store_sums((int32_t *)j->y + (ptrdiff_t)(row + r) * j->y_stride, sum[r][0], sum[r][1], j);
}

static void panel_f32(const struct panel_job *j)
{
    int row = 0;
    for (; row + PANEL_ROWS <= j->rows; row += PANEL_ROWS)
        panel_rows_f32(j, row, PANEL_ROWS);
    for (; row + 2 <= j->rows; row += 2)
        panel_rows_f32(j, row, 2);
    if (row < j->rows)
        panel_rows_f32(j, row, 1);
}

static void panel_bf16(const struct panel_job *j)
{
    int row = 0;
    for (; row + PANEL_ROWS <= j->rows; row += PANEL_ROWS)
        panel_rows_bf16(j, row, PANEL_ROWS);
    for (; row + 2 <= j->rows; row += 2)
        panel_rows_bf16(j, row, 2);
    if (row < j->rows)
        panel_rows_bf16(j, row, 1);
}

static void panel_int8(const struct panel_job *j)
{
    int row = 0;
    for (; row + PANEL_ROWS <= j->rows; row += PANEL_ROWS)
        panel_rows_int8(j, row, PANEL_ROWS);
    for (; row + 2 <= j->rows; row += 2)
        panel_rows_int8(j, row, 2);
    if (row < j->rows)
        panel_rows_int8(j, row, 1);
}

#endif
