#include "formats/read/repeats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"

enum { FIRST_ROOM = 1 << 10 };

struct seen {
    uint64_t id; /* the beginning of its hash; 0: free */
    uint32_t job;
    uint32_t manifest; /* place in names, from 1; 0: none */
    uint64_t line;
};

struct repeats {
    struct seen *seen; /* open addressing, at most half full */
    size_t room, n;
    char **names; /* of manifests, as they came */
    uint32_t n_names;
};

enum status repeats_new(struct repeats **out)
{
    struct repeats *r = calloc(1, sizeof *r);
    if (!r || !(r->seen = calloc(FIRST_ROOM, sizeof *r->seen))) {
        free(r);
        return ST_NOMEM;
    }
    r->room = FIRST_ROOM;
    *out = r;
    return ST_OK;
}

void repeats_free(struct repeats *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n_names; i++)
        free(r->names[i]);
    free(r->names);
    free(r->seen);
    free(r);
}

/* The entry of the id, or the free one where it belongs. */
static struct seen *find(struct seen *seen, size_t room, uint64_t id)
{
    size_t at = (size_t)id & (room - 1);
    while (seen[at].id != 0 && seen[at].id != id)
        at = (at + 1) & (room - 1);
    return &seen[at];
}

static enum status grow(struct repeats *r)
{
    size_t room = 2 * r->room;
    struct seen *seen = calloc(room, sizeof *seen);
    if (!seen)
        return ST_NOMEM;
    for (size_t i = 0; i < r->room; i++) {
        if (r->seen[i].id != 0)
            *find(seen, room, r->seen[i].id) = r->seen[i];
    }
    free(r->seen);
    r->seen = seen;
    r->room = room;
    return ST_OK;
}

static enum status name_place(struct repeats *r, const char *manifest, uint32_t *out)
{
    if (!manifest || (r->n_names > 0 && strcmp(r->names[r->n_names - 1], manifest) == 0)) {
        *out = manifest ? r->n_names : 0;
        return ST_OK;
    }
    char **names = realloc(r->names, (r->n_names + 1) * sizeof *names);
    if (!names)
        return ST_NOMEM;
    r->names = names;
    if (!(names[r->n_names] = strdup(manifest)))
        return ST_NOMEM;
    *out = ++r->n_names;
    return ST_OK;
}

static enum status hash_job(const struct job *job, uint32_t *out, struct diag *why)
{
    uint8_t *bytes, digest[SHA256_BYTES];
    size_t len;
    enum status s = job_encode(job, &bytes, &len, why);
    if (s != ST_OK)
        return s;
    sha256_of(bytes, len, digest);
    memcpy(out, digest, sizeof *out);
    free(bytes);
    return ST_OK;
}

enum status repeats_add(struct repeats *r, const struct input *input, bool *again, char *first, size_t size,
                        struct diag *why)
{
    uint8_t id[ID_BYTES];
    struct seen new = {.line = input->line};
    enum status s = hash_job(input->job, &new.job, why);
    if (s != ST_OK)
        return s;
    job_id(input->job, id);
    memcpy(&new.id, id, sizeof new.id);
    new.id |= new.id == 0;
    struct seen *old = find(r->seen, r->room, new.id);
    *again = old->id != 0 && old->job != new.job;
    if (*again) {
        first[0] = '\0';
        if (old->manifest > 0)
            snprintf(first, size, "%s:%llu", r->names[old->manifest - 1], (unsigned long long)old->line);
    }
    if (old->id != 0 || r->n == REPEATS_MOST)
        return ST_OK;
    s = name_place(r, input->manifest, &new.manifest);
    if (s != ST_OK)
        return s;
    *old = new;
    return ++r->n * 2 > r->room ? grow(r) : ST_OK;
}
