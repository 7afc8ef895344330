/* The pool under load, for the thread sanitizer: a decoder step on 1 and on 5 threads, over and over, idle gaps long
 * enough for workers to fall asleep included. The numbers must be the same bit by bit. */
#include "kernels/backend.h"
#include "kernels/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 9, HEADS = 3, D = 16, C = HEADS * D, F = 80, VOCAB = 130, ROUNDS = 60, THREADS = 5 };

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if (!(call)) {                                                                                                 \
            fprintf(stderr, "threads: %s failed\n", #call);                                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static enum status read_rows(void *ctx, int row, int n, float *out, struct diag *why)
{
    int cols = *(int *)ctx;
    (void)why;
    for (int i = 0; i < n * cols; i++)
        out[i] = random_uniform(7, (uint64_t)(row * cols + i)) - 0.5f;
    return ST_OK;
}

static struct weight *weight(struct backend *be, enum weight_use use, int rows, int cols)
{
    struct weight_source src = {rows, cols, read_rows, &cols};
    struct weight *w = NULL;
    CHECK(backend_weight(be, use, &src, &w, NULL) == ST_OK);
    return w;
}

static struct act *act(struct backend *be, int cols)
{
    struct act *a = NULL;
    CHECK(backend_act(be, ROWS, cols, &a, NULL) == ST_OK);
    return a;
}

static struct array *ints(struct backend *be, int first, int step)
{
    int32_t values[ROWS];
    struct array *a = NULL;
    for (int i = 0; i < ROWS; i++)
        values[i] = first + step * i;
    CHECK(backend_array(be, ARRAY_I32, ROWS, &a, NULL) == ST_OK && array_write(be, a, 0, ROWS, values, NULL) == ST_OK);
    return a;
}

struct layer {
    struct backend *be;
    struct weight *norm, *qkv_weight, *glu_weight, *down, *head, *inv_freq;
    struct act *x, *h, *qkv, *mixed, *wide, *logits;
    struct step step;
    struct span span;
};

static void layer_open(struct layer *l, enum dtype dtype, int threads)
{
    struct backend_options o = {.device = "cpu", .dtype = dtype, .memory_bytes = 64 << 20, .threads = threads};
    struct kv_shape kv = {.layers = 1, .heads = HEADS, .head_dim = D, .n_pages = 4};
    CHECK(backend_open(&o, &l->be, NULL) == ST_OK && backend_kv(l->be, &kv, NULL) == ST_OK);
    l->norm = weight(l->be, WEIGHT_VECTOR, 1, C);
    l->qkv_weight = weight(l->be, WEIGHT_LINEAR, 3 * C, C);
    l->glu_weight = weight(l->be, WEIGHT_GLU, 2 * F, C);
    l->down = weight(l->be, WEIGHT_LINEAR, C, F);
    l->head = weight(l->be, WEIGHT_LINEAR, VOCAB, C);
    l->inv_freq = weight(l->be, WEIGHT_VECTOR, 1, D / 2);
    l->x = act(l->be, C);
    l->h = act(l->be, C);
    l->qkv = act(l->be, 3 * C);
    l->mixed = act(l->be, C);
    l->wide = act(l->be, F);
    l->logits = act(l->be, VOCAB);
    l->span = (struct span){.n = ROWS, .length = ROWS};
    l->step = (struct step){.n_rows = ROWS,
                            .position = ints(l->be, 0, 1),
                            .kv_page = ints(l->be, 0, 0),
                            .kv_at = ints(l->be, 0, 1),
                            .n_spans = 1,
                            .spans = &l->span,
                            .pages = ints(l->be, 0, 0)};
}

static void layer_run(struct layer *l, const float *x, float *logits)
{
    CHECK(act_write(l->be, l->x, 0, ROWS, x, NULL) == ST_OK);
    op_norm(l->be, l->h, l->x, ROWS, NORM_RMS, l->norm, NULL, 1e-6f, false);
    op_linear(l->be, l->qkv, 0, l->h, ROWS, l->qkv_weight, NULL, EPI_NONE);
    op_rope_append(l->be, l->qkv, &l->step, 0, l->inv_freq);
    op_attention(l->be, l->mixed, l->qkv, &l->step, 0);
    op_glu(l->be, l->wide, l->mixed, ROWS, l->glu_weight);
    op_linear(l->be, l->x, 0, l->wide, ROWS, l->down, NULL, EPI_ADD);
    op_linear(l->be, l->logits, 0, l->x, ROWS, l->head, NULL, EPI_NONE);
    CHECK(act_read(l->be, l->logits, 0, ROWS, logits, NULL) == ST_OK);
}

int main(void)
{
    static float x[ROWS * C], one[ROWS * VOCAB], many[ROWS * VOCAB];
    for (int dtype = DTYPE_F32; dtype <= DTYPE_INT8; dtype++) {
        struct layer a = {0}, b = {0};
        if (dtype == DTYPE_F16)
            continue;
        layer_open(&a, (enum dtype)dtype, 1);
        layer_open(&b, (enum dtype)dtype, THREADS);
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < ROWS * C; i++)
                x[i] = random_uniform((uint64_t)round, (uint64_t)i) - 0.5f;
            layer_run(&a, x, one);
            layer_run(&b, x, many);
            CHECK(memcmp(one, many, sizeof one) == 0);
            if (round % 20 == 0)
                usleep(5000);
        }
        backend_close(a.be);
        backend_close(b.be);
    }
    return 0;
}
