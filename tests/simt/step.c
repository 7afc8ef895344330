/* What a step of the engine asks of an emulated device, counted by the stand-in runtime, and that answers have the same
 * bits whether steps are replayed as graphs or launched piece by piece. `step DTYPE...`, from the repository's root. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/random.h"
#include "model/engine.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "tests/simt/counts.h"

enum {
    N_IMAGES = 2,
    TASKS = 2,
    N_TASKS = N_IMAGES * TASKS,
    MAX_TOKENS = 6,
    SIDE = 84,
    SEQUENCES = 3,
    MOST_STEPS = 100,
    MAX_RECORDED = 16, /* more than there are sizes of steps, and less than what is allocated in front of them */
};
static const char model_dir[] = "tests/parity/fixtures/tiny-ferret-a";
static const char tower_dir[] = "tests/parity/fixtures/tiny-ferret-a-clip";
static const size_t budget = (size_t)64 << 20;

struct world {
    float *pixels;
    char *prompts[2];
    struct region region;
    struct drawn_region drawn[N_TASKS]; /* of it, by each task's seed */
    struct engine_result results[N_TASKS];
    struct simt_counts *counts;
    long allocations; /* that opening an engine asks for */
    int failures;
};

static void expect(struct world *w, bool ok, const char *what, long found)
{
    if (!ok && w->failures++ < 20)
        printf("  %s: %ld\n", what, found);
}

static uint64_t seed_of(int task)
{
    return (uint64_t)task * 31;
}

static bool make_world(struct world *w, const struct engine *e)
{
    static const char *const questions[] = {"What is [200, 300] <region_fea>?", "What is in the picture?"};
    struct region_spec spec = {.kind = REGION_BOX, .box = {5, 9, 70, 75}};
    w->pixels = malloc(3 * SIDE * SIDE * sizeof(float));
    if (!w->pixels || region_make(&spec, 96, 80, &w->region, NULL) != ST_OK)
        return false;
    for (int i = 0; i < N_TASKS; i++)
        if (drawn_region_init(&w->drawn[i], &engine_config(e)->sampler, &w->region, seed_of(i)) != ST_OK)
            return false;
    for (int k = 0; k < 3 * SIDE * SIDE; k++)
        w->pixels[k] = 4 * random_uniform(3, (uint64_t)k) - 2;
    for (int i = 0; i < 2; i++) {
        if (prompt_render(&engine_config(e)->template, &questions[i], 1, &w->prompts[i], NULL) != ST_OK)
            return false;
    }
    void *plugin = dlopen("build/lib/ferretry/ferret-simt.so", RTLD_NOW | RTLD_NOLOAD);
    w->counts = plugin ? dlsym(plugin, "simt_counts") : NULL;
    return w->counts != NULL;
}

/* Greedy ones and sampled ones, with regions and without, of different lengths. */
static struct engine_task task_of(const struct world *w, int i)
{
    bool with_region = i % 2 == 0, drawn = i % 3 == 1;
    return (struct engine_task){.id = (uint64_t)i + 1,
                                .prompt = w->prompts[with_region ? 0 : 1],
                                .regions = &w->drawn[i],
                                .n_regions = with_region,
                                .max_tokens = MAX_TOKENS - i % 4,
                                .temperature = drawn ? 0.9f : 0,
                                .top_p = drawn ? 0.9f : 1,
                                .seed = seed_of(i),
                                .well_formed_boxes = i == 1};
}

static enum status submit(const struct world *w, struct engine *e, struct diag *why)
{
    enum status s = ST_OK;
    for (int image = 0; s == ST_OK && image < N_IMAGES; image++) {
        struct engine_task tasks[TASKS];
        for (int i = 0; i < TASKS; i++)
            tasks[i] = task_of(w, image * TASKS + i);
        struct engine_image in = {.id = (uint64_t)image + 1, .pixels = w->pixels, .tasks = tasks, .n_tasks = TASKS};
        s = engine_submit(e, &in, why);
    }
    return s;
}

/* One step and what it cost. */
static enum status step(struct world *w, struct engine *e, bool recorded, int at, struct diag *why)
{
    struct simt_counts before = *w->counts, now;
    struct engine_stats old, new;
    engine_stats(e, &old);
    enum status s = engine_step(e, why);
    engine_stats(e, &new);
    now = *w->counts;
    long waits = now.waits - before.waits, ran = new.steps - old.steps;
    bool decodes_only = new.decode_rows > old.decode_rows &&new.prefill_rows == old.prefill_rows;
    /* An observer reads all along. */
    if (!recorded)
        return s;
    expect(w, now.allocations == before.allocations, "a step allocates", now.allocations - before.allocations);
    expect(w, waits <= 1, "waits of the host in a step, one is allowed", waits);
    /* The first step has none to read, and behind the last one nothing is queued. */
    expect(w, at == 0 || waits == 1, "waits of the host in a step", waits);
    expect(w, ran == 0 || now.waits_ahead - before.waits_ahead == waits, "a wait for what has just been queued", at);
    expect(w, now.copies_back - before.copies_back <= 1, "copies back in a step", now.copies_back - before.copies_back);
    expect(w, now.graph_launches - before.graph_launches == ran, "graphs launched in a step",
           now.graph_launches - before.graph_launches);
    if (decodes_only)
        expect(w, now.launches == before.launches, "kernels launched beside the graph", now.launches - before.launches);
    return s;
}

static bool same(const struct engine_result *a, const struct engine_result *b)
{
    size_t n = (size_t)a->n_tokens;
    return b->outcome == OUTCOME_OK && a->finish == b->finish && a->n_tokens == b->n_tokens &&
           memcmp(a->tokens, b->tokens, n * sizeof *a->tokens) == 0 &&
           memcmp(a->logprob, b->logprob, n * sizeof *a->logprob) == 0 &&
           memcmp(a->margin, b->margin, n * sizeof *a->margin) == 0 &&
           memcmp(a->top, b->top, n * sizeof *a->top) == 0 && strcmp(a->text, b->text) == 0;
}

static void take(struct world *w, struct engine *e, bool recorded)
{
    struct engine_result r;
    while (engine_take(e, &r)) {
        struct engine_result *kept = &w->results[r.task_id - 1];
        if (recorded) {
            *kept = r;
            continue;
        }
        expect(w, same(kept, &r), "bits differ between a graph and single launches, task", (long)r.task_id);
        engine_result_fini(&r);
    }
}

static enum status open_engine(enum dtype dtype, struct engine **e, struct diag *why)
{
    struct engine_options o = {.model_dir = model_dir,
                               .tower_dir = tower_dir,
                               .backend = {.device = "simt:2", .dtype = dtype, .memory_bytes = budget},
                               .max_sequences = SEQUENCES};
    return engine_open(&o, e, why);
}

/* Whoever looks at tensors makes steps run piece by piece. */
static void look(void *ctx, uint64_t image_id, uint64_t task_id, const char *name, bool is_int, int rows, int cols,
                 const void *values)
{
    (void)image_id, (void)task_id, (void)name, (void)is_int, (void)rows, (void)cols, (void)values;
    ++*(int *)ctx;
}

static enum status run_all(struct world *w, struct engine *e, bool recorded, struct diag *why)
{
    int seen = 0;
    long graphs = w->counts->graph_launches;
    engine_observe(e, recorded ? NULL : look, &seen);
    enum status s = submit(w, e, why);
    for (int at = 0; s == ST_OK && !engine_idle(e) && at < MOST_STEPS; at++) {
        s = step(w, e, recorded, at, why);
        take(w, e, recorded);
    }
    expect(w, s != ST_OK || engine_idle(e), "steps, and tasks that have not ended", MOST_STEPS);
    expect(w, recorded ? w->counts->graph_launches > graphs : seen > 0 && w->counts->graph_launches == graphs,
           "how steps ran", seen);
    return s;
}

/* The device refuses one of the last allocations of the batch: half of it is made instead, and answers alike. */
static enum status run_halved(struct world *w, enum dtype dtype, struct diag *why)
{
    struct engine *e = NULL;
    w->counts->refuse = w->allocations - MAX_RECORDED;
    enum status s = open_engine(dtype, &e, why);
    if (s == ST_OK) {
        expect(w, w->counts->refuse == 0 && strstr(engine_memory_account(e), "halved       "), "nothing is halved", 0);
        s = run_all(w, e, false, why);
    }
    engine_close(e);
    return s;
}

static enum status run(struct world *w, enum dtype dtype, struct diag *why)
{
    struct engine *e = NULL;
    long before = w->counts ? w->counts->allocations : 0;
    enum status s = open_engine(dtype, &e, why);
    if (s == ST_OK && !w->counts && !make_world(w, e))
        s = diag_set(why, ST_MISSING, "the fixtures or the plugin are not there");
    if (s == ST_OK) {
        w->allocations = w->counts->allocations - before;
        expect(w, engine_caps(e)->recorded_rows >= 512, "rows of the largest step recorded",
               engine_caps(e)->recorded_rows);
        expect(w, strstr(engine_memory_account(e), "graphs") != NULL, "the account has no graphs", 0);
        s = run_all(w, e, true, why);
        if (s == ST_OK)
            s = run_all(w, e, false, why);
    }
    engine_close(e);
    return s == ST_OK ? run_halved(w, dtype, why) : s;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* a mistake ends the process */
    bool well = argc > 1;
    struct world w = {.failures = 0};
    for (int i = 1; i < argc; i++) {
        struct diag why = {{0}};
        enum dtype dtype;
        w.failures = 0;
        enum status s = dtype_parse(argv[i], &dtype, &why);
        if (s == ST_OK)
            s = run(&w, dtype, &why);
        bool ok = s == ST_OK && w.failures == 0;
        printf(
            "%s simt step: one graph, one wait and one copy back a step, the bits of single launches, and half of it "
            "where memory ends, %s%s%s\n",
            ok ? "PASS" : "FAIL", argv[i], s == ST_OK ? "" : ": ", s == ST_OK ? "" : why.text);
        well = well && ok;
        for (int k = 0; k < N_TASKS; k++)
            engine_result_fini(&w.results[k]);
    }
    free(w.pixels);
    free(w.prompts[0]);
    free(w.prompts[1]);
    for (int i = 0; i < N_TASKS; i++)
        drawn_region_fini(&w.drawn[i]);
    region_fini(&w.region);
    return well ? 0 : 1;
}
