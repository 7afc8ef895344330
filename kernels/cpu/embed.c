#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"

#include <assert.h>
#include <string.h>

static void table_row(const struct cpu *cpu, float *out, const struct weight *table, int row)
{
    const struct cpu_weight *t = (const struct cpu_weight *)table;
    ptrdiff_t at = (ptrdiff_t)row * table->cols;
    assert(row >= 0 && row < table->rows);
    if (cpu->base.dtype == DTYPE_F32)
        memcpy(out, (const float *)t->values + at, (size_t)table->cols * sizeof *out);
    else
        cpu->simd->from_bf16(out, (const uint16_t *)t->values + at, table->cols);
}

static void act_source(float *out, const struct act *src, int row)
{
    assert(src && row >= 0 && row < src->max_rows);
    memcpy(out, act_row(src, row), (size_t)src->cols * sizeof *out);
}

void cpu_embed(struct backend *be, struct act *x, const struct step *step, const struct weight *table,
               const struct act *image_rows, const struct act *region_rows, const struct array *last_token)
{
    const int32_t *kind = array_i32(step->source_kind), *index = array_i32(step->source_index);
    for (int row = 0; row < step->n_rows; row++) {
        float *out = act_row(x, row);
        switch (kind[row]) {
        case SOURCE_TOKEN: table_row(cpu_of(be), out, table, index[row]); break;
        case SOURCE_SLOT:
            assert(last_token && index[row] >= 0 && (size_t)index[row] < last_token->n);
            table_row(cpu_of(be), out, table, array_i32(last_token)[index[row]]);
            break;
        case SOURCE_IMAGE: act_source(out, image_rows, index[row]); break;
        default: act_source(out, region_rows, index[row]); break;
        }
    }
    act_written(x);
}
