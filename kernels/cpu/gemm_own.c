/* Products without oneDNN: for processors below AVX-512, shapes on which oneDNN fails the row check, and builds under
 * the thread sanitizer. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"

#include <string.h>

static size_t element_bytes(enum dtype type)
{
    return type == DTYPE_F32 ? 4 : type == DTYPE_BF16 ? 2 : 1;
}

static int padded_k(enum dtype type, int k)
{
    return type == DTYPE_INT8 ? (k + 1) / 2 * 2 : k;
}

/* f32 and bf16: [panel][k][columns]; int8: [panel][k / 2][columns][2]. Missing columns are zero. */
enum status own_pack(struct cpu *cpu, enum dtype type, int k, const void *plain, struct packed_block *block,
                     struct diag *why)
{
    int width = cpu->simd->panel, panels = (block->n + width - 1) / width;
    size_t bytes = element_bytes(type), panel_bytes = (size_t)padded_k(type, k) * (size_t)width * bytes;
    enum status s = cpu_alloc(cpu, (size_t)panels * panel_bytes, &block->data, why);
    if (s != ST_OK)
        return s;
    memset(block->data, 0, (size_t)panels * panel_bytes);
    int step = type == DTYPE_INT8 ? 2 : 1;
    for (int n = 0; n < block->n; n++) {
        char *panel = (char *)block->data + (size_t)(n / width) * panel_bytes;
        const char *row = (const char *)plain + (size_t)n * (size_t)k * bytes;
        for (int i = 0; i < k; i++) {
            size_t at = ((size_t)(i / step) * (size_t)width + (size_t)(n % width)) * (size_t)step + (size_t)(i % step);
            memcpy(panel + at * bytes, row + (size_t)i * bytes, bytes);
        }
    }
    return ST_OK;
}

void own_run(struct cpu *cpu, enum dtype type, int k, const struct packed_block *block, int rows, const void *x,
             void *y)
{
    int width = cpu->simd->panel;
    size_t panel_bytes = (size_t)padded_k(type, k) * (size_t)width * element_bytes(type);
    for (int n = 0; n < block->n; n += width) {
        struct panel_job job = {.panel = (const char *)block->data + (size_t)(n / width) * panel_bytes,
                                .x = x,
                                .rows = rows,
                                .k = k,
                                .stride = k,
                                .y = (float *)y + n, /* int32 has the same size */
                                .y_stride = block->n,
                                .columns = block->n - n < width ? block->n - n : width};
        if (type == DTYPE_F32)
            cpu->simd->panel_f32(&job);
        else if (type == DTYPE_BF16)
            cpu->simd->panel_bf16(&job);
        else
            cpu->simd->panel_int8(&job);
    }
}
