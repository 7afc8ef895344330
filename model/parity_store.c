#include "model/parity_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "model/safetensors.h"

enum status parity_set_find(const char *path, struct parity_set *out, struct diag *why)
{
    struct stat st;
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    const char *slash = strrchr(path, '/');
    int folder = is_folder ? (int)strlen(path) : slash ? (int)(slash - path) + 1 : 0;
    const char *between = is_folder ? "/" : "";
    int n = is_folder ? snprintf(out->json, sizeof out->json, "%s/cases.json", path)
                      : snprintf(out->json, sizeof out->json, "%s", path);
    int m = snprintf(out->tensors, sizeof out->tensors, "%.*s%stensors.safetensors", folder, path, between);
    if (n < 0 || m < 0 || n >= PARITY_PATH_BYTES || m >= PARITY_PATH_BYTES)
        return diag_set(why, ST_LIMIT, "%.100s...: path too long", path);
    return ST_OK;
}

enum status parity_store_add(struct parity_store *s, const char *name, bool is_int, int rows, int cols,
                             const void *values)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        struct parity_tensor *items = realloc(s->items, capacity * sizeof *items);
        if (!items)
            return ST_NOMEM;
        s->items = items;
        s->capacity = capacity;
    }
    struct parity_tensor *t = &s->items[s->n];
    *t = (struct parity_tensor){.is_int = is_int, .n_dims = rows > 0 ? 2 : 1, .dims = {rows > 0 ? rows : cols, cols}};
    snprintf(t->name, sizeof t->name, "%s", name);
    t->n = (size_t)(rows > 0 ? rows : 1) * (size_t)cols;
    t->values = malloc(t->n > 0 ? t->n * sizeof(float) : 1);
    if (!t->values)
        return ST_NOMEM;
    memcpy(t->values, values, t->n * sizeof(float));
    s->n++;
    return ST_OK;
}

const struct parity_tensor *parity_store_find(const struct parity_store *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    }
    return NULL;
}

void parity_store_fini(struct parity_store *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->items[i].values);
    free(s->items);
    *s = (struct parity_store){0};
}

enum status parity_read_file(const char *path, char **out, size_t *len, struct diag *why)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
    enum status s = ST_OK;
    char *bytes = NULL;
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (size < 0 || fseek(f, 0, SEEK_SET) != 0)
        s = diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    else if (!(bytes = malloc((size_t)size + 1)))
        s = ST_NOMEM;
    else if (fread(bytes, 1, (size_t)size, f) != (size_t)size)
        s = diag_set(why, ST_IO, "%s: could not be read whole", path);
    fclose(f);
    if (s != ST_OK) {
        free(bytes);
        return s;
    }
    bytes[size] = '\0';
    *out = bytes;
    *len = (size_t)size;
    return ST_OK;
}

enum status parity_write_file(const char *path, const void *head, size_t head_len, const void *bytes, size_t len,
                              struct diag *why)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    bool whole = (head_len == 0 || fwrite(head, head_len, 1, f) == 1) && (len == 0 || fwrite(bytes, len, 1, f) == 1);
    if (fclose(f) != 0 || !whole)
        return diag_set(why, ST_IO, "%s: could not be written whole", path);
    return ST_OK;
}

static struct json *entry(const struct parity_tensor *t, size_t at)
{
    struct json *e = jsn_new_object(), *shape = jsn_new_array(), *offsets = jsn_new_array();
    enum status s = e && shape && offsets ? ST_OK : ST_NOMEM;
    for (int d = 0; s == ST_OK && d < t->n_dims; d++)
        s = jsn_push(shape, jsn_new_int(t->dims[d]));
    if (s == ST_OK)
        s = jsn_push(offsets, jsn_new_int((int64_t)at));
    if (s == ST_OK)
        s = jsn_push(offsets, jsn_new_int((int64_t)(at + t->n * sizeof(float))));
    if (s == ST_OK)
        s = jsn_put(e, "dtype", jsn_new_string(t->is_int ? "I32" : "F32"));
    if (s != ST_OK) {
        jsn_free(e);
        jsn_free(shape);
        jsn_free(offsets);
        return NULL;
    }
    s = jsn_put(e, "shape", shape);
    if (s == ST_OK)
        s = jsn_put(e, "data_offsets", offsets);
    else
        jsn_free(offsets);
    if (s == ST_OK)
        return e;
    jsn_free(e);
    return NULL;
}

/* Length, header and blank padding in one block of *len bytes. */
static unsigned char *make_header(const struct parity_store *s, size_t *len)
{
    struct json *header = jsn_new_object();
    enum status status = header ? ST_OK : ST_NOMEM;
    size_t at = 0;
    for (size_t i = 0; status == ST_OK && i < s->n; i++) {
        status = jsn_put(header, s->items[i].name, entry(&s->items[i], at));
        at += s->items[i].n * sizeof(float);
    }
    char *text = status == ST_OK ? jsn_text(header) : NULL;
    jsn_free(header);
    if (!text)
        return NULL;
    size_t n = strlen(text), padded = (n + 7) / 8 * 8;
    unsigned char *out = malloc(padded + 8);
    if (out) {
        memset(out, ' ', padded + 8);
        for (int i = 0; i < 8; i++)
            out[i] = (unsigned char)(padded >> (8 * i));
        memcpy(out + 8, text, n);
        *len = padded + 8;
    }
    free(text);
    return out;
}

enum status parity_store_write(const struct parity_store *s, const char *path, struct diag *why)
{
    size_t total = 0, at = 0, head_len = 0;
    for (size_t i = 0; i < s->n; i++)
        total += s->items[i].n * sizeof(float);
    char *bytes = malloc(total > 0 ? total : 1);
    unsigned char *head = make_header(s, &head_len);
    enum status status = bytes && head ? ST_OK : ST_NOMEM;
    for (size_t i = 0; status == ST_OK && i < s->n; i++) {
        memcpy(bytes + at, s->items[i].values, s->items[i].n * sizeof(float));
        at += s->items[i].n * sizeof(float);
    }
    if (status == ST_OK)
        status = parity_write_file(path, head, head_len, bytes, total, why);
    free(bytes);
    free(head);
    return status;
}

enum status parity_store_read(struct parity_store *s, const char *path, struct diag *why)
{
    char *bytes = NULL;
    size_t len = 0;
    struct tensor_list list = {0};
    enum status status = parity_read_file(path, &bytes, &len, why);
    if (status == ST_OK)
        status = safetensors_read(bytes, len, path, &list, why);
    for (size_t i = 0; status == ST_OK && i < list.n; i++) {
        const struct tensor *t = &list.items[i];
        if ((t->type != TENSOR_F32 && t->type != TENSOR_I32) || t->n_dims < 1 || t->n_dims > 2)
            continue;
        int rows = t->n_dims == 2 ? (int)t->dims[0] : 0;
        status = parity_store_add(s, t->name, t->type == TENSOR_I32, rows, (int)t->dims[t->n_dims - 1], t->data);
    }
    tensor_list_fini(&list);
    free(bytes);
    return status;
}
