/* The checkpoint's tensors packed for a backend. Every matrix goes through backend_weight once; the handles belong to
 * the backend and die with it, so the lists here hold borrowed pointers only. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include <signal.h>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/checkpoint.h"
#include "model/config.h"

struct decoder_layer {
    struct weight *attn_norm, *qkv, *o, *mlp_norm, *gate_up, *down;
};
struct decoder_weights {
    struct weight *embed, *norm, *head, *inv_freq;
    struct decoder_layer *layers; /* config decoder.layers */
};

struct vision_layer {
    struct weight *norm1, *norm1_bias, *qkv, *qkv_bias, *out, *out_bias;
    struct weight *norm2, *norm2_bias, *fc1, *fc1_bias, *fc2, *fc2_bias;
};
struct vision_weights {
    struct weight *patch, *class_embedding, *position, *pre_norm, *pre_norm_bias;
    struct vision_layer *layers; /* config vision.run_layers */
    struct weight *projector, *projector_bias;
};

/* Folded (spec 4.3): A = fold * point, B = anchor * anchor point + anchor_bias. */
struct stage_weights {
    struct weight *fold, *anchor, *anchor_bias, *norm, *norm_bias;
};
struct sampler_weights {
    struct stage_weights stages[CONFIG_MAX_STAGES];
    struct weight *flatten, *flatten_bias; /* columns padded with zeros over each point's coordinates */
    struct weight *dim, *dim_bias;
};

struct weights {
    struct decoder_weights decoder;
    struct vision_weights vision;
    struct sampler_weights sampler;
};

/* done of total numbers are loaded; the last call has them equal. */
typedef void (*load_progress_fn)(void *ctx, double done, double total);
struct weights_options {
    const float *inv_freq;             /* head_dim / 2 RoPE frequencies, or NULL for the computed table */
    const volatile sig_atomic_t *stop; /* NULL, or looked at in front of every matrix: ST_CANCELLED where it is set */
    load_progress_fn progress;         /* NULL, or told behind every matrix */
    void *progress_ctx;
};
/* About what the weights take once they are packed: vectors and the region sampler in f32, embeddings never below 16
 * bits. Up to an eighth more than what is loaded, since checkpoints hold layers that nobody runs. */
double weights_bytes(const struct checkpoint *model, const struct checkpoint *tower, enum dtype dtype);
/* Packs everything. The caller owns *out's lists: weights_fini, also after a failure. */
MUST_CHECK enum status weights_load(struct backend *be, const struct config *config, const struct checkpoint *model,
                                    const struct checkpoint *tower, const struct weights_options *o,
                                    struct weights *out, struct diag *why);
void weights_fini(struct weights *w);
/* Fills head_dim / 2 frequencies in as torch computes them. */
void rope_frequencies(const struct decoder_config *d, float *out);
/* The RoPE table as torch computes it, in float32 throughout: 1 / theta ** (2i / D), or the given one. The table in
 * checkpoints is fp16 (spec 1.2). */
MUST_CHECK enum status weights_inv_freq(struct backend *be, const struct decoder_config *d, const float *given,
                                        struct weight **out, struct diag *why);

#endif
