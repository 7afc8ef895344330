#include "formats/read/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/uri.h"
#include "formats/read/local_path.h"
#include "formats/read/make_input.h"
#include "formats/read/tar.h"
#include "formats/read/walk.h"

struct shard {
    struct source source;
    const struct inputs_options *options;
    char *path; /* as given */
    char *uri;  /* by which jobs name it; NULL until it is opened */
    bool remote, ended;
    int fd;
    uint64_t size; /* of a local one */
    struct tar *tar;
    uint64_t n_images;
    int n_given;       /* inputs so far */
    bool broken;       /* so nobody knows how many it has */
    struct input held; /* the next to give: whether it is the last one is known when the one behind it is */
    bool holds;
};

bool is_shard_name(const char *path)
{
    size_t n = strlen(path);
    return n > strlen(".tar") && strcmp(path + n - strlen(".tar"), ".tar") == 0;
}

static enum status read_local(void *ctx, uint64_t offset, size_t want, uint8_t *room, size_t *got, struct diag *why)
{
    const struct shard *s = ctx;
    for (*got = 0; *got < want;) {
        ssize_t n = pread(s->fd, room + *got, want - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return diag_set(why, ST_IO, "%s", strerror(errno));
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return ST_OK;
}

static enum status read_remote(void *ctx, uint64_t offset, size_t want, uint8_t *room, size_t *got, struct diag *why)
{
    const struct shard *s = ctx;
    const struct inputs_remote *r = s->options->remote;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum status status = r->read(r->ctx, s->path, offset, want, &bytes, &len, why);
    if (status == ST_OK) {
        *got = len < want ? len : want;
        memcpy(room, bytes, *got);
    }
    free(bytes);
    return status;
}

static void close_shard(struct source *source)
{
    struct shard *s = (struct shard *)(void *)source;
    tar_close(s->tar);
    if (s->holds)
        input_fini(&s->held);
    if (s->fd >= 0)
        close(s->fd);
    free(s->uri);
    free(s->path);
    free(s);
}

static enum status begin_local(struct shard *s, struct diag *why)
{
    struct stat st;
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (s->fd < 0)
        return diag_set(why, ST_IO, "%s", strerror(errno));
    if (fstat(s->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return diag_set(why, ST_IO, "not a regular file");
    s->size = (uint64_t)st.st_size;
    return make_local_uri(s->options, NULL, s->path, &s->uri, why);
}

static enum status begin(struct shard *s, struct diag *why)
{
    if (s->remote && !s->options->remote)
        return diag_set(why, ST_IO, "shards on other machines are not read here");
    enum status status = s->remote ? ST_OK : begin_local(s, why);
    if (status == ST_OK && s->remote && !(s->uri = strdup(s->path)))
        status = ST_NOMEM;
    return status == ST_OK ? tar_open(s->remote ? read_remote : read_local, s, &s->tar) : status;
}

/* The whole shard, or the rest of it, as one item that failed. */
static enum status fail(struct shard *s, const char *code, const struct diag *cause, struct input *out)
{
    char shown[URI_SHOWN_BYTES];
    struct diag why = {""};
    diag_set(&why, ST_FORMAT, "%.200s: %s", uri_shown(s->path, shown, sizeof shown), cause->text);
    s->ended = s->broken = true;
    if (s->remote)
        return make_error_of_uri(s->options, s->path, code, why.text, out);
    return make_error(s->options, s->path, code, why.text, out);
}

/* The URI of a member says where it lies; its key only what it is called, so that a shard that was written anew with
 * the same members has the same ids. */
static enum status make_member(struct shard *s, const struct tar_member *m, const char *error, const char *message,
                               struct input *out)
{
    char *name = NULL, *key = NULL, *uri = NULL;
    enum status status = path_as_name(m->name, &name);
    if (status == ST_OK && (asprintf(&key, "%s#%s", s->uri, name) < 0 ||
                            asprintf(&uri, "%s#%s@%llu+%llu", s->uri, name, (unsigned long long)m->offset,
                                     (unsigned long long)m->size) < 0))
        status = ST_NOMEM;
    if (status == ST_OK && error)
        status = make_error_of_uri(s->options, key, error, message, out);
    else if (status == ST_OK)
        status = make_of_group(s->options, key, uri, s->uri, out);
    free(name);
    free(key);
    free(uri);
    return status;
}

static enum status take(struct shard *s, const struct tar_member *m, struct input *out)
{
    s->n_images++;
    if (m->size == 0)
        return make_member(s, m, "empty_file", "an empty member", out);
    if (!s->remote && (m->offset > s->size || m->size > s->size - m->offset))
        return make_member(s, m, "bad_member", "the shard breaks off before this member's end", out);
    return make_member(s, m, NULL, NULL, out);
}

static enum status read_one(struct shard *s, struct input *out)
{
    struct tar_member m = {0};
    struct diag why = {""};
    if (s->ended)
        return ST_CLOSED;
    enum status status = s->tar ? ST_OK : begin(s, &why);
    if (status != ST_OK && status != ST_NOMEM)
        return fail(s, status == ST_MISSING ? "unknown_root" : "unreadable", &why, out);
    while (status == ST_OK) {
        status = tar_next(s->tar, &m, &why);
        if (status == ST_OK && walk_is_image_name(m.name))
            return take(s, &m, out);
        if (status == ST_UNSUPPORTED || status == ST_LIMIT)
            return make_member(s, &m, status == ST_LIMIT ? "too_long" : "bad_member", why.text, out);
    }
    if (status == ST_CLOSED && s->n_images == 0) {
        diag_set(&why, ST_MISSING, "no member has the name of an image");
        return fail(s, "not_an_image", &why, out);
    }
    if (status == ST_CLOSED || status == ST_NOMEM)
        return status;
    return fail(s, make_code_of_reading(status), &why, out);
}

/* The last one says how many there are, so that who writes beside the shard knows when all of them are done. */
static enum status next(struct source *source, struct input *out)
{
    struct shard *s = (struct shard *)(void *)source;
    for (;;) {
        struct input in = {0};
        enum status status = read_one(s, &in);
        bool last = status == ST_CLOSED && s->holds;
        if (status != ST_OK && !last)
            return status;
        s->ended = s->ended || last;
        if (last && !s->broken)
            s->held.job->group_images = s->n_given;
        bool held = s->holds;
        *out = s->held;
        s->held = in;
        s->holds = !last;
        s->n_given += !last;
        if (held)
            return ST_OK;
    }
}

enum status shard_open(const struct inputs_options *o, const char *path, bool is_uri, struct source **out)
{
    struct shard *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        free(s);
        return ST_NOMEM;
    }
    s->source = (struct source){.next = next, .close = close_shard};
    s->options = o;
    s->remote = is_uri;
    s->fd = -1;
    *out = &s->source;
    return ST_OK;
}
