/* The safetensors container: 8 bytes of header length, a JSON header, bytes of tensors. The reader is strict: every
 * byte behind the header belongs to exactly one tensor. It knows no file, only bytes, and is a fuzz target. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "model/tensor_list.h"

enum { SAFETENSORS_MAX_HEADER = 100 << 20 };

/* Appends the tensors of bytes[0..size) to *out; their data point into bytes. `file` names the source in messages and
 * is borrowed by the tensors. On failure *out may hold some of them. */
MUST_CHECK enum status safetensors_read(const void *bytes, size_t size, const char *file, struct tensor_list *out,
                                        struct diag *why);

#endif
