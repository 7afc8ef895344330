/* The settings of kept features, shared by ferret-worker and by the commands of `ferret` that annotate themselves. */
#ifndef WORKER_CACHE_FLAGS_H
#define WORKER_CACHE_FLAGS_H

#include "base/settings.h"
#include "worker/pipeline.h"

struct cache_flags {
    const char *dir; /* NULL: nothing is kept */
    int64_t bytes;
    int type; /* enum feature_type */
};
/* `at`: offset of a struct cache_flags in the program's struct. */
struct setting_group cache_flags_group(size_t at);
/* What the flags say, into the options of a pipeline. Strings are borrowed. */
void cache_flags_apply(const struct cache_flags *f, struct pipeline_options *o);

#endif
