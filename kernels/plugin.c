#include "kernels/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, KIND_BYTES = 16 };

/* PREFIX/bin/ferret and build/bin/ferret have theirs one folder up, the programs under build/test two. */
static enum status find_object(const char *kind, char *path, size_t size, struct diag *why)
{
    char program[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return diag_set(why, ST_MISSING, "/proc/self/exe does not say where the program is");
    program[n] = '\0';
    *strrchr(program, '/') = '\0';
    static const char *const ups[] = {"..", "../.."};
    for (size_t i = 0; i < sizeof ups / sizeof *ups; i++) {
        if (snprintf(path, size, "%s/%s/lib/ferretry/ferret-%s.so", program, ups[i], kind) < (int)size &&
            access(path, R_OK) == 0)
            return ST_OK;
    }
    return diag_set(why, ST_MISSING, "there is no lib/ferretry/ferret-%s.so beside this program; a build makes it %s",
                    kind, strcmp(kind, "cuda") == 0 ? "with `make plugin`, which needs nvcc" : "with `make simt`");
}

static enum status load(const char *path, const struct backend_plugin **out, struct diag *why)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return diag_set(why, ST_MISSING, "%s", dlerror());
    const struct backend_plugin *p = dlsym(object, BACKEND_PLUGIN_SYMBOL);
    if (!p || p->plugin_bytes != sizeof *p || p->ops_bytes != sizeof(struct backend_ops) ||
        p->options_bytes != sizeof(struct backend_options)) {
        dlclose(object);
        return diag_set(why, ST_MISSING, "%s is of another build than this program", path);
    }
    *out = p;
    return ST_OK;
}

/* Loading CUDA's libraries costs some 80 ms: a machine without the driver is told apart first. */
static enum status find_driver(struct diag *why)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver)
        return diag_set(why, ST_MISSING, "this machine has no NVIDIA driver (libcuda.so.1)");
    dlclose(driver);
    return ST_OK;
}

enum status plugin_load(const char *device, const struct backend_plugin **out, struct diag *why)
{
    char kind[KIND_BYTES], path[PATH_BYTES];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(device, ":"), device);
    enum status s = strcmp(kind, "cuda") == 0 ? find_driver(why) : ST_OK;
    if (s == ST_OK)
        s = find_object(kind, path, sizeof path, why);
    if (s == ST_OK)
        s = load(path, out, why);
    return s == ST_OK ? s : diag_wrap(why, s, "device '%s'", device);
}
