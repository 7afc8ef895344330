/* The settings that name a model and where it runs, and what the engine makes of them: shared by ferret-worker and by
 * the commands of `ferret` that open a model themselves. */
#ifndef WORKER_MODEL_FLAGS_H
#define WORKER_MODEL_FLAGS_H

#include "base/settings.h"
#include "base/status.h"
#include "model/engine.h"

struct model_flags {
    const char *model, *vision_tower, *base;
    int dtype; /* index of "auto|f32|f16|bf16|int8|fp8" */
    const char *device;
    bool all_devices; /* not a setting: the caller starts a process a device, so cuda:all may be asked for */
    struct setting_memory memory;
    int64_t threads;
    int isa; /* index of "auto|scalar|avx2|avx512" */
    bool fast;
};
/* --model --vision-tower --base --dtype --device --memory --threads --isa --fast; `at`: offset of a struct model_flags
 * in the program's struct. */
struct setting_group model_flags_group(size_t at);
/* The same without --model, for commands that take the checkpoint as an argument. */
struct setting_group named_model_flags_group(size_t at);

/* What the flags came to. Strings in `options` point into this struct and into the flags, so it stays where it is while
 * they are in use. */
struct engine_choice {
    struct engine_options options;
    char device[32];    /* of several the first */
    int devices;        /* 1, or with all_devices as many as there are */
    char *model_dir;    /* of --model, else the default model that was found */
    bool default_model; /* nobody named one */
    char *notice;       /* lines for stderr: domain of the default model, device that `auto` chose; may be "" */
};
/* ST_MISSING: no model named and none found (names the places), or a device that is not there. */
MUST_CHECK enum status model_flags_resolve(const struct model_flags *f, struct engine_choice *out, struct diag *why);
void engine_choice_fini(struct engine_choice *c);

#endif
