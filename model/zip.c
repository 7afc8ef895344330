#include "model/zip.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56, CENTRAL_BYTES = 46, LOCAL_BYTES = 30 };
enum { MAX_COMMENT = 65535, MAX_ENTRIES = 1 << 20 };

struct archive {
    const uint8_t *bytes;
    uint64_t size;
    const char *file;
    struct diag *why;
};

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* count bytes at `at`, or NULL where the archive is shorter. */
static const uint8_t *at_offset(const struct archive *a, uint64_t at, uint64_t count)
{
    return at <= a->size && count <= a->size - at ? a->bytes + at : NULL;
}

static enum status broken(const struct archive *a, const char *what)
{
    return diag_set(a->why, ST_FORMAT, "%s: broken zip archive (or cut short): %s", a->file, what);
}

struct directory {
    uint64_t at, bytes, n;
};

static enum status read_end64(const struct archive *a, uint64_t end_at, struct directory *d)
{
    const uint8_t *locator = end_at >= LOCATOR_BYTES ? at_offset(a, end_at - LOCATOR_BYTES, LOCATOR_BYTES) : NULL;
    if (!locator || memcmp(locator, "PK\6\7", 4) != 0)
        return broken(a, "no zip64 locator");
    const uint8_t *end = at_offset(a, little(locator + 8, 8), END64_BYTES);
    if (!end || memcmp(end, "PK\6\6", 4) != 0)
        return broken(a, "no zip64 end record");
    *d = (struct directory){little(end + 48, 8), little(end + 40, 8), little(end + 32, 8)};
    return ST_OK;
}

/* The end record is the last thing but a comment of unknown length: looked for from the back. */
static enum status find_directory(const struct archive *a, struct directory *d)
{
    if (a->size < 4 || memcmp(a->bytes, "PK\3\4", 4) != 0)
        return diag_set(a->why, ST_FORMAT, "%s: not a zip archive (PyTorch 1.6 and later write those)", a->file);
    uint64_t last = a->size >= END_BYTES ? a->size - END_BYTES : 0;
    for (uint64_t back = 0; back <= MAX_COMMENT && back <= last; back++) {
        const uint8_t *end = at_offset(a, last - back, END_BYTES);
        if (!end || memcmp(end, "PK\5\6", 4) != 0 || little(end + 20, 2) != back)
            continue;
        *d = (struct directory){little(end + 16, 4), little(end + 12, 4), little(end + 10, 2)};
        bool is_64 = d->at == UINT32_MAX || d->bytes == UINT32_MAX || d->n == UINT16_MAX;
        return is_64 ? read_end64(a, last - back, d) : ST_OK;
    }
    return broken(a, "no end record");
}

/* Replaces the fields that say "see zip64" by the values of the zip64 extra field. */
static bool read_extra64(const uint8_t *extra, size_t len, uint64_t *fields[3])
{
    while (len >= 4) {
        size_t id = (size_t)little(extra, 2), bytes = (size_t)little(extra + 2, 2);
        extra += 4, len -= 4;
        if (bytes > len)
            return false;
        if (id == 1) {
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != UINT32_MAX)
                    continue;
                if (bytes < 8)
                    return false;
                *fields[i] = little(extra, 8);
                extra += 8, bytes -= 8;
            }
            return true;
        }
        extra += bytes, len -= bytes;
    }
    return *fields[0] != UINT32_MAX && *fields[1] != UINT32_MAX && *fields[2] != UINT32_MAX;
}

static enum status read_entry(const struct archive *a, uint64_t *at, uint64_t end, struct zip_entry *e)
{
    const uint8_t *c = end - *at >= CENTRAL_BYTES ? at_offset(a, *at, CENTRAL_BYTES) : NULL;
    if (!c || memcmp(c, "PK\1\2", 4) != 0)
        return broken(a, "its directory");
    size_t name_len = (size_t)little(c + 28, 2), extra_len = (size_t)little(c + 30, 2);
    uint64_t whole = CENTRAL_BYTES + name_len + extra_len + little(c + 32, 2);
    if (whole > end - *at)
        return broken(a, "its directory");
    *at += whole;
    const char *name = (const char *)c + CENTRAL_BYTES;
    int shown = name_len > 200 ? 200 : (int)name_len;
    uint64_t size = little(c + 24, 4), packed = little(c + 20, 4), local_at = little(c + 42, 4);
    uint64_t *fields[3] = {&size, &packed, &local_at};
    if (!read_extra64(c + CENTRAL_BYTES + name_len, extra_len, fields))
        return broken(a, "a zip64 field");
    if (little(c + 10, 2) != 0 || little(c + 8, 2) & 1 || packed != size)
        return diag_set(a->why, ST_UNSUPPORTED, "%s: %.*s: compressed or encrypted; only stored entries are read",
                        a->file, shown, name);
    const uint8_t *local = at_offset(a, local_at, LOCAL_BYTES);
    if (!local || memcmp(local, "PK\3\4", 4) != 0)
        return diag_set(a->why, ST_FORMAT, "%s: %.*s: no entry where the directory says", a->file, shown, name);
    size_t local_name = (size_t)little(local + 26, 2);
    uint64_t data_at = local_at + LOCAL_BYTES + local_name + little(local + 28, 2);
    const uint8_t *data = at_offset(a, data_at, size);
    if (!data)
        return diag_set(a->why, ST_FORMAT, "%s: %.*s: %llu bytes reach past the end (file cut short?)", a->file, shown,
                        name, (unsigned long long)size);
    if (local_name != name_len || memcmp(local + LOCAL_BYTES, name, name_len) != 0)
        return diag_set(a->why, ST_FORMAT, "%s: %.*s: the entry has another name", a->file, shown, name);
    *e = (struct zip_entry){name, name_len, data, (size_t)size, (uint32_t)little(c + 16, 4)};
    return ST_OK;
}

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int by_name(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_len, y->name, y->name_len);
}

static int by_place(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static enum status check_entries(const struct archive *a, struct zip_entry *entries, size_t n)
{
    qsort(entries, n, sizeof *entries, by_place);
    for (size_t i = 1; i < n; i++)
        if (entries[i].data < entries[i - 1].data + entries[i - 1].size)
            return broken(a, "entries overlap");
    qsort(entries, n, sizeof *entries, by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&entries[i - 1], &entries[i]) == 0)
            return broken(a, "a name occurs twice");
    return ST_OK;
}

enum status zip_open(const void *bytes, size_t size, const char *file, struct zip *out, struct diag *why)
{
    struct archive a = {bytes, size, file, why};
    struct directory d = {0};
    enum status status = find_directory(&a, &d);
    if (status != ST_OK)
        return status;
    if (!at_offset(&a, d.at, d.bytes) || d.n > MAX_ENTRIES || d.n > d.bytes / CENTRAL_BYTES)
        return broken(&a, "its end record");
    struct zip_entry *entries = calloc((size_t)d.n + 1, sizeof *entries);
    if (!entries)
        return ST_NOMEM;
    uint64_t at = d.at;
    for (uint64_t i = 0; i < d.n && status == ST_OK; i++)
        status = read_entry(&a, &at, d.at + d.bytes, &entries[i]);
    if (status == ST_OK)
        status = check_entries(&a, entries, (size_t)d.n);
    if (status != ST_OK) {
        free(entries);
        return status;
    }
    *out = (struct zip){entries, (size_t)d.n};
    return ST_OK;
}

void zip_close(struct zip *z)
{
    free(z->entries);
    *z = (struct zip){0};
}

const struct zip_entry *zip_find(const struct zip *z, const char *name, size_t name_len)
{
    struct zip_entry key = {.name = name, .name_len = name_len};
    return z->n ? bsearch(&key, z->entries, z->n, sizeof key, by_name) : NULL;
}

enum status zip_check(const struct zip_entry *e, const char *file, struct diag *why)
{
    int shown = e->name_len > 200 ? 200 : (int)e->name_len;
    return crc32_z(0, e->data, e->size) == e->crc
               ? ST_OK
               : diag_set(why, ST_FORMAT, "%s: %.*s: its checksum does not match", file, shown, e->name);
}
