#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

struct norm_job {
    struct cpu *cpu;
    struct act *out;
    const struct act *x;
    int rows;
    enum norm_kind kind;
    const float *weight, *bias;
    float eps;
};

static void norm_rows(void *ctx, int thread)
{
    const struct norm_job *j = ctx;
    const struct simd *simd = j->cpu->simd;
    bool round_bf16 = j->cpu->base.dtype == DTYPE_BF16; /* int8 quantises whole rows, after the weight */
    struct part p = pool_part(j->rows, thread, j->cpu->threads);
    for (int row = p.begin; row < p.end; row++) {
        const float *x = act_row(j->x, row);
        if (j->kind == NORM_RMS)
            simd->rms_row(act_row(j->out, row), x, j->weight, j->x->cols, j->eps, round_bf16);
        else
            simd->layer_row(act_row(j->out, row), x, j->weight, j->bias, j->x->cols, j->eps);
    }
}

/* The copy in the compute dtype is made by the next product, which asks for it where it is needed: f32_only is free. */
void cpu_norm(struct backend *be, struct act *out, const struct act *x, int rows, enum norm_kind kind,
              const struct weight *weight, const struct weight *bias, float eps, bool f32_only)
{
    (void)f32_only;
    struct norm_job j = {cpu_of(be), out, x, rows, kind, vector_of(weight), bias ? vector_of(bias) : NULL, eps};
    cpu_run(j.cpu, (int64_t)rows * x->cols, norm_rows, &j);
    act_written(out);
}
