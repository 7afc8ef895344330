#include "model/tensor_table.h"

#include <stdio.h>
#include <string.h>

/* Sizes by meaning; SIZE_NONE ends a shape. */
enum size {
    SIZE_NONE,
    SIZE_THREE,
    SIZE_ONE,
    SIZE_VOCAB,
    SIZE_HIDDEN,
    SIZE_MLP,
    SIZE_FEATURE,        /* width of the tower's output */
    SIZE_FEATURE_XY,     /* with a point's two coordinates */
    SIZE_FEATURE_XY_TWO, /* difference and anchor side by side */
    SIZE_LAST_POINTS,    /* all features of the last stage's points in one row */
    SIZE_TOWER,
    SIZE_TOWER_MLP,
    SIZE_PATCH,
    SIZE_PATCHES_AND_CLASS,
};
enum repeat { REPEAT_ONCE, REPEAT_LAYERS, REPEAT_STAGES, REPEAT_TOWER_LAYERS };

enum role { ROLE_PLAIN, ROLE_LINEAR, ROLE_OPTIONAL };

struct row {
    enum tensor_part part;
    const char *front, *back; /* the number of the repetition stands between them */
    enum repeat repeat;
    enum role role;
    enum size shape[TENSOR_MAX_DIMS];
};

static const char *const prefixes[PART_COUNT_] = {
    [PART_DECODER] = "",
    [PART_PROJECTOR] = "",
    [PART_SAMPLER] = "model.region_geo_sampler.",
    [PART_TOWER] = "vision_model.",
};

static const struct row rows[] = {
    {PART_DECODER, "model.embed_tokens.weight", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_VOCAB, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".self_attn.q_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_HIDDEN, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".self_attn.k_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_HIDDEN, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".self_attn.v_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_HIDDEN, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".self_attn.o_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_HIDDEN, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".mlp.gate_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_MLP, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".mlp.up_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_MLP, SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".mlp.down_proj.weight", REPEAT_LAYERS, ROLE_LINEAR, {SIZE_HIDDEN, SIZE_MLP}},
    {PART_DECODER, "model.layers.", ".input_layernorm.weight", REPEAT_LAYERS, ROLE_PLAIN, {SIZE_HIDDEN}},
    {PART_DECODER, "model.layers.", ".post_attention_layernorm.weight", REPEAT_LAYERS, ROLE_PLAIN, {SIZE_HIDDEN}},
    {PART_DECODER, "model.norm.weight", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_HIDDEN}},
    {PART_DECODER, "lm_head.weight", "", REPEAT_ONCE, ROLE_LINEAR, {SIZE_VOCAB, SIZE_HIDDEN}},
    {PART_PROJECTOR, "model.mm_projector.weight", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_HIDDEN, SIZE_FEATURE}},
    {PART_PROJECTOR, "model.mm_projector.bias", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_HIDDEN}},
    {PART_SAMPLER, "diff_projector_list.", ".weight", REPEAT_STAGES, ROLE_PLAIN, {SIZE_FEATURE_XY, SIZE_FEATURE_XY}},
    {PART_SAMPLER, "diff_projector_list.", ".bias", REPEAT_STAGES, ROLE_PLAIN, {SIZE_FEATURE_XY}},
    {PART_SAMPLER,
     "agg_projector_list.",
     ".net.0.weight",
     REPEAT_STAGES,
     ROLE_PLAIN,
     {SIZE_FEATURE, SIZE_FEATURE_XY_TWO, SIZE_ONE}},
    {PART_SAMPLER, "agg_projector_list.", ".net.0.bias", REPEAT_STAGES, ROLE_PLAIN, {SIZE_FEATURE}},
    {PART_SAMPLER, "agg_projector_list.", ".norm.weight", REPEAT_STAGES, ROLE_PLAIN, {SIZE_FEATURE}},
    {PART_SAMPLER, "agg_projector_list.", ".norm.bias", REPEAT_STAGES, ROLE_PLAIN, {SIZE_FEATURE}},
    {PART_SAMPLER, "flatten_projector.weight", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_FEATURE, SIZE_LAST_POINTS}},
    {PART_SAMPLER, "flatten_projector.bias", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_FEATURE}},
    {PART_SAMPLER, "dim_projector.weight", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_HIDDEN, SIZE_FEATURE}},
    {PART_SAMPLER, "dim_projector.bias", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_HIDDEN}},
    {PART_TOWER, "embeddings.class_embedding", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER,
     "embeddings.patch_embedding.weight",
     "",
     REPEAT_ONCE,
     ROLE_PLAIN,
     {SIZE_TOWER, SIZE_THREE, SIZE_PATCH, SIZE_PATCH}},
    {PART_TOWER,
     "embeddings.position_embedding.weight",
     "",
     REPEAT_ONCE,
     ROLE_PLAIN,
     {SIZE_PATCHES_AND_CLASS, SIZE_TOWER}},
    {PART_TOWER, "pre_layrnorm.weight", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "pre_layrnorm.bias", "", REPEAT_ONCE, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "post_layernorm.weight", "", REPEAT_ONCE, ROLE_OPTIONAL, {SIZE_TOWER}},
    {PART_TOWER, "post_layernorm.bias", "", REPEAT_ONCE, ROLE_OPTIONAL, {SIZE_TOWER}},
    {PART_TOWER,
     "encoder.layers.",
     ".self_attn.q_proj.weight",
     REPEAT_TOWER_LAYERS,
     ROLE_PLAIN,
     {SIZE_TOWER, SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".self_attn.q_proj.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER,
     "encoder.layers.",
     ".self_attn.k_proj.weight",
     REPEAT_TOWER_LAYERS,
     ROLE_PLAIN,
     {SIZE_TOWER, SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".self_attn.k_proj.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER,
     "encoder.layers.",
     ".self_attn.v_proj.weight",
     REPEAT_TOWER_LAYERS,
     ROLE_PLAIN,
     {SIZE_TOWER, SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".self_attn.v_proj.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER,
     "encoder.layers.",
     ".self_attn.out_proj.weight",
     REPEAT_TOWER_LAYERS,
     ROLE_PLAIN,
     {SIZE_TOWER, SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".self_attn.out_proj.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".layer_norm1.weight", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".layer_norm1.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".layer_norm2.weight", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".layer_norm2.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".mlp.fc1.weight", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER_MLP, SIZE_TOWER}},
    {PART_TOWER, "encoder.layers.", ".mlp.fc1.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER_MLP}},
    {PART_TOWER, "encoder.layers.", ".mlp.fc2.weight", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER, SIZE_TOWER_MLP}},
    {PART_TOWER, "encoder.layers.", ".mlp.fc2.bias", REPEAT_TOWER_LAYERS, ROLE_PLAIN, {SIZE_TOWER}},
};

static int repetitions(const struct config *c, enum repeat repeat)
{
    switch (repeat) {
    case REPEAT_LAYERS: return c->decoder.layers;
    case REPEAT_STAGES: return c->sampler.n_stages;
    case REPEAT_TOWER_LAYERS: return c->vision.layers;
    case REPEAT_ONCE: break;
    }
    return 1;
}

static int64_t size_of(const struct config *c, enum size size)
{
    int64_t feature = c->sampler.feature_dim;
    switch (size) {
    case SIZE_THREE: return 3;
    case SIZE_ONE: return 1;
    case SIZE_VOCAB: return c->decoder.vocab;
    case SIZE_HIDDEN: return c->decoder.hidden;
    case SIZE_MLP: return c->decoder.mlp;
    case SIZE_FEATURE: return feature;
    case SIZE_FEATURE_XY: return feature + 2;
    case SIZE_FEATURE_XY_TWO: return 2 * (feature + 2);
    case SIZE_LAST_POINTS: return feature * c->sampler.stage_points[c->sampler.n_stages - 1];
    case SIZE_TOWER: return c->vision.hidden;
    case SIZE_TOWER_MLP: return c->vision.mlp;
    case SIZE_PATCH: return c->vision.patch_size;
    case SIZE_PATCHES_AND_CLASS: return (int64_t)c->vision.grid * c->vision.grid + 1;
    case SIZE_NONE: break;
    }
    return 0;
}

static struct expected_tensor expand(const struct config *c, const struct row *row, int i)
{
    struct expected_tensor t = {.part = row->part, .is_linear = row->role == ROLE_LINEAR};
    t.is_optional = row->role == ROLE_OPTIONAL || (row->repeat == REPEAT_TOWER_LAYERS && i >= c->vision.run_layers);
    if (row->repeat == REPEAT_ONCE)
        snprintf(t.name, sizeof t.name, "%s%s", prefixes[row->part], row->front);
    else
        snprintf(t.name, sizeof t.name, "%s%s%d%s", prefixes[row->part], row->front, i, row->back);
    while (t.n_dims < TENSOR_MAX_DIMS && row->shape[t.n_dims] != SIZE_NONE) {
        t.dims[t.n_dims] = size_of(c, row->shape[t.n_dims]);
        t.n_dims++;
    }
    return t;
}

void tensor_table_each(const struct config *c, bool (*visit)(void *ctx, const struct expected_tensor *t), void *ctx)
{
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int i = 0; i < repetitions(c, rows[r].repeat); i++) {
            struct expected_tensor t = expand(c, &rows[r], i);
            if (!visit(ctx, &t))
                return;
        }
}

struct search {
    const char *name;
    struct expected_tensor *out;
    bool is_found;
};

static bool compare(void *ctx, const struct expected_tensor *t)
{
    struct search *s = ctx;
    s->is_found = strcmp(t->name, s->name) == 0;
    if (s->is_found)
        *s->out = *t;
    return !s->is_found;
}

bool tensor_table_find(const struct config *c, const char *name, struct expected_tensor *out)
{
    struct search s = {name, out, false};
    tensor_table_each(c, compare, &s);
    return s.is_found;
}
