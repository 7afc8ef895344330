/* Is this checkpoint complete, and nothing else? */
#ifndef MODEL_CHECKPOINT_CHECK_H
#define MODEL_CHECKPOINT_CHECK_H

#include "model/checkpoint.h"
#include "model/config.h"

/* Compares the tensors of checkpoint and tower with those that the configuration asks for: one that is missing, of
 * another shape or type, or belongs to no known module is an error that names file, tensor, expected and found. The
 * base of a delta may lack what checkpoint_open lets it lack, and holds nothing unknown either.
 * Passed over: what checkpoint_ignores names, and scales of quantised tensors. */
MUST_CHECK enum status checkpoint_check(const struct checkpoint *c, const struct checkpoint *tower,
                                        const struct config *cfg, struct diag *why);

#endif
