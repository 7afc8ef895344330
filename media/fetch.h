/* URIs -> bytes. The only file that knows libcurl.
 *
 *   NAME:path              file under the root NAME
 *   /path, file:///path    file that lies under one of the roots' folders; %XX in a file: URI is a byte
 *   path                   relative to the only root, where there is exactly one
 *   x.tar#name@offset+length  member of a tar shard, of any of the above or http(s): one range read
 *   data:[type][;base64],  up to 1 MiB
 *   http: https:           through libcurl: time and size bounded, few redirects, public addresses only
 *
 * Files are opened beneath their root by the kernel (openat2, RESOLVE_BENEATH): neither ".." nor a symbolic link leaves
 * it, and only regular files are read. Where that call is not allowed, no symbolic link is followed at all.
 * Thread-safe: a fetcher may be used by any number of threads at a time. */
#ifndef MEDIA_FETCH_H
#define MEDIA_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct bytes {
    uint8_t *data; /* malloc'ed */
    size_t len;
};
void bytes_fini(struct bytes *b); /* zeroed or filled; leaves it zeroed */

/* Named folders, "NAME=/ABSOLUTE/DIR". A folder that is absent is no error here: it may be mounted later. */
struct media_roots;
MUST_CHECK enum status media_roots_new(const char *const *specs, int n, struct media_roots **out, struct diag *why);
void media_roots_free(struct media_roots *r); /* NULL is fine */
int media_roots_count(const struct media_roots *r);
const char *media_roots_name(const struct media_roots *r, int i); /* borrowed */
const char *media_roots_dir(const struct media_roots *r, int i);  /* borrowed */
/* The URI "NAME:path" of a file path that lies textually under a root; the longest folder wins. Malloc'ed. ST_MISSING
 * where no root holds it. */
MUST_CHECK enum status media_roots_uri(const struct media_roots *r, const char *path, char **out, struct diag *why);

/* Same order as protocol's enum error_class. */
enum media_class { MEDIA_PERMANENT, MEDIA_TRANSIENT, MEDIA_ENVIRONMENT };

enum fetch_error {
    FETCH_OK,
    FETCH_BAD_URI,         /* permanent */
    FETCH_UNKNOWN_ROOT,    /* environment: this worker has no root of that name, or no root holds the path */
    FETCH_ROOT_ABSENT,     /* environment: the root's folder is not there or not readable (not mounted) */
    FETCH_MISSING,         /* permanent: no such file, HTTP 404 and 410 */
    FETCH_OUTSIDE_ROOT,    /* permanent: ".." or a link leads out of the root */
    FETCH_NOT_A_FILE,      /* permanent: a folder, FIFO, socket or device */
    FETCH_DENIED,          /* environment: permission, HTTP 401 and 403 */
    FETCH_TOO_LARGE,       /* permanent */
    FETCH_BAD_MEMBER,      /* permanent: range beyond the shard, or the shard answers no range */
    FETCH_BLOCKED_ADDRESS, /* permanent: private, loopback or otherwise local address */
    FETCH_HTTP_STATUS,     /* permanent: any other status below 500 that is not 2xx */
    FETCH_HTTP_SERVER,     /* transient: 5xx, 408, 425, 429 */
    FETCH_UNREACHABLE,     /* transient: name, connection or TLS failed, connection broke */
    FETCH_TIMEOUT,         /* transient */
    FETCH_IO,              /* transient: the system said no while reading */
    FETCH_NOMEM,           /* transient */
    FETCH_ERROR_COUNT_
};
const char *fetch_error_word(enum fetch_error e); /* "root_absent"; "ok". Static storage. */
enum media_class fetch_error_class(enum fetch_error e);

struct fetch_options {
    const struct media_roots *roots; /* borrowed while the fetcher lives; NULL: none */
    size_t max_bytes;                /* of one image; 0 = 256 MiB */
    int connect_timeout_ms;          /* 0 = 5,000 */
    int timeout_ms;                  /* of a transfer; 0 = 60,000 */
    int max_redirects;               /* 0 = 4 */
    bool allow_private_hosts;        /* private, loopback and link-local addresses too */
    bool no_http;                    /* refuse http(s) as FETCH_BAD_URI */
};

struct fetcher;
/* Open before other threads start (libcurl's global start). */
MUST_CHECK enum status fetcher_open(const struct fetch_options *o, struct fetcher **out, struct diag *why);
void fetcher_close(struct fetcher *f); /* NULL is fine */

/* The caller owns *out: bytes_fini. On failure *kind (may be NULL) tells the cause. The text never holds user:password
 * or the query of a URL. */
MUST_CHECK enum status fetch(const struct fetcher *f, const char *uri, struct bytes *out, enum fetch_error *kind,
                             struct diag *why);

#endif
