/* One golden case: what goes into the engine and what came out, and its record. */
#ifndef MODEL_PARITY_CASE_H
#define MODEL_PARITY_CASE_H

#include "base/json.h"
#include "model/config.h"
#include "model/engine.h"
#include "model/parity_store.h"
#include "model/sampler.h"

struct parity_case {
    char id[PARITY_NAME_BYTES]; /* with "sampler." in front where only the sampler counts */
    const struct json *expected;
    bool sampler_only;
    int width, height, max_tokens;
    uint64_t seed;
    char *prompt;
    struct region *regions;
    int n_regions;
    struct drawn_region *drawn; /* [n_regions]; made by who runs the case, freed with it */
    bool *same_mask;            /* [n_regions]: its own geometry gives the recorded mask */
    double vision_sum, vision_sumsq;
    struct engine_result result;
    bool done;
};

/* Reads a case: prompt from its turns, regions from its recorded masks. The caller owns it; parity_case_fini. */
MUST_CHECK enum status parity_case_init(struct parity_case *c, const struct json *expected,
                                        const struct template_config *t, struct diag *why);
/* Likewise an entry of sampler_only: one region of boxes, asked about with a bare region token. */
MUST_CHECK enum status parity_sampler_init(struct parity_case *c, const struct json *expected,
                                           const struct template_config *t, struct diag *why);
void parity_case_fini(struct parity_case *c);

/* The finished case as JSON, or NULL when memory is short. fixed: the indices of `at`. */
struct json *parity_case_record(const struct parity_case *c, const struct config *config, const struct tokenizer *t,
                                const struct parity_store *tensors, const struct json *fixed);

#endif
