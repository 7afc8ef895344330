#include "cli/tensor_writer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "model/half.h"
#include "model/tensor_list.h"

enum { BLOCK_BYTES = 4 << 20, HEADER_ALIGN = 8, INT8_MAX_VALUE = 127 };

struct item {
    const struct tensor *t;
    enum tensor_type type; /* in the file to be written */
    bool raw;              /* bytes as they are */
    bool with_scale;       /* i8: a scale tensor follows */
};

struct writer {
    const struct checkpoint *c;
    struct item *items;
    size_t n;
    FILE *f;
    const char *path;
    float *rows; /* a block of rows in f32 */
    unsigned char *bytes;
    float *scales; /* of the tensor being written */
};

/* ---- what is written, and as what ---------------------------------------------------------------------------------
 */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_float_type(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

/* The linear layers that the engine runs in its compute precision: region sampler, embeddings and norms are not among
 * them. */
static bool is_quantisable(const struct tensor *t)
{
    if (t->n_dims != 2 || !ends_with(t->name, ".weight"))
        return false;
    return strncmp(t->name, "model.layers.", 13) == 0 || strcmp(t->name, "lm_head.weight") == 0 ||
           strncmp(t->name, "vision_model.encoder.layers.", 28) == 0;
}

static const struct tensor *scale_of(const struct checkpoint *c, const struct tensor *t)
{
    char name[512];
    if (t->type != TENSOR_I8 || snprintf(name, sizeof name, "%s.scale", t->name) >= (int)sizeof name)
        return NULL;
    return checkpoint_find(c, name);
}

/* "X.scale" beside an i8 X: written, or left out, together with X. */
static bool is_scale(const struct checkpoint *c, const struct tensor *t)
{
    char name[512];
    if (!ends_with(t->name, ".scale") || snprintf(name, sizeof name, "%s", t->name) >= (int)sizeof name)
        return false;
    name[strlen(name) - strlen(".scale")] = 0;
    const struct tensor *owner = checkpoint_find(c, name);
    return owner && owner->type == TENSOR_I8;
}

static struct item plan_item(const struct checkpoint *c, const struct tensor *t, enum write_dtype dtype)
{
    bool quantised = scale_of(c, t) != NULL;
    /* What is i8 already stays as it is, its scales too: a second rounding would move them. */
    bool kept = (quantised || is_scale(c, t)) && (dtype == WRITE_STORED || dtype == WRITE_INT8);
    if (kept || (!is_float_type(t->type) && !quantised))
        return (struct item){.t = t, .type = t->type, .raw = true};
    switch (dtype) {
    case WRITE_F32: return (struct item){.t = t, .type = TENSOR_F32};
    case WRITE_F16: return (struct item){.t = t, .type = TENSOR_F16};
    case WRITE_BF16: return (struct item){.t = t, .type = TENSOR_BF16};
    case WRITE_INT8:
        if (is_quantisable(t))
            return (struct item){.t = t, .type = TENSOR_I8, .with_scale = true};
        break;
    case WRITE_STORED: break;
    }
    if (checkpoint_is_delta(c))
        return (struct item){.t = t, .type = TENSOR_F16};
    return (struct item){.t = t, .type = t->type, .raw = true};
}

static int64_t row_count(const struct tensor *t)
{
    return t->n_dims > 0 ? t->dims[0] : 1;
}

static int64_t column_count(const struct tensor *t)
{
    return t->n_dims > 0 ? tensor_elements(t->dims + 1, t->n_dims - 1) : 1;
}

static size_t item_bytes(const struct item *item)
{
    return (size_t)tensor_elements(item->t->dims, item->t->n_dims) * tensor_type_bytes(item->type);
}

/* ---- the header ----------------------------------------------------------------------------------------------------
 */

static enum status put_entry(struct json *header, const char *name, enum tensor_type type, const int64_t *dims, int n,
                             size_t *at, size_t bytes)
{
    struct json *entry = jsn_new_object(), *shape = jsn_new_array(), *offsets = jsn_new_array();
    enum status s = jsn_put(entry, "dtype", jsn_new_string(tensor_type_word(type)));
    for (int d = 0; s == ST_OK && d < n; d++)
        s = jsn_push(shape, jsn_new_int(dims[d]));
    if (s == ST_OK)
        s = jsn_push(offsets, jsn_new_int((int64_t)*at));
    *at += bytes;
    if (s == ST_OK)
        s = jsn_push(offsets, jsn_new_int((int64_t)*at));
    enum status put_shape = jsn_put(entry, "shape", shape);
    enum status put_offsets = jsn_put(entry, "data_offsets", offsets);
    enum status put = jsn_put(header, name, entry);
    return s == ST_OK && put_shape == ST_OK && put_offsets == ST_OK ? put : ST_NOMEM;
}

static struct json *header_json(const struct writer *w)
{
    struct json *header = jsn_new_object();
    size_t at = 0;
    enum status s = header ? ST_OK : ST_NOMEM;
    for (size_t i = 0; s == ST_OK && i < w->n; i++) {
        const struct item *item = &w->items[i];
        const struct tensor *t = item->t;
        s = put_entry(header, t->name, item->type, t->dims, t->n_dims, &at, item_bytes(item));
        if (s == ST_OK && item->with_scale) {
            char name[512];
            snprintf(name, sizeof name, "%s.scale", t->name);
            s = put_entry(header, name, TENSOR_F32, t->dims, 1, &at, (size_t)t->dims[0] * sizeof(float));
        }
    }
    if (s == ST_OK)
        return header;
    jsn_free(header);
    return NULL;
}

static enum status put_bytes(struct writer *w, const void *bytes, size_t n, struct diag *why)
{
    if (n > 0 && fwrite(bytes, 1, n, w->f) != n)
        return diag_set(why, ST_IO, "%s: %s", w->path, strerror(errno));
    return ST_OK;
}

static enum status write_header(struct writer *w, struct diag *why)
{
    struct json *header = header_json(w);
    char *text = header ? jsn_text(header) : NULL;
    jsn_free(header);
    if (!text)
        return ST_NOMEM;
    size_t len = strlen(text), padded = (len + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    unsigned char size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    enum status s = put_bytes(w, size, sizeof size, why);
    if (s == ST_OK)
        s = put_bytes(w, text, len, why);
    if (s == ST_OK)
        s = put_bytes(w, "        ", padded - len, why);
    free(text);
    return s;
}

/* ---- values --------------------------------------------------------------------------------------------------------
 */

static void encode_int8(const float *row, int64_t cols, signed char *out, float *scale)
{
    float largest = 0;
    for (int64_t i = 0; i < cols; i++)
        largest = fmaxf(largest, fabsf(row[i]));
    *scale = largest / INT8_MAX_VALUE;
    for (int64_t i = 0; i < cols; i++)
        out[i] = (signed char)(*scale > 0 ? lrintf(row[i] / *scale) : 0);
}

/* n rows of w->rows, as the item's type, into w->bytes; their scales into w->scales where it has some. */
static size_t encode(struct writer *w, const struct item *item, int64_t row, int64_t n, int64_t cols)
{
    int64_t count = n * cols;
    uint16_t *halves = (uint16_t *)(void *)w->bytes;
    switch (item->type) {
    case TENSOR_F16:
        for (int64_t i = 0; i < count; i++)
            halves[i] = half_from_f32(w->rows[i]);
        break;
    case TENSOR_BF16:
        for (int64_t i = 0; i < count; i++)
            halves[i] = bf16_from_f32(w->rows[i]);
        break;
    case TENSOR_I8:
        for (int64_t r = 0; r < n; r++)
            encode_int8(w->rows + r * cols, cols, (signed char *)w->bytes + r * cols, &w->scales[row + r]);
        break;
    default: memcpy(w->bytes, w->rows, (size_t)count * sizeof(float));
    }
    return (size_t)count * tensor_type_bytes(item->type);
}

static enum status write_item(struct writer *w, const struct item *item, struct diag *why)
{
    const struct tensor *t = item->t;
    if (item->raw)
        return put_bytes(w, t->data, t->bytes, why);
    int64_t rows = row_count(t), cols = column_count(t);
    if (rows == 0 || cols == 0)
        return ST_OK;
    int64_t block = BLOCK_BYTES / (cols * (int64_t)sizeof(float));
    if (block < 1)
        block = 1;
    w->rows = malloc((size_t)(block * cols) * sizeof *w->rows);
    w->bytes = malloc((size_t)(block * cols) * sizeof(float));
    w->scales = malloc((size_t)rows * sizeof *w->scales);
    enum status s = w->rows && w->bytes && w->scales ? ST_OK : ST_NOMEM;
    for (int64_t row = 0; s == ST_OK && row < rows; row += block) {
        int64_t n = rows - row < block ? rows - row : block;
        s = checkpoint_rows(w->c, t, row, n, w->rows, why);
        if (s == ST_OK)
            s = put_bytes(w, w->bytes, encode(w, item, row, n, cols), why);
    }
    if (s == ST_OK && item->with_scale)
        s = put_bytes(w, w->scales, (size_t)rows * sizeof *w->scales, why);
    free(w->rows);
    free(w->bytes);
    free(w->scales);
    return s;
}

/* ---- all together --------------------------------------------------------------------------------------------------
 */

static enum status plan(struct writer *w, const char *prefix, enum write_dtype dtype, struct diag *why)
{
    w->items = calloc(checkpoint_count(w->c) + 1, sizeof *w->items);
    if (!w->items)
        return ST_NOMEM;
    for (size_t i = 0; i < checkpoint_count(w->c); i++) {
        const struct tensor *t = checkpoint_at(w->c, i);
        bool dequantised = dtype != WRITE_STORED && dtype != WRITE_INT8;
        if (strncmp(t->name, prefix, strlen(prefix)) != 0 || (dequantised && is_scale(w->c, t)))
            continue;
        if (t->type == TENSOR_OTHER)
            return diag_set(why, ST_UNSUPPORTED, "%s: %s: its type cannot be written", t->file, t->name);
        w->items[w->n++] = plan_item(w->c, t, dtype);
    }
    if (w->n == 0)
        return diag_set(why, ST_MISSING, "%s: no tensor named %s*", checkpoint_dir(w->c), prefix);
    return ST_OK;
}

static enum status write_file(struct writer *w, struct diag *why)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", w->path) >= (int)sizeof temporary)
        return diag_set(why, ST_LIMIT, "%s: path too long", w->path);
    w->f = fopen(temporary, "wb");
    if (!w->f)
        return diag_set(why, ST_IO, "%s: %s", temporary, strerror(errno));
    enum status s = write_header(w, why);
    for (size_t i = 0; s == ST_OK && i < w->n; i++)
        s = write_item(w, &w->items[i], why);
    if (s == ST_OK && (fflush(w->f) != 0 || fsync(fileno(w->f)) != 0))
        s = diag_set(why, ST_IO, "%s: %s", temporary, strerror(errno));
    if (fclose(w->f) != 0 && s == ST_OK)
        s = diag_set(why, ST_IO, "%s: %s", temporary, strerror(errno));
    if (s == ST_OK && rename(temporary, w->path) != 0)
        s = diag_set(why, ST_IO, "%s: %s", w->path, strerror(errno));
    if (s != ST_OK)
        unlink(temporary);
    return s;
}

enum status tensors_write(const struct checkpoint *c, const char *prefix, enum write_dtype dtype, const char *path,
                          struct diag *why)
{
    struct writer w = {.c = c, .path = path};
    enum status s = plan(&w, prefix, dtype, why);
    if (s == ST_OK)
        s = write_file(&w, why);
    free(w.items);
    return s;
}
