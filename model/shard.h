/* Writing tensors of a checkpoint into one safetensors file, converted on the way, row by row. */
#ifndef MODEL_SHARD_H
#define MODEL_SHARD_H

#include "model/checkpoint.h"

/* One tensor to write: I8 is followed by its scales, "NAME.scale" f32 [dims[0]]. */
struct shard_tensor {
    const struct checkpoint *from;
    const struct tensor *tensor;
    enum tensor_type type; /* F32, F16, BF16 or I8 (at least one dimension) */
};

struct shard_progress {
    void (*fn)(void *ctx, const char *tensor, int64_t done, int64_t total); /* may be NULL */
    void *ctx;
    int64_t done, total; /* bytes of tensors */
};

int64_t shard_tensor_bytes(const struct shard_tensor *t); /* scales included */

/* Writes path and brings it to the disk. Finite values that the type can't hold are an error that names the tensor. */
MUST_CHECK enum status shard_write(const char *path, const struct shard_tensor *tensors, size_t n,
                                   struct shard_progress *progress, struct diag *why);

/* A small file of these bytes, brought to the disk. */
MUST_CHECK enum status file_write(const char *path, const void *bytes, size_t len, struct diag *why);

#endif
