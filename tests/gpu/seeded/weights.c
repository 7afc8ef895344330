/* Checkpoints without files, and the row readers over them: a tensor's numbers follow from its name. Matrices are made
 * where they stand (backend_weight_seeded) and keep the size of what passes through them; norms are about one. */
#include "kernels/random.h"
#include "model/checkpoint.h"
#include "model/checkpoint_check.h"
#include "model/weights_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 128 };

struct checkpoint {
    struct tensor last; /* what was asked for last */
    char name[NAME_BYTES];
};

static uint64_t seed_of(const char *name)
{
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return h;
}

/* Of uniform numbers whose sum over n products has about the size of one. */
static float spread_over(int64_t n)
{
    return sqrtf(3.0f / (float)n);
}

enum status checkpoint_open(const char *dir, const char *base_dir, struct checkpoint **out, struct diag *why)
{
    (void)base_dir;
    *out = calloc(1, sizeof **out);
    return *out ? ST_OK : diag_set(why, ST_NOMEM, "no memory for the checkpoint '%s'", dir);
}

void checkpoint_close(struct checkpoint *c)
{
    free(c);
}

size_t checkpoint_count(const struct checkpoint *c)
{
    (void)c;
    return 0;
}

const struct tensor *checkpoint_at(const struct checkpoint *c, size_t index)
{
    (void)index;
    return &c->last;
}

bool checkpoint_ignores(const char *name)
{
    (void)name;
    return false;
}

enum status checkpoint_check(const struct checkpoint *c, const struct checkpoint *tower, const struct config *cfg,
                             struct diag *why)
{
    (void)c, (void)tower, (void)cfg, (void)why;
    return ST_OK;
}

enum status checkpoint_hash(const struct checkpoint *c, const struct checkpoint *tower, char hex[65], struct diag *why)
{
    (void)c, (void)tower, (void)why;
    memset(hex, '0', 64);
    hex[64] = '\0';
    return ST_OK;
}

enum status checkpoint_need(const struct checkpoint *c, const char *name, const int64_t *dims, int n_dims,
                            const struct tensor **out, struct diag *why)
{
    (void)why;
    struct checkpoint *own = (struct checkpoint *)(uintptr_t)c;
    strncpy(own->name, name, NAME_BYTES - 1);
    own->last = (struct tensor){.name = own->name, .file = "a seed", .type = TENSOR_F32, .n_dims = n_dims};
    memcpy(own->last.dims, dims, (size_t)n_dims * sizeof *dims);
    *out = &own->last;
    return ST_OK;
}

static int64_t row_length(const struct tensor *t)
{
    int64_t n = 1;
    for (int d = 1; d < t->n_dims; d++)
        n *= t->dims[d];
    return n;
}

enum status checkpoint_rows(const struct checkpoint *c, const struct tensor *t, int64_t row, int64_t n, float *out,
                            struct diag *why)
{
    (void)c, (void)why;
    int64_t cols = row_length(t);
    uint64_t seed = seed_of(t->name);
    bool norm = strstr(t->name, "norm") && strstr(t->name, ".weight"), vector = t->n_dims == 1;
    float spread = vector ? 0.1f : spread_over(cols);
    for (int64_t i = 0; i < n * cols; i++)
        out[i] = random_spread(seed, (uint64_t)(row * cols + i), spread) + (norm ? 1.0f : 0.0f);
    return ST_OK;
}

void checkpoint_release(const struct checkpoint *c, const struct tensor *t)
{
    (void)c, (void)t;
}

enum status pack_stacked(struct backend *be, enum weight_use use, const struct checkpoint *c, const char *const *names,
                         int n, int rows, int cols, struct weight **out, struct diag *why)
{
    (void)c;
    float spread = use == WEIGHT_TABLE ? 1.0f : spread_over(cols);
    struct weight_seed seed = {.rows = n * rows, .cols = cols, .seed = seed_of(names[0]), .spread = spread};
    return backend_weight_seeded(be, use, &seed, out, why);
}

enum status pack_vectors(struct backend *be, const struct checkpoint *c, const char *const *names, int n, int len,
                         struct weight **out, struct diag *why)
{
    int64_t dims[1] = {(int64_t)n * len};
    float *values;
    enum status s = read_tensor(c, names[0], dims, 1, &values, why);
    if (s == ST_OK) {
        s = pack_values(be, WEIGHT_VECTOR, values, 1, n * len, out, why);
        free(values);
    }
    return s;
}

enum status read_tensor(const struct checkpoint *c, const char *name, const int64_t *dims, int n_dims, float **out,
                        struct diag *why)
{
    const struct tensor *t;
    enum status s = checkpoint_need(c, name, dims, n_dims, &t, why);
    if (s != ST_OK)
        return s;
    float *values = malloc((size_t)(dims[0] * row_length(t)) * sizeof *values);
    if (!values)
        return diag_set(why, ST_NOMEM, "no memory for %s", name);
    s = checkpoint_rows(c, t, 0, dims[0], values, why);
    *out = values;
    return s;
}
