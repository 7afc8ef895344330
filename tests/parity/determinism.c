/* A result depends on its own task, never on batch mates, order, cancellations or memory pressure: the same tasks run
 * alone and in company, and answers, log-probabilities and margins are compared byte by byte. Run from the repository's
 * root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/random.h"
#include "model/engine.h"
#include "model/prompt.h"
#include "model/sampler.h"

enum { N_IMAGES = 12, TASKS_PER_IMAGE = 6, N_TASKS = N_IMAGES * TASKS_PER_IMAGE, MAX_TOKENS = 24, SIDE = 84 };
static const char model_dir[] = "tests/parity/fixtures/tiny-ferret-a";
static const char tower_dir[] = "tests/parity/fixtures/tiny-ferret-a-clip";

struct world {
    float *pixels[N_IMAGES];
    char *prompts[N_TASKS];
    struct region regions[N_TASKS][2];
    struct drawn_region drawn[N_TASKS][2];
    struct engine_task tasks[N_TASKS];
    struct engine_result alone[N_TASKS];
    int failures;
};

static void expect(struct world *w, bool ok, const char *what, int task)
{
    if (!ok && w->failures++ < 20)
        printf("  differs: %s, task %d\n", what, task);
}

static bool make_task(struct world *w, int i, const struct config *c)
{
    static const char *const questions[] = {"What is [200, 300] <region_fea> and [10, 20, 400, 500] <region_fea>?",
                                            "What is [200, 300] <region_fea>?", "What is in the picture?",
                                            "Where is the red circle? Name its box."};
    int kind = i % 4, n = kind == 0 ? 2 : kind == 1 ? 1 : 0;
    const char *turn = questions[kind];
    for (int k = 0; k < n; k++) {
        struct region_spec spec = {.kind = k ? REGION_BOX : REGION_POINT,
                                   .box = {(double)(5 + i % 60), (double)(9 + i % 50), 70, 75}};
        if (region_make(&spec, 96, 80, &w->regions[i][k], NULL) != ST_OK ||
            drawn_region_init(&w->drawn[i][k], &c->sampler, &w->regions[i][k], (uint64_t)i * 77) != ST_OK)
            return false;
    }
    if (prompt_render(&c->template, &turn, 1, &w->prompts[i], NULL) != ST_OK)
        return false;
    bool sampled = i % 3 == 2;
    w->tasks[i] = (struct engine_task){.id = (uint64_t)i + 1,
                                       .prompt = w->prompts[i],
                                       .regions = w->drawn[i],
                                       .n_regions = n,
                                       .max_tokens = MAX_TOKENS - i % 5,
                                       .temperature = sampled ? 0.9f : 0,
                                       .top_p = sampled ? 0.95f : 1,
                                       .seed = (uint64_t)i * 77,
                                       .repetition_stop = i % 2 == 0};
    return true;
}

static bool make_world(struct world *w, const struct config *c)
{
    for (int i = 0; i < N_IMAGES; i++) {
        w->pixels[i] = malloc(3 * SIDE * SIDE * sizeof(float));
        if (!w->pixels[i])
            return false;
        for (int k = 0; k < 3 * SIDE * SIDE; k++)
            w->pixels[i][k] = 4 * random_uniform((uint64_t)i, (uint64_t)k) - 2;
    }
    for (int i = 0; i < N_TASKS; i++) {
        if (!make_task(w, i, c))
            return false;
    }
    return true;
}

static void free_world(struct world *w)
{
    for (int i = 0; i < N_IMAGES; i++)
        free(w->pixels[i]);
    for (int i = 0; i < N_TASKS; i++) {
        free(w->prompts[i]);
        region_fini(&w->regions[i][0]);
        region_fini(&w->regions[i][1]);
        drawn_region_fini(&w->drawn[i][0]);
        drawn_region_fini(&w->drawn[i][1]);
        engine_result_fini(&w->alone[i]);
    }
}

static bool same_result(const struct engine_result *a, const struct engine_result *b)
{
    size_t n = (size_t)a->n_tokens;
    return b->outcome == OUTCOME_OK && a->finish == b->finish && a->n_tokens == b->n_tokens &&
           a->n_prompt == b->n_prompt && memcmp(a->tokens, b->tokens, n * sizeof *a->tokens) == 0 &&
           memcmp(a->logprob, b->logprob, n * sizeof *a->logprob) == 0 &&
           memcmp(a->margin, b->margin, n * sizeof *a->margin) == 0 &&
           memcmp(a->top, b->top, n * sizeof *a->top) == 0 && strcmp(a->text, b->text) == 0;
}

/* What a run in company does besides running. */
struct scenario {
    const char *name;
    bool shuffle;
    int cancel_every; /* each so-manieth task is dropped in mid-answer */
    int sequences, step_rows;
    size_t memory;
    bool expect_waits;
    bool behind; /* each step starts before the one before it is read, as on a device */
};

static void take_all(struct world *w, struct engine *e, const struct scenario *s, bool *done)
{
    struct engine_result r;
    while (engine_take(e, &r)) {
        int i = (int)r.task_id - 1;
        done[i] = true;
        bool dropped = s->cancel_every && i % s->cancel_every == 1;
        if (!(dropped && r.outcome == OUTCOME_CANCELLED))
            expect(w, same_result(&w->alone[i], &r), s->name, i);
        engine_result_fini(&r);
    }
}

static int image_of(int task)
{
    return task / TASKS_PER_IMAGE;
}

/* Images go in whole, in another order where asked, a few steps apart, so that arrivals meet all states. */
static bool run_together(struct world *w, struct engine *e, const struct scenario *s)
{
    bool done[N_TASKS] = {false};
    struct diag why = {{0}};
    enum status st = ST_OK;
    for (int k = 0; st == ST_OK && k < N_IMAGES; k++) {
        int image = s->shuffle ? (k * 5 + 3) % N_IMAGES : k;
        struct engine_task tasks[TASKS_PER_IMAGE];
        for (int i = 0; i < TASKS_PER_IMAGE; i++)
            tasks[i] = w->tasks[image * TASKS_PER_IMAGE + (s->shuffle ? TASKS_PER_IMAGE - 1 - i : i)];
        struct engine_image in = {
            .id = (uint64_t)image + 1, .pixels = w->pixels[image], .tasks = tasks, .n_tasks = TASKS_PER_IMAGE};
        st = engine_submit(e, &in, &why);
        for (int i = 0; st == ST_OK && s->shuffle && i < k % 4; i++)
            st = engine_step(e, &why);
    }
    for (int step = 0; st == ST_OK && !engine_idle(e); step++) {
        st = engine_step(e, &why);
        if (s->cancel_every && step == 6) {
            for (int i = 1; i < N_TASKS; i += s->cancel_every)
                engine_cancel_task(e, (uint64_t)i + 1);
            engine_cancel_task(e, 9999);
        }
        take_all(w, e, s, done);
    }
    if (st != ST_OK)
        printf("  %s: %s\n", s->name, why.text);
    for (int i = 0; st == ST_OK && i < N_TASKS; i++)
        expect(w, done[i], "no result", i);
    struct engine_stats stats;
    engine_stats(e, &stats);
    expect(w, stats.sequences == 0, "slots are given back", -1);
    expect(w, !s->expect_waits || stats.page_waits > 0, "memory was short", -1);
    /* A row of an answer that has ended meanwhile: one a task at most. */
    int most = s->behind ? N_TASKS : 0, least = s->behind && s->cancel_every ? 1 : 0;
    expect(w, stats.wasted_rows >= least && stats.wasted_rows <= most, "wasted rows", -1);
    return st == ST_OK;
}

/* mates = 0: alone. */
static bool run_with_mates(struct world *w, struct engine *e, int task, int mates)
{
    struct diag why = {{0}};
    enum status st = ST_OK;
    char name[48];
    snprintf(name, sizeof name, "%d batch mates", mates);
    for (int i = 0; st == ST_OK && i <= mates; i++) {
        int t = (task + i * 31) % N_TASKS;
        struct engine_image in = {
            .id = (uint64_t)i + 1, .pixels = w->pixels[image_of(t)], .tasks = &w->tasks[t], .n_tasks = 1};
        st = engine_submit(e, &in, &why);
    }
    while (st == ST_OK && !engine_idle(e)) {
        struct engine_result r;
        st = engine_step(e, &why);
        while (engine_take(e, &r)) {
            int i = (int)r.task_id - 1;
            if (mates == 0) {
                expect(w, r.outcome == OUTCOME_OK && r.n_tokens > 0, r.why, i);
                w->alone[i] = r;
                continue;
            }
            expect(w, same_result(&w->alone[i], &r), name, i);
            engine_result_fini(&r);
        }
    }
    if (st != ST_OK)
        printf("  %s: %s\n", name, why.text);
    return st == ST_OK;
}

static struct engine_options options(enum dtype dtype, const char *isa, const struct scenario *s)
{
    return (struct engine_options){.model_dir = model_dir,
                                   .tower_dir = tower_dir,
                                   .backend = {.device = "cpu",
                                               .dtype = dtype,
                                               .isa = isa,
                                               .memory_bytes = s->memory ? s->memory : (size_t)1 << 30},
                                   .max_sequences = s->sequences,
                                   .max_step_rows = s->step_rows,
                                   .max_waiting_images = 2 * N_TASKS};
}

/* Room for weights, activations and some forty pages: less than a quarter of what the slots could use. */
static size_t small_budget(enum dtype dtype, const char *isa)
{
    struct scenario tight = {.sequences = 16, .step_rows = 160};
    struct engine_options o = options(dtype, isa, &tight);
    struct engine *e = NULL;
    size_t low = 1 << 20, high = (size_t)1 << 30;
    while (high - low > 1 << 16) {
        o.backend.memory_bytes = (low + high) / 2;
        if (engine_open(&o, &e, NULL) == ST_OK)
            high = o.backend.memory_bytes;
        else
            low = o.backend.memory_bytes;
        engine_close(e);
        e = NULL;
    }
    return high + ((size_t)1 << 18);
}

static bool check_scenario(struct world *w, enum dtype dtype, const char *isa, const struct scenario *s)
{
    struct engine_options o = options(dtype, isa, s);
    struct engine *e = NULL;
    struct diag why = {{0}};
    bool ok = engine_open(&o, &e, &why) == ST_OK;
    if (!ok)
        printf("  %s: %s\n", s->name, why.text);
    /* Operations of the CPU end with the call, which an engine that reads a step late can't tell from a device. */
    if (ok)
        ((struct backend_caps *)(uintptr_t)engine_caps(e))->async = s->behind;
    ok = ok && run_together(w, e, s);
    engine_close(e);
    return ok;
}

static bool check_class(enum dtype dtype, const char *isa)
{
    const struct scenario plain = {.name = "alone"};
    struct engine_options o = options(dtype, isa, &plain);
    struct engine *e = NULL;
    struct world *w = calloc(1, sizeof *w);
    struct diag why = {{0}};
    enum status s = w ? engine_open(&o, &e, &why) : ST_NOMEM;
    if (s == ST_UNSUPPORTED) {
        printf("SKIP determinism: %s, %s: %s\n", dtype_name(dtype), isa, why.text);
        free(w);
        return true;
    }
    bool ok = s == ST_OK && make_world(w, engine_config(e));
    for (int i = 0; ok && i < N_TASKS; i++)
        ok = run_with_mates(w, e, i, 0);
    ok = ok && run_with_mates(w, e, 5, 1) && run_with_mates(w, e, 17, 7) && run_with_mates(w, e, 40, 64);
    engine_close(e);
    const struct scenario scenarios[] = {
        {.name = "all together"},
        {.name = "shuffled", .shuffle = true, .sequences = 9, .step_rows = 200},
        {.name = "with cancellations", .cancel_every = 3, .sequences = 48},
        {.name = "little memory",
         .sequences = 16,
         .step_rows = 160,
         .memory = small_budget(dtype, isa),
         .expect_waits = true},
        {.name = "a step behind", .behind = true, .shuffle = true, .sequences = 20},
        {.name = "a step behind, with cancellations",
         .behind = true,
         .cancel_every = 3,
         .sequences = 12,
         .step_rows = 160},
    };
    for (size_t i = 0; ok && i < sizeof scenarios / sizeof scenarios[0]; i++)
        ok = check_scenario(w, dtype, isa, &scenarios[i]);
    ok = ok && w->failures == 0;
    printf("%s determinism: %s, %s%s%s\n", ok ? "PASS" : "FAIL", dtype_name(dtype), isa, why.text[0] ? ": " : "",
           why.text);
    if (w)
        free_world(w);
    free(w);
    return ok;
}

int main(void)
{
    bool ok = check_class(DTYPE_F32, "auto");
    ok = check_class(DTYPE_F32, "avx2") && ok;
    ok = check_class(DTYPE_F32, "scalar") && ok;
    ok = check_class(DTYPE_BF16, "auto") && ok;
    ok = check_class(DTYPE_INT8, "auto") && ok;
    return ok ? 0 : 1;
}
