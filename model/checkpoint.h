/* Tensors of a checkpoint folder, whatever its files: model.safetensors, sharded safetensors with index,
 * pytorch_model.bin zip shards with index; a Ferret delta over its base (spec 8.1). Files stay mapped; nothing is
 * copied until a reader asks for rows. Read-only after opening; any thread may read. */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { TENSOR_MAX_DIMS = 5 };
enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_I64, TENSOR_I32, TENSOR_I8, TENSOR_U8, TENSOR_OTHER };

struct tensor {
    const char *name; /* borrowed from the checkpoint */
    const char *file; /* which file holds it, for messages */
    enum tensor_type type;
    int n_dims;
    int64_t dims[TENSOR_MAX_DIMS];
    const void *data; /* mapped, row-major, not necessarily aligned */
    size_t bytes;
};

struct checkpoint;
/* base_dir: NULL, or the folder that `dir` is a delta over; then tensors read as fp16(base + delta), rows beyond the
 * base's, the projector and the sampler as they are. Truncated files, overlapping or out-of-range tensors, unknown
 * pickle opcodes or classes, index entries without tensor: errors by name. (Tensors of a PyTorch file may share a
 * storage.) */
MUST_CHECK enum status checkpoint_open(const char *dir, const char *base_dir, struct checkpoint **out,
                                       struct diag *why);
void checkpoint_close(struct checkpoint *c);
const char *checkpoint_dir(const struct checkpoint *c);
const struct checkpoint *checkpoint_base(const struct checkpoint *c); /* of a delta, else NULL; lives with c */

size_t checkpoint_count(const struct checkpoint *c);
const struct tensor *checkpoint_at(const struct checkpoint *c, size_t index);       /* sorted by name */
const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name); /* NULL where absent */
/* The same with the shape demanded (dims[0..n)); error names file, tensor, expected and found. Type must be f32, f16,
 * bf16, or i8 with "NAME.scale" (f32 [dims[0]]) beside it, as `ferret convert --dtype int8` writes. */
MUST_CHECK enum status checkpoint_need(const struct checkpoint *c, const char *name, const int64_t *dims, int n_dims,
                                       const struct tensor **out, struct diag *why);

/* Tensors that published files hold and nobody needs: rotary_emb.inv_freq, position_ids, CLIP's text half and its
 * projections. */
bool checkpoint_ignores(const char *name);

/* Rows [row, row+n) of the tensor seen as [dims[0], product of the rest] in f32, delta applied, int8 scaled. */
MUST_CHECK enum status checkpoint_rows(const struct checkpoint *c, const struct tensor *t, int64_t row, int64_t n,
                                       float *out, struct diag *why);

/* Says that t won't be read again soon: its mapped pages leave the process (the values stay readable). */
void checkpoint_release(const struct checkpoint *c, const struct tensor *t);

/* 32 bytes that identify the model: SHA-256 over config.json and every tensor's name, type, shape and bytes sampled by
 * a fixed rule (stated in checkpoint_hash.c), the tower's and its two config files included when given. hex: 64 chars +
 * NUL.
 */
MUST_CHECK enum status checkpoint_hash(const struct checkpoint *c, const struct checkpoint *tower, char hex[65],
                                       struct diag *why);

#endif
