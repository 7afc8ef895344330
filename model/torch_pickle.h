/* The pickle inside a PyTorch weight file: a dictionary of tensors, nothing else. The machine runs only the opcodes and
 * knows only the classes that such a file needs; anything else is refused by name, so no code of the file ever runs.
 * Knows no file, only bytes, and is a fuzz target. */
#ifndef MODEL_TORCH_PICKLE_H
#define MODEL_TORCH_PICKLE_H

#include "model/tensor_list.h"

/* A tensor as the pickle describes it: a view into a storage that lies elsewhere in the archive. */
struct pickled_tensor {
    const char *name, *storage; /* point into the pickle, not terminated */
    size_t name_len, storage_len;
    enum tensor_type type;
    int64_t storage_elements, offset; /* in elements */
    int n_dims;
    int64_t dims[TENSOR_MAX_DIMS]; /* row-major, contiguous */
};

struct pickled_tensors {
    struct pickled_tensor *items;
    size_t n;
};

/* Runs pickle[0..size). Every tensor is contiguous and inside its storage. `file` names the source in messages. Free
 * out->items with free(). */
MUST_CHECK enum status torch_pickle_read(const void *pickle, size_t size, const char *file, struct pickled_tensors *out,
                                         struct diag *why);

/* The whole archive (a zip with NAME/data.pkl and NAME/data/KEY): appends its tensors to *out, data pointing into
 * bytes. On failure *out may hold some of them. */
MUST_CHECK enum status torch_archive_read(const void *bytes, size_t size, const char *file, struct tensor_list *out,
                                          struct diag *why);

#endif
