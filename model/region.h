/* Regions of an image in pixels, as the prompt names them and as the sampler sees them (spec 4.5, 5.2). Geometry only:
 * no weights, no backend. A region's mask is the set of pixels inside; positives are enumerated x-major (x outer, y
 * inner). Masks are never bitmaps of the image: boxes and points are intervals, free forms are runs per column. */
#ifndef MODEL_REGION_H
#define MODEL_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum region_kind { REGION_POINT, REGION_BOX, REGION_POLYGON, REGION_SCRIBBLE, REGION_MASK };
enum { REGION_POINT_SPAN = 5, /* spec 5.2: an 11 x 11 window */ REGION_MAX_VERTICES = 4096, REGION_MAX_RUNS = 1 << 20 };

/* As given; plain data, arrays borrowed. Coordinates in pixels of the image, or 0..1 where normalised. */
struct region_spec {
    enum region_kind kind;
    bool normalised;
    double box[4];        /* box: x1 y1 x2 y2, inclusive; point: x y in the first two */
    const double *xy;     /* polygon (rings), scribble: pairs */
    int n_points;         /* pairs in xy */
    const int *ring_ends; /* polygon: index behind the last pair of each ring (even-odd rule); NULL = one ring */
    int n_rings;
    double stroke_width; /* scribble: pixels, >= 1; 0 = 1 % of the longer side, at least 3 */
    const uint32_t *rle; /* mask: COCO runs down the columns, zeros first */
    size_t n_rle;
    int rle_size[2]; /* [H, W] of the mask; must equal the image's */
};

struct run {
    int x, y0, y1;
}; /* pixels (x, y0..y1), inclusive */

struct region {
    int width, height; /* of the image */
    int bounds[4];     /* inclusive x1 y1 x2 y2 of the mask */
    int64_t n_pixels;
    struct run *runs; /* NULL for points and boxes: the mask is `bounds` */
    size_t n_runs;    /* x ascending, y ascending, disjoint */
    int64_t *before;  /* [n_runs]: pixels in the runs before each; NULL where runs is */
    int point[2];     /* kind POINT: the point itself */
    enum region_kind kind;
};

/* Rasterises. Swapped corners are put right, corners outside are clamped to the image; a point outside or a mask
 * without a pixel is ST_INVALID ("region ...: no pixel of the W x H image is inside"), polygons over the limits
 * ST_LIMIT. width x height must be < 2^31, so that squared distances fit 64 bits (spec 4.6): refused as ST_LIMIT.
 * Points and corners are cut to whole pixels. A polygon holds the pixels whose centre (x + 0.5, y + 0.5) is inside, a
 * scribble those within half a stroke of the line through its pixels, thin strokes made just wide enough to have no
 * gaps. */
MUST_CHECK enum status region_make(const struct region_spec *spec, int width, int height, struct region *out,
                                   struct diag *why);
void region_fini(struct region *r);
/* Pixel number `index` (0 .. n_pixels-1) in x-major order. */
void region_pixel(const struct region *r, int64_t index, int *x, int *y);
/* "[x, y]" or "[x1, y1, x2, y2]" in thousandths: int(v * (1000.0 / size)) (spec 5.1). Returns the length written. */
int region_text(const struct region *r, char out[64]);

/* The sampler's choice of points (spec 4.5, 4.6): MT19937 re-seeded with seed mod 2^32. chosen: n indices into the
 * region's pixels. starts: one FPS start per stage, drawn modulo stage_in[s]. */
MUST_CHECK enum status region_draw(const struct region *r, uint64_t seed, int n, int n_stages, const int *stage_in,
                                   int64_t *chosen, int *starts);

/* COCO's compressed run string -> runs (malloc'ed, caller frees). */
MUST_CHECK enum status region_rle_decode(const char *counts, size_t len, uint32_t **runs, size_t *n, struct diag *why);

#endif
