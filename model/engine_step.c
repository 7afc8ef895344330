/* One step: it is planned and started while the step before it may still run; then that one's tokens are read. A
 * backend whose operations run within the call (caps.async false) is read at once instead. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/engine_impl.h"
#include "model/half.h"

static struct task_job *job_of(struct sched_task *t)
{
    return (struct task_job *)t;
}

/* Reads what the tower made of the batch's image i, rounds it to the type in which it is kept, and shows it. */
static enum status give_features(struct engine *e, int i, uint64_t image_id, struct diag *why)
{
    int P = e->vision.n_patches;
    size_t n = engine_feature_count(e);
    float *values = e->host_features;
    enum status s = act_read(e->be, e->vision.features, i * P, P, values, why);
    if (s == ST_OK && e->feature_type == FEATURES_F16) {
        for (size_t k = 0; k < n; k++)
            values[k] = half_to_f32(half_from_f32(values[k]));
        s = act_write(e->be, e->vision.features, i * P, P, values, why);
    }
    if (s == ST_OK)
        e->on_features(e->features_ctx, image_id, values);
    return s;
}

/* Images with pixels go through the tower, those that came with features join them behind it. */
static enum status fill_features(struct engine *e, const struct image_job *const *images, int n_pixels, int n,
                                 struct diag *why)
{
    const float *pixels[ENGINE_ENCODE_BATCH];
    int P = e->vision.n_patches;
    for (int i = 0; i < n_pixels; i++)
        pixels[i] = images[i]->pixels;
    enum status s = n_pixels > 0 ? vision_encode(&e->vision, pixels, n_pixels, why) : ST_OK;
    for (int i = 0; s == ST_OK && e->on_features && i < n_pixels; i++)
        s = give_features(e, i, images[i]->id, why);
    for (int i = n_pixels; s == ST_OK && i < n; i++)
        s = act_write(e->be, e->vision.features, i * P, P, images[i]->features, why);
    return s;
}

static enum status encode_images(struct engine *e, const struct plan *p, struct diag *why)
{
    if (p->n_encode == 0)
        return ST_OK;
    const struct image_job *images[ENGINE_ENCODE_BATCH];
    int slots[ENGINE_ENCODE_BATCH], n = 0, n_pixels = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < p->n_encode; i++) {
            const struct image_job *image = (const struct image_job *)p->encode[i].image;
            if ((image->features != NULL) != (pass == 1))
                continue;
            images[n] = image;
            slots[n++] = p->encode[i].slot;
        }
        n_pixels = pass == 0 ? n : n_pixels;
    }
    int64_t start = clock_us();
    enum status s = fill_features(e, images, n_pixels, n, why);
    if (s == ST_OK)
        vision_project(&e->vision, slots, n, e->features, e->image_rows);
    e->stats.images_encoded += n_pixels;
    e->stats.images_restored += n - n_pixels;
    e->stats.encode_us += clock_us() - start;
    for (int i = 0; s == ST_OK && e->observer && i < n; i++)
        s = engine_show_image(e, images[i], slots[i], why);
    return s;
}

/* Regions that run together, whatever their tasks. */
struct region_batch {
    const struct task_job *tasks[ENGINE_REGION_BATCH];
    int index[ENGINE_REGION_BATCH]; /* of the task */
    const struct drawn_region *drawn[ENGINE_REGION_BATCH];
    int slots[ENGINE_REGION_BATCH];
    int32_t rows[ENGINE_REGION_BATCH];
    int n;
};

static enum status trace_init(const struct engine *e, struct sampler_trace *trace)
{
    const struct sampler_config *c = &e->config->sampler;
    for (int i = 0; i < c->n_stages; i++) {
        size_t n = (size_t)e->region_batch * (size_t)c->stage_points[i];
        if (!(trace->anchors[i] = malloc(n * sizeof *trace->anchors[i])))
            return ST_NOMEM;
    }
    return ST_OK;
}

static enum status flush_regions(struct engine *e, struct region_batch *b, const struct sampler_trace *trace,
                                 struct diag *why)
{
    if (b->n == 0)
        return ST_OK;
    enum status s =
        sampler_run(&e->sampler, e->features, b->drawn, b->slots, b->rows, b->n, e->region_rows, trace, why);
    for (int i = 0; s == ST_OK && trace && i < b->n; i++)
        engine_show_choice(e, b->tasks[i], b->index[i], i, trace);
    b->n = 0;
    return s;
}

static enum status run_regions(struct engine *e, const struct plan *p, struct diag *why)
{
    struct region_batch b = {.n = 0};
    struct sampler_trace trace = {{NULL}};
    enum status s = e->observer ? trace_init(e, &trace) : ST_OK;
    for (int i = 0; s == ST_OK && i < p->n_admitted; i++) {
        const struct task_job *t = job_of(p->admitted[i]);
        for (int k = 0; s == ST_OK && k < t->sched.n_regions; k++) {
            b.tasks[b.n] = t;
            b.index[b.n] = k;
            b.drawn[b.n] = &t->regions[k];
            b.slots[b.n] = t->sched.image_slot;
            b.rows[b.n] = t->sched.region_row[k];
            if (++b.n == e->region_batch)
                s = flush_regions(e, &b, e->observer ? &trace : NULL, why);
        }
    }
    if (s == ST_OK)
        s = flush_regions(e, &b, e->observer ? &trace : NULL, why);
    for (int i = 0; s == ST_OK && e->observer && i < p->n_admitted; i++)
        s = engine_show_regions(e, job_of(p->admitted[i]), why);
    for (int i = 0; i < CONFIG_MAX_STAGES; i++)
        free(trace.anchors[i]);
    return s;
}

static enum status start_tasks(struct engine *e, const struct plan *p, struct diag *why)
{
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < p->n_admitted; i++) {
        struct task_job *t = job_of(p->admitted[i]);
        struct slot_start start = {.slot = t->sched.slot,
                                   .max_tokens = t->sched.max_tokens,
                                   .temperature = t->temperature,
                                   .top_p = t->top_p,
                                   .seed = t->seed,
                                   .repetition_stop = t->repetition_stop,
                                   .boxes = t->well_formed_boxes};
        t->started_us = clock_us();
        s = decoder_start_slot(&e->decoder, &start, why);
    }
    return s;
}

static enum status run_rows(struct engine *e, const struct plan *p, struct diag *why)
{
    if (p->n_rows == 0)
        return ST_OK;
    struct decoder_trace trace = {NULL, NULL};
    const struct decoder_config *c = &e->config->decoder;
    size_t n = (size_t)p->n_sampled;
    enum status s = ST_OK;
    bool traced = e->observer && n > 0;
    if (traced) {
        trace.hidden = malloc(n * (size_t)(c->layers + 1) * (size_t)c->hidden * sizeof(float));
        trace.logits = malloc(n * (size_t)c->vocab * sizeof(float));
        s = trace.hidden && trace.logits ? ST_OK : ST_NOMEM;
    }
    if (s == ST_OK)
        s = decoder_step(&e->decoder, p, e->image_rows, e->region_rows, traced ? &trace : NULL, why);
    if (s == ST_OK && traced)
        engine_show_step(e, p, &trace);
    free(trace.hidden);
    free(trace.logits);
    return s;
}

/* A row read back: the token may end its task. */
static void take_token(struct engine *e, const struct flight_row *row)
{
    const struct sampled *sampled = &e->sampled[row->slot];
    struct task_job *t = row->task;
    if (!t) {
        e->stats.wasted_rows++;
        return;
    }
    if (t->n_tokens == 0)
        t->first_us = clock_us();
    engine_keep_token(t, sampled);
    bool stop = false;
    enum status s = engine_match_stops(t, sampled->token, &stop);
    enum finish finish = (enum finish)sampled->finish;
    if (s != ST_OK)
        engine_end_task(e, t, OUTCOME_NO_MEMORY, FINISH_NONE, "out of memory while matching stop texts");
    else if (finish == FINISH_NON_FINITE)
        engine_end_non_finite(e, t);
    else if (stop)
        engine_end_task(e, t, OUTCOME_OK, FINISH_STOP, NULL);
    else if (finish != FINISH_NONE)
        engine_end_task(e, t, OUTCOME_OK, finish, NULL);
}

/* Reads what the step in flight sampled. */
static enum status collect(struct engine *e, int64_t *device_us, struct diag *why)
{
    struct flight *f = &e->in_flight;
    if (f->n == 0)
        return ST_OK;
    int64_t start = clock_us();
    enum status s = decoder_sampled(&e->decoder, e->sampled, why);
    *device_us += clock_us() - start;
    if (s != ST_OK)
        return s;
    for (int i = 0; i < f->n; i++)
        take_token(e, &f->rows[i]);
    f->n = 0;
    return ST_OK;
}

static void note_samples(struct engine *e, const struct plan *p)
{
    e->planned.n = p->n_sampled;
    for (int i = 0; i < p->n_sampled; i++)
        e->planned.rows[i] = (struct flight_row){.task = job_of(p->sampled[i].task), .slot = p->sampled[i].slot};
}

static enum status launch(struct engine *e, const struct plan *p, int64_t *device_us, struct diag *why)
{
    int64_t start = clock_us();
    enum status s = encode_images(e, p, why);
    if (s == ST_OK)
        s = run_regions(e, p, why);
    if (s == ST_OK)
        s = start_tasks(e, p, why);
    if (s == ST_OK)
        s = run_rows(e, p, why);
    *device_us += clock_us() - start;
    e->stats.steps += p->n_rows > 0;
    e->stats.prefill_rows += p->n_prefill;
    e->stats.decode_rows += p->n_decode;
    return s;
}

static enum status step(struct engine *e, int64_t *device_us, struct diag *why)
{
    const struct plan *plan;
    enum status s = scheduler_plan(e->scheduler, &plan);
    if (s != ST_OK)
        return s;
    note_samples(e, plan);
    s = launch(e, plan, device_us, why);
    if (s == ST_OK)
        s = collect(e, device_us, why);
    struct flight swap = e->in_flight;
    e->in_flight = e->planned;
    e->planned = swap;
    e->planned.n = 0;
    if (s == ST_OK && !backend_caps(e->be)->async)
        s = collect(e, device_us, why);
    return s;
}

enum status engine_step(struct engine *e, struct diag *why)
{
    if (e->lost)
        return diag_set(why, ST_DEVICE, "%s", e->lost_why.text);
    if (!e->images && e->in_flight.n == 0)
        return ST_OK;
    struct diag text = {0};
    int64_t start = clock_us(), device_us = 0;
    enum status s = step(e, &device_us, &text);
    int64_t spent = clock_us() - start;
    e->stats.step_us += spent;
    e->stats.host_us += spent - device_us;
    if (s == ST_OK)
        return ST_OK;
    /* Rows of the plan count as run: after any failure on the way the cache can't be trusted. */
    if (text.text[0] == '\0')
        diag_set(&text, s, "step failed: %s", status_word(s));
    engine_lose(e, &text);
    return diag_set(why, ST_DEVICE, "%s", text.text);
}
