#include "tests/kernels/twin.cuh"

#include <cmath>
#include <cstring>

namespace
{

enum { SLOTS = 6, HISTORY = 40 };

/* How a case's tasks are set; every slot has a seed of its own. */
struct setting {
    const char *name;
    float temperature, top_p;
    int max_tokens, repetition;
    int32_t stop;
    float spoilt; /* what one logit of one slot's rows is, 0: nothing out of the way */
    int boxes;    /* 1: those of all slots but one are kept well-formed */
};

struct state {
    std::vector<int32_t> last, count, max_tokens, finish, seed, stop_ids, repetition, tokens;
    std::vector<float> temperature, top_p;
    std::vector<int32_t> boxes, box_state, box_class;

    state(const setting &s, int vocab)
        : last(SLOTS), count(SLOTS), max_tokens(SLOTS, s.max_tokens), finish(SLOTS), seed(2 * SLOTS),
          stop_ids(SLOTS * MAX_STOP_IDS, -1), repetition(SLOTS, s.repetition), tokens(SLOTS * HISTORY, -1),
          temperature(SLOTS, s.temperature), top_p(SLOTS, s.top_p), boxes(SLOTS, s.boxes),
          box_state(SLOTS * BOX_STATE_WORDS), box_class(static_cast<size_t>(vocab))
    {
        boxes[5] = 0;
        /* More than one token of each class, brackets often. */
        for (size_t i = 0; i < box_class.size(); i++)
            box_class[i] = static_cast<int32_t>(i * 5 % (BOX_CLASSES + 4)) % BOX_CLASSES;
        for (size_t i = 0; i < seed.size(); i++)
            seed[i] = static_cast<int32_t>(i * 2654435761u);
        for (size_t i = 0; i < SLOTS; i++)
            stop_ids[i * MAX_STOP_IDS + 1] = s.stop;
        finish[3] = FINISH_LENGTH; /* one that is over keeps its state */
    }
};

tasks_view on_device(twin &t, const state &s)
{
    tasks_view v = {};
    v.history = HISTORY;
    v.last = t.send(s.last);
    v.count = t.send(s.count);
    v.finish = t.send(s.finish);
    v.tokens = t.send(s.tokens);
    v.max_tokens = t.send(s.max_tokens);
    v.seed = t.send(s.seed);
    v.stop_ids = t.send(s.stop_ids);
    v.repetition = t.send(s.repetition);
    v.temperature = t.send(s.temperature);
    v.top_p = t.send(s.top_p);
    v.newest = t.send(std::vector<struct sampled>(SLOTS));
    v.boxes = t.send(s.boxes);
    v.box_state = reinterpret_cast<struct box_state *>(t.send(s.box_state));
    v.box_class = t.send(s.box_class);
    return v;
}

struct tasks on_cpu(twin &t, const state &s)
{
    struct tasks k = {};
    k.n_slots = SLOTS;
    k.history = HISTORY;
    k.last = t.ints(s.last);
    k.count = t.ints(s.count);
    k.max_tokens = t.ints(s.max_tokens);
    k.finish = t.ints(s.finish);
    k.temperature = t.floats(s.temperature);
    k.top_p = t.floats(s.top_p);
    k.seed = t.ints(s.seed);
    k.stop_ids = t.ints(s.stop_ids);
    k.repetition = t.ints(s.repetition);
    k.tokens = t.ints(s.tokens);
    k.boxes = t.ints(s.boxes);
    k.box_state = t.ints(s.box_state);
    k.box_class = t.ints(s.box_class);
    k.newest = t.ints(std::vector<int32_t>(SLOTS * SAMPLED_WORDS));
    return k;
}

/* What the newest tokens came to. */
void compare_newest(twin &t, const struct sampled *device, const struct tasks &cpu)
{
    std::vector<struct sampled> got = t.fetch(device, SLOTS), want(SLOTS);
    std::vector<int32_t> words = t.ints_of(cpu.newest, SLOTS * SAMPLED_WORDS);
    memcpy(want.data(), words.data(), SLOTS * sizeof want[0]);
    std::vector<float> logprobs[2];
    for (size_t i = 0; i < SLOTS; i++) {
        if (got[i].token != want[i].token || got[i].finish != want[i].finish ||
            memcmp(&got[i].margin, &want[i].margin, sizeof(float)) != 0 ||
            memcmp(&got[i].top, &want[i].top, sizeof(float)) != 0)
            t.fail("newest tokens");
        logprobs[0].push_back(got[i].logprob);
        logprobs[1].push_back(want[i].logprob);
    }
    t.close(logprobs[0], logprobs[1], 1e-6, "log-probabilities");
}

/* Many steps of all slots but one, in an order of their own. Every third step repeats the one before, ties included. */
void check(twin &t, const setting &set, int vocab, int suppress, int steps)
{
    state s(set, vocab);
    tasks_view device = on_device(t, s);
    struct tasks cpu = on_cpu(t, s);
    const std::vector<int32_t> slots = {4, 0, 3, 1, 5};
    int n = static_cast<int>(slots.size());
    const int32_t *slot = t.send(slots);
    float *weights = t.room<float>(static_cast<size_t>(n * vocab));
    const step_counts *counts = t.send(std::vector<step_counts>{{n, n, {}}});
    struct step step = {};
    step.n_rows = step.n_sampled = n;
    step.sample_slot = t.ints(slots);
    for (int i = 0; i < steps; i++) {
        std::vector<float> logits =
            numbers(static_cast<uint64_t>(set.repetition ? i % 3 : i / 3 * 3), static_cast<size_t>(n * vocab));
        for (float &x : logits)
            x = rintf(x * 40) / 8; /* equal logits are common */
        if (set.spoilt != 0)
            logits[static_cast<size_t>(vocab) + 3] = set.spoilt;
        /* Two rows are there for padding only, and the first of all is asked for by itself. */
        logits.resize(static_cast<size_t>((n + 2) * vocab), NAN);
        const float *x = t.send(logits);
        logits.resize(static_cast<size_t>(n * vocab));
        cuda_sample(t.s, x, vocab, weights, slot, 0, 1, counts, device, vocab, suppress);
        cuda_sample(t.s, x, vocab, weights, slot, 1, n + 1, counts, device, vocab, suppress);
        op_sample(t.be, t.act(logits, vocab), &step, &cpu, vocab, suppress);
        compare_newest(t, device.newest, cpu);
    }
    t.same(t.fetch(device.tokens, s.tokens.size()), t.ints_of(cpu.tokens, s.tokens.size()), set.name);
    t.same(t.fetch(device.last, SLOTS), t.ints_of(cpu.last, SLOTS), "last tokens");
    t.same(t.fetch(device.count, SLOTS), t.ints_of(cpu.count, SLOTS), "counts");
    t.same(t.fetch(device.finish, SLOTS), t.ints_of(cpu.finish, SLOTS), "finishes");
    t.same(t.fetch(reinterpret_cast<const int32_t *>(device.box_state), s.box_state.size()),
           t.ints_of(cpu.box_state, s.box_state.size()), "places in boxes");
}

} // namespace

void test_sample(twin &t)
{
    if (t.dtype != DTYPE_F32) /* logits are f32 in every precision */
        return;
    static const setting settings[] = {{"greedy", 0, 1, 100, 0, -1, 0, 0},
                                       {"a length ends it", 0, 1, 5, 0, -1, 0, 0},
                                       {"a stop ends it", 0, 1, 100, 0, 7, 0, 0},
                                       {"a repetition ends it", 0, 1, 100, 1, -1, 0, 0},
                                       {"temperature", 0.7f, 1, 100, 0, -1, 0, 0},
                                       {"a high temperature", 3, 1, 100, 0, 2, 0, 0},
                                       {"top-p", 1, 0.8f, 100, 0, -1, 0, 0},
                                       {"a narrow top-p", 1.5f, 0.05f, 100, 0, -1, 0, 0},
                                       {"a wide top-p", 2, 0.999f, 100, 0, -1, 0, 0},
                                       {"top-p of nothing", 1, 0, 100, 0, -1, 0, 0},
                                       {"an infinite logit ends it", 0, 1, 100, 0, 3, INFINITY, 0},
                                       {"boxes", 0, 1, 30, 0, -1, 0, 1},
                                       {"boxes that are drawn", 1, 1, 100, 1, -1, 0, 1},
                                       {"boxes of a top-p", 1.5f, 0.7f, 100, 0, -1, 0, 1}};
    for (const setting &s : settings) {
        check(t, s, s.boxes ? 40 : 13, -1, 30);
        check(t, s, 700, 5, s.repetition || s.boxes ? 30 : 8);
    }
    check(t, settings[6], 2, 0, 4);
}
