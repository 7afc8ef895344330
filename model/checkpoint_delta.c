#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "model/checkpoint_impl.h"

enum { MAX_CONFIG_BYTES = 16 << 20 };

static bool may_grow(const char *name)
{
    return strcmp(name, "model.embed_tokens.weight") == 0 || strcmp(name, "lm_head.weight") == 0;
}

/* config.json of the folder; one that is not there counts as empty. */
static enum status load_config(const struct checkpoint *c, char path[MAX_PATH_BYTES], struct json **out,
                               struct diag *why)
{
    enum status status = path_join(path, c->dir, "config.json", why);
    return status != ST_OK || access(path, F_OK) != 0 ? status : jsn_load(path, MAX_CONFIG_BYTES, out, why);
}

/* What the base may lack: modules that were trained anew are whole in the delta. */
static bool is_own_module(const char *name)
{
    return strncmp(name, "model.mm_projector.", 19) == 0 || strncmp(name, "model.region_geo_sampler.", 25) == 0;
}

/* The same shape; the two vocabulary tables may have more rows than the base's. */
static bool can_add(const struct tensor *t, const struct tensor *b)
{
    bool can = b->n_dims == t->n_dims && tensor_is_float(b->type) && tensor_is_float(t->type);
    for (int i = 0; i < t->n_dims && can; i++)
        can = b->dims[i] == t->dims[i] || (i == 0 && b->dims[i] < t->dims[i] && may_grow(t->name));
    return can;
}

static enum status check_tensors(const struct checkpoint *c, struct diag *why)
{
    for (size_t i = 0; i < c->tensors.n; i++) {
        const struct tensor *t = &c->tensors.items[i], *b = checkpoint_find(c->base, t->name);
        if (checkpoint_ignores(t->name) || (b && can_add(t, b)) || (!b && is_own_module(t->name)))
            continue;
        char delta[TENSOR_SHAPE_TEXT], base[TENSOR_SHAPE_TEXT];
        if (!b)
            return diag_set(why, ST_MISSING, "%s: %.150s: the base of the delta has no such tensor", c->base->listing,
                            t->name);
        return diag_set(why, ST_SHAPE, "%s: %.150s: the delta has %s %s, the base %s has %s %s", t->file, t->name,
                        tensor_type_word(t->type), tensor_shape_text(t->dims, t->n_dims, delta), b->file,
                        tensor_type_word(b->type), tensor_shape_text(b->dims, b->n_dims, base));
    }
    return ST_OK;
}

/* Where both say these numbers they must be the same: they tell Vicuna v1.3 from v1.5, whose tensors have the same
 * shapes and give garbage. */
static enum status check_base_config(const struct checkpoint *c, struct diag *why)
{
    static const char *const keys[] = {"rms_norm_eps", "max_position_embeddings"};
    struct json *own = NULL, *base = NULL;
    char path[MAX_PATH_BYTES];
    enum status status = load_config(c, path, &own, why);
    if (status == ST_OK)
        status = load_config(c->base, path, &base, why);
    for (size_t i = 0; i < sizeof keys / sizeof *keys && status == ST_OK; i++) {
        double want = jsn_number(jsn_get(own, keys[i]), -1), found = jsn_number(jsn_get(base, keys[i]), -1);
        if (want >= 0 && found >= 0 && want != found)
            status = diag_set(why, ST_FORMAT, "%s: %s: expected %g as in the delta, found %g: another base?", path,
                              keys[i], want, found);
    }
    jsn_free(own);
    jsn_free(base);
    return status;
}

enum status checkpoint_check_delta(const struct checkpoint *c, struct diag *why)
{
    enum status status = check_tensors(c, why);
    return status == ST_OK ? check_base_config(c, why) : status;
}
