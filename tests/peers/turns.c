/* Our side of tests/peers/run.py: one layer stack of 7B, and a turn for each line on stdin. `turns DTYPE LAYERS [tiny]`
 * says "ready" once it has loaded, then answers each of
 *     prefill         an image's positions
 *     decode N        the next token of N answers behind it
 *     regions N       8 regions: the image once, their questions, N tokens of each answer together
 *     single N        one region alone: image, question, N tokens
 * with the processor's seconds a thread, or those on the wall where nobody else wanted the processor (bench.h). */
#include "tests/bench/stack.h"

enum { REGIONS = 8 };

/* `tokens` steps of n answers whose own segments grow from the question on. */
static double answer(struct stack *m, int layers, int n, int tokens)
{
    double seconds = 0;
    int most = STACK_OWN - STACK_QUESTION;
    for (int i = 0; i < tokens; i++) {
        int at = STACK_QUESTION + i % most;
        seconds += stack_turn(m, layers, n, at, at + 1);
    }
    return seconds;
}

static double turn(struct stack *m, int layers, const char *what, int n)
{
    if (strcmp(what, "prefill") == 0)
        return stack_prefill(m, layers);
    if (strcmp(what, "decode") == 0)
        return stack_decode(m, layers, n);
    int together = strcmp(what, "regions") == 0 ? REGIONS : 1;
    return stack_prefill(m, layers) + stack_turn(m, layers, together, 0, STACK_QUESTION) +
           answer(m, layers, together, n);
}

int main(int argc, char **argv)
{
    static const struct stack_size size_7b = {"", 4096, 32, 11008, STACK_PREFIX}, size_tiny = {"", 256, 4, 640, 96};
    static struct stack m;
    enum dtype dtype;
    char what[16];
    CHECK(argc > 2 && dtype_parse(argv[1], &dtype, NULL) == ST_OK);
    int layers = (int)strtol(argv[2], NULL, 10), n = 0;
    CHECK(layers > 0 && layers <= STACK_LAYERS);
    float *noise = stack_noise();
    stack_open(&m, argc > 3 ? &size_tiny : &size_7b, dtype, noise);
    printf("ready\n");
    fflush(stdout);
    for (char line[64]; fgets(line, sizeof line, stdin);) {
        n = 0;
        CHECK(sscanf(line, "%15s %d", what, &n) >= 1);
        CHECK(n >= 0 && (strcmp(what, "decode") != 0 || (n > 0 && n <= STACK_BATCH)));
        printf("%.6f\n", turn(&m, layers, what, n));
        fflush(stdout);
    }
    stack_close(&m);
    free(noise);
    return 0;
}
