#include "model/weights_source.h"

#include <stdlib.h>

struct stack {
    const struct checkpoint *checkpoint;
    const struct tensor *parts[SOURCE_MAX_PARTS];
    int rows; /* of each part */
    int cols;
};

static enum status read_stack(void *ctx, int row, int n, float *out, struct diag *why)
{
    const struct stack *s = ctx;
    while (n > 0) {
        int part = row / s->rows, first = row % s->rows;
        int take = n < s->rows - first ? n : s->rows - first;
        enum status status = checkpoint_rows(s->checkpoint, s->parts[part], first, take, out, why);
        if (status != ST_OK)
            return status;
        out += (ptrdiff_t)take * s->cols;
        row += take;
        n -= take;
    }
    return ST_OK;
}

enum status pack_stacked(struct backend *be, enum weight_use use, const struct checkpoint *c, const char *const *names,
                         int n, int rows, int cols, struct weight **out, struct diag *why)
{
    struct stack stack = {.checkpoint = c, .rows = rows, .cols = cols};
    for (int i = 0; i < n; i++) {
        const struct tensor *t = checkpoint_find(c, names[i]);
        int64_t flat[2] = {rows, cols};
        /* Convolution kernels come as [out, in, ...]: the shape is theirs, the size must be ours. */
        int64_t size = t && t->n_dims > 2 ? 1 : 0;
        for (int d = 1; t && size > 0 && d < t->n_dims; d++)
            size *= t->dims[d];
        enum status s = size == cols ? checkpoint_need(c, names[i], t->dims, t->n_dims, &stack.parts[i], why)
                                     : checkpoint_need(c, names[i], flat, 2, &stack.parts[i], why);
        if (s != ST_OK)
            return s;
        if (stack.parts[i]->dims[0] != rows)
            return diag_set(why, ST_SHAPE, "%s: %s has %lld rows, expected %d", stack.parts[i]->file, names[i],
                            (long long)stack.parts[i]->dims[0], rows);
    }
    struct weight_source source = {.rows = n * rows, .cols = cols, .read = read_stack, .ctx = &stack};
    enum status s = backend_weight(be, use, &source, out, why);
    for (int i = 0; i < n; i++)
        checkpoint_release(c, stack.parts[i]);
    return s == ST_OK ? s : diag_wrap(why, s, "%s", names[0]);
}

enum status pack_vectors(struct backend *be, const struct checkpoint *c, const char *const *names, int n, int len,
                         struct weight **out, struct diag *why)
{
    float *values = malloc((size_t)n * (size_t)len * sizeof *values);
    if (!values)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < n; i++) {
        const struct tensor *t;
        int64_t dims[1] = {len};
        s = checkpoint_need(c, names[i], dims, 1, &t, why);
        if (s == ST_OK)
            s = checkpoint_rows(c, t, 0, len, values + (ptrdiff_t)i * len, why);
    }
    if (s == ST_OK)
        s = pack_values(be, WEIGHT_VECTOR, values, 1, n * len, out, why);
    free(values);
    return s;
}

enum status read_tensor(const struct checkpoint *c, const char *name, const int64_t *dims, int n_dims, float **out,
                        struct diag *why)
{
    const struct tensor *t;
    enum status s = checkpoint_need(c, name, dims, n_dims, &t, why);
    if (s != ST_OK)
        return s;
    size_t n = 1;
    for (int d = 0; d < n_dims; d++)
        n *= (size_t)dims[d];
    float *values = malloc(n * sizeof *values);
    if (!values)
        return ST_NOMEM;
    s = checkpoint_rows(c, t, 0, dims[0], values, why);
    checkpoint_release(c, t);
    if (s != ST_OK) {
        free(values);
        return s;
    }
    *out = values;
    return ST_OK;
}
