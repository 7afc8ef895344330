/* Scenarios that take a file or a model: answers, inputs, the overlay, preprocessing, the engine on a tiny checkpoint.
 * The engine runs with one thread, so that which allocation is the nth does not depend on timing. */
#include "tests/torture/scenarios.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "formats/read/inputs.h"
#include "formats/write/overlay.h"
#include "model/engine.h"
#include "model/grounding.h"
#include "model/preprocess.h"
#include "model/prompt.h"
#include "model/sampler.h"

#define FIXTURES "tests/parity/fixtures/"

enum status answer_round(void)
{
    static const char text[] = "A dog [1, 2, 300, 400][5, 6, 7, 8] and a cat [9, 10, 11, 12].";
    struct entities e = {0};
    struct official_boxes b = {0};
    enum status s = grounding_parse(text, 640, 480, NULL, NULL, NULL, 0, &e);
    if (s == ST_OK)
        s = grounding_scan_official(text, 640, 480, &b);
    official_boxes_fini(&b);
    if (s == ST_OK)
        s = grounding_regex_official(text, 640, 480, &b);
    official_boxes_fini(&b);
    entities_fini(&e);
    return s;
}

enum status inputs_round(void)
{
    static const char *const paths[] = {"tests/e2e/corpus/manifest.jsonl", "tests/parity/fixtures/images"};
    const struct inputs_options o = {.paths = paths, .n_paths = 2};
    struct inputs *in = NULL;
    enum status s = inputs_open(&o, &in, NULL);
    for (int i = 0; s == ST_OK && i < 19; i++) { /* the manifest's lines, then the first files of the folder */
        struct input input;
        s = inputs_next(in, &input, NULL);
        if (s == ST_OK)
            input_fini(&input);
    }
    inputs_close(in);
    return s;
}

enum status overlay_round(void)
{
    static const char record[] =
        "{\"schema\":1,\"id\":\"a\",\"status\":\"ok\",\"image\":{\"uri\":\"a\",\"width\":64,\"height\":48},\"tasks\":[{"
        "\"id\":\"c\",\"task\":\"caption\",\"text\":\"a dog [1, 2, 3, 4]\",\"entities\":[{\"phrase\":\"a "
        "dog\",\"span\":"
        "[0,5],\"boxes\":[[1.0,2.0,30.0,40.0]],\"score\":0.5}]}]}";
    struct json *v = NULL;
    char *svg = NULL, *name = NULL;
    enum status s = jsn_parse(record, strlen(record), "record", &v, NULL);
    if (s == ST_OK)
        s = overlay_svg(v, 2, &svg, NULL);
    if (s == ST_OK)
        s = overlay_name(v, ".png", &name, NULL);
    free(name);
    free(svg);
    jsn_free(v);
    return s;
}

enum status preprocess_round(void)
{
    static const uint8_t rgb[3 * 9 * 7];
    static float pixels[3 * 28 * 28];
    const struct vision_config v = {.image_size = 28, .std = {1, 1, 1}};
    return preprocess(rgb, 9, 7, &v, pixels);
}

/* Takes every result; the first outcome that is not OK decides. */
static enum status run_to_the_end(struct engine *e)
{
    enum status s = ST_OK;
    while (s == ST_OK && !engine_idle(e)) {
        s = engine_step(e, NULL);
        struct engine_result r;
        while (engine_take(e, &r)) {
            if (s == ST_OK && r.outcome != OUTCOME_OK)
                s = r.outcome == OUTCOME_NO_MEMORY || r.outcome == OUTCOME_DEVICE ? ST_NOMEM : ST_INVALID;
            engine_result_fini(&r);
        }
    }
    return s == ST_DEVICE ? ST_NOMEM : s;
}

static enum status one_image(struct engine *e)
{
    const struct config *c = engine_config(e);
    size_t n = 3 * (size_t)c->vision.image_size * (size_t)c->vision.image_size;
    static const char *const turns[] = {"What is the object [100, 100] <region_fea>?"};
    struct region region = {0};
    struct drawn_region drawn = {0};
    const struct region_spec spec = {.kind = REGION_POINT, .box = {10, 10}};
    char *prompt = NULL;
    float *pixels = calloc(n, sizeof *pixels);
    enum status s = pixels ? ST_OK : ST_NOMEM;
    if (s == ST_OK)
        s = region_make(&spec, 64, 64, &region, NULL);
    if (s == ST_OK)
        s = drawn_region_init(&drawn, &c->sampler, &region, 0);
    if (s == ST_OK)
        s = prompt_render(&c->template, turns, 1, &prompt, NULL);
    const struct engine_task task = {
        .id = 1, .prompt = prompt, .regions = &drawn, .n_regions = 1, .max_tokens = 2, .top_p = 1};
    const struct engine_image image = {.id = 1, .pixels = pixels, .tasks = &task, .n_tasks = 1};
    if (s == ST_OK)
        s = engine_submit(e, &image, NULL);
    if (s == ST_OK)
        s = run_to_the_end(e);
    drawn_region_fini(&drawn);
    region_fini(&region);
    free(prompt);
    free(pixels);
    return s;
}

enum status engine_round(void)
{
    const struct engine_options o = {
        .model_dir = FIXTURES "tiny-ferret-a",
        .tower_dir = FIXTURES "tiny-ferret-a-clip",
        .backend = {.device = "cpu", .memory_bytes = 64 << 20, .threads = 1, .isa = "scalar"},
        .max_sequences = 2,
    };
    struct engine *e = NULL;
    enum status s = engine_open(&o, &e, NULL);
    if (s == ST_OK)
        s = one_image(e);
    engine_close(e);
    return s;
}
