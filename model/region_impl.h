/* Inside of region_make: shapes append runs, columns ascending. */
#ifndef MODEL_REGION_IMPL_H
#define MODEL_REGION_IMPL_H

#include "model/region.h"

/* Largest magnitude of a coordinate of a free form, in pixels: far outside of any image, far inside of what a double
 * multiplies exactly enough. */
#define REGION_MAX_COORDINATE 1e7

struct run_list {
    struct run *runs;
    size_t n, capacity;
    int64_t *before;
    int64_t n_pixels;
};
/* Appends pixels (x, y0..y1), y0 <= y1; joins them to the last run where they touch or overlap it. ST_NOMEM, or
 * ST_LIMIT beyond REGION_MAX_RUNS. */
MUST_CHECK enum status run_list_add(struct run_list *l, int x, int y0, int y1);

/* The shapes, clipped to the image. ST_INVALID says what is wrong with the shape; an empty
 * result is ST_OK. */
MUST_CHECK enum status region_fill_polygon(const struct region_spec *s, int width, int height, struct run_list *out,
                                           struct diag *why);
MUST_CHECK enum status region_fill_scribble(const struct region_spec *s, int width, int height, struct run_list *out,
                                            struct diag *why);
MUST_CHECK enum status region_fill_mask(const struct region_spec *s, int width, int height, struct run_list *out,
                                        struct diag *why);

#endif
