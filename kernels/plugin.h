/* Backends in shared objects, so that one program runs with and without their device: what such an object exports, and
 * how it is found. */
#ifndef KERNELS_PLUGIN_H
#define KERNELS_PLUGIN_H

#include "kernels/backend_impl.h"

/* The object's one symbol; a plugin of another build is refused by its sizes. */
#define BACKEND_PLUGIN_SYMBOL "ferret_backend_plugin"
struct backend_plugin {
    size_t plugin_bytes, ops_bytes, options_bytes; /* of this struct, struct backend_ops, struct backend_options */
    /* As backend_device_memory and backend_open; device is the whole name. */
    enum status (*memory)(const char *device, size_t *bytes, struct diag *why);
    enum status (*open)(const struct backend_options *o, struct backend **out, struct diag *why);
};

/* The plugin for "cuda:N" or "simt", which stays loaded: ferret-KIND.so in lib/ferretry beside the program's folder or
 * one further up. ST_MISSING with the reason: no driver, no such file, one that does not load or is of another build.
 */
MUST_CHECK enum status plugin_load(const char *device, const struct backend_plugin **out, struct diag *why);

#endif
