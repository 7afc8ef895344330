#include "tests/kernels/twin.cuh"

#include <cmath>
#include <cstring>

namespace
{

enum { PAGES = 48, LAYERS = 2, LAYER = 1 };

/* One model on both sides. */
struct pair {
    twin &t;
    int heads, D, C;
    kv_cache cache;
    std::vector<float> freq;
    struct weight *cpu_freq;

    pair(twin &twin_, int heads_, int D_)
        : t(twin_), heads(heads_), D(D_), C(heads_ * D_), freq(static_cast<size_t>(D_ / 2))
    {
        struct kv_shape shape = {LAYERS, heads, D, PAGES};
        struct diag why = {};
        if (backend_kv(t.be, &shape, &why) != ST_OK)
            t.fail(why.text);
        for (int i = 0; i < D / 2; i++)
            freq[static_cast<size_t>(i)] = powf(10000.0f, -2.0f * static_cast<float>(i) / static_cast<float>(D));
        cpu_freq = t.vector(freq);
        size_t n = static_cast<size_t>(PAGES) * LAYERS * static_cast<size_t>(2 * KV_PAGE * C);
        cache = {t.room<char>(n * copy_bytes(t.dtype)), LAYERS, heads, D};
    }
};

/* Rows of a step and the spans they read. */
struct rows {
    std::vector<int32_t> position, page, at;
    std::vector<span> spans;
    int n() const
    {
        return static_cast<int>(position.size());
    }
    /* n rows of a segment from place `from` on. */
    void add(int n, int base, int first_page, int from)
    {
        for (int i = from; i < from + n; i++) {
            position.push_back(base + i);
            page.push_back(first_page + i / KV_PAGE);
            at.push_back(i % KV_PAGE);
        }
    }
};

/* A key at a rounding border may fall on its other side in bf16; in f16 keys and values are rounded to 11 bits that the
 * reference keeps. Queries and weights are not rounded in either. */
double bound_of(enum dtype d)
{
    return d == DTYPE_F32 ? 2e-6 : d == DTYPE_F16 ? 1e-3 : 2e-3;
}

/* The spans as attention takes them, on the device. */
attention_args arguments(twin &t, const struct step &step, const float *qkv, const int32_t *position,
                         const int32_t *pages, int heads)
{
    size_t rows = static_cast<size_t>(step.n_rows);
    std::vector<span> spans(MAX_SEGMENTS * rows);
    std::vector<int32_t> row_span(MAX_SEGMENTS * rows);
    std::vector<step_counts> counts(1);
    cuda_attention_plan(step, step.n_rows, spans.data(), row_span.data(), counts.data());
    return {qkv,           step.n_rows,      MAX_SEGMENTS,  position,
            pages,         t.send(row_span), t.send(spans), t.room<float>(rows * static_cast<size_t>(heads) * 2),
            t.send(counts)};
}

/* Appends and attends on both sides; returns the device's outputs. */
std::vector<float> run(pair &p, const std::vector<float> &values, const rows &r)
{
    twin &t = p.t;
    int n = r.n();
    size_t out_n = static_cast<size_t>(n * p.C);
    std::vector<int32_t> pages(PAGES);
    for (int i = 0; i < PAGES; i++)
        pages[static_cast<size_t>(i)] = i;
    float *qkv = t.send(values), *out = t.room<float>(out_n);
    void *copy = t.dtype == DTYPE_F32 ? nullptr : t.room<char>(out_n * 2);
    const int32_t *position = t.send(r.position);
    struct step step = {};
    step.n_rows = n;
    step.position = t.ints(r.position);
    step.kv_page = t.ints(r.page);
    step.kv_at = t.ints(r.at);
    step.n_spans = static_cast<int>(r.spans.size());
    step.spans = r.spans.data();
    step.pages = t.ints(pages);
    attention_args args = arguments(t, step, qkv, position, t.send(pages), p.heads);
    cuda_rope_append(t.s, t.dtype, qkv, p.cache, LAYER, position, t.send(r.page), t.send(r.at), t.send(p.freq), n,
                     args.counts);
    cuda_attention(t.s, t.dtype, out, copy, args, p.cache, LAYER);
    std::vector<float> got = t.fetch(out, out_n);
    if (copy)
        t.copied(copy, got, "copy of attention");
    struct act *in = t.act(values, 3 * p.C), *want = t.act(n, p.C);
    op_rope_append(t.be, in, &step, LAYER, p.cpu_freq);
    op_attention(t.be, want, in, &step, LAYER);
    t.close(t.fetch(qkv, values.size()), t.rows_of(in, n), 1e-6, "RoPE");
    t.close(got, t.rows_of(want, n), bound_of(t.dtype), "attention");
    return got;
}

/* Rows [first, first + n) of a segment of `length` at page 3 as a step of their own, which must give the bits that they
 * had in `all`. */
void check_part(pair &p, const std::vector<float> &values, const std::vector<float> &all, int first, int n, int length)
{
    rows part;
    part.add(n, 0, 3, first);
    part.spans = {{0, 0, n, 3, 0, length}};
    std::vector<float> some(values.begin() + first * 3 * p.C, values.begin() + (first + n) * 3 * p.C);
    std::vector<float> got = run(p, some, part);
    if (memcmp(got.data(), all.data() + first * p.C, got.size() * sizeof(float)) != 0)
        p.t.fail("bits depend on which rows are in a step");
}

/* One causal segment; then its last rows again as a chunk, and one row alone. */
void check_causal(twin &t, int heads, int D, int length)
{
    pair p(t, heads, D);
    std::vector<float> values = uneven(1, length, 3 * p.C);
    rows whole;
    whole.add(length, 0, 3, 0);
    whole.spans = {{0, 0, length, 3, 0, length}};
    std::vector<float> all = run(p, values, whole);
    int first = length > ATTN_BLOCK ? ATTN_BLOCK : length / 2;
    check_part(p, values, all, first, length - first, length);
    check_part(p, values, all, length - 1, 1, length);
}

/* A shared segment of 150 positions that `tasks` tasks read, each with a segment of two positions of its own behind it;
 * the last row reads nothing at all. Then the first task's rows alone. */
void check_cascade(twin &t, int heads, int D, int tasks)
{
    pair p(t, heads, D);
    rows shared, step, first;
    shared.add(150, 0, 0, 0);
    shared.spans = {{0, 0, 150, 0, 0, 150}};
    run(p, uneven(2, 150, 3 * p.C), shared);
    for (int i = 0; i < tasks; i++)
        step.add(2, 150, 5 + i, 0);
    step.add(1, 0, 5 + tasks, 0);
    step.spans = {{0, 0, 2 * tasks, 0, 0, 150}};
    for (int i = 0; i < tasks; i++)
        step.spans.push_back({1, 2 * i, 2, 5 + i, 150, 2});
    std::vector<float> values = uneven(3, 2 * tasks + 1, 3 * p.C), all = run(p, values, step);
    first.add(2, 150, 5, 0);
    first.spans = {{0, 0, 2, 0, 0, 150}, {1, 0, 2, 5, 150, 2}};
    values.resize(static_cast<size_t>(2 * 3 * p.C));
    std::vector<float> alone = run(p, values, first);
    if (memcmp(alone.data(), all.data(), alone.size() * sizeof(float)) != 0)
        t.fail("a task's bits depend on who shares its image");
}

/* On tensor cores every number is the sum of two of 8 bits (bf16) or 11 (f16), and the product of both low ones is left
 * out: 2^-16 and 2^-22 of each product. */
void check_full(twin &t, int images, int length, int heads, int D)
{
    int C = heads * D, n = images * length;
    std::vector<float> values = uneven(4, n, 3 * C);
    float *out = t.room<float>(static_cast<size_t>(n * C));
    void *copy = t.dtype == DTYPE_F32 ? nullptr : t.room<char>(static_cast<size_t>(n * C * 2));
    cuda_attention_full(t.s, t.dtype, out, copy, t.send(values), images, length, heads, D);
    std::vector<float> got = t.fetch(out, static_cast<size_t>(n * C));
    struct act *want = t.act(n, C);
    op_attention_full(t.be, want, t.act(values, 3 * C), images, length, heads);
    bool halves = t.dtype == DTYPE_BF16 && cuda_attention_tiled(t.dtype, D, false);
    t.close(got, t.rows_of(want, n), halves ? 3e-5 : 2e-6, "full attention");
    if (copy)
        t.copied(copy, got, "copy of full attention");
}

/* A backend has one cache: each shape gets a twin of its own. */
template <class F> void alone(twin &t, F check)
{
    twin fresh(t.dtype, t.dtype == DTYPE_F16 ? DTYPE_F32 : t.dtype);
    check(fresh);
    t.well = t.well && fresh.well;
}

} // namespace

void test_attention(twin &t)
{
    static const int shapes[][3] = {{1, 2, 1}, {3, 24, 31}, {2, 64, 150}, {1, 128, 129}, {1, 256, 40}, {2, 16, 257}};
    if (cuda_attention_prepare() != cudaSuccess)
        t.fail("cuda_attention_prepare");
    for (auto &[heads, D, length] : shapes) {
        int h = heads, d = D, n = length;
        if (t.dtype != DTYPE_F16 || d == 64)
            alone(t, [=](twin &fresh) { check_causal(fresh, h, d, n); });
    }
    alone(t, [](twin &fresh) { check_cascade(fresh, 2, 32, 2); });
    alone(t, [](twin &fresh) { check_cascade(fresh, 1, 48, 19); });
    alone(t, [](twin &fresh) {
        check_full(fresh, 1, 1, 1, 2);
        check_full(fresh, 2, 37, 3, 16);
        check_full(fresh, 1, 145, 2, 64);
    });
}
