/* HTTP with patience: one GET, tried again where the failure may pass, and what its end means. Inside of media;
 * fetch_http.c follows redirects with it, s3.c signs. */
#ifndef MEDIA_HTTP_H
#define MEDIA_HTTP_H

#include "media/fetch_impl.h"
#include "media/http_address.h"
#include "media/transfers.h"

struct http {
    const struct fetch_options *options; /* defaults filled in */
    struct transfers *transfers;
};

/* Runs the request (its host and range are the caller's to fill in) up to 1 + retries times. ST_OK: there is an answer
 * of whatever status, unless one that may pass came every time; the caller owns what is in *out. address: of the
 * request's URL. */
MUST_CHECK enum status http_get(struct http *h, const struct transfer_request *r, const struct http_address *address,
                                struct transfer_answer *out, enum fetch_error *kind, struct diag *why);
/* Whether the status and the body of the answer are what the range asked for. */
MUST_CHECK enum status http_judge(const struct transfer_answer *a, const struct range *range, const char *shown,
                                  enum fetch_error *kind, struct diag *why);
/* The bytes of a request for this range: what is in the answer, or for a loose range nothing where it begins behind the
 * end. Takes the body. */
struct bytes http_take_body(struct transfer_answer *a);

/* Asks for the bytes only if they are not known by a stamp, by a header of the request that is written to `header`.
 * where: what such stamps hang on beside the URI. */
enum { HTTP_CONDITION_BYTES = TRANSFER_ETAG_BYTES + 32 };
void http_ask_condition(const struct range *range, const char *where, char header[HTTP_CONDITION_BYTES],
                        struct transfer_request *r);
/* Whether the answer is that they are; else the stamp by which those that came are known from now on. */
bool http_is_same(const struct transfer_answer *a, const struct range *range, const char *where);

#endif
