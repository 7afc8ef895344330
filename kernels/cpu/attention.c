/* Attention over the cache and inside images. Keys are read in blocks of ATTN_BLOCK positions counted from a segment's
 * start; all rows of a span take a block before the next one is loaded. Each thread owns whole heads, so a row's
 * partial sums merge in one order. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BLOCK_PAGES = ATTN_BLOCK / KV_PAGE };

/* One head of one layer at work. */
struct head_work {
    struct cpu *cpu;
    struct act *out;
    const struct act *qkv;
    int head, D, padded, layer;
    float scale;
    float *max, *sum; /* one a row */
    const struct step *step;
    const void *k[BLOCK_PAGES], *v[BLOCK_PAGES];
    bool bf16;    /* what k and v hold, else f32 */
    float *pages; /* scratch: BLOCK_PAGES x [K | V] in f32 */
};

static int padded_dim(int D)
{
    return (D + HEAD_PAD - 1) / HEAD_PAD * HEAD_PAD;
}

static void start_rows(struct head_work *w, int row, int n)
{
    for (int r = row; r < row + n; r++) {
        w->max[r] = -INFINITY;
        w->sum[r] = 0;
        memset(act_row(w->out, r) + w->head * w->D, 0, (size_t)w->D * sizeof(float));
    }
}

static void end_rows(struct head_work *w, int row, int n)
{
    for (int r = row; r < row + n; r++) {
        float *out = act_row(w->out, r) + w->head * w->D;
        for (int d = 0; d < w->D; d++)
            out[d] = w->sum[r] > 0 || w->sum[r] != w->sum[r] ? out[d] / w->sum[r] : 0.0f;
    }
}

/* Lets rows [row, row + n) read the loaded block; visible(row) keys of it. */
static void attend_block(struct head_work *w, int row, int n, const int32_t *position, int first_key, int n_keys)
{
    const struct attend_block block = {w->k, w->v, w->D, w->padded, w->bf16};
    struct attend_row rows[ATTEND_ROWS];
    int held = 0;
    for (int r = row; r < row + n; r++) {
        int visible = position ? position[r] - first_key + 1 : n_keys;
        if (visible > 0)
            rows[held++] = (struct attend_row){.q = act_row(w->qkv, r) + w->head * w->D,
                                               .scale = w->scale,
                                               .visible = visible < n_keys ? visible : n_keys,
                                               .max = &w->max[r],
                                               .sum = &w->sum[r],
                                               .out = act_row(w->out, r) + w->head * w->D};
        if (held == ATTEND_ROWS || (held > 0 && r == row + n - 1)) {
            w->cpu->simd->attend(&block, rows, held);
            held = 0;
        }
    }
}

/* Points k and v at a block's pages of the cache. */
static void find_cached(struct head_work *w, const int32_t *pages, int n_pages)
{
    for (int p = 0; p < n_pages; p++) {
        w->k[p] = cpu_kv_head(w->cpu, pages[p], w->layer, w->head);
        w->v[p] = (const char *)w->k[p] + (size_t)w->D * KV_PAGE * w->cpu->base.caps.kv_element_bytes;
    }
}

static void attend_span(struct head_work *w, const struct span *s)
{
    const int32_t *position = array_i32(w->step->position), *pages = array_i32(w->step->pages) + s->page0;
    int last = -1;
    for (int r = s->row; r < s->row + s->n; r++)
        last = position[r] > last ? position[r] : last;
    for (int at = 0; at < s->length && s->base + at <= last; at += ATTN_BLOCK) {
        int n_keys = s->length - at < ATTN_BLOCK ? s->length - at : ATTN_BLOCK;
        find_cached(w, pages + at / KV_PAGE, (n_keys + KV_PAGE - 1) / KV_PAGE);
        attend_block(w, s->row, s->n, position, s->base + at, n_keys);
    }
}

static struct head_work work_for(struct cpu *cpu, int thread, struct act *out, const struct act *qkv, int D)
{
    return (struct head_work){.cpu = cpu,
                              .out = out,
                              .qkv = qkv,
                              .D = D,
                              .padded = padded_dim(D),
                              .scale = 1.0f / sqrtf((float)D),
                              .max = cpu->scratch[thread].row_state,
                              .sum = cpu->scratch[thread].row_state + cpu->max_rows,
                              .pages = cpu->scratch[thread].pages};
}

struct attention_job {
    struct cpu *cpu;
    struct act *out;
    const struct act *qkv;
    const struct step *step;
    int layer;
    int images, length, heads;
};

static void cached_heads(void *ctx, int thread)
{
    const struct attention_job *j = ctx;
    const struct kv_shape *kv = &j->cpu->base.kv;
    struct head_work w = work_for(j->cpu, thread, j->out, j->qkv, kv->head_dim);
    w.layer = j->layer;
    w.bf16 = j->cpu->base.dtype != DTYPE_F32;
    w.step = j->step;
    struct part p = pool_part(kv->heads, thread, j->cpu->threads);
    for (w.head = p.begin; w.head < p.end; w.head++) {
        start_rows(&w, 0, j->step->n_rows);
        for (int i = 0; i < j->step->n_spans; i++)
            attend_span(&w, &j->step->spans[i]);
        end_rows(&w, 0, j->step->n_rows);
    }
}

void cpu_attention(struct backend *be, struct act *out, const struct act *qkv, const struct step *step, int layer)
{
    struct attention_job j = {.cpu = cpu_of(be), .out = out, .qkv = qkv, .step = step, .layer = layer};
    int64_t numbers = 0;
    for (int i = 0; i < step->n_spans; i++)
        numbers += (int64_t)step->spans[i].n * step->spans[i].length * out->cols;
    cpu_run(j.cpu, numbers, cached_heads, &j);
    act_written(out);
}

/* Copies keys [first, first + n) of an image's head into the block's layout. */
static void load_image(struct head_work *w, int first, int n)
{
    int D = w->D, C = w->out->cols, k_size = D * KV_PAGE, v_size = w->padded * KV_PAGE;
    for (int i = 0; i < n; i++) {
        const float *key = act_row(w->qkv, first + i) + C + w->head * D;
        int page = i / KV_PAGE, at = i % KV_PAGE;
        float *keys = w->pages + (ptrdiff_t)page * (k_size + v_size), *value = keys + k_size + at * w->padded;
        for (int d = 0; d < D; d++)
            keys[d * KV_PAGE + at] = key[d];
        memcpy(value, key + C, (size_t)D * sizeof *value);
        memset(value + D, 0, (size_t)(w->padded - D) * sizeof *value);
        w->k[page] = keys;
        w->v[page] = keys + k_size;
    }
}

static void image_heads(void *ctx, int thread)
{
    const struct attention_job *j = ctx;
    struct head_work w = work_for(j->cpu, thread, j->out, j->qkv, j->out->cols / j->heads);
    struct part p = pool_part(j->images * j->heads, thread, j->cpu->threads);
    for (int i = p.begin; i < p.end; i++) {
        int first = i / j->heads * j->length;
        w.head = i % j->heads;
        start_rows(&w, first, j->length);
        for (int at = 0; at < j->length; at += ATTN_BLOCK) {
            int n = j->length - at < ATTN_BLOCK ? j->length - at : ATTN_BLOCK;
            load_image(&w, first + at, n);
            attend_block(&w, first, j->length, NULL, at, n);
        }
        end_rows(&w, first, j->length);
    }
}

void cpu_attention_full(struct backend *be, struct act *out, const struct act *qkv, int images, int length, int heads)
{
    struct attention_job j = {
        .cpu = cpu_of(be), .out = out, .qkv = qkv, .images = images, .length = length, .heads = heads};
    cpu_run(j.cpu, (int64_t)images * length * length * out->cols, image_heads, &j);
    act_written(out);
}
