/* The tensors that a Ferret checkpoint and its vision tower consist of: one table of names and shapes (spec 4.2, 8.3),
 * filled in from a configuration. */
#ifndef MODEL_TENSOR_TABLE_H
#define MODEL_TENSOR_TABLE_H

#include "model/checkpoint.h"
#include "model/config.h"

enum tensor_part { PART_DECODER, PART_PROJECTOR, PART_SAMPLER, PART_TOWER, PART_COUNT_ };

struct expected_tensor {
    char name[128];
    enum tensor_part part;
    bool is_optional; /* published files hold it, no step needs it: tower layers behind the one that is read */
    bool is_linear;   /* right side of a matrix product in the decoder: what int8 quantises */
    int n_dims;
    int64_t dims[TENSOR_MAX_DIMS];
};

/* Calls visit for each until it returns false. */
void tensor_table_each(const struct config *c, bool (*visit)(void *ctx, const struct expected_tensor *t), void *ctx);
/* The one of that name, or false. */
bool tensor_table_find(const struct config *c, const char *name, struct expected_tensor *out);

#endif
