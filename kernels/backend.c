/* Life, weights and arrays of a backend: checks, then the backend's own function. */
#include "kernels/backend_impl.h"

#include <assert.h>
#include <string.h>

const char *dtype_name(enum dtype d)
{
    static const char *const names[] = {
        [DTYPE_F32] = "f32", [DTYPE_F16] = "f16", [DTYPE_BF16] = "bf16", [DTYPE_INT8] = "int8", [DTYPE_FP8] = "fp8"};
    return (unsigned)d < DTYPE_COUNT_ ? names[d] : "unknown";
}

enum status dtype_parse(const char *name, enum dtype *out, struct diag *why)
{
    for (int d = 0; d < DTYPE_COUNT_; d++) {
        if (strcmp(name, dtype_name((enum dtype)d)) == 0) {
            *out = (enum dtype)d;
            return ST_OK;
        }
    }
    return diag_set(why, ST_INVALID, "dtype '%s' is none of f32, f16, bf16, int8, fp8", name);
}

static bool names_device(const char *device, const char *kind)
{
    size_t n = strlen(kind);
    return strncmp(device, kind, n) == 0 && (device[n] == '\0' || device[n] == ':');
}

enum status backend_open(const struct backend_options *o, struct backend **out, struct diag *why)
{
    assert(o && o->device && out && (unsigned)o->dtype < DTYPE_COUNT_ && o->threads >= 0);
    if (names_device(o->device, "cpu"))
        return cpu_open(o, out, why);
    if (names_device(o->device, "cuda"))
        return diag_set(why, ST_MISSING, "device '%s': this build has no CUDA plugin; use device cpu", o->device);
    return diag_set(why, ST_UNSUPPORTED, "device '%s' is neither cpu nor cuda:N", o->device);
}

void backend_close(struct backend *be)
{
    if (be)
        be->ops->close(be);
}

const struct backend_caps *backend_caps(const struct backend *be)
{
    return &be->caps;
}

size_t backend_used_bytes(const struct backend *be)
{
    return be->used_bytes;
}

enum status backend_sync(struct backend *be, struct diag *why)
{
    return be->ops->sync(be, why);
}

enum status backend_weight(struct backend *be, enum weight_use use, const struct weight_source *src,
                           struct weight **out, struct diag *why)
{
    assert(src && src->read && src->rows > 0 && src->cols > 0 && out);
    assert(use != WEIGHT_GLU || src->rows % 2 == 0);
    return be->ops->weight(be, use, src, out, why);
}

enum status backend_act(struct backend *be, int max_rows, int cols, struct act **out, struct diag *why)
{
    assert(max_rows > 0 && cols > 0 && out);
    return be->ops->act(be, max_rows, cols, out, why);
}

int act_cols(const struct act *a)
{
    return a->cols;
}

int act_max_rows(const struct act *a)
{
    return a->max_rows;
}

enum status act_write(struct backend *be, struct act *a, int row, int n, const float *values, struct diag *why)
{
    assert(row >= 0 && n >= 0 && row + n <= a->max_rows && values);
    return be->ops->act_write(be, a, row, n, values, why);
}

enum status act_read(struct backend *be, const struct act *a, int row, int n, float *values, struct diag *why)
{
    assert(row >= 0 && n >= 0 && row + n <= a->max_rows && values);
    return be->ops->act_read(be, a, row, n, values, why);
}

enum status backend_array(struct backend *be, enum array_kind kind, size_t n, struct array **out, struct diag *why)
{
    assert(n > 0 && out);
    return be->ops->array(be, kind, n, out, why);
}

enum status array_write(struct backend *be, struct array *a, size_t at, size_t n, const void *values, struct diag *why)
{
    assert(at <= a->n && n <= a->n - at && values);
    return be->ops->array_write(be, a, at, n, values, why);
}

enum status array_read(struct backend *be, const struct array *a, size_t at, size_t n, void *values, struct diag *why)
{
    assert(at <= a->n && n <= a->n - at && values);
    return be->ops->array_read(be, a, at, n, values, why);
}

static void check_kv_shape(const struct kv_shape *s)
{
    assert(s && s->layers > 0 && s->heads > 0 && s->n_pages > 0);
    assert(s->head_dim > 0 && s->head_dim <= MAX_HEAD_DIM && s->head_dim % 2 == 0);
}

size_t backend_kv_page_bytes(const struct backend *be, const struct kv_shape *shape)
{
    check_kv_shape(shape);
    return be->ops->kv_page_bytes(be, shape);
}

enum status backend_kv(struct backend *be, const struct kv_shape *shape, struct diag *why)
{
    check_kv_shape(shape);
    assert(be->kv.layers == 0);
    enum status s = be->ops->kv(be, shape, why);
    if (s == ST_OK)
        be->kv = *shape;
    return s;
}

void backend_step_begin(struct backend *be, const struct step *step)
{
    be->ops->step_begin(be, step);
}

enum status backend_step_end(struct backend *be, struct diag *why)
{
    return be->ops->step_end(be, why);
}
