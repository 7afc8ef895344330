/* The spatial-aware visual sampler (spec 4) in its folded form. A region's draws are made on the host before its
 * task goes to the engine, on any thread (region_draw); the rest runs on the backend, several regions at a time. */
#ifndef MODEL_SAMPLER_H
#define MODEL_SAMPLER_H

#include <stdint.h>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/region.h"
#include "model/weights.h"

/* A region reduced to what the sampler reads of it. */
struct drawn_region {
    int32_t *chosen; /* [points]: numbers among the region's pixels */
    int32_t *xy;     /* [points * 2]: the same as pixels */
    int width, height;
    int32_t starts[CONFIG_MAX_STAGES];
};
MUST_CHECK enum status drawn_region_init(struct drawn_region *d, const struct sampler_config *c,
                                         const struct region *region, uint64_t seed);
/* The caller owns *d: drawn_region_fini. */
MUST_CHECK enum status drawn_region_copy(struct drawn_region *d, const struct sampler_config *c,
                                         const struct drawn_region *from);
void drawn_region_fini(struct drawn_region *d);

struct sampler_stage {
    int n_in, n_out, n_neighbours;
    struct array *xy;                               /* i32 [R * n_in * 2] */
    struct array *start, *anchors, *neighbours;     /* [R], [R * n_out], [R * n_out * K] */
    struct act *points;                             /* [R * n_in, C + 2]: what the stage before left */
    struct act *products, *taken, *anchor_products; /* [R * n_in, C], [R * n_out, C + 2], [R * n_out, C] */
};
struct sampler {
    struct backend *be;
    const struct sampler_config *config;
    const struct sampler_weights *weights;
    int batch, grid;
    struct sampler_stage stages[CONFIG_MAX_STAGES];
    struct array *image, *points, *size; /* [R], [R * N * 2], [R * 2] */
    struct act *pooled;                  /* [R * last n_out, C + 2] */
    struct act *flat, *out;              /* [R, C], [R, hidden] */
    int32_t *staging;                    /* host memory for a batch's pixels or points */
};

/* What a batch chose, for parity: arrays of the caller, [n * n_out] of each stage. */
struct sampler_trace {
    int32_t *anchors[CONFIG_MAX_STAGES];
};

size_t sampler_bytes_per_region(const struct config *c);
MUST_CHECK enum status sampler_init(struct sampler *s, struct backend *be, const struct config *c,
                                    const struct sampler_weights *w, int batch, struct diag *why);
void sampler_fini(struct sampler *s);
/* n <= batch regions over the feature rows of image slots[i]; feature i goes to row rows[i] of region_rows. trace may
 * be NULL. */
MUST_CHECK enum status sampler_run(struct sampler *s, const struct act *features, const struct drawn_region *const *d,
                                   const int *slots, const int32_t *rows, int n, struct act *region_rows,
                                   const struct sampler_trace *trace, struct diag *why);

#endif
