#include "formats/write/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "formats/write/jsonl.h"
#include "formats/write/new_file.h"

enum { NAME_BYTES = 32, PLACE_MOST = 4096 };

struct segments {
    char dir[PATH_MAX - 2 * NAME_BYTES];
    char *source;
    int dir_fd, lock_fd;
    uint64_t segment_bytes;
    uint64_t number, bytes; /* of the file that is written, put included */
    uint64_t cursor;        /* committed */
    struct jsonl *file;     /* NULL until something is put */
};

static enum status io(struct diag *why, const char *path)
{
    return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
}

static void path_of(const struct segments *s, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", s->dir, name);
}

static void segment_path(const struct segments *s, uint64_t number, char out[PATH_MAX])
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "records-%06llu.jsonl", (unsigned long long)number);
    path_of(s, name, out);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static enum status take_folder(struct segments *s, struct diag *why)
{
    char path[PATH_MAX];
    path_of(s, "lock", path);
    enum status st = make_folders_above(path, why);
    if (st != ST_OK)
        return st;
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock_fd < 0)
        return io(why, path);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return diag_set(why, ST_REFUSED, "%s: another export writes into this folder", s->dir);
    s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->dir_fd < 0 ? io(why, s->dir) : ST_OK;
}

static enum status read_place(struct segments *s, struct diag *why)
{
    char path[PATH_MAX];
    struct json *place = NULL;
    path_of(s, "place.json", path);
    if (access(path, F_OK) != 0)
        return errno == ENOENT ? ST_OK : io(why, path);
    enum status st = jsn_load(path, PLACE_MOST, &place, why);
    if (st != ST_OK)
        return st;
    const char *source = jsn_string(jsn_get(place, "source"), "");
    int64_t number = jsn_int(jsn_get(place, "file"), -1), bytes = jsn_int(jsn_get(place, "bytes"), -1);
    int64_t cursor = jsn_int(jsn_get(place, "cursor"), -1);
    if (strcmp(source, s->source) != 0)
        st = diag_set(why, ST_REFUSED, "%s: keeps the records of \"%s\", not of \"%s\"", s->dir, source, s->source);
    else if (number < 1 || bytes < 0 || cursor < 0)
        st = diag_set(why, ST_FORMAT, "%s: expected \"file\", \"bytes\" and \"cursor\"", path);
    jsn_free(place);
    if (st != ST_OK)
        return st;
    s->number = (uint64_t)number;
    s->bytes = (uint64_t)bytes;
    s->cursor = (uint64_t)cursor;
    return ST_OK;
}

/* What stands behind the place was never committed. */
static enum status cut_back(struct segments *s, struct diag *why)
{
    char path[PATH_MAX];
    struct stat st;
    segment_path(s, s->number, path);
    if (stat(path, &st) != 0)
        return s->bytes == 0 && errno == ENOENT ? ST_OK
                                                : diag_set(why, ST_FORMAT, "%s: should have %llu bytes: %s", path,
                                                           (unsigned long long)s->bytes, strerror(errno));
    if ((uint64_t)st.st_size < s->bytes)
        return diag_set(why, ST_FORMAT, "%s: has %lld bytes, %llu were committed", path, (long long)st.st_size,
                        (unsigned long long)s->bytes);
    return truncate(path, (off_t)s->bytes) != 0 ? io(why, path) : ST_OK;
}

enum status segments_open(const char *dir, const char *source, uint64_t segment_bytes, struct segments **out,
                          struct diag *why)
{
    struct segments *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->dir_fd = s->lock_fd = -1;
    s->number = 1;
    s->segment_bytes = segment_bytes;
    s->source = strdup(source);
    enum status st = s->source ? ST_OK : ST_NOMEM;
    if (st == ST_OK && snprintf(s->dir, sizeof s->dir, "%s", dir) >= (int)sizeof s->dir)
        st = diag_set(why, ST_LIMIT, "%s: path too long", dir);
    if (st == ST_OK)
        st = take_folder(s, why);
    if (st == ST_OK)
        st = read_place(s, why);
    if (st == ST_OK)
        st = cut_back(s, why);
    if (st != ST_OK) {
        segments_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void segments_close(struct segments *s)
{
    if (!s)
        return;
    jsonl_close(s->file);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->source);
    free(s);
}

uint64_t segments_cursor(const struct segments *s)
{
    return s->cursor;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

enum status segments_put(struct segments *s, const char *text, size_t len, struct diag *why)
{
    char path[PATH_MAX];
    enum status st = ST_OK;
    if (!s->file) {
        segment_path(s, s->number, path);
        st = jsonl_open(path, true, &s->file, why);
    }
    if (st == ST_OK)
        st = jsonl_put(s->file, text, len, why);
    if (st == ST_OK)
        s->bytes += len + 1;
    return st;
}

/* Writes `name` whole: under another name, synced, renamed, the folder synced. */
static enum status replace(struct segments *s, const char *name, const char *text, size_t len, struct diag *why)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    struct jsonl *f = NULL;
    path_of(s, name, path);
    path_of(s, "new", temporary);
    enum status st = jsonl_open(temporary, false, &f, why);
    if (st == ST_OK)
        st = jsonl_put(f, text, len, why);
    if (st == ST_OK)
        st = jsonl_sync(f, why);
    jsonl_close(f);
    if (st == ST_OK && (rename(temporary, path) != 0 || fsync(s->dir_fd) != 0))
        st = io(why, path);
    return st;
}

static enum status write_place(struct segments *s, uint64_t cursor, struct diag *why)
{
    struct json *place = jsn_new_object();
    enum status st = jsn_put(place, "source", jsn_new_string(s->source));
    if (st == ST_OK)
        st = jsn_put(place, "file", jsn_new_int((int64_t)s->number));
    if (st == ST_OK)
        st = jsn_put(place, "bytes", jsn_new_int((int64_t)s->bytes));
    if (st == ST_OK)
        st = jsn_put(place, "cursor", jsn_new_int((int64_t)cursor));
    char *text = st == ST_OK ? jsn_text(place) : NULL;
    jsn_free(place);
    if (!text)
        return st == ST_OK ? ST_NOMEM : st;
    st = replace(s, "place.json", text, strlen(text), why);
    free(text);
    return st;
}

/* A file that is full gives way to the next one, which the same place names: its name is on disk by then too. */
enum status segments_commit(struct segments *s, uint64_t cursor, struct diag *why)
{
    enum status st = s->file ? jsonl_sync(s->file, why) : ST_OK;
    if (st != ST_OK)
        return st;
    if (s->bytes >= s->segment_bytes) {
        jsonl_close(s->file);
        s->file = NULL;
        s->number++;
        s->bytes = 0;
    }
    st = write_place(s, cursor, why);
    if (st == ST_OK)
        s->cursor = cursor;
    return st;
}

/* ---- rewriting -------------------------------------------------------------------------------------------------- */

/* Spaces behind the value, so that the line keeps its length. */
static enum status pad(char **text, size_t len, struct diag *why)
{
    size_t n = strlen(*text);
    char *padded = n <= len ? realloc(*text, len + 1) : NULL;
    if (!padded)
        return n <= len ? ST_NOMEM : diag_set(why, ST_LIMIT, "a line that should take the place of a shorter one");
    memset(padded + n, ' ', len - n);
    padded[len] = '\0';
    *text = padded;
    return ST_OK;
}

/* One file's lines through fn into `out`; *changed: some were replaced. */
static enum status filter(FILE *in, struct jsonl *out, segments_line_fn fn, void *ctx, bool *changed, struct diag *why)
{
    char *line = NULL;
    size_t room = 0;
    enum status st = ST_OK;
    for (ssize_t n; st == ST_OK && (n = getline(&line, &room, in)) > 0;) {
        size_t len = (size_t)n - (line[n - 1] == '\n');
        char *other = NULL;
        st = fn(ctx, line, len, &other, why);
        if (st == ST_OK && other)
            st = pad(&other, len, why);
        if (st == ST_OK)
            st = jsonl_put(out, other ? other : line, len, why);
        *changed |= other != NULL;
        free(other);
    }
    free(line);
    return st;
}

static enum status rewrite_file(struct segments *s, uint64_t number, segments_line_fn fn, void *ctx, struct diag *why)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    struct jsonl *out = NULL;
    bool changed = false;
    segment_path(s, number, path);
    path_of(s, "new", temporary);
    FILE *in = fopen(path, "re");
    if (!in)
        return errno == ENOENT ? ST_OK : io(why, path);
    enum status st = jsonl_open(temporary, false, &out, why);
    if (st == ST_OK)
        st = filter(in, out, fn, ctx, &changed, why);
    if (st == ST_OK)
        st = jsonl_sync(out, why);
    jsonl_close(out);
    fclose(in);
    if (st != ST_OK || !changed)
        unlink(temporary);
    else if (rename(temporary, path) != 0 || fsync(s->dir_fd) != 0)
        st = io(why, path);
    return st;
}

enum status segments_rewrite(struct segments *s, segments_line_fn fn, void *ctx, struct diag *why)
{
    jsonl_close(s->file);
    s->file = NULL;
    enum status st = ST_OK;
    for (uint64_t i = 1; st == ST_OK && i <= s->number; i++)
        st = rewrite_file(s, i, fn, ctx, why);
    return st;
}
