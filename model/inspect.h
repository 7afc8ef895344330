/* What a checkpoint holds and what it needs, without running it: configuration, tensors, sizes, memory by precision. */
#ifndef MODEL_INSPECT_H
#define MODEL_INSPECT_H

#include <stdbool.h>

#include "base/status.h"

struct inspect_options {
    const char *model_dir, *base_dir, *tower_dir; /* as in convert_options */
    bool json;                                    /* one JSON object instead of lines for people */
    bool tensors;                                 /* list every tensor: name, type, shape, bytes, file */
};

/* *out: text, malloc'ed. A checkpoint that does not pass checkpoint_check is an error. */
MUST_CHECK enum status inspect_checkpoint(const struct inspect_options *o, char **out, struct diag *why);

#endif
