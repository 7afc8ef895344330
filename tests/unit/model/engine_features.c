/* Features that were kept take the place of pixels: not a bit of an answer changes, and the tower does not run. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "model/engine.h"
#include "model/half.h"
#include "model/prompt.h"
#include "model/sampler.h"

enum { SIDE = 84, IMAGES = 5, TOKENS = 12 };

struct kept {
    size_t count; /* numbers an image */
    float *features[IMAGES + 1];
    int n;
};

static void keep(void *ctx, uint64_t image_id, const float *features)
{
    struct kept *k = ctx;
    cr_assert_lt(image_id, IMAGES + 1);
    k->features[image_id] = malloc(k->count * sizeof(float));
    memcpy(k->features[image_id], features, k->count * sizeof(float));
    k->n++;
}

static struct engine *open_engine(enum dtype dtype, enum feature_type type, struct kept *kept)
{
    struct engine_options o = {
        .model_dir = "tests/parity/fixtures/tiny-ferret-a",
        .tower_dir = "tests/parity/fixtures/tiny-ferret-a-clip",
        .backend = {.device = "cpu", .dtype = dtype, .isa = "auto", .memory_bytes = (size_t)256 << 20, .threads = 1},
        .feature_type = type,
        .on_features = kept ? keep : NULL,
        .features_ctx = kept};
    struct engine *e = NULL;
    struct diag why = {{0}};
    cr_assert_eq(engine_open(&o, &e, &why), ST_OK, "%s", why.text);
    if (kept)
        kept->count = engine_feature_count(e);
    return e;
}

static const float *pixels_of(int image)
{
    static float pixels[IMAGES + 1][3 * SIDE * SIDE];
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        pixels[image][i] = (float)((i * (image + 3)) % 97) / 50 - 1;
    return pixels[image];
}

/* A caption and a described region of image 1 .. IMAGES, all at once; image i comes with its features where bit i of
 * `restored` is set. Log-probabilities in order of image and task. */
static void run(struct engine *e, const struct kept *kept, unsigned restored, float out[IMAGES][2][TOKENS])
{
    static const char *const turns[] = {"What is this?", "What is <region_fea>?"};
    const struct region region = {
        .width = SIDE, .height = SIDE, .kind = REGION_BOX, .bounds = {20, 20, 59, 59}, .n_pixels = 1600};
    struct drawn_region drawn;
    cr_assert_eq(drawn_region_init(&drawn, &engine_config(e)->sampler, &region, 5), ST_OK);
    char *prompts[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(prompt_render(&engine_config(e)->template, &turns[i], 1, &prompts[i], NULL), ST_OK);
    for (int i = 1; i <= IMAGES; i++) {
        struct engine_task tasks[2];
        for (int t = 0; t < 2; t++)
            tasks[t] = (struct engine_task){.id = (uint64_t)(2 * i + t),
                                            .prompt = prompts[t],
                                            .regions = t ? &drawn : NULL,
                                            .n_regions = t,
                                            .max_tokens = TOKENS,
                                            .top_p = 1,
                                            .temperature = t ? 0.9F : 0,
                                            .seed = 5};
        bool from_features = (restored >> i & 1) != 0;
        struct engine_image image = {.id = (uint64_t)i,
                                     .pixels = from_features ? NULL : pixels_of(i),
                                     .features = from_features ? kept->features[i] : NULL,
                                     .tasks = tasks,
                                     .n_tasks = 2};
        cr_assert_eq(engine_submit(e, &image, NULL), ST_OK);
    }
    drawn_region_fini(&drawn);
    memset(out, 0, IMAGES * 2 * TOKENS * sizeof(float));
    for (int got = 0; got < 2 * IMAGES;) {
        struct engine_result r;
        cr_assert_eq(engine_step(e, NULL), ST_OK);
        while (engine_take(e, &r)) {
            cr_assert_eq(r.outcome, OUTCOME_OK, "%s", r.why);
            memcpy(out[r.image_id - 1][r.task_id % 2], r.logprob, (size_t)r.n_tokens * sizeof(float));
            engine_result_fini(&r);
            got++;
        }
    }
    for (int i = 0; i < 2; i++)
        free(prompts[i]);
}

static void a_hit_changes_nothing(enum dtype dtype, enum feature_type type)
{
    float fresh[IMAGES][2][TOKENS], mixed[IMAGES][2][TOKENS], plain[IMAGES][2][TOKENS];
    struct kept kept = {.n = 0}, again = {.n = 0};
    struct engine_stats stats;
    struct engine *e = open_engine(dtype, type, &kept);
    run(e, NULL, 0, fresh);
    engine_close(e);
    cr_assert_eq(kept.n, IMAGES);
    if (type == FEATURES_F16)
        for (size_t k = 0; k < kept.count; k++)
            cr_assert_eq(kept.features[1][k], half_to_f32(half_from_f32(kept.features[1][k])), "not rounded");
    e = open_engine(dtype, type, &again);
    run(e, &kept, 1U << 1 | 1U << 3 | 1U << 4, mixed);
    engine_stats(e, &stats);
    cr_assert_eq(stats.images_encoded, IMAGES - 3);
    cr_assert_eq(stats.images_restored, 3);
    cr_assert_eq(again.n, IMAGES - 3, "features that were handed in are not given again");
    engine_close(e);
    cr_assert_eq(memcmp(fresh, mixed, sizeof fresh), 0, "an answer from kept features is another one");
    e = open_engine(dtype, FEATURES_F32, NULL);
    run(e, NULL, 0, plain);
    engine_close(e);
    bool equal = memcmp(fresh, plain, sizeof fresh) == 0;
    cr_assert_eq(equal, type == FEATURES_F32, "f32 rounds nothing, f16 does");
    for (int i = 1; i <= IMAGES; i++) {
        free(kept.features[i]);
        free(again.features[i]);
    }
}

Test(engine_features, f32_features_change_nothing_whether_kept_handed_in_or_not_asked_for)
{
    a_hit_changes_nothing(DTYPE_F32, FEATURES_F32);
}

Test(engine_features, f16_features_are_the_same_whether_kept_or_handed_in)
{
    a_hit_changes_nothing(DTYPE_F32, FEATURES_F16);
}

Test(engine_features, a_hit_changes_nothing_in_lower_precisions)
{
    a_hit_changes_nothing(DTYPE_BF16, FEATURES_F32);
    a_hit_changes_nothing(DTYPE_INT8, FEATURES_F32);
}
