/* Inside of a checkpoint, shared by the checkpoint_*.c files alone. */
#ifndef MODEL_CHECKPOINT_IMPL_H
#define MODEL_CHECKPOINT_IMPL_H

#include "model/mapped_file.h"
#include "model/tensor_list.h"

struct checkpoint {
    char *dir;
    char *listing; /* the index, or the only file: where a tensor that is absent was looked for */
    struct mapped_file *files;
    size_t n_files;
    struct tensor_list tensors; /* sorted by name */
    struct checkpoint *base;    /* of a delta, else NULL */
};

/* madvise for the pages that belong to the tensor alone. Advice only: a failure costs nothing but time or memory. */
void tensor_advise(const struct tensor *t, int advice);
/* That base's tensors can be added to c's, and that its configuration does not tell of another model. */
MUST_CHECK enum status checkpoint_check_delta(const struct checkpoint *c, struct diag *why);

#endif
