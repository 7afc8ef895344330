/* Many HTTP exchanges at a time on one thread of their own, over connections that are kept and shared (HTTP/2 where the
 * server has it). One exchange is one request and its answer: whoever asks follows redirects and tries again.
 *
 * Every address is looked at when its socket is made and again before a request is sent, so that neither a name that
 * changes its address nor a connection that is there already leads into the own network. transfer.c is one
 * exchange. transfers_run may be called from any number of threads, and blocks. */
#ifndef MEDIA_TRANSFERS_H
#define MEDIA_TRANSFERS_H

#include <stdbool.h>

#include "media/fetch.h"
#include "media/fetch_impl.h"

enum {
    TRANSFER_HEADERS = 4,
    TRANSFER_ETAG_BYTES = 160,
    TRANSFER_REGION_BYTES = 40,
    TRANSFER_WORDS_BYTES = 320,
};

enum transfer_end {
    TRANSFER_ANSWERED, /* there is an answer; `http` tells which */
    TRANSFER_STOPPED,  /* by transfers_stop */
    TRANSFER_BLOCKED,  /* the name leads to an address that is not public */
    TRANSFER_BLOCKED_PORT,
    TRANSFER_TOO_LARGE,
    TRANSFER_NO_MEMORY,
    TRANSFER_NO_HOST, /* the name has no address, or could not be asked for */
    TRANSFER_CONNECT_TIMEOUT,
    TRANSFER_FIRST_BYTE_TIMEOUT,
    TRANSFER_TIMEOUT,
    TRANSFER_CERTIFICATE,      /* the server's is not to be trusted */
    TRANSFER_OWN_CERTIFICATES, /* the list of authorities can't be read here */
    TRANSFER_BROKEN,           /* no connection, or it broke */
};

struct transfer_request {
    const char *url;  /* http or https */
    const char *host; /* for turns and pauses: "example.org:443" */
    struct range range;
    size_t max_bytes;                      /* of the answer's body */
    bool trusted;                          /* an address that the operator named: any host and port will do */
    const char *user_password;             /* or NULL */
    const char *sigv4;                     /* libcurl's words for signing, or NULL */
    const char *ca_file;                   /* in place of the options', or NULL */
    const char *headers[TRANSFER_HEADERS]; /* "Name: value" */
    int n_headers;
};

struct transfer_answer {
    enum transfer_end end;
    char words[TRANSFER_WORDS_BYTES]; /* why, where there is no answer */
    long http;                        /* status */
    struct bytes body;                /* of other answers than 2xx: its beginning */
    char *location;                   /* where a redirect leads, absolute, or NULL; malloc'ed */
    int64_t retry_after_ms;           /* 0: not said */
    bool has_content_range;
    uint64_t range_from;                   /* of Content-Range */
    bool no_ai;                            /* X-Robots-Tag asks for it */
    bool no_store;                         /* Cache-Control asks for it */
    char etag[TRANSFER_ETAG_BYTES];        /* with its quotes; "": none, or a weak one */
    char s3_region[TRANSFER_REGION_BYTES]; /* of the bucket, where S3 says it */
};
void transfer_answer_fini(struct transfer_answer *a); /* zeroed or filled */

struct transfers;
/* Starts libcurl and the thread. options: borrowed; defaults filled in. */
MUST_CHECK enum status transfers_open(const struct fetch_options *o, struct transfers **out, struct diag *why);
void transfers_close(struct transfers *t); /* nobody is in transfers_run any more; NULL is fine */
/* The caller owns what is in *out: transfer_answer_fini. */
void transfers_run(struct transfers *t, const struct transfer_request *r, struct transfer_answer *out);
/* Nothing begins at this host before so long. */
void transfers_pause(struct transfers *t, const char *host, int64_t ms);
/* Waits; false: transfers_stop came. */
bool transfers_sleep(struct transfers *t, int64_t ms);
/* Whatever runs or is asked for from here on ends as TRANSFER_STOPPED. */
void transfers_stop(struct transfers *t);

#endif
