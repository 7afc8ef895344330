/* Memory of an instance: one list, counted against the budget, freed as a whole. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_FROM = 4 << 20, HUGE_PAGE = 2 << 20 };

struct allocation {
    struct allocation *next, **link;
    size_t bytes;
    void *data;
};

enum status cpu_alloc(struct cpu *cpu, size_t bytes, void **out, struct diag *why)
{
    size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : ALIGNMENT;
    size_t used = cpu->base.used_bytes, budget = cpu->base.caps.memory_bytes;
    cpu->base.ran_out |= bytes > budget || used > budget - bytes;
    if (bytes > budget || used > budget - bytes)
        return diag_set(why, ST_NOMEM, "cpu: %zu bytes more on top of %zu would pass the memory budget of %zu", bytes,
                        used, budget);
    struct allocation *a = calloc(1, sizeof *a);
    if (a)
        a->data = aligned_alloc(align, (bytes + align - 1) / align * align + (bytes == 0 ? align : 0));
    if (!a || !a->data) {
        free(a);
        return diag_set(why, ST_NOMEM, "cpu: the system has no %zu bytes more (%zu in use)", bytes, used);
    }
    if (bytes >= HUGE_FROM)
        madvise(a->data, bytes, MADV_HUGEPAGE); /* advice: without it the memory is only slower */
    a->bytes = bytes;
    a->next = cpu->allocations;
    a->link = &cpu->allocations;
    if (a->next)
        a->next->link = &a->next;
    cpu->allocations = a;
    cpu->base.used_bytes += bytes;
    *out = a->data;
    return ST_OK;
}

static void release(struct cpu *cpu, struct allocation *a)
{
    *a->link = a->next;
    if (a->next)
        a->next->link = a->link;
    cpu->base.used_bytes -= a->bytes;
    free(a->data);
    free(a);
}

void cpu_free(struct cpu *cpu, void *p)
{
    struct allocation *a = cpu->allocations;
    while (p && a && a->data != p)
        a = a->next;
    if (p && a)
        release(cpu, a);
}

void *cpu_mark(const struct backend *be)
{
    return ((const struct cpu *)be)->allocations;
}

/* Scratch grows with what is made and is kept. */
static bool is_scratch(const struct cpu *cpu, const void *p)
{
    for (int t = 0; t < cpu->threads; t++) {
        const struct scratch *s = &cpu->scratch[t];
        if (p == s->product || p == s->pages || p == s->row_state || p == s->wide)
            return true;
    }
    return false;
}

void cpu_forget(struct backend *be, void *mark)
{
    struct cpu *cpu = cpu_of(be);
    for (struct allocation *a = cpu->allocations, *next; a && a != mark; a = next) {
        next = a->next;
        if (!is_scratch(cpu, a->data))
            release(cpu, a);
    }
    cpu->pages = NULL;
    cpu->rope = NULL;
    cpu->rope_positions = cpu->rope_filled = 0;
    cpu->rope_freq = NULL;
}

void cpu_free_all(struct cpu *cpu)
{
    while (cpu->allocations)
        release(cpu, cpu->allocations);
}

/* Replaces each thread's array `member` by one of `floats`. */
static enum status replace(struct cpu *cpu, size_t member, size_t floats, struct diag *why)
{
    for (int t = 0; t < cpu->threads; t++) {
        float **slot = (float **)(void *)((char *)&cpu->scratch[t] + member);
        void *fresh;
        enum status s = cpu_alloc(cpu, floats * sizeof(float), &fresh, why);
        if (s != ST_OK)
            return s;
        cpu_free(cpu, *slot);
        *slot = fresh;
    }
    return ST_OK;
}

enum status cpu_reserve_scratch(struct cpu *cpu, struct diag *why)
{
    if (!cpu->scratch[0].pages) {
        enum status first = replace(cpu, offsetof(struct scratch, pages), (size_t)2 * ATTN_BLOCK * MAX_HEAD_DIM, why);
        if (first == ST_OK)
            first = replace(cpu, offsetof(struct scratch, near), (size_t)OWN_NEAR_ROWS * PANEL_RUN, why);
        if (first != ST_OK)
            return first;
    }
    size_t rows = (size_t)gemm_padded_rows(cpu->max_rows < GEMM_MAX_ROWS ? cpu->max_rows : GEMM_MAX_ROWS);
    size_t product = rows * (size_t)cpu->max_block * 2; /* GLU: gate and up */
    enum status s = ST_OK;
    if (product > cpu->product_floats) {
        s = replace(cpu, offsetof(struct scratch, product), product, why);
        if (s != ST_OK)
            return s;
        cpu->product_floats = product;
    }
    size_t wide = 2 * (size_t)cpu->max_cols + 3 * 2 * MAX_REGION_POINTS;
    if (wide > cpu->wide_floats) {
        s = replace(cpu, offsetof(struct scratch, wide), wide, why);
        if (s != ST_OK)
            return s;
        cpu->wide_floats = wide;
    }
    size_t state = 2 * (size_t)cpu->max_rows;
    if (state > cpu->state_floats) {
        s = replace(cpu, offsetof(struct scratch, row_state), state, why);
        if (s != ST_OK)
            return s;
        cpu->state_floats = state;
    }
    return ST_OK;
}
