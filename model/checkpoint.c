#include "model/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/sha256.h"
#include "model/half.h"
#include "model/safetensors.h"
#include "model/torch_pickle.h"

enum { MAX_PATH_BYTES = 4096, MAX_INDEX_BYTES = 64 << 20, MAX_CONFIG_BYTES = 16 << 20 };

struct mapped_file {
    char *path;
    const void *bytes;
    size_t size;
};

struct checkpoint {
    char *dir;
    struct mapped_file *files;
    size_t n_files;
    struct tensor_list tensors; /* sorted by name */
    struct checkpoint *base;    /* of a delta, else NULL */
};

/* Maps the file read-only. Its size is taken here, once: readers check every range against it. */
static enum status map_file(const char *path, struct mapped_file *out, struct diag *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    void *bytes = MAP_FAILED;
    enum status status = ST_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = diag_set(why, ST_IO, "%s: not a regular file", path);
    else if (st.st_size == 0)
        status = diag_set(why, ST_FORMAT, "%s: empty", path);
    else if ((bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        status = diag_set(why, ST_IO, "%s: mmap: %s", path, strerror(errno));
    close(fd);
    if (status != ST_OK)
        return status;
    char *copy = strdup(path);
    if (!copy) {
        munmap(bytes, (size_t)st.st_size);
        return ST_NOMEM;
    }
    *out = (struct mapped_file){copy, bytes, (size_t)st.st_size};
    return ST_OK;
}

static enum status join(char path[MAX_PATH_BYTES], const char *dir, const char *name, struct diag *why)
{
    int n = snprintf(path, MAX_PATH_BYTES, "%s/%s", dir, name);
    return n < 0 || n >= MAX_PATH_BYTES ? diag_set(why, ST_LIMIT, "%.80s...: path too long", dir) : ST_OK;
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* Maps dir/name and appends its tensors. */
static enum status add_file(struct checkpoint *c, const char *name, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    enum status status = join(path, c->dir, name, why);
    if (status != ST_OK)
        return status;
    struct mapped_file *files = realloc(c->files, (c->n_files + 1) * sizeof *files);
    if (!files)
        return ST_NOMEM;
    c->files = files;
    struct mapped_file *f = &files[c->n_files];
    status = map_file(path, f, why);
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
        v->status = diag_set(v->why, ST_FORMAT, "%s: %.200s: \"%.100s\" is no file name", v->path, tensor, name);
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
        enum status status = join(path, c->dir, layouts[i], why);
        if (status != ST_OK)
            return status;
        if (access(path, F_OK) != 0)
            continue;
        if (has_suffix(path, ".json"))
            return read_index(c, path, why);
        status = add_file(c, layouts[i], why);
        return status == ST_OK ? sort_tensors(c, why) : status;
    }
    return diag_set(why, ST_MISSING, "%s: neither model.safetensors nor pytorch_model.bin, whole or in shards", c->dir);
}

static bool is_float(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

static bool may_grow(const char *name)
{
    return strcmp(name, "model.embed_tokens.weight") == 0 || strcmp(name, "lm_head.weight") == 0;
}

/* Every tensor that both have must be addable: the same shape; the two vocabulary tables may have more rows. */
static enum status check_delta(const struct checkpoint *c, struct diag *why)
{
    for (size_t i = 0; i < c->tensors.n; i++) {
        const struct tensor *t = &c->tensors.items[i], *b = checkpoint_find(c->base, t->name);
        if (!b || !is_float(t->type))
            continue;
        bool is_same = b->n_dims == t->n_dims && is_float(b->type);
        for (int k = 0; k < t->n_dims && is_same; k++)
            is_same = b->dims[k] == t->dims[k] || (k == 0 && b->dims[k] < t->dims[k] && may_grow(t->name));
        if (is_same)
            continue;
        char want[TENSOR_SHAPE_TEXT], found[TENSOR_SHAPE_TEXT];
        return diag_set(why, ST_SHAPE, "%s: %.150s: the delta has %s %s, the base %s has %s %s", t->file, t->name,
                        tensor_type_word(t->type), tensor_shape_text(t->dims, t->n_dims, want), b->file,
                        tensor_type_word(b->type), tensor_shape_text(b->dims, b->n_dims, found));
    }
    return ST_OK;
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
        status = check_delta(c, why);
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
    for (size_t i = 0; i < c->n_files; i++) {
        munmap((void *)c->files[i].bytes, c->files[i].size);
        free(c->files[i].path);
    }
    free(c->files);
    free(c->dir);
    free(c);
}

const char *checkpoint_dir(const struct checkpoint *c)
{
    return c->dir;
}

bool checkpoint_is_delta(const struct checkpoint *c)
{
    return c->base != NULL;
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
        return diag_set(why, ST_MISSING, "%s: %s: expected %s, found no such tensor", c->dir, name, want);
    bool is_same = t->n_dims == n_dims;
    for (int i = 0; i < n_dims && is_same; i++)
        is_same = t->dims[i] == dims[i];
    if (!is_same)
        return diag_set(why, ST_SHAPE, "%s: %s: expected %s, found %s", t->file, name, want,
                        tensor_shape_text(t->dims, t->n_dims, found));
    if (!is_float(t->type) && !find_scale(c, t))
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

/* out += base, as the published recipe adds: both operands in f16, the sum rounded to f16 once. The f32 sum of two f16
 * values is not always exact, but it keeps twice f16's digits and two more, so rounding it again gives the number that
 * a single rounding of the exact sum gives. */
static void add_base(const struct tensor *base, int64_t from, int64_t count, float *out)
{
    float chunk[1024];
    while (count > 0) {
        int64_t n = count < 1024 ? count : 1024;
        read_values(base, from, n, chunk);
        for (int64_t i = 0; i < n; i++) {
            float sum = half_to_f32(half_from_f32(out[i])) + half_to_f32(half_from_f32(chunk[i]));
            out[i] = half_to_f32(half_from_f32(sum));
        }
        from += n, out += n, count -= n;
    }
}

enum status checkpoint_rows(const struct checkpoint *c, const struct tensor *t, int64_t row, int64_t n, float *out,
                            struct diag *why)
{
    int64_t rows = t->n_dims > 0 ? t->dims[0] : 1,
            cols = t->n_dims > 0 ? tensor_elements(t->dims + 1, t->n_dims - 1) : 1;
    if (row < 0 || n < 0 || row > rows || n > rows - row)
        return diag_set(why, ST_INVALID, "%s: %s: rows %lld to %lld of %lld", t->file, t->name, (long long)row,
                        (long long)(row + n), (long long)rows);
    if (n == 0 || cols == 0)
        return ST_OK;
    const struct tensor *scale = find_scale(c, t);
    if (scale) {
        read_quantised(t, scale, row, n, cols, out);
        return ST_OK;
    }
    if (!is_float(t->type))
        return diag_set(why, ST_SHAPE, "%s: %s: expected F32, F16, BF16 or I8 with a scale, found %s", t->file, t->name,
                        tensor_type_word(t->type));
    read_values(t, row * cols, n * cols, out);
    const struct tensor *b = c->base ? checkpoint_find(c->base, t->name) : NULL;
    int64_t base_rows = !b ? 0 : b->n_dims > 0 ? b->dims[0] : 1;
    int64_t shared = base_rows - row < n ? base_rows - row : n;
    if (shared > 0)
        add_base(b, row * cols, shared * cols, out);
    return ST_OK;
}

/* What the hash takes of a tensor: all bytes up to HASH_WHOLE; of more, HASH_BLOCKS blocks of HASH_BLOCK bytes, block i
 * at floor(i * (bytes - HASH_BLOCK) / (HASH_BLOCKS - 1)). A delta adds the same of its base. */
enum { HASH_WHOLE = 1 << 16, HASH_BLOCKS = 64, HASH_BLOCK = 1024 };

static void hash_tensor(struct sha256 *sha, const struct tensor *t)
{
    char head[TENSOR_SHAPE_TEXT + 64], shape[TENSOR_SHAPE_TEXT];
    int n = snprintf(head, sizeof head, " %s %s %zu\n", tensor_type_word(t->type),
                     tensor_shape_text(t->dims, t->n_dims, shape), t->bytes);
    sha256_add(sha, t->name, strlen(t->name));
    sha256_add(sha, head, (size_t)n);
    if (t->bytes <= HASH_WHOLE) {
        sha256_add(sha, t->data, t->bytes);
        return;
    }
    for (size_t i = 0; i < HASH_BLOCKS; i++)
        sha256_add(sha, (const char *)t->data + i * (t->bytes - HASH_BLOCK) / (HASH_BLOCKS - 1), HASH_BLOCK);
}

/* A file's bytes behind its name and size; one that is not there counts as empty. */
static enum status hash_file(struct sha256 *sha, const char *dir, const char *name, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    struct mapped_file f = {0};
    enum status status = join(path, dir, name, why);
    if (status != ST_OK)
        return status;
    if (access(path, F_OK) == 0)
        status = map_file(path, &f, why);
    if (status != ST_OK)
        return status;
    char head[64];
    int n = snprintf(head, sizeof head, "%s %zu\n", name, f.size);
    sha256_add(sha, head, (size_t)n);
    sha256_add(sha, f.bytes, f.size);
    if (f.bytes)
        munmap((void *)f.bytes, f.size);
    free(f.path);
    return ST_OK;
}

static void hash_tensors(struct sha256 *sha, const struct checkpoint *c)
{
    for (size_t i = 0; i < c->tensors.n; i++) {
        const struct tensor *t = &c->tensors.items[i], *b = c->base ? checkpoint_find(c->base, t->name) : NULL;
        if (checkpoint_ignores(t->name))
            continue;
        hash_tensor(sha, t);
        if (b)
            hash_tensor(sha, b);
    }
}

enum status checkpoint_hash(const struct checkpoint *c, const struct checkpoint *tower, char hex[65], struct diag *why)
{
    struct sha256 sha;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&sha);
    enum status status = hash_file(&sha, c->dir, "config.json", why);
    hash_tensors(&sha, c);
    if (status == ST_OK && tower)
        status = hash_file(&sha, tower->dir, "config.json", why);
    if (status == ST_OK && tower)
        status = hash_file(&sha, tower->dir, "preprocessor_config.json", why);
    if (status != ST_OK)
        return status;
    if (tower)
        hash_tensors(&sha, tower);
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
    return ST_OK;
}
