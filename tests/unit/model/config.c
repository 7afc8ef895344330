#include "model/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/model/scratch.h"

/* A complete configuration that a test may damage. */
static const char main_text[] =
    "{\"hidden_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 3, \"intermediate_size\": 128,"
    " \"vocab_size\": 769, \"rms_norm_eps\": 1e-06, \"mm_hidden_size\": 32, \"region_geo_sampler\": true,"
    " \"sampler_pooler_mode\": \"max\", \"im_region_fea_token\": 768, \"mm_vision_select_layer\": -2}";
static const char tower_text[] = "{\"hidden_size\": 32, \"num_hidden_layers\": 3, \"num_attention_heads\": 2,"
                                 " \"intermediate_size\": 64, \"image_size\": 84, \"patch_size\": 14}";

struct folders {
    char main[SCRATCH_PATH], tower[SCRATCH_PATH];
};

static void put(const char *dir, const char *name, const char *text)
{
    char path[SCRATCH_PATH];
    scratch_join(path, dir, name);
    scratch_write(path, text, strlen(text));
}

static struct folders make_folders(void)
{
    struct folders f;
    scratch_make(f.main);
    scratch_make(f.tower);
    put(f.main, "config.json", main_text);
    put(f.tower, "config.json", tower_text);
    return f;
}

static void remove_folders(const struct folders *f)
{
    scratch_remove(f->main);
    scratch_remove(f->tower);
}

static struct config *load(const struct folders *f)
{
    struct config *c = NULL;
    struct diag why = {0};
    cr_assert_eq(config_load(f->main, f->tower, &c, &why), ST_OK, "%s", why.text);
    return c;
}

static void expect_refusal(const struct folders *f, enum status want, const char *word)
{
    struct config *c = NULL;
    struct diag why = {0};
    enum status s = config_load(f->main, f->tower, &c, &why);
    cr_assert_eq(s, want, "%s: \"%s\", expected %s about %s", status_word(s), why.text, status_word(want), word);
    cr_assert(strstr(why.text, word), "\"%s\" does not name %s", why.text, word);
    cr_assert_null(c);
}

Test(config, absent_keys_have_the_published_values)
{
    struct folders f = make_folders();
    struct config *c = load(&f);
    cr_assert_eq(c->decoder.max_positions, 2048);
    cr_assert_float_eq(c->decoder.rope_theta, 10000, 0);
    cr_assert(c->decoder.bos_id == 1 && c->decoder.eos_id == 2 && c->decoder.pad_id == 0);
    cr_assert_eq(c->decoder.head_dim, 16);
    cr_assert_eq(c->vision.grid, 6);
    cr_assert_eq(c->vision.run_layers, 2);
    cr_assert_float_eq(c->vision.mean[0], 0.48145466F, 0);
    cr_assert_float_eq(c->vision.std[2], 0.27577711F, 0);
    cr_assert(c->sampler.points == 512 && c->sampler.n_stages == 2);
    cr_assert(c->sampler.stage_points[0] == 128 && c->sampler.stage_points[1] == 32);
    cr_assert(c->sampler.stage_neighbors[0] == 24 && c->sampler.stage_neighbors[1] == 24);
    cr_assert(c->sampler.max_pool && c->sampler.transposed);
    cr_assert_str_eq(c->template.system,
                     "A chat between a human and an AI that understands visuals. In images, [x, y] denotes points: "
                     "top-left [0, 0], bottom-right [width-1, height-1]. Increasing x moves right; y moves down. "
                     "Bounding box: [x1, y1, x2, y2]. Image size: 1000x1000. Follow instructions. ");
    cr_assert_str_eq(c->template.roles[0], "USER");
    cr_assert_str_eq(c->template.roles[1], "ASSISTANT");
    cr_assert_str_eq(c->template.separators[0], " ");
    cr_assert_str_eq(c->template.separators[1], "</s>");
    cr_assert_str_eq(c->tasks.locate, "What is the location of {phrase} in the image?");
    cr_assert_str_eq(c->tasks.locate_many, "What are the locations of {phrases}?");
    cr_assert(!c->domain && !c->licence);
    cr_assert_str_eq(c->tower_dir, f.tower);
    config_free(c);
    remove_folders(&f);
}

Test(config, own_keys_replace_the_published_values)
{
    struct folders f = make_folders();
    scratch_edit(
        f.main, "config.json", "{",
        "{\"ferret_sampler\": {\"points\": 64, \"stages\": [24, 8, 4], \"neighbors\": [8, 6, 2],"
        " \"transposed\": false},"
        " \"ferret_template\": {\"system\": \"\", \"roles\": [\"Q\", \"A\"], \"separators\": [\"\\n\", \"|\"]},"
        " \"ferret_tasks\": {\"caption\": \"Say.\", \"describe\": \"What is {region}?\"},"
        " \"domain\": \"drawings\", \"licence\": \"MIT\", \"torch_dtype\": \"bfloat16\","
        " \"rope_theta\": 500000.0, \"max_position_embeddings\": 4096,");
    struct config *c = load(&f);
    cr_assert(c->sampler.points == 64 && c->sampler.n_stages == 3 && c->sampler.stage_neighbors[2] == 2);
    cr_assert_not(c->sampler.transposed);
    cr_assert_str_eq(c->template.system, "");
    cr_assert_str_eq(c->template.roles[1], "A");
    cr_assert_str_eq(c->template.separators[0], "\n");
    cr_assert_str_eq(c->tasks.caption, "Say.");
    cr_assert_str_eq(c->tasks.describe, "What is {region}?");
    cr_assert_str_eq(c->tasks.locate, "What is the location of {phrase} in the image?");
    cr_assert_str_eq(c->domain, "drawings");
    cr_assert_str_eq(c->licence, "MIT");
    cr_assert_str_eq(c->torch_dtype, "bfloat16");
    cr_assert_eq(c->decoder.max_positions, 4096);
    cr_assert_float_eq(c->decoder.rope_theta, 500000, 0);
    config_free(c);
    remove_folders(&f);
}

static const struct {
    const char *from, *to; /* edit of a config.json */
    enum status status;
    const char *word;
} refusals[] = {
    {"\"hidden_size\": 48, ", "", ST_MISSING, "hidden_size"},
    {"\"hidden_size\": 48", "\"hidden_size\": \"48\"", ST_SHAPE, "hidden_size"},
    {"\"hidden_size\": 48", "\"hidden_size\": 50", ST_SHAPE, "num_attention_heads"},
    {"\"hidden_size\": 48", "\"hidden_size\": 4000000", ST_SHAPE, "hidden_size"},
    {"\"hidden_size\": 48", "\"hidden_size\": -48", ST_SHAPE, "hidden_size"},
    {"\"num_attention_heads\": 3", "\"num_attention_heads\": 16", ST_SHAPE, "num_attention_heads"},
    {"\"num_attention_heads\": 3", "\"num_attention_heads\": 0", ST_SHAPE, "num_attention_heads"},
    {"\"num_attention_heads\": 3", "\"num_key_value_heads\": 1, \"num_attention_heads\": 3", ST_UNSUPPORTED,
     "num_key_value_heads"},
    {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0", ST_SHAPE, "rms_norm_eps"},
    {"\"rms_norm_eps\"", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}, \"rms_norm_eps\"", ST_UNSUPPORTED,
     "rope_scaling"},
    {"\"rms_norm_eps\"", "\"mm_projector_type\": \"mlp2x_gelu\", \"rms_norm_eps\"", ST_UNSUPPORTED, "mlp2x_gelu"},
    {"\"rms_norm_eps\"", "\"hidden_act\": \"gelu\", \"rms_norm_eps\"", ST_UNSUPPORTED, "hidden_act"},
    {"\"rms_norm_eps\"", "\"tie_word_embeddings\": true, \"rms_norm_eps\"", ST_UNSUPPORTED, "tie_word_embeddings"},
    {"\"rms_norm_eps\"", "\"mm_use_im_start_end\": true, \"rms_norm_eps\"", ST_UNSUPPORTED, "mm_use_im_start_end"},
    {"\"rms_norm_eps\"", "\"mm_vision_select_feature\": \"cls_patch\", \"rms_norm_eps\"", ST_UNSUPPORTED,
     "mm_vision_select_feature"},
    {"\"rms_norm_eps\"", "\"image_aspect_ratio\": \"pad\", \"rms_norm_eps\"", ST_UNSUPPORTED, "image_aspect_ratio"},
    {"\"region_geo_sampler\": true, ", "", ST_MISSING, "region_geo_sampler"},
    {"\"region_geo_sampler\": true", "\"region_geo_sampler\": false", ST_UNSUPPORTED, "region_geo_sampler"},
    {"\"max\"", "\"median\"", ST_UNSUPPORTED, "sampler_pooler_mode"},
    {"\"im_region_fea_token\": 768, ", "", ST_MISSING, "im_region_fea_token"},
    {"\"im_region_fea_token\": 768", "\"im_region_fea_token\": 769", ST_SHAPE, "im_region_fea_token"},
    {"\"mm_vision_select_layer\": -2", "\"mm_vision_select_layer\": -4", ST_SHAPE, "mm_vision_select_layer"},
    {"\"mm_vision_select_layer\": -2", "\"mm_vision_select_layer\": 4", ST_SHAPE, "mm_vision_select_layer"},
    {"\"mm_hidden_size\": 32", "\"mm_hidden_size\": 64", ST_SHAPE, "hidden_size"},
    {"\"rms_norm_eps\"", "\"ferret_sampler\": {\"stages\": [128]}, \"rms_norm_eps\"", ST_SHAPE, "neighbors"},
    {"\"rms_norm_eps\"", "\"ferret_sampler\": {\"points\": 64}, \"rms_norm_eps\"", ST_SHAPE, "stages"},
    {"\"rms_norm_eps\"", "\"ferret_sampler\": {\"stages\": [1,1,1,1,1]}, \"rms_norm_eps\"", ST_SHAPE, "stages"},
    {"\"rms_norm_eps\"", "\"ferret_sampler\": [], \"rms_norm_eps\"", ST_SHAPE, "ferret_sampler"},
    {"\"rms_norm_eps\"", "\"ferret_template\": {\"roles\": [\"A\"]}, \"rms_norm_eps\"", ST_SHAPE, "roles"},
    {"\"rms_norm_eps\"", "\"ferret_tasks\": {\"describe\": \"What?\"}, \"rms_norm_eps\"", ST_FORMAT, "{region}"},
    {"\"rms_norm_eps\"", "\"ferret_tasks\": {\"caption\": \"\"}, \"rms_norm_eps\"", ST_FORMAT, "caption"},
    {"\"rms_norm_eps\"", "\"eos_token_id\": [2, 3], \"rms_norm_eps\"", ST_SHAPE, "eos_token_id"},
    {"\"rms_norm_eps\"", "\"domain\": 7, \"rms_norm_eps\"", ST_SHAPE, "domain"},
    {"{", "[", ST_FORMAT, "config.json"},
};

Test(config, what_is_impossible_or_of_another_model_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct folders f = make_folders();
        scratch_edit(f.main, "config.json", refusals[i].from, refusals[i].to);
        expect_refusal(&f, refusals[i].status, refusals[i].word);
        remove_folders(&f);
    }
}

/* Sizes that the operations assert: the sentence names file, field, what may be and what was found. */
static void expect_limit(bool in_tower, const char *from, const char *to, const char *field, const char *allowed,
                         const char *found)
{
    struct folders f = make_folders();
    struct config *c = NULL;
    struct diag why = {0};
    scratch_edit(in_tower ? f.tower : f.main, "config.json", from, to);
    enum status s = config_load(f.main, f.tower, &c, &why);
    cr_assert(s == ST_SHAPE || s == ST_UNSUPPORTED, "%s: \"%s\"", to, why.text);
    const char *const words[] = {in_tower ? f.tower : f.main, "/config.json: ", field, allowed, found};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_assert(strstr(why.text, words[i]), "\"%s\" does not say %s", why.text, words[i]);
    remove_folders(&f);
}

Test(config, every_size_that_an_operation_asserts_is_refused_with_field_allowed_and_found)
{
#define SAMPLER(text) "\"rms_norm_eps\"", "\"ferret_sampler\": {" text "}, \"rms_norm_eps\""
    static const struct {
        bool in_tower;
        const char *from, *to, *field, *allowed, *found;
    } cases[] = {
        {false, "\"hidden_size\": 48", "\"hidden_size\": 774", "num_attention_heads", "at least 4 for hidden_size 774",
         "found 3"},
        {false, "48, \"num_hidden_layers\": 2, \"num_attention_heads\": 3",
         "512, \"num_hidden_layers\": 2, \"num_attention_heads\": 1", "num_attention_heads", "at most 256 channels",
         "found 1"},
        {false, SAMPLER("\"points\": 5000, \"stages\": [16, 4], \"neighbors\": [8, 8]"), "points", "1 to 4096",
         "found 5000"},
        {false, SAMPLER("\"points\": 4097"), "points", "1 to 4096", "found 4097"},
        {false, SAMPLER("\"points\": 4096, \"stages\": [4097, 4]"), "stages", "1 to 4096", "found 4097"},
        {false, SAMPLER("\"points\": 4096, \"neighbors\": [8, 4097]"), "neighbors", "1 to 4096", "found 4097"},
        {false, SAMPLER("\"stages\": [0, 4]"), "stages", "1 to 4096", "found 0"},
        {false, SAMPLER("\"stages\": [128, 200]"), "stages", "no more points", "200"},
        {false, "1e-06", "1e-60", "rms_norm_eps", "a positive number up to 1 that a float holds", "found 1e-60"},
        {false, "\"vocab_size\": 769", "\"vocab_size\": 1", "vocab_size", "4 to", "found 1"},
        {true, "\"patch_size\": 14", "\"patch_size\": 84", "patch_size", "at most 42 for image_size 84", "found 84"},
        {true, "\"image_size\": 84", "\"image_size\": 14", "patch_size", "at least 2 patches a side", "found 14"},
        {true, "32, \"num_hidden_layers\": 3, \"num_attention_heads\": 2",
         "514, \"num_hidden_layers\": 3, \"num_attention_heads\": 2", "num_attention_heads",
         "at least 3 for hidden_size 514", "found 2"},
        {true, "{", "{\"layer_norm_eps\": 1e-46, ", "layer_norm_eps", "that a float holds", "found 1e-46"},
    };
#undef SAMPLER
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_limit(cases[i].in_tower, cases[i].from, cases[i].to, cases[i].field, cases[i].allowed, cases[i].found);
}

Test(config, the_largest_sizes_that_the_operations_can_do_load)
{
    struct folders f = make_folders();
    scratch_edit(f.main, "config.json", "48, \"num_hidden_layers\": 2, \"num_attention_heads\": 3",
                 "768, \"num_hidden_layers\": 2, \"num_attention_heads\": 3");
    scratch_edit(f.main, "config.json", "{", "{\"ferret_sampler\": {\"points\": 4096, \"stages\": [4096, 1]},");
    scratch_edit(f.tower, "config.json", "\"patch_size\": 14", "\"patch_size\": 42");
    scratch_edit(f.main, "config.json", "\"mm_hidden_size\": 32", "\"mm_hidden_size\": 512");
    scratch_edit(f.tower, "config.json", "\"hidden_size\": 32", "\"hidden_size\": 512");
    struct config *c = load(&f);
    cr_assert(c->decoder.head_dim == 256 && c->sampler.points == 4096 && c->vision.grid == 2);
    config_free(c);
    remove_folders(&f);
}

Test(config, select_layer_counts_hidden_states_from_either_end)
{
    static const struct {
        const char *select;
        int run;
    } cases[] = {{"-1", 3}, {"-2", 2}, {"-3", 1}, {"1", 1}, {"2", 2}, {"3", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct folders f = make_folders();
        char to[64];
        snprintf(to, sizeof to, "\"mm_vision_select_layer\": %s", cases[i].select);
        scratch_edit(f.main, "config.json", "\"mm_vision_select_layer\": -2", to);
        struct config *c = load(&f);
        cr_assert_eq(c->vision.run_layers, cases[i].run, "select %s", cases[i].select);
        config_free(c);
        remove_folders(&f);
    }
}

Test(config, region_id_comes_from_added_tokens_where_the_key_is_absent_and_must_agree_where_both_are_there)
{
    struct folders f = make_folders();
    put(f.main, "added_tokens.json", "{\"<region_fea>\": 767}");
    expect_refusal(&f, ST_SHAPE, "<region_fea>");
    scratch_edit(f.main, "config.json", "\"im_region_fea_token\": 768, ", "");
    struct config *c = load(&f);
    cr_assert_eq(c->region_id, 767);
    config_free(c);
    put(f.main, "added_tokens.json", "{\"<region_fea>\": 769}");
    expect_refusal(&f, ST_SHAPE, "<region_fea>");
    put(f.main, "added_tokens.json", "{\"<other>\": 768}");
    expect_refusal(&f, ST_MISSING, "<region_fea>");
    put(f.main, "added_tokens.json", "{broken");
    expect_refusal(&f, ST_FORMAT, "added_tokens.json");
    remove_folders(&f);
}

Test(config, tower_numbers_are_found_at_the_top_and_under_vision_config)
{
    struct folders f = make_folders();
    char nested[1024];
    snprintf(nested, sizeof nested, "{\"model_type\": \"clip\", \"hidden_size\": 7, \"vision_config\": %s}",
             tower_text);
    put(f.tower, "config.json", nested);
    struct config *c = load(&f);
    cr_assert(c->vision.hidden == 32 && c->vision.layers == 3 && c->vision.image_size == 84);
    config_free(c);
    put(f.tower, "config.json", "{\"vision_config\": []}");
    expect_refusal(&f, ST_SHAPE, "vision_config");
    remove_folders(&f);
}

Test(config, a_slip_in_an_object_of_our_own_is_refused_with_its_path)
{
    static const struct {
        const char *member, *word;
    } rows[] = {
        {"\"ferret_tasks\": {\"foo\": \"x\"}", "ferret_tasks.foo: expected one of caption, describe"},
        {"\"ferret_template\": {\"sys\": \"x\"}", "ferret_template.sys: expected one of system, roles"},
        {"\"ferret_sampler\": {\"transpose\": false}", "ferret_sampler.transpose: expected one of points"},
        {"\"ferret_sampler\": {\"points\": \"x\"}", "ferret_sampler.points: expected an integer"},
        {"\"ferret_template\": {\"system\": \"a <image> b\"}", "ferret_template.system: expected a text without"},
        {"\"ferret_template\": {\"roles\": [\"<region_fea>\", \"b\"]}", "ferret_template.roles: expected a text"},
        {"\"ferret_tasks\": {\"caption\": \"<region_fea>\"}", "ferret_tasks.caption: expected a text without"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct folders f = make_folders();
        char text[1024];
        snprintf(text, sizeof text, "{%s, %s", rows[i].member, main_text + 1);
        put(f.main, "config.json", text);
        expect_refusal(&f, strstr(rows[i].word, "integer") ? ST_SHAPE : ST_FORMAT, rows[i].word);
        remove_folders(&f);
    }
}

Test(config, a_tower_that_asks_for_other_pixels_is_refused)
{
    static const char *const rows[][2] = {{"{\"do_normalize\": false}", "do_normalize: expected true"},
                                          {"{\"do_rescale\": false}", "do_rescale: expected true"},
                                          {"{\"do_resize\": false}", "do_resize: expected true"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct folders f = make_folders();
        put(f.tower, "preprocessor_config.json", rows[i][0]);
        expect_refusal(&f, ST_UNSUPPORTED, rows[i][1]);
        remove_folders(&f);
    }
    struct folders f = make_folders();
    put(f.tower, "preprocessor_config.json", "{\"crop_size\": {\"height\": 30, \"width\": 84}}");
    expect_refusal(&f, ST_SHAPE, "crop_size: expected an integer from 84");
    put(f.tower, "preprocessor_config.json", "{\"crop_size\": 84, \"do_normalize\": true, \"do_center_crop\": true}");
    config_free(load(&f));
    remove_folders(&f);
}

Test(config, a_pipe_in_the_place_of_a_file_is_refused_at_once, .timeout = 30)
{
    struct folders f = make_folders();
    char path[SCRATCH_PATH];
    scratch_join(path, f.main, "config.json");
    cr_assert(remove(path) == 0 && mkfifo(path, 0600) == 0);
    expect_refusal(&f, ST_IO, "not a regular file");
    remove_folders(&f);
}

Test(config, a_tower_that_does_not_fit_is_refused_by_name)
{
    static const struct {
        const char *from, *to;
        enum status status;
        const char *word;
    } cases[] = {
        {"\"patch_size\": 14", "\"patch_size\": 13", ST_SHAPE, "patch_size"},
        {"\"num_attention_heads\": 2", "\"num_attention_heads\": 5", ST_SHAPE, "num_attention_heads"},
        {"\"image_size\": 84, ", "", ST_MISSING, "image_size"},
        {"{", "{\"hidden_act\": \"gelu\", ", ST_UNSUPPORTED, "hidden_act"},
        {"{", "{\"num_channels\": 1, ", ST_UNSUPPORTED, "num_channels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct folders f = make_folders();
        scratch_edit(f.tower, "config.json", cases[i].from, cases[i].to);
        expect_refusal(&f, cases[i].status, cases[i].word);
        remove_folders(&f);
    }
}

Test(config, preprocessor_gives_mean_and_std_and_may_not_contradict)
{
    static const char *const fine[] = {
        "{\"image_mean\": [0.5, 0.25, 0], \"image_std\": [1, 0.5, 2], \"size\": 84}",
        "{\"image_mean\": [0.5, 0.25, 0], \"image_std\": [1, 0.5, 2], \"size\": {\"height\": 84, \"width\": 84}}",
        "{\"image_mean\": [0.5, 0.25, 0], \"image_std\": [1, 0.5, 2], \"size\": {\"shortest_edge\": 84}}",
        "{\"image_mean\": [0, 0.25, 0], \"image_std\": [1, 0.5, 2], \"resample\": 3}",
    };
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"{\"size\": 224}", "size"},
        {"{\"size\": {\"height\": 84, \"width\": 42}}", "size"},
        {"{\"resample\": 2}", "resample"},
        {"{\"image_std\": [1, 0, 1]}", "image_std"},
        {"{\"image_mean\": [1, 1]}", "image_mean"},
        {"{\"rescale_factor\": 1.0}", "rescale_factor"},
        {"{", "preprocessor_config.json"},
    };
    struct folders f = make_folders();
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        put(f.tower, "preprocessor_config.json", fine[i]);
        struct config *c = load(&f);
        cr_assert(c->vision.mean[1] == 0.25F && c->vision.std[2] == 2.0F);
        config_free(c);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(f.tower, "preprocessor_config.json", bad[i].text);
        struct config *c = NULL;
        struct diag why = {0};
        cr_assert_neq(config_load(f.main, f.tower, &c, &why), ST_OK, "%s", bad[i].text);
        cr_assert(strstr(why.text, bad[i].word), "%s", why.text);
    }
    remove_folders(&f);
}

Test(config, a_tower_that_is_nowhere_is_named)
{
    struct folders f = make_folders();
    struct config *c = NULL;
    struct diag why = {0};
    cr_assert_eq(config_load(f.main, NULL, &c, &why), ST_MISSING);
    cr_assert(strstr(why.text, "vision_tower/config.json"), "%s", why.text);
    cr_assert_eq(config_load("nowhere", NULL, &c, &why), ST_MISSING);
    cr_assert(strstr(why.text, "nowhere/config.json"), "%s", why.text);
    remove_folders(&f);
}

Test(config, both_fixtures_load)
{
    static const char *const names[][2] = {{"tiny-ferret-a", "tiny-ferret-a-clip"},
                                           {"tiny-ferret-b-delta", "tiny-ferret-b-clip"}};
    for (size_t i = 0; i < 2; i++) {
        struct folders f;
        fixture_path(f.main, names[i][0]);
        fixture_path(f.tower, names[i][1]);
        struct config *c = load(&f);
        cr_assert_eq(c->decoder.vocab, c->region_id + 1);
        cr_assert_eq(c->sampler.max_pool, i == 0);
        cr_assert_str_eq(c->torch_dtype, "float16");
        config_free(c);
    }
}
