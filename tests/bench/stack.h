/* Decoder layers of the published sizes with random weights, and the turns that are timed on them: an image's positions
 * at once, the next token of some answers behind it, and reading what that token reads, by the same threads and nothing
 * else. A turn may run fewer layers than there are, so that a layer's cost is a difference. */
#ifndef TESTS_BENCH_STACK_H
#define TESTS_BENCH_STACK_H

#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/random.h"
#include "model/decoder.h"
#include "tests/bench/peak.h"

enum {
    STACK_PREFIX = 676,  /* system text and image */
    STACK_OWN = 60,      /* positions of an answer's own when its next token is timed */
    STACK_QUESTION = 40, /* of them before the answer begins */
    STACK_LAYERS = 4,
    STACK_BATCH = 16,
    STACK_VOCAB = 2,
    STACK_NOISE = 1 << 20,
    STACK_MAX_COLS = 1 << 14,
    STACK_PREFIX_PAGES = (STACK_PREFIX + KV_PAGE - 1) / KV_PAGE,
    STACK_OWN_PAGES = (STACK_OWN + KV_PAGE - 1) / KV_PAGE,
    STACK_PAGES = STACK_PREFIX_PAGES + STACK_BATCH * STACK_OWN_PAGES,
};

struct stack_size {
    const char *name;
    int hidden, heads, mlp, prefix;
};

struct stack {
    struct stack_size size;
    struct config config;
    struct backend *be;
    struct decoder_layer layers[STACK_LAYERS];
    struct decoder_weights weights;
    struct decoder decoder;
    struct act *input;
    float *noise;
};

struct stack_source {
    const float *noise; /* NULL: ones */
    int cols;
};

/* Rows are windows of one table: numbers of a pass over 7B parameters need not all be new. */
static inline enum status stack_read_rows(void *ctx, int row, int n, float *out, struct diag *why)
{
    enum { STRIDE = 977 };
    const struct stack_source *s = ctx;
    (void)why;
    for (int r = row; r < row + n; r++, out += s->cols) {
        if (s->noise)
            memcpy(out, s->noise + (ptrdiff_t)r * STRIDE % STACK_NOISE, (size_t)s->cols * sizeof *out);
        for (int c = 0; !s->noise && c < s->cols; c++)
            out[c] = 1;
    }
    return ST_OK;
}

/* The table behind them; the caller frees it. */
static inline float *stack_noise(void)
{
    float *noise = malloc((STACK_NOISE + STACK_MAX_COLS) * sizeof *noise);
    CHECK(noise);
    for (int i = 0; i < STACK_NOISE + STACK_MAX_COLS; i++)
        noise[i] = (random_uniform(1, (uint64_t)i) - 0.5f) / 16;
    return noise;
}

static inline struct weight *stack_pack(struct backend *be, enum weight_use use, const float *noise, int rows, int cols)
{
    struct stack_source s = {noise, cols};
    struct weight_source source = {.rows = rows, .cols = cols, .read = stack_read_rows, .ctx = &s};
    struct weight *w;
    struct diag why = {{0}};
    if (backend_weight(be, use, &source, &w, &why) != ST_OK) {
        fprintf(stderr, "bench: %s\n", why.text);
        exit(1);
    }
    return w;
}

/* Of one layer. */
static inline double stack_parameters(const struct stack_size *z)
{
    return 4.0 * z->hidden * z->hidden + 3.0 * z->hidden * z->mlp;
}

static inline void stack_load(struct stack *m)
{
    struct backend *be = m->be;
    const float *noise = m->noise;
    int C = m->size.hidden, F = m->size.mlp;
    for (int i = 0; i < STACK_LAYERS; i++)
        m->layers[i] = (struct decoder_layer){.attn_norm = stack_pack(be, WEIGHT_VECTOR, NULL, 1, C),
                                              .qkv = stack_pack(be, WEIGHT_LINEAR, noise, 3 * C, C),
                                              .o = stack_pack(be, WEIGHT_LINEAR, noise, C, C),
                                              .mlp_norm = stack_pack(be, WEIGHT_VECTOR, NULL, 1, C),
                                              .gate_up = stack_pack(be, WEIGHT_GLU, noise, 2 * F, C),
                                              .down = stack_pack(be, WEIGHT_LINEAR, noise, C, F)};
    m->weights = (struct decoder_weights){.embed = stack_pack(be, WEIGHT_TABLE, noise, STACK_VOCAB, C),
                                          .norm = stack_pack(be, WEIGHT_VECTOR, NULL, 1, C),
                                          .head = stack_pack(be, WEIGHT_LINEAR, noise, STACK_VOCAB, C),
                                          .layers = m->layers};
    CHECK(weights_inv_freq(be, &m->config.decoder, NULL, &m->weights.inv_freq, NULL) == ST_OK);
}

/* The prefix of `size` and at most STACK_PREFIX positions is every turn's. noise is borrowed. */
static inline void stack_open(struct stack *m, const struct stack_size *size, enum dtype dtype, float *noise)
{
    int C = size->hidden, element = dtype == DTYPE_F32 ? 4 : dtype == DTYPE_BF16 ? 2 : 1;
    size_t weights = (size_t)(STACK_LAYERS * stack_parameters(size)) * (size_t)element;
    *m = (struct stack){.size = *size,
                        .noise = noise,
                        .config.decoder = {.hidden = C,
                                           .layers = STACK_LAYERS,
                                           .heads = size->heads,
                                           .head_dim = C / size->heads,
                                           .mlp = size->mlp,
                                           .vocab = STACK_VOCAB,
                                           .rms_eps = 1e-5f,
                                           .rope_theta = 10000,
                                           .max_positions = STACK_PREFIX + STACK_OWN + KV_PAGE,
                                           .eos_id = -1}};
    struct backend_options o = {
        .device = "cpu", .dtype = dtype, .isa = "auto", .memory_bytes = weights + weights / 4 + ((size_t)1 << 30)};
    struct kv_shape kv = {STACK_LAYERS, size->heads, C / size->heads, STACK_PAGES};
    struct stack_source rows = {noise, C};
    float *values = malloc((size_t)STACK_PREFIX * (size_t)C * sizeof *values);
    CHECK(values && backend_open(&o, &m->be, NULL) == ST_OK);
    stack_load(m);
    CHECK(decoder_init(&m->decoder, m->be, &m->config, &m->weights, STACK_PREFIX, STACK_BATCH, kv.n_pages, NULL) ==
          ST_OK);
    CHECK(backend_kv(m->be, &kv, NULL) == ST_OK && backend_act(m->be, STACK_PREFIX, C, &m->input, NULL) == ST_OK);
    CHECK(stack_read_rows(&rows, 0, STACK_PREFIX, values, NULL) == ST_OK);
    CHECK(act_write(m->be, m->input, 0, STACK_PREFIX, values, NULL) == ST_OK);
    free(values);
}

static inline void stack_close(struct stack *m)
{
    decoder_fini(&m->decoder);
    backend_close(m->be);
}

/* ---- turns: seconds of one ---- */

struct stack_rows {
    int32_t kind[STACK_PREFIX], index[STACK_PREFIX], position[STACK_PREFIX], page[STACK_PREFIX], at[STACK_PREFIX];
    int32_t pages[STACK_PAGES];
    struct span spans[STACK_BATCH + 1];
    struct plan plan;
};

/* n sequences behind the prefix, each with rows [from, to) of its own; n = 0: the prefix itself. */
static inline void stack_plan(const struct stack *m, struct stack_rows *r, int n, int from, int to)
{
    int prefix = m->size.prefix, own = to - from, n_rows = n > 0 ? n * own : prefix;
    for (int i = 0; i < n_rows; i++) {
        int place = n > 0 ? from + i % own : i;
        int first = n > 0 ? STACK_PREFIX_PAGES + i / own * STACK_OWN_PAGES : 0;
        r->kind[i] = SOURCE_IMAGE;
        r->index[i] = i;
        r->position[i] = n > 0 ? prefix + place : i;
        r->page[i] = first + place / KV_PAGE;
        r->at[i] = place % KV_PAGE;
    }
    for (int i = 0; i < STACK_PAGES; i++)
        r->pages[i] = i;
    r->spans[0] = (struct span){.n = n_rows, .length = prefix};
    for (int i = 0; i < n; i++)
        r->spans[i + 1] = (struct span){.pass = 1,
                                        .row = i * own,
                                        .n = own,
                                        .page0 = STACK_PREFIX_PAGES + i * STACK_OWN_PAGES,
                                        .base = prefix,
                                        .length = to};
    r->plan = (struct plan){.n_rows = n_rows,
                            .source_kind = r->kind,
                            .source_index = r->index,
                            .position = r->position,
                            .kv_page = r->page,
                            .kv_at = r->at,
                            .n_spans = n + 1,
                            .spans = r->spans,
                            .n_page_entries = STACK_PAGES,
                            .pages = r->pages};
}

static inline double stack_turn(struct stack *m, int layers, int n, int from, int to)
{
    struct stack_rows r;
    stack_plan(m, &r, n, from, to);
    m->config.decoder.layers = layers;
    struct watch w = watch_start();
    CHECK(decoder_step(&m->decoder, &r.plan, m->input, NULL, NULL, NULL) == ST_OK &&
          backend_sync(m->be, NULL) == ST_OK);
    return watch_seconds(&w, cpu_of(m->be)->threads);
}

static inline double stack_prefill(struct stack *m, int layers)
{
    return stack_turn(m, layers, 0, 0, 0);
}

/* The next token of n <= STACK_BATCH answers. */
static inline double stack_decode(struct stack *m, int layers, int n)
{
    return stack_turn(m, layers, n, STACK_OWN - 1, STACK_OWN);
}

/* ---- a loop that only reads ---- */

struct stack_reading {
    struct stack *m;
    int first, end; /* layers */
    int sequences;
    atomic_uint sink;
};

__attribute__((target("avx2"))) static inline void stack_read(struct stack_reading *r, const char *bytes, size_t len)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i + 128 <= len; i += 128) {
        a = _mm256_xor_si256(a, _mm256_load_si256((const __m256i *)(const void *)(bytes + i)));
        b = _mm256_xor_si256(b, _mm256_load_si256((const __m256i *)(const void *)(bytes + i + 32)));
        c = _mm256_xor_si256(c, _mm256_load_si256((const __m256i *)(const void *)(bytes + i + 64)));
        d = _mm256_xor_si256(d, _mm256_load_si256((const __m256i *)(const void *)(bytes + i + 96)));
    }
    __m256i all = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    atomic_fetch_xor(&r->sink, (unsigned)_mm256_extract_epi32(all, 0));
}

/* A thread's own blocks of a matrix. */
static inline void stack_read_matrix(struct stack_reading *r, const struct packed *p, int thread)
{
    size_t element = p->type == DTYPE_F32 ? 4 : p->type == DTYPE_BF16 ? 2 : 1;
    for (int i = p->first[thread]; i < p->first[thread + 1]; i++)
        stack_read(r, p->blocks[i].data, (size_t)p->blocks[i].n * (size_t)p->cols * element);
}

/* A thread's heads of a layer's cache: the prefix's pages and those of every sequence. */
static inline void stack_read_cache(struct stack_reading *r, int layer, int thread)
{
    const struct cpu *cpu = cpu_of(r->m->be);
    struct part heads = pool_part(r->m->size.heads, thread, cpu->threads);
    int prefix = (r->m->size.prefix + KV_PAGE - 1) / KV_PAGE;
    for (int head = heads.begin; head < heads.end; head++) {
        for (int page = 0; page < STACK_PREFIX_PAGES + r->sequences * STACK_OWN_PAGES; page++)
            if (page < prefix || page >= STACK_PREFIX_PAGES)
                stack_read(r, cpu_kv_head(cpu, page, layer, head),
                           cpu->head_elements * cpu->base.caps.kv_element_bytes);
    }
}

static inline void stack_read_part(void *ctx, int thread)
{
    struct stack_reading *r = ctx;
    for (int i = r->first; i < r->end; i++) {
        const struct decoder_layer *w = &r->m->layers[i];
        const struct weight *const all[] = {w->qkv, w->o, w->gate_up, w->down};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            const struct cpu_weight *one = (const struct cpu_weight *)all[k];
            stack_read_matrix(r, one->matrix, thread);
            if (one->up)
                stack_read_matrix(r, one->up, thread);
        }
        stack_read_cache(r, i, thread);
    }
}

/* Seconds to read layers [first, end): their packed weights and the cache of n sequences. */
static inline double stack_reading(struct stack *m, int first, int end, int n)
{
    struct stack_reading r = {.m = m, .first = first, .end = end, .sequences = n};
    struct watch w = watch_start();
    pool_run(cpu_of(m->be)->pool, stack_read_part, &r);
    return watch_seconds(&w, cpu_of(m->be)->threads);
}

/* Bytes that a layer's part of one token for n sequences must read. */
static inline double stack_bytes(const struct stack *m, int n)
{
    const struct cpu *cpu = cpu_of(m->be);
    double element = m->be->dtype == DTYPE_F32 ? 4 : m->be->dtype == DTYPE_BF16 ? 2 : 1;
    double cache = 2.0 * m->size.hidden * (double)cpu->base.caps.kv_element_bytes;
    return stack_parameters(&m->size) * element + cache * (m->size.prefix + n * STACK_OWN);
}

#endif
