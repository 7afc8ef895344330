#include "formats/read/repeats.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "formats/read/make_input.h"

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

/* What is no job is told apart by its sentence, which names its place. */
static enum status hash_input(const struct input *input, uint32_t *out, struct diag *why)
{
    uint8_t *bytes = NULL, digest[SHA256_BYTES];
    size_t len = 0;
    enum status s = input->error ? ST_OK : job_encode(input->job, &bytes, &len, why);
    if (s != ST_OK)
        return s;
    sha256_of(input->error ? input->message : (const char *)bytes, input->error ? strlen(input->message) : len, digest);
    memcpy(out, digest, sizeof *out);
    free(bytes);
    return ST_OK;
}

static bool inside_letter(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The end of a place says more than its beginning. */
static const char *tail(const char *text)
{
    enum { SHOWN = 180 };
    size_t len = strlen(text);
    const char *from = len > SHOWN ? text + len - SHOWN : text;
    while (inside_letter(*from))
        from++;
    return from;
}

static int head_len(const char *text)
{
    enum { SHOWN = 60 };
    size_t len = strnlen(text, SHOWN);
    while (inside_letter(text[len]))
        len--;
    return (int)len;
}

static enum status tell_other(const struct repeats *r, const struct seen *old, struct input *input, char **place)
{
    char *here = NULL, *first = NULL;
    if (input->manifest && !(here = make_place_key(input->manifest, input->line)))
        return ST_NOMEM;
    if (old->manifest > 0 && !(first = make_place_key(r->names[old->manifest - 1], old->line))) {
        free(here);
        return ST_NOMEM;
    }
    if (!input->error) {
        input->error = "duplicate_id";
        input->error_class = ERROR_PERMANENT;
        snprintf(input->message, sizeof input->message, "%s%sid \"%.*s\" names another job%s%s", here ? tail(here) : "",
                 here ? ": " : "", head_len(input->job->key), input->job->key, first ? " already, at " : " of this run",
                 first ? tail(first) : "");
    }
    free(first);
    *place = here;
    return ST_OK;
}

enum status repeats_add(struct repeats *r, struct input *input, enum repeat *out, char **place, struct diag *why)
{
    uint8_t id[ID_BYTES];
    struct seen new = {.line = input->line};
    enum status s = hash_input(input, &new.job, why);
    if (s != ST_OK)
        return s;
    job_id(input->job, id);
    memcpy(&new.id, id, sizeof new.id);
    new.id |= new.id == 0;
    struct seen *old = find(r->seen, r->room, new.id);
    *place = NULL;
    *out = old->id == 0 ? REPEAT_NONE : old->job == new.job ? REPEAT_SAME : REPEAT_OTHER;
    if (*out == REPEAT_OTHER)
        return tell_other(r, old, input, place);
    if (*out == REPEAT_SAME || r->n == REPEATS_MOST)
        return ST_OK;
    s = name_place(r, input->manifest, &new.manifest);
    if (s != ST_OK)
        return s;
    *old = new;
    return ++r->n * 2 > r->room ? grow(r) : ST_OK;
}
