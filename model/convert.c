#include "model/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "model/checkpoint_check.h"
#include "model/convert_folder.h"
#include "model/mapped_file.h"
#include "model/shard.h"
#include "model/tensor_table.h"

static const int64_t DEFAULT_SHARD_BYTES = 5000000000;

static const struct {
    const char *name, *torch; /* torch: what config.json calls it */
    enum tensor_type type;    /* of what is not quantised */
} dtypes[] = {
    [CONVERT_STORED] = {"stored", NULL, TENSOR_OTHER}, [CONVERT_F16] = {"f16", "float16", TENSOR_F16},
    [CONVERT_F32] = {"f32", "float32", TENSOR_F32},    [CONVERT_BF16] = {"bf16", "bfloat16", TENSOR_BF16},
    [CONVERT_INT8] = {"int8", "float16", TENSOR_F16},
};

enum status convert_dtype_parse(const char *name, enum convert_dtype *out, struct diag *why)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *out = (enum convert_dtype)i;
            return ST_OK;
        }
    return diag_set(why, ST_INVALID, "dtype %.40s: expected stored, f32, f16, bf16 or int8", name);
}

struct conversion {
    const struct convert_options *o;
    struct config *config;
    struct checkpoint *model, *tower;
    struct shard_tensor *model_tensors, *tower_tensors;
    size_t n_model, n_tower;
    struct shard_progress progress;
    char tmp[MAX_PATH_BYTES];
    struct diag *why;
};

static enum tensor_type type_of(const struct conversion *v, const struct tensor *t)
{
    struct expected_tensor e;
    if (v->o->dtype == CONVERT_STORED)
        return t->type;
    bool is_quantised = v->o->dtype == CONVERT_INT8 && tensor_table_find(v->config, t->name, &e) && e.is_linear;
    return is_quantised ? TENSOR_I8 : dtypes[v->o->dtype].type;
}

/* What goes on: the tensors of the table. Buffers, the tower's text half and scales of the input stay behind. */
static enum status list_tensors(struct conversion *v, const struct checkpoint *c, struct shard_tensor **out, size_t *n)
{
    *out = calloc(checkpoint_count(c), sizeof **out);
    if (!*out)
        return ST_NOMEM;
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        struct expected_tensor e;
        if (!tensor_table_find(v->config, t->name, &e))
            continue;
        (*out)[*n] = (struct shard_tensor){c, t, type_of(v, t)};
        v->progress.total += shard_tensor_bytes(&(*out)[(*n)++]);
    }
    return ST_OK;
}

static enum status open_all(struct conversion *v)
{
    const struct convert_options *o = v->o;
    enum status status = config_load(o->model_dir, o->tower_dir, &v->config, v->why);
    if (status == ST_OK)
        status = checkpoint_open(o->model_dir, o->base_dir, &v->model, v->why);
    if (status == ST_OK)
        status = checkpoint_open(v->config->tower_dir, NULL, &v->tower, v->why);
    if (status == ST_OK)
        status = checkpoint_check(v->model, v->tower, v->config, v->why);
    if (status == ST_OK)
        status = list_tensors(v, v->model, &v->model_tensors, &v->n_model);
    if (status == ST_OK)
        status = list_tensors(v, v->tower, &v->tower_tensors, &v->n_tower);
    return status;
}

static void close_all(struct conversion *v)
{
    free(v->model_tensors);
    free(v->tower_tensors);
    checkpoint_close(v->model);
    checkpoint_close(v->tower);
    config_free(v->config);
}

/* How many of the n tensors go into the next file: at least one. */
static size_t take_shard(const struct shard_tensor *tensors, size_t n, int64_t limit)
{
    int64_t bytes = shard_tensor_bytes(&tensors[0]);
    size_t taken = 1;
    while (taken < n && shard_tensor_bytes(&tensors[taken]) <= limit - bytes)
        bytes += shard_tensor_bytes(&tensors[taken++]);
    return taken;
}

static enum status add_to_map(struct json *map, const struct shard_tensor *t, const char *file)
{
    char scale[512];
    enum status status = jsn_put(map, t->tensor->name, jsn_new_string(file));
    if (status != ST_OK || t->type != TENSOR_I8)
        return status;
    int n = snprintf(scale, sizeof scale, "%s.scale", t->tensor->name);
    return n > 0 && (size_t)n < sizeof scale ? jsn_put(map, scale, jsn_new_string(file)) : ST_LIMIT;
}

static enum status write_json(const struct json *v, const char *dir, const char *name, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    enum status status = path_join(path, dir, name, why);
    char *text = status == ST_OK ? jsn_text_indented(v, 2) : NULL;
    if (!text)
        return status != ST_OK ? status : ST_NOMEM;
    status = file_write(path, text, strlen(text), why);
    free(text);
    return status;
}

static enum status write_index(const struct json *map, int64_t bytes, const char *dir, struct diag *why)
{
    struct json *root = jsn_new_object(), *metadata = jsn_new_object();
    enum status steps[] = {jsn_put(metadata, "total_size", jsn_new_int(bytes)), jsn_put(root, "metadata", metadata),
                           jsn_put(root, "weight_map", jsn_copy(map))};
    enum status status = ST_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        status = status == ST_OK ? steps[i] : status;
    if (status == ST_OK)
        status = write_json(root, dir, "model.safetensors.index.json", why);
    jsn_free(root);
    return status;
}

static enum status write_shards(struct conversion *v, const char *dir, const struct shard_tensor *tensors, size_t n,
                                int n_shards, struct json *map)
{
    int64_t limit = v->o->shard_bytes > 0 ? v->o->shard_bytes : DEFAULT_SHARD_BYTES, bytes = 0;
    size_t at = 0;
    enum status status = ST_OK;
    for (int shard = 1; at < n && status == ST_OK; shard++) {
        char name[64] = "model.safetensors", path[MAX_PATH_BYTES];
        size_t take = take_shard(tensors + at, n - at, limit);
        if (n_shards > 1)
            snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", shard, n_shards);
        status = path_join(path, dir, name, v->why);
        if (status == ST_OK)
            status = shard_write(path, tensors + at, take, &v->progress, v->why);
        for (size_t end = at + take; at < end && status == ST_OK; at++) {
            bytes += shard_tensor_bytes(&tensors[at]);
            status = add_to_map(map, &tensors[at], name);
        }
    }
    return status == ST_OK && n_shards > 1 ? write_index(map, bytes, dir, v->why) : status;
}

static enum status write_tensors(struct conversion *v, const char *dir, const struct shard_tensor *tensors, size_t n)
{
    int64_t limit = v->o->shard_bytes > 0 ? v->o->shard_bytes : DEFAULT_SHARD_BYTES;
    int n_shards = 0;
    for (size_t at = 0; at < n; n_shards++)
        at += take_shard(tensors + at, n - at, limit);
    struct json *map = jsn_new_object();
    enum status status = map ? write_shards(v, dir, tensors, n, n_shards, map) : ST_NOMEM;
    jsn_free(map);
    return status;
}

/* config.json as it was read, but for the type of the values. */
static enum status write_config(struct conversion *v)
{
    char path[MAX_PATH_BYTES];
    struct json *root = NULL;
    enum status status = path_join(path, v->o->model_dir, "config.json", v->why);
    if (status == ST_OK)
        status = jsn_load(path, 16 << 20, &root, v->why);
    if (status == ST_OK && dtypes[v->o->dtype].torch)
        status = jsn_put(root, "torch_dtype", jsn_new_string(dtypes[v->o->dtype].torch));
    if (status == ST_OK)
        status = write_json(root, v->tmp, "config.json", v->why);
    jsn_free(root);
    return status;
}

static enum status copy_texts(struct conversion *v, const char *tower)
{
    static const char *const optional[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                           "generation_config.json"};
    const struct convert_options *o = v->o;
    /* A delta's tokenizer is its base's; some deltas come without the file. */
    enum status status = folder_copy(o->model_dir, v->tmp, "tokenizer.model", v->why);
    if (status == ST_MISSING && o->base_dir)
        status = folder_copy(o->base_dir, v->tmp, "tokenizer.model", v->why);
    for (size_t i = 0; i < sizeof optional / sizeof *optional && status == ST_OK; i++) {
        status = folder_copy(o->model_dir, v->tmp, optional[i], v->why);
        status = status == ST_MISSING ? ST_OK : status;
    }
    if (status == ST_OK)
        status = folder_copy(v->config->tower_dir, tower, "config.json", v->why);
    if (status != ST_OK)
        return status;
    status = folder_copy(v->config->tower_dir, tower, "preprocessor_config.json", v->why);
    return status == ST_MISSING ? ST_OK : status;
}

static enum status write_all(struct conversion *v)
{
    char tower[MAX_PATH_BYTES];
    enum status status = path_join(tower, v->tmp, "vision_tower", v->why);
    if (status == ST_OK)
        status = folder_create(v->tmp, v->why);
    if (status == ST_OK)
        status = folder_create(tower, v->why);
    if (status == ST_OK)
        status = copy_texts(v, tower);
    if (status == ST_OK)
        status = write_tensors(v, tower, v->tower_tensors, v->n_tower);
    if (status == ST_OK)
        status = write_tensors(v, v->tmp, v->model_tensors, v->n_model);
    if (status == ST_OK)
        status = write_config(v);
    if (status == ST_OK)
        status = folder_sync(tower, v->why);
    if (status == ST_OK)
        status = folder_sync(v->tmp, v->why);
    return status;
}

enum status convert_run(const struct convert_options *o, struct diag *why)
{
    struct conversion v = {.o = o, .why = why, .progress = {.fn = o->progress, .ctx = o->progress_ctx}};
    struct stat st;
    if (lstat(o->out_dir, &st) == 0)
        return diag_set(why, ST_REFUSED, "%s: is there already; nothing is overwritten", o->out_dir);
    size_t len = strlen(o->out_dir);
    while (len > 1 && o->out_dir[len - 1] == '/')
        len--;
    if (len == 0 || len + sizeof ".tmp" > sizeof v.tmp)
        return diag_set(why, ST_INVALID, "\"%.80s\": not a path that can be written", o->out_dir);
    snprintf(v.tmp, sizeof v.tmp, "%.*s.tmp", (int)len, o->out_dir);
    enum status status = open_all(&v);
    if (status == ST_OK) {
        folder_remove(v.tmp); /* of a conversion that was cut off */
        status = write_all(&v);
        if (status == ST_OK)
            status = folder_publish(v.tmp, o->out_dir, why);
        if (status != ST_OK)
            folder_remove(v.tmp);
    }
    close_all(&v);
    return status;
}
