/* The whole model through the engine: images and regions a second from the pixels' upload to the last id, prefill
 * against the products' rate, decoding against the memory's, and how long the device had nothing to do. Answers are
 * ids: no text is made, and no JPEG is read here (`make bench`: cpu.jpeg). */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "kernels/random.h"
#include "model/engine_impl.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "tests/gpu/bench.h"

enum { MAX_REGIONS = 8, PROMPT = 676, ANSWER = 120, POLL_US = 100, MAX_WORDS = 512, PIXEL_SEED = 5 };

/* How much is run. */
struct load {
    int images1, images8, prefill, decode_images, decode_steps, tower_turns;
    int prompt, answer, sequences, rows;
};
static const struct load whole = {256, 48, 48, 8, 64, 10, PROMPT, ANSWER, 256, 1024};
static const struct load smoke = {1, 1, 1, 1, 1, 1, 46, 4, 8, 136};

struct world {
    const struct gpu_bench *b;
    enum dtype dtype;
    const struct load *load;
    struct engine *e;
    float *pixels, *features;
    char *caption, *describe;
    struct region region;
    struct drawn_region drawn[MAX_REGIONS];
    uint64_t next_id;
    atomic_bool polling;
    long polls, idle;
    int own; /* positions of a prompt behind its image */
};

static void measure_plain(const struct world *w, const char *name, const char *unit, double value, double baseline)
{
    char full[64];
    snprintf(full, sizeof full, "gpu.%s_%s", name, dtype_name(w->dtype));
    measure_write(w->b->folder, &(struct measure){.name = full, .unit = unit, .value = value, .baseline = baseline});
}

/* ---- before the clock ---- */

/* A conversation that takes `positions` with its image, with a region or without. */
static char *make_prompt(struct world *w, int positions, bool region)
{
    char words[4 * MAX_WORDS + 32];
    int patches = w->e->vision.n_patches;
    for (int n = MAX_WORDS; n > 0; n--) {
        size_t at = 0;
        char *prompt, *turn = words;
        int32_t *ids;
        int n_ids;
        for (int i = 0; i < n; i++)
            at += (size_t)snprintf(words + at, sizeof words - at, "%c%c ", 'a' + i % 26, 'a' + i / 26 % 26);
        snprintf(words + at, sizeof words - at, "%s", region ? "<region_fea>" : "what");
        MUST(prompt_render(&engine_config(w->e)->template, (const char *const *)&turn, 1, &prompt, why));
        MUST(tokenizer_encode_prompt(engine_tokenizer(w->e), prompt, strlen(prompt), &ids, &n_ids, why));
        for (w->own = 0; ids[n_ids - 1 - w->own] != TOKEN_IMAGE;)
            w->own++;
        free(ids);
        if (n_ids - 1 + patches == positions)
            return prompt;
        free(prompt);
    }
    fprintf(stderr, "bench-gpu: no prompt takes %d positions\n", positions);
    exit(1);
}

static void open_world(struct world *w)
{
    const struct load *l = w->load;
    size_t budget = w->b->tiny ? (size_t)64 << 20 : w->b->facts.free_bytes / 10 * 9;
    struct engine_options o = {
        .model_dir = w->b->size,
        .backend = {.device = w->b->device, .dtype = w->dtype, .isa = "auto", .memory_bytes = budget},
        .max_sequences = l->sequences,
        .max_step_rows = l->rows,
        .max_waiting_images = 2 * l->sequences};
    MUST(engine_open(&o, &w->e, why));
    const struct config *c = engine_config(w->e);
    size_t size = 3 * (size_t)c->vision.image_size * (size_t)c->vision.image_size;
    struct region_spec spec = {.kind = REGION_BOX, .box = {40, 30, 520, 400}};
    w->pixels = malloc(size * sizeof *w->pixels);
    w->features = malloc(engine_feature_count(w->e) * sizeof *w->features);
    CHECK(w->pixels && w->features);
    for (size_t i = 0; i < size; i++)
        w->pixels[i] = random_spread(PIXEL_SEED, i, 2);
    for (size_t i = 0; i < engine_feature_count(w->e); i++)
        w->features[i] = random_spread(PIXEL_SEED + 1, i, 1);
    MUST(region_make(&spec, 640, 480, &w->region, why));
    for (int i = 0; i < MAX_REGIONS; i++)
        CHECK(drawn_region_init(&w->drawn[i], &c->sampler, &w->region, (uint64_t)i) == ST_OK);
    w->caption = make_prompt(w, l->prompt, false);
    w->describe = make_prompt(w, l->prompt, true);
    printf("\nwhole model, %s: prompts of %d positions, answers of %d tokens\n%s", dtype_name(w->dtype), l->prompt,
           l->answer, engine_memory_account(w->e));
}

static void close_world(struct world *w)
{
    for (int i = 0; i < MAX_REGIONS; i++)
        drawn_region_fini(&w->drawn[i]);
    region_fini(&w->region);
    free(w->caption);
    free(w->describe);
    free(w->pixels);
    free(w->features);
    engine_close(w->e);
}

/* ---- how often nothing is left to run ---- */

static void poll_once(struct world *w)
{
    w->polls++;
    w->idle += w->b->plugin->idle(w->e->be);
}

static void *poll_device(void *ctx)
{
    struct world *w = ctx;
    while (atomic_load(&w->polling)) {
        poll_once(w);
        usleep(POLL_US);
    }
    return NULL;
}

/* ---- turns ---- */

/* One image with its tasks, from pixels or, where the tower is to be left out, from features. False: too many wait. */
static bool submit(struct world *w, int regions, int tokens, bool features)
{
    struct engine_task tasks[MAX_REGIONS];
    int n = regions > 0 ? regions : 1;
    for (int i = 0; i < n; i++)
        tasks[i] = (struct engine_task){.id = w->next_id + (uint64_t)i,
                                        .prompt = regions > 0 ? w->describe : w->caption,
                                        .regions = &w->drawn[i],
                                        .n_regions = regions > 0,
                                        .max_tokens = tokens,
                                        .top_p = 1};
    struct engine_image image = {.id = w->next_id, .tasks = tasks, .n_tasks = n};
    image.pixels = features ? NULL : w->pixels;
    image.features = features ? w->features : NULL;
    struct diag why = {{0}};
    enum status s = engine_submit(w->e, &image, &why);
    if (s != ST_OK && s != ST_BUSY) {
        fprintf(stderr, "bench-gpu: %s\n", why.text);
        exit(1);
    }
    w->next_id += s == ST_OK ? MAX_REGIONS : 0;
    return s == ST_OK;
}

static int take_results(struct world *w, int tokens)
{
    struct engine_result r;
    int n = 0;
    for (; engine_take(w->e, &r); n++) {
        if (r.outcome != OUTCOME_OK || (tokens > 0 && r.n_tokens != tokens)) {
            fprintf(stderr, "bench-gpu: a task ended with %d tokens: %s\n", r.n_tokens, r.why);
            exit(1);
        }
        engine_result_fini(&r);
    }
    return n;
}

/* Seconds from the first image's upload to the last id. */
static double run(struct world *w, int images, int regions, int tokens, bool features)
{
    int submitted = 0, done = 0, tasks = images * (regions > 0 ? regions : 1);
    int64_t start = clock_us();
    while (done < tasks) {
        while (submitted < images && submit(w, regions, tokens, features))
            submitted++;
        MUST(engine_step(w->e, why));
        if (!w->b->threads)
            poll_once(w);
        done += take_results(w, tokens);
    }
    return (double)(clock_us() - start) / 1e6;
}

static double run_polled(struct world *w, int images, int regions)
{
    pthread_t thread;
    atomic_store(&w->polling, true);
    if (w->b->threads)
        CHECK(pthread_create(&thread, NULL, poll_device, w) == 0);
    double seconds = run(w, images, regions, w->load->answer, false);
    atomic_store(&w->polling, false);
    if (w->b->threads)
        CHECK(pthread_join(thread, NULL) == 0);
    return seconds;
}

/* Of the layers, a row. */
static double layer_parameters(const struct decoder_config *c)
{
    return (double)c->layers * (4.0 * c->hidden * c->hidden + 3.0 * c->hidden * c->mlp);
}

static void measure_prefill(struct world *w)
{
    const struct decoder_config *c = &w->b->config.decoder;
    struct engine_stats before, after;
    engine_stats(w->e, &before);
    double seconds = run(w, w->load->prefill, 0, 1, true);
    engine_stats(w->e, &after);
    double rows = (double)(after.prefill_rows - before.prefill_rows);
    double flop = rows * (2 * layer_parameters(c) + 4.0 * c->hidden * c->layers * w->load->prompt / 2);
    double peak = w->b->limits.flops[w->dtype];
    measure_plain(w, "prefill", "TFLOP/s", flop / seconds / 1e12, peak / 1e12);
}

/* Steps of nothing but next tokens, of `images` with `regions` each; bytes are the layers, the head, the system's and
 * each image's cache once and each answer's own. */
static void measure_decode(struct world *w, const char *name, int images, int regions)
{
    const struct decoder_config *c = &w->b->config.decoder;
    int n = images * (regions > 0 ? regions : 1), steps = w->load->decode_steps;
    struct engine_stats s, before;
    for (int i = 0; i < images; i++)
        CHECK(submit(w, regions, w->load->answer, true));
    do {
        engine_stats(w->e, &before);
        MUST(engine_step(w->e, why));
        engine_stats(w->e, &s);
    } while (s.sequences < n || s.prefill_rows > before.prefill_rows);
    int64_t first_rows = s.decode_rows, start = clock_us();
    for (int i = 0; i < steps; i++)
        MUST(engine_step(w->e, why));
    double seconds = (double)(clock_us() - start) / 1e6 / steps;
    engine_stats(w->e, &s);
    CHECK(s.decode_rows - first_rows == (int64_t)n * steps);
    double element = w->dtype == DTYPE_F32 ? 4 : w->dtype == DTYPE_F16 || w->dtype == DTYPE_BF16 ? 2 : 1;
    double weights = element * (layer_parameters(c) + (double)c->vocab * c->hidden);
    double position = 2.0 * c->layers * c->hidden * (double)engine_caps(w->e)->kv_element_bytes;
    double image = w->e->vision.n_patches, system = w->load->prompt - image - w->own;
    double cache = position * (system + images * image + n * (w->own + steps / 2.0));
    measure_plain(w, name, "GB/s", (weights + cache) / seconds / 1e9, w->b->limits.bytes / 1e9);
    while (!engine_idle(w->e)) {
        MUST(engine_step(w->e, why));
        take_results(w, w->load->answer);
    }
}

/* The vision tower alone, as many images at once as the engine encodes. */
static void measure_tower(struct world *w)
{
    const struct vision_config *v = &w->b->config.vision;
    const float *pixels[ENGINE_ENCODE_BATCH];
    int n = w->e->encode_batch;
    double rows = v->grid * v->grid + 1, C = v->hidden;
    for (int i = 0; i < n; i++)
        pixels[i] = w->pixels;
    MUST(vision_encode(&w->e->vision, pixels, n, why));
    MUST(backend_sync(w->e->be, why));
    int64_t start = clock_us();
    for (int i = 0; i < w->load->tower_turns; i++)
        MUST(vision_encode(&w->e->vision, pixels, n, why));
    MUST(backend_sync(w->e->be, why));
    double seconds = (double)(clock_us() - start) / 1e6 / w->load->tower_turns;
    double layer = rows * (2 * (4 * C * C + 2 * C * v->mlp) + 4 * C * rows);
    gpu_measure(w->b, w->dtype, "tower", seconds, n * v->run_layers * layer, 0);
}

bool gpu_bench_model(const struct gpu_bench *b, enum dtype dtype)
{
    static struct world w;
    w = (struct world){.b = b, .dtype = dtype, .load = b->tiny ? &smoke : &whole, .next_id = 1};
    open_world(&w);
    bool well = gpu_products(b, w.e->be);
    run(&w, 1, 0, 2, false); /* what a library does at its first call */
    measure_tower(&w);
    measure_prefill(&w);
    measure_decode(&w, "decode1", 1, 0);
    measure_decode(&w, "decode64", w.load->decode_images, MAX_REGIONS);
    w.polls = w.idle = 0;
    int images = w.load->images1, regions = w.load->images8 * MAX_REGIONS;
    measure_plain(&w, "images1", "images/s", images / run_polled(&w, images, 0), 0);
    measure_plain(&w, "regions8", "regions/s", regions / run_polled(&w, w.load->images8, MAX_REGIONS), 0);
    measure_plain(&w, "idle", "of time", (double)w.idle / (double)w.polls, 0);
    close_world(&w);
    return well;
}
