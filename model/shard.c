#include "model/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "model/half.h"
#include "model/tensor_list.h"

enum { BATCH_VALUES = 1 << 20 };

struct writer {
    int fd;
    const char *path;
    struct diag *why;
    float *values; /* a batch of rows as read */
    void *packed;  /* the same as written */
    float *scales; /* of the rows of an I8 tensor */
};

static int64_t row_count(const struct tensor *t)
{
    return t->n_dims > 0 ? t->dims[0] : 1;
}

static int64_t row_width(const struct tensor *t)
{
    return t->n_dims > 0 ? tensor_elements(t->dims + 1, t->n_dims - 1) : 1;
}

static int64_t value_bytes(const struct shard_tensor *t)
{
    return tensor_elements(t->tensor->dims, t->tensor->n_dims) * (int64_t)tensor_type_bytes(t->type);
}

int64_t shard_tensor_bytes(const struct shard_tensor *t)
{
    return value_bytes(t) + (t->type == TENSOR_I8 ? row_count(t->tensor) * (int64_t)sizeof(float) : 0);
}

static enum status write_all(const struct writer *w, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = write(w->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return diag_set(w->why, ST_IO, "%s: %s", w->path, strerror(errno));
        p += n;
        len -= (size_t)n;
    }
    return ST_OK;
}

static enum status open_file(struct writer *w)
{
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return w->fd >= 0 ? ST_OK : diag_set(w->why, ST_IO, "%s: %s", w->path, strerror(errno));
}

/* Errors of the disk may show only here. */
static enum status close_file(struct writer *w, enum status status)
{
    if (status == ST_OK && fsync(w->fd) != 0)
        status = diag_set(w->why, ST_IO, "%s: fsync: %s", w->path, strerror(errno));
    if (close(w->fd) != 0 && status == ST_OK)
        status = diag_set(w->why, ST_IO, "%s: close: %s", w->path, strerror(errno));
    return status;
}

enum status file_write(const char *path, const void *bytes, size_t len, struct diag *why)
{
    struct writer w = {.path = path, .why = why};
    enum status status = open_file(&w);
    return status == ST_OK ? close_file(&w, write_all(&w, bytes, len)) : status;
}

static enum status put_entry(struct json *header, const char *name, enum tensor_type type, const int64_t *dims, int n,
                             int64_t *at, int64_t bytes)
{
    struct json *entry = jsn_new_object(), *shape = jsn_new_array(), *offsets = jsn_new_array();
    enum status status = ST_OK;
    for (int i = 0; i < n && status == ST_OK; i++)
        status = jsn_push(shape, jsn_new_int(dims[i]));
    if (status == ST_OK)
        status = jsn_push(offsets, jsn_new_int(*at));
    *at += bytes;
    if (status == ST_OK)
        status = jsn_push(offsets, jsn_new_int(*at));
    enum status puts[] = {status, jsn_put(entry, "dtype", jsn_new_string(tensor_type_word(type))),
                          jsn_put(entry, "shape", shape), jsn_put(entry, "data_offsets", offsets)};
    for (size_t i = 0; i < sizeof puts / sizeof *puts; i++)
        status = status == ST_OK ? puts[i] : status;
    enum status put = jsn_put(header, name, entry); /* takes the entry in any case */
    return status == ST_OK ? put : status;
}

static enum status scale_name(const struct tensor *t, char *name, size_t size, struct diag *why)
{
    int n = snprintf(name, size, "%s.scale", t->name);
    return n > 0 && (size_t)n < size ? ST_OK : diag_set(why, ST_LIMIT, "%.200s: name too long", t->name);
}

static enum status fill_header(struct json *header, const struct shard_tensor *tensors, size_t n, struct diag *why)
{
    int64_t at = 0;
    struct json *metadata = jsn_new_object();
    enum status status = jsn_put(metadata, "format", jsn_new_string("pt"));
    enum status put = jsn_put(header, "__metadata__", metadata);
    status = status == ST_OK ? put : status;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const struct tensor *t = tensors[i].tensor;
        char name[512];
        status = put_entry(header, t->name, tensors[i].type, t->dims, t->n_dims, &at, value_bytes(&tensors[i]));
        if (status != ST_OK || tensors[i].type != TENSOR_I8)
            continue;
        status = scale_name(t, name, sizeof name, why);
        if (status == ST_OK)
            status = put_entry(header, name, TENSOR_F32, t->dims, 1, &at, row_count(t) * (int64_t)sizeof(float));
    }
    return status;
}

/* Length, header, and spaces so that the data begin at a multiple of 8. */
static enum status write_header(const struct writer *w, const struct shard_tensor *tensors, size_t n)
{
    struct json *header = jsn_new_object();
    enum status status = header ? fill_header(header, tensors, n, w->why) : ST_NOMEM;
    char *text = status == ST_OK ? jsn_text(header) : NULL;
    jsn_free(header);
    if (status != ST_OK || !text)
        return status != ST_OK ? status : ST_NOMEM;
    size_t len = strlen(text), padding = (8 - len % 8) % 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)(len + padding) >> (8 * i));
    status = write_all(w, length, sizeof length);
    if (status == ST_OK)
        status = write_all(w, text, len);
    free(text);
    return status == ST_OK ? write_all(w, "        ", padding) : status;
}

/* Symmetric: scale = max|x| / 127, so that 0 stays 0. */
static void quantise_row(const float *x, int64_t n, signed char *out, float *scale)
{
    float largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    *scale = largest / 127;
    for (int64_t i = 0; i < n; i++)
        out[i] = *scale > 0 ? (signed char)lrintf(x[i] / *scale) : 0;
}

/* False where a finite value became infinite. */
static bool pack_half(const float *x, int64_t n, uint16_t *out, bool is_bf16)
{
    uint16_t infinity = is_bf16 ? 0x7F80 : 0x7C00;
    bool fits = true;
    if (!is_bf16)
        half_write(x, out, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        out[i] = is_bf16 ? bf16_from_f32(x[i]) : out[i];
        fits = fits && ((out[i] & 0x7FFF) != infinity || isinf(x[i]));
    }
    return fits;
}

static bool all_finite(const float *x, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++)
        finite = finite && isfinite(x[i]);
    return finite;
}

static enum status write_rows(struct writer *w, const struct shard_tensor *t, int64_t row, int64_t n)
{
    int64_t width = row_width(t->tensor), count = n * width;
    enum status status = checkpoint_rows(t->from, t->tensor, row, n, w->values, w->why);
    if (status != ST_OK)
        return status;
    const void *packed = w->packed;
    bool fits = true;
    if (t->type == TENSOR_F32)
        packed = w->values;
    else if (t->type != TENSOR_I8)
        fits = pack_half(w->values, count, w->packed, t->type == TENSOR_BF16);
    else
        fits = all_finite(w->values, count);
    for (int64_t r = 0; r < n && fits && t->type == TENSOR_I8; r++)
        quantise_row(w->values + r * width, width, (signed char *)w->packed + r * width, &w->scales[row + r]);
    if (!fits)
        return diag_set(w->why, ST_LIMIT, "%s: %s: a value does not fit into %s", t->tensor->file, t->tensor->name,
                        tensor_type_word(t->type));
    return write_all(w, packed, (size_t)count * tensor_type_bytes(t->type));
}

/* A tensor that is quantised already goes over as it is: a second rounding would only lose. */
static enum status copy_quantised(struct writer *w, const struct shard_tensor *t)
{
    char name[512];
    enum status status = scale_name(t->tensor, name, sizeof name, w->why);
    if (status != ST_OK)
        return status;
    const struct tensor *scale = checkpoint_find(t->from, name);
    if (!scale)
        return diag_set(w->why, ST_MISSING, "%s: %s: not there", t->tensor->file, name);
    status = write_all(w, t->tensor->data, t->tensor->bytes);
    return status == ST_OK ? write_all(w, scale->data, scale->bytes) : status;
}

static enum status write_tensor(struct writer *w, const struct shard_tensor *t)
{
    if (t->type == TENSOR_I8 && t->tensor->type == TENSOR_I8)
        return copy_quantised(w, t);
    int64_t rows = row_count(t->tensor), width = row_width(t->tensor);
    int64_t batch = width < BATCH_VALUES && width > 0 ? BATCH_VALUES / width : 1;
    batch = batch < rows ? batch : rows;
    size_t count = (size_t)(batch * width) + 1;
    w->values = malloc(count * sizeof *w->values);
    w->packed = malloc(count * sizeof *w->values);
    w->scales = calloc((size_t)rows + 1, sizeof *w->scales);
    enum status status = w->values && w->packed && w->scales ? ST_OK : ST_NOMEM;
    for (int64_t row = 0; row < rows && status == ST_OK; row += batch) {
        status = write_rows(w, t, row, batch < rows - row ? batch : rows - row);
        checkpoint_release(t->from, t->tensor);
    }
    if (status == ST_OK && t->type == TENSOR_I8)
        status = write_all(w, w->scales, (size_t)rows * sizeof *w->scales);
    free(w->values);
    free(w->packed);
    free(w->scales);
    return status;
}

enum status shard_write(const char *path, const struct shard_tensor *tensors, size_t n, struct shard_progress *progress,
                        struct diag *why)
{
    struct writer w = {.path = path, .why = why};
    enum status status = open_file(&w);
    if (status != ST_OK)
        return status;
    status = write_header(&w, tensors, n);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        if (progress->fn)
            progress->fn(progress->ctx, tensors[i].tensor->name, progress->done, progress->total);
        status = write_tensor(&w, &tensors[i]);
        progress->done += shard_tensor_bytes(&tensors[i]);
    }
    return close_file(&w, status);
}
