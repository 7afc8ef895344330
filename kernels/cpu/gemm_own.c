/* Products without oneDNN: for processors below AVX-512, shapes on which oneDNN fails the row check, and builds under
 * the thread sanitizer.
 *
 * A block lies in memory as it is read: run of k after run, within a run panel after panel. Of a run, as many rows as
 * the second cache holds are copied near each other, then pass all its panels, each of which stays in the nearest cache
 * meanwhile. So a product of few rows is one walk through the block. */
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

static int run_length(int k, int first)
{
    return k - first < PANEL_RUN ? k - first : PANEL_RUN;
}

/* Elements of a run in front of those of column group `panel`. */
static size_t panel_at(const struct cpu *cpu, enum dtype type, int panels, int k, int first, int panel)
{
    size_t width = (size_t)cpu->simd->panel;
    return (size_t)first * width * (size_t)panels +
           (size_t)panel * (size_t)padded_k(type, run_length(k, first)) * width;
}

/* A panel of a run, f32 and bf16: [k][columns]; int8: [k / 2][columns][2]. Missing columns are zero. */
enum status own_pack(struct cpu *cpu, enum dtype type, int k, const void *plain, struct packed_block *block,
                     struct diag *why)
{
    int width = cpu->simd->panel, panels = (block->n + width - 1) / width;
    size_t bytes = element_bytes(type), all = (size_t)panels * (size_t)width * (size_t)padded_k(type, k) * bytes;
    enum status s = cpu_alloc(cpu, all, &block->data, why);
    if (s != ST_OK)
        return s;
    memset(block->data, 0, all);
    int step = type == DTYPE_INT8 ? 2 : 1;
    for (int n = 0; n < block->n; n++) {
        const char *row = (const char *)plain + (size_t)n * (size_t)k * bytes;
        for (int first = 0; first < k; first += PANEL_RUN) {
            char *panel = (char *)block->data + panel_at(cpu, type, panels, k, first, n / width) * bytes;
            for (int i = 0; i < run_length(k, first); i++) {
                size_t at =
                    ((size_t)(i / step) * (size_t)width + (size_t)(n % width)) * (size_t)step + (size_t)(i % step);
                memcpy(panel + at * bytes, row + (size_t)(first + i) * bytes, bytes);
            }
        }
    }
    return ST_OK;
}

/* The run at `first` for rows that are near. */
static void run_panels(struct cpu *cpu, int thread, enum dtype type, int k, int first, const struct packed_block *block,
                       int rows, float *y)
{
    const struct simd *simd = cpu->simd;
    int panels = (block->n + simd->panel - 1) / simd->panel;
    struct panel_job job = {.near = cpu->scratch[thread].near,
                            .rows = rows,
                            .k = run_length(k, first),
                            .y_stride = block->n,
                            .add = first > 0};
    for (int panel = 0; panel < panels; panel++) {
        int n = panel * simd->panel;
        job.panel = (const char *)block->data + panel_at(cpu, type, panels, k, first, panel) * element_bytes(type);
        job.y = y + n; /* int32 has the same size */
        job.columns = block->n - n < simd->panel ? block->n - n : simd->panel;
        if (type == DTYPE_F32)
            simd->panel_f32(&job);
        else if (type == DTYPE_BF16)
            simd->panel_bf16(&job);
        else
            simd->panel_int8(&job);
    }
}

static void copy_near(struct cpu *cpu, int thread, enum dtype type, int k, int first, int rows, const char *x)
{
    struct near_job job = {.x = x + (size_t)first * element_bytes(type),
                           .near = cpu->scratch[thread].near,
                           .rows = rows,
                           .k = run_length(k, first),
                           .stride = k};
    if (type == DTYPE_F32)
        cpu->simd->near_f32(&job);
    else if (type == DTYPE_BF16)
        cpu->simd->near_bf16(&job);
    else
        cpu->simd->near_int8(&job);
}

void own_run(struct cpu *cpu, int thread, enum dtype type, int k, const struct packed_block *block, int rows,
             const void *x, void *y)
{
    for (int first = 0; first < k; first += PANEL_RUN) {
        for (int row = 0; row < rows; row += OWN_NEAR_ROWS) {
            int n = rows - row < OWN_NEAR_ROWS ? rows - row : OWN_NEAR_ROWS;
            copy_near(cpu, thread, type, k, first, n, (const char *)x + (size_t)row * (size_t)k * element_bytes(type));
            run_panels(cpu, thread, type, k, first, block, n, (float *)y + (ptrdiff_t)row * block->n);
        }
    }
}
