#include "tests/unit/kernels/harness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A sequence of segments for a backend: rows with positions, each segment on pages of its own. */
struct rows {
    int n;
    int32_t position[512], page[512], at[512];
};

static void add_row(struct rows *r, int position, int first_page, int place)
{
    r->position[r->n] = position;
    r->page[r->n] = first_page + place / KV_PAGE;
    r->at[r->n++] = place % KV_PAGE;
}

static struct step step_of(struct backend *be, const struct rows *r, const struct span *spans, int n_spans,
                           struct array *pages)
{
    size_t n = (size_t)r->n;
    return (struct step){.n_rows = r->n,
                         .position = ints(be, r->position, n),
                         .kv_page = ints(be, r->page, n),
                         .kv_at = ints(be, r->at, n),
                         .n_spans = n_spans,
                         .spans = spans,
                         .pages = pages};
}

struct model {
    struct backend *be;
    int heads, D, C;
    struct weight *inv_freq;
    float freq[MAX_HEAD_DIM / 2];
};

static struct model model_of(int isa, enum dtype dtype, int heads, int D)
{
    struct model m = {.be = open_isa(isa, dtype), .heads = heads, .D = D, .C = heads * D};
    if (!m.be)
        return m;
    struct kv_shape shape = {.layers = 2, .heads = heads, .head_dim = D, .n_pages = 160};
    struct diag why = {{0}};
    cr_assert(backend_kv(m.be, &shape, &why) == ST_OK, "%s", why.text);
    for (int i = 0; i < D / 2; i++)
        m.freq[i] = powf(10000.0f, -2.0f * (float)i / (float)D);
    m.inv_freq = weight_of(m.be, WEIGHT_VECTOR, m.freq, 1, D / 2);
    return m;
}

static struct array *all_pages(struct backend *be)
{
    int32_t pages[160];
    for (int i = 0; i < 160; i++)
        pages[i] = i;
    return ints(be, pages, 160);
}

/* Appends and attends on layer 1; returns the rows' outputs. */
static float *run(struct model *m, const float *qkv, const struct rows *r, const struct span *spans, int n_spans)
{
    struct step step = step_of(m->be, r, spans, n_spans, all_pages(m->be));
    struct act *in = act_from(m->be, qkv, r->n, 3 * m->C), *out = act_empty(m->be, r->n, m->C);
    (void)backend_step_begin(m->be, &step, false);
    op_rope_append(m->be, in, &step, 1, m->inv_freq);
    op_attention(m->be, out, in, &step, 1);
    struct diag why = {{0}};
    cr_assert(backend_step_end(m->be, &why) == ST_OK);
    return rows_of(m->be, out, r->n);
}

/* q or k of a row and head, rotated, in double. */
static void rotated(const struct model *m, const float *x, int position, double *out)
{
    int half = m->D / 2;
    for (int i = 0; i < half; i++) {
        float angle = (float)position * m->freq[i];
        double c = cos((double)angle), s = sin((double)angle), a = (double)x[i], b = (double)x[half + i];
        out[i] = a * c - b * s;
        out[half + i] = b * c + a * s;
    }
}

static double *causal(const struct model *m, const float *qkv, int L)
{
    double *out = keep((size_t)(L * m->C) * sizeof *out), q[MAX_HEAD_DIM], k[MAX_HEAD_DIM];
    double *p = keep((size_t)L * sizeof *p);
    for (int h = 0; h < m->heads; h++)
        for (int r = 0; r < L; r++) {
            double total = 0;
            rotated(m, qkv + (ptrdiff_t)r * 3 * m->C + h * m->D, r, q);
            for (int j = 0; j <= r; j++) {
                double score = 0;
                rotated(m, qkv + (ptrdiff_t)j * 3 * m->C + m->C + h * m->D, j, k);
                for (int d = 0; d < m->D; d++)
                    score += q[d] * k[d];
                total += p[j] = exp(score / sqrt(m->D));
            }
            for (int j = 0; j <= r; j++)
                for (int d = 0; d < m->D; d++)
                    out[(ptrdiff_t)r * m->C + h * m->D + d] +=
                        p[j] / total * (double)qkv[(ptrdiff_t)j * 3 * m->C + 2 * m->C + h * m->D + d];
        }
    return out;
}

static struct rows one_segment(int first, int n)
{
    struct rows r = {0};
    for (int i = first; i < first + n; i++)
        add_row(&r, i, 0, i);
    return r;
}

Test(attention, agrees_with_double_in_every_set_and_dtype)
{
    static const int shapes[][3] = {{1, 2, 1}, {3, 24, 31}, {2, 64, 257}, {3, 128, 150}, {1, 256, 40}, {2, 18, 129}};
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int d = 0; d < 2; d++)
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
                int L = shapes[i][2];
                struct model m = model_of(isa, d ? DTYPE_BF16 : DTYPE_F32, shapes[i][0], shapes[i][1]);
                if (!m.be)
                    continue;
                float *qkv = values(1, (size_t)(L * 3 * m.C));
                struct rows r = one_segment(0, L);
                struct span span = {.row = 0, .n = L, .length = L};
                char what[96];
                snprintf(what, sizeof what, "%s D %d L %d", backend_caps(m.be)->device, m.D, L);
                expect_close(run(&m, qkv, &r, &span, 1), causal(&m, qkv, L), (size_t)(L * m.C), d ? 6e-3 : 1e-6, what);
                backend_close(m.be);
            }
}

Test(attention, chunks_of_any_size_give_the_bits_of_the_whole)
{
    enum { L = 300 };
    static const int cuts[][4] = {{0, 128, 256, L}, {0, 1, 37, L}, {0, 130, 299, L}};
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int d = 0; d < 2; d++) {
            struct model m = model_of(isa, d ? DTYPE_INT8 : DTYPE_F32, 3, 40);
            if (!m.be)
                continue;
            float *qkv = values(2, (size_t)(L * 3 * m.C));
            struct rows r = one_segment(0, L);
            struct span span = {.n = L, .length = L};
            float *whole = run(&m, qkv, &r, &span, 1);
            for (int c = 0; c < 3; c++)
                for (int i = 0; i < 3; i++) {
                    int first = cuts[c][i], n = cuts[c][i + 1] - first;
                    struct rows part = one_segment(first, n);
                    struct span s = {.n = n, .length = first + n};
                    float *got = run(&m, qkv + (ptrdiff_t)first * 3 * m.C, &part, &s, 1);
                    expect_same_bits(got, whole + first * m.C, sizeof *got * (size_t)(n * m.C), isa_name(isa));
                }
            backend_close(m.be);
        }
}

/* A prefix of 150 positions on pages 0.., read by `n` tasks that each have `own` + 1 positions on pages of their own;
 * the last row of each task attends. Task t's numbers are the same in every call. */
static float *stacked(struct model *m, int first_task, int n, int own)
{
    enum { PREFIX = 150, FIRST_PAGE = 8 };
    struct rows prefix = one_segment(0, PREFIX), decode = {0};
    struct span whole = {.n = PREFIX, .length = PREFIX};
    run(m, values(1, (size_t)(PREFIX * 3 * m->C)), &prefix, &whole, 1);
    for (int t = 0; t < n; t++) {
        struct rows rows = {0};
        int page = FIRST_PAGE + 2 * t;
        for (int i = 0; i < own; i++)
            add_row(&rows, PREFIX + i, page, i);
        struct span s = {.n = own, .page0 = page, .base = PREFIX, .length = own};
        if (own > 0)
            run(m, values(100 + (uint64_t)(first_task + t), (size_t)(own * 3 * m->C)), &rows, &s, 1);
        add_row(&decode, PREFIX + own, page, own);
    }
    struct span spans[65] = {{.pass = 0, .n = n, .length = PREFIX}};
    float *qkv = zeros((size_t)(n * 3 * m->C));
    for (int t = 0; t < n; t++) {
        spans[1 + t] =
            (struct span){.pass = 1, .row = t, .n = 1, .page0 = FIRST_PAGE + 2 * t, .base = PREFIX, .length = own + 1};
        memcpy(qkv + (ptrdiff_t)t * 3 * m->C, values(500 + (uint64_t)(first_task + t), (size_t)(3 * m->C)),
               sizeof(float) * (size_t)(3 * m->C));
    }
    return run(m, qkv, &decode, spans, 1 + n);
}

Test(attention, a_row_among_stacked_tasks_has_the_bits_of_the_row_alone)
{
    static const int counts[] = {2, 8, 64};
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int d = 0; d < 2; d++) {
            struct model m = model_of(isa, d ? DTYPE_BF16 : DTYPE_F32, 2, 32);
            if (!m.be)
                continue;
            for (int c = 0; c < 3; c++) {
                float *all = stacked(&m, 0, counts[c], 5);
                for (int t = 0; t < counts[c]; t += counts[c] - 1)
                    expect_same_bits(stacked(&m, t, 1, 5), all + t * m.C, sizeof(float) * (size_t)m.C, isa_name(isa));
            }
            backend_close(m.be);
        }
}

Test(attention, segments_read_in_passes_agree_with_one_plain_sequence)
{
    enum { L = 200, CUT = 150 };
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        struct model m = model_of(isa, DTYPE_F32, 2, 32);
        if (!m.be)
            continue;
        float *qkv = values(9, (size_t)(L * 3 * m.C));
        struct rows r = {0};
        for (int i = 0; i < L; i++)
            add_row(&r, i, i < CUT ? 0 : 20, i < CUT ? i : i - CUT);
        struct span spans[] = {{.pass = 0, .row = 0, .n = L, .page0 = 0, .base = 0, .length = CUT},
                               {.pass = 1, .row = CUT, .n = L - CUT, .page0 = 20, .base = CUT, .length = L - CUT}};
        expect_close(run(&m, qkv, &r, spans, 2), causal(&m, qkv, L), (size_t)(L * m.C), 1e-6, isa_name(isa));
        backend_close(m.be);
    }
}

Test(attention, what_an_earlier_user_of_a_page_left_is_never_seen)
{
    struct model m = model_of(2, DTYPE_F32, 1, 16);
    if (!m.be)
        cr_skip_test("no AVX-512");
    float *clean = values(1, (size_t)(40 * 3 * m.C)), *poison = values(2, (size_t)(100 * 3 * m.C));
    for (int i = 0; i < 100 * 3 * m.C; i++)
        poison[i] = NAN;
    struct rows short_rows = one_segment(0, 40), long_rows = one_segment(0, 100);
    struct span s40 = {.n = 40, .length = 40}, s100 = {.n = 100, .length = 100};
    float *before = run(&m, clean, &short_rows, &s40, 1);
    run(&m, poison, &long_rows, &s100, 1);
    expect_same_bits(run(&m, clean, &short_rows, &s40, 1), before, sizeof(float) * (size_t)(40 * m.C), "reused page");
    backend_close(m.be);
}

Test(rope, positions_past_the_table_turn_like_those_in_it)
{
    struct model m = model_of(0, DTYPE_F32, 1, 8);
    float *qkv = values(3, (size_t)(3 * m.C));
    static const int positions[] = {0, 1, 700, 5119, 5120, 100000};
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        struct rows r = {0};
        add_row(&r, positions[i], 0, 0);
        struct step step = step_of(m.be, &r, NULL, 0, all_pages(m.be));
        struct act *in = act_from(m.be, qkv, 1, 3 * m.C);
        op_rope_append(m.be, in, &step, 0, m.inv_freq);
        double want[24];
        rotated(&m, qkv, positions[i], want);
        rotated(&m, qkv + 8, positions[i], want + 8);
        for (int k = 0; k < 8; k++)
            want[16 + k] = (double)qkv[16 + k];
        expect_close(rows_of(m.be, in, 1), want, 24, 1e-7, "rotation");
    }
    backend_close(m.be);
}
