/* Writes tensors of a checkpoint as one safetensors file, streaming: memory stays at one block of rows, whatever the
 * size. The file appears by rename. */
#ifndef CLI_TENSOR_WRITER_H
#define CLI_TENSOR_WRITER_H

#include "base/status.h"
#include "model/checkpoint.h"

enum write_dtype { WRITE_STORED, WRITE_F32, WRITE_F16, WRITE_BF16, WRITE_INT8 };

/* Every tensor whose name begins with `prefix` ("" for all). WRITE_STORED keeps types; a delta over a base becomes f16.
 * WRITE_INT8 turns the matrices of transformer layers and the head into i8 with "NAME.scale" (f32, one a row:
 * max|row| / 127) and keeps the rest as stored. */
MUST_CHECK enum status tensors_write(const struct checkpoint *c, const char *prefix, enum write_dtype dtype,
                                     const char *path, struct diag *why);

#endif
