/* Inside of resize_bicubic: the coefficients of one axis and the row operations, one set an instruction set. All sets
 * give the same bits: sums are exact in 32-bit integers.
 *
 * A coefficient k (22 fraction bits, |k| < 2^23) is also stored as hi * 2^15 + lo, lo in 0..32767, so that 16-bit
 * multiply-add instructions do. Their partial sums wrap modulo 2^32 and the total does not. */
#ifndef MODEL_RESIZE_H
#define MODEL_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    RESIZE_FRACTION_BITS = 22,
    RESIZE_SPLIT_BITS = 15,
    RESIZE_ROWS = 4,      /* rows a call of `horizontal` */
    RESIZE_TAPS_STEP = 8, /* taps are padded with zeros to a multiple */
    RESIZE_SLACK = 64,    /* bytes behind a row that `horizontal` may read */
};

struct resize_axis {
    int in, out;
    int taps;    /* coefficients a sample, padded */
    int *first;  /* [out] first input sample */
    int *count;  /* [out] input samples that count, <= taps */
    int32_t *k;  /* [out][taps] */
    int16_t *lo; /* [out][taps] */
    int16_t *hi; /* [out][taps] */
};
MUST_CHECK enum status resize_axis_init(struct resize_axis *a, int in, int out);
void resize_axis_fini(struct resize_axis *a); /* zeroed or filled */

struct resize_ops {
    const char *name; /* "scalar", "avx2", "avx512" */
    /* RESIZE_ROWS rows of RGB pixels, each followed by RESIZE_SLACK readable bytes, to rows of a->out pixels. */
    void (*horizontal)(const struct resize_axis *a, const uint8_t *const *rows, uint8_t *const *out);
    /* Row y of the result from all rows of `in`, `stride` bytes each, of which all are samples. */
    void (*vertical)(const struct resize_axis *a, int y, const uint8_t *in, size_t stride, uint8_t *out);
};
extern const struct resize_ops resize_scalar, resize_avx2, resize_avx512;
/* The widest set that this processor has; `at_most` 0: scalar, 1: up to avx2, 2: up to avx512. */
const struct resize_ops *resize_ops_select(int at_most);
MUST_CHECK enum status resize_bicubic_with(const struct resize_ops *ops, const uint8_t *rgb, int width, int height,
                                           int size, uint8_t *out);

/* Samples [from, len) of a row, one at a time: the scalar set, and the ends of rows in the others. */
void resize_vertical_tail(const struct resize_axis *a, int y, const uint8_t *in, size_t stride, size_t from,
                          uint8_t *out);

#endif
