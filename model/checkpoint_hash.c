#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sha256.h"
#include "model/checkpoint_impl.h"

/* What the hash takes of a tensor: all bytes up to HASH_WHOLE; of more, HASH_BLOCKS blocks of HASH_BLOCK bytes, block i
 * at floor(i * (bytes - HASH_BLOCK) / (HASH_BLOCKS - 1)). A delta adds the same of its base. */
enum { HASH_WHOLE = 1 << 16, HASH_BLOCKS = 16, HASH_BLOCK = 4096 };

static void hash_tensor(struct sha256 *sha, const struct tensor *t)
{
    char head[TENSOR_SHAPE_TEXT + 64], shape[TENSOR_SHAPE_TEXT];
    int n = snprintf(head, sizeof head, " %s %s %zu\n", tensor_type_word(t->type),
                     tensor_shape_text(t->dims, t->n_dims, shape), t->bytes);
    sha256_add(sha, t->name, strlen(t->name));
    sha256_add(sha, head, (size_t)n);
    if (t->bytes <= HASH_WHOLE) {
        sha256_add(sha, t->data, t->bytes);
        return;
    }
    /* Without this the system reads ahead behind every block: most of the file. */
    tensor_advise(t, MADV_RANDOM);
    for (size_t i = 0; i < HASH_BLOCKS; i++)
        sha256_add(sha, (const char *)t->data + i * (t->bytes - HASH_BLOCK) / (HASH_BLOCKS - 1), HASH_BLOCK);
    tensor_advise(t, MADV_NORMAL);
}

/* A file's bytes behind its name and size; one that is not there counts as empty. */
static enum status hash_file(struct sha256 *sha, const char *dir, const char *name, struct diag *why)
{
    char path[MAX_PATH_BYTES];
    struct mapped_file f = {0};
    enum status status = path_join(path, dir, name, why);
    if (status != ST_OK)
        return status;
    if (access(path, F_OK) == 0)
        status = file_map(path, &f, why);
    if (status != ST_OK)
        return status;
    char head[64];
    int n = snprintf(head, sizeof head, "%s %zu\n", name, f.size);
    sha256_add(sha, head, (size_t)n);
    sha256_add(sha, f.bytes, f.size);
    file_unmap(&f);
    return ST_OK;
}

static void hash_tensors(struct sha256 *sha, const struct checkpoint *c)
{
    for (size_t i = 0; i < c->tensors.n; i++) {
        const struct tensor *t = &c->tensors.items[i], *b = c->base ? checkpoint_find(c->base, t->name) : NULL;
        if (checkpoint_ignores(t->name))
            continue;
        hash_tensor(sha, t);
        if (b)
            hash_tensor(sha, b);
        checkpoint_release(c, t);
    }
}

enum status checkpoint_hash(const struct checkpoint *c, const struct checkpoint *tower, char hex[65], struct diag *why)
{
    struct sha256 sha;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&sha);
    enum status status = hash_file(&sha, c->dir, "config.json", why);
    hash_tensors(&sha, c);
    if (status == ST_OK && tower)
        status = hash_file(&sha, tower->dir, "config.json", why);
    if (status == ST_OK && tower)
        status = hash_file(&sha, tower->dir, "preprocessor_config.json", why);
    if (status != ST_OK)
        return status;
    if (tower)
        hash_tensors(&sha, tower);
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
    return ST_OK;
}
