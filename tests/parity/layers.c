/* Two decoder layers of the published sizes with weights from a formula, against the reference's answer in float64:
 * `layers 7b|13b` from the repository's root. Where memory is short it says so and passes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kernels/random.h"
#include "model/decoder.h"

enum { NAME_BYTES = 128, MAX_TOKENS = 8, MAX_JSON = 1 << 20, VOCAB = 2, FIRST = 64 };

struct formula {
    uint64_t seed;
    float scale; /* 0: a norm weight, 1 + 0.1 u */
};

struct stack {
    struct formula parts[3];
    int rows, cols; /* of a part */
};

/* The formula's hash of seed * 0x9E37... + i is the generator's with seed and counter in each other's place. */
static float value(const struct formula *f, uint64_t index)
{
    float u = (random_uniform(index, f->seed - 1) - 0.5f) * 2;
    return f->scale > 0 ? u * f->scale : 1 + 0.1f * u;
}

static enum status read_stack(void *ctx, int row, int n, float *out, struct diag *why)
{
    (void)why;
    const struct stack *s = ctx;
    for (int r = row; r < row + n; r++) {
        const struct formula *f = &s->parts[r / s->rows];
        for (int c = 0; c < s->cols; c++)
            *out++ = value(f, (uint64_t)(r % s->rows) * (uint64_t)s->cols + (uint64_t)c);
    }
    return ST_OK;
}

static enum status read_zeros(void *ctx, int row, int n, float *out, struct diag *why)
{
    (void)row;
    (void)why;
    memset(out, 0, (size_t)n * (size_t) * (const int *)ctx * sizeof *out);
    return ST_OK;
}

struct full_size {
    const struct json *model;
    struct config config;
    struct backend *be;
    struct decoder_weights weights;
    struct decoder decoder;
    struct act *input;
    enum status status;
    struct diag why;
};

static struct formula formula_of(const struct json *t)
{
    return (struct formula){.seed = (uint64_t)jsn_int(jsn_get(t, "seed"), 0),
                            .scale = (float)jsn_number(jsn_get(t, "scale"), 0)};
}

static struct weight *pack(struct full_size *m, enum weight_use use, const char *prefix, const char *const *names,
                           int n, int rows, int cols)
{
    struct stack s = {.rows = rows, .cols = cols};
    for (int i = 0; i < n; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%s.weight", prefix, names[i]);
        const struct json *t = jsn_get(jsn_get(m->model, "tensors"), name);
        if (!t && m->status == ST_OK)
            m->status = diag_set(&m->why, ST_MISSING, "no formula for %s", name);
        s.parts[i] = formula_of(t);
    }
    struct weight_source source = {.rows = n * rows, .cols = cols, .read = read_stack, .ctx = &s};
    struct weight *w = NULL;
    if (m->status == ST_OK)
        m->status = backend_weight(m->be, use, &source, &w, &m->why);
    return w;
}

static struct weight *pack_one(struct full_size *m, enum weight_use use, const char *prefix, const char *name, int rows,
                               int cols)
{
    return pack(m, use, prefix, &name, 1, rows, cols);
}

static void load(struct full_size *m)
{
    static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    static const char *const gate_up[] = {"mlp.gate_proj", "mlp.up_proj"};
    const struct decoder_config *d = &m->config.decoder;
    int C = d->hidden;
    m->weights.layers = calloc((size_t)d->layers, sizeof *m->weights.layers);
    if (!m->weights.layers)
        m->status = ST_NOMEM;
    for (int i = 0; m->status == ST_OK && i < d->layers; i++) {
        struct decoder_layer *w = &m->weights.layers[i];
        char prefix[NAME_BYTES];
        snprintf(prefix, sizeof prefix, "model.layers.%d.", i);
        w->attn_norm = pack_one(m, WEIGHT_VECTOR, prefix, "input_layernorm", 1, C);
        w->qkv = pack(m, WEIGHT_LINEAR, prefix, qkv, 3, C, C);
        w->o = pack_one(m, WEIGHT_LINEAR, prefix, "self_attn.o_proj", C, C);
        w->mlp_norm = pack_one(m, WEIGHT_VECTOR, prefix, "post_attention_layernorm", 1, C);
        w->gate_up = pack(m, WEIGHT_GLU, prefix, gate_up, 2, d->mlp, C);
        w->down = pack_one(m, WEIGHT_LINEAR, prefix, "mlp.down_proj", C, d->mlp);
    }
    m->weights.norm = pack_one(m, WEIGHT_VECTOR, "model.", "norm", 1, C);
    struct weight_source zeros = {.rows = VOCAB, .cols = C, .read = read_zeros, .ctx = &C};
    if (m->status == ST_OK)
        m->status = backend_weight(m->be, WEIGHT_TABLE, &zeros, &m->weights.embed, &m->why);
    if (m->status == ST_OK)
        m->status = backend_weight(m->be, WEIGHT_LINEAR, &zeros, &m->weights.head, &m->why);
    if (m->status == ST_OK)
        m->status = weights_inv_freq(m->be, d, NULL, &m->weights.inv_freq, &m->why);
}

/* The input rows go in as an image's, so that no embedding stands between. */
static void write_input(struct full_size *m, int tokens)
{
    struct stack s = {
        .parts = {formula_of(jsn_get(m->model, "input"))}, .rows = tokens, .cols = m->config.decoder.hidden};
    float *values = malloc((size_t)tokens * (size_t)s.cols * sizeof *values);
    if (!values) {
        m->status = ST_NOMEM;
        return;
    }
    m->status = read_stack(&s, 0, tokens, values, NULL);
    if (m->status == ST_OK)
        m->status = backend_act(m->be, tokens, s.cols, &m->input, &m->why);
    if (m->status == ST_OK)
        m->status = act_write(m->be, m->input, 0, tokens, values, &m->why);
    free(values);
}

static void run(struct full_size *m, int tokens, float *last)
{
    int32_t kind[MAX_TOKENS], index[MAX_TOKENS], page[MAX_TOKENS] = {0}, at[MAX_TOKENS], first_page = 0;
    for (int i = 0; i < tokens; i++) {
        kind[i] = SOURCE_IMAGE;
        index[i] = at[i] = i;
    }
    struct span span = {.n = tokens, .length = tokens};
    struct sched_sample sample = {.row = tokens - 1};
    struct plan plan = {.n_rows = tokens,
                        .source_kind = kind,
                        .source_index = index,
                        .position = index,
                        .kv_page = page,
                        .kv_at = at,
                        .n_spans = 1,
                        .spans = &span,
                        .n_page_entries = 1,
                        .pages = &first_page,
                        .n_sampled = 1,
                        .sampled = &sample};
    int C = m->config.decoder.hidden, levels = m->config.decoder.layers + 1;
    float logits[VOCAB], *hidden = calloc((size_t)levels * (size_t)C, sizeof *hidden);
    struct decoder_trace trace = {.hidden = hidden, .logits = logits};
    struct slot_start start = {.slot = 0, .max_tokens = 1, .top_p = 1};
    if (!hidden)
        m->status = ST_NOMEM;
    if (m->status == ST_OK)
        m->status = decoder_start_slot(&m->decoder, &start, &m->why);
    if (m->status == ST_OK)
        m->status = decoder_step(&m->decoder, &plan, m->input, NULL, &trace, &m->why);
    if (m->status == ST_OK)
        memcpy(last, hidden + (ptrdiff_t)(levels - 1) * C, (size_t)C * sizeof *last);
    free(hidden);
}

static void describe(struct full_size *m)
{
    struct decoder_config *d = &m->config.decoder;
    d->hidden = (int)jsn_int(jsn_get(m->model, "hidden"), 0);
    d->layers = (int)jsn_int(jsn_get(m->model, "layers"), 0);
    d->heads = (int)jsn_int(jsn_get(m->model, "heads"), 0);
    d->mlp = (int)jsn_int(jsn_get(m->model, "mlp"), 0);
    d->rms_eps = (float)jsn_number(jsn_get(m->model, "rms_norm_eps"), 0);
    d->rope_theta = (float)jsn_number(jsn_get(m->model, "rope_theta"), 0);
    if (d->heads > 0)
        d->head_dim = d->hidden / d->heads;
    d->vocab = VOCAB;
    d->max_positions = KV_PAGE;
    d->eos_id = -1;
}

static void build(struct full_size *m, int tokens, size_t memory)
{
    struct backend_options o = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = memory};
    const struct decoder_config *d = &m->config.decoder;
    struct kv_shape kv = {.layers = d->layers, .heads = d->heads, .head_dim = d->head_dim, .n_pages = 1};
    m->status = backend_open(&o, &m->be, &m->why);
    if (m->status == ST_OK)
        load(m);
    if (m->status == ST_OK)
        m->status = decoder_init(&m->decoder, m->be, &m->config, &m->weights, tokens, 1, 1, &m->why);
    if (m->status == ST_OK)
        m->status = backend_kv(m->be, &kv, &m->why);
    if (m->status == ST_OK)
        write_input(m, tokens);
}

static double largest_error(const struct json *model, const float *last, int C)
{
    double worst = 0, sum = 0, squares = 0;
    for (int i = 0; i < FIRST; i++)
        worst = fmax(worst, fabs(last[i] - jsn_number(jsn_at(jsn_get(model, "last_token_first_64"), (size_t)i), NAN)));
    for (int i = 0; i < C; i++) {
        sum += last[i];
        squares += (double)last[i] * last[i];
    }
    /* The rest of the row shows in its sums: an error of one value by the limit moves them less than these shares. */
    worst = fmax(worst, fabs(sum - jsn_number(jsn_get(model, "sum"), NAN)) / sqrt(C));
    worst = fmax(worst, fabs(squares - jsn_number(jsn_get(model, "sumsq"), NAN)) / sqrt(C));
    return worst / jsn_number(jsn_get(model, "largest"), NAN);
}

/* What the system could give, caches that it would drop included. */
static size_t available_bytes(void)
{
    char line[NAME_BYTES];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    }
    if (f)
        fclose(f);
    return (size_t)kib << 10;
}

static int check(const struct json *model, const char *name)
{
    const double limit = 2e-5; /* of the largest value: tests/parity/fixtures/README.md */
    struct full_size *m = calloc(1, sizeof *m);
    if (!m)
        return 1;
    m->model = model;
    describe(m);
    const struct decoder_config *d = &m->config.decoder;
    int tokens = (int)jsn_int(jsn_get(model, "tokens"), 0), code = 1;
    size_t weights = (size_t)d->layers * (size_t)d->hidden * (size_t)(4 * d->hidden + 3 * d->mlp) * sizeof(float);
    size_t memory = weights + weights / 4, available = available_bytes();
    float *last = calloc((size_t)d->hidden + 1, sizeof *last);
    if (memory > available) {
        printf("SKIP parity: layers of %s need %zu MiB, %zu MiB are free\n", name, memory >> 20, available >> 20);
        code = 0;
    } else if (last && tokens > 0 && tokens <= MAX_TOKENS && d->layers > 0) {
        build(m, tokens, memory);
        if (m->status == ST_OK)
            run(m, tokens, last);
        double error = m->status == ST_OK ? largest_error(model, last, d->hidden) : NAN;
        code = !(error <= limit);
        printf("%s parity: layers of %s, f32: %.2e of the largest value, allowed %.0e %s\n", code ? "FAIL" : "PASS",
               name, error, limit, m->why.text);
    }
    decoder_fini(&m->decoder);
    free(m->weights.layers);
    backend_close(m->be);
    free(last);
    free(m);
    return code;
}

int main(int argc, char **argv)
{
    struct json *root = NULL;
    struct diag why = {{0}};
    const char *name = argc > 1 ? argv[1] : "7b";
    if (jsn_load("tests/parity/fixtures/layers.json", MAX_JSON, &root, &why) != ST_OK) {
        printf("FAIL parity: %s\n", why.text);
        return 1;
    }
    int code = check(jsn_get(jsn_get(root, "models"), name), name);
    jsn_free(root);
    return code;
}
