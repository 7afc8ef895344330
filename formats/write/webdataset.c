/* WebDataset sidecars: for each source shard a tar of the same name with NAME.ann.json (the record) and, where
 * something was answered, NAME.caption.txt, so that the two are read side by side. NAME is the member's without its
 * last ending: readers take what is in front of its first dot as the key of a sample and the rest as the name of a
 * field. Images that are no members of a tar go into ferret-000000.tar ..., 10,000 images each.
 *
 * A shard appears under its name as soon as all of its images are there: the record of one of them says how many they
 * are. Readers refuse a shard with one name twice. What was met is kept on disk (formats/read/seen.h), so memory does
 * not grow with the images.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "formats/read/seen.h"
#include "formats/write/answer.h"
#include "formats/write/format.h"
#include "formats/write/new_file.h"
#include "formats/write/sidecar.h"
#include "formats/write/tar.h"
#include "formats/write/words.h"

enum { OWN_SHARD_IMAGES = 10000, OPEN_SHARDS = 64, NAME_BYTES = 256 };

struct shard {
    struct new_file file; /* out is NULL between two appends */
    char *source;         /* NULL: of images that are no members */
    uint64_t records;
    int64_t images;   /* that these are of */
    int64_t expected; /* images of the source; 0: no record said so yet */
    bool whole;       /* under its name; file has no names meanwhile */
    off_t end;        /* of the members of a whole one */
    uint64_t used;    /* turn of the last append */
};
struct webdataset {
    char *dir;
    struct words names;   /* of shards: place in the list plus one */
    struct words sources; /* the same by source */
    struct shard *shards;
    size_t n;
    int n_open;
    uint64_t turn;
    int64_t own_images;
    size_t own; /* the shard that takes images without a source, plus one; 0: none is open */
    unsigned n_own;
    struct seen *seen; /* images, their further records, names in shards */
    uint64_t repeats;
};
static enum status open_webdataset(const struct format_options *o, void **out, struct diag *why)
{
    struct webdataset *w = calloc(1, sizeof *w);
    (void)why;
    if (!w || !(w->dir = strdup(o->dir)) || seen_new(&w->seen) != ST_OK) {
        free(w ? w->dir : NULL);
        free(w);
        return ST_NOMEM;
    }
    w->own_images = o->shard_images > 0 ? o->shard_images : OWN_SHARD_IMAGES;
    *out = w;
    return ST_OK;
}

/* ---- shards ----------------------------------------------------------------------------------------------------- */

static enum status name_files(const struct webdataset *w, struct shard *shard, const char *name)
{
    if (asprintf(&shard->file.path, "%s/%s", w->dir, name) < 0)
        shard->file.path = NULL;
    if (!shard->file.path || asprintf(&shard->file.temporary, "%s.new", shard->file.path) < 0)
        shard->file.temporary = NULL;
    return shard->file.temporary ? ST_OK : ST_NOMEM;
}

static enum status add_shard(struct webdataset *w, const char *name, const char *source, size_t *place)
{
    struct shard *list = realloc(w->shards, (w->n + 1) * sizeof *list);
    if (!list)
        return ST_NOMEM;
    w->shards = list;
    struct shard *shard = &list[w->n];
    *shard = (struct shard){.source = NULL};
    enum status s = name_files(w, shard, name);
    if (source && !(shard->source = strdup(source)))
        s = ST_NOMEM;
    w->n++;
    *place = w->n;
    if (s == ST_OK)
        s = words_add(&w->names, name, (int64_t)w->n);
    return s == ST_OK && source ? words_add(&w->sources, source, (int64_t)w->n) : s;
}

/* The name of the source shard; where two folders have shards of one name, with a hash of the whole path. */
static enum status source_shard(struct webdataset *w, const char *uri, size_t len, size_t *place)
{
    char name[NAME_BYTES];
    char *source = strndup(uri, len);
    if (!source)
        return ST_NOMEM;
    const struct word *known = words_find(&w->sources, source);
    const char *base = strrchr(source, '/') ? strrchr(source, '/') + 1 : source;
    base = strchr(base, ':') ? strchr(base, ':') + 1 : base;
    snprintf(name, sizeof name, "%s", base);
    if (!known && words_find(&w->names, name)) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX];
        sha256_of(source, len, digest);
        sha256_hex(digest, hex);
        snprintf(name, sizeof name, "%.*s-%.8s.tar", (int)(strlen(base) < 200 ? strlen(base) - 4 : 200), base, hex);
    }
    enum status s = ST_OK;
    if (known)
        *place = (size_t)known->number;
    else
        s = add_shard(w, name, source, place);
    free(source);
    return s;
}

static enum status own_shard(struct webdataset *w, size_t *place)
{
    char name[NAME_BYTES];
    if (w->own && w->shards[w->own - 1].records < (uint64_t)w->own_images) {
        *place = w->own;
        return ST_OK;
    }
    do
        snprintf(name, sizeof name, "ferret-%06u.tar", w->n_own++);
    while (words_find(&w->names, name));
    enum status s = add_shard(w, name, NULL, &w->own);
    *place = w->own;
    return s;
}

/* Closes the shard that was not written to for the longest time. */
static enum status make_room(struct webdataset *w, struct diag *why)
{
    struct shard *oldest = NULL;
    for (size_t i = 0; i < w->n; i++)
        if (w->shards[i].file.out && (!oldest || w->shards[i].used < oldest->used))
            oldest = &w->shards[i];
    w->n_open--;
    bool bad = fclose(oldest->file.out) != 0;
    oldest->file.out = NULL;
    return bad ? diag_set(why, ST_IO, "%s: could not be written", oldest->file.path) : ST_OK;
}

/* Another record for a shard that was whole already. */
static enum status take_up(struct webdataset *w, struct shard *shard, struct diag *why)
{
    if (name_files(w, shard, w->names.list[shard - w->shards].text) != ST_OK)
        return ST_NOMEM;
    shard->whole = false;
    if (rename(shard->file.path, shard->file.temporary) != 0 || truncate(shard->file.temporary, shard->end) != 0)
        return diag_set(why, ST_IO, "%s: %s", shard->file.path, strerror(errno));
    return ST_OK;
}

/* An open one, all of whose members were put. */
static enum status end_shard(struct webdataset *w, struct shard *shard, struct diag *why)
{
    shard->end = ftello(shard->file.out);
    tar_end(shard->file.out);
    w->n_open--;
    shard->whole = true;
    return new_file_close(&shard->file, true, why);
}

static enum status open_shard(struct webdataset *w, struct shard *shard, struct diag *why)
{
    shard->used = ++w->turn;
    if (shard->file.out)
        return ST_OK;
    enum status s = w->n_open == OPEN_SHARDS ? make_room(w, why) : ST_OK;
    if (s == ST_OK && shard->whole)
        s = take_up(w, shard, why);
    if (s == ST_OK)
        s = make_folders_above(shard->file.path, why);
    if (s == ST_OK && !(shard->file.out = fopen(shard->file.temporary, shard->records ? "ae" : "we")))
        s = diag_set(why, ST_IO, "%s: can't be opened", shard->file.temporary);
    w->n_open += s == ST_OK;
    return s;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* The answers without coordinates, a line each. */
static enum status caption_of(const struct json *record, char **text, size_t *len)
{
    const struct json *tasks = jsn_get(record, "tasks");
    FILE *out = open_memstream(text, len);
    enum status s = out ? ST_OK : ST_NOMEM;
    for (size_t i = 0; s == ST_OK && i < jsn_size(tasks); i++) {
        struct answer a = {0};
        if (jsn_get(jsn_at(tasks, i), "error"))
            continue;
        s = answer_read(jsn_at(tasks, i), &a);
        if (s == ST_OK)
            fprintf(out, "%s%s", ftell(out) > 0 ? "\n" : "", a.text);
        answer_fini(&a);
    }
    return out && fclose(out) != 0 ? ST_NOMEM : s;
}

static void put_member(FILE *out, const char *key, const char *ending, const char *text, size_t len)
{
    char *name = NULL;
    if (asprintf(&name, "%s%s", key, ending) >= 0)
        tar_put(out, name, text, len);
    free(name);
}

static enum status write_record(struct webdataset *w, struct shard *shard, const struct json *record, const char *name,
                                struct diag *why)
{
    size_t caption_len = 0;
    char *caption = NULL, *text = jsn_text(record);
    enum status s = text ? open_shard(w, shard, why) : ST_NOMEM;
    if (s == ST_OK)
        s = caption_of(record, &caption, &caption_len);
    if (s == ST_OK) {
        put_member(shard->file.out, name, ".ann.json", text, strlen(text));
        if (caption_len > 0)
            put_member(shard->file.out, name, ".caption.txt", caption, caption_len);
        shard->records++;
        if (ferror(shard->file.out))
            s = diag_set(why, ST_IO, "%s: could not be written", shard->file.path);
    }
    free(caption);
    free(text);
    return s;
}

/* A record that was not written again may still be the one that says how many images there are. */
static enum status look_at_end(struct webdataset *w, struct shard *shard, int64_t group_images, struct diag *why)
{
    shard->expected = group_images > 0 ? group_images : shard->expected;
    bool all_there = shard->end > 0 || (shard->expected > 0 && shard->images >= shard->expected);
    if (!all_there || shard->whole)
        return ST_OK;
    enum status s = open_shard(w, shard, why);
    return s == ST_OK ? end_shard(w, shard, why) : s;
}

static enum status put_webdataset(void *writer, const struct json *record, const char *picture, struct diag *why)
{
    struct webdataset *w = writer;
    const char *uri = jsn_string(jsn_get(jsn_get(record, "image"), "uri"), "");
    size_t source = sidecar_source_len(uri), place = 0;
    struct sidecar e = {.name = NULL};
    (void)picture;
    enum status s = sidecar_look_up(w->seen, record, uri, source, &e, why);
    w->repeats += e.repeated;
    if (s == ST_OK && source > 0)
        s = source_shard(w, uri, source, &place);
    else if (s == ST_OK && !e.repeated)
        s = own_shard(w, &place);
    if (s == ST_OK && !e.repeated)
        s = source > 0 ? sidecar_name_member(w->seen, place, uri, source, &e.name, why)
                       : sidecar_name_own(record, &e.name, why);
    if (s == ST_OK && !e.repeated)
        s = write_record(w, &w->shards[place - 1], record, e.name, why);
    if (s == ST_OK && source > 0) {
        w->shards[place - 1].images += e.of_new_image;
        s = look_at_end(w, &w->shards[place - 1], jsn_int(jsn_get(record, "group_images"), 0), why);
    }
    free(e.name);
    return s;
}

static enum status close_webdataset(void *writer, bool keep, struct diag *notes, struct diag *why)
{
    struct webdataset *w = writer;
    enum status s = ST_OK;
    if (w->repeats > 0)
        (void)diag_set(notes, ST_OK, "left out: %llu records that came again; the first one of each stands",
                       (unsigned long long)w->repeats);
    for (size_t i = 0; i < w->n; i++) {
        struct shard *shard = &w->shards[i];
        if (!shard->whole && keep && s == ST_OK) {
            s = open_shard(w, shard, why);
            if (s == ST_OK)
                s = end_shard(w, shard, why);
        }
        if (!shard->whole && !shard->file.out && shard->file.temporary)
            shard->file.out = fopen(shard->file.temporary, "ae"); /* so that the close removes it */
        enum status one = new_file_close(&shard->file, false, s == ST_OK ? why : NULL);
        s = s == ST_OK ? one : s;
        free(shard->source);
    }
    free(w->shards);
    words_fini(&w->names);
    words_fini(&w->sources);
    seen_free(w->seen);
    free(w->dir);
    free(w);
    return s;
}

const struct format format_webdataset = {"webdataset", open_webdataset, put_webdataset, close_webdataset};
