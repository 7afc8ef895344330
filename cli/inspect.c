/* `ferret inspect`: what a checkpoint says and holds, and the memory that each precision needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/commands.h"
#include "kernels/backend.h"
#include "model/checkpoint.h"
#include "model/checkpoint_check.h"
#include "model/config.h"
#include "model/tensor_list.h"
#include "model/weights.h"

struct inspect_options {
    const char *base, *vision_tower;
    bool json;
};

static const struct setting inspect_rows[] = {
    {.name = "base",
     .type = SETTING_STRING,
     .offset = offsetof(struct inspect_options, base),
     .value = "DIR",
     .help = "checkpoint that CHECKPOINT is a delta over"},
    {.name = "vision-tower",
     .type = SETTING_STRING,
     .offset = offsetof(struct inspect_options, vision_tower),
     .value = "DIR",
     .help = "folder of the vision tower; without it CHECKPOINT/vision_tower"},
    {.name = "json", .type = SETTING_BOOL, .offset = offsetof(struct inspect_options, json), .help = "JSON on stdout"},
};

struct subject {
    const char *dir;
    struct config *config;
    struct checkpoint *model, *tower;
};

/* Bytes that a loaded model takes: weights as the backend packs them, and K and V of one image's prompt with a full
 * answer. */
struct need {
    enum dtype dtype;
    double weights, kv_image;
};

static struct need need_of(const struct subject *x, enum dtype dtype)
{
    struct need need = {.dtype = dtype, .weights = weights_bytes(x->model, x->tower, dtype)};
    const struct decoder_config *d = &x->config->decoder;
    double positions = x->config->vision.grid * x->config->vision.grid + 100 + 512;
    need.kv_image = positions * d->layers * 2.0 * d->heads * d->head_dim * (dtype == DTYPE_F32 ? 4 : 2);
    return need;
}

enum { N_NEEDS = 3 };
static void all_needs(const struct subject *x, struct need out[N_NEEDS])
{
    out[0] = need_of(x, DTYPE_F32);
    out[1] = need_of(x, DTYPE_BF16);
    out[2] = need_of(x, DTYPE_INT8);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static void print_tensors(const struct checkpoint *c, const char *title)
{
    printf("\n%s (%s): %zu tensors\n", title, checkpoint_dir(c), checkpoint_count(c));
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        char shape[TENSOR_SHAPE_TEXT];
        printf("  %-5s %-20s %s\n", tensor_type_word(t->type), tensor_shape_text(t->dims, t->n_dims, shape), t->name);
    }
}

static void print_text(const struct subject *x)
{
    const struct config *c = x->config;
    printf("checkpoint     %s%s\n", x->dir, checkpoint_base(x->model) ? " (a delta over its base)" : "");
    printf("decoder        %d layers, hidden %d, %d heads of %d, MLP %d, vocabulary %d, %d positions\n",
           c->decoder.layers, c->decoder.hidden, c->decoder.heads, c->decoder.head_dim, c->decoder.mlp,
           c->decoder.vocab, c->decoder.max_positions);
    printf("vision tower   %d layers of which %d run, hidden %d, %d heads, image %d, patch %d, grid %d x %d\n",
           c->vision.layers, c->vision.run_layers, c->vision.hidden, c->vision.heads, c->vision.image_size,
           c->vision.patch_size, c->vision.grid, c->vision.grid);
    printf("region sampler %d points, %d stages, %s pooling\n", c->sampler.points, c->sampler.n_stages,
           c->sampler.max_pool ? "max" : "mean");
    printf("stored as      %s\n", c->torch_dtype ? c->torch_dtype : "(not stated)");
    if (c->domain)
        printf("domain         %s\n", c->domain);
    if (c->licence)
        printf("licence        %s\n", c->licence);
    struct need needs[N_NEEDS];
    all_needs(x, needs);
    printf("\nmemory         %-6s %14s %26s\n", "dtype", "weights", "KV of an image and answer");
    for (int i = 0; i < N_NEEDS; i++)
        printf("               %-6s %10.1f MiB %22.1f MiB\n", dtype_name(needs[i].dtype), needs[i].weights / (1 << 20),
               needs[i].kv_image / (1 << 20));
    print_tensors(x->model, "model");
    print_tensors(x->tower, "vision tower");
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static enum status put_int(struct json *o, const char *key, int64_t value)
{
    return jsn_put(o, key, jsn_new_int(value));
}

static struct json *tensors_json(const struct checkpoint *c)
{
    struct json *list = jsn_new_array();
    for (size_t i = 0; list && i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        struct json *entry = jsn_new_object(), *shape = jsn_new_array();
        enum status s = jsn_put(entry, "name", jsn_new_string(t->name));
        for (int d = 0; s == ST_OK && d < t->n_dims; d++)
            s = jsn_push(shape, jsn_new_int(t->dims[d]));
        if (s == ST_OK)
            s = jsn_put(entry, "dtype", jsn_new_string(tensor_type_word(t->type)));
        enum status put = jsn_put(entry, "shape", shape);
        if (s == ST_OK && put == ST_OK)
            s = jsn_put(entry, "file", jsn_new_string(t->file));
        enum status push = jsn_push(list, entry);
        if (s != ST_OK || put != ST_OK || push != ST_OK) {
            jsn_free(list);
            return NULL;
        }
    }
    return list;
}

static struct json *config_json(const struct config *c)
{
    struct json *o = jsn_new_object();
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"hidden", c->decoder.hidden},
        {"layers", c->decoder.layers},
        {"heads", c->decoder.heads},
        {"head_dim", c->decoder.head_dim},
        {"mlp", c->decoder.mlp},
        {"vocab", c->decoder.vocab},
        {"max_positions", c->decoder.max_positions},
        {"vision_hidden", c->vision.hidden},
        {"vision_layers", c->vision.layers},
        {"vision_layers_run", c->vision.run_layers},
        {"vision_heads", c->vision.heads},
        {"image_size", c->vision.image_size},
        {"patch_size", c->vision.patch_size},
        {"grid", c->vision.grid},
        {"region_id", c->region_id},
        {"sampler_points", c->sampler.points},
        {"sampler_stages", c->sampler.n_stages},
    };
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof numbers / sizeof *numbers; i++)
        s = put_int(o, numbers[i].key, numbers[i].value);
    const char *const texts[][2] = {{"torch_dtype", c->torch_dtype}, {"domain", c->domain}, {"licence", c->licence}};
    for (size_t i = 0; s == ST_OK && i < sizeof texts / sizeof *texts; i++)
        s = jsn_put(o, texts[i][0], texts[i][1] ? jsn_new_string(texts[i][1]) : jsn_new_null());
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

static struct json *needs_json(const struct subject *x)
{
    struct need needs[N_NEEDS];
    all_needs(x, needs);
    struct json *o = jsn_new_object();
    for (int i = 0; o && i < N_NEEDS; i++) {
        struct json *entry = jsn_new_object();
        enum status s = put_int(entry, "weights_bytes", (int64_t)needs[i].weights);
        if (s == ST_OK)
            s = put_int(entry, "kv_image_bytes", (int64_t)needs[i].kv_image);
        enum status put = jsn_put(o, dtype_name(needs[i].dtype), entry);
        if (s != ST_OK || put != ST_OK) {
            jsn_free(o);
            return NULL;
        }
    }
    return o;
}

static enum status print_json(const struct subject *x, struct diag *why)
{
    char hash[65] = "";
    enum status s = checkpoint_hash(x->model, x->tower, hash, why);
    if (s != ST_OK)
        return s;
    struct json *o = jsn_new_object();
    s = jsn_put(o, "checkpoint", jsn_new_string(x->dir));
    if (s == ST_OK)
        s = jsn_put(o, "hash", jsn_new_string(hash));
    if (s == ST_OK)
        s = jsn_put(o, "delta", jsn_new_bool(checkpoint_base(x->model) != NULL));
    if (s == ST_OK)
        s = jsn_put(o, "config", config_json(x->config));
    if (s == ST_OK)
        s = jsn_put(o, "memory", needs_json(x));
    if (s == ST_OK)
        s = jsn_put(o, "tensors", tensors_json(x->model));
    if (s == ST_OK)
        s = jsn_put(o, "vision_tower", tensors_json(x->tower));
    char *text = s == ST_OK ? jsn_text_indented(o, 1) : NULL;
    jsn_free(o);
    if (!text)
        return ST_NOMEM;
    puts(text);
    free(text);
    return ST_OK;
}

static enum status inspect(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct inspect_options *o = options;
    struct subject x = {.dir = settings_arg(settings, 0)};
    (void)exit_code;
    enum status s = config_load(x.dir, o->vision_tower, &x.config, why);
    if (s == ST_OK)
        s = checkpoint_open(x.dir, o->base, &x.model, why);
    if (s == ST_OK)
        s = checkpoint_open(x.config->tower_dir, NULL, &x.tower, why);
    if (s == ST_OK && o->json)
        s = print_json(&x, why);
    else if (s == ST_OK)
        print_text(&x);
    if (s == ST_OK) /* the list above shows what is there; this says what is wrong with it */
        s = checkpoint_check(x.model, x.tower, x.config, why);
    checkpoint_close(x.tower);
    checkpoint_close(x.model);
    config_free(x.config);
    return s;
}

int cmd_inspect(int argc, char **argv)
{
    struct inspect_options o = {0};
    const struct setting_group groups[] = {
        {.title = "checkpoint", .rows = inspect_rows, .n_rows = sizeof inspect_rows / sizeof *inspect_rows},
    };
    const struct settings_program program = {
        .name = "ferret inspect",
        .args = "CHECKPOINT",
        .summary = "Shows a checkpoint's dims and tensors, and the memory that each precision needs.",
        .examples = "  ferret inspect model/pretrained\n"
                    "  ferret inspect ferret-7b-delta --base vicuna-7b --vision-tower clip --json\n",
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = 1,
    };
    return command_run(&program, argc, argv, &o, inspect);
}
