#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "model/checkpoint_impl.h"
#include "model/config.h"

enum { MAX_CONFIG_BYTES = 16 << 20 };

/* Tokens that a delta may add to its base's vocabulary; the published ones add <region_fea> alone. */
enum { MOST_ADDED = 64 };

/* Modules that were trained anew are whole in the delta; that a base has none of them checkpoint_check sees to. */
static bool is_own_module(const char *name)
{
    return strncmp(name, "model.mm_projector.", 19) == 0 || strncmp(name, "model.region_geo_sampler.", 25) == 0;
}

static bool is_vocabulary(const char *name)
{
    return strcmp(name, "model.embed_tokens.weight") == 0 || strcmp(name, "lm_head.weight") == 0;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

/* The same shape, but for the two vocabulary tables, which have vocab rows in the base. */
static bool can_add(const struct tensor *t, const struct tensor *b, int64_t vocab)
{
    bool can = b->n_dims == t->n_dims && tensor_is_float(b->type) && tensor_is_float(t->type);
    for (int i = 0; i < t->n_dims && can; i++)
        can = b->dims[i] == (i == 0 && is_vocabulary(t->name) ? vocab : t->dims[i]);
    return can;
}

static enum status refuse_tensor(const struct checkpoint *c, const struct tensor *t, const struct tensor *b,
                                 int64_t vocab, struct diag *why)
{
    char want[TENSOR_SHAPE_TEXT], found[TENSOR_SHAPE_TEXT];
    int64_t dims[TENSOR_MAX_DIMS];
    memcpy(dims, t->dims, sizeof dims);
    if (t->n_dims > 0 && is_vocabulary(t->name))
        dims[0] = vocab;
    tensor_shape_text(dims, t->n_dims, want);
    if (!b)
        return diag_set(why, ST_MISSING, "%s: %.150s: expected %s, to which %s is added, found no such tensor",
                        c->base->listing, t->name, want, t->file);
    return diag_set(why, ST_SHAPE, "%s: %.150s: expected floats %s, to which %s of %s is added, found %s %s", b->file,
                    t->name, want, tensor_type_word(t->type), t->file, tensor_type_word(b->type),
                    tensor_shape_text(b->dims, b->n_dims, found));
}

static enum status check_tensors(const struct checkpoint *c, int64_t vocab, struct diag *why)
{
    for (size_t i = 0; i < c->tensors.n; i++) {
        const struct tensor *t = &c->tensors.items[i], *b = checkpoint_find(c->base, t->name);
        if (!checkpoint_ignores(t->name) && !is_own_module(t->name) && !(b && can_add(t, b, vocab)))
            return refuse_tensor(c, t, b, vocab, why);
    }
    return ST_OK;
}

/* ---- configurations --------------------------------------------------------------------------------------------- */

static enum status check_number(const char *path, const char *key, double want, double found, struct diag *why)
{
    return want == found ? ST_OK
                         : diag_set(why, ST_FORMAT, "%s: %s: expected %g as in the delta, found %g: another base?",
                                    path, key, want, found);
}

/* What both must agree in, though tensors of the same shapes may go with other numbers and give garbage then. */
static enum status check_decoders(const char *path, const struct decoder_config *own, const struct decoder_config *base,
                                  struct diag *why)
{
    const struct {
        const char *key;
        double want, found;
    } rows[] = {{"hidden_size", own->hidden, base->hidden},
                {"num_hidden_layers", own->layers, base->layers},
                {"num_attention_heads", own->heads, base->heads},
                {"intermediate_size", own->mlp, base->mlp},
                {"rms_norm_eps", (double)own->rms_eps, (double)base->rms_eps},
                {"rope_theta", (double)own->rope_theta, (double)base->rope_theta}};
    enum status status = ST_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == ST_OK; i++)
        status = check_number(path, rows[i].key, rows[i].want, rows[i].found, why);
    return status;
}

static enum status said_positions(const char *path, double *out, struct diag *why)
{
    struct json *root = NULL;
    enum status status = jsn_load(path, MAX_CONFIG_BYTES, &root, why);
    *out = jsn_number(jsn_get(root, "max_position_embeddings"), -1);
    jsn_free(root);
    return status;
}

/* Where both say it: it tells Vicuna v1.3 from v1.5. A delta's own context may be another one (max_sequence_length). */
static enum status check_positions(const char *own, const char *base, struct diag *why)
{
    double want, found = -1;
    enum status status = said_positions(own, &want, why);
    if (status == ST_OK)
        status = said_positions(base, &found, why);
    bool both = status == ST_OK && want >= 0 && found >= 0;
    return both ? check_number(base, "max_position_embeddings", want, found, why) : status;
}

/* *vocab: rows of the base's vocabulary tables, as its config.json says; without one, what the delta leaves. */
static enum status check_configs(const struct checkpoint *c, int64_t *vocab, struct diag *why)
{
    char own_path[MAX_PATH_BYTES], path[MAX_PATH_BYTES];
    struct decoder_config own, base;
    enum status status = path_join(own_path, c->dir, "config.json", why);
    if (status == ST_OK)
        status = path_join(path, c->base->dir, "config.json", why);
    if (status == ST_OK)
        status = config_load_decoder(c->dir, &own, why);
    if (status != ST_OK)
        return status;
    *vocab = own.vocab - 1;
    if (access(path, F_OK) != 0)
        return ST_OK;
    status = config_load_decoder(c->base->dir, &base, why);
    if (status == ST_OK)
        status = check_decoders(path, &own, &base, why);
    if (status == ST_OK)
        status = check_positions(own_path, path, why);
    if (status == ST_OK && (base.vocab >= own.vocab || own.vocab - base.vocab > MOST_ADDED))
        status = diag_set(why, ST_FORMAT, "%s: vocab_size: expected %d to %d, since the delta has %d, found %d", path,
                          own.vocab - MOST_ADDED, own.vocab - 1, own.vocab, base.vocab);
    *vocab = base.vocab;
    return status;
}

enum status checkpoint_check_delta(const struct checkpoint *c, struct diag *why)
{
    int64_t vocab = 0;
    enum status status = check_configs(c, &vocab, why);
    return status == ST_OK ? check_tensors(c, vocab, why) : status;
}
