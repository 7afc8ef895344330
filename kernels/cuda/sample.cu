/* Picking the next token: a block a sampled row, every sum in an order that only the vocabulary's size decides. Top-p
 * needs no sort: the weight at which a sum of the heaviest passes a limit is found by bisection over the bits of a
 * float. */
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/value.cuh"

namespace
{

/* Below this temperature a draw would overflow and always be the maximum anyway (spec 7.1). */
const float GREEDY_BELOW = 0.01f;

/* Which ids may be sampled: not the suppressed one, and those of the classes in the mask where there are classes. */
struct choice {
    int suppress;
    const int32_t *classes;
    uint32_t mask;

    __device__ bool holds(int id) const
    {
        return id != suppress && (!classes || (mask >> classes[id] & 1));
    }
};

/* Before count becomes one more. */
__device__ choice choice_of(const tasks_view &t, int slot, int suppress)
{
    choice c = {suppress, nullptr, 0};
    if (t.boxes && t.boxes[slot]) {
        c.classes = t.box_class;
        c.mask = box_allowed(t.box_state + slot, t.max_tokens[slot] - t.count[slot] - 1);
    }
    return c;
}

/* Largest logit that may be sampled, the first of equals, and the runner-up's value. */
struct best {
    float first, second;
    int id;
};

__device__ best merged(best a, best b)
{
    bool a_wins = a.first > b.first || (a.first == b.first && a.id < b.id);
    best w = a_wins ? a : b, l = a_wins ? b : a;
    w.second = w.second > l.first ? w.second : l.first;
    return w;
}

__device__ best find_best(const float *x, int vocab, const choice &c)
{
    __shared__ best parts[BLOCK / 32];
    best b = {-INFINITY, -INFINITY, 0x7FFFFFFF};
    for (int i = threadIdx.x; i < vocab; i += BLOCK)
        if (c.holds(i))
            b = merged(b, {x[i], -INFINITY, i});
    for (int o = 16; o; o >>= 1) {
        best other;
        other.first = __shfl_xor_sync(ALL_LANES, b.first, o);
        other.second = __shfl_xor_sync(ALL_LANES, b.second, o);
        other.id = __shfl_xor_sync(ALL_LANES, b.id, o);
        b = merged(b, other);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = b;
    __syncthreads();
    b = parts[0];
    for (int w = 1; w < BLOCK / 32; w++)
        b = merged(b, parts[w]);
    return b;
}

__device__ float largest(const float *x, int vocab)
{
    float most = -INFINITY;
    for (int i = threadIdx.x; i < vocab; i += BLOCK)
        most = x[i] > most ? x[i] : most;
    return block_reduce<BLOCK>(most, -INFINITY, larger());
}

/* The ids of thread t: a run of its own, so that walking threads in order walks ids in order. */
struct run {
    int begin, end;
};
__device__ run my_run(int vocab)
{
    int each = (vocab + BLOCK - 1) / BLOCK, begin = threadIdx.x * each;
    return {begin < vocab ? begin : vocab, begin + each < vocab ? begin + each : vocab};
}

/* The first id, upwards, at which the running sum of f(id) passes `limit`, or the last one that adds to it. Every
 * thread gets it. */
template <class F> __device__ int walk(int vocab, double limit, F f)
{
    __shared__ double before[BLOCK + 1];
    __shared__ int found, last;
    run r = my_run(vocab);
    double sum = 0;
    for (int i = r.begin; i < r.end; i++)
        sum += f(i);
    __syncthreads();
    before[threadIdx.x + 1] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        before[0] = 0;
        found = vocab;
        last = 0;
        for (int t = 1; t <= BLOCK; t++)
            before[t] += before[t - 1];
    }
    __syncthreads();
    sum = before[threadIdx.x];
    for (int i = r.begin; i < r.end; i++) {
        double w = f(i);
        sum += w;
        if (w > 0)
            atomicMax(&last, i);
        if (w > 0 && sum > limit) {
            atomicMin(&found, i);
            break;
        }
    }
    __syncthreads();
    int id = found < vocab ? found : last;
    __syncthreads();
    return id;
}

__device__ double sum_above(const float *weight, int vocab, float least, bool equal_too)
{
    double sum = 0;
    for (int i = threadIdx.x; i < vocab; i += BLOCK)
        if (weight[i] > least || (equal_too && weight[i] == least))
            sum += weight[i];
    return block_reduce<BLOCK>(sum, 0.0, add());
}

/* The largest weight t such that those >= t sum to at least (or to more than) the limit: that of the id which, heaviest
 * first, passes it. Bits of floats in [0, 1] are ordered like the floats. */
__device__ float weight_at(const float *weight, int vocab, double limit, bool more)
{
    int low = 0, high = __float_as_int(1.0f) + 1;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        double sum = sum_above(weight, vocab, __int_as_float(middle), true);
        if (more ? sum > limit : sum >= limit)
            low = middle;
        else
            high = middle;
    }
    return __int_as_float(low);
}

/* The heaviest ids that hold top_p of the total, equals by number; then a draw among them, heaviest first. */
__device__ int draw_top(const float *weight, int vocab, float top_p, float u)
{
    double total = sum_above(weight, vocab, -1.0f, false), limit = static_cast<double>(top_p) * total;
    float edge = weight_at(weight, vocab, limit, false);
    double heavier = sum_above(weight, vocab, edge, false), kept = heavier;
    while (kept < limit && edge > 0)
        kept += static_cast<double>(edge);
    double target = static_cast<double>(u) * kept;
    float drawn = weight_at(weight, vocab, target, true);
    double above = sum_above(weight, vocab, drawn, false);
    return walk(vocab, target - above, [=](int i) { return weight[i] == drawn ? static_cast<double>(drawn) : 0.0; });
}

__device__ int pick(const float *x, float *weight, const tasks_view &t, int vocab, const choice &c, const best &b,
                    int slot)
{
    float temperature = t.temperature[slot], top_p = t.top_p[slot];
    if (!(temperature >= GREEDY_BELOW))
        return b.id;
    uint64_t seed = static_cast<uint32_t>(t.seed[2 * slot]) |
                    static_cast<uint64_t>(static_cast<uint32_t>(t.seed[2 * slot + 1])) << 32;
    float u = uniform(seed, static_cast<uint64_t>(t.count[slot])), factor = 1.0f / temperature;
    for (int i = threadIdx.x; i < vocab; i += BLOCK)
        weight[i] = !c.holds(i) ? 0.0f : expf((x[i] - b.first) * factor);
    __syncthreads();
    if (top_p < 1.0f)
        return draw_top(weight, vocab, top_p, u);
    double total = sum_above(weight, vocab, -1.0f, false);
    return walk(vocab, static_cast<double>(u) * total, [=](int i) { return static_cast<double>(weight[i]); });
}

/* Whether the last tokens are equal cycles of p tokens within the limits of kernels/backend.h; thread p - 1 tries p. */
__device__ bool repeats(const int32_t *tokens, int count)
{
    int p = static_cast<int>(threadIdx.x) + 1, same = p;
    if (p > REPETITION_MAX_CYCLE)
        return false;
    int cycles = (REPETITION_MIN_TOKENS + p - 1) / p;
    int span = p * (cycles > REPETITION_MIN_CYCLES ? cycles : REPETITION_MIN_CYCLES);
    while (same < span && span <= count && tokens[count - 1 - same] == tokens[count - 1 - same + p])
        same++;
    return same == span;
}

/* count: tokens with the newest one, which is `s`. */
__device__ int finish_of(const tasks_view &t, int slot, const struct sampled &s, int count, bool repeated, bool in_box)
{
    if (s.top - s.top != 0 || s.logprob - s.logprob != 0) /* NaN or infinite */
        return FINISH_NON_FINITE;
    for (int i = 0; i < MAX_STOP_IDS; i++) {
        int stop = t.stop_ids[slot * MAX_STOP_IDS + i];
        if (stop >= 0 && stop == s.token)
            return FINISH_STOP;
    }
    if (t.repetition[slot] && repeated && !in_box)
        return FINISH_REPETITION;
    return count >= t.max_tokens[slot] || count >= t.history ? FINISH_LENGTH : FINISH_NONE;
}

__global__ void __launch_bounds__(BLOCK)
    sample_rows(const float *logits, int stride, float *weights, const int32_t *sample_slot, int first,
                const step_counts *counts, tasks_view t, int vocab, int suppress)
{
    int row = first + blockIdx.x;
    if (row >= counts->sampled)
        return;
    int slot = sample_slot[row];
    if (t.finish[slot] != FINISH_NONE)
        return;
    const float *x = logits + static_cast<size_t>(row) * stride;
    int count = t.count[slot];
    size_t at = static_cast<size_t>(slot) * t.history;
    choice c = choice_of(t, slot, suppress);
    best b = find_best(x, vocab, c);
    int token = pick(x, weights + static_cast<size_t>(blockIdx.x) * vocab, t, vocab, c, b, slot);
    /* The model's own distribution: what may not be picked counts in it. */
    float max = suppress >= 0 && x[suppress] > b.first ? x[suppress] : b.first;
    if (c.classes)
        max = largest(x, vocab);
    double sum = 0;
    for (int i = threadIdx.x; i < vocab; i += BLOCK)
        sum += static_cast<double>(expf(x[i] - max));
    sum = block_reduce<BLOCK>(sum, 0.0, add());
    if (threadIdx.x == 0)
        t.tokens[at + count] = token;
    __syncthreads(); /* the new token is there for all */
    int repeated = __syncthreads_or(repeats(t.tokens + at, count + 1));
    if (threadIdx.x == 0) {
        struct box_state box = {};
        if (c.classes)
            t.box_state[slot] = box = box_next(t.box_state[slot], c.classes[token]);
        struct sampled s = {token, FINISH_NONE,
                            static_cast<float>(static_cast<double>(x[token]) - static_cast<double>(max) - log(sum)),
                            b.first - b.second, b.first};
        s.finish = finish_of(t, slot, s, count + 1, repeated != 0, box.place != 0);
        t.last[slot] = token;
        t.count[slot] = count + 1;
        t.finish[slot] = s.finish;
        t.newest[slot] = s;
    }
}

} // namespace

void cuda_sample(cudaStream_t s, const float *logits, int stride, float *weights, const int32_t *sample_slot, int first,
                 int n, const step_counts *counts, const tasks_view &tasks, int vocab, int suppress)
{
    if (n > 0)
        LAUNCH(sample_rows, n, BLOCK, 0, s, logits, stride, weights, sample_slot, first, counts, tasks, vocab,
               suppress);
}
