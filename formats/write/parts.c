#include "formats/write/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "formats/read/lines.h"
#include "formats/write/new_file.h"
#include "formats/write/parts_impl.h"

enum { LINE_BYTES = 4 << 20 }; /* more than a record may have */

static enum status io(struct diag *why, const char *path)
{
    return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
}

void parts_path(const struct parts *p, const char *name, const char *ending, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s%s", p->dir, name, ending);
}

void parts_name(const struct parts *p, int stream, uint64_t number, char out[PART_NAME_BYTES])
{
    snprintf(out, PART_NAME_BYTES, "%s-%05llu" PART_ENDING, stream == p->shards ? "errors" : "part",
             (unsigned long long)number);
}

enum status parts_add(struct parts *p, const struct part *part)
{
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        struct part *list = realloc(p->list, room * sizeof *list);
        if (!list)
            return ST_NOMEM;
        p->list = list;
        p->room = room;
    }
    p->list[p->n++] = *part;
    return ST_OK;
}

/* ---- ends of files ---------------------------------------------------------------------------------------------- */

/* The stream's file has ended as NAME.tmp: it joins the list. The place names it before it gets its name. */
static enum status enter(struct parts *p, int stream, const struct packed_state *state)
{
    struct part_stream *s = &p->streams[stream];
    struct part part = {.records = s->records, .state = *state};
    parts_name(p, stream, s->number, part.name);
    s->number += stream == p->shards ? 1 : (uint64_t)p->shards;
    s->bytes = s->plain = s->records = 0;
    return parts_add(p, &part);
}

static enum status rename_ended(struct parts *p, struct diag *why)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    bool any = false;
    for (size_t i = p->n; i-- > 0;) {
        if (p->list[i].renamed)
            continue;
        parts_path(p, p->list[i].name, "", path);
        parts_path(p, p->list[i].name, PART_TEMPORARY, temporary);
        if (rename(temporary, path) != 0)
            return io(why, path);
        p->list[i].renamed = any = true;
    }
    return any && fsync(p->dir_fd) != 0 ? io(why, p->dir) : ST_OK;
}

static enum status end_stream(struct parts *p, int stream, struct diag *why)
{
    struct packed_state state;
    enum status st = packed_end(p->streams[stream].file, &state, why);
    packed_close(p->streams[stream].file);
    p->streams[stream].file = NULL;
    return st == ST_OK ? enter(p, stream, &state) : st;
}

static enum status commit(struct parts *p, const struct result_cursor *cursor, bool end_all, struct diag *why)
{
    enum status st = ST_OK;
    for (int i = 0; st == ST_OK && i <= p->shards; i++) {
        struct part_stream *s = &p->streams[i];
        if (s->file && (end_all || s->plain >= p->part_bytes))
            st = end_stream(p, i, why);
        else if (s->file)
            st = packed_sync(s->file, &s->bytes, why);
    }
    if (st == ST_OK)
        st = parts_write_place(p, cursor, why);
    return st == ST_OK ? rename_ended(p, why) : st;
}

enum status parts_commit(struct parts *p, const struct result_cursor *cursor, struct diag *why)
{
    return commit(p, cursor, false, why);
}

enum status parts_finish(struct parts *p, const struct result_cursor *cursor, bool complete, struct diag *why)
{
    enum status st = commit(p, cursor, true, why);
    return st == ST_OK ? parts_write_manifest(p, complete, why) : st;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static enum status take_folder(struct parts *p, struct diag *why)
{
    char path[PATH_MAX];
    parts_path(p, "_lock", "", path);
    enum status st = make_folders_above(path, why);
    if (st != ST_OK)
        return st;
    p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->lock_fd < 0)
        return io(why, path);
    if (flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return diag_set(why, ST_REFUSED, "%s: another export writes into this folder", p->dir);
    p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir_fd < 0)
        return io(why, p->dir);
    parts_path(p, PARTS_MANIFEST, "", path);
    p->has_manifest = access(path, F_OK) == 0;
    return ST_OK;
}

/* A file of the list is there under its name; or, where the writer was killed between the place and the rename, beside
 * it. A neighbour that the place does not mean is one that was to replace it and came too late. */
static enum status check_part(struct parts *p, struct part *part, struct diag *why)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    struct packed_state found;
    parts_path(p, part->name, "", path);
    parts_path(p, part->name, PART_TEMPORARY, temporary);
    enum status st = packed_look(temporary, &found, why);
    if (st == ST_OK && memcmp(found.digest, part->state.digest, sizeof found.digest) == 0) {
        part->renamed = false;
        return ST_OK;
    }
    if (st != ST_OK && st != ST_MISSING)
        return st;
    if (st == ST_OK && unlink(temporary) != 0)
        return io(why, temporary);
    part->renamed = true;
    return access(path, F_OK) == 0 ? ST_OK : diag_set(why, ST_FORMAT, "%s: was written, and is gone", path);
}

/* What was committed of a file that was written becomes a part; the rest never was. */
static enum status seal_stream(struct parts *p, int stream, struct diag *why)
{
    struct part_stream *s = &p->streams[stream];
    char name[PART_NAME_BYTES], temporary[PATH_MAX];
    parts_name(p, stream, s->number, name);
    parts_path(p, name, PART_TEMPORARY, temporary);
    if (s->bytes == 0)
        return unlink(temporary) != 0 && errno != ENOENT ? io(why, temporary) : ST_OK;
    struct packed_state state;
    enum status st = packed_seal(temporary, s->bytes, &state, why);
    return st == ST_OK ? enter(p, stream, &state) : st;
}

static enum status put_in_order(struct parts *p, struct diag *why)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < p->n; i++)
        st = check_part(p, &p->list[i], why);
    size_t n = p->n;
    for (int i = 0; st == ST_OK && i <= p->shards; i++)
        st = seal_stream(p, i, why);
    if (st == ST_OK && p->n != n)
        st = parts_write_place(p, &p->cursor, why);
    return st == ST_OK ? rename_ended(p, why) : st;
}

static enum status start(struct parts *p, const struct parts_options *o, struct diag *why)
{
    if (snprintf(p->dir, sizeof p->dir, "%s", o->dir) >= (int)sizeof p->dir)
        return diag_set(why, ST_LIMIT, "%s: path too long", o->dir);
    p->dir_fd = p->lock_fd = -1;
    p->part_bytes = o->part_bytes;
    p->shards = o->shards;
    for (int i = 0; i < p->shards; i++)
        p->streams[i].number = (uint64_t)i;
    p->source = strdup(o->source);
    p->models = jsn_new_array();
    p->policies = jsn_new_array();
    return p->source && p->models && p->policies ? ST_OK : ST_NOMEM;
}

enum status parts_open(const struct parts_options *o, struct parts **out, struct diag *why)
{
    struct parts *p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    enum status st = start(p, o, why);
    if (st == ST_OK)
        st = take_folder(p, why);
    if (st == ST_OK)
        st = parts_read_place(p, why);
    if (st == ST_OK)
        st = put_in_order(p, why);
    if (st != ST_OK) {
        parts_close(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void parts_close(struct parts *p)
{
    if (!p)
        return;
    for (int i = 0; i <= p->shards; i++) {
        char name[PART_NAME_BYTES], temporary[PATH_MAX];
        if (p->streams[i].file && p->streams[i].bytes == 0) { /* nothing of it was committed */
            parts_name(p, i, p->streams[i].number, name);
            parts_path(p, name, PART_TEMPORARY, temporary);
            unlink(temporary);
        }
        packed_close(p->streams[i].file);
    }
    if (p->dir_fd >= 0)
        close(p->dir_fd);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    jsn_free(p->models);
    jsn_free(p->policies);
    free(p->source);
    free(p->list);
    free(p);
}

const struct result_cursor *parts_cursor(const struct parts *p)
{
    return &p->cursor;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static int shard_of(const struct parts *p, const struct json *record)
{
    const char *key = jsn_string(jsn_get(record, "id"), "");
    uint8_t digest[SHA256_BYTES];
    if (p->shards == 1)
        return 0;
    sha256_of(key, strlen(key), digest);
    uint32_t word = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
    return (int)(word % (uint32_t)p->shards);
}

static enum part_count kind_of(const struct json *record)
{
    const char *status = jsn_string(jsn_get(record, "status"), "failed");
    return strcmp(status, "ok") == 0 ? COUNT_OK : strcmp(status, "partial") == 0 ? COUNT_PARTIAL : COUNT_FAILED;
}

/* It names files that are about to change. */
static enum status drop_manifest(struct parts *p, struct diag *why)
{
    char path[PATH_MAX];
    if (!p->has_manifest)
        return ST_OK;
    parts_path(p, PARTS_MANIFEST, "", path);
    if ((unlink(path) != 0 && errno != ENOENT) || fsync(p->dir_fd) != 0)
        return io(why, path);
    p->has_manifest = false;
    return ST_OK;
}

enum status parts_put(struct parts *p, const struct json *record, const char *text, size_t len, struct diag *why)
{
    char name[PART_NAME_BYTES], temporary[PATH_MAX];
    enum part_count kind = kind_of(record);
    int stream = kind == COUNT_FAILED ? p->shards : shard_of(p, record);
    struct part_stream *s = &p->streams[stream];
    enum status st = drop_manifest(p, why);
    if (st == ST_OK)
        st = parts_note(p, record);
    if (st == ST_OK && !s->file) {
        parts_name(p, stream, s->number, name);
        parts_path(p, name, PART_TEMPORARY, temporary);
        st = packed_create(temporary, &s->file, why);
    }
    if (st == ST_OK)
        st = packed_put(s->file, text, len, why);
    if (st != ST_OK)
        return st;
    s->plain += len + 1;
    s->records++;
    p->counts[kind]++;
    return ST_OK;
}

/* ---- taking out ------------------------------------------------------------------------------------------------- */

static enum status count_dropped(struct parts *p, const char *text, size_t len)
{
    struct json *record = NULL;
    enum status st = jsn_parse(text, len, "record", &record, NULL);
    if (st == ST_OK) {
        p->counts[kind_of(record)]--;
        p->counts[COUNT_FORGOTTEN]++;
    }
    jsn_free(record);
    return st;
}

/* One file's lines, but for those that fn drops, into another; *dropped: how many. */
static enum status filter(struct parts *p, struct lines *in, struct packed *out, parts_drop_fn fn, void *ctx,
                          uint64_t *dropped, struct diag *why)
{
    struct line line;
    enum status st;
    while ((st = lines_next(in, &line, why)) == ST_OK) {
        if (fn(ctx, line.text, line.len)) {
            st = count_dropped(p, line.text, line.len);
            ++*dropped;
        } else {
            st = packed_put(out, line.text, line.len, why);
        }
        if (st != ST_OK)
            return st;
    }
    return st == ST_CLOSED ? ST_OK : st;
}

/* The new file is NAME.tmp until the place knows it, as with all of them. */
static enum status drop_from(struct parts *p, struct part *part, parts_drop_fn fn, void *ctx, struct diag *why)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    struct lines *in = NULL;
    struct packed *out = NULL;
    struct packed_state state;
    uint64_t dropped = 0;
    parts_path(p, part->name, "", path);
    parts_path(p, part->name, PART_TEMPORARY, temporary);
    enum status st = lines_open(path, LINE_BYTES, &in, why);
    if (st == ST_OK)
        st = packed_create(temporary, &out, why);
    if (st == ST_OK)
        st = filter(p, in, out, fn, ctx, &dropped, why);
    if (st == ST_OK && dropped > 0)
        st = packed_end(out, &state, why);
    packed_close(out);
    lines_close(in);
    if (st != ST_OK || dropped == 0) {
        unlink(temporary);
        return st;
    }
    part->state = state;
    part->records -= dropped;
    part->renamed = false;
    st = parts_write_place(p, &p->cursor, why);
    return st == ST_OK ? rename_ended(p, why) : st;
}

enum status parts_drop(struct parts *p, parts_drop_fn fn, void *ctx, struct diag *why)
{
    enum status st = drop_manifest(p, why);
    if (st == ST_OK)
        st = commit(p, &p->cursor, true, why);
    for (size_t i = 0; st == ST_OK && i < p->n; i++)
        st = drop_from(p, &p->list[i], fn, ctx, why);
    return st;
}
