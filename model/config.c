#include "model/config.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/backend.h"
#include "model/config_source.h"
#include "model/mapped_file.h"

/* Upper bounds keep every product of two dims in an int and a lying file from asking for absurd memory. What the
 * operations can't do stands in kernels/backend.h. */
enum { MAX_WIDTH = 1 << 16, MAX_LAYERS = 1 << 10, MAX_VOCAB = 1 << 22, MAX_POSITIONS = 1 << 20 };
enum { MAX_JSON_BYTES = 16 << 20 };

static const char published_system[] =
    "A chat between a human and an AI that understands visuals. In images, [x, y] denotes points: top-left [0, 0], "
    "bottom-right [width-1, height-1]. Increasing x moves right; y moves down. Bounding box: [x1, y1, x2, y2]. "
    "Image size: 1000x1000. Follow instructions. ";

/* Text of ours around a user's, in which image and regions have their own places. */
static void no_marks(struct source *s, const char *key, const char *text)
{
    if (text && (strstr(text, "<image>") || strstr(text, "<region_fea>")))
        source_fail(s, ST_FORMAT, key, "a text without <image> and <region_fea>", source_member(s, key));
}

static char *question(struct source *s, const char *key, const char *published, const char *placeholder)
{
    char *text = source_opt_text(s, key, published);
    no_marks(s, key, text);
    if (text && (text[0] == '\0' || !strstr(text, placeholder))) {
        char want[64];
        snprintf(want, sizeof want, "a question%s%s", placeholder[0] ? " that holds " : "", placeholder);
        source_fail(s, ST_FORMAT, key, want, source_member(s, key));
    }
    return text;
}

static void two_texts(struct source *s, const char *key, const char *first, const char *second, char *out[2])
{
    const struct json *v = source_member(s, key);
    const char *texts[2] = {first, second};
    if (v) {
        for (size_t i = 0; i < 2; i++)
            texts[i] = jsn_string(jsn_at(v, i), NULL);
        if (jsn_kind(v) != JSON_KIND_ARRAY || jsn_size(v) != 2 || !texts[0] || !texts[1]) {
            source_fail(s, ST_SHAPE, key, "two strings", v);
            return;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        no_marks(s, key, texts[i]);
        out[i] = source_copy(s, texts[i]);
    }
}

/* That no head of hidden_size / num_attention_heads channels is wider than the operations can do. */
static void check_head_size(struct source *s, int hidden, int heads)
{
    char want[128];
    snprintf(want, sizeof want, "at least %d for hidden_size %d (at most %d channels a head)",
             (hidden + MAX_HEAD_DIM - 1) / MAX_HEAD_DIM, hidden, MAX_HEAD_DIM);
    if (s->status == ST_OK && hidden / heads > MAX_HEAD_DIM)
        source_fail(s, ST_UNSUPPORTED, "num_attention_heads", want, source_member(s, "num_attention_heads"));
}

static void read_decoder(struct source *s, struct decoder_config *d)
{
    d->hidden = source_need_int(s, "hidden_size", 2, MAX_WIDTH);
    d->layers = source_need_int(s, "num_hidden_layers", 1, MAX_LAYERS);
    d->heads = source_need_int(s, "num_attention_heads", 1, MAX_WIDTH);
    d->mlp = source_need_int(s, "intermediate_size", 1, MAX_WIDTH);
    d->vocab = source_need_int(s, "vocab_size", 4, MAX_VOCAB);
    if (s->status == ST_OK && (d->hidden % d->heads != 0 || d->hidden / d->heads % 2 != 0))
        source_fail(s, ST_SHAPE, "num_attention_heads", "a divisor of hidden_size that leaves an even head size",
                    source_member(s, "num_attention_heads"));
    check_head_size(s, d->hidden, d->heads);
    d->head_dim = d->hidden / d->heads;
    int kv_heads = source_opt_int(s, "num_key_value_heads", 1, MAX_WIDTH, d->heads);
    if (s->status == ST_OK && kv_heads != d->heads)
        source_fail(s, ST_UNSUPPORTED, "num_key_value_heads", "the number of num_attention_heads",
                    source_member(s, "num_key_value_heads"));
    if (source_member(s, "rope_scaling"))
        source_fail(s, ST_UNSUPPORTED, "rope_scaling", "no such key or null", source_member(s, "rope_scaling"));
    d->rms_eps = source_opt_positive(s, "rms_norm_eps", 1, 1e-6);
    d->rope_theta = source_opt_positive(s, "rope_theta", 1e12, 10000);
    int positions = source_opt_int(s, "max_position_embeddings", 1, MAX_POSITIONS, 2048);
    d->max_positions = source_opt_int(s, "max_sequence_length", 1, MAX_POSITIONS, positions);
    d->bos_id = source_opt_int(s, "bos_token_id", 0, d->vocab - 1, 1);
    d->eos_id = source_opt_int(s, "eos_token_id", 0, d->vocab - 1, 2);
    d->pad_id = source_opt_int(s, "pad_token_id", -1, d->vocab - 1, 0);
    source_only_text(s, "hidden_act", "silu");
    source_only_false(s, "tie_word_embeddings");
}

/* The keys that choose branches of the published code which this program does not have. */
static void refuse_other_models(struct source *s)
{
    source_only_text(s, "mm_projector_type", "linear");
    source_only_text(s, "mm_vision_select_feature", "patch");
    source_only_text(s, "image_aspect_ratio", "square_nocrop");
    source_only_false(s, "mm_use_im_start_end");
    source_only_false(s, "mm_use_im_patch_token");
    if (source_member(s, "quantization_config"))
        source_fail(s, ST_UNSUPPORTED, "quantization_config",
                    "no such key or null (ferret convert --dtype int8 quantises)",
                    source_member(s, "quantization_config"));
    if (!source_opt_bool(s, "region_geo_sampler", false))
        source_fail(s, source_member(s, "region_geo_sampler") ? ST_UNSUPPORTED : ST_MISSING, "region_geo_sampler",
                    "true", source_member(s, "region_geo_sampler"));
}

static int read_ints(struct source *s, const char *key, int high, const int absent[2], int out[CONFIG_MAX_STAGES])
{
    const struct json *v = source_member(s, key);
    if (!v) {
        out[0] = absent[0], out[1] = absent[1];
        return 2;
    }
    size_t n = jsn_kind(v) == JSON_KIND_ARRAY ? jsn_size(v) : 0;
    if (n < 1 || n > CONFIG_MAX_STAGES) {
        source_fail(s, ST_SHAPE, key, "an array of one to four integers", v);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (int)source_check_int(s, key, jsn_at(v, i), 1, high);
    return (int)n;
}

static void read_sampler(struct source *s, struct sampler_config *c)
{
    static const int stages[2] = {128, 32}, neighbors[2] = {24, 24};
    c->feature_dim = source_need_int(s, "mm_hidden_size", 1, MAX_WIDTH);
    char *pooler = source_opt_text(s, "sampler_pooler_mode", "mean"); /* the class default; published files say "max" */
    c->max_pool = pooler && strcmp(pooler, "max") == 0;
    if (pooler && !c->max_pool && strcmp(pooler, "mean") != 0)
        source_fail(s, ST_UNSUPPORTED, "sampler_pooler_mode", "\"max\" or \"mean\"",
                    source_member(s, "sampler_pooler_mode"));
    free(pooler);
    static const char *const names[] = {"points", "stages", "neighbors", "transposed", NULL};
    struct source o = source_opt_object(s, "ferret_sampler", "ferret_sampler.");
    source_only_members(&o, names);
    c->points = source_opt_int(&o, "points", 1, MAX_REGION_POINTS, 512);
    c->n_stages = read_ints(&o, "stages", MAX_REGION_POINTS, stages, c->stage_points);
    int n = read_ints(&o, "neighbors", MAX_REGION_POINTS, neighbors, c->stage_neighbors);
    if (o.status == ST_OK && n != c->n_stages)
        source_fail(&o, ST_SHAPE, "neighbors", "as many numbers as stages", source_member(&o, "neighbors"));
    for (int i = 0, from = c->points; o.status == ST_OK && i < n; from = c->stage_points[i++])
        if (c->stage_points[i] > from || c->stage_neighbors[i] > from)
            source_fail(&o, ST_SHAPE, "stages", "no more points and neighbors than the stage is given",
                        s->object ? source_member(s, "ferret_sampler") : NULL);
    c->transposed = source_opt_bool(&o, "transposed", true);
    s->status = o.status;
}

static void read_texts(struct source *s, struct config *c)
{
    static const char *const parts[] = {"system", "roles", "separators", NULL};
    static const char *const tasks[] = {"caption", "describe", "locate", "locate_many", NULL};
    struct source t = source_opt_object(s, "ferret_template", "ferret_template.");
    source_only_members(&t, parts);
    c->template.system = source_opt_text(&t, "system", published_system);
    no_marks(&t, "system", c->template.system);
    two_texts(&t, "roles", "USER", "ASSISTANT", c->template.roles);
    two_texts(&t, "separators", " ", "</s>", c->template.separators);
    s->status = t.status;
    struct source q = source_opt_object(s, "ferret_tasks", "ferret_tasks.");
    source_only_members(&q, tasks);
    c->tasks.caption =
        question(&q, "caption", "Describe the image and provide the coordinates of the mentioned objects.", "");
    c->tasks.describe = question(&q, "describe", "Describe the object {region} in the image.", "{region}");
    c->tasks.locate = question(&q, "locate", "What is the location of {phrase} in the image?", "{phrase}");
    c->tasks.locate_many = question(&q, "locate_many", "What are the locations of {phrases}?", "{phrases}");
    s->status = q.status;
    c->domain = source_opt_text(s, "domain", NULL);
    c->licence = source_opt_text(s, "licence", NULL);
    c->torch_dtype = source_opt_text(s, "torch_dtype", "float16");
}

static enum status load_object(const char *dir, const char *name, char *path, struct json **out, struct diag *why)
{
    enum status status = path_join(path, dir, name, why);
    if (status == ST_OK)
        status = jsn_load(path, MAX_JSON_BYTES, out, why);
    if (status == ST_OK && jsn_kind(*out) != JSON_KIND_OBJECT) {
        jsn_free(*out);
        *out = NULL;
        status = diag_set(why, ST_FORMAT, "%s: expected a JSON object", path);
    }
    return status;
}

/* The id of <region_fea>: im_region_fea_token of config.json and added_tokens.json; either may be absent, not both. */
static void read_region_id(struct source *s, const char *dir, struct config *c)
{
    char path[MAX_PATH_BYTES];
    struct json *added = NULL;
    int64_t id = source_member(s, "im_region_fea_token")
                     ? source_need_int(s, "im_region_fea_token", 0, c->decoder.vocab - 1)
                     : -1;
    if (s->status != ST_OK)
        return;
    struct diag reason = {0};
    enum status status = load_object(dir, "added_tokens.json", path, &added, &reason);
    if (status == ST_MISSING && id < 0)
        source_fail(s, ST_MISSING, "im_region_fea_token", "an id here or in added_tokens.json", NULL);
    else if (status != ST_OK && status != ST_MISSING)
        s->status = diag_set(s->why, status, "%s", reason.text);
    if (s->status != ST_OK)
        return;
    struct source a = {path, "", added, s->why, ST_OK};
    if (added && (id < 0 || source_member(&a, "<region_fea>"))) {
        int64_t low = id < 0 ? 0 : id, high = id < 0 ? c->decoder.vocab - 1 : id; /* both there: they must agree */
        id = source_check_int(&a, "<region_fea>", source_member(&a, "<region_fea>"), low, high);
    }
    c->region_id = (int)id;
    s->status = a.status;
    jsn_free(added);
}

static enum status load_main(const char *dir, struct config *c, int *select_layer, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    struct json *root = NULL;
    enum status status = load_object(dir, "config.json", path, &root, why);
    if (status != ST_OK)
        return status;
    struct source s = {path, "", root, why, ST_OK};
    read_decoder(&s, &c->decoder);
    refuse_other_models(&s);
    *select_layer = source_opt_int(&s, "mm_vision_select_layer", -MAX_LAYERS, MAX_LAYERS, -2);
    read_sampler(&s, &c->sampler);
    read_texts(&s, c);
    read_region_id(&s, dir, c);
    jsn_free(root);
    return s.status;
}

enum status config_load_decoder(const char *dir, struct decoder_config *out, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    struct json *root = NULL;
    enum status status = load_object(dir, "config.json", path, &root, why);
    if (status != ST_OK)
        return status;
    struct source s = {path, "", root, why, ST_OK};
    read_decoder(&s, out);
    jsn_free(root);
    return s.status;
}

static void read_vision(struct source *s, struct vision_config *v, int select_layer)
{
    v->hidden = source_need_int(s, "hidden_size", 1, MAX_WIDTH);
    v->layers = source_need_int(s, "num_hidden_layers", 1, MAX_LAYERS);
    v->heads = source_need_int(s, "num_attention_heads", 1, MAX_WIDTH);
    v->mlp = source_need_int(s, "intermediate_size", 1, MAX_WIDTH);
    v->image_size = source_need_int(s, "image_size", 1, 4096);
    v->patch_size = source_need_int(s, "patch_size", 1, 4096);
    v->layer_norm_eps = source_opt_positive(s, "layer_norm_eps", 1, 1e-5);
    source_only_text(s, "hidden_act", "quick_gelu");
    if (source_opt_int(s, "num_channels", 1, 16, 3) != 3)
        source_fail(s, ST_UNSUPPORTED, "num_channels", "3", source_member(s, "num_channels"));
    if (s->status != ST_OK)
        return;
    if (v->hidden % v->heads != 0)
        source_fail(s, ST_SHAPE, "num_attention_heads", "a divisor of hidden_size",
                    source_member(s, "num_attention_heads"));
    check_head_size(s, v->hidden, v->heads);
    if (v->image_size % v->patch_size != 0)
        source_fail(s, ST_SHAPE, "patch_size", "a divisor of image_size", source_member(s, "patch_size"));
    v->grid = v->image_size / v->patch_size;
    char want[96];
    snprintf(want, sizeof want, "at most %d for image_size %d (at least %d patches a side)",
             v->image_size / MIN_REGION_GRID, v->image_size, MIN_REGION_GRID);
    if (s->status == ST_OK && v->grid < MIN_REGION_GRID)
        source_fail(s, ST_UNSUPPORTED, "patch_size", want, source_member(s, "patch_size"));
    /* hidden_states has one entry more than there are layers: entry k is the output of layer k, 0 the embedding. */
    v->run_layers = select_layer < 0 ? v->layers + 1 + select_layer : select_layer;
    if (s->status == ST_OK && (v->run_layers < 1 || v->run_layers > v->layers))
        s->status =
            diag_set(s->why, ST_SHAPE, "%s: num_hidden_layers: mm_vision_select_layer %d asks for layer %d of %d",
                     s->path, select_layer, v->run_layers, v->layers);
}

static enum status load_tower(const char *dir, struct config *c, int select_layer, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    struct json *root = NULL;
    enum status status = load_object(dir, "config.json", path, &root, why);
    if (status != ST_OK)
        return status;
    struct source s = {path, "", root, why, ST_OK};
    if (source_member(&s, "vision_config")) /* a CLIPConfig; a clip_vision_model has the numbers at the top */
        s = source_opt_object(&s, "vision_config", "vision_config.");
    read_vision(&s, &c->vision, select_layer);
    if (s.status == ST_OK && c->vision.hidden != c->sampler.feature_dim)
        s.status = diag_set(why, ST_SHAPE, "%s: hidden_size: the checkpoint's mm_hidden_size is %d, found %d", path,
                            c->sampler.feature_dim, c->vision.hidden);
    jsn_free(root);
    return s.status;
}

static void three_numbers(struct source *s, const char *key, bool positive, float out[3])
{
    const struct json *v = source_member(s, key);
    if (!v)
        return;
    for (size_t i = 0; i < 3; i++) {
        double value = jsn_size(v) == 3 ? jsn_number(jsn_at(v, i), NAN) : NAN;
        if (!(fabs(value) <= 1000) || (positive && value <= 0)) {
            source_fail(s, ST_SHAPE, key, positive ? "three positive numbers" : "three numbers", v);
            return;
        }
        out[i] = (float)value;
    }
}

/* A number, or an object of sides: each must be the tower's. */
static void only_side(struct source *s, const char *key, int side)
{
    static const char *const sides[] = {"height", "width", "shortest_edge"};
    const struct json *v = source_member(s, key);
    if (v && jsn_kind(v) != JSON_KIND_OBJECT)
        source_check_int(s, key, v, side, side);
    for (size_t i = 0; v && i < sizeof sides / sizeof *sides; i++)
        if (jsn_get(v, sides[i]))
            source_check_int(s, key, jsn_get(v, sides[i]), side, side);
}

/* preprocessor_config.json of the tower. Only mean and std are taken; whatever else it says must not contradict what is
 * done: squash to the tower's size, bicubic, 1/255. */
static enum status load_preprocessor(const char *dir, struct vision_config *v, struct diag *why)
{
    static const float mean[3] = {0.48145466F, 0.4578275F, 0.40821073F},
                       std[3] = {0.26862954F, 0.26130258F, 0.27577711F};
    memcpy(v->mean, mean, sizeof mean);
    memcpy(v->std, std, sizeof std);
    char path[MAX_PATH_BYTES];
    struct json *root = NULL;
    struct diag reason = {0};
    enum status status = load_object(dir, "preprocessor_config.json", path, &root, &reason);
    if (status != ST_OK)
        return status == ST_MISSING ? ST_OK : diag_set(why, status, "%s", reason.text);
    struct source s = {path, "", root, why, ST_OK};
    three_numbers(&s, "image_mean", false, v->mean);
    three_numbers(&s, "image_std", true, v->std);
    only_side(&s, "size", v->image_size);
    only_side(&s, "crop_size", v->image_size);
    source_only_true(&s, "do_resize");
    source_only_true(&s, "do_rescale");
    source_only_true(&s, "do_normalize");
    if (source_member(&s, "resample"))
        source_check_int(&s, "resample", source_member(&s, "resample"), 3, 3);
    double factor = jsn_number(source_member(&s, "rescale_factor"), 1.0 / 255);
    if (fabs(factor * 255 - 1) > 1e-6)
        source_fail(&s, ST_UNSUPPORTED, "rescale_factor", "1/255", source_member(&s, "rescale_factor"));
    jsn_free(root);
    return s.status;
}

static enum status find_tower(const char *dir, const char *tower_dir, char **out, struct diag *why)
{
    char path[MAX_PATH_BYTES], inside[MAX_PATH_BYTES];
    enum status status = path_join(path, dir, "vision_tower", why);
    if (status != ST_OK)
        return status;
    if (!tower_dir && (status = path_join(inside, path, "config.json", why)) != ST_OK)
        return status;
    if (!tower_dir && access(inside, R_OK) != 0)
        return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO,
                        "%s: %s (the vision tower must be in the checkpoint's folder or named)", inside,
                        strerror(errno));
    *out = strdup(tower_dir ? tower_dir : path);
    return *out ? ST_OK : ST_NOMEM;
}

enum status config_load(const char *dir, const char *tower_dir, struct config **out, struct diag *why)
{
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    int select_layer = 0;
    enum status status = load_main(dir, c, &select_layer, why);
    if (status == ST_OK)
        status = find_tower(dir, tower_dir, &c->tower_dir, why);
    if (status == ST_OK)
        status = load_tower(c->tower_dir, c, select_layer, why);
    if (status == ST_OK)
        status = load_preprocessor(c->tower_dir, &c->vision, why);
    if (status != ST_OK) {
        config_free(c);
        return status;
    }
    *out = c;
    return ST_OK;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    char *texts[] = {c->template.system,
                     c->template.roles[0],
                     c->template.roles[1],
                     c->template.separators[0],
                     c->template.separators[1],
                     c->tasks.caption,
                     c->tasks.describe,
                     c->tasks.locate,
                     c->tasks.locate_many,
                     c->domain,
                     c->licence,
                     c->tower_dir,
                     c->torch_dtype};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(c);
}
