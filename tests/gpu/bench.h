/* What `make bench-gpu` runs with: a device, what it can do, and a size of model. Its time is the clock on the wall,
 * around work that the host waits for at the end: an operation's share of many that are queued one behind the other. */
#ifndef TESTS_GPU_BENCH_H
#define TESTS_GPU_BENCH_H

#include "kernels/plugin.h"
#include "model/config.h"
#include "tests/bench/bench.h"
#include "tests/gpu/limits.h"

struct gpu_bench {
    const char *folder, *device, *size;
    bool tiny, threads; /* tiny: one turn of everything; threads: the device may be asked from a second one */
    const struct backend_plugin *plugin;
    struct device_facts facts;
    struct gpu_limits limits;
    struct config config;
};

/* A call that says why it failed: then the program ends. */
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        struct diag why_ = {{0}}, *why = &why_;                                                                        \
        if ((call) != ST_OK) {                                                                                         \
            fprintf(stderr, "bench-gpu: %s\n", why_.text);                                                             \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Name_dtype as a measure: work / seconds against the limit that counts, in TFLOP/s or GB/s; without one, microseconds.
 * Either of flop and bytes may be 0. */
void gpu_measure(const struct gpu_bench *b, enum dtype dtype, const char *name, double seconds, double flop,
                 double bytes);
/* bench_kernels.c: each operation of a decoder layer by itself; with `others`, those that no dtype changes too. */
void gpu_bench_kernels(const struct gpu_bench *b, enum dtype dtype, bool others);
/* bench_model.c: the whole model; false where gpu_products is. */
bool gpu_bench_model(const struct gpu_bench *b, enum dtype dtype);
/* Prints how a backend multiplies; false where a shape that the library could take has no algorithm that qualifies. */
bool gpu_products(const struct gpu_bench *b, const struct backend *be);

#endif
