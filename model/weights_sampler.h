/* The region sampler's tensors, folded at load (spec 4.3). */
#ifndef MODEL_WEIGHTS_SAMPLER_H
#define MODEL_WEIGHTS_SAMPLER_H

#include "model/weights.h"

MUST_CHECK enum status sampler_weights_load(struct backend *be, const struct config *config, const struct checkpoint *c,
                                            struct sampler_weights *out, struct diag *why);

#endif
