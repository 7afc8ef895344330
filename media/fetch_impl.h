/* Inside of media: one file a kind of source. */
#ifndef MEDIA_FETCH_IMPL_H
#define MEDIA_FETCH_IMPL_H

#include "media/fetch.h"

struct fetcher {
    struct fetch_options options; /* defaults filled in */
    struct http *http;            /* NULL under no_http */
    struct s3 *s3;                /* likewise */
    struct cache *cache;          /* or NULL */
};

/* Where a source is known by its content: the stamp that it had, and the one that it has. */
struct known {
    struct fetch_stamp had, has;
    bool same; /* it is as it was, so nothing was read */
};

/* Part of a source, at least one byte; whole: all of it; loose: as much of it as there is. */
struct range {
    bool whole, loose;
    uint64_t offset, length;
    struct known *known; /* NULL: nobody wants to know */
};

/* Sets *kind and the text; returns the status that goes with the kind. */
enum status fetch_refuse(enum fetch_error *kind, enum fetch_error e, struct diag *why, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Name of a root: letters, digits, _ . - and none of the schemes. */
bool root_name_is_sound(const char *name, size_t len);
/* Index of a root or -1. By path: the longest folder that holds the absolute path; *rest is what follows. */
int root_by_name(const struct media_roots *r, const char *name, size_t len);
int root_by_path(const struct media_roots *r, const char *path, const char **rest);

/* A file beneath a folder. `shown` names it in messages. */
MUST_CHECK enum status fetch_file(const char *dir, const char *path, const struct range *range, size_t max_bytes,
                                  const char *shown, struct bytes *out, enum fetch_error *kind, struct diag *why);
MUST_CHECK enum status fetch_data(const char *uri, struct bytes *out, enum fetch_error *kind, struct diag *why);

/* options: borrowed; defaults filled in. */
MUST_CHECK enum status http_open(const struct fetch_options *o, struct http **out, struct diag *why);
void http_close(struct http *h); /* NULL is fine */
void http_stop(struct http *h);  /* NULL is fine */
/* *keep: whether the server lets its answer be kept. */
MUST_CHECK enum status fetch_http(struct http *h, const char *url, const struct range *range, struct bytes *out,
                                  bool *keep, enum fetch_error *kind, struct diag *why);

/* Resolves %XX; returns the number of bytes, never more than len. out may be the text itself. */
size_t percent_decode(const char *text, size_t len, uint8_t *out);

#endif
