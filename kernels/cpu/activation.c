/* Activations and arrays: making, filling, reading, copying rows. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"

#include <string.h>

enum status cpu_act_new(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why)
{
    struct cpu *cpu = cpu_of(be);
    struct cpu_act a = {.base = {max_rows, cols}, .padded_rows = gemm_padded_rows(max_rows)};
    size_t n = (size_t)a.padded_rows * (size_t)cols;
    void *values, *copy = NULL, *scales = NULL, *head;
    enum status s = cpu_alloc(cpu, n * sizeof(float), &values, why);
    if (s == ST_OK && be->dtype != DTYPE_F32)
        s = cpu_alloc(cpu, n * (be->dtype == DTYPE_BF16 ? sizeof(uint16_t) : 1), &copy, why);
    if (s == ST_OK && be->dtype == DTYPE_INT8)
        s = cpu_alloc(cpu, (size_t)a.padded_rows * sizeof(float), &scales, why);
    if (s == ST_OK)
        s = cpu_alloc(cpu, sizeof a, &head, why);
    if (s != ST_OK)
        return s;
    memset(values, 0, n * sizeof(float));
    a.values = values;
    a.bf16 = be->dtype == DTYPE_BF16 ? copy : NULL;
    a.int8 = be->dtype == DTYPE_INT8 ? copy : NULL;
    a.scales = scales;
    if (copy)
        memset(copy, 0, n * (be->dtype == DTYPE_BF16 ? sizeof(uint16_t) : 1));
    cpu->max_rows = max_rows > cpu->max_rows ? max_rows : cpu->max_rows;
    cpu->max_cols = cols > cpu->max_cols ? cols : cpu->max_cols;
    s = cpu_reserve_scratch(cpu, why);
    if (s != ST_OK)
        return s;
    *(struct cpu_act *)head = a;
    *out = head;
    return ST_OK;
}

enum status cpu_act_write(struct backend *be, struct act *a, int row, int n, const float *values, struct diag *why)
{
    (void)be;
    (void)why;
    memcpy(act_row(a, row), values, (size_t)n * (size_t)a->cols * sizeof *values);
    act_written(a);
    return ST_OK;
}

enum status cpu_act_read(struct backend *be, const struct act *a, int row, int n, float *values, struct diag *why)
{
    memcpy(values, act_row(a, row), (size_t)n * (size_t)a->cols * sizeof *values);
    return be->ops->sync(be, why);
}

static size_t element_bytes(const struct array *a)
{
    return a->kind == ARRAY_U8 ? 1 : 4;
}

enum status cpu_array_new(struct backend *be, enum array_kind kind, size_t n, struct array **out, struct diag *why)
{
    struct cpu_array a = {.base = {kind, n}};
    size_t bytes = n * element_bytes(&a.base);
    void *head;
    enum status s = cpu_alloc(cpu_of(be), bytes, &a.data, why);
    if (s == ST_OK)
        s = cpu_alloc(cpu_of(be), sizeof a, &head, why);
    if (s != ST_OK)
        return s;
    memset(a.data, 0, bytes);
    *(struct cpu_array *)head = a;
    *out = head;
    return ST_OK;
}

int32_t *array_i32(const struct array *a)
{
    return ((const struct cpu_array *)a)->data;
}

float *array_f32(const struct array *a)
{
    return ((const struct cpu_array *)a)->data;
}

enum status cpu_array_write(struct backend *be, struct array *a, size_t at, size_t n, const void *values,
                            struct diag *why)
{
    (void)be;
    (void)why;
    size_t bytes = element_bytes(a);
    memcpy((char *)((struct cpu_array *)a)->data + at * bytes, values, n * bytes);
    return ST_OK;
}

enum status cpu_array_read(struct backend *be, const struct array *a, size_t at, size_t n, void *values,
                           struct diag *why)
{
    size_t bytes = element_bytes(a);
    memcpy(values, (const char *)((const struct cpu_array *)a)->data + at * bytes, n * bytes);
    return be->ops->sync(be, why);
}

void cpu_array_send(struct backend *be, const struct array *a, size_t n)
{
    struct cpu *cpu = cpu_of(be);
    size_t bytes = n * element_bytes(a);
    memcpy(cpu->sent[cpu->next_sent].data, ((const struct cpu_array *)a)->data, bytes);
    cpu->sent[cpu->next_sent].bytes = bytes;
    cpu->next_sent = (cpu->next_sent + 1) % ARRAY_SENDS;
}

/* backend.c has counted this one off: the oldest stands as many places back as were under way with it. */
enum status cpu_array_receive(struct backend *be, void *values, struct diag *why)
{
    struct cpu *cpu = cpu_of(be);
    int oldest = (cpu->next_sent + 2 * ARRAY_SENDS - be->sends - 1) % ARRAY_SENDS;
    memcpy(values, cpu->sent[oldest].data, cpu->sent[oldest].bytes);
    return be->ops->sync(be, why);
}

void cpu_copy_rows(struct backend *be, struct act *dst, int dst_row, const struct act *src, int src_row, int n)
{
    (void)be;
    memmove(act_row(dst, dst_row), act_row(src, src_row), (size_t)n * (size_t)dst->cols * sizeof(float));
    act_written(dst);
}

void cpu_take_rows(struct backend *be, struct act *dst, const struct act *src, const struct array *rows, int n)
{
    (void)be;
    for (int i = 0; i < n; i++)
        memcpy(act_row(dst, i), act_row(src, array_i32(rows)[i]), (size_t)dst->cols * sizeof(float));
    act_written(dst);
}
