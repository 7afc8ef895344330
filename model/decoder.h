/* The language model over one step: rows of many sequences through all layers, logits and samples for the rows that
 * want them (spec 1.2). Holds the activations and arrays of a step. */
#ifndef MODEL_DECODER_H
#define MODEL_DECODER_H

#include "base/status.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/scheduler.h"
#include "model/weights.h"

struct decoder {
    struct backend *be;
    const struct decoder_config *config;
    const struct decoder_weights *weights;
    struct act *x, *h, *qkv, *attn, *mlp; /* rows of the largest step, and its sampled ones: */
    struct act *last, *logits;
    int max_rows;
    struct step step; /* its arrays belong to the backend */
    struct tasks tasks;
    int32_t *staging; /* [2 * max_sampled] on the host */
};

/* The sampled rows' hidden states and logits, for parity. Arrays of the caller. */
struct decoder_trace {
    float *hidden; /* [layers + 1][n_sampled][hidden]: embedding, output of each layer, the last one after the norm */
    float *logits; /* [n_sampled][vocab] */
};

/* max_sampled: sequence slots, and rows of a step that may be sampled. history: tokens kept a slot. */
MUST_CHECK enum status decoder_init(struct decoder *d, struct backend *be, const struct config *c,
                                    const struct decoder_weights *w, int max_rows, int max_sampled, int n_pages,
                                    struct diag *why);
void decoder_fini(struct decoder *d);

struct slot_start {
    int slot, max_tokens;
    float temperature, top_p;
    uint64_t seed;
    bool repetition_stop;
    bool boxes; /* kept well-formed: decoder_box_classes came before */
};
/* What each of the first n tokens is to a box (enum box_class), 0 < n <= vocab; the others are text. */
MUST_CHECK enum status decoder_box_classes(struct decoder *d, const int32_t *classes, int n, struct diag *why);
/* Sets a slot's state for a new task. */
MUST_CHECK enum status decoder_start_slot(struct decoder *d, const struct slot_start *s, struct diag *why);
/* Lets the backend keep what steps of each size do, as far as it has room (backend_step_record). Behind backend_kv; the
 * steps that follow pass the same image_rows and region_rows. */
MUST_CHECK enum status decoder_record(struct decoder *d, const struct act *image_rows, const struct act *region_rows,
                                      struct diag *why);
/* Runs the rows of a plan. trace may be NULL. Where the plan samples, what it samples is on its way to the host. */
MUST_CHECK enum status decoder_step(struct decoder *d, const struct plan *plan, const struct act *image_rows,
                                    const struct act *region_rows, const struct decoder_trace *trace, struct diag *why);
/* Waits for the oldest step that samples and was not read yet, at most two steps back, not for those behind it: out
 * gets an element a slot, of which those that the step sampled are new. */
MUST_CHECK enum status decoder_sampled(struct decoder *d, struct sampled *out, struct diag *why);

#endif
