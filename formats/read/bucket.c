#include "formats/read/bucket.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/uri.h"
#include "formats/read/make_input.h"
#include "formats/read/shard.h"

struct bucket {
    struct source source;
    const struct inputs_options *options;
    char *uri;
    char *token; /* where the next page begins */
    bool begun, ended;
    char **names; /* names[at .. n): not given out */
    int at, n;
    struct source *shard; /* that is being read */
};

bool is_bucket_folder(const char *uri)
{
    static const char scheme[] = "s3://";
    size_t n = strlen(uri);
    if (strncasecmp(uri, scheme, sizeof scheme - 1) != 0)
        return false;
    return uri[n - 1] == '/' || !strchr(uri + sizeof scheme - 1, '/');
}

static void drop_names(struct bucket *b)
{
    for (int i = 0; i < b->n; i++)
        free(b->names[i]);
    free(b->names);
    b->names = NULL;
    b->at = b->n = 0;
}

static void close_bucket(struct source *source)
{
    struct bucket *b = (struct bucket *)(void *)source;
    if (b->shard)
        b->shard->close(b->shard);
    drop_names(b);
    free(b->token);
    free(b->uri);
    free(b);
}

static enum status fail(struct bucket *b, enum status s, const struct diag *cause, struct input *out)
{
    char shown[URI_SHOWN_BYTES];
    struct diag why = {""};
    b->ended = true;
    diag_set(&why, s, "%.200s: %s", uri_shown(b->uri, shown, sizeof shown), cause->text);
    return make_error_of_uri(b->options, b->uri, make_code_of_reading(s), why.text, out);
}

/* ST_CLOSED: there is no further page. */
static enum status read_page(struct bucket *b, struct diag *why)
{
    const struct inputs_remote *r = b->options->remote;
    if (b->begun && !b->token)
        return ST_CLOSED;
    drop_names(b);
    if (!r)
        return diag_set(why, ST_IO, "buckets are not listed here");
    enum status s = r->list(r->ctx, b->uri, &b->token, &b->names, &b->n, why);
    b->begun = true;
    return s;
}

/* One name: ST_CLOSED where it is a shard, which has been opened. */
static enum status take(struct bucket *b, struct input *out)
{
    const char *name = b->names[b->at++];
    if (!is_shard_name(name))
        return make_from_uri(b->options, name, out);
    enum status s = shard_open(b->options, name, true, &b->shard);
    return s == ST_OK ? ST_CLOSED : s;
}

static enum status next(struct source *source, struct input *out)
{
    struct bucket *b = (struct bucket *)(void *)source;
    struct diag why = {""};
    for (;;) {
        enum status s = ST_CLOSED;
        if (b->shard) {
            if ((s = b->shard->next(b->shard, out)) != ST_CLOSED)
                return s;
            b->shard->close(b->shard);
            b->shard = NULL;
        } else if (b->at < b->n) {
            if ((s = take(b, out)) != ST_CLOSED)
                return s;
        } else {
            s = b->ended ? ST_CLOSED : read_page(b, &why);
            if (s == ST_CLOSED || s == ST_NOMEM)
                return s;
            if (s != ST_OK)
                return fail(b, s, &why, out);
        }
    }
}

enum status bucket_open(const struct inputs_options *o, const char *uri, struct source **out)
{
    struct bucket *b = calloc(1, sizeof *b);
    if (!b || !(b->uri = strdup(uri))) {
        free(b);
        return ST_NOMEM;
    }
    b->source = (struct source){.next = next, .close = close_bucket};
    b->options = o;
    *out = &b->source;
    return ST_OK;
}
