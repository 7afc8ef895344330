/* Operations one by one, at the sizes of the model: a prefill chunk of GEMM-filling rows, and the next token of many
 * answers, eight to an image, whose prefix they share. Bytes are those that an operation can't avoid: what it reads and
 * writes once. */
#include <stdlib.h>
#include <string.h>

#include "kernels/random.h"
#include "model/weights.h"
#include "tests/gpu/bench.h"

enum {
    PREFILL = 512,
    PREFIX = 676, /* system text and image */
    OWN = 60,     /* positions of an answer's own */
    SEQUENCES = 64,
    AN_IMAGE = 8, /* sequences */
    REGIONS = 16,
    IMAGES = 4,
    ROUNDS = 3,
    MOST_TURNS = 2000,
};
static const double round_seconds = 0.05;
static const size_t tiny_memory = (size_t)48 << 20, memory = (size_t)6 << 30;

struct counts {
    int prefill, prefix, own, sequences, an_image, regions, images;
};

struct kernels {
    const struct gpu_bench *b;
    struct backend *be;
    enum dtype dtype;
    const struct decoder_config *c;
    struct counts n;
    struct weight *norm, *inv_freq, *table, *qkv, *o, *glu, *down, *head, *pool_norm, *pool_bias;
    struct act *x, *h, *wide, *mlp, *logits;
    struct step prefill, decode;
    struct tasks tasks;
    /* tower and sampler */
    struct act *full_in, *full_out, *patches, *features, *points, *products, *pooled;
    struct array *pixels, *image, *xy, *places, *size, *start, *anchors, *neighbours;
};

/* ---- what the operations work on ---- */

static struct weight *matrix(const struct kernels *k, enum weight_use use, int rows, int cols)
{
    struct weight_seed seed = {.rows = rows, .cols = cols, .seed = (uint64_t)rows, .spread = 1.0f / 64};
    struct weight *w = NULL;
    MUST(backend_weight_seeded(k->be, use, &seed, &w, why));
    return w;
}

static struct act *act_of_noise(const struct kernels *k, int rows, int cols)
{
    struct act *a = NULL;
    float *row = malloc((size_t)cols * sizeof *row);
    CHECK(row);
    MUST(backend_act(k->be, rows, cols, &a, why));
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < cols; i++)
            row[i] = random_spread((uint64_t)r % 64, (uint64_t)i, 1);
        MUST(act_write(k->be, a, r, 1, row, why));
    }
    free(row);
    return a;
}

static struct array *ints(const struct kernels *k, const int32_t *values, int n)
{
    struct array *a = NULL;
    MUST(backend_array(k->be, ARRAY_I32, (size_t)n, &a, why));
    MUST(array_write(k->be, a, 0, (size_t)n, values, why));
    return a;
}

static struct array *same_ints(const struct kernels *k, int n, int32_t first, int32_t step)
{
    int32_t *values = malloc((size_t)n * sizeof *values);
    CHECK(values);
    for (int i = 0; i < n; i++)
        values[i] = first + i * step;
    struct array *a = ints(k, values, n);
    free(values);
    return a;
}

static struct array *same_floats(const struct kernels *k, int n, float value)
{
    float *values = malloc((size_t)n * sizeof *values);
    struct array *a = NULL;
    CHECK(values);
    for (int i = 0; i < n; i++)
        values[i] = value;
    MUST(backend_array(k->be, ARRAY_F32, (size_t)n, &a, why));
    MUST(array_write(k->be, a, 0, (size_t)n, values, why));
    free(values);
    return a;
}

static int pages_for(int positions)
{
    return (positions + KV_PAGE - 1) / KV_PAGE;
}

static int own_page(const struct kernels *k, int sequence)
{
    int images = k->n.sequences / k->n.an_image;
    return images * pages_for(k->n.prefix) + sequence * pages_for(k->n.own);
}

/* Row i's position and page; its token follows from its number. */
static void describe_rows(const struct kernels *k, struct step *s, int n, const int32_t *position, const int32_t *page)
{
    int32_t *at = malloc((size_t)n * sizeof *at);
    struct step sized = {.n_rows = n};
    CHECK(at);
    backend_step_size(k->be, &sized, k->n.sequences);
    s->n_rows = n;
    s->rows = sized.rows;
    s->source_kind = same_ints(k, sized.rows, SOURCE_TOKEN, 0);
    s->source_index = same_ints(k, sized.rows, 0, 1);
    s->position = same_ints(k, sized.rows, 0, 0);
    s->kv_page = same_ints(k, sized.rows, 0, 0);
    s->kv_at = same_ints(k, sized.rows, 0, 0);
    s->pages = same_ints(k, own_page(k, k->n.sequences), 0, 1);
    for (int i = 0; i < n; i++)
        at[i] = position[i] % KV_PAGE;
    MUST(array_write(k->be, s->position, 0, (size_t)n, position, why));
    MUST(array_write(k->be, s->kv_page, 0, (size_t)n, page, why));
    MUST(array_write(k->be, s->kv_at, 0, (size_t)n, at, why));
    free(at);
}

/* The first positions of one image. */
static void make_prefill(struct kernels *k)
{
    static struct span span;
    int n = k->n.prefill;
    int32_t *position = malloc(2 * (size_t)n * sizeof *position), *page = position + n;
    CHECK(position);
    for (int i = 0; i < n; i++) {
        position[i] = i;
        page[i] = i / KV_PAGE;
    }
    span = (struct span){.n = n, .length = n};
    describe_rows(k, &k->prefill, n, position, page);
    k->prefill.n_spans = 1;
    k->prefill.spans = &span;
    free(position);
}

/* One row a sequence, at its last position; each image's rows read its prefix together. */
static void make_decode(struct kernels *k)
{
    static struct span spans[SEQUENCES + SEQUENCES];
    int n = k->n.sequences, images = n / k->n.an_image, prefix = k->n.prefix, own = k->n.own;
    int32_t position[SEQUENCES], page[SEQUENCES];
    for (int i = 0; i < n; i++) {
        position[i] = prefix + own - 1;
        page[i] = own_page(k, i) + (own - 1) / KV_PAGE;
    }
    for (int i = 0; i < images; i++)
        spans[i] = (struct span){
            .row = i * k->n.an_image, .n = k->n.an_image, .page0 = i * pages_for(prefix), .length = prefix};
    for (int i = 0; i < n; i++)
        spans[images + i] =
            (struct span){.pass = 1, .row = i, .n = 1, .page0 = own_page(k, i), .base = prefix, .length = own};
    describe_rows(k, &k->decode, n, position, page);
    k->decode.n_spans = images + n;
    k->decode.spans = spans;
    k->decode.n_sampled = n;
    backend_step_size(k->be, &k->decode, n);
    k->decode.sampled = same_ints(k, k->decode.samples, 0, 1);
    k->decode.sample_slot = same_ints(k, k->decode.samples, 0, 1);
}

/* Something in every page that is read. */
static void fill_cache(struct kernels *k)
{
    struct step s = k->prefill;
    int n = s.n_rows, total = own_page(k, k->n.sequences) * KV_PAGE;
    int32_t *page = malloc(2 * (size_t)n * sizeof *page), *at = page + n;
    CHECK(page);
    s.kv_page = same_ints(k, s.rows, 0, 0);
    s.kv_at = same_ints(k, s.rows, 0, 0);
    for (int first = 0; first < total; first += n) {
        for (int i = 0; i < n; i++) {
            page[i] = (first + i < total ? first + i : total - 1) / KV_PAGE;
            at[i] = (first + i) % KV_PAGE;
        }
        MUST(array_write(k->be, s.kv_page, 0, (size_t)n, page, why));
        MUST(array_write(k->be, s.kv_at, 0, (size_t)n, at, why));
        CHECK(backend_step_begin(k->be, &s, false));
        op_rope_append(k->be, k->wide, &s, 0, k->inv_freq);
        MUST(backend_step_end(k->be, why));
    }
    free(page);
}

static void make_tasks(struct kernels *k)
{
    int n = k->n.sequences, history = 1 << 12;
    k->tasks = (struct tasks){.n_slots = n,
                              .history = history,
                              .last = same_ints(k, n, 0, 0),
                              .count = same_ints(k, n, 0, 0),
                              .max_tokens = same_ints(k, n, history, 0),
                              .finish = same_ints(k, n, 0, 0),
                              .temperature = same_floats(k, n, 0),
                              .top_p = same_floats(k, n, 0.9f),
                              .seed = same_ints(k, 2 * n, 1, 7),
                              .stop_ids = same_ints(k, n * MAX_STOP_IDS, -1, 0),
                              .repetition = same_ints(k, n, 0, 0),
                              .tokens = same_ints(k, n * history, 0, 0),
                              .newest = same_ints(k, n * SAMPLED_WORDS, 0, 0)};
}

static void make_decoder(struct kernels *k)
{
    const struct decoder_config *c = k->c;
    int C = c->hidden;
    struct kv_shape kv = {1, c->heads, c->head_dim, own_page(k, k->n.sequences)};
    k->qkv = matrix(k, WEIGHT_LINEAR, 3 * C, C);
    k->o = matrix(k, WEIGHT_LINEAR, C, C);
    k->glu = matrix(k, WEIGHT_GLU, 2 * c->mlp, C);
    k->down = matrix(k, WEIGHT_LINEAR, C, c->mlp);
    k->head = matrix(k, WEIGHT_LINEAR, c->vocab, C);
    k->table = matrix(k, WEIGHT_TABLE, c->vocab, C);
    k->norm = matrix(k, WEIGHT_VECTOR, 1, C);
    MUST(weights_inv_freq(k->be, c, NULL, &k->inv_freq, why));
    struct step most = {.n_rows = k->n.prefill};
    backend_step_size(k->be, &most, k->n.sequences);
    k->x = act_of_noise(k, most.rows, C);
    k->h = act_of_noise(k, most.rows, C);
    k->wide = act_of_noise(k, most.rows, 3 * C);
    k->mlp = act_of_noise(k, most.rows, c->mlp);
    k->logits = act_of_noise(k, 2 * k->n.sequences, c->vocab);
    MUST(backend_kv(k->be, &kv, why));
    make_prefill(k);
    make_decode(k);
    make_tasks(k);
    fill_cache(k);
}

static void make_others(struct kernels *k)
{
    const struct vision_config *v = &k->b->config.vision;
    const struct sampler_config *s = &k->b->config.sampler;
    int P = v->grid * v->grid, side = v->image_size, N = s->points, S = s->stage_points[0], R = k->n.regions;
    int C = s->feature_dim;
    k->full_in = act_of_noise(k, k->n.images * (P + 1), 3 * v->hidden);
    k->full_out = act_of_noise(k, k->n.images * (P + 1), v->hidden);
    k->pixels = same_floats(k, k->n.images * 3 * side * side, 0.5f);
    k->patches = act_of_noise(k, k->n.images * P, 3 * v->patch_size * v->patch_size);
    k->features = act_of_noise(k, P, C);
    k->points = act_of_noise(k, R * N, C + 2);
    k->products = act_of_noise(k, R * N, C);
    k->pooled = act_of_noise(k, R * S, C + 2);
    k->pool_norm = matrix(k, WEIGHT_VECTOR, 1, C);
    k->pool_bias = matrix(k, WEIGHT_VECTOR, 1, C);
    k->image = same_ints(k, R, 0, 0);
    k->places = same_floats(k, R * N * 2, 0.4f);
    k->xy = same_ints(k, R * N * 2, 3, 1);
    k->size = same_ints(k, R * 2, 4, 0);
    k->start = same_ints(k, R, 0, 0);
    k->anchors = same_ints(k, R * S, 0, 0);
    k->neighbours = same_ints(k, R * S * s->stage_neighbors[0], 0, 0);
}

/* ---- turns ---- */

typedef void (*kernel_fn)(struct kernels *k);

static double turns(struct kernels *k, kernel_fn run, int n)
{
    MUST(backend_sync(k->be, why));
    int64_t start = clock_us();
    for (int i = 0; i < n; i++)
        run(k);
    MUST(backend_sync(k->be, why));
    int64_t spent = clock_us() - start;
    return (double)(spent > 0 ? spent : 1) / 1e6 / n;
}

/* The first turn is not counted; then as many as fill a round, and the best round. */
static void measure(struct kernels *k, const char *name, kernel_fn run, double flop, double bytes)
{
    double best = turns(k, run, 1);
    if (!k->b->tiny) {
        double many = round_seconds / turns(k, run, 1);
        int n = many > MOST_TURNS ? MOST_TURNS : many < 1 ? 1 : (int)many;
        best = 0;
        for (int i = 0; i < ROUNDS; i++)
            best = less(best, turns(k, run, n));
    }
    gpu_measure(k->b, k->dtype, name, best, flop, bytes);
}

/* Of operations that read a step. */
static void measure_step(struct kernels *k, const struct step *step, const char *name, kernel_fn run, double flop,
                         double bytes)
{
    CHECK(backend_step_begin(k->be, step, false));
    measure(k, name, run, flop, bytes);
    MUST(backend_step_end(k->be, why));
}

static double element(const struct kernels *k)
{
    return k->dtype == DTYPE_F32 ? 4 : k->dtype == DTYPE_F16 || k->dtype == DTYPE_BF16 ? 2 : 1;
}

static void run_norm(struct kernels *k)
{
    op_norm(k->be, k->h, k->x, k->n.prefill, NORM_RMS, k->norm, NULL, k->c->rms_eps, false);
}
static void run_embed(struct kernels *k)
{
    op_embed(k->be, k->x, &k->prefill, k->table, NULL, NULL, NULL);
}
static void run_rope(struct kernels *k)
{
    op_rope_append(k->be, k->wide, &k->prefill, 0, k->inv_freq);
}
static void run_attention_prefill(struct kernels *k)
{
    op_attention(k->be, k->h, k->wide, &k->prefill, 0);
}
static void run_attention_decode(struct kernels *k)
{
    op_attention(k->be, k->h, k->wide, &k->decode, 0);
}
static void run_qkv_prefill(struct kernels *k)
{
    op_linear(k->be, k->wide, 0, k->h, k->n.prefill, k->qkv, NULL, EPI_NONE);
}
static void run_o_prefill(struct kernels *k)
{
    op_linear(k->be, k->x, 0, k->h, k->n.prefill, k->o, NULL, EPI_ADD);
}
static void run_glu_prefill(struct kernels *k)
{
    op_glu(k->be, k->mlp, k->h, k->n.prefill, k->glu);
}
static void run_down_prefill(struct kernels *k)
{
    op_linear(k->be, k->x, 0, k->mlp, k->n.prefill, k->down, NULL, EPI_ADD);
}
static void run_qkv_decode(struct kernels *k)
{
    op_linear(k->be, k->wide, 0, k->h, k->n.sequences, k->qkv, NULL, EPI_NONE);
}
static void run_o_decode(struct kernels *k)
{
    op_linear(k->be, k->x, 0, k->h, k->n.sequences, k->o, NULL, EPI_ADD);
}
static void run_glu_decode(struct kernels *k)
{
    op_glu(k->be, k->mlp, k->h, k->n.sequences, k->glu);
}
static void run_down_decode(struct kernels *k)
{
    op_linear(k->be, k->x, 0, k->mlp, k->n.sequences, k->down, NULL, EPI_ADD);
}
static void run_head(struct kernels *k)
{
    op_linear(k->be, k->logits, 0, k->h, k->n.sequences, k->head, NULL, EPI_NONE);
}
static void run_sample(struct kernels *k)
{
    op_sample(k->be, k->logits, &k->decode, &k->tasks, k->c->vocab, -1);
}
static void run_full(struct kernels *k)
{
    const struct vision_config *v = &k->b->config.vision;
    op_attention_full(k->be, k->full_out, k->full_in, k->n.images, v->grid * v->grid + 1, v->heads);
}
static void run_patchify(struct kernels *k)
{
    const struct vision_config *v = &k->b->config.vision;
    op_patchify(k->be, k->patches, k->pixels, k->n.images, v->image_size, v->patch_size);
}
static void run_gather(struct kernels *k)
{
    op_region_gather(k->be, k->points, k->features, k->image, k->places, k->n.regions, k->b->config.sampler.points,
                     k->b->config.vision.grid, true);
}
static void run_select(struct kernels *k)
{
    const struct sampler_config *s = &k->b->config.sampler;
    op_region_select(k->be, k->anchors, k->neighbours, k->xy, k->size, k->start, k->n.regions, s->points,
                     s->stage_points[0], s->stage_neighbors[0]);
}
static void run_pool(struct kernels *k)
{
    const struct sampler_config *s = &k->b->config.sampler;
    op_region_pool(k->be, k->pooled, k->products, k->products, k->points, k->anchors, k->neighbours, k->n.regions,
                   s->points, s->stage_points[0], s->stage_neighbors[0], k->pool_norm, k->pool_bias, 1e-5f, true);
}

/* ---- what is measured ---- */

/* y [rows, N] of x [rows, K], of which `out` columns are written, `again` times 4 bytes each. */
static void measure_product(struct kernels *k, const char *name, kernel_fn run, int rows, int N, int K, int out,
                            int again)
{
    double flop = 2.0 * rows * N * K;
    double bytes = element(k) * ((double)N * K + (double)rows * K) + 4.0 * rows * out * again;
    measure(k, name, run, flop, bytes);
}

static void measure_products(struct kernels *k)
{
    int C = k->c->hidden, F = k->c->mlp, rows = k->n.prefill, few = k->n.sequences;
    measure_product(k, "qkv_prefill", run_qkv_prefill, rows, 3 * C, C, 3 * C, 1);
    measure_product(k, "o_prefill", run_o_prefill, rows, C, C, C, 2);
    measure_product(k, "glu_prefill", run_glu_prefill, rows, 2 * F, C, F, 1);
    measure_product(k, "down_prefill", run_down_prefill, rows, C, F, C, 2);
    measure_product(k, "qkv_decode", run_qkv_decode, few, 3 * C, C, 3 * C, 1);
    measure_product(k, "o_decode", run_o_decode, few, C, C, C, 2);
    measure_product(k, "glu_decode", run_glu_decode, few, 2 * F, C, F, 1);
    measure_product(k, "down_decode", run_down_decode, few, C, F, C, 2);
    measure_product(k, "head_decode", run_head, few, k->c->vocab, C, k->c->vocab, 1);
}

static void measure_layer(struct kernels *k)
{
    double C = k->c->hidden, rows = k->n.prefill, kept = 2, few = k->n.sequences;
    double images = few / k->n.an_image, positions = images * k->n.prefix + few * k->n.own;
    double vocab = k->c->vocab;
    measure(k, "norm", run_norm, 0, rows * C * (4 + 4 + kept));
    measure_step(k, &k->prefill, "embed", run_embed, 0, rows * C * (kept + 4));
    measure_step(k, &k->prefill, "rope_append", run_rope, 0, rows * C * (3 * 4 + 2 * 4 + 2 * kept));
    measure_step(k, &k->prefill, "attention_prefill", run_attention_prefill, 4 * C * rows * (rows + 1) / 2,
                 rows * C * (4 + 4 + kept + 2 * kept));
    measure_step(k, &k->decode, "attention_decode", run_attention_decode, 4 * C * few * (k->n.prefix + k->n.own),
                 positions * 2 * C * kept + few * C * (4 + 4 + kept));
    measure_step(k, &k->decode, "sample_greedy", run_sample, 0, few * vocab * 4);
    k->tasks.temperature = same_floats(k, k->n.sequences, 0.8f);
    measure_step(k, &k->decode, "sample_top_p", run_sample, 0, few * vocab * 4);
}

static void measure_others(struct kernels *k)
{
    const struct vision_config *v = &k->b->config.vision;
    const struct sampler_config *s = &k->b->config.sampler;
    double images = k->n.images, L = v->grid * v->grid + 1, C = v->hidden, side = v->image_size;
    double R = k->n.regions, N = s->points, S = s->stage_points[0], K = s->stage_neighbors[0], W = s->feature_dim;
    measure(k, "attention_full", run_full, 4 * C * L * L * images, images * L * C * (3 * 4 + 4 + 2));
    measure(k, "patchify", run_patchify, 0, images * 3 * side * side * (4 + 4));
    measure(k, "region_gather", run_gather, 0, R * N * (W + 2) * 4 + (L - 1) * W * 4);
    measure(k, "region_select", run_select, 0, 0);
    /* Each neighbour's products are read, though most of them from the cache. */
    measure(k, "region_pool", run_pool, 0, R * S * (K + 2) * W * 4);
}

void gpu_bench_kernels(const struct gpu_bench *b, enum dtype dtype, bool others)
{
    struct kernels k = {.b = b,
                        .dtype = dtype,
                        .c = &b->config.decoder,
                        .n = {PREFILL, PREFIX, OWN, SEQUENCES, AN_IMAGE, REGIONS, IMAGES}};
    if (b->tiny)
        k.n = (struct counts){16, 40, 10, 4, 2, 1, 1};
    struct backend_options o = {
        .device = b->device, .dtype = dtype, .isa = "auto", .memory_bytes = b->tiny ? tiny_memory : memory};
    MUST(b->plugin->open(&o, &k.be, why));
    make_decoder(&k);
    if (others)
        make_others(&k);
    printf("\noperations, %s: a prefill chunk of %d rows, %d sequences\n", dtype_name(dtype), k.n.prefill,
           k.n.sequences);
    measure_products(&k);
    if (others) {
        measure_layer(&k);
        measure_others(&k);
    }
    backend_close(k.be);
}
