/* Writes checkpoints of the published sizes without their weights: the names, shapes, shards and containers of
 * Ferret-7B or 13B, of its Vicuna base and of CLIP ViT-L/14-336, every value a hole in a sparse file. What opens,
 * checks, inspects and converts checkpoints can then be run at full size on a small disk.
 *   sparse_checkpoint 7b|13b safetensors|pytorch DIR     writes DIR/ferret, DIR/base, DIR/clip */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "model/config.h"
#include "model/mapped_file.h"
#include "model/tensor_list.h"
#include "model/tensor_table.h"
#include "tests/parity/sparse_file.h"

static const struct {
    const char *name;
    int hidden, mlp, layers, heads, shards;
} sizes[] = {{"7b", 4096, 11008, 32, 32, 2}, {"13b", 5120, 13824, 40, 40, 3}};

static const char main_config[] =
    "{\"architectures\": [\"FERRETLlamaForCausalLM\"], \"model_type\": \"ferret\", \"bos_token_id\": 1,"
    " \"eos_token_id\": 2, \"pad_token_id\": 0, \"hidden_act\": \"silu\", \"hidden_size\": %d,"
    " \"intermediate_size\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": %d,"
    " \"max_position_embeddings\": 2048, \"rms_norm_eps\": 1e-06, \"tie_word_embeddings\": false,"
    " \"torch_dtype\": \"float16\", \"vocab_size\": %d, \"im_region_fea_token\": 32000, \"mm_hidden_size\": 1024,"
    " \"mm_vision_select_layer\": -2, \"mm_vision_select_feature\": \"patch\", \"mm_use_im_start_end\": false,"
    " \"mm_use_im_patch_token\": false, \"mm_vision_tower\": \"openai/clip-vit-large-patch14-336\","
    " \"image_aspect_ratio\": \"square_nocrop\", \"region_geo_sampler\": true, \"sampler_pooler_mode\": \"max\"}\n";

static const char tower_config[] =
    "{\"model_type\": \"clip\", \"vision_config\": {\"model_type\": \"clip_vision_model\", \"hidden_size\": 1024,"
    " \"intermediate_size\": 4096, \"num_hidden_layers\": 24, \"num_attention_heads\": 16, \"image_size\": 336,"
    " \"patch_size\": 14, \"hidden_act\": \"quick_gelu\", \"layer_norm_eps\": 1e-05}}\n";

enum part_set { SET_FERRET, SET_BASE, SET_TOWER };

struct collection {
    enum part_set set;
    struct tensor_list list;
    enum status status;
};

static bool collect(void *ctx, const struct expected_tensor *e)
{
    struct collection *c = ctx;
    bool is_tower = e->part == PART_TOWER;
    if (is_tower != (c->set == SET_TOWER) || (c->set == SET_BASE && e->part != PART_DECODER))
        return true;
    struct tensor t = {.name = e->name, .type = TENSOR_F16, .n_dims = e->n_dims};
    memcpy(t.dims, e->dims, sizeof t.dims);
    if (c->set == SET_BASE && t.dims[0] == 32001)
        t.dims[0] = 32000;
    c->status = tensor_list_add(&c->list, &t);
    return c->status == ST_OK;
}

static enum status add(struct collection *c, const char *name, enum tensor_type type, int n_dims, int64_t rows,
                       int64_t cols)
{
    struct tensor t = {.name = name, .type = type, .n_dims = n_dims, .dims = {rows, cols}};
    return tensor_list_add(&c->list, &t);
}

/* Buffers that published files hold and that readers pass over. */
static enum status add_buffers(struct collection *c, const struct config *config)
{
    enum status s = ST_OK;
    for (int i = 0; c->set != SET_TOWER && i < config->decoder.layers && s == ST_OK; i++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%d.self_attn.rotary_emb.inv_freq", i);
        s = add(c, name, TENSOR_F16, 1, config->decoder.head_dim / 2, 0);
    }
    if (c->set == SET_TOWER)
        s = add(c, "vision_model.embeddings.position_ids", TENSOR_I64, 2, 1, 577);
    if (c->set == SET_TOWER && s == ST_OK)
        s = add(c, "logit_scale", TENSOR_F32, 0, 0, 0);
    return s;
}

static enum status put_file(const char *dir, const char *name, const char *text, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    enum status s = path_join(path, dir, name, why);
    FILE *f = s == ST_OK ? fopen(path, "w") : NULL;
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        return s != ST_OK ? s : diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    return ST_OK;
}

static enum status write_index(const char *dir, const char *name, struct json *map, struct diag *why)
{
    struct json *root = jsn_new_object();
    enum status s = jsn_put(root, "weight_map", map);
    char *text = s == ST_OK ? jsn_text_indented(root, 1) : NULL;
    jsn_free(root);
    s = text ? put_file(dir, name, text, why) : ST_NOMEM;
    free(text);
    return s;
}

/* The tensors in `shards` files of about the same size, with an index where there are several. */
static enum status write_shards(const char *dir, const struct tensor_list *list, int shards, bool is_pytorch,
                                struct diag *why)
{
    const char *stem = is_pytorch ? "pytorch_model" : "model", *tail = is_pytorch ? "bin" : "safetensors";
    int64_t total = 0, done = 0;
    for (size_t i = 0; i < list->n; i++)
        total += sparse_tensor_bytes(&list->items[i]);
    struct json *map = jsn_new_object();
    enum status s = map ? ST_OK : ST_NOMEM;
    size_t at = 0;
    for (int k = 1; k <= shards && s == ST_OK; k++) {
        char name[96], path[MAX_PATH_BYTES];
        size_t first = at;
        if (shards == 1)
            snprintf(name, sizeof name, "%s.%s", stem, tail);
        else
            snprintf(name, sizeof name, "%s-%05d-of-%05d.%s", stem, k, shards, tail);
        for (; at < list->n && (k == shards || done < total / shards * k); at++) {
            done += sparse_tensor_bytes(&list->items[at]);
            s = s == ST_OK ? jsn_put(map, list->items[at].name, jsn_new_string(name)) : s;
        }
        if (s == ST_OK)
            s = path_join(path, dir, name, why);
        if (s == ST_OK)
            s = is_pytorch ? sparse_pytorch(path, list->items + first, at - first, why)
                           : sparse_safetensors(path, list->items + first, at - first, why);
    }
    char index[96];
    snprintf(index, sizeof index, "%s.%s.index.json", stem, tail);
    if (s == ST_OK && shards > 1)
        return write_index(dir, index, map, why);
    jsn_free(map);
    return s;
}

static enum status write_set(const char *dir, const struct config *config, enum part_set set, int shards,
                             bool is_pytorch, struct diag *why)
{
    struct collection c = {.set = set};
    tensor_table_each(config, collect, &c);
    if (c.status == ST_OK)
        c.status = add_buffers(&c, config);
    if (c.status == ST_OK)
        c.status = write_shards(dir, &c.list, shards, is_pytorch, why);
    tensor_list_fini(&c.list);
    return c.status;
}

static enum status make_folder(char path[MAX_PATH_BYTES], const char *dir, const char *name, struct diag *why)
{
    enum status s = path_join(path, dir, name, why);
    if (s == ST_OK && mkdir(path, 0777) != 0 && errno != EEXIST)
        s = diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    return s;
}

static enum status write_all(const char *size, bool is_pytorch, const char *dir, struct diag *why)
{
    char ferret[MAX_PATH_BYTES], base[MAX_PATH_BYTES], clip[MAX_PATH_BYTES], text[2048];
    size_t k = 0;
    while (k < 2 && strcmp(sizes[k].name, size) != 0)
        k++;
    if (k == 2)
        return diag_set(why, ST_INVALID, "%s: expected 7b or 13b", size);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return diag_set(why, ST_IO, "%s: %s", dir, strerror(errno));
    enum status s = make_folder(ferret, dir, "ferret", why);
    if (s == ST_OK)
        s = make_folder(base, dir, "base", why);
    if (s == ST_OK)
        s = make_folder(clip, dir, "clip", why);
    for (int i = 0; i < 2 && s == ST_OK; i++) {
        snprintf(text, sizeof text, main_config, sizes[k].hidden, sizes[k].mlp, sizes[k].layers, sizes[k].heads,
                 i ? 32000 : 32001);
        s = put_file(i ? base : ferret, "config.json", text, why);
    }
    if (s == ST_OK)
        s = put_file(ferret, "added_tokens.json", "{\"<region_fea>\": 32000}\n", why);
    if (s == ST_OK)
        s = put_file(ferret, "tokenizer.model", "a placeholder: these checkpoints have no text\n", why);
    if (s == ST_OK)
        s = put_file(clip, "config.json", tower_config, why);
    struct config *config = NULL;
    if (s == ST_OK)
        s = config_load(ferret, clip, &config, why);
    if (s == ST_OK)
        s = write_set(ferret, config, SET_FERRET, sizes[k].shards, is_pytorch, why);
    if (s == ST_OK)
        s = write_set(base, config, SET_BASE, sizes[k].shards, is_pytorch, why);
    if (s == ST_OK)
        s = write_set(clip, config, SET_TOWER, 1, is_pytorch, why);
    config_free(config);
    return s;
}

int main(int argc, char **argv)
{
    struct diag why = {"no memory"};
    bool is_pytorch = argc == 4 && strcmp(argv[2], "pytorch") == 0;
    if (argc != 4 || !(is_pytorch || strcmp(argv[2], "safetensors") == 0)) {
        fprintf(stderr, "usage: %s 7b|13b safetensors|pytorch DIR\n", argv[0]);
        return 2;
    }
    if (write_all(argv[1], is_pytorch, argv[3], &why) == ST_OK)
        return 0;
    fprintf(stderr, "%s\n", why.text);
    return 1;
}
