/* Two decoder layers of the published sizes with random weights: an image's 676 positions at once, in GFLOP/s of the
 * linear layers against the machine's peak; one and eight answers' next token behind it, in GB/s of weights against a
 * loop that only reads. Each takes turns with its baseline, the best turn of each counts. `layers FOLDER`. */
#include <string.h>
#include <sys/mman.h>

#include "kernels/cpu/pool.h"
#include "kernels/random.h"
#include "model/decoder.h"
#include "tests/bench/peak.h"

enum { LAYERS = 2, PREFIX = 676, PREFIX_PAGES = (PREFIX + KV_PAGE - 1) / KV_PAGE, BATCH = 8, ROUNDS = 3, TURNS = 4 };
enum { NOISE = 1 << 20, STRIDE = 977, MAX_COLS = 1 << 14, VOCAB = 2 };
static const size_t read_bytes = (size_t)512 << 20;

struct size {
    const char *name;
    int hidden, heads, mlp;
};

/* ---- a loop that only reads ---- */

struct reading {
    const char *bytes;
    size_t len;
    __m512i sum;
};

__attribute__((target("avx512f"))) static void *read_part(void *arg)
{
    struct reading *r = arg;
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i + 256 <= r->len; i += 256) {
        a = _mm512_xor_si512(a, _mm512_load_si512(r->bytes + i));
        b = _mm512_xor_si512(b, _mm512_load_si512(r->bytes + i + 64));
        c = _mm512_xor_si512(c, _mm512_load_si512(r->bytes + i + 128));
        d = _mm512_xor_si512(d, _mm512_load_si512(r->bytes + i + 192));
    }
    r->sum = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
    return NULL;
}

/* GB/s. */
static double read_rate(const char *bytes, int threads)
{
    static struct reading parts[PEAK_MAX_THREADS];
    pthread_t ids[PEAK_MAX_THREADS];
    size_t share = read_bytes / (size_t)threads / 256 * 256;
    int64_t start = clock_us();
    for (int i = 0; i < threads; i++) {
        parts[i] = (struct reading){.bytes = bytes + (size_t)i * share, .len = share};
        CHECK(pthread_create(&ids[i], NULL, read_part, &parts[i]) == 0);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return (double)share * threads / (double)(clock_us() - start) / 1e3;
}

/* ---- the layers ---- */

struct source {
    const float *noise; /* NULL: ones */
    int cols;
};

/* Rows are windows of one table: numbers of a pass over 7B parameters need not all be new. */
static enum status read_rows(void *ctx, int row, int n, float *out, struct diag *why)
{
    const struct source *s = ctx;
    (void)why;
    for (int r = row; r < row + n; r++, out += s->cols) {
        if (s->noise)
            memcpy(out, s->noise + (ptrdiff_t)r * STRIDE % NOISE, (size_t)s->cols * sizeof *out);
        for (int c = 0; !s->noise && c < s->cols; c++)
            out[c] = 1;
    }
    return ST_OK;
}

struct stack {
    struct config config;
    struct backend *be;
    struct decoder_layer layers[LAYERS];
    struct decoder_weights weights;
    struct decoder decoder;
    struct act *input;
};

static struct weight *pack(struct stack *m, enum weight_use use, const float *noise, int rows, int cols)
{
    struct source s = {noise, cols};
    struct weight_source source = {.rows = rows, .cols = cols, .read = read_rows, .ctx = &s};
    struct weight *w;
    CHECK(backend_weight(m->be, use, &source, &w, NULL) == ST_OK);
    return w;
}

static double parameters(const struct size *z)
{
    return LAYERS * (4.0 * z->hidden * z->hidden + 3.0 * z->hidden * z->mlp);
}

static void load(struct stack *m, const struct size *z, const float *noise)
{
    int C = z->hidden;
    for (int i = 0; i < LAYERS; i++)
        m->layers[i] = (struct decoder_layer){.attn_norm = pack(m, WEIGHT_VECTOR, NULL, 1, C),
                                              .qkv = pack(m, WEIGHT_LINEAR, noise, 3 * C, C),
                                              .o = pack(m, WEIGHT_LINEAR, noise, C, C),
                                              .mlp_norm = pack(m, WEIGHT_VECTOR, NULL, 1, C),
                                              .gate_up = pack(m, WEIGHT_GLU, noise, 2 * z->mlp, C),
                                              .down = pack(m, WEIGHT_LINEAR, noise, C, z->mlp)};
    m->weights = (struct decoder_weights){.embed = pack(m, WEIGHT_TABLE, noise, VOCAB, C),
                                          .norm = pack(m, WEIGHT_VECTOR, NULL, 1, C),
                                          .head = pack(m, WEIGHT_LINEAR, noise, VOCAB, C),
                                          .layers = m->layers};
    CHECK(weights_inv_freq(m->be, &m->config.decoder, NULL, &m->weights.inv_freq, NULL) == ST_OK);
}

static void build(struct stack *m, const struct size *z, enum dtype dtype, size_t memory, const float *noise)
{
    *m = (struct stack){.config.decoder = {.hidden = z->hidden,
                                           .layers = LAYERS,
                                           .heads = z->heads,
                                           .head_dim = z->hidden / z->heads,
                                           .mlp = z->mlp,
                                           .vocab = VOCAB,
                                           .rms_eps = 1e-5f,
                                           .rope_theta = 10000,
                                           .max_positions = PREFIX + KV_PAGE,
                                           .eos_id = -1}};
    struct backend_options o = {.device = "cpu", .dtype = dtype, .isa = "auto", .memory_bytes = memory};
    struct kv_shape kv = {LAYERS, z->heads, z->hidden / z->heads, PREFIX_PAGES + BATCH};
    struct source rows = {noise, z->hidden};
    float *values = malloc((size_t)PREFIX * (size_t)z->hidden * sizeof *values);
    CHECK(backend_open(&o, &m->be, NULL) == ST_OK);
    load(m, z, noise);
    CHECK(decoder_init(&m->decoder, m->be, &m->config, &m->weights, PREFIX, BATCH, kv.n_pages, NULL) == ST_OK);
    CHECK(backend_kv(m->be, &kv, NULL) == ST_OK && backend_act(m->be, PREFIX, z->hidden, &m->input, NULL) == ST_OK);
    CHECK(values && read_rows(&rows, 0, PREFIX, values, NULL) == ST_OK);
    CHECK(act_write(m->be, m->input, 0, PREFIX, values, NULL) == ST_OK);
    free(values);
}

/* ---- the turns ---- */

struct rows {
    int32_t kind[PREFIX], index[PREFIX], position[PREFIX], page[PREFIX], at[PREFIX], pages[PREFIX_PAGES + BATCH];
    struct span spans[BATCH + 1];
    struct plan plan;
};

/* The prefix's rows, or, n > 0, one row each of n sequences behind it that share it. */
static void plan_rows(struct rows *r, int n)
{
    int n_rows = n > 0 ? n : PREFIX;
    for (int i = 0; i < n_rows; i++) {
        r->kind[i] = SOURCE_IMAGE;
        r->index[i] = i;
        r->position[i] = n > 0 ? PREFIX : i;
        r->page[i] = n > 0 ? PREFIX_PAGES + i : i / KV_PAGE;
        r->at[i] = n > 0 ? 0 : i % KV_PAGE;
    }
    for (int i = 0; i < PREFIX_PAGES + BATCH; i++)
        r->pages[i] = i;
    r->spans[0] = (struct span){.n = n_rows, .length = PREFIX};
    for (int i = 0; i < n; i++)
        r->spans[i + 1] =
            (struct span){.pass = 1, .row = i, .n = 1, .page0 = PREFIX_PAGES + i, .base = PREFIX, .length = 1};
    r->plan = (struct plan){.n_rows = n_rows,
                            .source_kind = r->kind,
                            .source_index = r->index,
                            .position = r->position,
                            .kv_page = r->page,
                            .kv_at = r->at,
                            .n_spans = n + 1,
                            .spans = r->spans,
                            .n_page_entries = PREFIX_PAGES + BATCH,
                            .pages = r->pages};
}

static double step_seconds(struct stack *m, int n)
{
    struct rows r;
    plan_rows(&r, n);
    int64_t start = clock_us();
    CHECK(decoder_step(&m->decoder, &r.plan, m->input, NULL, NULL, NULL) == ST_OK &&
          backend_sync(m->be, NULL) == ST_OK);
    return (double)(clock_us() - start) / 1e6;
}

static double more(double a, double b)
{
    return a > b ? a : b;
}

static void measure(const char *folder, const struct size *z, enum dtype dtype, const float *noise, const char *bytes)
{
    size_t element = dtype == DTYPE_F32 ? 4 : dtype == DTYPE_BF16 ? 2 : 1;
    size_t weights = (size_t)parameters(z) * element, memory = weights + weights / 4 + ((size_t)512 << 20);
    int threads = pool_default_threads();
    double prefill = 0, one = 0, eight = 0, peak = 0, reading = 0, flop = 2.0 * PREFIX * parameters(z);
    struct stack m;
    build(&m, z, dtype, memory, noise);
    for (int i = 0; i < ROUNDS; i++) {
        prefill = more(prefill, flop / step_seconds(&m, 0) / 1e9);
        for (int k = 0; k < TURNS; k++)
            peak = more(peak, peak_gflops(dtype, threads));
    }
    for (int i = 0; i < ROUNDS * TURNS; i++) {
        one = more(one, (double)weights / step_seconds(&m, 1) / 1e9);
        reading = more(reading, read_rate(bytes, threads));
        eight = more(eight, (double)weights / step_seconds(&m, BATCH) / 1e9);
    }
    char name[96];
    snprintf(name, sizeof name, "layers-%s-%s.prefill%d", z->name, dtype_name(dtype), PREFIX);
    measure_write(folder, &(struct measure){name, "GFLOP/s", prefill, peak});
    snprintf(name, sizeof name, "layers-%s-%s.decode1", z->name, dtype_name(dtype));
    measure_write(folder, &(struct measure){name, "GB/s", one, reading});
    snprintf(name, sizeof name, "layers-%s-%s.decode%d", z->name, dtype_name(dtype), BATCH);
    measure_write(folder, &(struct measure){name, "GB/s", eight, reading});
    decoder_fini(&m.decoder);
    backend_close(m.be);
}

int main(int argc, char **argv)
{
    static const struct size size_7b = {"7b", 4096, 32, 11008}, size_13b = {"13b", 5120, 40, 13824};
    static const struct {
        const struct size *size;
        enum dtype dtype;
    } cases[] = {{&size_7b, DTYPE_F32}, {&size_7b, DTYPE_BF16}, {&size_7b, DTYPE_INT8}, {&size_13b, DTYPE_INT8}};
    float *noise = malloc((NOISE + MAX_COLS) * sizeof *noise);
    char *bytes = mmap(NULL, read_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(argc > 1 && noise && bytes != MAP_FAILED);
    if (!peak_runs()) {
        puts("layers: needs AVX-512 with BF16 and VNNI");
        return 0;
    }
    for (int i = 0; i < NOISE + MAX_COLS; i++)
        noise[i] = (random_uniform(1, (uint64_t)i) - 0.5f) / 16;
    madvise(bytes, read_bytes, MADV_HUGEPAGE);
    memset(bytes, 1, read_bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        measure(argv[1], cases[i].size, cases[i].dtype, noise, bytes);
    munmap(bytes, read_bytes);
    free(noise);
    return 0;
}
