/* op_linear and op_glu: products on packed blocks, each followed by its epilogue in the same thread. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"

#include <string.h>

struct linear_job {
    struct cpu *cpu;
    const struct cpu_act *x;
    struct cpu_act *out;
    int rows, out_col;
    const struct packed *matrix, *up; /* up: GLU only */
    const float *bias;
    enum epilogue epilogue;
};

struct convert_job {
    struct cpu *cpu;
    struct cpu_act *x;
    int from, to;
};

static void convert_rows(void *ctx, int thread)
{
    const struct convert_job *j = ctx;
    struct part p = pool_part(j->to - j->from, thread, j->cpu->threads);
    int cols = j->x->base.cols;
    for (int row = j->from + p.begin; row < j->from + p.end; row++) {
        const float *values = act_row(&j->x->base, row);
        ptrdiff_t at = (ptrdiff_t)row * cols;
        if (j->x->bf16)
            j->cpu->simd->to_bf16(j->x->bf16 + at, values, cols);
        else
            j->x->scales[row] = j->cpu->simd->to_int8(j->x->int8 + at, values, cols);
    }
}

/* Brings the copy in the compute dtype up to date for the first `rows` rows. */
static void convert(struct cpu *cpu, struct cpu_act *x, int rows)
{
    if (rows <= x->copied)
        return;
    struct convert_job j = {cpu, x, x->copied, rows};
    cpu_run(cpu, (int64_t)(rows - j.from) * x->base.cols, convert_rows, &j);
    x->copied = rows;
}

/* The rows of x from `row` on in the matrix' type. */
static const void *input_rows(const struct linear_job *j, int row)
{
    ptrdiff_t at = (ptrdiff_t)row * j->matrix->cols;
    if (j->matrix->type == DTYPE_F32)
        return j->x->values + at;
    if (j->matrix->type == DTYPE_BF16)
        return j->x->bf16 + at;
    return j->x->int8 + at;
}

/* Rows of x past the last are allocated for padding, fewer where x's rows are read side by side. */
static struct gemm_piece next_piece(const struct linear_job *j, int row)
{
    int allocated = j->x->padded_rows / (j->matrix->cols / j->x->base.cols);
    return gemm_next_piece(j->rows - row, allocated - row);
}

static void product(const struct linear_job *j, int thread, const struct packed *m, int block, int row,
                    struct gemm_piece piece, float *y)
{
    const struct packed_block *b = &m->blocks[block];
    const void *x = input_rows(j, row);
    if (b->shape)
        gemm_run(j->cpu, thread, b, piece, x, y);
    else
        own_run(j->cpu, thread, m->type, m->cols, b, piece.taken, x, y);
}

/* Makes a row of integer sums the numbers they stand for; rows of other types are that already. */
static void scale_row(const struct linear_job *j, const struct packed *m, const struct packed_block *b, int row,
                      float *y)
{
    if (m->type == DTYPE_INT8)
        j->cpu->simd->dequant(y, (const int32_t *)(const void *)y, j->x->scales[row], m->scales + b->column, b->n);
}

static void finish_linear(const struct linear_job *j, const struct packed_block *b, int row, int n, float *y)
{
    const struct simd *simd = j->cpu->simd;
    for (int r = 0; r < n; r++) {
        float *at = y + (ptrdiff_t)r * b->n, *out = act_row(&j->out->base, row + r) + j->out_col + b->column;
        scale_row(j, j->matrix, b, row + r, at);
        if (j->bias)
            simd->add(at, j->bias + b->column, b->n);
        if (j->epilogue == EPI_QUICK_GELU)
            simd->quick_gelu(at, b->n);
        if (j->epilogue == EPI_ADD)
            simd->add(out, at, b->n);
        else
            memcpy(out, at, (size_t)b->n * sizeof *out);
    }
}

static void linear_blocks(void *ctx, int thread)
{
    const struct linear_job *j = ctx;
    float *y = j->cpu->scratch[thread].product;
    for (int i = j->matrix->first[thread]; i < j->matrix->first[thread + 1]; i++) {
        const struct packed_block *b = &j->matrix->blocks[i];
        for (int row = 0; row < j->rows;) {
            struct gemm_piece piece = next_piece(j, row);
            product(j, thread, j->matrix, i, row, piece, y);
            finish_linear(j, b, row, piece.taken, y);
            row += piece.taken;
        }
    }
}

static void glu_blocks(void *ctx, int thread)
{
    const struct linear_job *j = ctx;
    float *gate = j->cpu->scratch[thread].product;
    for (int i = j->matrix->first[thread]; i < j->matrix->first[thread + 1]; i++) {
        const struct packed_block *b = &j->matrix->blocks[i];
        for (int row = 0; row < j->rows;) {
            struct gemm_piece piece = next_piece(j, row);
            float *up = gate + (ptrdiff_t)piece.run * b->n;
            product(j, thread, j->matrix, i, row, piece, gate);
            product(j, thread, j->up, i, row, piece, up);
            for (int r = 0; r < piece.taken; r++) {
                float *g = gate + (ptrdiff_t)r * b->n, *u = up + (ptrdiff_t)r * b->n;
                scale_row(j, j->matrix, b, row + r, g);
                scale_row(j, j->up, b, row + r, u);
                j->cpu->simd->silu_mul(act_row(&j->out->base, row + r) + b->column, g, u, b->n);
            }
            row += piece.taken;
        }
    }
}

static void run(struct linear_job *j, pool_fn blocks)
{
    if (j->matrix->type != DTYPE_F32)
        convert(j->cpu, (struct cpu_act *)(uintptr_t)j->x, j->rows);
    for (int row = 0; row < j->rows && j->cpu->gemm;) {
        struct gemm_piece piece = next_piece(j, row);
        if (gemm_prepare(j->cpu, j->matrix, piece.run) != ST_OK ||
            (j->up && gemm_prepare(j->cpu, j->up, piece.run) != ST_OK)) {
            cpu_fail(j->cpu, "oneDNN could not make a product");
            return;
        }
        row += piece.taken;
    }
    int64_t products = (int64_t)j->rows * j->matrix->rows * j->matrix->cols;
    cpu_run(j->cpu, products / 8, blocks, j);
    act_written(&j->out->base);
}

void cpu_linear(struct backend *be, struct act *out, int out_col, const struct act *x, int rows, const struct weight *w,
                const struct weight *bias, enum epilogue epilogue)
{
    struct linear_job j = {.cpu = cpu_of(be),
                           .x = act_of(x),
                           .out = act_of(out),
                           .rows = rows,
                           .out_col = out_col,
                           .matrix = ((const struct cpu_weight *)w)->matrix,
                           .bias = bias ? vector_of(bias) : NULL,
                           .epilogue = epilogue};
    run(&j, linear_blocks);
}

void cpu_glu(struct backend *be, struct act *out, const struct act *x, int rows, const struct weight *w)
{
    const struct cpu_weight *pair = (const struct cpu_weight *)w;
    struct linear_job j = {
        .cpu = cpu_of(be), .x = act_of(x), .out = act_of(out), .rows = rows, .matrix = pair->matrix, .up = pair->up};
    run(&j, glu_blocks);
}
