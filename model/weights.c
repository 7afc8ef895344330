/* Names of spec 8.3. The sampler's are in weights_sampler.c. */
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint_check.h"
#include "model/tensor_list.h"
#include "model/weights_sampler.h"
#include "model/weights_source.h"

enum { NAME_BYTES = 128 };

static double packed_bytes(const struct tensor *t, enum dtype dtype)
{
    double elements = (double)tensor_elements(t->dims, t->n_dims);
    if (checkpoint_ignores(t->name) || t->type == TENSOR_OTHER || t->type == TENSOR_I64)
        return 0;
    if (t->n_dims < 2 || strstr(t->name, "region_geo_sampler") || dtype == DTYPE_F32)
        return elements * 4;
    if (dtype == DTYPE_F16 || dtype == DTYPE_BF16 || strstr(t->name, "embed"))
        return elements * 2;
    return elements + 4.0 * (double)t->dims[0];
}

struct loader {
    struct backend *be;
    const struct checkpoint *c;
    const char *prefix; /* in front of every name */
    const struct weights_options *o;
    double *done, total; /* numbers of matrices */
    struct diag *why;
    enum status status; /* first failure; later calls do nothing */
};

double weights_bytes(const struct checkpoint *model, const struct checkpoint *tower, enum dtype dtype)
{
    const struct checkpoint *both[] = {model, tower};
    double bytes = 0;
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < checkpoint_count(both[k]); i++)
            bytes += packed_bytes(checkpoint_at(both[k], i), dtype);
    }
    return bytes;
}

/* In front of every matrix: between two of them nothing is half done. */
static bool goes_on(struct loader *l)
{
    if (l->status == ST_OK && l->o->stop && *l->o->stop)
        l->status = diag_set(l->why, ST_CANCELLED, "told to stop while the model was loading");
    return l->status == ST_OK;
}

/* Stacks up to three tensors named prefix + part + suffix. */
static struct weight *stacked(struct loader *l, enum weight_use use, const char *const *parts, int n, int rows,
                              int cols)
{
    char names[SOURCE_MAX_PARTS][NAME_BYTES];
    const char *list[SOURCE_MAX_PARTS];
    for (int i = 0; i < n; i++) {
        snprintf(names[i], NAME_BYTES, "%s%s.weight", l->prefix, parts[i]);
        list[i] = names[i];
    }
    struct weight *w = NULL;
    if (goes_on(l))
        l->status = pack_stacked(l->be, use, l->c, list, n, rows, cols, &w, l->why);
    *l->done += (double)n * rows * cols;
    if (l->status == ST_OK && l->o->progress && *l->done < l->total)
        l->o->progress(l->o->progress_ctx, *l->done, l->total);
    return w;
}

static struct weight *linear(struct loader *l, const char *part, int rows, int cols)
{
    return stacked(l, WEIGHT_LINEAR, &part, 1, rows, cols);
}

static struct weight *vectors(struct loader *l, const char *const *parts, int n, const char *suffix, int len)
{
    char names[SOURCE_MAX_PARTS][NAME_BYTES];
    const char *list[SOURCE_MAX_PARTS];
    for (int i = 0; i < n; i++) {
        snprintf(names[i], NAME_BYTES, "%s%s%s", l->prefix, parts[i], suffix);
        list[i] = names[i];
    }
    struct weight *w = NULL;
    if (l->status == ST_OK)
        l->status = pack_vectors(l->be, l->c, list, n, len, &w, l->why);
    return w;
}

static struct weight *vector(struct loader *l, const char *part, const char *suffix, int len)
{
    return vectors(l, &part, 1, suffix, len);
}

void rope_frequencies(const struct decoder_config *d, float *out)
{
    for (int i = 0; i < d->head_dim / 2; i++)
        out[i] = 1.0f / powf(d->rope_theta, (float)(2 * i) / (float)d->head_dim);
}

enum status weights_inv_freq(struct backend *be, const struct decoder_config *d, const float *given,
                             struct weight **out, struct diag *why)
{
    int n = d->head_dim / 2;
    if (given)
        return pack_values(be, WEIGHT_VECTOR, given, 1, n, out, why);
    float *table = malloc((size_t)n * sizeof *table);
    if (!table)
        return ST_NOMEM;
    rope_frequencies(d, table);
    enum status s = pack_values(be, WEIGHT_VECTOR, table, 1, n, out, why);
    free(table);
    return s;
}

static void load_decoder_layer(struct loader *l, const struct decoder_config *d, struct decoder_layer *w)
{
    static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    static const char *const gate_up[] = {"mlp.gate_proj", "mlp.up_proj"};
    int inner = d->heads * d->head_dim;
    w->attn_norm = vector(l, "input_layernorm", ".weight", d->hidden);
    w->qkv = stacked(l, WEIGHT_LINEAR, qkv, 3, inner, d->hidden);
    w->o = linear(l, "self_attn.o_proj", d->hidden, inner);
    w->mlp_norm = vector(l, "post_attention_layernorm", ".weight", d->hidden);
    w->gate_up = stacked(l, WEIGHT_GLU, gate_up, 2, d->mlp, d->hidden);
    w->down = linear(l, "mlp.down_proj", d->hidden, d->mlp);
}

static enum status load_decoder(struct loader from, const struct decoder_config *d, struct decoder_weights *w)
{
    struct loader l = from;
    w->layers = calloc((size_t)d->layers, sizeof *w->layers);
    if (!w->layers)
        return ST_NOMEM;
    const char *embed = "embed_tokens";
    w->embed = stacked(&l, WEIGHT_TABLE, &embed, 1, d->vocab, d->hidden);
    for (int i = 0; i < d->layers; i++) {
        char prefix[NAME_BYTES];
        snprintf(prefix, sizeof prefix, "model.layers.%d.", i);
        l.prefix = prefix;
        load_decoder_layer(&l, d, &w->layers[i]);
        l.prefix = "model.";
    }
    w->norm = vector(&l, "norm", ".weight", d->hidden);
    l.prefix = "";
    w->head = linear(&l, "lm_head", d->vocab, d->hidden);
    return l.status == ST_OK ? weights_inv_freq(l.be, d, l.o->inv_freq, &w->inv_freq, l.why) : l.status;
}

static void load_vision_layer(struct loader *l, const struct vision_config *v, struct vision_layer *w)
{
    static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    int C = v->hidden;
    w->norm1 = vector(l, "layer_norm1", ".weight", C);
    w->norm1_bias = vector(l, "layer_norm1", ".bias", C);
    w->qkv = stacked(l, WEIGHT_LINEAR, qkv, 3, C, C);
    w->qkv_bias = vectors(l, qkv, 3, ".bias", C);
    w->out = linear(l, "self_attn.out_proj", C, C);
    w->out_bias = vector(l, "self_attn.out_proj", ".bias", C);
    w->norm2 = vector(l, "layer_norm2", ".weight", C);
    w->norm2_bias = vector(l, "layer_norm2", ".bias", C);
    w->fc1 = linear(l, "mlp.fc1", v->mlp, C);
    w->fc1_bias = vector(l, "mlp.fc1", ".bias", v->mlp);
    w->fc2 = linear(l, "mlp.fc2", C, v->mlp);
    w->fc2_bias = vector(l, "mlp.fc2", ".bias", C);
}

/* The position table is added row by row; to the backend it is one long vector. */
static struct weight *load_positions(struct loader *l, const struct vision_config *v)
{
    int64_t dims[2] = {v->grid * v->grid + 1, v->hidden};
    float *values = NULL;
    struct weight *w = NULL;
    if (l->status == ST_OK)
        l->status = read_tensor(l->c, "vision_model.embeddings.position_embedding.weight", dims, 2, &values, l->why);
    if (l->status == ST_OK)
        l->status = pack_values(l->be, WEIGHT_VECTOR, values, 1, (int)(dims[0] * dims[1]), &w, l->why);
    free(values);
    return w;
}

static enum status load_vision(struct loader from, const struct vision_config *v, struct vision_weights *w)
{
    struct loader l = from;
    w->layers = calloc((size_t)v->run_layers, sizeof *w->layers);
    if (!w->layers)
        return ST_NOMEM;
    w->patch = linear(&l, "embeddings.patch_embedding", v->hidden, 3 * v->patch_size * v->patch_size);
    w->class_embedding = vector(&l, "embeddings.class_embedding", "", v->hidden);
    w->position = load_positions(&l, v);
    w->pre_norm = vector(&l, "pre_layrnorm", ".weight", v->hidden);
    w->pre_norm_bias = vector(&l, "pre_layrnorm", ".bias", v->hidden);
    for (int i = 0; i < v->run_layers; i++) {
        char prefix[NAME_BYTES];
        snprintf(prefix, sizeof prefix, "vision_model.encoder.layers.%d.", i);
        l.prefix = prefix;
        load_vision_layer(&l, v, &w->layers[i]);
    }
    return l.status;
}

enum status weights_load(struct backend *be, const struct config *config, const struct checkpoint *model,
                         const struct checkpoint *tower, const struct weights_options *o, struct weights *out,
                         struct diag *why)
{
    *out = (struct weights){0};
    double done = 0, total = weights_bytes(model, tower, DTYPE_F32) / (double)sizeof(float);
    struct loader l = {.be = be,
                       .c = tower,
                       .prefix = "vision_model.",
                       .o = o,
                       .done = &done,
                       .total = total,
                       .why = why,
                       .status = ST_OK};
    enum status s = load_vision(l, &config->vision, &out->vision);
    if (s != ST_OK)
        return s;
    l.c = model;
    l.prefix = "model.";
    out->vision.projector = linear(&l, "mm_projector", config->decoder.hidden, config->vision.hidden);
    out->vision.projector_bias = vector(&l, "mm_projector", ".bias", config->decoder.hidden);
    if (l.status != ST_OK)
        return l.status;
    s = sampler_weights_load(be, config, model, &out->sampler, why);
    if (s == ST_OK)
        s = load_decoder(l, &config->decoder, &out->decoder);
    if (s == ST_OK && o->progress)
        o->progress(o->progress_ctx, total, total);
    return s;
}

void weights_fini(struct weights *w)
{
    free(w->decoder.layers);
    free(w->vision.layers);
    *w = (struct weights){0};
}
