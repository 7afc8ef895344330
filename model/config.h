/* What a Ferret checkpoint says about itself: dims, special ids, template and questions. Nothing here is a literal of
 * the code: everything comes from config.json, the tower's config.json and preprocessor_config.json, added_tokens.json;
 * optional keys that are absent have the published values (spec 1, 4.1, 6.4, 8.2). Plain data, read-only after
 * config_load; free with config_free. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stdbool.h>

#include "base/status.h"

enum { CONFIG_MAX_STAGES = 4 };

struct decoder_config {
    int hidden, layers, heads, head_dim, mlp, vocab;
    float rms_eps, rope_theta;
    int max_positions; /* context: positions of prompt (image rows included) plus answer */
    int bos_id, eos_id, pad_id;
};

struct vision_config {
    int hidden, layers, heads, mlp;
    int image_size, patch_size, grid; /* grid = image_size / patch_size; grid^2 patches */
    int run_layers;                   /* layers to run for mm_vision_select_layer: -2 of 24 runs 23 */
    float layer_norm_eps;
    float mean[3], std[3]; /* preprocessor_config.json; absent file: CLIP's (spec 2) */
};

struct sampler_config {
    int feature_dim;                        /* mm_hidden_size = vision hidden */
    int points;                             /* 512 */
    int n_stages;                           /* 2 */
    int stage_points[CONFIG_MAX_STAGES];    /* 128, 32 */
    int stage_neighbors[CONFIG_MAX_STAGES]; /* 24, 24 */
    bool max_pool;                          /* sampler_pooler_mode: "max", else "mean" */
    bool transposed;                        /* spec 4.3 step 3; published: true */
};

struct template_config {
    char *system; /* published: spec 6.4, with its trailing space */
    char *roles[2];
    char *separators[2];
};

struct task_texts { /* questions behind the task kinds; placeholders {region}, {phrase}, {phrases} */
    char *caption, *describe, *locate, *locate_many;
};

struct config {
    struct decoder_config decoder;
    struct vision_config vision;
    struct sampler_config sampler;
    struct template_config template;
    struct task_texts tasks;
    int region_id;     /* id of <region_fea>: im_region_fea_token */
    char *domain;      /* one line about what the model knows, or NULL */
    char *licence;     /* or NULL */
    char *tower_dir;   /* folder that holds the vision tower */
    char *torch_dtype; /* as stored, e.g. "float16" */
};

/* dir: checkpoint folder. tower_dir: folder of the vision tower or NULL (then dir/vision_tower). Every missing,
 * mistyped or impossible value is an error naming file, key, expected and found. The caller owns *out. */
/* The decoder's part of dir/config.json alone, for a folder that holds a plain language model. */
MUST_CHECK enum status config_load_decoder(const char *dir, struct decoder_config *out, struct diag *why);
MUST_CHECK enum status config_load(const char *dir, const char *tower_dir, struct config **out, struct diag *why);
void config_free(struct config *c);

#endif
