/* Golden cases through the engine itself: there is no second forward pass. A case is a conversation about one image
 * with recorded masks. A set of them is a JSON file and, where there are expectations, tensors.safetensors beside it;
 * what a run writes is such a set again, under the same names. Sets are named by the JSON file, or by its folder where
 * it is called cases.json. */
#ifndef MODEL_PARITY_H
#define MODEL_PARITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/backend.h"

/* Decodes an image file under the policy ml-ferret. *rgb [height][width][3] is malloc'ed. */
typedef enum status (*parity_load_image)(void *ctx, const char *path, uint8_t **rgb, int *width, int *height,
                                         struct diag *why);

struct parity_options {
    const char *model_dir, *tower_dir, *base_dir; /* as in engine_options */
    const char *cases;                            /* a set */
    const char *images_dir;
    const char *out_dir; /* exists; gets cases.json and tensors.safetensors; never over the set that is read */
    struct backend_options backend;
    bool recorded_inv_freq; /* use the RoPE table of the expectations in place of the engine's own */
    parity_load_image load_image;
    void *load_ctx;
};
MUST_CHECK enum status parity_run(const struct parity_options *o, struct diag *why);

/* Largest differences: allowed, and found. */
struct parity_limits {
    double vision, projected; /* absolute */
    double region;            /* of the largest value of the region's feature */
    double hidden, logits;    /* absolute */
    double margin_factor;     /* ids count up to the first step whose recorded margin is at most this many times the
                                 largest logit error of the comparison; 0: all ids */
};
/* A float32 engine (with a RoPE table of its own). */
struct parity_limits parity_limits_f32(void);

struct parity_report {
    int n_cases, n_ids, n_ids_skipped, n_failures;
    struct parity_limits found; /* margin_factor: unused */
    double logprob;             /* largest difference of a step's log-probability, where the ids agree */
    char *text;                 /* differences found and what failed, for people */
};
/* Has the set expectations to compare with? */
bool parity_has_expectations(const char *cases);
/* Compares two sets: choices, prompts, ids and texts for equality, numbers within limits. Differences are no
 * failure of the call. The caller owns *out: parity_report_fini. */
MUST_CHECK enum status parity_compare(const char *expected, const char *actual, const struct parity_limits *limits,
                                      struct parity_report *out, struct diag *why);
void parity_report_fini(struct parity_report *r);

#endif
