/* The whole engine on a device beside the CPU, on a model of seeded numbers: pixels, masks and ids, nothing read.
 * `whole DEVICE SIZE [DTYPE...]`: every dtype unless said. Answers must have the same bits in company and alone, and be
 * the CPU's wherever its margin is larger than what the dtypes' rounding can move two logits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/random.h"
#include "model/engine.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "tests/gpu/seeded/size.h"

enum { IMAGES = 3, TASKS = 3, N = IMAGES * TASKS, MAX_TOKENS = 12 };

/* What a logit may differ from the CPU's: three times the largest difference seen under the emulator over both sizes,
 * ten times in f32, where a card's sums in another order weigh most. f16 and FP8 are compared with f32, since the CPU
 * has neither. */
static const struct {
    enum dtype dtype, reference;
    float logit;
} kinds[] = {{DTYPE_F32, DTYPE_F32, 4e-5f},
             {DTYPE_BF16, DTYPE_BF16, 0.05f},
             {DTYPE_F16, DTYPE_F32, 0.008f},
             {DTYPE_INT8, DTYPE_INT8, 0.2f},
             {DTYPE_FP8, DTYPE_F32, 0.75f}};

struct answers {
    struct engine_result results[N];
    bool invariant;
};

struct scene {
    float *pixels[IMAGES];
    char *prompts[2]; /* without a region and with one */
    struct drawn_region drawn[N];
};

static bool make_scene(struct scene *s, const struct config *c)
{
    static const char *const questions[] = {"what is there to see", "what is <region_fea> in this"};
    size_t size = 3 * (size_t)c->vision.image_size * (size_t)c->vision.image_size;
    struct region_spec spec = {.kind = REGION_BOX, .box = {5, 9, 70, 75}};
    struct region region;
    bool well = region_make(&spec, 96, 80, &region, NULL) == ST_OK;
    for (int i = 0; well && i < IMAGES; i++) {
        well = (s->pixels[i] = malloc(size * sizeof(float))) != NULL;
        for (size_t k = 0; well && k < size; k++)
            s->pixels[i][k] = random_spread((uint64_t)i, k, 2);
    }
    for (int i = 0; well && i < N; i++)
        well = drawn_region_init(&s->drawn[i], &c->sampler, &region, (uint64_t)i) == ST_OK;
    for (int i = 0; well && i < 2; i++)
        well = prompt_render(&c->template, &questions[i], 1, &s->prompts[i], NULL) == ST_OK;
    region_fini(&region);
    return well;
}

static void free_scene(struct scene *s)
{
    for (int i = 0; i < IMAGES; i++)
        free(s->pixels[i]);
    for (int i = 0; i < N; i++)
        drawn_region_fini(&s->drawn[i]);
    free(s->prompts[0]);
    free(s->prompts[1]);
}

static enum status submit(const struct scene *s, struct engine *e, int image, struct diag *why)
{
    struct engine_task tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = (struct engine_task){.id = (uint64_t)(image * TASKS + i),
                                        .prompt = s->prompts[i > 0],
                                        .regions = &s->drawn[image * TASKS + i],
                                        .n_regions = i > 0,
                                        .max_tokens = MAX_TOKENS - i,
                                        .top_p = 1};
    struct engine_image in = {.id = (uint64_t)image, .pixels = s->pixels[image], .tasks = tasks, .n_tasks = TASKS};
    return engine_submit(e, &in, why);
}

static enum status finish(struct engine *e, struct answers *a, struct diag *why)
{
    while (!engine_idle(e)) {
        struct engine_result r;
        enum status s = engine_step(e, why);
        if (s != ST_OK)
            return s;
        while (engine_take(e, &r)) {
            if (r.outcome != OUTCOME_OK)
                return diag_set(why, ST_INVALID, "task %d: %s", (int)r.task_id, r.why);
            a->results[r.task_id] = r;
        }
    }
    return ST_OK;
}

static enum status answer(const struct scene *s, const char *size, const char *device, enum dtype dtype, bool alone,
                          struct answers *a, struct diag *why)
{
    struct engine_options o = {
        .model_dir = size,
        .backend = {.device = device, .dtype = dtype, .isa = "auto", .memory_bytes = (size_t)96 << 20},
        .max_sequences = 8,
        .max_step_rows = 160};
    struct engine *e;
    enum status st = engine_open(&o, &e, why);
    if (st != ST_OK)
        return st;
    a->invariant = engine_caps(e)->invariant;
    for (int i = 0; st == ST_OK && i < IMAGES; i++) {
        st = submit(s, e, i, why);
        if (st == ST_OK && alone)
            st = finish(e, a, why);
    }
    if (st == ST_OK)
        st = finish(e, a, why);
    engine_close(e);
    return st;
}

static void free_answers(struct answers *a)
{
    for (int i = 0; i < N; i++)
        engine_result_fini(&a->results[i]);
}

static bool same_bits(const struct answers *a, const struct answers *b)
{
    for (int i = 0; i < N; i++) {
        const struct engine_result *x = &a->results[i], *y = &b->results[i];
        size_t n = (size_t)x->n_tokens;
        if (x->n_tokens != y->n_tokens || memcmp(x->tokens, y->tokens, n * sizeof *x->tokens) != 0 ||
            memcmp(x->logprob, y->logprob, n * sizeof *x->logprob) != 0 ||
            memcmp(x->top, y->top, n * sizeof *x->top) != 0)
            return false;
    }
    return true;
}

struct comparison {
    int compared, tokens; /* tokens up to each answer's first that differs with leave */
    float logit;          /* largest difference of a top logit */
    bool well;
};

/* An answer counts up to its first other token, which must have been a close call. */
static void compare(const struct engine_result *got, const struct engine_result *want, float logit,
                    struct comparison *c)
{
    c->tokens += want->n_tokens;
    for (int i = 0; i < want->n_tokens && i < got->n_tokens; i++) {
        float off = fabsf(got->top[i] - want->top[i]);
        c->logit = off > c->logit ? off : c->logit;
        c->well = c->well && off <= logit;
        if (got->tokens[i] != want->tokens[i]) {
            c->well = c->well && want->margin[i] <= 2 * logit;
            return;
        }
        c->compared++;
    }
}

static bool check(const struct scene *s, const char *size, const char *device, int kind)
{
    struct answers *all = calloc(3, sizeof *all), *company = all, *alone = all + 1, *cpu = all + 2;
    struct comparison c = {.well = true};
    struct diag why = {{0}};
    const char *name = dtype_name(kinds[kind].dtype);
    enum status st = all ? answer(s, size, device, kinds[kind].dtype, false, company, &why) : ST_NOMEM;
    if (st == ST_UNSUPPORTED) {
        printf("SKIP whole: %s\n", why.text);
        free(all);
        return true;
    }
    if (st == ST_OK)
        st = answer(s, size, device, kinds[kind].dtype, true, alone, &why);
    if (st == ST_OK)
        st = answer(s, size, "cpu", kinds[kind].reference, false, cpu, &why);
    bool same = st == ST_OK && (!company->invariant || same_bits(company, alone));
    for (int i = 0; st == ST_OK && i < N; i++)
        compare(&company->results[i], &cpu->results[i], kinds[kind].logit, &c);
    bool well = same && c.well;
    printf("%s whole: %s, %s on %s: ", well ? "PASS" : "FAIL", size, name, device);
    if (st != ST_OK)
        printf("%s\n", why.text);
    else
        printf("%s%d of %d tokens are the CPU's before a close call, logits differ by %.2g, %.2g may be\n",
               same ? "" : "answers alone have other bits than in company; ", c.compared, c.tokens, (double)c.logit,
               (double)kinds[kind].logit);
    for (int i = 0; all && i < 3; i++)
        free_answers(&all[i]);
    free(all);
    return well;
}

int main(int argc, char **argv)
{
    struct config config;
    struct scene scene = {.prompts = {NULL}};
    bool well = true;
    if (argc < 3 || !seeded_config(argv[2], &config)) {
        fprintf(stderr, "usage: whole DEVICE small|tiny [DTYPE...]\n");
        return 2;
    }
    if (!make_scene(&scene, &config)) {
        fprintf(stderr, "whole: out of memory\n");
        return 1;
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bool wanted = argc == 3;
        for (int i = 3; i < argc; i++)
            wanted = wanted || strcmp(argv[i], dtype_name(kinds[k].dtype)) == 0;
        if (wanted)
            well = check(&scene, argv[2], argv[1], (int)k) && well;
    }
    free_scene(&scene);
    return well ? 0 : 1;
}
