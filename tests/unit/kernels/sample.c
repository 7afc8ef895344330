#include "tests/unit/kernels/harness.h"
#include "kernels/box_automaton.h"
#include "kernels/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { SLOTS = 4, HISTORY = 128 };

struct bench {
    struct backend *be;
    struct tasks t;
    int suppress;
};

static void set_int(struct bench *b, struct array *a, size_t at, int32_t value)
{
    struct diag why = {{0}};
    cr_assert(array_write(b->be, a, at, 1, &value, &why) == ST_OK);
}

static void set_float(struct bench *b, struct array *a, size_t at, float value)
{
    struct diag why = {{0}};
    cr_assert(array_write(b->be, a, at, 1, &value, &why) == ST_OK);
}

static int32_t get_int(const struct bench *b, const struct array *a, int at)
{
    return ints_of(b->be, a, (size_t)at + 1)[at];
}

static struct sampled newest(const struct bench *b, int slot)
{
    struct sampled s;
    memcpy(&s, ints_of(b->be, b->t.newest, SLOTS * SAMPLED_WORDS) + slot * SAMPLED_WORDS, sizeof s);
    return s;
}

/* Greedy tasks without stops, 100 tokens each. */
static struct bench bench_open(void)
{
    struct bench b = {.be = open_isa(2, DTYPE_F32), .suppress = -1};
    if (!b.be)
        b.be = open_isa(0, DTYPE_F32);
    struct tasks *t = &b.t;
    t->n_slots = SLOTS;
    t->history = HISTORY;
    struct array **per_slot[] = {&t->last, &t->count, &t->max_tokens, &t->finish, &t->repetition};
    for (size_t i = 0; i < 5; i++)
        *per_slot[i] = ints(b.be, NULL, SLOTS);
    t->temperature = floats(b.be, NULL, SLOTS);
    t->top_p = floats(b.be, NULL, SLOTS);
    t->seed = ints(b.be, NULL, 2 * SLOTS);
    t->stop_ids = ints(b.be, NULL, SLOTS * MAX_STOP_IDS);
    t->tokens = ints(b.be, NULL, SLOTS * HISTORY);
    t->newest = ints(b.be, NULL, SLOTS * SAMPLED_WORDS);
    for (size_t s = 0; s < SLOTS; s++) {
        set_int(&b, t->max_tokens, s, 100);
        set_float(&b, t->top_p, s, 1);
        for (size_t i = 0; i < MAX_STOP_IDS; i++)
            set_int(&b, t->stop_ids, s * MAX_STOP_IDS + i, -1);
    }
    return b;
}

/* Samples one row for one slot; returns the slot's last token. */
static int sample_once(struct bench *b, const float *logits, int vocab, int slot)
{
    int32_t s = slot;
    struct step step = {.n_sampled = 1, .sample_slot = ints(b->be, &s, 1)};
    op_sample(b->be, act_from(b->be, logits, 1, vocab), &step, &b->t, vocab, b->suppress);
    return get_int(b, b->t.last, slot);
}

static void greedy_like(struct bench *b, int token, int slot)
{
    float logits[64] = {0};
    logits[token] = 5;
    cr_assert(sample_once(b, logits, 64, slot) == token);
}

Test(sample, greedy_takes_the_first_of_equal_maxima)
{
    struct bench b = bench_open();
    float logits[9] = {-1, 3, 3, -2, 3, 0, 0, 0, 2};
    cr_expect(sample_once(&b, logits, 9, 1) == 1);
    struct sampled s = newest(&b, 1);
    cr_expect(s.token == 1 && s.margin == 0 && s.top == 3 && s.finish == FINISH_NONE);
    b.suppress = 1;
    cr_expect(sample_once(&b, logits, 9, 1) == 2, "a suppressed id is passed over");
    backend_close(b.be);
}

Test(sample, logits_that_are_not_finite_finish_their_task_before_a_stop_does)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct bench b = bench_open();
    float good[9] = {-1, 3, 0, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float logits[9];
        for (int k = 0; k < 9; k++)
            logits[k] = i == 1 && k != 4 ? 0 : bad[i]; /* NaN and minus infinity throughout, plus infinity once */
        for (int id = 0; id < MAX_STOP_IDS; id++)
            set_int(&b, b.t.stop_ids, (size_t)i * MAX_STOP_IDS + (size_t)id, id == 0 ? 0 : 4);
        (void)sample_once(&b, logits, 9, i);
        cr_expect_eq(get_int(&b, b.t.finish, i), FINISH_NON_FINITE, "row %d", i);
        cr_expect_eq(newest(&b, i).finish, FINISH_NON_FINITE, "row %d", i);
    }
    (void)sample_once(&b, good, 9, 3);
    cr_expect_eq(get_int(&b, b.t.finish, 3), FINISH_NONE, "an id that is ruled out is no mistake");
    backend_close(b.be);
}

Test(sample, logprob_and_margin_are_those_of_the_untempered_softmax)
{
    enum { VOCAB = 32001 };
    struct bench b = bench_open();
    float *x = values(5, VOCAB);
    double sum = 0;
    for (int i = 0; i < VOCAB; i++)
        sum += exp((double)(x[i] *= 9));
    set_float(&b, b.t.temperature, 2, 0.7f);
    int token = sample_once(&b, x, VOCAB, 2);
    float first = -INFINITY, second = -INFINITY;
    for (int i = 0; i < VOCAB; i++) {
        second = x[i] > first ? first : x[i] > second ? x[i] : second;
        first = x[i] > first ? x[i] : first;
    }
    struct sampled s = newest(&b, 2);
    cr_expect_float_eq(s.logprob, (double)x[token] - log(sum), 2e-6);
    cr_expect(s.margin == first - second);
    backend_close(b.be);
}

Test(sample, same_seed_and_step_draw_the_same_and_follow_the_distribution)
{
    enum { VOCAB = 5, DRAWS = 3000 };
    static const float p[VOCAB] = {0.1f, 0.4f, 0.05f, 0.25f, 0.2f};
    struct bench b = bench_open();
    float logits[VOCAB];
    int seen[VOCAB] = {0};
    for (int i = 0; i < VOCAB; i++)
        logits[i] = 0.5f * logf(p[i]);
    for (size_t s = 0; s < 2; s++)
        set_float(&b, b.t.temperature, s, 0.5f);
    for (int32_t i = 0; i < DRAWS; i++) {
        int drawn[2];
        for (int s = 0; s < 2; s++) {
            set_int(&b, b.t.seed, (size_t)(2 * s), i);
            set_int(&b, b.t.seed, (size_t)(2 * s + 1), -7);
            set_int(&b, b.t.count, (size_t)s, i % 50);
            drawn[s] = sample_once(&b, logits, VOCAB, s);
            set_int(&b, b.t.finish, (size_t)s, FINISH_NONE);
        }
        cr_expect(drawn[0] == drawn[1]);
        /* The contract's rule: ids upwards until their probabilities pass u. */
        double u = (double)random_uniform((uint64_t)(uint32_t)i | (uint64_t)(uint32_t)-7 << 32, (uint64_t)(i % 50));
        double at = 0;
        int want = 0;
        for (; want < VOCAB - 1 && (at += (double)p[want]) <= u; want++)
            ;
        cr_expect(drawn[0] == want || fabs(at - u) < 1e-6);
        seen[drawn[0]]++;
    }
    for (int i = 0; i < VOCAB; i++)
        cr_expect_float_eq((double)seen[i] / DRAWS, (double)p[i], 0.035);
    backend_close(b.be);
}

Test(sample, top_p_keeps_the_heaviest_and_the_lower_id_of_equals)
{
    struct bench b = bench_open();
    static const float p[] = {0.05f, 0.2f, 0.2f, 0.3f, 0.05f, 0.2f};
    float logits[6];
    int seen[6] = {0};
    for (int i = 0; i < 6; i++)
        logits[i] = logf(p[i]);
    set_float(&b, b.t.temperature, 0, 1);
    set_float(&b, b.t.top_p, 0, 0.6f);
    for (int32_t i = 0; i < 500; i++) {
        set_int(&b, b.t.seed, 0, i);
        set_int(&b, b.t.count, 0, 0);
        seen[sample_once(&b, logits, 6, 0)]++;
    }
    cr_expect(seen[3] > 150 && seen[1] > 90 && seen[2] > 90, "0.3 + 0.2 + 0.2 pass 0.6: three ids");
    cr_expect(seen[0] == 0 && seen[4] == 0 && seen[5] == 0);
    set_float(&b, b.t.top_p, 0, 0.0001f);
    cr_expect(sample_once(&b, logits, 6, 0) == 3, "the heaviest always stays");
    backend_close(b.be);
}

Test(sample, stop_id_length_and_finished_slots)
{
    struct bench b = bench_open();
    set_int(&b, b.t.stop_ids, 3 * MAX_STOP_IDS + 2, 9);
    set_int(&b, b.t.max_tokens, 2, 3);
    for (int i = 0; i < 3; i++) {
        greedy_like(&b, 4, 2);
        cr_expect(get_int(&b, b.t.finish, 2) == (i == 2 ? FINISH_LENGTH : FINISH_NONE));
    }
    greedy_like(&b, 4, 3);
    greedy_like(&b, 9, 3);
    cr_expect(get_int(&b, b.t.finish, 3) == FINISH_STOP);
    float other[64] = {9};
    cr_expect(sample_once(&b, other, 64, 3) == 9, "a finished slot keeps its state");
    cr_expect(get_int(&b, b.t.count, 3) == 2 && get_int(&b, b.t.tokens, 3 * HISTORY + 1) == 9);
    backend_close(b.be);
}

/* Number of tokens after which `cycle` repeated over and over stops; 0 = never within 100. */
static int stops_after(int cycle, bool vary)
{
    struct bench b = bench_open();
    set_int(&b, b.t.repetition, 0, 1);
    set_int(&b, b.t.max_tokens, 0, 120);
    int n = 0;
    while (n < 100 && get_int(&b, b.t.finish, 0) == FINISH_NONE) {
        greedy_like(&b, vary ? n * n % 61 : n % cycle, 0);
        n++;
    }
    int stopped = get_int(&b, b.t.finish, 0) == FINISH_REPETITION ? n : 0;
    backend_close(b.be);
    return stopped;
}

Test(sample, repetition_stops_at_four_cycles_and_24_tokens)
{
    cr_expect(stops_after(1, false) == 24);
    cr_expect(stops_after(5, false) == 25);
    cr_expect(stops_after(6, false) == 24);
    cr_expect(stops_after(11, false) == 44);
    cr_expect(stops_after(26, false) == 0, "104 tokens would be needed");
    cr_expect(stops_after(1, true) == 0);
}

/* A vocabulary of boxes: each id is its class, logits say how much it is wanted. */
static void keep_boxes(struct bench *b)
{
    int32_t on[SLOTS] = {1, 1, 1, 1}, classes[64] = {0};
    for (int i = 0; i < BOX_CLASSES; i++)
        classes[i] = i;
    b->t.boxes = ints(b->be, on, SLOTS);
    b->t.box_state = ints(b->be, NULL, SLOTS * BOX_STATE_WORDS);
    b->t.box_class = ints(b->be, classes, 64);
}

Test(sample, boxes_are_kept_well_formed_greedily_and_drawn_and_only_where_asked_for)
{
    static const int32_t off = 0;
    for (int drawn = 0; drawn < 2; drawn++) {
        struct bench b = bench_open();
        float logits[64];
        struct box_state s = {0, 0, 0, 0};
        keep_boxes(&b);
        set_float(&b, b.t.temperature, 1, drawn ? 1.0f : 0.0f);
        int boxes = 0;
        for (int i = 0; i < 100; i++) {
            for (int c = 0; c < 64; c++)
                logits[c] =
                    6 * random_uniform((uint64_t)i, (uint64_t)c) + (c == BOX_BROKEN || c == BOX_OPEN ? 3.0f : 0);
            int room = 100 - i - 1, token = sample_once(&b, logits, 64, 1),
                class = token < BOX_CLASSES ? token : BOX_TEXT;
            cr_assert(box_allowed(&s, room) >> class & 1, "token %d at %d", i, token);
            s = box_next(s, class);
            boxes += class == BOX_OPEN || class == BOX_CLOSE_OPEN;
            struct sampled n = newest(&b, 1);
            cr_expect(n.token == token && n.logprob <= 0 && n.margin >= 0);
        }
        cr_expect(boxes > 0 && s.place == 0, "%d boxes", boxes);
        cr_expect(newest(&b, 1).finish == FINISH_LENGTH);
        cr_assert(array_write(b.be, b.t.boxes, 2, 1, &off, NULL) == ST_OK);
        memset(logits, 0, sizeof logits);
        logits[BOX_BROKEN] = 5;
        cr_expect(sample_once(&b, logits, 64, 2) == BOX_BROKEN);
        backend_close(b.be);
    }
}

Test(sample, a_repetition_does_not_end_a_task_inside_a_box)
{
    struct bench b = bench_open();
    static const char box[] = "[1, 1, 1, 1]";
    keep_boxes(&b);
    set_int(&b, b.t.repetition, 0, 1);
    enum finish finish = FINISH_NONE;
    int n = 0;
    for (; finish == FINISH_NONE && n < 90; n++) {
        char c = box[n % 12];
        int class = c == '['   ? BOX_OPEN
                    : c == ']' ? BOX_CLOSE
                    : c == ',' ? BOX_COMMA
                    : c == ' ' ? BOX_SPACE
                               : BOX_DIGIT + 1;
        greedy_like(&b, class, 0);
        finish = (enum finish)newest(&b, 0).finish;
    }
    cr_expect(finish == FINISH_REPETITION && n % 12 == 0, "%d tokens", n);
    backend_close(b.be);
}

Test(sample, a_row_draws_the_same_whatever_shares_its_step)
{
    enum { VOCAB = 300 };
    struct bench b = bench_open(), alone = bench_open();
    float *x = values(3, 3 * VOCAB);
    static const int32_t slots[] = {2, 0, 3};
    for (size_t s = 0; s < SLOTS; s++) {
        struct bench *both[] = {&b, &alone};
        for (int i = 0; i < 2; i++) {
            set_float(both[i], both[i]->t.temperature, s, 1);
            set_float(both[i], both[i]->t.top_p, s, s == 2 ? 1 : 0.9f);
            set_int(both[i], both[i]->t.seed, 2 * s, 40 + (int32_t)s);
        }
    }
    struct step step = {.n_sampled = 3, .sample_slot = ints(b.be, slots, 3)};
    op_sample(b.be, act_from(b.be, x, 3, VOCAB), &step, &b.t, VOCAB, -1);
    for (int i = 0; i < 3; i++)
        cr_expect(sample_once(&alone, x + i * VOCAB, VOCAB, slots[i]) == get_int(&b, b.t.last, slots[i]));
    for (int i = 0; i < 3; i++) {
        struct sampled together = newest(&b, slots[i]), by_itself = newest(&alone, slots[i]);
        cr_expect(memcmp(&together, &by_itself, sizeof together) == 0, "slot %d", slots[i]);
    }
    backend_close(b.be);
    backend_close(alone.be);
}
