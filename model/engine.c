#include "model/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/checkpoint_check.h"
#include "model/engine_impl.h"
#include "model/prompt.h"

enum {
    DEFAULT_SEQUENCES = 64,
    DEFAULT_STEP_ROWS = 512,
    DEFAULT_WAITING_IMAGES = 64,
    IMAGE_SLOTS = 8,  /* images on the device: the batch that runs and the one being encoded */
    GRAPH_SHARE = 32, /* of what is left for the cache: recorded steps */
    SHARE = 8, /* slots, encoder and sampler may each take 1 / SHARE of what the weights leave, at least one item */
};
static const size_t mib = (size_t)1 << 20, most_recorded = (size_t)512 << 20;

static int or_default(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

static int batch_within(size_t item_bytes, int most, size_t budget)
{
    int n = most;
    while (n > 1 && (size_t)n * item_bytes > budget)
        n--;
    return n;
}

static size_t left_bytes(const struct engine *e)
{
    size_t budget = backend_caps(e->be)->memory_bytes, used = backend_used_bytes(e->be);
    return used < budget ? budget - used : 0;
}

static size_t image_slot_bytes(const struct config *c)
{
    return (size_t)c->vision.grid * (size_t)c->vision.grid * (size_t)(c->vision.hidden + c->decoder.hidden) *
           sizeof(float);
}

static void choose_sizes(struct engine *e, const struct engine_options *o)
{
    const struct config *c = e->config;
    size_t share = left_bytes(e) / SHARE;
    e->max_sequences = or_default(o->max_sequences, DEFAULT_SEQUENCES) >> e->halvings;
    e->max_rows = or_default(o->max_step_rows, DEFAULT_STEP_ROWS) >> e->halvings;
    if (e->max_sequences < 1)
        e->max_sequences = 1;
    if (e->max_rows < e->max_sequences + ATTN_BLOCK)
        e->max_rows = e->max_sequences + ATTN_BLOCK;
    e->max_waiting_images = or_default(o->max_waiting_images, DEFAULT_WAITING_IMAGES);
    e->image_slots = batch_within(image_slot_bytes(c), IMAGE_SLOTS, share);
    e->encode_batch = batch_within(vision_bytes_per_image(c), ENGINE_ENCODE_BATCH, share);
    if (e->encode_batch > e->image_slots)
        e->encode_batch = e->image_slots;
    e->region_batch = batch_within(sampler_bytes_per_region(c), ENGINE_REGION_BATCH, share);
}

static enum status make_activations(struct engine *e, struct diag *why)
{
    const struct config *c = e->config;
    int rows = e->image_slots * c->vision.grid * c->vision.grid;
    enum status s = backend_act(e->be, rows, c->vision.hidden, &e->features, why);
    if (s == ST_OK)
        s = backend_act(e->be, rows, c->decoder.hidden, &e->image_rows, why);
    /* A prompt can't hold more region tokens than positions. */
    if (s == ST_OK)
        s = backend_act(e->be, c->decoder.max_positions, c->decoder.hidden, &e->region_rows, why);
    if (s == ST_OK)
        s = vision_init(&e->vision, e->be, c, &e->weights.vision, e->encode_batch, why);
    return s == ST_OK ? sampler_init(&e->sampler, e->be, c, &e->weights.sampler, e->region_batch, why) : s;
}

/* Pages for every slot at full context are as many as can ever be used. */
static int most_pages(const struct engine *e)
{
    const struct config *c = e->config;
    int sequence = kvcache_pages_for(c->decoder.max_positions) + MAX_SEGMENTS;
    return sequence * e->max_sequences;
}

static enum status make_cache(struct engine *e, struct diag *why)
{
    const struct decoder_config *d = &e->config->decoder;
    struct kv_shape shape = {.layers = d->layers, .heads = d->heads, .head_dim = d->head_dim, .n_pages = 1};
    size_t page = backend_kv_page_bytes(e->be, &shape), left = left_bytes(e);
    /* Beside the pages a backend may keep the rotations of their positions, and a little of its own. */
    size_t table = (size_t)KV_PAGE * (size_t)d->head_dim * sizeof(float);
    size_t recorded = !backend_caps(e->be)->async          ? 0
                      : left / GRAPH_SHARE < most_recorded ? left / GRAPH_SHARE
                                                           : most_recorded;
    size_t fit = (left - left / 64 - recorded) / (page + table);
    int patches = e->config->vision.grid * e->config->vision.grid;
    size_t least = (size_t)kvcache_pages_for(patches) + 2;
    e->too_few_pages = fit < least;
    if (e->too_few_pages)
        return diag_set(
            why, ST_NOMEM,
            "memory: %zu MiB of the budget of %zu MiB are used by weights and activations; %zu MiB are left "
            "for the KV cache, one image needs %zu MiB",
            backend_used_bytes(e->be) / mib, backend_caps(e->be)->memory_bytes / mib, left / mib,
            (least * page + mib - 1) / mib);
    int most = most_pages(e);
    shape.n_pages = fit < (size_t)most ? (int)fit : most;
    e->n_pages = shape.n_pages;
    return backend_kv(e->be, &shape, why);
}

static enum status make_scheduler(struct engine *e)
{
    struct sched_options o = {.max_sequences = e->max_sequences,
                              .max_rows = e->max_rows,
                              .image_slots = e->image_slots,
                              .encode_batch = e->encode_batch,
                              .image_rows = e->config->vision.grid * e->config->vision.grid,
                              .n_pages = e->n_pages,
                              .n_region_rows = e->config->decoder.max_positions,
                              .region_id = e->config->region_id};
    size_t n = (size_t)e->max_sequences;
    e->planned.rows = calloc(n, sizeof *e->planned.rows);
    e->in_flight.rows = calloc(n, sizeof *e->in_flight.rows);
    e->sampled = calloc(n, sizeof *e->sampled);
    if (!e->planned.rows || !e->in_flight.rows || !e->sampled)
        return ST_NOMEM;
    return scheduler_new(&o, &e->scheduler);
}

/* The ids in front of the image that the template gives every conversation: their segment outlives the tasks. */
static enum status keep_template_prefix(struct engine *e, const char *model_dir, struct diag *why)
{
    const char *turn = "x";
    char *prompt = NULL;
    int32_t *ids = NULL;
    int n = 0, image = 0;
    enum status s = prompt_render(&e->config->template, &turn, 1, &prompt, why);
    if (s == ST_OK)
        s = tokenizer_encode_prompt(e->tokenizer, prompt, strlen(prompt), &ids, &n, why);
    if (s == ST_OK) {
        struct engine_prefix *prefix;
        while (image < n && ids[image] != TOKEN_IMAGE)
            image++;
        int patches = e->config->vision.grid * e->config->vision.grid, most = e->config->decoder.max_positions;
        if (n - 1 + patches >= most)
            s = diag_set(
                why, ST_LIMIT,
                "%s/config.json: ferret_template: %d tokens and %d of an image leave no room in a context of %d",
                model_dir, n - 1, patches, most);
        if (s == ST_OK)
            s = engine_hold_prefix(e, ids, image, &prefix);
    }
    free(prompt);
    free(ids);
    return s;
}

static enum status write_account(struct engine *e, size_t weights)
{
    size_t acts = backend_used_bytes(e->be), budget = backend_caps(e->be)->memory_bytes;
    struct kv_shape shape = {.layers = e->config->decoder.layers,
                             .heads = e->config->decoder.heads,
                             .head_dim = e->config->decoder.head_dim,
                             .n_pages = e->n_pages};
    size_t pages = backend_kv_page_bytes(e->be, &shape) * (size_t)e->n_pages;
    const struct backend_caps *caps = backend_caps(e->be);
    size_t others = weights + pages + caps->recorded_bytes;
    char graphs[256] = "";
    if (caps->recordings > 0 || caps->unrecorded[0])
        snprintf(graphs, sizeof graphs, "graphs       %8zu MiB: %d sizes of steps, up to %d rows%s%s\n",
                 caps->recorded_bytes / mib, caps->recordings, caps->recorded_rows, caps->unrecorded[0] ? "; " : "",
                 caps->unrecorded);
    acts -= others < acts ? others : acts;
    char halved[128] = "";
    if (e->halvings > 0)
        snprintf(halved, sizeof halved,
                 "halved       %8d times, since more does not fit: sequences and rows of a step\n", e->halvings);
    int n =
        asprintf(&e->account,
                 "budget       %8zu MiB\n"
                 "weights      %8zu MiB\n"
                 "activations  %8zu MiB: steps of %d rows, %d sequences, %d images (%d encoded at once), %d regions "
                 "at once\n"
                 "KV cache     %8zu MiB: %d pages of %d positions\n%s%s",
                 budget / mib, weights / mib, acts / mib, e->max_rows, e->max_sequences, e->image_slots,
                 e->encode_batch, e->region_batch, pages / mib, e->n_pages, KV_PAGE, graphs, halved);
    if (n < 0) {
        e->account = NULL;
        return ST_NOMEM;
    }
    return ST_OK;
}

/* Known before anything is read; what the estimate may have too much is left to the loading. */
static enum status check_weights(const struct engine *e, const struct checkpoint *model, const struct checkpoint *tower,
                                 enum dtype dtype, struct diag *why)
{
    double need = weights_bytes(model, tower, dtype) * 7 / 8, budget = (double)backend_caps(e->be)->memory_bytes;
    if (need <= budget)
        return ST_OK;
    return diag_set(why, ST_NOMEM,
                    "%s: the weights take %.0f MiB at least in %s, the budget is %.0f MiB (--memory, --dtype)",
                    backend_caps(e->be)->device, need / (double)mib, dtype_name(dtype), budget / (double)mib);
}

static enum status load_model(struct engine *e, const struct engine_options *o, struct diag *why)
{
    struct checkpoint *model = NULL, *tower = NULL;
    struct weights_options w = {
        .inv_freq = o->inv_freq, .stop = o->stop, .progress = o->on_progress, .progress_ctx = o->progress_ctx};
    enum status s = checkpoint_open(o->model_dir, o->base_dir, &model, why);
    if (s == ST_OK)
        s = checkpoint_open(e->config->tower_dir, NULL, &tower, why);
    if (s == ST_OK)
        s = checkpoint_check(model, tower, e->config, why);
    if (s == ST_OK)
        s = check_weights(e, model, tower, o->backend.dtype, why);
    if (s == ST_OK)
        s = checkpoint_hash(model, tower, e->hash, why);
    if (s == ST_OK)
        s = weights_load(e->be, e->config, model, tower, &w, &e->weights, why);
    checkpoint_close(model);
    checkpoint_close(tower);
    return s;
}

/* Everything of the device whose size is ours to choose. */
static enum status make_parts(struct engine *e, const struct engine_options *o, struct diag *why)
{
    choose_sizes(e, o);
    enum status s = make_activations(e, why);
    /* Page tables are as long as the cache, which is sized last: its upper bound serves. */
    if (s == ST_OK)
        s = decoder_init(&e->decoder, e->be, e->config, &e->weights.decoder, e->max_rows, e->max_sequences,
                         most_pages(e), why);
    if (s == ST_OK && e->box_classes)
        s = decoder_box_classes(&e->decoder, e->box_classes, tokenizer_vocab(e->tokenizer), why);
    return s == ST_OK ? make_cache(e, why) : s;
}

/* Half the sequences and half the rows of a step, until they fit. What fails last says how much is missing. */
static enum status make_what_fits(struct engine *e, const struct engine_options *o, struct diag *why)
{
    struct backend_mark mark = backend_mark(e->be);
    for (;;) {
        enum status s = make_parts(e, o, why);
        bool ran_out = backend_ran_out(e->be) || e->too_few_pages;
        if (s != ST_NOMEM || !ran_out || (e->max_sequences == 1 && e->max_rows <= ATTN_BLOCK + 1))
            return s;
        sampler_fini(&e->sampler);
        decoder_fini(&e->decoder);
        s = backend_sync(e->be, why);
        if (s != ST_OK)
            return s;
        backend_forget(e->be, mark);
        e->too_few_pages = false;
        e->halvings++;
    }
}

/* A tokenizer that can't write them is no error before a task asks for well-formed boxes. */
static enum status class_tokens(struct engine *e)
{
    int n = tokenizer_vocab(e->tokenizer);
    if (n > e->config->decoder.vocab) {
        diag_set(&e->boxes_why, ST_UNSUPPORTED,
                 "well-formed boxes: the tokenizer has more ids than the model has rows");
        return ST_OK;
    }
    if (!(e->box_classes = malloc((size_t)n * sizeof *e->box_classes)))
        return ST_NOMEM;
    enum status s = tokenizer_box_classes(e->tokenizer, e->box_classes, &e->boxes_why);
    if (s == ST_OK || s == ST_NOMEM)
        return s;
    free(e->box_classes);
    e->box_classes = NULL;
    return ST_OK;
}

static enum status build(struct engine *e, const struct engine_options *o, struct diag *why)
{
    enum status s = config_load(o->model_dir, o->tower_dir, &e->config, why);
    if (s == ST_OK)
        s = tokenizer_open(o->model_dir, e->config->region_id, &e->tokenizer, why);
    if (s == ST_OK)
        s = class_tokens(e);
    if (s == ST_OK)
        s = backend_open(&o->backend, &e->be, why);
    if (s == ST_OK)
        s = load_model(e, o, why);
    if (s != ST_OK)
        return s;
    size_t weights = backend_used_bytes(e->be);
    s = make_what_fits(e, o, why);
    if (s == ST_OK)
        s = decoder_record(&e->decoder, e->image_rows, e->region_rows, why);
    if (s == ST_OK)
        s = make_scheduler(e);
    if (s == ST_OK && o->on_features && !(e->host_features = malloc(engine_feature_count(e) * sizeof(float))))
        s = ST_NOMEM;
    if (s == ST_OK)
        s = keep_template_prefix(e, o->model_dir, why);
    return s == ST_OK ? write_account(e, weights) : s;
}

enum status engine_open(const struct engine_options *o, struct engine **out, struct diag *why)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return ST_NOMEM;
    e->results_end = &e->results;
    e->feature_type = o->feature_type;
    e->on_features = o->on_features;
    e->features_ctx = o->features_ctx;
    enum status s = build(e, o, why);
    if (s == ST_NOMEM && why && why->text[0] == '\0')
        s = diag_set(why, s, "out of memory while opening %s", o->model_dir);
    if (s != ST_OK) {
        engine_close(e);
        return s;
    }
    *out = e;
    return ST_OK;
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    while (e->images)
        engine_end_task(e, e->images->tasks, OUTCOME_CANCELLED, FINISH_NONE, NULL);
    struct engine_result r;
    while (engine_take(e, &r))
        engine_result_fini(&r);
    while (e->prefixes) {
        e->prefixes->refs = 1;
        engine_release_prefix(e, e->prefixes);
    }
    scheduler_free(e->scheduler);
    sampler_fini(&e->sampler);
    decoder_fini(&e->decoder);
    weights_fini(&e->weights);
    backend_close(e->be);
    tokenizer_close(e->tokenizer);
    config_free(e->config);
    free(e->planned.rows);
    free(e->in_flight.rows);
    free(e->sampled);
    free(e->account);
    free(e->host_features);
    free(e->box_classes);
    free(e);
}

const struct config *engine_config(const struct engine *e)
{
    return e->config;
}

const struct tokenizer *engine_tokenizer(const struct engine *e)
{
    return e->tokenizer;
}

const struct backend_caps *engine_caps(const struct engine *e)
{
    return backend_caps(e->be);
}

const char *engine_model_hash(const struct engine *e)
{
    return e->hash;
}

size_t engine_feature_count(const struct engine *e)
{
    const struct vision_config *v = &e->config->vision;
    return (size_t)v->grid * (size_t)v->grid * (size_t)v->hidden;
}

const char *engine_memory_account(const struct engine *e)
{
    return e->account;
}

bool engine_idle(const struct engine *e)
{
    return !e->images && !e->results && e->in_flight.n == 0;
}

void engine_stats(const struct engine *e, struct engine_stats *out)
{
    *out = e->stats;
    out->page_waits = scheduler_page_waits(e->scheduler);
    out->pages_total = e->n_pages;
    out->pages_used = scheduler_pages_used(e->scheduler);
    out->sequences = scheduler_sequences(e->scheduler);
}

void engine_observe(struct engine *e, engine_observer fn, void *ctx)
{
    e->observer = fn;
    e->observer_ctx = ctx;
}
