#include <stdlib.h>
#include <string.h>

#include "model/torch_pickle.h"
#include "model/zip.h"

enum { MAX_NAME = 512, MAX_PICKLE = 64 << 20 };

struct archive {
    struct zip zip;
    const char *file, *prefix; /* prefix: folder inside the archive, with its slash */
    size_t prefix_len;
    struct diag *why;
};

static bool ends_with(const struct zip_entry *e, const char *tail)
{
    size_t n = strlen(tail);
    return e->name_len >= n && memcmp(e->name + e->name_len - n, tail, n) == 0;
}

/* The folder's name varies; the one entry that ends in /data.pkl gives it. */
static enum status find_pickle(struct archive *a, const struct zip_entry **pickle)
{
    *pickle = NULL;
    for (size_t i = 0; i < a->zip.n; i++) {
        const struct zip_entry *e = &a->zip.entries[i];
        if (!ends_with(e, "/data.pkl"))
            continue;
        if (*pickle)
            return diag_set(a->why, ST_FORMAT, "%s: more than one data.pkl", a->file);
        *pickle = e;
    }
    if (!*pickle)
        return diag_set(a->why, ST_FORMAT, "%s: no data.pkl inside: not a PyTorch weight file", a->file);
    if ((*pickle)->size > MAX_PICKLE)
        return diag_set(a->why, ST_LIMIT, "%s: data.pkl has %zu bytes, at most %d are read", a->file, (*pickle)->size,
                        MAX_PICKLE);
    a->prefix = (*pickle)->name;
    a->prefix_len = (*pickle)->name_len - strlen("data.pkl");
    return zip_check(*pickle, a->file, a->why);
}

/* Entry prefix + folder + key, or NULL. */
static const struct zip_entry *find_entry(const struct archive *a, const char *folder, const char *key, size_t key_len)
{
    char name[MAX_NAME];
    size_t folder_len = strlen(folder);
    if (a->prefix_len + folder_len > MAX_NAME || key_len > MAX_NAME - a->prefix_len - folder_len)
        return NULL;
    memcpy(name, a->prefix, a->prefix_len);
    memcpy(name + a->prefix_len, folder, folder_len);
    memcpy(name + a->prefix_len + folder_len, key, key_len);
    return zip_find(&a->zip, name, a->prefix_len + folder_len + key_len);
}

static enum status check_byte_order(const struct archive *a)
{
    const struct zip_entry *e = find_entry(a, "", "byteorder", strlen("byteorder"));
    if (!e || (e->size == 6 && memcmp(e->data, "little", 6) == 0))
        return ST_OK;
    return diag_set(a->why, ST_UNSUPPORTED, "%s: not in little-endian byte order", a->file);
}

static enum status add_tensor(const struct archive *a, const struct pickled_tensor *p, struct tensor_list *out)
{
    char name[MAX_NAME];
    int shown = p->name_len > 200 ? 200 : (int)p->name_len;
    if (p->name_len >= sizeof name || memchr(p->name, '\0', p->name_len))
        return diag_set(a->why, ST_FORMAT, "%s: %.*s: not a tensor's name", a->file, shown, p->name);
    memcpy(name, p->name, p->name_len);
    name[p->name_len] = '\0';
    const struct zip_entry *e = find_entry(a, "data/", p->storage, p->storage_len);
    if (!e)
        return diag_set(a->why, ST_MISSING, "%s: %.200s: its storage data/%.*s is not there", a->file, name,
                        (int)(p->storage_len > 40 ? 40 : p->storage_len), p->storage);
    size_t each = tensor_type_bytes(p->type);
    if (e->size % each != 0 || e->size / each != (size_t)p->storage_elements)
        return diag_set(a->why, ST_FORMAT, "%s: %.200s: a storage of %lld values, found %zu bytes", a->file, name,
                        (long long)p->storage_elements, e->size);
    struct tensor t = {.name = name, .file = a->file, .type = p->type, .n_dims = p->n_dims};
    memcpy(t.dims, p->dims, sizeof t.dims);
    t.data = e->data + (size_t)p->offset * each;
    t.bytes = (size_t)tensor_elements(p->dims, p->n_dims) * each;
    return tensor_list_add(out, &t);
}

static enum status read_all(struct archive *a, struct tensor_list *out)
{
    const struct zip_entry *pickle;
    struct pickled_tensors found = {0};
    enum status status = find_pickle(a, &pickle);
    if (status == ST_OK)
        status = check_byte_order(a);
    if (status == ST_OK)
        status = torch_pickle_read(pickle->data, pickle->size, a->file, &found, a->why);
    for (size_t i = 0; i < found.n && status == ST_OK; i++)
        status = add_tensor(a, &found.items[i], out);
    free(found.items);
    return status;
}

enum status torch_archive_read(const void *bytes, size_t size, const char *file, struct tensor_list *out,
                               struct diag *why)
{
    struct archive a = {.file = file, .why = why};
    enum status status = zip_open(bytes, size, file, &a.zip, why);
    if (status != ST_OK)
        return status;
    status = read_all(&a, out);
    zip_close(&a.zip);
    return status;
}
