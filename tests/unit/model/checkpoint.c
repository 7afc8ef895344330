#include "model/checkpoint.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/sha256.h"
#include "model/config.h"
#include "model/half.h"
#include "tests/unit/model/scratch.h"

static struct checkpoint *open_ok(const char *dir, const char *base)
{
    struct checkpoint *c = NULL;
    struct diag why = {0};
    cr_assert_eq(checkpoint_open(dir, base, &c, &why), ST_OK, "%s", why.text);
    return c;
}

static void expect_refusal(const char *dir, const char *base, enum status want, const char *word)
{
    struct checkpoint *c = NULL;
    struct diag why = {0};
    enum status s = checkpoint_open(dir, base, &c, &why);
    cr_assert_eq(s, want, "%s: \"%s\"", status_word(s), why.text);
    cr_assert(strstr(why.text, word), "\"%s\" does not name %s", why.text, word);
    cr_assert_null(c);
}

static struct checkpoint *open_fixture(const char *name, const char *base_name)
{
    char dir[SCRATCH_PATH], base[SCRATCH_PATH];
    fixture_path(dir, name);
    if (base_name)
        fixture_path(base, base_name);
    return open_ok(dir, base_name ? base : NULL);
}

static float *read_all(const struct checkpoint *c, const struct tensor *t, int64_t *n)
{
    *n = 1;
    for (int i = 0; i < t->n_dims; i++)
        *n *= t->dims[i];
    float *values = malloc((size_t)*n * sizeof *values + 1);
    struct diag why = {0};
    cr_assert_eq(checkpoint_rows(c, t, 0, t->n_dims ? t->dims[0] : 1, values, &why), ST_OK, "%s", why.text);
    return values;
}

static void hash_as_half(const struct checkpoint *c, const struct tensor *t, char hex[SHA256_HEX])
{
    int64_t n;
    float *values = read_all(c, t, &n);
    uint16_t *half = malloc((size_t)n * sizeof *half);
    for (int64_t i = 0; i < n; i++)
        half[i] = half_from_f32(values[i]);
    uint8_t digest[SHA256_BYTES];
    sha256_of(half, (size_t)n * sizeof *half, digest);
    sha256_hex(digest, hex);
    free(half);
    free(values);
}

Test(checkpoint, a_delta_over_its_base_gives_the_published_sums_bit_for_bit)
{
    char path[SCRATCH_PATH];
    struct json *cases = NULL;
    fixture_path(path, "tiny-ferret-b-cases/cases.json");
    cr_assert_eq(jsn_load(path, 16 << 20, &cases, NULL), ST_OK);
    const struct json *want = jsn_get(cases, "target_sha256");
    struct checkpoint *c = open_fixture("tiny-ferret-b-delta", "tiny-ferret-b-base");
    cr_assert_not_null(checkpoint_base(c));
    size_t compared = 0;
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        const char *hash = jsn_string(jsn_get(want, t->name), NULL);
        char hex[SHA256_HEX];
        if (!hash)
            continue;
        hash_as_half(c, t, hex);
        cr_assert_str_eq(hex, hash, "%s", t->name);
        compared++;
    }
    cr_assert_eq(compared, jsn_size(want));
    cr_assert_gt(compared, 30);
    checkpoint_close(c);
    jsn_free(cases);
}

Test(checkpoint, tensors_come_sorted_by_name_and_are_found)
{
    struct checkpoint *c = open_fixture("tiny-ferret-a", NULL);
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        cr_assert_eq(checkpoint_find(c, t->name), t);
        cr_assert(i == 0 || strcmp(checkpoint_at(c, i - 1)->name, t->name) < 0);
    }
    cr_assert_null(checkpoint_find(c, "model.layers.9.nothing"));
    cr_assert_null(checkpoint_at(c, checkpoint_count(c)));
    cr_assert_null(checkpoint_base(c));
    checkpoint_close(c);
}

Test(checkpoint, towers_of_either_container_open_with_their_odd_tensors)
{
    struct checkpoint *a = open_fixture("tiny-ferret-a-clip", NULL), *b = open_fixture("tiny-ferret-b-clip", NULL);
    const struct tensor *scale = checkpoint_find(a, "logit_scale");
    const struct tensor *ids = checkpoint_find(a, "vision_model.embeddings.position_ids");
    cr_assert(scale && scale->n_dims == 0 && ids && ids->type == TENSOR_I64);
    float value;
    cr_assert_eq(checkpoint_rows(a, scale, 0, 1, &value, NULL), ST_OK);
    cr_assert_eq(checkpoint_rows(a, ids, 0, 1, &value, NULL), ST_SHAPE);
    cr_assert(checkpoint_find(b, "vision_model.embeddings.class_embedding"));
    checkpoint_close(a);
    checkpoint_close(b);
}

Test(checkpoint, rows_are_the_same_in_any_portion_and_none_lie_outside)
{
    struct checkpoint *c = open_fixture("tiny-ferret-b-delta", "tiny-ferret-b-base");
    const struct tensor *t = checkpoint_find(c, "lm_head.weight");
    int64_t n, rows = t->dims[0], cols = t->dims[1];
    float *whole = read_all(c, t, &n), *part = malloc((size_t)(3 * cols) * sizeof *part);
    for (int64_t row = rows > 60 ? rows - 60 : 0; row + 3 <= rows; row++) {
        cr_assert_eq(checkpoint_rows(c, t, row, 3, part, NULL), ST_OK);
        cr_assert_eq(memcmp(part, whole + row * cols, (size_t)(3 * cols) * sizeof *part), 0);
    }
    static const int64_t bad[][2] = {{-1, 1}, {0, -1}, {0, INT64_MAX}, {INT64_MAX, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(checkpoint_rows(c, t, bad[i][0], bad[i][1], part, NULL), ST_INVALID);
    cr_assert_eq(checkpoint_rows(c, t, rows, 1, part, NULL), ST_INVALID);
    cr_assert_eq(checkpoint_rows(c, t, rows, 0, part, NULL), ST_OK);
    checkpoint_release(c, t);
    cr_assert_eq(checkpoint_rows(c, t, 0, 1, part, NULL), ST_OK);
    cr_assert_eq(memcmp(part, whole, (size_t)cols * sizeof *part), 0);
    free(whole);
    free(part);
    checkpoint_close(c);
}

Test(checkpoint, need_names_file_tensor_expected_and_found)
{
    struct checkpoint *c = open_fixture("tiny-ferret-a-clip", NULL);
    const struct tensor *t = NULL;
    struct diag why = {0};
    const int64_t wrong[] = {7, 11};
    cr_assert_eq(checkpoint_need(c, "vision_model.pre_layrnorm.weight", wrong, 2, &t, &why), ST_SHAPE);
    cr_assert(strstr(why.text, "model.safetensors") && strstr(why.text, "vision_model.pre_layrnorm.weight") &&
                  strstr(why.text, "[7, 11]") && strstr(why.text, "found ["),
              "%s", why.text);
    cr_assert_eq(checkpoint_need(c, "no.such.tensor", wrong, 2, &t, &why), ST_MISSING);
    cr_assert(strstr(why.text, "tiny-ferret-a-clip/model.safetensors: no.such.tensor"), "%s", why.text);
    const struct tensor *ids = checkpoint_find(c, "vision_model.embeddings.position_ids");
    cr_assert_eq(checkpoint_need(c, ids->name, ids->dims, ids->n_dims, &t, &why), ST_SHAPE);
    cr_assert(strstr(why.text, "I64"), "%s", why.text);
    cr_assert_null(t);
    checkpoint_close(c);
    c = open_fixture("tiny-ferret-a", NULL);
    cr_assert_eq(checkpoint_need(c, "no.such.tensor", wrong, 2, &t, &why), ST_MISSING);
    cr_assert(strstr(why.text, "tiny-ferret-a/model.safetensors.index.json: no.such.tensor"), "%s", why.text);
    checkpoint_close(c);
}

/* A copy of a one- or two-shard fixture, one file of it cut to `keep` bytes. */
static void expect_cut_refused(const char *fixture, const char *file, size_t steps)
{
    char dir[SCRATCH_PATH], copy[SCRATCH_PATH], path[SCRATCH_PATH];
    scratch_make(dir);
    scratch_copy(fixture, dir, "c");
    scratch_join(copy, dir, "c");
    scratch_join(path, copy, file);
    size_t len;
    unsigned char *bytes = scratch_read(path, &len);
    for (size_t i = 0; i < steps; i++) {
        size_t keep = i < 20 ? i : i < 60 ? len - (i - 19) : len * (i - 59) / (steps - 58);
        scratch_write(path, bytes, keep);
        struct checkpoint *c = NULL;
        struct diag why = {0};
        cr_assert_neq(checkpoint_open(copy, NULL, &c, &why), ST_OK, "%s of %zu of %zu bytes", file, keep, len);
        cr_assert(strstr(why.text, file), "%s", why.text);
    }
    free(bytes);
    scratch_remove(dir);
}

Test(checkpoint, a_shard_cut_short_anywhere_is_refused_by_name)
{
    expect_cut_refused("tiny-ferret-a", "model-00002-of-00002.safetensors", 200);
    expect_cut_refused("tiny-ferret-b-delta", "pytorch_model-00001-of-00002.bin", 200);
    expect_cut_refused("tiny-ferret-a-clip", "model.safetensors", 100);
}

Test(checkpoint, an_index_that_lies_is_refused_by_name)
{
    static const struct {
        const char *from, *to;
        enum status status;
        const char *word;
    } cases[] = {
        {"\"lm_head.weight\"", "\"lm_head.weigh\"", ST_MISSING, "lm_head.weigh"},
        {"\"model.embed_tokens.weight\": \"model-00001", "\"model.embed_tokens.weight\": \"model-00002", ST_MISSING,
         "embed_tokens.weight: not in"},
        {"\"model-00002-of-00002.safetensors\"", "\"model-00003-of-00003.safetensors\"", ST_MISSING, "00003-of-00003"},
        {"\"model-00002-of-00002.safetensors\"", "\"../model-00002-of-00002.safetensors\"", ST_FORMAT,
         "expected the name of a file"},
        {"\"model-00002-of-00002.safetensors\"", "\"..\"", ST_FORMAT, "expected the name of a file"},
        {"\"model-00002-of-00002.safetensors\"", "7", ST_FORMAT, "expected the name of a file"},
        {"\"weight_map\"", "\"weight_mop\"", ST_FORMAT, "weight_map"},
        {"\"weight_map\"", "weight_map", ST_FORMAT, "index.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[SCRATCH_PATH], copy[SCRATCH_PATH];
        scratch_make(dir);
        scratch_copy("tiny-ferret-a", dir, "c");
        scratch_join(copy, dir, "c");
        scratch_edit(copy, "model.safetensors.index.json", cases[i].from, cases[i].to);
        expect_refusal(copy, NULL, cases[i].status, cases[i].word);
        scratch_remove(dir);
    }
}

static void rename_in(const char *dir, const char *from, const char *to)
{
    char a[SCRATCH_PATH], b[SCRATCH_PATH];
    scratch_join(a, dir, from);
    scratch_join(b, dir, to);
    cr_assert_eq(rename(a, b), 0);
}

Test(checkpoint, a_tensor_in_two_shards_a_missing_shard_and_an_empty_folder_are_refused)
{
    char dir[SCRATCH_PATH], copy[SCRATCH_PATH], path[SCRATCH_PATH];
    scratch_make(dir);
    expect_refusal(dir, NULL, ST_MISSING, "neither model.safetensors nor pytorch_model.bin");
    scratch_copy("tiny-ferret-a", dir, "c");
    scratch_join(copy, dir, "c");
    scratch_join(path, copy, "model-00001-of-00002.safetensors");
    size_t len;
    unsigned char *bytes = scratch_read(path, &len);
    scratch_join(path, copy, "model-00002-of-00002.safetensors");
    scratch_write(path, bytes, len);
    free(bytes);
    expect_refusal(copy, NULL, ST_FORMAT, "again in");
    rename_in(copy, "model-00002-of-00002.safetensors", "elsewhere");
    expect_refusal(copy, NULL, ST_MISSING, "model-00002-of-00002.safetensors");
    scratch_write(path, "", 0);
    expect_refusal(copy, NULL, ST_FORMAT, "empty");
    scratch_remove(dir);
}

Test(checkpoint, an_old_or_compressed_or_foreign_pytorch_file_is_refused_with_its_reason)
{
    char dir[SCRATCH_PATH], path[SCRATCH_PATH];
    scratch_make(dir);
    scratch_join(path, dir, "pytorch_model.bin");
    scratch_write(path, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", 15); /* how torch < 1.6 began */
    expect_refusal(dir, NULL, ST_FORMAT, "not a zip archive");
    scratch_remove(dir);
}

/* Folders DIR/d and DIR/b that a test may damage. */
struct pair {
    char dir[SCRATCH_PATH], delta[SCRATCH_PATH], base[SCRATCH_PATH];
};

static struct pair copy_pair(const char *delta, const char *base)
{
    struct pair p;
    scratch_make(p.dir);
    scratch_copy(delta, p.dir, "d");
    scratch_copy(base, p.dir, "b");
    scratch_join(p.delta, p.dir, "d");
    scratch_join(p.base, p.dir, "b");
    return p;
}

Test(checkpoint, what_stands_in_a_weight_file_s_place_is_named, .timeout = 30)
{
    char dir[SCRATCH_PATH], path[SCRATCH_PATH];
    scratch_make(dir);
    scratch_join(path, dir, "model.safetensors");
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refusal(dir, NULL, ST_IO, "not a regular file");
    cr_assert_eq(remove(path), 0);
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    scratch_write(path, pointer, sizeof pointer - 1);
    expect_refusal(dir, NULL, ST_FORMAT, "Git LFS");
    scratch_remove(dir);
}

Test(checkpoint, a_base_of_another_model_is_refused)
{
    struct pair p = copy_pair("tiny-ferret-b-delta", "tiny-ferret-b-base");
    checkpoint_close(open_ok(p.delta, p.base));
    scratch_remove(p.dir);
    static const struct {
        const char *from, *to;
        enum status want;
        const char *word;
    } rows[] = {
        {"\"rms_norm_eps\": 1e-0", "\"rms_norm_eps\": 3e-0", ST_FORMAT, "rms_norm_eps: expected"},
        {"embeddings\": 2048", "embeddings\": 4096", ST_FORMAT, "max_position_embeddings: expected"},
        {"heads\": 2", "heads\": 4", ST_FORMAT, "num_attention_heads: expected 2 as in the delta, found 4"},
        {"layers\": 2", "layers\": 3", ST_FORMAT, "num_hidden_layers: expected 2"},
        {"{", "{\"rope_theta\": 500000,", ST_FORMAT, "rope_theta: expected 10000"},
        {"{", "{\"rope_scaling\": {\"a\": 1},", ST_UNSUPPORTED, "rope_scaling: expected"},
        {"\"silu\"", "\"gelu\"", ST_UNSUPPORTED, "hidden_act: expected \"silu\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        p = copy_pair("tiny-ferret-b-delta", "tiny-ferret-b-base");
        scratch_edit(p.base, "config.json", rows[i].from, rows[i].to);
        expect_refusal(p.delta, p.base, rows[i].want, rows[i].word);
        scratch_remove(p.dir);
    }
    char other[SCRATCH_PATH], delta[SCRATCH_PATH];
    fixture_path(delta, "tiny-ferret-b-delta");
    fixture_path(other, "tiny-ferret-a"); /* other widths */
    expect_refusal(delta, other, ST_FORMAT, "as in the delta, found");
    expect_refusal(delta, delta, ST_FORMAT, "vocab_size: expected");
}

static void expect_vocabulary_refused(int added, enum status want, const char *word)
{
    struct pair p = copy_pair("tiny-ferret-b-delta", "tiny-ferret-b-base");
    struct decoder_config d;
    char from[64], to[64];
    cr_assert_eq(config_load_decoder(p.base, &d, NULL), ST_OK);
    snprintf(from, sizeof from, "vocab_size\": %d", d.vocab);
    snprintf(to, sizeof to, "vocab_size\": %d", d.vocab + added);
    scratch_edit(p.base, "config.json", from, to);
    expect_refusal(p.delta, p.base, want, word);
    scratch_remove(p.dir);
}

Test(checkpoint, a_base_with_another_vocabulary_is_refused)
{
    expect_vocabulary_refused(1, ST_FORMAT, "vocab_size: expected"); /* as many as the delta */
    expect_vocabulary_refused(-64, ST_FORMAT, "vocab_size: expected");
    expect_vocabulary_refused(-1, ST_SHAPE, "expected floats ["); /* and a row more is there */
}

Test(checkpoint, a_base_that_lacks_a_decoder_tensor_is_refused)
{
    struct pair p = copy_pair("tiny-ferret-b-delta", "tiny-ferret-b-base");
    rename_in(p.base, "pytorch_model.bin.index.json", "index");
    rename_in(p.base, "pytorch_model-00001-of-00002.bin", "pytorch_model.bin"); /* half of it, whole by itself */
    expect_refusal(p.delta, p.base, ST_MISSING, ", to which ");
    scratch_remove(p.dir);
}

static void hash_of(const char *dir, const char *base, const char *tower, char hex[65])
{
    struct checkpoint *c = open_ok(dir, base), *t = tower ? open_ok(tower, NULL) : NULL;
    struct diag why = {0};
    cr_assert_eq(checkpoint_hash(c, t, hex, &why), ST_OK, "%s", why.text);
    checkpoint_close(c);
    checkpoint_close(t);
}

/* Flips a bit of the tensor's first value in its file. */
static void flip_bit(const char *dir, const char *file, const char *tensor)
{
    char path[SCRATCH_PATH];
    scratch_join(path, dir, file);
    size_t len;
    unsigned char *bytes = scratch_read(path, &len);
    struct checkpoint *c = open_ok(dir, NULL);
    const struct tensor *t = checkpoint_find(c, tensor);
    unsigned char *at = memmem(bytes, len, t->data, t->bytes);
    cr_assert(at);
    at[0] ^= 1;
    checkpoint_close(c);
    scratch_write(path, bytes, len);
    free(bytes);
}

Test(checkpoint, the_hash_is_stable_and_follows_weights_configuration_and_tower)
{
    char first[65], hex[65], tower[SCRATCH_PATH];
    struct pair p = copy_pair("tiny-ferret-a", "tiny-ferret-a-clip");
    fixture_path(tower, "tiny-ferret-a-clip");
    hash_of(p.delta, NULL, p.base, first);
    hash_of(p.delta, NULL, tower, hex);
    cr_assert_str_eq(hex, first);
    cr_assert_eq(strlen(first), 64);
    hash_of(p.delta, NULL, NULL, hex);
    cr_assert_str_neq(hex, first);
    flip_bit(p.base, "model.safetensors", "vision_model.embeddings.class_embedding");
    hash_of(p.delta, NULL, p.base, hex);
    cr_assert_str_neq(hex, first);
    flip_bit(p.delta, "model-00001-of-00002.safetensors", "model.embed_tokens.weight");
    hash_of(p.delta, NULL, tower, hex);
    cr_assert_str_neq(hex, first);
    flip_bit(p.delta, "model-00001-of-00002.safetensors", "model.embed_tokens.weight");
    hash_of(p.delta, NULL, tower, hex);
    cr_assert_str_eq(hex, first);
    scratch_edit(p.delta, "config.json", "{", "{ ");
    hash_of(p.delta, NULL, tower, hex);
    cr_assert_str_neq(hex, first);
    scratch_remove(p.dir);
}

Test(checkpoint, the_hash_of_a_delta_follows_its_base)
{
    char first[65], hex[65];
    struct pair p = copy_pair("tiny-ferret-b-delta", "tiny-ferret-b-base");
    hash_of(p.delta, p.base, NULL, first);
    hash_of(p.delta, NULL, NULL, hex);
    cr_assert_str_neq(hex, first);
    scratch_remove(p.dir);
}

Test(checkpoint, what_is_ignored_is_stated)
{
    cr_assert(checkpoint_ignores("model.layers.3.self_attn.rotary_emb.inv_freq"));
    cr_assert(checkpoint_ignores("vision_model.embeddings.position_ids"));
    cr_assert(checkpoint_ignores("text_model.final_layer_norm.bias"));
    cr_assert(checkpoint_ignores("logit_scale") && checkpoint_ignores("visual_projection.weight"));
    cr_assert_not(checkpoint_ignores("model.norm.weight"));
    cr_assert_not(checkpoint_ignores("vision_model.embeddings.position_embedding.weight"));
}
