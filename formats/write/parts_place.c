/* _place.json and _manifest.json: what a folder of parts holds, for its writer and for its readers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "formats/write/jsonl.h"
#include "formats/write/parts_impl.h"

enum { PLACE_MOST = 256 << 20, RECORD_SCHEMA = 1 };

static const char *const count_names[PART_COUNTS] = {"ok", "partial", "failed", "forgotten"};

/* ---- what made the records -------------------------------------------------------------------------------------- */

static enum status copy_member(struct json *to, const struct json *from, const char *key)
{
    const struct json *v = jsn_get(from, key);
    return v ? jsn_put(to, key, jsn_copy(v)) : ST_OK;
}

/* Pushes v where the list has nothing like it; takes v. */
static enum status push_new(struct json *list, struct json *v)
{
    char *text = v ? jsn_text(v) : NULL;
    bool known = false;
    enum status s = text ? ST_OK : ST_NOMEM;
    for (size_t i = jsn_size(list); s == ST_OK && !known && i-- > 0;) {
        char *other = jsn_text(jsn_at(list, i));
        known = other && strcmp(text, other) == 0;
        s = other ? ST_OK : ST_NOMEM;
        free(other);
    }
    free(text);
    if (s == ST_OK && !known)
        return jsn_push(list, v);
    jsn_free(v);
    return s;
}

enum status parts_note(struct parts *p, const struct json *record)
{
    const struct json *model = jsn_get(record, "model"), *engine = jsn_get(record, "engine");
    const char *policy = jsn_string(jsn_get(record, "policy"), NULL);
    static const char *const keys[] = {"hash", "dtype", "domain", "licence"};
    enum status s = policy ? push_new(p->policies, jsn_new_string(policy)) : ST_OK;
    if (s != ST_OK || !model)
        return s; /* failed before the engine */
    struct json *made_by = jsn_new_object();
    for (size_t i = 0; s == ST_OK && i < sizeof keys / sizeof *keys; i++)
        s = copy_member(made_by, model, keys[i]);
    if (s == ST_OK)
        s = copy_member(made_by, engine, "version");
    if (s == ST_OK)
        s = copy_member(made_by, engine, "invariant");
    if (s == ST_OK)
        return push_new(p->models, made_by);
    jsn_free(made_by);
    return s;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static struct json *count_object(const struct parts *p)
{
    enum status s = ST_OK;
    uint64_t records = p->counts[COUNT_OK] + p->counts[COUNT_PARTIAL] + p->counts[COUNT_FAILED];
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "records", jsn_new_int((int64_t)records));
    for (int i = 0; i < PART_COUNTS; i++)
        jsn_add(&s, o, count_names[i], jsn_new_int((int64_t)p->counts[i]));
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

static struct json *part_object(const struct part *part)
{
    enum status s = ST_OK;
    char hex[SHA256_HEX];
    struct json *o = jsn_new_object();
    sha256_hex(part->state.digest, hex);
    jsn_add(&s, o, "name", jsn_new_string(part->name));
    jsn_add(&s, o, "records", jsn_new_int((int64_t)part->records));
    jsn_add(&s, o, "bytes", jsn_new_int((int64_t)part->state.bytes));
    jsn_add(&s, o, "sha256", jsn_new_string(hex));
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

static struct json *part_array(const struct parts *p)
{
    struct json *list = jsn_new_array();
    for (size_t i = 0; i < p->n; i++) {
        if (jsn_push(list, part_object(&p->list[i])) != ST_OK) {
            jsn_free(list);
            return NULL;
        }
    }
    return list;
}

static struct json *stream_array(const struct parts *p)
{
    struct json *list = jsn_new_array();
    for (int i = 0; i <= p->shards; i++) {
        const struct part_stream *stream = &p->streams[i];
        enum status s = ST_OK;
        struct json *o = jsn_new_object();
        jsn_add(&s, o, "number", jsn_new_int((int64_t)stream->number));
        jsn_add(&s, o, "bytes", jsn_new_int((int64_t)stream->bytes));
        jsn_add(&s, o, "records", jsn_new_int((int64_t)stream->records));
        enum status pushed = jsn_push(list, o);
        if (s != ST_OK || pushed != ST_OK) {
            jsn_free(list);
            return NULL;
        }
    }
    return list;
}

/* Writes `name` whole: under another name, synced, renamed, the folder synced. Takes `value`. */
static enum status replace(struct parts *p, const char *name, struct json *value, enum status s, int indent,
                           struct diag *why)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    struct jsonl *f = NULL;
    char *text = s != ST_OK ? NULL : indent ? jsn_text_indented(value, indent) : jsn_text(value);
    jsn_free(value);
    if (!text)
        return s == ST_OK ? ST_NOMEM : s;
    parts_path(p, name, "", path);
    parts_path(p, name, PART_TEMPORARY, temporary);
    s = jsonl_open(temporary, false, &f, why);
    if (s == ST_OK)
        s = jsonl_put(f, text, strlen(text), why);
    if (s == ST_OK)
        s = jsonl_sync(f, why);
    jsonl_close(f);
    free(text);
    if (s == ST_OK && (rename(temporary, path) != 0 || fsync(p->dir_fd) != 0))
        s = diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    if (s != ST_OK)
        unlink(temporary);
    return s;
}

static struct json *cursor_json(const struct result_cursor *c)
{
    if (c->shards <= 1)
        return jsn_new_int((int64_t)c->at[0]);
    struct json *all = jsn_new_array();
    for (int i = 0; all && i < c->shards; i++)
        if (jsn_push(all, jsn_new_int((int64_t)c->at[i])) != ST_OK) {
            jsn_free(all);
            return NULL;
        }
    return all;
}

/* A number, or one a shard of the queue. */
static bool read_cursor(const struct json *value, struct result_cursor *out)
{
    bool several = jsn_kind(value) == JSON_KIND_ARRAY;
    struct result_cursor c = {.shards = several ? (int)jsn_size(value) : 1};
    bool good = c.shards >= 1 && c.shards <= LIMIT_SHARDS;
    for (int i = 0; good && i < c.shards; i++) {
        int64_t at = jsn_int(several ? jsn_at(value, (size_t)i) : value, -1);
        good = at >= 0;
        c.at[i] = (uint64_t)at;
    }
    if (good)
        *out = c;
    return good;
}

enum status parts_write_place(struct parts *p, const struct result_cursor *cursor, struct diag *why)
{
    enum status s = ST_OK;
    struct json *place = jsn_new_object();
    jsn_add(&s, place, "source", jsn_new_string(p->source));
    jsn_add(&s, place, "shards", jsn_new_int(p->shards));
    jsn_add(&s, place, "cursor", cursor_json(cursor));
    jsn_add(&s, place, "counts", count_object(p));
    jsn_add(&s, place, "models", jsn_copy(p->models));
    jsn_add(&s, place, "policies", jsn_copy(p->policies));
    jsn_add(&s, place, "streams", stream_array(p));
    jsn_add(&s, place, "files", part_array(p));
    s = replace(p, PARTS_PLACE, place, s, 0, why);
    if (s == ST_OK)
        p->cursor = *cursor;
    return s;
}

enum status parts_write_manifest(struct parts *p, bool complete, struct diag *why)
{
    enum status s = ST_OK;
    struct json *m = jsn_new_object();
    jsn_add(&s, m, "format", jsn_new_string("jsonl.zst"));
    jsn_add(&s, m, "schema", jsn_new_int(RECORD_SCHEMA));
    jsn_add(&s, m, "campaign", jsn_new_string(p->source));
    jsn_add(&s, m, "complete", jsn_new_bool(complete));
    jsn_add(&s, m, "written_ms", jsn_new_int(clock_wall_ms()));
    jsn_add(&s, m, "writer", jsn_new_string("ferret " FERRETRY_VERSION));
    jsn_add(&s, m, "shards", jsn_new_int(p->shards));
    jsn_add(&s, m, "counts", count_object(p));
    jsn_add(&s, m, "models", jsn_copy(p->models));
    jsn_add(&s, m, "policies", jsn_copy(p->policies));
    jsn_add(&s, m, "files", part_array(p));
    s = replace(p, PARTS_MANIFEST, m, s, 1, why);
    p->has_manifest = p->has_manifest || s == ST_OK;
    return s;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static bool read_digest(const char *hex, uint8_t digest[SHA256_BYTES])
{
    if (strlen(hex) != 2 * SHA256_BYTES)
        return false;
    for (int i = 0; i < SHA256_BYTES; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        digest[i] = (uint8_t)byte;
    }
    return true;
}

static bool read_part(const struct json *o, struct part *part)
{
    const char *name = jsn_string(jsn_get(o, "name"), "");
    int64_t records = jsn_int(jsn_get(o, "records"), -1), bytes = jsn_int(jsn_get(o, "bytes"), -1);
    if (!*name || strchr(name, '/') || strlen(name) >= sizeof part->name || records < 0 || bytes < 0)
        return false;
    snprintf(part->name, sizeof part->name, "%s", name);
    part->records = (uint64_t)records;
    part->state.bytes = (uint64_t)bytes;
    return read_digest(jsn_string(jsn_get(o, "sha256"), ""), part->state.digest);
}

static bool read_stream(const struct json *o, struct part_stream *s)
{
    int64_t number = jsn_int(jsn_get(o, "number"), -1), bytes = jsn_int(jsn_get(o, "bytes"), -1);
    int64_t records = jsn_int(jsn_get(o, "records"), -1);
    s->number = (uint64_t)number;
    s->bytes = (uint64_t)bytes;
    s->records = (uint64_t)records;
    return number >= 0 && bytes >= 0 && records >= 0;
}

static enum status take_list(struct json **list, const struct json *place, const char *key)
{
    struct json *copy = jsn_get(place, key) ? jsn_copy(jsn_get(place, key)) : NULL;
    if (!copy)
        return ST_NOMEM;
    jsn_free(*list);
    *list = copy;
    return ST_OK;
}

static enum status read_rest(struct parts *p, const struct json *place, const char *path, struct diag *why)
{
    const struct json *streams = jsn_get(place, "streams"), *files = jsn_get(place, "files");
    struct result_cursor cursor;
    bool ok = read_cursor(jsn_get(place, "cursor"), &cursor) && jsn_size(streams) == (size_t)p->shards + 1;
    for (int i = 0; ok && i <= p->shards; i++)
        ok = read_stream(jsn_at(streams, (size_t)i), &p->streams[i]);
    for (int i = 0; ok && i < PART_COUNTS; i++)
        p->counts[i] = (uint64_t)jsn_int(jsn_get(jsn_get(place, "counts"), count_names[i]), 0);
    enum status s = ST_OK;
    for (size_t i = 0; ok && s == ST_OK && i < jsn_size(files); i++) {
        struct part part = {.renamed = true};
        ok = read_part(jsn_at(files, i), &part);
        s = ok ? parts_add(p, &part) : ST_OK;
    }
    if (!ok)
        return diag_set(why, ST_FORMAT, "%s: expected \"cursor\", \"streams\" and \"files\" of an export", path);
    p->cursor = cursor;
    if (s == ST_OK)
        s = take_list(&p->models, place, "models");
    return s == ST_OK ? take_list(&p->policies, place, "policies") : s;
}

enum status parts_read_place(struct parts *p, struct diag *why)
{
    char path[PATH_MAX];
    struct json *place = NULL;
    parts_path(p, PARTS_PLACE, "", path);
    if (access(path, F_OK) != 0)
        return errno == ENOENT ? ST_OK : diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    enum status s = jsn_load(path, PLACE_MOST, &place, why);
    if (s != ST_OK)
        return s;
    const char *source = jsn_string(jsn_get(place, "source"), "");
    int64_t shards = jsn_int(jsn_get(place, "shards"), 0);
    if (strcmp(source, p->source) != 0)
        s = diag_set(why, ST_REFUSED, "%s: keeps the records of \"%s\", not of \"%s\"", p->dir, source, p->source);
    else if (shards != p->shards)
        s = diag_set(why, ST_REFUSED, "%s: was begun with %lld shards, not %d", p->dir, (long long)shards, p->shards);
    else
        s = read_rest(p, place, path, why);
    jsn_free(place);
    return s;
}
