#include "worker/model_flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "kernels/backend.h"
#include "worker/host_memory.h"

enum { PATH_BYTES = 4096, CONFIG_MAX_BYTES = 1 << 20, TREE_DEPTH = 4, MOST_DEVICES = 64 };

/* --model itself comes first. */
static const struct setting model_rows[] = {
    {.name = "model",
     .type = SETTING_STRING,
     .offset = offsetof(struct model_flags, model),
     .value = "DIR",
     .help = "checkpoint folder; without it the model that ships"},
    {.name = "vision-tower",
     .type = SETTING_STRING,
     .offset = offsetof(struct model_flags, vision_tower),
     .value = "DIR",
     .help = "folder of the vision tower; without it DIR/vision_tower of the checkpoint"},
    {.name = "base",
     .type = SETTING_STRING,
     .offset = offsetof(struct model_flags, base),
     .value = "DIR",
     .help = "checkpoint that the model is a delta over"},
    {.name = "dtype",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct model_flags, dtype),
     .fallback = "auto",
     .choices = "auto|f32|f16|bf16|int8|fp8",
     .help = "compute precision; auto is f32 on the CPU, else bf16"},
    {.name = "device",
     .type = SETTING_STRING,
     .offset = offsetof(struct model_flags, device),
     .fallback = "auto",
     .value = "auto|cpu|cuda[:N|:all]",
     .help = "where the model runs; auto says what it chose; all: `ferret up` starts a worker a device"},
    {.name = "memory",
     .type = SETTING_MEMORY,
     .offset = offsetof(struct model_flags, memory),
     .fallback = "0.5",
     .help = "budget of the model: a share of the device's memory, or bytes"},
    {.name = "threads",
     .type = SETTING_INT,
     .offset = offsetof(struct model_flags, threads),
     .fallback = "0",
     .min = 0,
     .max = 1024,
     .help = "threads of the CPU backend; 0 is one a core"},
    {.name = "isa",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct model_flags, isa),
     .fallback = "auto",
     .choices = "auto|scalar|avx2|avx512",
     .help = "widest instruction set of the CPU backend"},
    {.name = "fast",
     .type = SETTING_BOOL,
     .offset = offsetof(struct model_flags, fast),
     .help = "give up that an answer never depends on its batch mates; records say invariant: false"},
};
enum { MODEL_ROWS = sizeof model_rows / sizeof *model_rows };

struct setting_group model_flags_group(size_t at)
{
    return (struct setting_group){.title = "model", .rows = model_rows, .n_rows = MODEL_ROWS, .at = at};
}

struct setting_group named_model_flags_group(size_t at)
{
    return (struct setting_group){.title = "model", .rows = model_rows + 1, .n_rows = MODEL_ROWS - 1, .at = at};
}

/* ---- the model that ships ---------------------------------------------------------------------------------------- */

static bool is_model(const char *dir)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/config.json", dir);
    return n < (int)sizeof path && access(path, R_OK) == 0;
}

/* Beside an installed program (PREFIX/bin, PREFIX/share), else upwards from build/bin or build/VARIANT/bin in a source
 * tree. */
static enum status find_default_model(char **out, struct diag *why)
{
    char program[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return diag_set(why, ST_MISSING, "no --model given, and /proc/self/exe does not say where the program is");
    program[n] = 0;
    char *slash = strrchr(program, '/');
    *slash = 0;
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/../share/ferretry/pretrained", program);
    if (!is_model(path)) {
        for (int up = 0; up < TREE_DEPTH && (slash = strrchr(program, '/')) != NULL; up++) {
            *slash = 0;
            snprintf(path, sizeof path, "%s/model/pretrained", program);
            if (is_model(path))
                break;
        }
    }
    if (!is_model(path))
        return diag_set(why, ST_MISSING,
                        "no --model given, and no model found in PREFIX/share/ferretry/pretrained or in "
                        "model/pretrained of the source tree; give --model DIR or set FERRET_MODEL");
    char *found = realpath(path, NULL);
    if (!found)
        return diag_set(why, ST_IO, "%s: cannot be resolved", path);
    *out = found;
    return ST_OK;
}

/* One line about what the model knows, from its own config.json. */
static enum status domain_line(const char *dir, char *out, size_t size, struct diag *why)
{
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/config.json", dir);
    struct json *root = NULL;
    enum status s = jsn_load(path, CONFIG_MAX_BYTES, &root, why);
    if (s != ST_OK)
        return s;
    const char *domain = jsn_string(jsn_get(root, "domain"), NULL);
    if (domain)
        snprintf(out, size, "model: the default one (%s); for photographs see docs/7b.md\n", domain);
    else
        snprintf(out, size, "model: the default one, %s\n", dir);
    jsn_free(root);
    return ST_OK;
}

/* ---- all together ------------------------------------------------------------------------------------------------ */

static bool is_number(const char *text)
{
    char *end;
    return *text >= '0' && *text <= '9' && strtol(text, &end, 10) < 1024 && !*end;
}

/* How many devices "cuda:all" comes to: of the numbers from 0 on, those that are there. */
static enum status count_devices(const char *kind, int *n, struct diag *why)
{
    char name[32];
    size_t bytes;
    enum status s = ST_OK;
    for (*n = 0; s == ST_OK && *n < MOST_DEVICES; *n += s == ST_OK) {
        snprintf(name, sizeof name, "%s:%d", kind, *n);
        s = backend_device_memory(name, &bytes, *n == 0 ? why : NULL);
    }
    return *n > 0 ? ST_OK : s;
}

/* "cuda:all" becomes its first device. */
static enum status resolve_all(const struct model_flags *f, struct engine_choice *out, const char **asked,
                               struct diag *why)
{
    bool cuda = strcmp(*asked, "cuda:all") == 0;
    out->devices = 1;
    if (!cuda && strcmp(*asked, "simt:all") != 0)
        return ST_OK;
    if (!f->all_devices)
        return diag_set(why, ST_INVALID,
                        "--device \"%s\": a process runs on one device; `ferret up` starts one for each", *asked);
    *asked = cuda ? "cuda:0" : "simt:0";
    return count_devices(cuda ? "cuda" : "simt", &out->devices, why);
}

/* The device by its full name, and the memory that a share of --memory is of. */
static enum status resolve_device(const char *asked, char *device, size_t size, int64_t *memory, struct diag *why)
{
    size_t own = 0;
    bool chosen = strcmp(asked, "auto") == 0;
    if (chosen)
        asked = backend_device_memory("cuda:0", &own, NULL) == ST_OK ? "cuda:0" : "cpu";
    else if (strcmp(asked, "cuda") == 0)
        asked = "cuda:0";
    else if (strcmp(asked, "cpu") != 0 && strcmp(asked, "simt") != 0 &&
             ((strncmp(asked, "cuda:", 5) != 0 && strncmp(asked, "simt:", 5) != 0) || !is_number(asked + 5)))
        return diag_set(why, ST_INVALID, "--device \"%s\": expected auto, cpu, cuda, cuda:N or cuda:all", asked);
    enum status s = backend_device_memory(asked, &own, why);
    if (s != ST_OK)
        return s;
    snprintf(device, size, "%s", asked);
    *memory = own > 0 ? (int64_t)own : host_memory("");
    return ST_OK;
}

static enum status write_notice(const struct model_flags *f, struct engine_choice *c, struct diag *why)
{
    char domain[1024] = "";
    if (c->default_model) {
        enum status s = domain_line(c->model_dir, domain, sizeof domain, why);
        if (s != ST_OK)
            return s;
    }
    bool chose = strcmp(f->device, "auto") == 0;
    if (asprintf(&c->notice, "%s%s%s%s", domain, chose ? "device: " : "", chose ? c->device : "", chose ? "\n" : "") <
        0) {
        c->notice = NULL;
        return ST_NOMEM;
    }
    return ST_OK;
}

enum status model_flags_resolve(const struct model_flags *f, struct engine_choice *out, struct diag *why)
{
    static const char *const isas[] = {"auto", "scalar", "avx2", "avx512"};
    *out = (struct engine_choice){0};
    int64_t memory = 0;
    const char *asked = f->device;
    enum status s = resolve_all(f, out, &asked, why);
    if (s == ST_OK)
        s = resolve_device(asked, out->device, sizeof out->device, &memory, why);
    if (s == ST_OK && f->model)
        s = (out->model_dir = strdup(f->model)) ? ST_OK : ST_NOMEM;
    else if (s == ST_OK)
        s = find_default_model(&out->model_dir, why);
    out->default_model = !f->model;
    if (s == ST_OK)
        s = write_notice(f, out, why);
    if (s != ST_OK) {
        engine_choice_fini(out);
        return s;
    }
    bool gpu = strncmp(out->device, "cuda", 4) == 0;
    out->options = (struct engine_options){
        .model_dir = out->model_dir,
        .tower_dir = f->vision_tower,
        .base_dir = f->base,
        .backend =
            {
                .device = out->device,
                .dtype = f->dtype ? (enum dtype)(f->dtype - 1)
                         : gpu    ? DTYPE_BF16
                                  : DTYPE_F32,
                .memory_bytes =
                    f->memory.share > 0 ? (size_t)(f->memory.share * (double)memory) : (size_t)f->memory.bytes,
                .threads = (int)f->threads,
                .isa = isas[f->isa],
                .fast = f->fast,
            },
    };
    return ST_OK;
}

void engine_choice_fini(struct engine_choice *c)
{
    free(c->model_dir);
    free(c->notice);
    *c = (struct engine_choice){0};
}
