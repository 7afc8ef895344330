/* Own products: near rows of x times one panel of columns, for machines where oneDNN does not keep the row rule.
 * Included by each simd_*.c. An output element sums k in ascending order, one after the other, whatever the number of
 * rows; between runs of k the sum waits in y, which changes no bit of it. */
#ifndef KERNELS_CPU_SIMD_PANEL_H
#define KERNELS_CPU_SIMD_PANEL_H

#include "kernels/cpu/simd.h"

enum {
    PANEL = 2 * VF,
    PANEL_ROWS = 6,      /* their sums, a panel's two vectors and a broadcast just fit 16 registers */
    PANEL_ROWS_INT8 = 4, /* a product of its own takes registers too */
};

/* ---- rows ---- */

static void near_f32(const struct near_job *j)
{
    for (int r = 0; r < j->rows; r++)
        memcpy((float *)j->near + (ptrdiff_t)r * PANEL_RUN, (const float *)j->x + (ptrdiff_t)r * j->stride,
               (size_t)j->k * sizeof(float));
}

static void near_bf16(const struct near_job *j)
{
    for (int r = 0; r < j->rows; r++)
        from_bf16((float *)j->near + (ptrdiff_t)r * PANEL_RUN, (const uint16_t *)j->x + (ptrdiff_t)r * j->stride, j->k);
}

static void near_int8(const struct near_job *j)
{
    for (int r = 0; r < j->rows; r++) {
        int16_t *wide = (int16_t *)j->near + (ptrdiff_t)r * 2 * PANEL_RUN;
        const int8_t *x = (const int8_t *)j->x + (ptrdiff_t)r * j->stride;
        for (int k = 0; k < j->k; k++)
            wide[k] = x[k];
        if (j->k % 2)
            wide[j->k] = 0;
    }
}

/* ---- a tile of up to PANEL_ROWS rows; n is a constant at every call, so sums stay in registers ---- */

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

static inline __attribute__((always_inline)) vf load_weights(const void *p, ptrdiff_t at, bool bf16)
{
    return bf16 ? vf_load_bf16((const uint16_t *)p + at) : vf_load((const float *)p + at);
}

static inline __attribute__((always_inline)) void tile_floats(const struct panel_job *j, int row, int n, bool bf16)
{
    vf sum[PANEL_ROWS][2];
    const float *x = (const float *)j->near + (ptrdiff_t)row * PANEL_RUN;
    for (int r = 0; r < n; r++) {
        sum[r][0] = start_columns(j, row + r, 0);
        sum[r][1] = start_columns(j, row + r, VF);
    }
    for (int k = 0; k < j->k; k++) {
        vf low = load_weights(j->panel, (ptrdiff_t)k * PANEL, bf16);
        vf high = load_weights(j->panel, (ptrdiff_t)k * PANEL + VF, bf16);
        for (int r = 0; r < n; r++) {
            vf v = vf_set(x[r * PANEL_RUN + k]);
            sum[r][0] = vf_fma(v, low, sum[r][0]);
            sum[r][1] = vf_fma(v, high, sum[r][1]);
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
    if (j->columns == PANEL && j->add) /* a count that the compiler knows becomes two vectors */
        for (int c = 0; c < PANEL; c++)
            y[c] += t[c];
    else
        for (int c = 0; c < j->columns; c++)
            y[c] = j->add ? y[c] + t[c] : t[c];
}

static inline __attribute__((always_inline)) void tile_int8(const struct panel_job *j, int row, int n)
{
    vi sum[PANEL_ROWS][2];
    const int16_t *x = (const int16_t *)j->near + (ptrdiff_t)row * 2 * PANEL_RUN;
    const int8_t *w = j->panel;
    for (int r = 0; r < n; r++)
        sum[r][0] = sum[r][1] = vi_zero();
    for (int k = 0; k < j->k; k += 2, w += 2 * PANEL) {
        vi low = vi_load_pairs(w), high = vi_load_pairs(w + 2 * VF);
        for (int r = 0; r < n; r++) {
            vi v = vi_set_pair(x + r * 2 * PANEL_RUN + k);
            sum[r][0] = vi_dot(v, low, sum[r][0]);
            sum[r][1] = vi_dot(v, high, sum[r][1]);
        }
    }
    for (int r = 0; r < n; r++)
        store_sums((int32_t *)j->y + (ptrdiff_t)(row + r) * j->y_stride, sum[r][0], sum[r][1], j);
}

enum panel_type { PANEL_F32, PANEL_BF16, PANEL_INT8 };

static inline __attribute__((always_inline)) void tile(const struct panel_job *j, int row, int n, enum panel_type type)
{
    if (type == PANEL_INT8)
        tile_int8(j, row, n);
    else
        tile_floats(j, row, n, type == PANEL_BF16);
}

/* As many tiles as the rows need, of sizes that differ by one at most. */
static inline __attribute__((always_inline)) void panel_rows(const struct panel_job *j, enum panel_type type)
{
    int most = type == PANEL_INT8 ? PANEL_ROWS_INT8 : PANEL_ROWS, tiles = (j->rows + most - 1) / most;
    for (int row = 0, left = tiles; left > 0; left--) {
        int n = (j->rows - row + left - 1) / left;
        switch (n) {
        case 6: tile(j, row, 6, type); break;
        case 5: tile(j, row, 5, type); break;
        case 4: tile(j, row, 4, type); break;
        case 3: tile(j, row, 3, type); break;
        case 2: tile(j, row, 2, type); break;
        default: tile(j, row, 1, type);
        }
        row += n;
    }
}

static void panel_f32(const struct panel_job *j)
{
    panel_rows(j, PANEL_F32);
}

static void panel_bf16(const struct panel_job *j)
{
    panel_rows(j, PANEL_BF16);
}

static void panel_int8(const struct panel_job *j)
{
    panel_rows(j, PANEL_INT8);
}

#endif
