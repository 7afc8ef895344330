#include "model/decoder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/box_automaton.h"

static enum status init_acts(struct decoder *d, int max_rows, int max_sampled, struct diag *why)
{
    const struct decoder_config *c = d->config;
    int inner = c->heads * c->head_dim;
    struct {
        struct act **act;
        int rows, cols;
    } const acts[] = {
        {&d->x, max_rows, c->hidden},        {&d->h, max_rows, c->hidden}, {&d->qkv, max_rows, 3 * inner},
        {&d->attn, max_rows, inner},         {&d->mlp, max_rows, c->mlp},  {&d->last, max_sampled, c->hidden},
        {&d->logits, max_sampled, c->vocab},
    };
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof acts / sizeof acts[0]; i++)
        s = backend_act(d->be, acts[i].rows, acts[i].cols, acts[i].act, why);
    return s;
}

static enum status init_arrays(struct decoder *d, int max_rows, int samples, int max_sampled, int n_pages,
                               struct diag *why)
{
    struct step *st = &d->step;
    struct tasks *t = &d->tasks;
    t->n_slots = max_sampled;
    t->history = d->config->max_positions;
    size_t rows = (size_t)max_rows, slots = (size_t)max_sampled, ring = slots * (size_t)t->history;
    struct {
        struct array **array;
        enum array_kind kind;
        size_t n;
    } const arrays[] = {
        {&st->source_kind, ARRAY_I32, rows},
        {&st->source_index, ARRAY_I32, rows},
        {&st->position, ARRAY_I32, rows},
        {&st->kv_page, ARRAY_I32, rows},
        {&st->kv_at, ARRAY_I32, rows},
        {&st->pages, ARRAY_I32, (size_t)n_pages},
        {&st->sampled, ARRAY_I32, (size_t)samples},
        {&st->sample_slot, ARRAY_I32, (size_t)samples},
        {&t->last, ARRAY_I32, slots},
        {&t->count, ARRAY_I32, slots},
        {&t->max_tokens, ARRAY_I32, slots},
        {&t->finish, ARRAY_I32, slots},
        {&t->temperature, ARRAY_F32, slots},
        {&t->top_p, ARRAY_F32, slots},
        {&t->seed, ARRAY_I32, 2 * slots},
        {&t->stop_ids, ARRAY_I32, slots * MAX_STOP_IDS},
        {&t->repetition, ARRAY_I32, slots},
        {&t->boxes, ARRAY_I32, slots},
        {&t->box_state, ARRAY_I32, slots * BOX_STATE_WORDS},
        {&t->box_class, ARRAY_I32, (size_t)d->config->vocab},
        {&t->tokens, ARRAY_I32, ring},
        {&t->newest, ARRAY_I32, slots * SAMPLED_WORDS},
    };
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof arrays / sizeof arrays[0]; i++)
        s = backend_array(d->be, arrays[i].kind, arrays[i].n, arrays[i].array, why);
    return s;
}

enum status decoder_init(struct decoder *d, struct backend *be, const struct config *c, const struct decoder_weights *w,
                         int max_rows, int max_sampled, int n_pages, struct diag *why)
{
    *d = (struct decoder){.be = be, .config = &c->decoder, .weights = w, .max_rows = max_rows};
    struct step most = {.n_rows = max_rows, .n_sampled = max_sampled};
    backend_step_size(be, &most, max_sampled);
    d->staging = malloc(2 * (size_t)max_sampled * sizeof *d->staging);
    if (!d->staging)
        return ST_NOMEM;
    enum status s = init_acts(d, most.rows, most.samples, why);
    return s == ST_OK ? init_arrays(d, most.rows, most.samples, max_sampled, n_pages, why) : s;
}

enum status decoder_box_classes(struct decoder *d, const int32_t *classes, int n, struct diag *why)
{
    size_t vocab = (size_t)d->config->vocab;
    int32_t *all = calloc(vocab, sizeof *all);
    if (!all)
        return ST_NOMEM;
    memcpy(all, classes, (size_t)n * sizeof *all);
    enum status s = array_write(d->be, d->tasks.box_class, 0, vocab, all, why);
    free(all);
    return s;
}

void decoder_fini(struct decoder *d)
{
    free(d->staging);
    *d = (struct decoder){0};
}

enum status decoder_start_slot(struct decoder *d, const struct slot_start *s, struct diag *why)
{
    struct tasks *t = &d->tasks;
    const int32_t zero = 0, max_tokens = s->max_tokens, repetition = s->repetition_stop, boxes = s->boxes;
    const int32_t outside[BOX_STATE_WORDS] = {0};
    const uint32_t seed[2] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32)};
    int32_t stop[MAX_STOP_IDS] = {d->config->eos_id};
    for (int i = 1; i < MAX_STOP_IDS; i++)
        stop[i] = -1;
    const struct {
        struct array *array;
        size_t width;
        const void *values;
    } writes[] = {
        {t->last, 1, &zero},
        {t->count, 1, &zero},
        {t->finish, 1, &zero},
        {t->max_tokens, 1, &max_tokens},
        {t->seed, 2, seed},
        {t->temperature, 1, &s->temperature},
        {t->top_p, 1, &s->top_p},
        {t->stop_ids, MAX_STOP_IDS, stop},
        {t->repetition, 1, &repetition},
        {t->boxes, 1, &boxes},
        {t->box_state, BOX_STATE_WORDS, outside},
    };
    enum status status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < sizeof writes / sizeof writes[0]; i++)
        status = array_write(d->be, writes[i].array, (size_t)s->slot * writes[i].width, writes[i].width,
                             writes[i].values, why);
    return status;
}

static enum status write_step(struct decoder *d, const struct plan *p, struct diag *why)
{
    struct step *st = &d->step;
    st->n_rows = p->n_rows;
    st->n_spans = p->n_spans;
    st->spans = p->spans;
    st->n_sampled = p->n_sampled;
    backend_step_size(d->be, st, d->tasks.n_slots);
    int32_t *rows = d->staging, *slots = d->staging + d->tasks.n_slots;
    assert(p->n_sampled <= d->tasks.n_slots);
    for (int i = 0; i < p->n_sampled; i++) {
        rows[i] = p->sampled[i].row;
        slots[i] = p->sampled[i].slot;
    }
    const struct {
        struct array *array;
        int n;
        const int32_t *values;
    } writes[] = {
        {st->source_kind, p->n_rows, p->source_kind},
        {st->source_index, p->n_rows, p->source_index},
        {st->position, p->n_rows, p->position},
        {st->kv_page, p->n_rows, p->kv_page},
        {st->kv_at, p->n_rows, p->kv_at},
        {st->pages, p->n_page_entries, p->pages},
        {st->sampled, p->n_sampled, rows},
        {st->sample_slot, p->n_sampled, slots},
    };
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof writes / sizeof writes[0]; i++) {
        if (writes[i].n > 0)
            s = array_write(d->be, writes[i].array, 0, (size_t)writes[i].n, writes[i].values, why);
    }
    return s;
}

static enum status trace_hidden(struct decoder *d, const struct decoder_trace *trace, int index, struct diag *why)
{
    int n = d->step.n_sampled;
    if (!trace || n == 0)
        return ST_OK;
    op_take_rows(d->be, d->last, d->x, d->step.sampled, n);
    return act_read(d->be, d->last, 0, n, trace->hidden + (ptrdiff_t)index * n * d->config->hidden, why);
}

static void run_layer(struct decoder *d, int layer)
{
    struct backend *be = d->be;
    const struct decoder_layer *w = &d->weights->layers[layer];
    const struct decoder_config *c = d->config;
    int rows = d->step.rows;
    op_norm(be, d->h, d->x, rows, NORM_RMS, w->attn_norm, NULL, c->rms_eps, false);
    op_linear(be, d->qkv, 0, d->h, rows, w->qkv, NULL, EPI_NONE);
    op_rope_append(be, d->qkv, &d->step, layer, d->weights->inv_freq);
    op_attention(be, d->attn, d->qkv, &d->step, layer);
    op_linear(be, d->x, 0, d->attn, rows, w->o, NULL, EPI_ADD);
    op_norm(be, d->h, d->x, rows, NORM_RMS, w->mlp_norm, NULL, c->rms_eps, false);
    op_glu(be, d->mlp, d->h, rows, w->gate_up);
    op_linear(be, d->x, 0, d->mlp, rows, w->down, NULL, EPI_ADD);
}

static enum status sample_rows(struct decoder *d, const struct decoder_trace *trace, struct diag *why)
{
    struct backend *be = d->be;
    const struct decoder_config *c = d->config;
    int n = d->step.n_sampled, samples = d->step.samples;
    if (samples == 0)
        return ST_OK;
    op_take_rows(be, d->last, d->x, d->step.sampled, samples);
    op_norm(be, d->last, d->last, samples, NORM_RMS, d->weights->norm, NULL, c->rms_eps, false);
    op_linear(be, d->logits, 0, d->last, samples, d->weights->head, NULL, EPI_NONE);
    enum status s = ST_OK;
    if (trace)
        s = act_read(be, d->last, 0, n, trace->hidden + (ptrdiff_t)c->layers * n * c->hidden, why);
    if (trace && s == ST_OK)
        s = act_read(be, d->logits, 0, n, trace->logits, why);
    op_sample(be, d->logits, &d->step, &d->tasks, c->vocab, -1);
    return s;
}

static enum status run_step(struct decoder *d, const struct act *image_rows, const struct act *region_rows,
                            const struct decoder_trace *trace, struct diag *why)
{
    enum status s = ST_OK;
    op_embed(d->be, d->x, &d->step, d->weights->embed, image_rows, region_rows, d->tasks.last);
    for (int i = 0; s == ST_OK && i < d->config->layers; i++) {
        s = trace_hidden(d, trace, i, why);
        run_layer(d, i);
    }
    return s == ST_OK ? sample_rows(d, trace, why) : s;
}

enum status decoder_record(struct decoder *d, const struct act *image_rows, const struct act *region_rows,
                           struct diag *why)
{
    struct step *st = &d->step;
    bool begun = true;
    enum status s = ST_OK;
    st->n_spans = st->n_sampled = 0;
    for (int n = 1; s == ST_OK && begun && n <= d->max_rows; n = st->rows + 1) {
        st->n_rows = n;
        backend_step_size(d->be, st, d->tasks.n_slots);
        s = backend_step_record(d->be, st, &begun, why);
        if (s != ST_OK || !begun)
            break;
        s = run_step(d, image_rows, region_rows, NULL, why);
        enum status end = backend_step_end(d->be, why);
        s = s == ST_OK ? end : s;
    }
    return s;
}

enum status decoder_step(struct decoder *d, const struct plan *plan, const struct act *image_rows,
                         const struct act *region_rows, const struct decoder_trace *trace, struct diag *why)
{
    enum status s = write_step(d, plan, why);
    if (s != ST_OK)
        return s;
    if (backend_step_begin(d->be, &d->step, !trace))
        s = run_step(d, image_rows, region_rows, trace, why);
    enum status end = backend_step_end(d->be, why);
    if (s == ST_OK && end == ST_OK && plan->n_sampled > 0)
        array_send(d->be, d->tasks.newest, (size_t)d->tasks.n_slots * SAMPLED_WORDS);
    return s == ST_OK ? end : s;
}

enum status decoder_sampled(struct decoder *d, struct sampled *out, struct diag *why)
{
    return array_receive(d->be, out, why);
}
