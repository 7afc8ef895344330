#include "model/vision.h"

size_t vision_bytes_per_image(const struct config *c)
{
    const struct vision_config *v = &c->vision;
    size_t P = (size_t)v->grid * (size_t)v->grid, C = (size_t)v->hidden;
    size_t patch = 3 * (size_t)v->patch_size * (size_t)v->patch_size;
    size_t floats = P * (patch + 2 * C + (size_t)c->decoder.hidden) + (P + 1) * (5 * C + (size_t)v->mlp);
    return (floats + 3 * (size_t)v->image_size * (size_t)v->image_size) * sizeof(float);
}

enum status vision_init(struct vision *v, struct backend *be, const struct config *c, const struct vision_weights *w,
                        int batch, struct diag *why)
{
    const struct vision_config *cfg = &c->vision;
    int P = cfg->grid * cfg->grid, C = cfg->hidden;
    *v = (struct vision){.be = be, .config = cfg, .weights = w, .batch = batch, .n_patches = P};
    size_t pixels = (size_t)batch * 3 * (size_t)cfg->image_size * (size_t)cfg->image_size;
    struct {
        struct act **act;
        int rows, cols;
    } const acts[] = {
        {&v->patches, P, 3 * cfg->patch_size * cfg->patch_size},
        {&v->embedded, P, C},
        {&v->x, P + 1, C},
        {&v->h, P + 1, C},
        {&v->qkv, P + 1, 3 * C},
        {&v->mlp, P + 1, cfg->mlp},
        {&v->features, P, C},
        {&v->projected, P, c->decoder.hidden},
    };
    enum status s = backend_array(be, ARRAY_F32, pixels, &v->pixels, why);
    for (size_t i = 0; s == ST_OK && i < sizeof acts / sizeof acts[0]; i++)
        s = backend_act(be, batch * acts[i].rows, acts[i].cols, acts[i].act, why);
    return s;
}

static void run_layer(struct vision *v, const struct vision_layer *w, int images)
{
    struct backend *be = v->be;
    int rows = images * (v->n_patches + 1);
    float eps = v->config->layer_norm_eps;
    op_norm(be, v->h, v->x, rows, NORM_LAYER, w->norm1, w->norm1_bias, eps, false);
    op_linear(be, v->qkv, 0, v->h, rows, w->qkv, w->qkv_bias, EPI_NONE);
    op_attention_full(be, v->h, v->qkv, images, v->n_patches + 1, v->config->heads);
    op_linear(be, v->x, 0, v->h, rows, w->out, w->out_bias, EPI_ADD);
    op_norm(be, v->h, v->x, rows, NORM_LAYER, w->norm2, w->norm2_bias, eps, false);
    op_linear(be, v->mlp, 0, v->h, rows, w->fc1, w->fc1_bias, EPI_QUICK_GELU);
    op_linear(be, v->x, 0, v->mlp, rows, w->fc2, w->fc2_bias, EPI_ADD);
}

enum status vision_encode(struct vision *v, const float *const *pixels, int n, struct diag *why)
{
    struct backend *be = v->be;
    const struct vision_weights *w = v->weights;
    const struct vision_config *c = v->config;
    size_t size = 3 * (size_t)c->image_size * (size_t)c->image_size;
    int P = v->n_patches;
    for (int i = 0; i < n; i++) {
        enum status s = array_write(be, v->pixels, (size_t)i * size, size, pixels[i], why);
        if (s != ST_OK)
            return s;
    }
    op_patchify(be, v->patches, v->pixels, n, c->image_size, c->patch_size);
    op_linear(be, v->embedded, 0, v->patches, n * P, w->patch, NULL, EPI_NONE);
    op_vision_embed(be, v->x, v->embedded, n, P, w->class_embedding, w->position);
    op_norm(be, v->x, v->x, n * (P + 1), NORM_LAYER, w->pre_norm, w->pre_norm_bias, c->layer_norm_eps, true);
    for (int i = 0; i < c->run_layers; i++)
        run_layer(v, &w->layers[i], n);
    op_drop_class(be, v->features, v->x, n, P);
    return ST_OK;
}

void vision_project(struct vision *v, const int *slots, int n, struct act *features, struct act *image_rows)
{
    struct backend *be = v->be;
    const struct vision_weights *w = v->weights;
    int P = v->n_patches;
    op_linear(be, v->projected, 0, v->features, n * P, w->projector, w->projector_bias, EPI_NONE);
    for (int i = 0; i < n; i++) {
        op_copy_rows(be, features, slots[i] * P, v->features, i * P, P);
        op_copy_rows(be, image_rows, slots[i] * P, v->projected, i * P, P);
    }
}
