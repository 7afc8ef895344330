/* Backends in shared objects, so that one program runs with and without their device: what such an object exports, and
 * how it is found. */
#ifndef KERNELS_PLUGIN_H
#define KERNELS_PLUGIN_H

#include "kernels/backend_impl.h"

/* What a device says of itself; clocks are the highest that it is made for. */
struct device_facts {
    char name[64];
    int capability; /* 10 x major + minor */
    int processors, clock_khz;
    int memory_clock_khz, bus_bits;
    size_t free_bytes;
};
/* Products with an N x K matrix. */
struct product_plan {
    enum dtype type;
    int N, K;
    int offered; /* algorithms that the library named */
    int taken;   /* which of them keeps the row rule and is used; -1: none, the backend's own kernel runs */
};

/* The object's one symbol; a plugin of another build is refused by its sizes. */
#define BACKEND_PLUGIN_SYMBOL "ferret_backend_plugin"
struct backend_plugin {
    size_t plugin_bytes, ops_bytes, options_bytes; /* of this struct, struct backend_ops, struct backend_options */
    /* As backend_device_memory and backend_open; device is the whole name. */
    enum status (*memory)(const char *device, size_t *bytes, struct diag *why);
    enum status (*open)(const struct backend_options *o, struct backend **out, struct diag *why);

    /* What a bench asks besides. products: how the instance multiplies, one entry a shape; returns how many there are,
     * of which the first `room` are in out. */
    enum status (*device)(const char *device, struct device_facts *out, struct diag *why);
    int (*products)(const struct backend *be, struct product_plan *out, int room);
    /* Whether nothing that was asked for is left to run. Any thread, while no operation fails. */
    bool (*idle)(const struct backend *be);
};

/* The plugin for "cuda:N" or "simt", which stays loaded: ferret-KIND.so in lib/ferretry beside the program's folder or
 * one further up. ST_MISSING with the reason: no driver, no such file, one that does not load or is of another build.
 */
MUST_CHECK enum status plugin_load(const char *device, const struct backend_plugin **out, struct diag *why);

#endif
