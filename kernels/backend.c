/* Life, weights and arrays of a backend: checks, then the backend's own function. */
#include "kernels/plugin.h"

#include <assert.h>
#include <string.h>

static bool names_device(const char *device, const char *kind)
{
    size_t n = strlen(kind);
    return strncmp(device, kind, n) == 0 && (device[n] == '\0' || device[n] == ':');
}

static enum status unknown_device(const char *device, struct diag *why)
{
    return diag_set(why, ST_UNSUPPORTED, "device '%s' is neither cpu nor cuda:N", device);
}

static bool is_plugged(const char *device)
{
    return names_device(device, "cuda") || names_device(device, "simt");
}

enum status backend_device_memory(const char *device, size_t *bytes, struct diag *why)
{
    const struct backend_plugin *plugin;
    if (names_device(device, "cpu")) {
        *bytes = 0;
        return ST_OK;
    }
    if (!is_plugged(device))
        return unknown_device(device, why);
    enum status s = plugin_load(device, &plugin, why);
    return s == ST_OK ? plugin->memory(device, bytes, why) : s;
}

enum status backend_open(const struct backend_options *o, struct backend **out, struct diag *why)
{
    assert(o && o->device && out && (unsigned)o->dtype < DTYPE_COUNT_ && o->threads >= 0);
    const struct backend_plugin *plugin;
    if (names_device(o->device, "cpu"))
        return cpu_open(o, out, why);
    if (!is_plugged(o->device))
        return unknown_device(o->device, why);
    enum status s = plugin_load(o->device, &plugin, why);
    return s == ST_OK ? plugin->open(o, out, why) : s;
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

struct backend_mark backend_mark(const struct backend *be)
{
    return (struct backend_mark){be->ops->mark(be)};
}

void backend_forget(struct backend *be, struct backend_mark mark)
{
    assert(be->sends == 0 && be->caps.recordings == 0);
    be->ops->forget(be, mark.made);
    be->kv = (struct kv_shape){0};
}

bool backend_ran_out(struct backend *be)
{
    bool out = be->ran_out;
    be->ran_out = false;
    return out;
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

enum status backend_weight_seeded(struct backend *be, enum weight_use use, const struct weight_seed *seed,
                                  struct weight **out, struct diag *why)
{
    assert(seed && seed->rows > 0 && seed->cols > 0 && out);
    assert(use != WEIGHT_GLU || seed->rows % 2 == 0);
    return be->ops->weight_seeded(be, use, seed, out, why);
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

void array_send(struct backend *be, const struct array *a, size_t n)
{
    assert(n <= a->n && n * sizeof(int32_t) <= ARRAY_SEND_BYTES && be->sends < ARRAY_SENDS);
    be->sends++;
    be->ops->array_send(be, a, n);
}

enum status array_receive(struct backend *be, void *values, struct diag *why)
{
    assert(be->sends > 0 && values);
    be->sends--;
    return be->ops->array_receive(be, values, why);
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

void backend_step_size(const struct backend *be, struct step *step, int max_sampled)
{
    assert(step->n_rows >= 0 && step->n_sampled >= 0 && step->n_sampled <= max_sampled);
    be->ops->step_size(be, step, max_sampled);
    assert(step->rows >= step->n_rows && step->samples >= step->n_sampled);
}

enum status backend_step_record(struct backend *be, const struct step *step, bool *begun, struct diag *why)
{
    assert(be->kv.layers > 0);
    return be->ops->step_record(be, step, begun, why);
}

bool backend_step_begin(struct backend *be, const struct step *step, bool replay)
{
    return be->ops->step_begin(be, step, replay);
}

enum status backend_step_end(struct backend *be, struct diag *why)
{
    return be->ops->step_end(be, why);
}
