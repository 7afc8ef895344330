/* Named tensors in memory, and as a safetensors file: what parity records. */
#ifndef MODEL_PARITY_STORE_H
#define MODEL_PARITY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { PARITY_NAME_BYTES = 128, PARITY_PATH_BYTES = 4096 };

struct parity_tensor {
    char name[PARITY_NAME_BYTES];
    bool is_int; /* int32, else float32 */
    int n_dims, dims[2];
    size_t n;
    void *values;
};
struct parity_store {
    struct parity_tensor *items;
    size_t n, capacity;
};

/* Appends a copy. rows = 0: a tensor of one dimension. */
MUST_CHECK enum status parity_store_add(struct parity_store *s, const char *name, bool is_int, int rows, int cols,
                                        const void *values);
const struct parity_tensor *parity_store_find(const struct parity_store *s, const char *name);
void parity_store_fini(struct parity_store *s);
MUST_CHECK enum status parity_store_write(const struct parity_store *s, const char *path, struct diag *why);
/* Appends the file's int32 and float32 tensors of one or two dimensions. */
MUST_CHECK enum status parity_store_read(struct parity_store *s, const char *path, struct diag *why);
/* The two files of a set (model/parity.h). That they exist is not checked. */
struct parity_set {
    char json[PARITY_PATH_BYTES], tensors[PARITY_PATH_BYTES];
};
MUST_CHECK enum status parity_set_find(const char *path, struct parity_set *out, struct diag *why);
/* Whole files. The caller frees *out. */
MUST_CHECK enum status parity_read_file(const char *path, char **out, size_t *len, struct diag *why);
MUST_CHECK enum status parity_write_file(const char *path, const void *head, size_t head_len, const void *bytes,
                                         size_t len, struct diag *why);

#endif
