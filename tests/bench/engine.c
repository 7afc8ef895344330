/* The engine alone on the default model: images of the end-to-end corpus, decoded and preprocessed before the clock
 * starts. Captions and 8 regions an image, in company against one after the other, in turns; the answers must be the
 * same letter by letter. `engine FOLDER`, from the repository's root. */
#include <dirent.h>
#include <string.h>

#include "kernels/cpu/pool.h"
#include "media/image.h"
#include "model/engine.h"
#include "model/preprocess.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "tests/bench/bench.h"

enum { MAX_IMAGES = 32, REGION_IMAGES = 4, REGIONS = 8, ROUNDS = 5, MAX_TOKENS = 64, MAX_FILE = 1 << 20 };
static const char model_dir[] = "model/pretrained";
static const char corpus[] = "tests/e2e/corpus/files";

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
static void make_regions(struct world *w, struct picture *p, int width, int height)
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

static void add_picture(struct world *w, const struct image *image)
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

static int is_file(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* What can't be decoded is left out. */
static void load_corpus(struct world *w)
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

static void submit(struct world *w, uint64_t image_id, const struct picture *p, const struct engine_task *tasks, int n)
{
    struct engine_image in = {.id = image_id, .pixels = p->pixels, .tasks = tasks, .n_tasks = n};
    CHECK(engine_submit(w->engine, &in, NULL) == ST_OK);
}

static void finish(struct world *w)
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

static void captions_together(struct world *w)
{
    for (int i = 0; i < w->n; i++)
        submit(w, (uint64_t)i + 1, &w->pictures[i], &w->pictures[i].caption, 1);
    finish(w);
}

static void captions_alone(struct world *w)
{
    for (int i = 0; i < w->n; i++) {
        submit(w, 1, &w->pictures[i], &w->pictures[i].caption, 1);
        finish(w);
    }
}

static void regions_of_all(struct world *w)
{
    for (int i = 0; i < REGION_IMAGES; i++)
        submit(w, (uint64_t)i + 1, &w->pictures[i], w->pictures[i].describe, REGIONS);
    finish(w);
}

static void regions_of_each(struct world *w)
{
    for (int i = 0; i < REGION_IMAGES; i++) {
        submit(w, 1, &w->pictures[i], w->pictures[i].describe, REGIONS);
        finish(w);
    }
}

/* Each region brings the whole image again: batched, but nothing shared. */
static void regions_unshared(struct world *w)
{
    for (int i = 0; i < REGION_IMAGES; i++) {
        for (int r = 0; r < REGIONS; r++)
            submit(w, (uint64_t)r + 1, &w->pictures[i], &w->pictures[i].describe[r], 1);
        finish(w);
    }
}

static void regions_alone(struct world *w)
{
    for (int i = 0; i < REGION_IMAGES; i++)
        for (int r = 0; r < REGIONS; r++) {
            submit(w, 1, &w->pictures[i], &w->pictures[i].describe[r], 1);
            finish(w);
        }
}

enum way { CAPTIONS_TOGETHER, CAPTIONS_ALONE, REGIONS_OF_ALL, REGIONS_OF_EACH, REGIONS_UNSHARED, REGIONS_ALONE, WAYS };
static void (*const ways[WAYS])(struct world *) = {captions_together, captions_alone,   regions_of_all,
                                                   regions_of_each,   regions_unshared, regions_alone};

static void record(const char *folder, const char *name, const char *unit, int tasks, double seconds, double baseline)
{
    measure_write(folder, &(struct measure){name, unit, tasks / seconds, tasks / baseline, 0});
}

/* From nothing to the first token of a caption: the best of some engines, each closed again. */
static void measure_load(struct world *w, const struct engine_options *o, const char *folder)
{
    struct engine *kept = w->engine;
    struct engine_task task = w->pictures[0].caption;
    double best = 0;
    task.max_tokens = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct watch clock = watch_start();
        CHECK(engine_open(o, &w->engine, NULL) == ST_OK);
        struct engine_image in = {.id = 1, .pixels = w->pictures[0].pixels, .tasks = &task, .n_tasks = 1};
        struct engine_result r;
        CHECK(engine_submit(w->engine, &in, NULL) == ST_OK);
        while (!engine_take(w->engine, &r))
            CHECK(engine_step(w->engine, NULL) == ST_OK);
        best = less(best, watch_seconds(&clock, 1));
        CHECK(r.outcome == OUTCOME_OK && r.n_tokens == 1);
        engine_result_fini(&r);
        engine_close(w->engine);
    }
    w->engine = kept;
    measure_write(folder, &(struct measure){"cpu.load", "s", best, 0, 0});
}

static void free_world(struct world *w)
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

int main(int argc, char **argv)
{
    static struct world w;
    struct engine_options o = {
        .model_dir = model_dir,
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)1 << 30}};
    struct diag why = {{0}};
    double best[WAYS] = {0};
    CHECK(argc > 1);
    if (engine_open(&o, &w.engine, &why) != ST_OK) {
        fprintf(stderr, "engine: %s\n", why.text);
        return 1;
    }
    load_corpus(&w);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < WAYS; i++) {
            struct watch clock = watch_start();
            ways[i](&w);
            best[i] = less(best[i], watch_seconds(&clock, pool_default_threads()));
        }
    int regions = REGION_IMAGES * REGIONS;
    record(argv[1], "cpu.captions", "images/s", w.n, best[CAPTIONS_TOGETHER], best[CAPTIONS_ALONE]);
    record(argv[1], "cpu.regions8", "tasks/s", regions, best[REGIONS_OF_ALL], best[REGIONS_OF_EACH]);
    record(argv[1], "cpu.regions8_own", "tasks/s", regions, best[REGIONS_OF_EACH], best[REGIONS_ALONE]);
    record(argv[1], "cpu.regions8_shared", "tasks/s", regions, best[REGIONS_OF_EACH], best[REGIONS_UNSHARED]);
    struct engine_stats stats;
    engine_stats(w.engine, &stats);
    measure_write(argv[1],
                  &(struct measure){"cpu.outside", "of steps", (double)stats.host_us / (double)stats.step_us, 0, 0});
    measure_load(&w, &o, argv[1]);
    free_world(&w);
    return 0;
}
