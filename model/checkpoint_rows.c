#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/checkpoint_impl.h"
#include "model/half.h"

/* The scales of a quantised tensor: f32, one for each row; NULL where t is not quantised. */
static const struct tensor *find_scale(const struct checkpoint *c, const struct tensor *t)
{
    char name[MAX_PATH_BYTES];
    int n = snprintf(name, sizeof name, "%s.scale", t->name);
    if (t->type != TENSOR_I8 || n < 0 || (size_t)n >= sizeof name)
        return NULL;
    const struct tensor *s = checkpoint_find(c, name);
    bool fits = s && s->type == TENSOR_F32 && s->n_dims == 1 && t->n_dims > 0 && s->dims[0] == t->dims[0];
    return fits ? s : NULL;
}

enum status checkpoint_need(const struct checkpoint *c, const char *name, const int64_t *dims, int n_dims,
                            const struct tensor **out, struct diag *why)
{
    char want[TENSOR_SHAPE_TEXT], found[TENSOR_SHAPE_TEXT];
    const struct tensor *t = checkpoint_find(c, name);
    tensor_shape_text(dims, n_dims, want);
    if (!t)
        return diag_set(why, ST_MISSING, "%s: %s: expected %s, found no such tensor", c->listing, name, want);
    bool is_same = t->n_dims == n_dims;
    for (int i = 0; i < n_dims && is_same; i++)
        is_same = t->dims[i] == dims[i];
    if (!is_same)
        return diag_set(why, ST_SHAPE, "%s: %s: expected %s, found %s", t->file, name, want,
                        tensor_shape_text(t->dims, t->n_dims, found));
    if (!tensor_is_float(t->type) && !find_scale(c, t))
        return diag_set(why, ST_SHAPE, "%s: %s: expected F32, F16, BF16 or I8 with a scale, found %s", t->file, name,
                        tensor_type_word(t->type));
    *out = t;
    return ST_OK;
}

/* count values from element `from`, as stored. */
static void read_values(const struct tensor *t, int64_t from, int64_t count, float *out)
{
    const char *p = (const char *)t->data + (size_t)from * tensor_type_bytes(t->type);
    if (t->type == TENSOR_F16)
        half_read(p, out, (size_t)count);
    else if (t->type == TENSOR_BF16)
        bf16_read(p, out, (size_t)count);
    else
        memcpy(out, p, (size_t)count * sizeof *out);
}

static void read_quantised(const struct tensor *t, const struct tensor *scale, int64_t row, int64_t n, int64_t cols,
                           float *out)
{
    const signed char *p = (const signed char *)t->data + row * cols;
    for (int64_t r = 0; r < n; r++) {
        float s;
        memcpy(&s, (const char *)scale->data + (size_t)(row + r) * sizeof s, sizeof s);
        for (int64_t k = 0; k < cols; k++)
            out[r * cols + k] = (float)p[r * cols + k] * s;
    }
}

enum { CHUNK = 1024 };

static void round_to_half(float *values, size_t n)
{
    uint16_t half[CHUNK];
    half_write(values, half, n);
    half_read(half, values, n);
}

/* out (rows of t) += base, as the published recipe adds: both operands in f16, the sum rounded to f16 once. The f32 sum
 * of two f16 values is not always exact, but it keeps twice f16's digits and two more, so rounding it again gives the
 * number that a single rounding of the exact sum gives. */
static void add_base(const struct tensor *t, const struct tensor *base, int64_t from, int64_t count, float *out)
{
    float chunk[CHUNK];
    while (count > 0) {
        int64_t n = count < CHUNK ? count : CHUNK;
        read_values(base, from, n, chunk);
        if (base->type != TENSOR_F16)
            round_to_half(chunk, (size_t)n);
        if (t->type != TENSOR_F16)
            round_to_half(out, (size_t)n);
        for (int64_t i = 0; i < n; i++)
            out[i] += chunk[i];
        round_to_half(out, (size_t)n);
        from += n, out += n, count -= n;
    }
}

enum status checkpoint_rows(const struct checkpoint *c, const struct tensor *t, int64_t row, int64_t n, float *out,
                            struct diag *why)
{
    int64_t rows = t->n_dims > 0 ? t->dims[0] : 1,
            cols = t->n_dims > 0 ? tensor_elements(t->dims + 1, t->n_dims - 1) : 1;
    if (row < 0 || n < 0 || row > rows || n > rows - row)
        return diag_set(why, ST_INVALID, "%s: %s: %lld rows from row %lld, it has %lld", t->file, t->name, (long long)n,
                        (long long)row, (long long)rows);
    if (n == 0 || cols == 0)
        return ST_OK;
    const struct tensor *scale = find_scale(c, t);
    if (scale) {
        read_quantised(t, scale, row, n, cols, out);
        return ST_OK;
    }
    if (!tensor_is_float(t->type))
        return diag_set(why, ST_SHAPE, "%s: %s: expected F32, F16, BF16 or I8 with a scale, found %s", t->file, t->name,
                        tensor_type_word(t->type));
    read_values(t, row * cols, n * cols, out);
    const struct tensor *b = c->base ? checkpoint_find(c->base, t->name) : NULL;
    int64_t base_rows = !b ? 0 : b->n_dims > 0 ? b->dims[0] : 1;
    int64_t shared = base_rows - row < n ? base_rows - row : n;
    if (shared > 0)
        add_base(t, b, row * cols, shared * cols, out);
    return ST_OK;
}

void tensor_advise(const struct tensor *t, int advice)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)t->data + page - 1) / page * page, to = ((uintptr_t)t->data + t->bytes) / page * page;
    if (from < to)
        madvise((void *)from, to - from, advice);
}

void checkpoint_release(const struct checkpoint *c, const struct tensor *t)
{
    const struct tensor *b = c->base ? checkpoint_find(c->base, t->name) : NULL;
    tensor_advise(t, MADV_DONTNEED);
    if (b)
        tensor_advise(b, MADV_DONTNEED);
}
