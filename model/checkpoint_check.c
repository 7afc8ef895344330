#include "model/checkpoint_check.h"

#include <string.h>

#include "model/tensor_list.h"
#include "model/tensor_table.h"

struct check {
    const struct checkpoint *c, *tower;
    struct diag *why;
    enum status status;
};

static bool need(void *ctx, const struct expected_tensor *e)
{
    struct check *k = ctx;
    const struct checkpoint *c = e->part == PART_TOWER ? k->tower : k->c;
    const struct tensor *t;
    if (!e->is_optional || checkpoint_find(c, e->name))
        k->status = checkpoint_need(c, e->name, e->dims, e->n_dims, &t, k->why);
    return k->status == ST_OK;
}

/* A scale is known where what it belongs to is quantised. */
static bool is_scale(const struct checkpoint *c, const char *name)
{
    char owner[128];
    size_t n = strlen(name), tail = strlen(".scale");
    if (n <= tail || n - tail >= sizeof owner || strcmp(name + n - tail, ".scale") != 0)
        return false;
    memcpy(owner, name, n - tail);
    owner[n - tail] = '\0';
    const struct tensor *t = checkpoint_find(c, owner);
    return t && t->type == TENSOR_I8;
}

enum folder { FOLDER_MODEL, FOLDER_BASE, FOLDER_TOWER };

/* A base is a plain language model: what a delta brings whole is none of its business. */
static bool belongs(enum folder folder, const struct expected_tensor *e)
{
    return folder == FOLDER_TOWER  ? e->part == PART_TOWER
           : folder == FOLDER_BASE ? e->part == PART_DECODER
                                   : e->part != PART_TOWER;
}

static enum status refuse_unknown(const struct checkpoint *c, enum folder folder, const struct config *cfg,
                                  struct diag *why)
{
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const struct tensor *t = checkpoint_at(c, i);
        struct expected_tensor e;
        bool is_known = tensor_table_find(cfg, t->name, &e) && belongs(folder, &e);
        if (is_known || checkpoint_ignores(t->name) || is_scale(c, t->name))
            continue;
        char shape[TENSOR_SHAPE_TEXT];
        return diag_set(why, ST_FORMAT, "%s: %.150s %s: expected no such tensor, %s", t->file, t->name,
                        tensor_shape_text(t->dims, t->n_dims, shape),
                        folder == FOLDER_BASE ? "a delta's base is a language model without modules of Ferret"
                                              : "it belongs to no known module");
    }
    return ST_OK;
}

enum status checkpoint_check(const struct checkpoint *c, const struct checkpoint *tower, const struct config *cfg,
                             struct diag *why)
{
    struct check k = {c, tower, why, ST_OK};
    tensor_table_each(cfg, need, &k);
    if (k.status == ST_OK)
        k.status = refuse_unknown(c, FOLDER_MODEL, cfg, why);
    if (k.status == ST_OK && checkpoint_base(c))
        k.status = refuse_unknown(checkpoint_base(c), FOLDER_BASE, cfg, why);
    return k.status == ST_OK ? refuse_unknown(tower, FOLDER_TOWER, cfg, why) : k.status;
}
