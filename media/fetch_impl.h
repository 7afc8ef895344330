/* Inside fetch: how the parts of a URI's way hang together. */
#ifndef MEDIA_FETCH_IMPL_H
#define MEDIA_FETCH_IMPL_H

#include "media/fetch.h"

/* Bytes [offset, offset + length) of a shard; length 0: the whole. */
struct fetch_range {
    int64_t offset, length;
};

struct fetch_failure {
    enum fetch_error kind;
    struct diag *why; /* may be NULL */
};

struct media_root {
    char *name, *dir;
};
struct media_roots {
    struct media_root *list;
    int n;
};

/* Names the cause and returns false. */
bool fetch_fail(struct fetch_failure *f, enum fetch_error kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* `path` beneath root->dir. uri is for messages. */
bool fetch_file(const struct media_root *root, const char *path, struct fetch_range range, size_t max_bytes,
                const char *uri, struct bytes *out, struct fetch_failure *f);

/* The root that holds an absolute path textually, and the rest of the path below it; NULL where none does. */
const struct media_root *media_roots_holding(const struct media_roots *r, const char *path, const char **below);

struct http;
MUST_CHECK enum status http_open(const struct fetch_options *o, struct http **out);
void http_close(struct http *h); /* NULL is fine */
bool fetch_http(struct http *h, const char *url, struct fetch_range range, size_t max_bytes, struct bytes *out,
                struct fetch_failure *f);

#endif
