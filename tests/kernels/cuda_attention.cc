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

std::vector<int32_t> row_spans(const rows &r, int n_passes)
{
    std::vector<int32_t> map(static_cast<size_t>(n_passes * r.n()), -1);
    for (size_t s = 0; s < r.spans.size(); s++)
        for (int row = r.spans[s].row; row < r.spans[s].row + r.spans[s].n; row++)
            map[static_cast<size_t>(r.spans[s].pass * r.n() + row)] = static_cast<int32_t>(s);
    return map;
}

/* Appends and attends on both sides; returns the device's outputs. */
std::vector<float> run(pair &p, const std::vector<float> &values, const rows &r, int n_passes)
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
    cuda_rope_append(t.s, t.dtype, qkv, p.cache, LAYER, position, t.send(r.page), t.send(r.at), t.send(p.freq), n);
    attention_args args = {qkv, n, n_passes, position, t.send(pages), t.send(row_spans(r, n_passes)), t.send(r.spans)};
    cuda_attention(t.s, t.dtype, out, copy, args, p.cache, LAYER);
    std::vector<float> got = t.fetch(out, out_n);
    if (copy)
        t.copied(copy, got, "copy of attention");

    struct step step = {};
    step.n_rows = n;
    step.position = t.ints(r.position);
    step.kv_page = t.ints(r.page);
    step.kv_at = t.ints(r.at);
    step.n_spans = static_cast<int>(r.spans.size());
    step.spans = r.spans.data();
    step.pages = t.ints(pages);
    struct act *in = t.act(values, 3 * p.C), *want = t.act(n, p.C);
    op_rope_append(t.be, in, &step, LAYER, p.cpu_freq);
    op_attention(t.be, want, in, &step, LAYER);
    t.close(t.fetch(qkv, values.size()), t.rows_of(in, n), 1e-6, "RoPE");
    /* A key at a rounding border may fall on its other side in bf16. */
    t.close(got, t.rows_of(want, n), t.dtype == DTYPE_F32 ? 2e-6 : 2e-3, "attention");
    return got;
}

/* One causal segment; then its last rows again as a chunk of their own, which must give the same bits. */
void check_causal(twin &t, int heads, int D, int length)
{
    pair p(t, heads, D);
    std::vector<float> values = uneven(1, length, 3 * p.C);
    rows whole, tail;
    whole.add(length, 0, 3, 0);
    whole.spans = {{0, 0, length, 3, 0, length}};
    std::vector<float> all = run(p, values, whole, 1);
    int first = length > ATTN_BLOCK ? ATTN_BLOCK : length / 2, n = length - first;
    tail.add(n, 0, 3, first);
    tail.spans = {{0, 0, n, 3, 0, length}};
    std::vector<float> end(values.begin() + first * 3 * p.C, values.end()), got = run(p, end, tail, 1);
    if (memcmp(got.data(), all.data() + first * p.C, got.size() * sizeof(float)) != 0)
        t.fail("a chunk's bits differ from the whole's");
}

/* A shared segment of 150 positions that two tasks read, each with a segment of its own behind it; the third row reads
 * nothing at all. */
void check_cascade(twin &t, int heads, int D)
{
    pair p(t, heads, D);
    rows shared, step;
    shared.add(150, 0, 0, 0);
    shared.spans = {{0, 0, 150, 0, 0, 150}};
    run(p, uneven(2, 150, 3 * p.C), shared, 1);
    step.add(2, 150, 10, 0);
    step.add(1, 150, 20, 0);
    step.add(1, 0, 30, 0);
    step.spans = {{0, 0, 3, 0, 0, 150}, {1, 0, 2, 10, 150, 2}, {1, 2, 1, 20, 150, 1}};
    run(p, uneven(3, 4, 3 * p.C), step, 2);
}

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
    t.close(got, t.rows_of(want, n), 2e-6, "full attention");
    if (copy)
        t.copied(copy, got, "copy of full attention");
}

/* A backend has one cache: each shape gets a twin of its own. */
template <class F> void alone(twin &t, F check)
{
    twin fresh(t.dtype);
    check(fresh);
    t.well = t.well && fresh.well;
}

} // namespace

void test_attention(twin &t)
{
    static const int shapes[][3] = {{1, 2, 1}, {3, 24, 31}, {2, 64, 150}, {1, 128, 129}, {1, 256, 40}, {2, 18, 257}};
    for (auto &[heads, D, length] : shapes) {
        int h = heads, d = D, n = length;
        alone(t, [=](twin &fresh) { check_causal(fresh, h, d, n); });
    }
    alone(t, [](twin &fresh) { check_cascade(fresh, 2, 32); });
    check_full(t, 1, 1, 1, 2);
    check_full(t, 2, 37, 3, 16);
    check_full(t, 1, 145, 2, 64);
}
