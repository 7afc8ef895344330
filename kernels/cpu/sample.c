/* Picking the next token of each task. All numbers of a row come from that row alone. */
#include "kernels/box_automaton.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"
#include "kernels/random.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Below this temperature a draw would overflow and always be the maximum anyway (spec 7.1). */
static const float GREEDY_BELOW = 0.01f;

struct sample_job {
    struct cpu *cpu;
    const struct act *logits;
    const struct step *step;
    struct tasks *tasks;
    int vocab, suppress;
};

/* Which ids may be sampled: not the suppressed one, and those of the classes in the mask where there are classes. */
struct choice {
    int suppress;
    const int32_t *classes;
    uint32_t mask;
};

static bool may_follow(const struct choice *c, int id)
{
    return id != c->suppress && (!c->classes || (c->mask >> c->classes[id] & 1));
}

static struct box_state *box_of(const struct tasks *t, int slot)
{
    if (!t->boxes || !array_i32(t->boxes)[slot])
        return NULL;
    return (struct box_state *)(void *)(array_i32(t->box_state) + (ptrdiff_t)slot * BOX_STATE_WORDS);
}

/* Before count becomes one more. */
static struct choice choice_of(const struct sample_job *j, int slot)
{
    const struct box_state *box = box_of(j->tasks, slot);
    struct choice c = {.suppress = j->suppress};
    if (box) {
        c.classes = array_i32(j->tasks->box_class);
        c.mask = box_allowed(box, array_i32(j->tasks->max_tokens)[slot] - array_i32(j->tasks->count)[slot] - 1);
    }
    return c;
}

/* Largest logit that may be sampled, the first of equals, and the runner-up's value. */
struct best {
    int id;
    float first, second;
};

static struct best find_best(const float *x, int vocab, const struct choice *c)
{
    struct best b = {.first = -INFINITY, .second = -INFINITY};
    while (b.id < vocab - 1 && !may_follow(c, b.id))
        b.id++;
    for (int i = b.id; i < vocab; i++) {
        if (!(x[i] > b.second) || !may_follow(c, i))
            continue;
        if (x[i] > b.first) {
            b.second = b.first;
            b.first = x[i];
            b.id = i;
        } else {
            b.second = x[i];
        }
    }
    return b;
}

/* Walks ids upwards until their weights pass u of the total. */
static int draw_all(const float *weight, int vocab, float u)
{
    double total = 0, at = 0;
    int last = 0;
    for (int i = 0; i < vocab; i++)
        total += (double)weight[i];
    for (int i = 0; i < vocab; i++) {
        if (weight[i] > 0) {
            last = i;
            at += (double)weight[i];
            if (at > (double)u * total)
                return i;
        }
    }
    return last;
}

/* Whether id a goes before b: heavier, or of equal weight and lower. */
static bool before(const float *weight, int a, int b)
{
    return weight[a] > weight[b] || (weight[a] == weight[b] && a < b);
}

static void sift(int32_t *heap, int n, int at, const float *weight)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(weight, heap[child + 1], heap[child]))
            child++;
        if (!before(weight, heap[child], heap[at]))
            return;
        int32_t t = heap[at];
        heap[at] = heap[child];
        heap[child] = t;
    }
}

/* Takes the heaviest ids until they hold top_p of the total, and draws among them in that order. The heap leaves them
 * sorted at its end, so the second walk is a plain one. */
static int draw_top(const float *weight, int vocab, float top_p, float u, int32_t *heap)
{
    double total = 0, kept = 0, at = 0;
    int n = vocab;
    for (int i = 0; i < vocab; i++) {
        heap[i] = i;
        total += (double)weight[i];
    }
    for (int i = vocab / 2 - 1; i >= 0; i--)
        sift(heap, vocab, i, weight);
    while (n > 0 && kept < (double)top_p * total) {
        int32_t top = heap[0];
        kept += (double)weight[top];
        heap[0] = heap[--n];
        heap[n] = top;
        sift(heap, n, 0, weight);
    }
    for (int i = vocab - 1; i >= n; i--) {
        at += (double)weight[heap[i]];
        if (at > (double)u * kept)
            return heap[i];
    }
    return heap[n < vocab ? n : 0];
}

static int pick(const struct sample_job *j, int thread, const float *x, const struct choice *c, const struct best *best,
                int slot)
{
    const struct tasks *t = j->tasks;
    float temperature = array_f32(t->temperature)[slot], top_p = array_f32(t->top_p)[slot];
    if (!(temperature >= GREEDY_BELOW))
        return best->id;
    const int32_t *seed = array_i32(t->seed) + 2 * slot;
    uint64_t bits = (uint64_t)(uint32_t)seed[0] | (uint64_t)(uint32_t)seed[1] << 32;
    float u = random_uniform(bits, (uint64_t)array_i32(t->count)[slot]);
    float *weight = j->cpu->scratch[thread].wide;
    j->cpu->simd->exp_row(weight, x, j->vocab, best->first, 1.0f / temperature);
    if (c->suppress >= 0)
        weight[c->suppress] = 0;
    for (int i = 0; c->classes && i < j->vocab; i++)
        weight[i] = may_follow(c, i) ? weight[i] : 0;
    if (top_p >= 1.0f)
        return draw_all(weight, j->vocab, u);
    return draw_top(weight, j->vocab, top_p, u, (int32_t *)(void *)(weight + j->cpu->max_cols));
}

/* Whether the last tokens are r equal cycles of p tokens within the limits of kernels/backend.h. */
static bool repeats(const int32_t *tokens, int count)
{
    for (int p = 1; p <= REPETITION_MAX_CYCLE; p++) {
        int cycles = (REPETITION_MIN_TOKENS + p - 1) / p;
        int span = p * (cycles > REPETITION_MIN_CYCLES ? cycles : REPETITION_MIN_CYCLES);
        int same = p;
        while (same < span && span <= count && tokens[count - 1 - same] == tokens[count - 1 - same + p])
            same++;
        if (same == span)
            return true;
    }
    return false;
}

/* count: tokens with the newest one, which is `s`. */
static enum finish finish_of(const struct tasks *t, int slot, const struct sampled *s, const int32_t *tokens, int count)
{
    const struct box_state *box = box_of(t, slot);
    if (!isfinite(s->top) || !isfinite(s->logprob))
        return FINISH_NON_FINITE;
    const int32_t *stop = array_i32(t->stop_ids) + slot * MAX_STOP_IDS;
    for (int i = 0; i < MAX_STOP_IDS; i++)
        if (stop[i] >= 0 && stop[i] == s->token)
            return FINISH_STOP;
    if (array_i32(t->repetition)[slot] && !(box && box->place) && repeats(tokens, count))
        return FINISH_REPETITION;
    return count >= array_i32(t->max_tokens)[slot] || count >= t->history ? FINISH_LENGTH : FINISH_NONE;
}

static void sample_row(const struct sample_job *j, int thread, int row)
{
    const struct tasks *t = j->tasks;
    const float *x = act_row(j->logits, row);
    int slot = array_i32(j->step->sample_slot)[row];
    assert(slot >= 0 && slot < t->n_slots);
    int32_t *count = array_i32(t->count) + slot;
    if (array_i32(t->finish)[slot] != FINISH_NONE)
        return;
    assert(*count >= 0 && *count < t->history);
    struct choice choice = choice_of(j, slot);
    struct best best = find_best(x, j->vocab, &choice);
    int token = pick(j, thread, x, &choice, &best, slot);
    /* The model's own distribution: the suppressed token counts in it, though it is never picked. */
    float max = j->cpu->simd->max_row(x, j->vocab);
    double log_sum = log(j->cpu->simd->exp_sum(x, j->vocab, max, 1.0f));
    int32_t *tokens = array_i32(t->tokens) + (ptrdiff_t)slot * t->history;
    struct sampled s = {.token = token,
                        .logprob = (float)((double)x[token] - (double)max - log_sum),
                        .margin = best.first - best.second,
                        .top = best.first};
    tokens[*count] = token;
    array_i32(t->last)[slot] = token;
    *count += 1;
    if (choice.classes)
        *box_of(t, slot) = box_next(*box_of(t, slot), choice.classes[token]);
    s.finish = finish_of(t, slot, &s, tokens, *count);
    array_i32(t->finish)[slot] = s.finish;
    memcpy(array_i32(t->newest) + (ptrdiff_t)slot * SAMPLED_WORDS, &s, sizeof s);
}

static void sample_rows(void *ctx, int thread)
{
    const struct sample_job *j = ctx;
    struct part p = pool_part(j->step->n_sampled, thread, j->cpu->threads);
    for (int row = p.begin; row < p.end; row++)
        sample_row(j, thread, row);
}

void cpu_sample(struct backend *be, const struct act *logits, const struct step *step, struct tasks *tasks, int vocab,
                int suppress)
{
    struct sample_job j = {cpu_of(be), logits, step, tasks, vocab, suppress};
    cpu_run(j.cpu, (int64_t)step->n_sampled * vocab, sample_rows, &j);
}
