#include "formats/read/repeats.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/uri.h"
#include "formats/read/make_input.h"
#include "formats/read/seen.h"

/* Where an id was met, in one number: the manifest, from 1 (0: none), and the line, from 1. */
enum { LINE_BITS = 40, MANIFESTS_MOST = (1 << 24) - 1 };

struct repeats {
    struct seen *seen;
    char **names; /* of manifests, as they came */
    uint32_t n_names;
};

enum status repeats_new(struct repeats **out)
{
    struct repeats *r = calloc(1, sizeof *r);
    if (!r || seen_new(&r->seen) != ST_OK) {
        free(r);
        return ST_NOMEM;
    }
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
    seen_free(r->seen);
    free(r);
}

static uint64_t pack_place(uint32_t manifest, uint64_t line)
{
    const uint64_t most = ((uint64_t)1 << LINE_BITS) - 1;
    return (uint64_t)manifest << LINE_BITS | (line < 1 ? 1 : line > most ? most : line);
}

static uint32_t place_manifest(uint64_t place)
{
    return (uint32_t)(place >> LINE_BITS);
}

static uint64_t place_line(uint64_t place)
{
    return place & (((uint64_t)1 << LINE_BITS) - 1);
}

/* 0 too behind MANIFESTS_MOST of them: an id is told apart all the same, and its first place is not named. */
static enum status name_place(struct repeats *r, const char *manifest, uint32_t *out)
{
    if (!manifest || (r->n_names > 0 && strcmp(r->names[r->n_names - 1], manifest) == 0)) {
        *out = manifest ? r->n_names : 0;
        return ST_OK;
    }
    if (r->n_names == MANIFESTS_MOST) {
        *out = 0;
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
static enum status hash_input(const struct input *input, uint64_t *out, struct diag *why)
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

static enum status tell_other(const struct repeats *r, uint64_t old, struct input *input, char **place)
{
    enum { SHOWN = 61 };
    char *here = NULL, *first = NULL, id[SHOWN];
    if (input->manifest && !(here = make_place_key(input->manifest, input->line)))
        return ST_NOMEM;
    if (place_manifest(old) > 0 && !(first = make_place_key(r->names[place_manifest(old) - 1], place_line(old)))) {
        free(here);
        return ST_NOMEM;
    }
    if (!input->error) {
        input->error = "duplicate_id";
        input->error_class = ERROR_PERMANENT;
        snprintf(input->message, sizeof input->message, "%s%sid \"%s\" names another job%s%s", here ? tail(here) : "",
                 here ? ": " : "", uri_shown(input->job->key, id, sizeof id), first ? " already, at " : " of this run",
                 first ? tail(first) : "");
    }
    free(first);
    *place = here;
    return ST_OK;
}

enum status repeats_add(struct repeats *r, struct input *input, enum repeat *out, char **place, struct diag *why)
{
    struct seen_row row, old;
    bool known;
    uint32_t manifest;
    enum status s = hash_input(input, &row.job, why);
    if (s == ST_OK)
        s = name_place(r, input->manifest, &manifest);
    if (s != ST_OK)
        return s;
    job_id(input->job, row.id);
    row.place = pack_place(manifest, input->line);
    s = seen_put(r->seen, &row, &known, &old, why);
    if (s != ST_OK)
        return s;
    *place = NULL;
    *out = !known ? REPEAT_NONE : old.job == row.job ? REPEAT_SAME : REPEAT_OTHER;
    return *out == REPEAT_OTHER ? tell_other(r, old.place, input, place) : ST_OK;
}
