#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

struct dtype {
    const char *word;
    size_t bytes;
    enum tensor_type type;
};

static const struct dtype dtypes[] = {
    {"F32", 4, TENSOR_F32},    {"F16", 2, TENSOR_F16},   {"BF16", 2, TENSOR_BF16}, {"I64", 8, TENSOR_I64},
    {"I32", 4, TENSOR_I32},    {"I8", 1, TENSOR_I8},     {"U8", 1, TENSOR_U8},     {"F64", 8, TENSOR_OTHER},
    {"I16", 2, TENSOR_OTHER},  {"U16", 2, TENSOR_OTHER}, {"U32", 4, TENSOR_OTHER}, {"U64", 8, TENSOR_OTHER},
    {"BOOL", 1, TENSOR_OTHER},
};

struct reading {
    const char *file;
    const unsigned char *body;
    int64_t body_bytes;
    struct tensor_list *out;
    struct diag *why;
    enum status status;
};

static const struct dtype *find_dtype(const char *word)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].word, word) == 0)
            return &dtypes[i];
    return NULL;
}

static enum status read_shape(struct reading *r, const char *name, const struct json *shape, struct tensor *t)
{
    if (jsn_kind(shape) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: %.200s: no shape", r->file, name);
    if (jsn_size(shape) > TENSOR_MAX_DIMS)
        return diag_set(r->why, ST_LIMIT, "%s: %.200s: %zu dimensions, at most %d are read", r->file, name,
                        jsn_size(shape), TENSOR_MAX_DIMS);
    t->n_dims = (int)jsn_size(shape);
    for (int i = 0; i < t->n_dims; i++) {
        t->dims[i] = jsn_int(jsn_at(shape, (size_t)i), -1);
        if (t->dims[i] < 0)
            return diag_set(r->why, ST_FORMAT, "%s: %.200s: dimension %d is no size", r->file, name, i);
    }
    return ST_OK;
}

static enum status read_entry(struct reading *r, const char *name, const struct json *entry)
{
    const char *word = jsn_string(jsn_get(entry, "dtype"), NULL);
    const struct dtype *dtype = word ? find_dtype(word) : NULL;
    if (!dtype)
        return diag_set(r->why, ST_FORMAT, "%s: %.200s: unknown dtype \"%.40s\"", r->file, name, word ? word : "");
    struct tensor t = {.name = name, .file = r->file, .type = dtype->type};
    enum status status = read_shape(r, name, jsn_get(entry, "shape"), &t);
    if (status != ST_OK)
        return status;
    const struct json *offsets = jsn_get(entry, "data_offsets");
    int64_t begin = jsn_int(jsn_at(offsets, 0), -1), end = jsn_int(jsn_at(offsets, 1), -1);
    if (jsn_size(offsets) != 2 || begin < 0 || end < begin)
        return diag_set(r->why, ST_FORMAT, "%s: %.200s: data_offsets are no range", r->file, name);
    if (end > r->body_bytes)
        return diag_set(r->why, ST_FORMAT, "%s: %.200s: ends at byte %lld of the data, the file has %lld", r->file,
                        name, (long long)end, (long long)r->body_bytes);
    int64_t elements = tensor_elements(t.dims, t.n_dims), want;
    char shape[TENSOR_SHAPE_TEXT];
    if (elements < 0 || __builtin_mul_overflow(elements, (int64_t)dtype->bytes, &want) || want != end - begin)
        return diag_set(r->why, ST_FORMAT, "%s: %.200s: %s %s does not take the %lld bytes of its data_offsets",
                        r->file, name, dtype->word, tensor_shape_text(t.dims, t.n_dims, shape),
                        (long long)(end - begin));
    t.data = r->body + begin;
    t.bytes = (size_t)(end - begin);
    return tensor_list_add(r->out, &t);
}

static bool visit(void *ctx, const char *name, const struct json *entry)
{
    struct reading *r = ctx;
    if (strcmp(name, "__metadata__") != 0)
        r->status = read_entry(r, name, entry);
    return r->status == ST_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;
    const char *from_x = x->data, *from_y = y->data;
    if (from_x != from_y)
        return from_x < from_y ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Every byte of the body belongs to one tensor: no overlap, no hole, no tail. */
static enum status check_cover(struct reading *r, size_t first)
{
    size_t n = r->out->n - first;
    const struct tensor **order = malloc((n + 1) * sizeof *order);
    if (!order)
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++)
        order[i] = &r->out->items[first + i];
    qsort(order, n, sizeof *order, by_place);
    const unsigned char *at = r->body;
    enum status status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const unsigned char *from = order[i]->data;
        if (from < at)
            status =
                diag_set(r->why, ST_FORMAT, "%s: %.200s overlaps %.200s", r->file, order[i]->name, order[i - 1]->name);
        else if (from > at)
            status = diag_set(r->why, ST_FORMAT, "%s: %lld bytes in front of %.200s belong to no tensor", r->file,
                              (long long)(from - at), order[i]->name);
        at = from + order[i]->bytes;
    }
    free(order);
    long long rest = (long long)(r->body + r->body_bytes - at);
    if (status == ST_OK && rest > 0)
        status = diag_set(r->why, ST_FORMAT, "%s: %lld bytes at the end belong to no tensor", r->file, rest);
    return status;
}

enum status safetensors_read(const void *bytes, size_t size, const char *file, struct tensor_list *out,
                             struct diag *why)
{
    const unsigned char *p = bytes;
    if (size < 8)
        return diag_set(why, ST_FORMAT, "%s: %zu bytes, too short for a safetensors file", file, size);
    uint64_t header = 0;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | p[i];
    if (header > SAFETENSORS_MAX_HEADER)
        return diag_set(why, ST_LIMIT, "%s: a header of %llu bytes, at most %d are read", file,
                        (unsigned long long)header, SAFETENSORS_MAX_HEADER);
    if (header > size - 8)
        return diag_set(why, ST_FORMAT, "%s: cut short: a header of %llu bytes, the file has %zu", file,
                        (unsigned long long)header, size);
    struct json *root = NULL;
    enum status status = jsn_parse((const char *)p + 8, (size_t)header, file, &root, why);
    if (status != ST_OK)
        return status;
    struct reading r = {file, p + 8 + header, (int64_t)(size - 8 - header), out, why, ST_OK};
    size_t first = out->n;
    if (jsn_kind(root) == JSON_KIND_OBJECT)
        jsn_each(root, visit, &r);
    else
        r.status = diag_set(why, ST_FORMAT, "%s: the header is no JSON object", file);
    jsn_free(root);
    return r.status == ST_OK ? check_cover(&r, first) : r.status;
}
