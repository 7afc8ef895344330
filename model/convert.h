/* Any checkpoint layout that can be read -> one folder in the published layout: config.json, model.safetensors (in
 * shards behind an index where it is big), tokenizer files, vision_tower/. Deltas are applied. Tensors stream by rows:
 * memory does not grow with the model. */
#ifndef MODEL_CONVERT_H
#define MODEL_CONVERT_H

#include <stdint.h>

#include "base/status.h"

/* stored: every tensor in the type that it has. int8: linear layers of the decoder as I8 with one f32 scale a row
 * beside them ("NAME.scale"), everything else f16. */
enum convert_dtype { CONVERT_STORED, CONVERT_F16, CONVERT_F32, CONVERT_BF16, CONVERT_INT8 };
MUST_CHECK enum status convert_dtype_parse(const char *name, enum convert_dtype *out, struct diag *why);

struct convert_options {
    const char *model_dir;
    const char *base_dir;  /* NULL, or the base that model_dir is a delta over */
    const char *tower_dir; /* NULL: model_dir/vision_tower */
    const char *out_dir;   /* must not exist; appears whole, by renaming OUT.tmp, after everything is on the disk */
    enum convert_dtype dtype;
    int64_t shard_bytes; /* 0 = 5 GB */
    /* May be NULL. Called before each tensor with the bytes written so far and in all. */
    void (*progress)(void *ctx, const char *tensor, int64_t done, int64_t total);
    void *progress_ctx;
};

/* Checks the checkpoint first (checkpoint_check). ST_REFUSED where out_dir exists. After a failure nothing is left. */
MUST_CHECK enum status convert_run(const struct convert_options *o, struct diag *why);

#endif
