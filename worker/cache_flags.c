#include "worker/cache_flags.h"

static const struct setting rows[] = {
    {.name = "feature-cache",
     .type = SETTING_STRING,
     .offset = offsetof(struct cache_flags, dir),
     .value = "DIR",
     .help = "keep what the vision tower makes of images there, for the next campaign over them"},
    {.name = "feature-cache-bytes",
     .type = SETTING_BYTES,
     .offset = offsetof(struct cache_flags, bytes),
     .fallback = "20GiB",
     .min = 1 << 20,
     .max = 1e18,
     .help = "budget of that folder; what was not read for the longest time goes"},
    {.name = "feature-cache-type",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct cache_flags, type),
     .fallback = "f32",
     .choices = "f32|f16",
     .help = "f32: answers are those without a cache; f16: half the room, and features are rounded"},
};

struct setting_group cache_flags_group(size_t at)
{
    return (struct setting_group){
        .title = "kept features", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

void cache_flags_apply(const struct cache_flags *f, struct pipeline_options *o)
{
    o->cache_dir = f->dir;
    o->cache_bytes = (uint64_t)f->bytes;
    o->cache_type = f->type == 1 ? FEATURES_F16 : FEATURES_F32;
}
