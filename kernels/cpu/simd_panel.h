/* Own products: rows of x times one panel of columns, for machines where oneDNN does not keep the row rule. Included by
 * each simd_*.c. An output element sums k in ascending order in one register, whatever the number of rows. */
#ifndef KERNELS_CPU_SIMD_PANEL_H
#define KERNELS_CPU_SIMD_PANEL_H

#include "kernels/cpu/simd.h"

enum { PANEL = 2 * VF, PANEL_ROWS = 6 };

static inline void store_columns(float *y, vf low, vf high, int columns)
{
    store_part(y, low, columns);
    if (columns > VF)
        store_part(y + VF, high, columns - VF);
}

static inline __attribute__((always_inline)) void panel_rows_f32(const struct panel_job *j, int row, int n)
{
    vf sum[PANEL_ROWS][2];
    const float *w = j->panel, *x = (const float *)j->x + (ptrdiff_t)row * j->stride;
    for (int r = 0; r < n; r++)
        sum[r][0] = sum[r][1] = vf_set(0.0f);
    for (int k = 0; k < j->k; k++) {
        vf low = vf_load(w + (ptrdiff_t)k * PANEL), high = vf_load(w + (ptrdiff_t)k * PANEL + VF);
        for (int r = 0; r < n; r++) {
            vf v = vf_set(x[(ptrdiff_t)r * j->stride + k]);
            sum[r][0] = vf_fma(v, low, sum[r][0]);
            sum[r][1] = vf_fma(v, high, sum[r][1]);
        }
    }
    for (int r = 0; r < n; r++)
        store_columns((float *)j->y + (ptrdiff_t)(row + r) * j->y_stride, sum[r][0], sum[r][1], j->columns);
}

static inline float bf16_value(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline __attribute__((always_inline)) void panel_rows_bf16(const struct panel_job *j, int row, int n)
{
    vf sum[PANEL_ROWS][2];
    const uint16_t *w = j->panel, *x = (const uint16_t *)j->x + (ptrdiff_t)row * j->stride;
    for (int r = 0; r < n; r++)
        sum[r][0] = sum[r][1] = vf_set(0.0f);
    for (int k = 0; k < j->k; k++) {
        vf low = vf_load_bf16(w + (ptrdiff_t)k * PANEL), high = vf_load_bf16(w + (ptrdiff_t)k * PANEL + VF);
        for (int r = 0; r < n; r++) {
            vf v = vf_set(bf16_value(x[(ptrdiff_t)r * j->stride + k]));
            sum[r][0] = vf_fma(v, low, sum[r][0]);
            sum[r][1] = vf_fma(v, high, sum[r][1]);
        }
    }
    for (int r = 0; r < n; r++)
        store_columns((float *)j->y + (ptrdiff_t)(row + r) * j->y_stride, sum[r][0], sum[r][1], j->columns);
}

static inline __attribute__((always_inline)) void panel_rows_int8(const struct panel_job *j, int row, int n)
{
    vi sum[PANEL_ROWS][2];
    const int8_t *w = j->panel, *x = (const int8_t *)j->x + (ptrdiff_t)row * j->stride;
    for (int r = 0; r < n; r++)
        sum[r][0] = sum[r][1] = vi_zero();
    for (int k = 0; k < j->k; k += 2) {
        vi low = vi_load_pairs(w + (ptrdiff_t)k * PANEL), high = vi_load_pairs(w + (ptrdiff_t)k * PANEL + 2 * VF);
        for (int r = 0; r < n; r++) {
            const int8_t *at = x + (ptrdiff_t)r * j->stride + k;
            const int8_t last[2] = {at[0], 0}; /* an odd k: the packed matrix holds a zero there */
            vi v = vi_set_pair(k + 1 < j->k ? at : last);
            sum[r][0] = vi_dot(v, low, sum[r][0]);
            sum[r][1] = vi_dot(v, high, sum[r][1]);
        }
    }
    for (int r = 0; r < n; r++) {
        int32_t t[PANEL];
        vi_store(t, sum[r][0]);
        vi_store(t + VF, sum[r][1]);
        memcpy((int32_t *)j->y + (ptrdiff_t)(row + r) * j->y_stride, t, (size_t)j->columns * sizeof *t);
    }
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
