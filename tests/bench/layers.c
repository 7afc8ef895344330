/* A decoder layer of the published sizes, as the difference of four and two: an image's positions at once, in GFLOP/s
 * of the linear layers (attention and all else inside the clock) against the machine's peak; the next token of one
 * answer at context 736, in GB/s of weights and cache against a loop that only reads them; that of 8 and 16 answers, in
 * GFLOP/s against the peak. Turns alternate with those of the baseline, the best of each counts. What all layers take
 * for an image and an answer of 100 tokens follows in seconds, alone and as one of 16. `layers FOLDER
 * [tiny]`: tiny only shows that it runs. */
#include "tests/bench/stack.h"

enum { ANSWER_TOKENS = 100, ROUNDS = 3, TOKENS_A_ROUND = 4, PEAKS_A_ROUND = 4, FEW = STACK_LAYERS / 2 };

struct best {
    double prefill[2], decode[STACK_BATCH + 1][2], reading, peak; /* seconds of FEW and of all layers; GFLOP/s */
};

static const int batches[] = {1, 8, 16};
enum { N_BATCHES = sizeof batches / sizeof *batches };

static void round_of_tokens(struct stack *m, struct best *b)
{
    for (int i = 0; i < N_BATCHES; i++) {
        double *times = b->decode[batches[i]];
        times[0] = less(times[0], stack_decode(m, FEW, batches[i]));
        times[1] = less(times[1], stack_decode(m, STACK_LAYERS, batches[i]));
        if (batches[i] == 1)
            b->reading = less(b->reading, stack_reading(m, FEW, STACK_LAYERS, 1));
    }
}

static struct best take_turns(struct stack *m)
{
    struct best b = {0};
    int threads = cpu_of(m->be)->threads;
    for (int round = 0; round < ROUNDS; round++) {
        b.prefill[0] = less(b.prefill[0], stack_prefill(m, FEW));
        b.prefill[1] = less(b.prefill[1], stack_prefill(m, STACK_LAYERS));
        for (int i = 0; i < PEAKS_A_ROUND; i++)
            b.peak = more(b.peak, peak_gflops(m->be->dtype, threads));
        for (int i = 0; i < TOKENS_A_ROUND; i++)
            round_of_tokens(m, &b);
    }
    return b;
}

/* Seconds. */
static double of_layer(const double times[2])
{
    return (times[1] - times[0]) / (STACK_LAYERS - FEW);
}

/* Units of work of a layer a second, in billions. */
static double rate(const double times[2], double work)
{
    return of_layer(times) > 0 ? work / of_layer(times) / 1e9 : 0;
}

static void write_one(const char *folder, const char *what, const char *type, const char *unit, double value,
                      double baseline)
{
    char name[64];
    snprintf(name, sizeof name, "cpu.%s_%s", what, type);
    measure_write(folder, &(struct measure){name, unit, value, baseline, 0});
}

/* Of an image: its positions, then its answer's tokens, each of which it shares with the others of its batch. */
static void write_seconds(const char *folder, const struct stack_size *z, enum dtype dtype, int layers,
                          const struct best *b)
{
    static const int beside[] = {1, STACK_BATCH};
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        char what[32];
        snprintf(what, sizeof what, "image%d%s%s", beside[i], *z->name ? "_" : "", z->name);
        double tokens = ANSWER_TOKENS * of_layer(b->decode[beside[i]]) / beside[i];
        write_one(folder, what, dtype_name(dtype), "s", layers * (of_layer(b->prefill) + tokens), 0);
    }
}

static void measure(const char *folder, const struct stack_size *z, enum dtype dtype, int layers, float *noise)
{
    struct stack m;
    stack_open(&m, z, dtype, noise);
    struct best b = take_turns(&m);
    double flop = 2 * stack_parameters(z), bytes = stack_bytes(&m, 1);
    char what[32];
    snprintf(what, sizeof what, "prefill%s", z->name);
    write_one(folder, what, dtype_name(dtype), "GFLOP/s", rate(b.prefill, flop * z->prefix), b.peak);
    for (int i = 0; i < N_BATCHES; i++) {
        int n = batches[i];
        snprintf(what, sizeof what, "decode%d%s", n, *z->name ? "_" : "");
        snprintf(what + strlen(what), sizeof what - strlen(what), "%s", z->name);
        if (n == 1)
            write_one(folder, what, dtype_name(dtype), "GB/s", rate(b.decode[n], bytes),
                      bytes * (STACK_LAYERS - FEW) / b.reading / 1e9);
        else
            write_one(folder, what, dtype_name(dtype), "GFLOP/s", rate(b.decode[n], flop * n), b.peak);
    }
    write_seconds(folder, z, dtype, layers, &b);
    stack_close(&m);
}

int main(int argc, char **argv)
{
    static const struct stack_size size_7b = {"", 4096, 32, 11008, STACK_PREFIX},
                                   size_13b = {"13b", 5120, 40, 13824, STACK_PREFIX}, size_tiny = {"", 256, 4, 640, 96};
    static const struct {
        const struct stack_size *size;
        enum dtype dtype;
        int layers;
    } cases[] = {
        {&size_7b, DTYPE_F32, 32}, {&size_7b, DTYPE_BF16, 32}, {&size_7b, DTYPE_INT8, 32}, {&size_13b, DTYPE_INT8, 40}};
    CHECK(argc > 1);
    bool tiny = argc > 2 && strcmp(argv[2], "tiny") == 0;
    const char *only = argc > 2 && !tiny ? argv[2] : NULL;
    if (!peak_runs()) {
        puts("layers: needs AVX2");
        return 0;
    }
    float *noise = stack_noise();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!only || strcmp(only, dtype_name(cases[i].dtype)) == 0)
            measure(argv[1], tiny ? &size_tiny : cases[i].size, cases[i].dtype, cases[i].layers, noise);
    free(noise);
    return 0;
}
