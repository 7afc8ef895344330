#include "model/weights_source.h"

#include <string.h>

static enum status read_values(void *ctx, int row, int n, float *out, struct diag *why)
{
    (void)why;
    const struct weight_source *whole = ctx;
    const float *values = whole->ctx;
    memcpy(out, values + (ptrdiff_t)row * whole->cols, (size_t)n * (size_t)whole->cols * sizeof *out);
    return ST_OK;
}

enum status pack_values(struct backend *be, enum weight_use use, const float *values, int rows, int cols,
                        struct weight **out, struct diag *why)
{
    struct weight_source whole = {.rows = rows, .cols = cols, .ctx = (void *)(uintptr_t)values};
    struct weight_source source = {.rows = rows, .cols = cols, .read = read_values, .ctx = &whole};
    return backend_weight(be, use, &source, out, why);
}
