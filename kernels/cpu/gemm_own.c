/* Products without oneDNN: for processors below AVX-512, shapes on which oneDNN fails the row check, and builds under
 * the thread sanitizer. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"

#include <string.h>

enum {
    K_RUN = 512,  /* even, for the pairs of int8 */
    FEW_ROWS = 12 /* up to here a panel is read once anyway, best from end to end */
};

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

/* A run of k: its part of a panel stays in the nearest cache while all rows pass. */
static void run_panels(const struct cpu *cpu, enum dtype type, int k, int first, int n_k,
                       const struct packed_block *block, int rows, const void *x, void *y)
{
    int width = cpu->simd->panel;
    size_t bytes = element_bytes(type), panel_bytes = (size_t)padded_k(type, k) * (size_t)width * bytes;
    for (int n = 0; n < block->n; n += width) {
        const char *panel = (const char *)block->data + (size_t)(n / width) * panel_bytes;
        struct panel_job job = {.panel = panel + (size_t)first * (size_t)width * bytes,
                                .x = (const char *)x + (size_t)first * bytes,
                                .rows = rows,
                                .k = n_k,
                                .stride = k,
                                .y = (float *)y + n, /* int32 has the same size */
                                .y_stride = block->n,
                                .columns = block->n - n < width ? block->n - n : width,
                                .add = first > 0};
        if (type == DTYPE_F32)
            cpu->simd->panel_f32(&job);
        else if (type == DTYPE_BF16)
            cpu->simd->panel_bf16(&job);
        else
            cpu->simd->panel_int8(&job);
    }
}

void own_run(struct cpu *cpu, enum dtype type, int k, const struct packed_block *block, int rows, const void *x,
             void *y)
{
    int run = rows > FEW_ROWS ? K_RUN : k;
    for (int first = 0; first < k; first += run)
        run_panels(cpu, type, k, first, k - first < run ? k - first : run, block, rows, x, y);
}
