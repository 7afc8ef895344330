/* Row readers for backend_weight: tensors stacked on top of each other, columns of a tensor, plain memory. */
#ifndef MODEL_WEIGHTS_SOURCE_H
#define MODEL_WEIGHTS_SOURCE_H

#include "base/status.h"
#include "kernels/backend.h"
#include "model/checkpoint.h"

enum { SOURCE_MAX_PARTS = 3 };

/* Packs `n` tensors of rows x cols each, one under the other, as one matrix. A convolution's kernel counts as a row. */
MUST_CHECK enum status pack_stacked(struct backend *be, enum weight_use use, const struct checkpoint *c,
                                    const char *const *names, int n, int rows, int cols, struct weight **out,
                                    struct diag *why);
/* Packs `n` vectors of len each end to end. */
MUST_CHECK enum status pack_vectors(struct backend *be, const struct checkpoint *c, const char *const *names, int n,
                                    int len, struct weight **out, struct diag *why);
/* Packs rows x cols numbers in memory. */
MUST_CHECK enum status pack_values(struct backend *be, enum weight_use use, const float *values, int rows, int cols,
                                   struct weight **out, struct diag *why);
/* A tensor with the dims demanded, whole, as f32; the caller frees *out. */
MUST_CHECK enum status read_tensor(const struct checkpoint *c, const char *name, const int64_t *dims, int n_dims,
                                   float **out, struct diag *why);

#endif
