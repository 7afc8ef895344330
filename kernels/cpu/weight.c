/* Weights: matrices go to pack.c, tables and vectors are kept as rows. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"
#include "kernels/random.h"

enum { READ_ROWS = 64 };

static enum status read_vector(struct cpu *cpu, const struct weight_source *src, void **out, struct diag *why)
{
    size_t row_floats = (size_t)src->cols;
    enum status s = cpu_alloc(cpu, (size_t)src->rows * row_floats * sizeof(float), out, why);
    for (int row = 0; s == ST_OK && row < src->rows; row += READ_ROWS) {
        int n = src->rows - row < READ_ROWS ? src->rows - row : READ_ROWS;
        s = src->read(src->ctx, row, n, (float *)*out + (size_t)row * row_floats, why);
    }
    return s;
}

/* An embedding table in bf16. */
static enum status read_table(struct cpu *cpu, const struct weight_source *src, void **out, struct diag *why)
{
    size_t cols = (size_t)src->cols;
    void *rows = NULL;
    enum status s = cpu_alloc(cpu, (size_t)src->rows * cols * sizeof(uint16_t), out, why);
    if (s == ST_OK)
        s = cpu_alloc(cpu, READ_ROWS * cols * sizeof(float), &rows, why);
    for (int row = 0; s == ST_OK && row < src->rows; row += READ_ROWS) {
        int n = src->rows - row < READ_ROWS ? src->rows - row : READ_ROWS;
        s = src->read(src->ctx, row, n, rows, why);
        for (int i = 0; s == ST_OK && i < n; i++)
            cpu->simd->to_bf16((uint16_t *)*out + (size_t)(row + i) * cols, (float *)rows + (size_t)i * cols,
                               src->cols);
    }
    cpu_free(cpu, rows);
    return s;
}

static enum status read_seeded(void *ctx, int row, int n, float *out, struct diag *why)
{
    const struct weight_seed *s = ctx;
    (void)why;
    uint64_t first = (uint64_t)row * (uint64_t)s->cols, count = (uint64_t)n * (uint64_t)s->cols;
    for (uint64_t i = 0; i < count; i++)
        out[i] = random_spread(s->seed, first + i, s->spread);
    return ST_OK;
}

enum status cpu_weight_seeded(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                              struct weight **out, struct diag *why)
{
    struct weight_source src = {
        .rows = seed->rows, .cols = seed->cols, .read = read_seeded, .ctx = (void *)(uintptr_t)seed};
    return cpu_weight_new(be, use, &src, out, why);
}

enum status cpu_weight_new(struct backend *be, enum weight_use use, const struct weight_source *src,
                           struct weight **out, struct diag *why)
{
    struct cpu *cpu = cpu_of(be);
    void *head;
    enum status s = cpu_alloc(cpu, sizeof(struct cpu_weight), &head, why);
    if (s != ST_OK)
        return s;
    struct cpu_weight *w = head;
    *w = (struct cpu_weight){.base = {use, src->rows, src->cols}};
    if (use == WEIGHT_VECTOR || (use == WEIGHT_TABLE && be->dtype == DTYPE_F32))
        s = read_vector(cpu, src, &w->values, why);
    else if (use == WEIGHT_TABLE)
        s = read_table(cpu, src, &w->values, why);
    else
        s = pack_matrix(cpu, use == WEIGHT_LINEAR_F32 ? DTYPE_F32 : be->dtype, src, &w->matrix,
                        use == WEIGHT_GLU ? &w->up : NULL, why);
    if (s != ST_OK)
        return s;
    *out = &w->base;
    return ST_OK;
}
