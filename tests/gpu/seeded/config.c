#include "tests/gpu/seeded/size.h"

#include <stdlib.h>
#include <string.h>

enum { REGION_ID = 3 }; /* what tokenizer.c makes of <region_fea> */

static const struct decoder_config decoder_7b = {.hidden = 4096,
                                                 .layers = 32,
                                                 .heads = 32,
                                                 .head_dim = 128,
                                                 .mlp = 11008,
                                                 .vocab = 32004,
                                                 .rms_eps = 1e-5f,
                                                 .rope_theta = 10000,
                                                 .max_positions = 2048,
                                                 .bos_id = 1,
                                                 .eos_id = -1};
static const struct decoder_config decoder_small = {.hidden = 256,
                                                    .layers = 3,
                                                    .heads = 4,
                                                    .head_dim = 64,
                                                    .mlp = 352,
                                                    .vocab = 500,
                                                    .rms_eps = 1e-5f,
                                                    .rope_theta = 10000,
                                                    .max_positions = 512,
                                                    .bos_id = 1,
                                                    .eos_id = -1};
static const struct decoder_config decoder_tiny = {.hidden = 64,
                                                   .layers = 2,
                                                   .heads = 2,
                                                   .head_dim = 32,
                                                   .mlp = 96,
                                                   .vocab = 96,
                                                   .rms_eps = 1e-5f,
                                                   .rope_theta = 10000,
                                                   .max_positions = 192,
                                                   .bos_id = 1,
                                                   .eos_id = -1};
#define CLIP_PIXELS                                                                                                    \
    .layer_norm_eps = 1e-5f, .mean = {0.48145466f, 0.4578275f, 0.40821073f},                                           \
    .std = {0.26862954f, 0.26130258f, 0.27577711f}
static const struct vision_config vision_7b = {.hidden = 1024,
                                               .layers = 24,
                                               .run_layers = 23,
                                               .heads = 16,
                                               .mlp = 4096,
                                               .image_size = 336,
                                               .patch_size = 14,
                                               .grid = 24,
                                               CLIP_PIXELS};
static const struct vision_config vision_small = {.hidden = 128,
                                                  .layers = 3,
                                                  .run_layers = 2,
                                                  .heads = 2,
                                                  .mlp = 256,
                                                  .image_size = 112,
                                                  .patch_size = 14,
                                                  .grid = 8,
                                                  CLIP_PIXELS};
static const struct vision_config vision_tiny = {.hidden = 32,
                                                 .layers = 2,
                                                 .run_layers = 1,
                                                 .heads = 2,
                                                 .mlp = 64,
                                                 .image_size = 28,
                                                 .patch_size = 14,
                                                 .grid = 2,
                                                 CLIP_PIXELS};
static const struct sampler_config sampler_7b = {.feature_dim = 1024,
                                                 .points = 512,
                                                 .n_stages = 2,
                                                 .stage_points = {128, 32},
                                                 .stage_neighbors = {24, 24},
                                                 .max_pool = true,
                                                 .transposed = true};
static const struct sampler_config sampler_small = {.feature_dim = 128,
                                                    .points = 128,
                                                    .n_stages = 2,
                                                    .stage_points = {32, 8},
                                                    .stage_neighbors = {12, 6},
                                                    .max_pool = true,
                                                    .transposed = true};
static const struct sampler_config sampler_tiny = {.feature_dim = 32,
                                                   .points = 8,
                                                   .n_stages = 2,
                                                   .stage_points = {4, 2},
                                                   .stage_neighbors = {3, 2},
                                                   .max_pool = true,
                                                   .transposed = true};

/* 35 words and two roles: about what the published conversation takes. */
static char system_text[] = "a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd ee ff gg hh";
static char user[] = "USER", assistant[] = "ASSISTANT", blank[] = " ", end[] = "</s>";
static const struct {
    const char *name;
    const struct decoder_config *decoder;
    const struct vision_config *vision;
    const struct sampler_config *sampler;
} sizes[] = {{"7b", &decoder_7b, &vision_7b, &sampler_7b},
             {"small", &decoder_small, &vision_small, &sampler_small},
             {"tiny", &decoder_tiny, &vision_tiny, &sampler_tiny}};

bool seeded_config(const char *name, struct config *out)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (strcmp(name, sizes[i].name) != 0)
            continue;
        *out =
            (struct config){.decoder = *sizes[i].decoder,
                            .vision = *sizes[i].vision,
                            .sampler = *sizes[i].sampler,
                            .template = {.system = system_text, .roles = {user, assistant}, .separators = {blank, end}},
                            .region_id = REGION_ID};
        return true;
    }
    return false;
}

enum status config_load(const char *dir, const char *tower_dir, struct config **out, struct diag *why)
{
    (void)tower_dir;
    struct config *c = malloc(sizeof *c);
    if (!c || !seeded_config(dir, c)) {
        free(c);
        return diag_set(why, ST_MISSING, "no seeded model is called '%s'", dir);
    }
    c->tower_dir = strdup(dir);
    *out = c;
    return ST_OK;
}

void config_free(struct config *c)
{
    if (c)
        free(c->tower_dir);
    free(c);
}
