/* URIs -> bytes.
 *
 *   NAME:path              file under the root NAME
 *   /path, file:///path    file that lies under one of the roots' folders; %XX in a file: URI is a byte
 *   path                   relative to the only root, where there is exactly one
 *   x.tar#name@offset+length  member of a tar shard, of any of these but data: one range read
 *   data:[type][;base64],  up to 1 MiB
 *   s3://bucket/key        signed; the key stands as it is
 *   http: https:           many at a time on one thread (transfers.h): time and size bounded, few redirects, tried
 * again where a failure may pass, public addresses and listed ports only
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
    uint8_t *data; /* malloc'ed; may be NULL where len is 0 */
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
    FETCH_BLOCKED_ADDRESS, /* permanent: private, loopback or otherwise local address, or a port that is not listed */
    FETCH_NOT_ALLOWED,     /* permanent: the owner asks for no such use */
    FETCH_UNKNOWN_HOST,    /* permanent: there is no host of that name */
    FETCH_CERTIFICATE,     /* permanent: the server's is not to be trusted */
    FETCH_NO_AUTHORITIES,  /* environment: this machine's list of certificate authorities can't be read */
    FETCH_NO_NAME_SERVICE, /* environment: names of hosts can't be looked up */
    FETCH_HTTP_STATUS,     /* permanent: any other status below 500 that is not 2xx */
    FETCH_HTTP_SERVER,     /* transient: 5xx, 408, 425, 429 */
    FETCH_UNREACHABLE,     /* transient: connection or TLS failed, connection broke */
    FETCH_TIMEOUT,         /* transient */
    FETCH_STOPPED,         /* transient: fetcher_stop */
    FETCH_IO,              /* transient: the system said no while reading */
    FETCH_NOMEM,           /* transient */
    FETCH_ERROR_COUNT_
};
const char *fetch_error_word(enum fetch_error e); /* "root_absent"; "ok". Static storage. */
enum media_class fetch_error_class(enum fetch_error e);

enum s3_addressing {
    S3_ADDRESSING_AUTO, /* the bucket is part of the host's name on AWS, of the path elsewhere */
    S3_ADDRESSING_PATH,
    S3_ADDRESSING_HOST,
};
/* All texts are borrowed while the fetcher lives, and may be NULL. */
struct s3_options {
    const char *endpoint; /* "https://host:port" of a server that is not AWS. Whoever names it trusts it: its address
                             may be a private one */
    const char *region;
    const char *access_key, *secret_key, *session_token; /* else from these files, by profile ("default") */
    const char *credentials_file, *config_file, *profile;
    const char *ca_file;
    enum s3_addressing addressing;
    bool anonymous; /* unsigned, as to public buckets */
};
/* ST_INVALID: no address of a server, or one with user, password or query, which the sentence leaves out. */
MUST_CHECK enum status s3_endpoint_check(const char *endpoint, struct diag *why);

struct fetch_options {
    const struct media_roots *roots; /* borrowed while the fetcher lives; NULL: none */
    size_t max_bytes;                /* of one image; 0 = 256 MiB */
    int connect_timeout_ms;          /* 0 = 5,000 */
    int first_byte_timeout_ms;       /* from the beginning of a try; 0 = 20,000 */
    int timeout_ms;                  /* of a try; 0 = 60,000 */
    int max_redirects;               /* 0 = 4 */
    int retries;                     /* of what may pass, with growing pauses or as Retry-After asks */
    int max_transfers;               /* at a time; 0 = 64 */
    int host_transfers;              /* of them from one host; 0 = 8 */
    int host_delay_ms;               /* between the beginnings of two from one host */
    const uint16_t *ports;           /* that are read besides 80 and 443; borrowed while the fetcher lives */
    int n_ports;
    bool allow_private_hosts; /* private, loopback and link-local addresses too */
    bool ignore_no_ai;        /* X-Robots-Tag: noai is no reason */
    bool no_http;             /* refuse http(s) as FETCH_BAD_URI */
    const char *ca_file;      /* certificates of authorities in place of the system's, or NULL; borrowed likewise */
    const char *user_agent;   /* NULL: "ferretry/VERSION"; borrowed likewise */
    struct s3_options s3;
    const char *cache;   /* folder that keeps what comes over a network, or NULL; borrowed likewise */
    int64_t cache_bytes; /* its budget; 0 = 10 GiB */
};

struct fetcher;
/* Open before other threads start (libcurl's global start). */
MUST_CHECK enum status fetcher_open(const struct fetch_options *o, struct fetcher **out, struct diag *why);
void fetcher_close(struct fetcher *f); /* nobody is in fetch any more; NULL is fine */
/* Transfers that wait or run, and all later ones, end as FETCH_STOPPED. Any thread. */
void fetcher_stop(struct fetcher *f);

/* The caller owns *out: bytes_fini. On failure *kind (may be NULL) tells the cause. The text holds no user, password
 * or query of an address (base/uri.h). */
MUST_CHECK enum status fetch(const struct fetcher *f, const char *uri, struct bytes *out, enum fetch_error *kind,
                             struct diag *why);

/* By what a source's content is known again: what a file system says of a file and its last change, or a server's
 * strong ETag. "": nothing tells it, so also right after a change, since another one could look the same. */
enum { FETCH_STAMP_BYTES = 256 };
struct fetch_stamp {
    char text[FETCH_STAMP_BYTES];
};
/* The same where the content has changed since it had the stamp. Else *same is true, *out empty, and nothing was read:
 * the source was asked all the same, and whether it may be read was looked at. *stamp becomes that of now. */
MUST_CHECK enum status fetch_changed(const struct fetcher *f, const char *uri, struct fetch_stamp *stamp, bool *same,
                                     struct bytes *out, enum fetch_error *kind, struct diag *why);
/* Up to `length` (>= 1) bytes from `offset` of what a URI without "#member" names: fewer at its end, none behind it. */
MUST_CHECK enum status fetch_part(const struct fetcher *f, const char *uri, uint64_t offset, uint64_t length,
                                  struct bytes *out, enum fetch_error *kind, struct diag *why);

/* Names below s3://bucket/prefix, sorted, a page of up to 1,000 a call. *token: NULL at first; then as the call before
 * left it, NULL behind the last page; malloc'ed. The caller owns *out: uri_list_fini. */
struct uri_list {
    char **uris;
    int n;
};
void uri_list_fini(struct uri_list *l);
MUST_CHECK enum status fetch_list(const struct fetcher *f, const char *uri, char **token, struct uri_list *out,
                                  enum fetch_error *kind, struct diag *why);

#endif
