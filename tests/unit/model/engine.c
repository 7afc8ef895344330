/* The engine's contract beside numbers: outcomes, limits, stop texts, cancellation, sharing. Runs on a shipped tiny
 * checkpoint; numbers are the parity programs' matter. */
#include "model/engine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/prompt.h"
#include "model/sampler.h"
#include "tests/unit/model/scratch.h"

enum { SIDE = 84, PROMPT_BYTES = 8192 };
static const char model_dir[] = "tests/parity/fixtures/tiny-ferret-a";
static const char tower_dir[] = "tests/parity/fixtures/tiny-ferret-a-clip";

static struct engine *open_engine(int sequences, int waiting)
{
    struct engine_options o = {.model_dir = model_dir,
                               .tower_dir = tower_dir,
                               .backend = {.device = "cpu",
                                           .dtype = DTYPE_F32,
                                           .isa = "auto",
                                           .memory_bytes = (size_t)256 << 20,
                                           .threads = 1},
                               .max_sequences = sequences,
                               .max_waiting_images = waiting};
    struct engine *e = NULL;
    struct diag why = {{0}};
    cr_assert_eq(engine_open(&o, &e, &why), ST_OK, "%s", why.text);
    return e;
}

static const float *some_pixels(void)
{
    static float pixels[3 * SIDE * SIDE];
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        pixels[i] = (float)(i % 97) / 50 - 1;
    return pixels;
}

static char *render(const struct engine *e, const char *turn)
{
    char *prompt = NULL;
    cr_assert_eq(prompt_render(&engine_config(e)->template, &turn, 1, &prompt, NULL), ST_OK);
    return prompt;
}

static struct engine_task ask(uint64_t id, const char *prompt, int max_tokens)
{
    return (struct engine_task){.id = id, .prompt = prompt, .max_tokens = max_tokens, .top_p = 1};
}

static void submit(struct engine *e, uint64_t id, const struct engine_task *tasks, int n)
{
    struct engine_image image = {.id = id, .pixels = some_pixels(), .tasks = tasks, .n_tasks = n};
    struct diag why = {{0}};
    cr_assert_eq(engine_submit(e, &image, &why), ST_OK, "%s", why.text);
}

static void run(struct engine *e, struct engine_result *results, int n)
{
    int got = 0;
    for (int step = 0; got < n; step++) {
        cr_assert_lt(step, 1000);
        cr_assert_eq(engine_step(e, NULL), ST_OK);
        while (got < n && engine_take(e, &results[got]))
            got++;
    }
}

static struct engine_result run_one(struct engine *e, const struct engine_task *task)
{
    struct engine_result r;
    submit(e, 1, task, 1);
    run(e, &r, 1);
    return r;
}

Test(engine, answers_and_is_idle_again)
{
    struct engine *e = open_engine(4, 4);
    char *prompt = render(e, "What is this?");
    struct engine_task task = ask(7, prompt, 5);
    cr_assert(engine_idle(e));
    cr_assert_eq(engine_step(e, NULL), ST_OK, "nothing to do");
    submit(e, 3, &task, 1);
    cr_assert(!engine_idle(e));
    struct engine_result r;
    run(e, &r, 1);
    cr_assert_eq(r.outcome, OUTCOME_OK, "%s", r.why);
    cr_assert(r.image_id == 3 && r.task_id == 7);
    cr_assert(r.n_tokens == 5 && r.finish == FINISH_LENGTH);
    for (int i = 0; i < r.n_tokens; i++)
        cr_assert(r.logprob[i] <= 0 && r.margin[i] >= 0 && r.token_end[i] <= strlen(r.text));
    cr_assert(engine_idle(e));
    cr_assert_eq(strlen(engine_model_hash(e)), 64);
    cr_assert_not_null(strstr(engine_memory_account(e), "KV cache"));
    engine_result_fini(&r);
    free(prompt);
    engine_close(e);
}

Test(engine, bad_tasks_say_why_and_the_others_run)
{
    struct engine *e = open_engine(4, 4);
    char *good = render(e, "What is this?"), *region = render(e, "What is <region_fea>?");
    struct engine_task tasks[] = {
        ask(1, good, 3),       ask(2, "no image here", 3),         ask(3, region, 3),
        ask(4, good, 0),       ask(5, "a <image> b <image> c", 3), ask(6, "<region_fea> <image> b", 3),
        ask(7, "a <image>", 3)};
    int n = sizeof tasks / sizeof tasks[0];
    struct engine_result r[7];
    submit(e, 1, tasks, n);
    run(e, r, n);
    for (int i = 0; i < n; i++) {
        bool ok = r[i].task_id == 1;
        cr_assert_eq(r[i].outcome, ok ? OUTCOME_OK : OUTCOME_INVALID, "task %d: %s", (int)r[i].task_id, r[i].why);
        cr_assert(ok ? r[i].text != NULL : r[i].why[0] && !r[i].text);
        engine_result_fini(&r[i]);
    }
    cr_assert(engine_idle(e));
    free(good);
    free(region);
    engine_close(e);
}

Test(engine, a_prompt_that_fills_the_context_is_refused_and_a_long_answer_cut)
{
    struct engine *e = open_engine(4, 4);
    int limit = engine_config(e)->decoder.max_positions;
    char turn[PROMPT_BYTES] = "x";
    char *base = render(e, turn);
    struct engine_task task = ask(1, base, limit);
    struct engine_result r = run_one(e, &task);
    cr_assert_eq(r.outcome, OUTCOME_OK);
    cr_assert_leq(r.n_prompt + r.n_tokens, limit);
    engine_result_fini(&r);
    memset(turn, 0, sizeof turn);
    for (int i = 0; i < limit && i + 2 < PROMPT_BYTES; i++)
        turn[i] = (char)(i % 2 ? '1' : 'q');
    char *prompt = render(e, turn);
    task = ask(2, prompt, 1);
    r = run_one(e, &task);
    cr_assert_eq(r.outcome, OUTCOME_TOO_LONG, "%s", r.why);
    cr_assert_not_null(strstr(r.why, "positions"));
    engine_result_fini(&r);
    free(base);
    free(prompt);
    engine_close(e);
}

Test(engine, a_stop_text_cuts_the_answer)
{
    struct engine *e = open_engine(4, 4);
    char *prompt = render(e, "What is this?");
    struct engine_task task = ask(1, prompt, 20);
    struct engine_result whole = run_one(e, &task);
    cr_assert_gt(strlen(whole.text), 8);
    char stop[4] = {whole.text[5], whole.text[6], whole.text[7], '\0'};
    const char *const stops[] = {"never to be seen", stop};
    task.stop_texts = stops;
    task.n_stops = 2;
    struct engine_result cut = run_one(e, &task);
    cr_assert_eq(cut.finish, FINISH_STOP);
    cr_assert_lt(cut.n_tokens, whole.n_tokens);
    cr_assert_null(strstr(cut.text, stop));
    cr_assert_eq(strncmp(whole.text, cut.text, strlen(cut.text)), 0);
    for (int i = 0; i < cut.n_tokens; i++)
        cr_assert(cut.tokens[i] == whole.tokens[i] && cut.token_end[i] <= strlen(cut.text));
    engine_result_fini(&whole);
    engine_result_fini(&cut);
    free(prompt);
    engine_close(e);
}

/* Boxes of an answer, -1 where a bracket belongs to none that is well-formed. */
static int boxes_of(const char *text)
{
    int n = 0;
    for (const char *at = text; (at = strpbrk(at, "[]")); n++) {
        int v[4], end = 0;
        if (sscanf(at, "[%d, %d, %d, %d]%n", &v[0], &v[1], &v[2], &v[3], &end) != 4 || end == 0)
            return -1;
        for (int i = 0; i < 4; i++)
            if (v[i] < 0 || v[i] > 999 || v[i] < v[i % 2])
                return -1;
        at += end;
    }
    return n;
}

Test(engine, boxes_are_well_formed_where_asked_for_alone_and_in_company)
{
    enum { TASKS = 4, TOKENS = 150 };
    struct engine *e = open_engine(TASKS, 4);
    char *prompt = render(e, "What is this?");
    struct engine_task tasks[2 * TASKS];
    struct engine_result asked[TASKS], all[2 * TASKS];
    int boxes = 0, broken = 0;
    for (int i = 0; i < 2 * TASKS; i++) {
        tasks[i] = ask((uint64_t)i, prompt, TOKENS);
        tasks[i].temperature = 2;
        tasks[i].seed = (uint64_t)i % TASKS;
        tasks[i].well_formed_boxes = i < TASKS;
    }
    for (int i = 0; i < TASKS; i++)
        asked[i] = run_one(e, &tasks[i]);
    submit(e, 1, tasks, 2 * TASKS);
    run(e, all, 2 * TASKS);
    for (int i = 0; i < 2 * TASKS; i++) {
        const struct engine_result *r = &all[i], *alone = &asked[r->task_id % TASKS];
        cr_assert_eq(r->outcome, OUTCOME_OK, "%s", r->why);
        int n = boxes_of(r->text);
        broken += r->task_id >= TASKS && n < 0;
        if (r->task_id >= TASKS)
            continue;
        cr_expect_geq(n, 0, "%s", r->text);
        boxes += n;
        cr_expect(r->n_tokens == alone->n_tokens &&
                  memcmp(r->logprob, alone->logprob, (size_t)r->n_tokens * sizeof *r->logprob) == 0);
    }
    cr_expect(boxes > 0 && broken > 0, "%d boxes; without the automaton %d answers have broken ones", boxes, broken);
    for (int i = 0; i < 2 * TASKS; i++)
        engine_result_fini(&all[i]);
    for (int i = 0; i < TASKS; i++)
        engine_result_fini(&asked[i]);
    free(prompt);
    engine_close(e);
}

Test(engine, more_images_than_may_wait_are_refused)
{
    struct engine *e = open_engine(2, 2);
    char *prompt = render(e, "What is this?");
    struct engine_task task = ask(1, prompt, 2);
    submit(e, 1, &task, 1);
    task.id = 2;
    submit(e, 2, &task, 1);
    struct engine_image image = {.id = 3, .pixels = some_pixels(), .tasks = &task, .n_tasks = 1};
    struct diag why = {{0}};
    cr_assert_eq(engine_submit(e, &image, &why), ST_BUSY);
    struct engine_result r[2];
    run(e, r, 2);
    engine_result_fini(&r[0]);
    engine_result_fini(&r[1]);
    cr_assert_eq(engine_submit(e, &image, &why), ST_OK);
    free(prompt);
    engine_close(e); /* with work left */
}

Test(engine, cancelled_tasks_yield_one_result_each)
{
    struct engine *e = open_engine(2, 8);
    char *prompt = render(e, "What is this?");
    struct engine_task tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = ask((uint64_t)i + 1, prompt, 30);
    submit(e, 1, tasks, 3);
    submit(e, 2, &tasks[3], 1);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(engine_step(e, NULL), ST_OK);
    engine_cancel_task(e, 1);    /* in mid-answer */
    engine_cancel_task(e, 3);    /* waiting */
    engine_cancel_task(e, 1234); /* unknown */
    engine_cancel_image(e, 2);
    engine_cancel_image(e, 2);
    struct engine_result r[4];
    run(e, r, 4);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(r[i].outcome, r[i].task_id == 2 ? OUTCOME_OK : OUTCOME_CANCELLED);
        engine_result_fini(&r[i]);
    }
    cr_assert(engine_idle(e));
    free(prompt);
    engine_close(e);
}

Test(engine, tasks_of_an_image_share_its_encoding_and_prefix)
{
    struct engine *e = open_engine(8, 4);
    char *prompt = render(e, "What is this?");
    struct engine_task tasks[8];
    struct engine_result r[8];
    for (int i = 0; i < 8; i++)
        tasks[i] = ask((uint64_t)i + 1, prompt, 3);
    submit(e, 1, tasks, 8);
    run(e, r, 8);
    struct engine_stats together, before;
    engine_stats(e, &together);
    int own = (int)together.prefill_rows;
    cr_assert_eq(together.images_encoded, 1);
    engine_stats(e, &before);
    submit(e, 2, tasks, 1);
    struct engine_result one;
    run(e, &one, 1);
    engine_stats(e, &together);
    int grid = engine_config(e)->vision.grid, behind = (int)(together.prefill_rows - before.prefill_rows) - grid * grid;
    /* The prefix stays in the cache; the first time it ran once for all eight, like the image. */
    cr_assert_eq(own, r[0].n_prompt + 7 * behind);
    for (int i = 0; i < 8; i++) {
        cr_assert_str_eq(r[i].text, one.text);
        engine_result_fini(&r[i]);
    }
    engine_result_fini(&one);
    free(prompt);
    engine_close(e);
}

static void count_names(void *ctx, uint64_t image_id, uint64_t task_id, const char *name, bool is_int, int rows,
                        int cols, const void *values)
{
    (void)image_id;
    (void)task_id;
    cr_assert(rows > 0 && cols > 0 && values);
    cr_assert_eq(is_int, strncmp(name, "chosen", 6) == 0 || strncmp(name, "fps", 3) == 0);
    ++*(int *)ctx;
}

Test(engine, an_observer_changes_nothing)
{
    struct engine *e = open_engine(4, 4);
    char *prompt = render(e, "What is [1, 2] <region_fea>?");
    struct region region;
    struct region_spec spec = {.kind = REGION_POINT, .box = {20, 30}};
    cr_assert_eq(region_make(&spec, 84, 84, &region, NULL), ST_OK);
    struct engine_task task = ask(1, prompt, 8);
    struct drawn_region drawn;
    cr_assert_eq(drawn_region_init(&drawn, &engine_config(e)->sampler, &region, task.seed), ST_OK);
    task.regions = &drawn;
    task.n_regions = 1;
    struct engine_result plain = run_one(e, &task);
    int calls = 0;
    engine_observe(e, count_names, &calls);
    struct engine_result seen = run_one(e, &task);
    cr_assert_eq(calls, 8, "vision, projected, chosen, two stages, region_features, hidden_last, logits");
    cr_assert_eq(memcmp(plain.logprob, seen.logprob, (size_t)plain.n_tokens * sizeof *seen.logprob), 0);
    engine_result_fini(&plain);
    engine_result_fini(&seen);
    drawn_region_fini(&drawn);
    region_fini(&region);
    free(prompt);
    engine_close(e);
}

Test(engine, what_cannot_be_opened_is_named)
{
    struct engine_options o = {
        .model_dir = "nowhere",
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = 1 << 20}};
    struct engine *e = NULL;
    struct diag why = {{0}};
    cr_assert_neq(engine_open(&o, &e, &why), ST_OK);
    cr_assert(!e && strstr(why.text, "nowhere"));
    o.model_dir = model_dir;
    o.tower_dir = tower_dir;
    for (size_t memory = 1 << 16; memory < (size_t)64 << 20; memory *= 2) {
        o.backend.memory_bytes = memory;
        enum status s = engine_open(&o, &e, &why);
        cr_assert(s == ST_OK || s == ST_NOMEM, "%s", why.text);
        if (s == ST_OK)
            engine_close(e);
    }
    engine_close(NULL);
}

Test(engine, a_template_that_leaves_no_room_for_an_answer_is_refused_at_load)
{
    enum { WORDS = 6000 };
    static char member[2 * WORDS + 64] = "{\"ferret_template\": {\"system\": \"", dir[SCRATCH_PATH],
                                   model[SCRATCH_PATH];
    scratch_make(dir);
    scratch_copy("tiny-ferret-a", dir, "model");
    scratch_join(model, dir, "model");
    char *at = member + strlen(member);
    for (int i = 0; i < WORDS; i++, at += 2)
        memcpy(at, "a ", 2);
    memcpy(at, "\"},", 4);
    scratch_edit(model, "config.json", "{", member);
    struct engine_options o = {
        .model_dir = model,
        .tower_dir = tower_dir,
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)256 << 20}};
    struct engine *e = NULL;
    struct diag why = {{0}};
    cr_assert_eq(engine_open(&o, &e, &why), ST_LIMIT, "%s", why.text);
    cr_assert(strstr(why.text, model) && strstr(why.text, "ferret_template") && strstr(why.text, "no room"));
    scratch_remove(dir);
}

/* Sequences and rows of a step are halved until they fit; half as many at once change no bit of an answer. */
Test(engine, a_batch_that_does_not_fit_is_halved_and_answers_alike)
{
    struct engine_options o = {.model_dir = model_dir,
                               .tower_dir = tower_dir,
                               .max_sequences = 64,
                               .max_step_rows = 2048,
                               .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto"}};
    struct engine *small = NULL, *large = open_engine(4, 4);
    struct diag why = {{0}};
    char *prompt = render(large, "What is this?");
    struct engine_task task = ask(1, prompt, 4);
    struct engine_result a = run_one(large, &task), b = {.outcome = OUTCOME_NO_MEMORY};
    /* The least that opens may have a cache for less than this task. */
    for (size_t memory = 1 << 20; b.outcome == OUTCOME_NO_MEMORY && memory < (size_t)64 << 20; memory += memory / 8) {
        engine_close(small);
        small = NULL;
        o.backend.memory_bytes = memory;
        enum status s = engine_open(&o, &small, &why);
        cr_assert(s == ST_OK || (s == ST_NOMEM && strpbrk(why.text, "123456789")), "%s", why.text);
        if (s == ST_OK)
            b = run_one(small, &task);
    }
    cr_assert(b.outcome == OUTCOME_OK, "%s", b.why);
    cr_expect(strstr(engine_memory_account(small), "halved") != NULL, "%s", engine_memory_account(small));
    cr_expect(strstr(engine_memory_account(large), "halved") == NULL);
    cr_expect(a.n_tokens == b.n_tokens && memcmp(a.tokens, b.tokens, (size_t)a.n_tokens * sizeof *a.tokens) == 0 &&
              memcmp(a.logprob, b.logprob, (size_t)a.n_tokens * sizeof *a.logprob) == 0);
    engine_result_fini(&a);
    engine_result_fini(&b);
    free(prompt);
    engine_close(small);
    engine_close(large);
}

static void note_progress(void *ctx, double done, double total)
{
    double *last = ctx;
    cr_expect(done > *last && done <= total);
    *last = done;
}

Test(engine, a_load_tells_how_far_it_is_and_too_little_memory_is_refused_before_it)
{
    double last = 0;
    struct engine_options o = {
        .model_dir = model_dir,
        .tower_dir = tower_dir,
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)256 << 20},
        .on_progress = note_progress,
        .progress_ctx = &last};
    struct engine *e = NULL;
    struct diag why = {{0}};
    cr_assert_eq(engine_open(&o, &e, &why), ST_OK, "%s", why.text);
    cr_expect(last > 1e5, "numbers of all matrices");
    engine_close(e);
    last = 1e30; /* no call is right */
    o.backend.memory_bytes = 500 << 10;
    o.backend.threads = 1;
    cr_assert_eq(engine_open(&o, &e, &why), ST_NOMEM);
    cr_expect(strstr(why.text, "the weights take") && strstr(why.text, "--memory"), "%s", why.text);
}

Test(engine, a_stop_ends_the_load)
{
    volatile sig_atomic_t stop = 1;
    struct engine_options o = {
        .model_dir = model_dir,
        .tower_dir = tower_dir,
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)256 << 20},
        .stop = &stop};
    struct engine *e = NULL;
    struct diag why = {{0}};
    cr_assert_eq(engine_open(&o, &e, &why), ST_CANCELLED);
    cr_assert(!e && strstr(why.text, "while the model was loading"));
    stop = 0;
    cr_assert_eq(engine_open(&o, &e, &why), ST_OK, "%s", why.text);
    engine_close(e);
}

/* A copy of the checkpoint in which the embedding of `id` is NaN throughout. */
static void spoil_token(const char *dir, int32_t id)
{
    char copy[SCRATCH_PATH];
    struct checkpoint *c = NULL;
    size_t len;
    scratch_copy("tiny-ferret-a", dir, "model");
    scratch_join(copy, dir, "model");
    cr_assert_eq(checkpoint_open(copy, NULL, &c, NULL), ST_OK);
    const struct tensor *t = checkpoint_find(c, "model.embed_tokens.weight");
    unsigned char *bytes = scratch_read(t->file, &len), *at = memmem(bytes, len, t->data, t->bytes);
    size_t row = t->bytes / (size_t)t->dims[0];
    cr_assert(at && t->type == TENSOR_F16);
    memset(at + (size_t)id * row, 0xff, row);
    scratch_write(t->file, bytes, len);
    free(bytes);
    checkpoint_close(c);
}

/* An id of `text` that `other` lacks. */
static int32_t id_of_one(const struct tokenizer *t, const char *text, const char *other)
{
    int32_t *ids, *others, found = -1;
    int n, m;
    cr_assert_eq(tokenizer_encode(t, text, strlen(text), &ids, &n, NULL), ST_OK);
    cr_assert_eq(tokenizer_encode(t, other, strlen(other), &others, &m, NULL), ST_OK);
    for (int i = 0; i < n && found < 0; i++) {
        bool shared = false;
        for (int k = 0; k < m; k++)
            shared |= ids[i] == others[k];
        found = shared ? -1 : ids[i];
    }
    free(ids);
    free(others);
    cr_assert_geq(found, 0);
    return found;
}

Test(engine, logits_that_are_not_finite_end_their_task_alone_and_at_once_as_an_error)
{
    char dir[SCRATCH_PATH], model[SCRATCH_PATH];
    scratch_make(dir);
    struct engine *e = open_engine(4, 4);
    char *good = render(e, "What is this?"), *bad = render(e, "What is this? 7");
    spoil_token(dir, id_of_one(engine_tokenizer(e), bad, good));
    engine_close(e);
    scratch_join(model, dir, "model");
    struct engine_options o = {
        .model_dir = model,
        .tower_dir = tower_dir,
        .backend = {.device = "cpu", .dtype = DTYPE_F32, .isa = "auto", .memory_bytes = (size_t)256 << 20}};
    cr_assert_eq(engine_open(&o, &e, NULL), ST_OK);
    struct engine_task tasks[] = {ask(1, good, 3), ask(2, bad, 20)};
    struct engine_result r[2];
    struct engine_stats stats;
    submit(e, 1, tasks, 2);
    run(e, r, 2);
    engine_stats(e, &stats);
    cr_assert_eq(stats.decode_rows, 2, "the good task's second and third token: the bad one ends with its prefill");
    for (int i = 0; i < 2; i++) {
        bool ok = r[i].task_id == 1;
        cr_assert_eq(r[i].outcome, ok ? OUTCOME_OK : OUTCOME_NON_FINITE, "task %d: %s", (int)r[i].task_id, r[i].why);
        cr_assert(ok ? r[i].text != NULL : !r[i].text && r[i].n_tokens == 0 && strstr(r[i].why, "not finite"));
        engine_result_fini(&r[i]);
    }
    cr_assert(engine_idle(e));
    free(good);
    free(bad);
    engine_close(e);
    scratch_remove(dir);
}
