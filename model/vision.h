/* CLIP's vision tower and the projector behind it (spec 1.3, 3): pixels -> features F -> rows for the decoder. Holds
 * the activations of one batch of images. */
#ifndef MODEL_VISION_H
#define MODEL_VISION_H

#include "base/status.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/weights.h"

struct vision {
    struct backend *be;
    const struct vision_config *config;
    const struct vision_weights *weights;
    int batch, n_patches;
    struct array *pixels;
    struct act *patches, *embedded;   /* B * P rows */
    struct act *x, *h, *qkv, *mlp;    /* B * (P + 1) rows */
    struct act *features, *projected; /* B * P rows */
};

/* Bytes of activations an image of the batch takes. */
size_t vision_bytes_per_image(const struct config *c);
MUST_CHECK enum status vision_init(struct vision *v, struct backend *be, const struct config *c,
                                   const struct vision_weights *w, int batch, struct diag *why);
/* Runs the tower over n <= batch images ([3][side][side] each): features of image i are rows [i * P, + P) of
 * v->features. */
MUST_CHECK enum status vision_encode(struct vision *v, const float *const *pixels, int n, struct diag *why);
/* From v->features of n <= batch images on: image i's features go to rows [slots[i] * P, + P) of `features`, its
 * projected rows to the same rows of `image_rows`. */
void vision_project(struct vision *v, const int *slots, int n, struct act *features, struct act *image_rows);

#endif
