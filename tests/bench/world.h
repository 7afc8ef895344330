/* The default model and images of the end-to-end corpus, decoded and preprocessed, for the bench programs that run the
 * engine. From the repository's root. Each answer must be the same letter by letter whenever it comes again. */
#ifndef TESTS_BENCH_WORLD_H
#define TESTS_BENCH_WORLD_H

#include <dirent.h>
#include <string.h>

#include "media/image.h"
#include "model/engine.h"
#include "model/preprocess.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "tests/bench/bench.h"

enum { MAX_IMAGES = 32, REGION_IMAGES = 4, REGIONS = 8, MAX_TOKENS = 64, MAX_FILE = 1 << 20 };
static const char model_dir[] = "model/pretrained";
static const char corpus[] = "tests/e2e/corpus/files";
static const struct engine_options world_options = {
    .model_dir = model_dir,
    .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)1 << 30}};

struct picture {
    float *pixels;
    struct region regions[REGIONS];
    struct drawn_region drawn[REGIONS];
    struct engine_task caption, describe[REGIONS]; /* with ids that no other task has */
};

struct world {
    struct engine *engine;
    struct picture pictures[MAX_IMAGES];
    int n;
    char *texts[MAX_IMAGES * (REGIONS + 1) + 1]; /* first answer to each task, by its id */
};

/* ---- before the clock ---- */

static struct engine_task make_task(struct world *w, const char *turn, const struct drawn_region *region)
{
    static uint64_t id;
    char *prompt;
    CHECK(prompt_render(&engine_config(w->engine)->template, &turn, 1, &prompt, NULL) == ST_OK);
    return (struct engine_task){.id = ++id,
                                .prompt = prompt,
                                .regions = region,
                                .n_regions = region ? 1 : 0,
                                .max_tokens = MAX_TOKENS,
                                .top_p = 1,
                                .repetition_stop = true};
}

/* Boxes that tile the image, four by two. */
static inline void make_regions(struct world *w, struct picture *p, int width, int height)
{
    char *question;
    CHECK(prompt_describe(&engine_config(w->engine)->tasks, &question) == ST_OK);
    for (int i = 0; i < REGIONS; i++) {
        double x = i % 4 * width / 4.0, y = i < 4 ? 0 : height / 2.0;
        struct region_spec spec = {.kind = REGION_BOX, .box = {x, y, x + width / 4.0 - 1, y + height / 2.0 - 1}};
        int next = 0, order[1], n_order;
        char *turn;
        CHECK(region_make(&spec, width, height, &p->regions[i], NULL) == ST_OK);
        CHECK(prompt_place_regions(question, &p->regions[i], 1, &next, &turn, order, 1, &n_order, NULL) == ST_OK);
        CHECK(drawn_region_init(&p->drawn[i], &engine_config(w->engine)->sampler, &p->regions[i], 0) == ST_OK);
        p->describe[i] = make_task(w, turn, &p->drawn[i]);
        free(turn);
    }
    free(question);
}

static inline void add_picture(struct world *w, const struct image *image)
{
    const struct config *c = engine_config(w->engine);
    size_t size = (size_t)c->vision.image_size;
    struct picture *p = &w->pictures[w->n++];
    char *turn;
    CHECK((p->pixels = malloc(3 * size * size * sizeof *p->pixels)));
    CHECK(preprocess(image->rgb, image->width, image->height, &c->vision, p->pixels) == ST_OK);
    CHECK(prompt_caption(&c->tasks, &turn) == ST_OK);
    p->caption = make_task(w, turn, NULL);
    free(turn);
    make_regions(w, p, image->width, image->height);
}

static inline int is_file(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* What can't be decoded is left out. */
static inline void load_corpus(struct world *w)
{
    const struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    uint8_t *bytes = malloc(MAX_FILE);
    struct dirent **names;
    int n = scandir(corpus, &names, is_file, alphasort);
    CHECK(bytes && n > 0 && image_library_start("bench", NULL) == ST_OK);
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", corpus, names[i]->d_name);
        FILE *f = fopen(path, "rb");
        CHECK(f);
        size_t len = fread(bytes, 1, MAX_FILE, f);
        struct image image;
        if (w->n < MAX_IMAGES && image_decode(bytes, len, &policy, &image, NULL, NULL) == ST_OK) {
            add_picture(w, &image);
            image_fini(&image);
        }
        fclose(f);
        free(names[i]);
    }
    free(names);
    free(bytes);
    CHECK(w->n >= REGION_IMAGES);
}

/* ---- the turns ---- */

static inline void submit(struct world *w, uint64_t image_id, const struct picture *p, const struct engine_task *tasks,
                          int n)
{
    struct engine_image in = {.id = image_id, .pixels = p->pixels, .tasks = tasks, .n_tasks = n};
    CHECK(engine_submit(w->engine, &in, NULL) == ST_OK);
}

static inline void finish(struct world *w)
{
    struct diag why = {{0}};
    while (!engine_idle(w->engine)) {
        struct engine_result r;
        CHECK(engine_step(w->engine, &why) == ST_OK);
        while (engine_take(w->engine, &r)) {
            CHECK(r.outcome == OUTCOME_OK);
            char **text = &w->texts[r.task_id];
            if (!*text)
                CHECK((*text = strdup(r.text)));
            CHECK(strcmp(*text, r.text) == 0);
            engine_result_fini(&r);
        }
    }
}

static inline void captions_together(struct world *w)
{
    for (int i = 0; i < w->n; i++)
        submit(w, (uint64_t)i + 1, &w->pictures[i], &w->pictures[i].caption, 1);
    finish(w);
}

static inline void regions_of_all(struct world *w)
{
    for (int i = 0; i < REGION_IMAGES; i++)
        submit(w, (uint64_t)i + 1, &w->pictures[i], w->pictures[i].describe, REGIONS);
    finish(w);
}

/* The default model, and the corpus decoded and preprocessed; ends the program where that fails. */
static inline void open_world(struct world *w)
{
    struct diag why = {{0}};
    if (engine_open(&world_options, &w->engine, &why) != ST_OK) {
        fprintf(stderr, "engine: %s\n", why.text);
        exit(1);
    }
    load_corpus(w);
}

static inline void free_world(struct world *w)
{
    for (int i = 0; i < w->n; i++) {
        struct picture *p = &w->pictures[i];
        free((void *)(uintptr_t)p->caption.prompt);
        free(p->pixels);
        for (int r = 0; r < REGIONS; r++) {
            free((void *)(uintptr_t)p->describe[r].prompt);
            region_fini(&p->regions[r]);
            drawn_region_fini(&p->drawn[r]);
        }
    }
    for (size_t i = 0; i < sizeof w->texts / sizeof *w->texts; i++)
        free(w->texts[i]);
    engine_close(w->engine);
}

#endif
