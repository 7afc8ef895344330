/* Between diff_projector and agg_projector stands no non-linearity, so the two become one product a point:
 * v = Wa1 (Wd (p_j - p_i) + bd) + Wa2 p_i + ba = A_j - A_i + B_i with A = (Wa1 Wd) p, B = Wa2 p_i + (Wa1 bd + ba).
 * The products are summed in double once, at load. */
#include "model/weights_sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/weights_source.h"

enum { NAME_BYTES = 128 };
static const char prefix[] = "model.region_geo_sampler.";

struct stage_tensors {
    float *diff, *diff_bias, *agg, *agg_bias;
};

static void stage_tensors_fini(struct stage_tensors *t)
{
    free(t->diff);
    free(t->diff_bias);
    free(t->agg);
    free(t->agg_bias);
}

static enum status read_stage(const struct checkpoint *c, int stage, int C, struct stage_tensors *t, struct diag *why)
{
    int64_t D = C + 2, diff[2] = {D, D}, agg[3] = {C, 2 * D, 1};
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%sdiff_projector_list.%d.weight", prefix, stage);
    enum status s = read_tensor(c, name, diff, 2, &t->diff, why);
    snprintf(name, sizeof name, "%sdiff_projector_list.%d.bias", prefix, stage);
    if (s == ST_OK)
        s = read_tensor(c, name, diff, 1, &t->diff_bias, why);
    snprintf(name, sizeof name, "%sagg_projector_list.%d.net.0.weight", prefix, stage);
    if (s == ST_OK)
        s = read_tensor(c, name, agg, 3, &t->agg, why);
    snprintf(name, sizeof name, "%sagg_projector_list.%d.net.0.bias", prefix, stage);
    if (s == ST_OK)
        s = read_tensor(c, name, agg, 1, &t->agg_bias, why);
    return s;
}

/* fold = Wa1 Wd [C, D]; anchor = Wa2 [C, D]; bias = Wa1 bd + ba [C]. sum: scratch of D doubles. */
static void fold_stage(const struct stage_tensors *t, int C, float *fold, float *anchor, float *bias, double *sum)
{
    int D = C + 2;
    for (int row = 0; row < C; row++) {
        const float *wa = t->agg + (ptrdiff_t)row * 2 * D;
        double constant = t->agg_bias[row];
        memset(sum, 0, (size_t)D * sizeof *sum);
        for (int k = 0; k < D; k++) {
            const float *wd = t->diff + (ptrdiff_t)k * D;
            constant += (double)wa[k] * t->diff_bias[k];
            for (int col = 0; col < D; col++)
                sum[col] += (double)wa[k] * wd[col];
        }
        for (int col = 0; col < D; col++)
            fold[(ptrdiff_t)row * D + col] = (float)sum[col];
        memcpy(anchor + (ptrdiff_t)row * D, wa + D, (size_t)D * sizeof *anchor);
        bias[row] = (float)constant;
    }
}

static enum status pack_folded(struct backend *be, const struct stage_tensors *t, int C, struct stage_weights *w,
                               struct diag *why)
{
    size_t n = (size_t)C * (size_t)(C + 2);
    float *values = malloc((2 * n + (size_t)C) * sizeof *values);
    double *sum = malloc((size_t)(C + 2) * sizeof *sum);
    enum status s = ST_NOMEM;
    if (values && sum) {
        float *anchor = values + n, *bias = anchor + n;
        fold_stage(t, C, values, anchor, bias, sum);
        s = pack_values(be, WEIGHT_LINEAR_F32, values, C, C + 2, &w->fold, why);
        if (s == ST_OK)
            s = pack_values(be, WEIGHT_LINEAR_F32, anchor, C, C + 2, &w->anchor, why);
        if (s == ST_OK)
            s = pack_values(be, WEIGHT_VECTOR, bias, 1, C, &w->anchor_bias, why);
    }
    free(values);
    free(sum);
    return s;
}

static enum status pack_named_vector(struct backend *be, const struct checkpoint *c, const char *tail, int len,
                                     struct weight **out, struct diag *why)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", prefix, tail);
    const char *list = name;
    return pack_vectors(be, c, &list, 1, len, out, why);
}

static enum status load_stage(struct backend *be, const struct checkpoint *c, int stage, int C, struct stage_weights *w,
                              struct diag *why)
{
    struct stage_tensors t = {0};
    enum status s = read_stage(c, stage, C, &t, why);
    if (s == ST_OK)
        s = pack_folded(be, &t, C, w, why);
    stage_tensors_fini(&t);
    char tail[NAME_BYTES];
    snprintf(tail, sizeof tail, "agg_projector_list.%d.norm.weight", stage);
    if (s == ST_OK)
        s = pack_named_vector(be, c, tail, C, &w->norm, why);
    snprintf(tail, sizeof tail, "agg_projector_list.%d.norm.bias", stage);
    if (s == ST_OK)
        s = pack_named_vector(be, c, tail, C, &w->norm_bias, why);
    return s;
}

struct flatten {
    const struct checkpoint *checkpoint;
    const struct tensor *tensor;
    int points, C;
};

/* The last stage leaves C + 2 columns a point; zeros over the two coordinates let the product read its rows as they
 * stand. */
static enum status read_flatten(void *ctx, int row, int n, float *out, struct diag *why)
{
    const struct flatten *f = ctx;
    ptrdiff_t narrow = (ptrdiff_t)f->points * f->C, wide = (ptrdiff_t)f->points * (f->C + 2);
    float *values = malloc((size_t)narrow * sizeof *values);
    if (!values)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < n; i++) {
        s = checkpoint_rows(f->checkpoint, f->tensor, row + i, 1, values, why);
        for (int p = 0; s == ST_OK && p < f->points; p++) {
            float *to = out + i * wide + (ptrdiff_t)p * (f->C + 2);
            memcpy(to, values + (ptrdiff_t)p * f->C, (size_t)f->C * sizeof *to);
            to[f->C] = to[f->C + 1] = 0;
        }
    }
    free(values);
    return s;
}

static enum status load_flatten(struct backend *be, const struct checkpoint *c, int points, int C,
                                struct sampler_weights *w, struct diag *why)
{
    struct flatten f = {.checkpoint = c, .points = points, .C = C};
    int64_t dims[2] = {C, (int64_t)points * C};
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%sflatten_projector.weight", prefix);
    enum status s = checkpoint_need(c, name, dims, 2, &f.tensor, why);
    if (s != ST_OK)
        return s;
    struct weight_source source = {.rows = C, .cols = points * (C + 2), .read = read_flatten, .ctx = &f};
    s = backend_weight(be, WEIGHT_LINEAR_F32, &source, &w->flatten, why);
    checkpoint_release(c, f.tensor);
    if (s != ST_OK)
        return diag_wrap(why, s, "%s", name);
    return pack_named_vector(be, c, "flatten_projector.bias", C, &w->flatten_bias, why);
}

enum status sampler_weights_load(struct backend *be, const struct config *config, const struct checkpoint *c,
                                 struct sampler_weights *out, struct diag *why)
{
    const struct sampler_config *cfg = &config->sampler;
    int C = cfg->feature_dim, hidden = config->decoder.hidden;
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < cfg->n_stages; i++)
        s = load_stage(be, c, i, C, &out->stages[i], why);
    if (s == ST_OK)
        s = load_flatten(be, c, cfg->stage_points[cfg->n_stages - 1], C, out, why);
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%sdim_projector.weight", prefix);
    const char *list = name;
    if (s == ST_OK)
        s = pack_stacked(be, WEIGHT_LINEAR_F32, c, &list, 1, hidden, C, &out->dim, why);
    return s == ST_OK ? pack_named_vector(be, c, "dim_projector.bias", hidden, &out->dim_bias, why) : s;
}
