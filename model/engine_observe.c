/* What an observer sees: copies of tensors as they pass by, under the names of the golden data. */
#include <stdio.h>
#include <stdlib.h>

#include "model/engine_impl.h"

static void show(struct engine *e, uint64_t image, uint64_t task, const char *name, int rows, int cols,
                 const float *values)
{
    e->observer(e->observer_ctx, image, task, name, false, rows, cols, values);
}

static enum status show_rows(struct engine *e, uint64_t image, const char *name, const struct act *a, int row, int n,
                             struct diag *why)
{
    int cols = act_cols(a);
    float *values = malloc((size_t)n * (size_t)cols * sizeof *values);
    if (!values)
        return ST_NOMEM;
    enum status s = act_read(e->be, a, row, n, values, why);
    if (s == ST_OK)
        show(e, image, 0, name, n, cols, values);
    free(values);
    return s;
}

enum status engine_show_image(struct engine *e, const struct image_job *image, int slot, struct diag *why)
{
    int P = e->vision.n_patches;
    enum status s = show_rows(e, image->id, "vision", e->features, slot * P, P, why);
    return s == ST_OK ? show_rows(e, image->id, "projected", e->image_rows, slot * P, P, why) : s;
}

void engine_show_choice(struct engine *e, const struct task_job *t, int index, int place,
                        const struct sampler_trace *trace)
{
    const struct sampler_config *c = &e->config->sampler;
    char name[32];
    snprintf(name, sizeof name, "chosen.%d", index);
    e->observer(e->observer_ctx, t->image->id, t->id, name, true, 1, c->points, t->regions[index].chosen);
    for (int i = 0; i < c->n_stages; i++) {
        snprintf(name, sizeof name, "fps%d.%d", i, index);
        e->observer(e->observer_ctx, t->image->id, t->id, name, true, 1, c->stage_points[i],
                    trace->anchors[i] + (ptrdiff_t)place * c->stage_points[i]);
    }
}

enum status engine_show_regions(struct engine *e, const struct task_job *t, struct diag *why)
{
    int n = t->sched.n_regions, cols = act_cols(e->region_rows);
    if (n == 0)
        return ST_OK;
    float *values = malloc((size_t)n * (size_t)cols * sizeof *values);
    if (!values)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < n; i++)
        s = act_read(e->be, e->region_rows, t->sched.region_row[i], 1, values + (ptrdiff_t)i * cols, why);
    if (s == ST_OK)
        show(e, t->image->id, t->id, "region_features", n, cols, values);
    free(values);
    return s;
}

void engine_show_step(struct engine *e, const struct plan *plan, const struct decoder_trace *trace)
{
    const struct decoder_config *c = &e->config->decoder;
    int n = plan->n_sampled, levels = c->layers + 1;
    float *hidden = malloc((size_t)levels * (size_t)c->hidden * sizeof *hidden);
    for (int i = 0; hidden && i < n; i++) {
        const struct task_job *t = e->planned.rows[i].task;
        if (!t || t->sched.sampled > 1) /* not the end of its prompt */
            continue;
        for (int k = 0; k < levels; k++) {
            const float *row = trace->hidden + ((ptrdiff_t)k * n + i) * c->hidden;
            for (int j = 0; j < c->hidden; j++)
                hidden[(ptrdiff_t)k * c->hidden + j] = row[j];
        }
        show(e, t->image->id, t->id, "hidden_last", levels, c->hidden, hidden);
        show(e, t->image->id, t->id, "logits", 1, c->vocab, trace->logits + (ptrdiff_t)i * c->vocab);
    }
    free(hidden);
}
