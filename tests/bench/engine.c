/* The engine alone on the default model: images are decoded and preprocessed before the clock starts. Captions and 8
 * regions an image, in company against one after the other, in turns. `engine FOLDER`, from the repository's root. */
#include "kernels/cpu/pool.h"
#include "tests/bench/world.h"

enum { ROUNDS = 5 };

static void captions_alone(struct world *w)
{
    for (int i = 0; i < w->n; i++) {
        submit(w, 1, &w->pictures[i], &w->pictures[i].caption, 1);
        finish(w);
    }
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
static void measure_load(struct world *w, const char *folder)
{
    struct engine *kept = w->engine;
    struct engine_task task = w->pictures[0].caption;
    double best = 0;
    task.max_tokens = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct watch clock = watch_start();
        CHECK(engine_open(&world_options, &w->engine, NULL) == ST_OK);
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

int main(int argc, char **argv)
{
    static struct world w;
    double best[WAYS] = {0};
    CHECK(argc > 1);
    open_world(&w);
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
    measure_load(&w, argv[1]);
    free_world(&w);
    return 0;
}
