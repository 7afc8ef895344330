#include "model/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Catmull-Rom, a = -0.5. Every expression in Pillow's order: the last bit of a coefficient depends on it. */
static double bicubic(double t)
{
    const double a = -0.5;
    t = fabs(t);
    if (t < 1.0)
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1;
    if (t < 2.0)
        return (((t - 5) * t + 8) * t - 4) * a;
    return 0.0;
}

static int32_t to_fixed(double w)
{
    return (int32_t)(w * (1 << RESIZE_FRACTION_BITS) + (w < 0 ? -0.5 : 0.5));
}

/* Weights of output sample i into w[count], normalised. */
static void sample_weights(struct resize_axis *a, int i, double support, double inverse_scale, double *w)
{
    double scale = (double)a->in / a->out, centre = (i + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    if (first < 0)
        first = 0;
    if (end > a->in)
        end = a->in;
    a->first[i] = first;
    a->count[i] = end - first;
    for (int x = first; x < end; x++) {
        w[x - first] = bicubic((x - centre + 0.5) * inverse_scale);
        sum += w[x - first];
    }
    for (int x = 0; x < end - first; x++)
        if (sum != 0)
            w[x] /= sum;
}

enum status resize_axis_init(struct resize_axis *a, int in, int out)
{
    double scale = fmax((double)in / out, 1.0), support = 2.0 * scale;
    int taps = ((int)ceil(support) * 2 + 1 + RESIZE_TAPS_STEP - 1) / RESIZE_TAPS_STEP * RESIZE_TAPS_STEP;
    size_t n = (size_t)out * (size_t)taps;
    *a = (struct resize_axis){.in = in, .out = out, .taps = taps};
    a->first = calloc((size_t)out, sizeof *a->first);
    a->count = calloc((size_t)out, sizeof *a->count);
    a->k = calloc(n, sizeof *a->k);
    a->lo = calloc(n, sizeof *a->lo);
    a->hi = calloc(n, sizeof *a->hi);
    double *w = calloc((size_t)taps, sizeof *w);
    enum status s = a->first && a->count && a->k && a->lo && a->hi && w ? ST_OK : ST_NOMEM;
    for (int i = 0; s == ST_OK && i < out; i++) {
        sample_weights(a, i, support, 1.0 / scale, w);
        for (int x = 0; x < a->count[i]; x++) {
            size_t at = (size_t)i * (size_t)taps + (size_t)x;
            a->k[at] = to_fixed(w[x]);
            a->lo[at] = (int16_t)(a->k[at] & ((1 << RESIZE_SPLIT_BITS) - 1));
            a->hi[at] = (int16_t)(a->k[at] >> RESIZE_SPLIT_BITS);
        }
    }
    free(w);
    if (s != ST_OK)
        resize_axis_fini(a);
    return s;
}

void resize_axis_fini(struct resize_axis *a)
{
    free(a->first);
    free(a->count);
    free(a->k);
    free(a->lo);
    free(a->hi);
    *a = (struct resize_axis){0};
}

static uint8_t to_byte(int32_t sum)
{
    int v = sum >> RESIZE_FRACTION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void horizontal_row(const struct resize_axis *a, const uint8_t *row, uint8_t *out)
{
    for (int i = 0; i < a->out; i++, out += 3) {
        const int32_t *k = a->k + (ptrdiff_t)i * a->taps;
        const uint8_t *p = row + (ptrdiff_t)a->first[i] * 3;
        int32_t sum[3] = {1 << (RESIZE_FRACTION_BITS - 1), 1 << (RESIZE_FRACTION_BITS - 1),
                          1 << (RESIZE_FRACTION_BITS - 1)};
        for (int x = 0; x < a->count[i]; x++, p += 3)
            for (int c = 0; c < 3; c++)
                sum[c] += p[c] * k[x];
        for (int c = 0; c < 3; c++)
            out[c] = to_byte(sum[c]);
    }
}

static void horizontal_scalar(const struct resize_axis *a, const uint8_t *const *rows, uint8_t *const *out)
{
    for (int r = 0; r < RESIZE_ROWS; r++)
        horizontal_row(a, rows[r], out[r]);
}

void resize_vertical_tail(const struct resize_axis *a, int y, const uint8_t *in, size_t stride, size_t from,
                          uint8_t *out)
{
    const int32_t *k = a->k + (ptrdiff_t)y * a->taps;
    in += (size_t)a->first[y] * stride;
    for (size_t i = from; i < stride; i++) {
        int32_t sum = 1 << (RESIZE_FRACTION_BITS - 1);
        for (int t = 0; t < a->count[y]; t++)
            sum += in[(size_t)t * stride + i] * k[t];
        out[i] = to_byte(sum);
    }
}

static void vertical_scalar(const struct resize_axis *a, int y, const uint8_t *in, size_t stride, uint8_t *out)
{
    resize_vertical_tail(a, y, in, stride, 0, out);
}

const struct resize_ops resize_scalar = {"scalar", horizontal_scalar, vertical_scalar};

const struct resize_ops *resize_ops_select(int at_most)
{
    __builtin_cpu_init();
    if (at_most >= 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return &resize_avx512;
    if (at_most >= 1 && __builtin_cpu_supports("avx2"))
        return &resize_avx2;
    return &resize_scalar;
}

/* All rows through `horizontal`, RESIZE_ROWS at a time. Rows too near the end of the image to be read beyond go through
 * a copy with slack. out [height][size][3]. */
static enum status horizontal_pass(const struct resize_ops *ops, const uint8_t *rgb, int width, int height, int size,
                                   uint8_t *out)
{
    struct resize_axis a;
    enum status s = resize_axis_init(&a, width, size);
    if (s != ST_OK)
        return s;
    size_t row = (size_t)width * 3, padded = row + RESIZE_SLACK, total = row * (size_t)height;
    uint8_t *copy = calloc(RESIZE_ROWS, padded);
    for (int y = 0; copy && y < height; y += RESIZE_ROWS) {
        const uint8_t *rows[RESIZE_ROWS];
        uint8_t *outs[RESIZE_ROWS];
        for (int r = 0; r < RESIZE_ROWS; r++) {
            size_t at = (size_t)(y + r < height ? y + r : height - 1);
            rows[r] = rgb + at * row;
            outs[r] = out + at * (size_t)size * 3;
            if (at * row + padded > total) {
                memcpy(copy + (size_t)r * padded, rows[r], row);
                rows[r] = copy + (size_t)r * padded;
            }
        }
        ops->horizontal(&a, rows, outs);
    }
    resize_axis_fini(&a);
    s = copy ? ST_OK : ST_NOMEM;
    free(copy);
    return s;
}

static enum status vertical_pass(const struct resize_ops *ops, const uint8_t *in, int height, int size, uint8_t *out)
{
    struct resize_axis a;
    enum status s = resize_axis_init(&a, height, size);
    if (s != ST_OK)
        return s;
    size_t stride = (size_t)size * 3;
    for (int y = 0; y < size; y++)
        ops->vertical(&a, y, in, stride, out + (size_t)y * stride);
    resize_axis_fini(&a);
    return ST_OK;
}

enum status resize_bicubic_with(const struct resize_ops *ops, const uint8_t *rgb, int width, int height, int size,
                                uint8_t *out)
{
    if (width < 1 || height < 1 || size < 1)
        return ST_INVALID;
    if (height == size) {
        if (width != size)
            return horizontal_pass(ops, rgb, width, height, size, out);
        memcpy(out, rgb, (size_t)size * (size_t)size * 3);
        return ST_OK;
    }
    if (width == size)
        return vertical_pass(ops, rgb, height, size, out);
    uint8_t *between = malloc((size_t)height * (size_t)size * 3);
    if (!between)
        return ST_NOMEM;
    enum status s = horizontal_pass(ops, rgb, width, height, size, between);
    if (s == ST_OK)
        s = vertical_pass(ops, between, height, size, out);
    free(between);
    return s;
}
