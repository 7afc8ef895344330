#include "model/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "model/checkpoint_impl.h"
#include "model/safetensors.h"
#include "model/torch_pickle.h"

enum { MAX_INDEX_BYTES = 64 << 20 };

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* Maps dir/name and appends its tensors. */
static enum status add_file(struct checkpoint *c, const char *name, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    enum status status = path_join(path, c->dir, name, why);
    if (status != ST_OK)
        return status;
    struct mapped_file *files = realloc(c->files, (c->n_files + 1) * sizeof *files);
    if (!files)
        return ST_NOMEM;
    c->files = files;
    struct mapped_file *f = &files[c->n_files];
    status = file_map(path, f, why);
    if (status != ST_OK)
        return status;
    c->n_files++;
    return has_suffix(name, ".safetensors") ? safetensors_read(f->bytes, f->size, f->path, &c->tensors, why)
                                            : torch_archive_read(f->bytes, f->size, f->path, &c->tensors, why);
}

bool checkpoint_ignores(const char *name)
{
    static const char *const prefixes[] = {"text_model.", "text_projection.", "visual_projection.", "logit_scale"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return has_suffix(name, ".rotary_emb.inv_freq") || has_suffix(name, "position_ids");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static enum status sort_tensors(struct checkpoint *c, struct diag *why)
{
    struct tensor *t = c->tensors.items;
    if (c->tensors.n == 0)
        return diag_set(why, ST_FORMAT, "%s: no tensors", c->files[0].path);
    qsort(t, c->tensors.n, sizeof *t, by_name);
    for (size_t i = 1; i < c->tensors.n; i++)
        if (strcmp(t[i - 1].name, t[i].name) == 0)
            return diag_set(why, ST_FORMAT, "%.200s: in %s and again in %s", t[i].name, t[i - 1].file, t[i].file);
    return ST_OK;
}

struct index_visit {
    struct checkpoint *c;
    const char *path; /* of the index */
    struct diag *why;
    enum status status;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool visit_shard(void *ctx, const char *tensor, const struct json *file)
{
    struct index_visit *v = ctx;
    const char *name = jsn_string(file, "");
    if (name[0] == '\0' || strchr(name, '/') || name[0] == '.') {
        char *found = jsn_text(file);
        v->status = diag_set(v->why, ST_FORMAT, "%s: %.200s: expected the name of a file of this folder, found %.100s",
                             v->path, tensor, found ? found : "another value");
        free(found);
        return false;
    }
    for (size_t i = 0; i < v->c->n_files; i++)
        if (strcmp(base_name(v->c->files[i].path), name) == 0)
            return true;
    v->status = add_file(v->c, name, v->why);
    return v->status == ST_OK;
}

static bool visit_entry(void *ctx, const char *tensor, const struct json *file)
{
    struct index_visit *v = ctx;
    const struct tensor *t = checkpoint_find(v->c, tensor);
    if (t && strcmp(base_name(t->file), jsn_string(file, "")) == 0)
        return true;
    v->status = diag_set(v->why, ST_MISSING, "%s: %.200s: not in %.100s%s%s", v->path, tensor, jsn_string(file, ""),
                         t ? " but in " : "", t ? t->file : "");
    return false;
}

static enum status read_index(struct checkpoint *c, const char *path, struct diag *why)
{
    struct json *root = NULL;
    enum status status = jsn_load(path, MAX_INDEX_BYTES, &root, why);
    if (status != ST_OK)
        return status;
    const struct json *map = jsn_get(root, "weight_map");
    struct index_visit v = {c, path, why, ST_OK};
    if (jsn_kind(map) != JSON_KIND_OBJECT || jsn_size(map) == 0)
        v.status = diag_set(why, ST_FORMAT, "%s: no weight_map", path);
    else
        jsn_each(map, visit_shard, &v);
    if (v.status == ST_OK)
        v.status = sort_tensors(c, why);
    if (v.status == ST_OK)
        jsn_each(map, visit_entry, &v);
    jsn_free(root);
    return v.status;
}

/* The first layout that the folder has. */
static enum status read_folder(struct checkpoint *c, struct diag *why)
{
    static const char *const layouts[] = {"model.safetensors.index.json", "model.safetensors",
                                          "pytorch_model.bin.index.json", "pytorch_model.bin"};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        char path[MAX_PATH_BYTES];
        enum status status = path_join(path, c->dir, layouts[i], why);
        if (status != ST_OK)
            return status;
        if (access(path, F_OK) != 0)
            continue;
        if (!(c->listing = strdup(path)))
            return ST_NOMEM;
        if (has_suffix(path, ".json"))
            return read_index(c, path, why);
        status = add_file(c, layouts[i], why);
        return status == ST_OK ? sort_tensors(c, why) : status;
    }
    return diag_set(why, ST_MISSING, "%s: neither model.safetensors nor pytorch_model.bin, whole or in shards", c->dir);
}

enum status checkpoint_open(const char *dir, const char *base_dir, struct checkpoint **out, struct diag *why)
{
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->dir = strdup(dir);
    enum status status = c->dir ? read_folder(c, why) : ST_NOMEM;
    if (status == ST_OK && base_dir)
        status = checkpoint_open(base_dir, NULL, &c->base, why);
    if (status == ST_OK && base_dir)
        status = checkpoint_check_delta(c, why);
    if (status != ST_OK) {
        checkpoint_close(c);
        return status;
    }
    *out = c;
    return ST_OK;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    checkpoint_close(c->base);
    tensor_list_fini(&c->tensors);
    for (size_t i = 0; i < c->n_files; i++)
        file_unmap(&c->files[i]);
    free(c->files);
    free(c->listing);
    free(c->dir);
    free(c);
}

const char *checkpoint_dir(const struct checkpoint *c)
{
    return c->dir;
}

const struct checkpoint *checkpoint_base(const struct checkpoint *c)
{
    return c->base;
}

size_t checkpoint_count(const struct checkpoint *c)
{
    return c->tensors.n;
}

const struct tensor *checkpoint_at(const struct checkpoint *c, size_t index)
{
    return index < c->tensors.n ? &c->tensors.items[index] : NULL;
}

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
    struct tensor key = {.name = name};
    return bsearch(&key, c->tensors.items, c->tensors.n, sizeof key, by_name);
}
