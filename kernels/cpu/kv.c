/* The KV cache and what is written to it. A page holds, layer after layer, each head's K as [D][KV_PAGE] and V as
 * [KV_PAGE][D padded to HEAD_PAD], in f32 for an f32 model and in bf16 otherwise. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TABLE_POSITIONS = 16384 /* rotations kept; positions past it are computed when met */ };

static size_t head_elements(const struct kv_shape *s)
{
    int padded = (s->head_dim + HEAD_PAD - 1) / HEAD_PAD * HEAD_PAD;
    return (size_t)KV_PAGE * (size_t)(s->head_dim + padded);
}

size_t cpu_kv_page_bytes(const struct backend *be, const struct kv_shape *s)
{
    return head_elements(s) * (size_t)s->heads * (size_t)s->layers * be->caps.kv_element_bytes;
}

enum status cpu_kv(struct backend *be, const struct kv_shape *shape, struct diag *why)
{
    struct cpu *cpu = cpu_of(be);
    size_t positions = (size_t)shape->n_pages * KV_PAGE;
    if (positions > TABLE_POSITIONS)
        positions = TABLE_POSITIONS;
    void *pages, *rope;
    cpu->page_bytes = cpu_kv_page_bytes(be, shape);
    cpu->layer_bytes = cpu->page_bytes / (size_t)shape->layers;
    cpu->head_elements = head_elements(shape);
    enum status s = cpu_alloc(cpu, cpu->page_bytes * (size_t)shape->n_pages, &pages, why);
    if (s == ST_OK)
        s = cpu_alloc(cpu, positions * (size_t)shape->head_dim * sizeof(float), &rope, why);
    if (s != ST_OK)
        return s;
    cpu->pages = pages;
    cpu->rope = rope;
    cpu->rope_positions = (int)positions;
    return ST_OK;
}

void *cpu_kv_head(const struct cpu *cpu, int page, int layer, int head)
{
    assert(page >= 0 && page < cpu->base.kv.n_pages);
    return cpu->pages + (size_t)page * cpu->page_bytes + (size_t)layer * cpu->layer_bytes +
           (size_t)head * cpu->head_elements * cpu->base.caps.kv_element_bytes;
}

/* Cosines, then sines, of one position. The angle is rounded to f32 first, as the reference does. */
static void rotation(float *out, const float *inv_freq, int half, int position)
{
    for (int i = 0; i < half; i++) {
        float angle = (float)position * inv_freq[i];
        out[i] = cosf(angle);
        out[half + i] = sinf(angle);
    }
}

struct rope_job {
    struct cpu *cpu;
    struct act *qkv;
    const struct step *step;
    int layer;
    const float *inv_freq;
};

static void append(const struct rope_job *j, int row, int head, const float *k, const float *v)
{
    int D = j->cpu->base.kv.head_dim, at = array_i32(j->step->kv_at)[row];
    int padded = (D + HEAD_PAD - 1) / HEAD_PAD * HEAD_PAD;
    assert(at >= 0 && at < KV_PAGE);
    void *base = cpu_kv_head(j->cpu, array_i32(j->step->kv_page)[row], j->layer, head);
    if (j->cpu->base.dtype == DTYPE_F32) {
        float *keys = base, *value = keys + D * KV_PAGE + at * padded;
        for (int d = 0; d < D; d++)
            keys[d * KV_PAGE + at] = k[d];
        memcpy(value, v, (size_t)D * sizeof *v);
        memset(value + D, 0, (size_t)(padded - D) * sizeof *v);
        return;
    }
    uint16_t rounded[MAX_HEAD_DIM];
    uint16_t *keys = base, *value = keys + D * KV_PAGE + at * padded;
    j->cpu->simd->to_bf16(rounded, k, D);
    for (int d = 0; d < D; d++)
        keys[d * KV_PAGE + at] = rounded[d];
    j->cpu->simd->to_bf16(value, v, D);
    memset(value + D, 0, (size_t)(padded - D) * sizeof *value);
}

/* Heads outermost: a head's page of keys stays in the nearest cache while rows are written across it. */
static void rope_heads(void *ctx, int thread)
{
    const struct rope_job *j = ctx;
    const struct cpu *cpu = j->cpu;
    int D = cpu->base.kv.head_dim, C = cpu->base.kv.heads * D;
    struct part p = pool_part(cpu->base.kv.heads, thread, cpu->threads);
    float met[MAX_HEAD_DIM];
    for (int h = p.begin; h < p.end; h++)
        for (int row = 0; row < j->step->n_rows; row++) {
            int position = array_i32(j->step->position)[row];
            const float *turn = met;
            if (position < cpu->rope_filled)
                turn = cpu->rope + (ptrdiff_t)position * D;
            else
                rotation(met, j->inv_freq, D / 2, position);
            float *q = act_row(j->qkv, row) + h * D;
            cpu->simd->rotate(q, turn, D / 2);
            cpu->simd->rotate(q + C, turn, D / 2);
            append(j, row, h, q + C, q + 2 * C);
        }
}

/* Fills the table up to the step's largest position. */
static void fill_table(struct cpu *cpu, const struct step *step, const struct weight *inv_freq)
{
    if (cpu->rope_freq != inv_freq)
        cpu->rope_filled = 0;
    cpu->rope_freq = inv_freq;
    int last = -1, D = cpu->base.kv.head_dim;
    for (int row = 0; row < step->n_rows; row++) {
        int position = array_i32(step->position)[row];
        assert(position >= 0);
        last = position > last ? position : last;
    }
    last = last < cpu->rope_positions ? last : cpu->rope_positions - 1;
    for (; cpu->rope_filled <= last; cpu->rope_filled++)
        rotation(cpu->rope + (ptrdiff_t)cpu->rope_filled * D, vector_of(inv_freq), D / 2, cpu->rope_filled);
}

void cpu_rope_append(struct backend *be, struct act *qkv, const struct step *step, int layer,
                     const struct weight *inv_freq)
{
    struct rope_job j = {cpu_of(be), qkv, step, layer, vector_of(inv_freq)};
    fill_table(j.cpu, step, inv_freq);
    cpu_run(j.cpu, (int64_t)step->n_rows * qkv->cols, rope_heads, &j);
    act_written(qkv);
}
