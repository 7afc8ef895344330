#include "formats/read/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/read/unpack.h"

enum { FIRST_ROOM = 64 << 10 };

struct lines {
    char *name;
    struct unpack *from;
    char *buffer; /* buffer[at .. n): read and not given out */
    size_t at, n, room;
    size_t max_line;
    uint64_t number, offset;
    bool ended;
};

enum status lines_open(const char *path, size_t max_line, struct lines **out, struct diag *why)
{
    bool in = strcmp(path, "-") == 0;
    int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_set(why, errno == ENOENT || errno == ENOTDIR ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    struct lines *l = NULL;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return diag_set(why, ST_IO, "%s: a folder, not a manifest", path);
    }
    if (!(l = calloc(1, sizeof *l)) || !(l->name = strdup(in ? "stdin" : path))) {
        if (!in)
            close(fd);
        lines_close(l);
        return ST_NOMEM;
    }
    l->max_line = max_line;
    enum status s = unpack_open(fd, l->name, &l->from, why);
    if (s != ST_OK) {
        lines_close(l);
        return s;
    }
    *out = l;
    return ST_OK;
}

void lines_close(struct lines *l)
{
    if (!l)
        return;
    unpack_close(l->from);
    free(l->buffer);
    free(l->name);
    free(l);
}

/* Makes room behind n and reads some more. */
static enum status read_more(struct lines *l, struct diag *why)
{
    if (l->at > 0) {
        memmove(l->buffer, l->buffer + l->at, l->n - l->at);
        l->n -= l->at;
        l->at = 0;
    }
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : FIRST_ROOM;
        char *grown = realloc(l->buffer, room);
        if (!grown)
            return ST_NOMEM;
        l->buffer = grown;
        l->room = room;
    }
    size_t n = 0;
    enum status s = unpack_read(l->from, (uint8_t *)l->buffer + l->n, l->room - l->n, &n, why);
    l->ended = s == ST_OK && n == 0;
    l->n += n;
    return s;
}

/* Drops the rest of a line of which more than max_line is in the buffer; its beginning is kept for messages. */
static enum status drop_rest(struct lines *l, struct line *out, struct diag *why)
{
    enum { KEPT = 256 };
    char *newline = NULL;
    out->too_long = true;
    out->len = KEPT;
    while (!newline && !l->ended) {
        l->offset += l->n - KEPT;
        l->n = KEPT;
        enum status s = read_more(l, why);
        if (s != ST_OK)
            return s;
        newline = memchr(l->buffer + KEPT, '\n', l->n - KEPT);
    }
    size_t end = newline ? (size_t)(newline - l->buffer) + 1 : l->n;
    l->offset += end; /* KEPT bytes of it for those that stayed in the buffer */
    l->at = end;
    out->text = l->buffer;
    return ST_OK;
}

static void drop_byte_order_mark(struct line *line)
{
    static const char mark[] = "\xEF\xBB\xBF";
    enum { MARK_BYTES = sizeof mark - 1 };
    if (line->number == 1 && line->len >= MARK_BYTES && memcmp(line->text, mark, MARK_BYTES) == 0) {
        line->text += MARK_BYTES;
        line->len -= MARK_BYTES;
    }
}

enum status lines_next(struct lines *l, struct line *out, struct diag *why)
{
    size_t seen = 0; /* bytes behind `at` without a newline */
    char *newline = NULL;
    *out = (struct line){.number = l->number + 1};
    while (!newline) {
        newline = l->n > l->at + seen ? memchr(l->buffer + l->at + seen, '\n', l->n - l->at - seen) : NULL;
        seen = l->n - l->at;
        if (newline || l->ended)
            break;
        enum status s = read_more(l, why);
        if (s != ST_OK) {
            l->ended = true;
            l->at = l->n;
            return s;
        }
        if (l->n > l->max_line && !memchr(l->buffer, '\n', l->n)) {
            s = drop_rest(l, out, why);
            out->number = ++l->number;
            out->offset = l->offset;
            return s;
        }
    }
    if (!newline && seen == 0)
        return ST_CLOSED;
    size_t len = newline ? (size_t)(newline - (l->buffer + l->at)) : seen;
    out->text = l->buffer + l->at;
    out->len = len;
    out->too_long = len > l->max_line;
    l->at += len + (newline != NULL);
    l->offset += len + (newline != NULL);
    out->offset = l->offset;
    l->number++;
    drop_byte_order_mark(out);
    return ST_OK;
}

enum status lines_seek(struct lines *l, uint64_t offset, struct diag *why)
{
    uint8_t block[FIRST_ROOM];
    uint64_t number = 0;
    for (uint64_t left = offset; left > 0;) {
        size_t n = 0;
        enum status s = unpack_read(l->from, block, left < sizeof block ? (size_t)left : sizeof block, &n, why);
        if (s != ST_OK)
            return s;
        if (n == 0)
            return diag_set(why, ST_INVALID, "%s: shorter than the place to go on from", l->name);
        for (const uint8_t *at = block; (at = memchr(at, '\n', n - (size_t)(at - block))); at++)
            number++;
        left -= n;
    }
    l->offset = offset;
    l->number = number;
    return ST_OK;
}
