#include "media/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    FIRST_WAIT_MS = 500,     /* doubled with each try */
    LONGEST_WAIT_MS = 30000, /* a server that asks for more is left to the queue */
};

enum status http_open(const struct fetch_options *o, struct http **out, struct diag *why)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return ST_NOMEM;
    h->options = o;
    enum status s = transfers_open(o, &h->transfers, why);
    if (s != ST_OK) {
        free(h);
        return s;
    }
    *out = h;
    return ST_OK;
}

void http_stop(struct http *h)
{
    if (h)
        transfers_stop(h->transfers);
}

void http_close(struct http *h)
{
    if (!h)
        return;
    transfers_close(h->transfers);
    free(h);
}

/* ---- ends ----------------------------------------------------------------------------------------------------------
 */

static enum status refuse_name(const struct http_address *a, enum fetch_error *kind, struct diag *why)
{
    if (http_name_trouble(a->name) == ST_MISSING)
        return fetch_refuse(kind, FETCH_UNKNOWN_HOST, why, "%s: there is no host of that name", a->shown);
    return fetch_refuse(kind, FETCH_NO_NAME_SERVICE, why, "%s: the host's address could not be asked for", a->shown);
}

static enum status refuse_end(const struct http *h, const struct transfer_request *r, const struct transfer_answer *t,
                              const struct http_address *a, enum fetch_error *kind, struct diag *why)
{
    const struct fetch_options *o = h->options;
    switch (t->end) {
    case TRANSFER_ANSWERED: return ST_OK;
    case TRANSFER_STOPPED: return fetch_refuse(kind, FETCH_STOPPED, why, "%s: stopped", a->shown);
    case TRANSFER_BLOCKED:
        return fetch_refuse(kind, FETCH_BLOCKED_ADDRESS, why, "%s: leads to a private or local address", a->shown);
    case TRANSFER_BLOCKED_PORT:
        return fetch_refuse(kind, FETCH_BLOCKED_ADDRESS, why, "%s: port %d is not among those that are read", a->shown,
                            a->port);
    case TRANSFER_TOO_LARGE:
        if (!r->range.whole)
            return fetch_refuse(kind, FETCH_BAD_MEMBER, why, "%s: the server does not give that range", a->shown);
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "%s: over %zu bytes", a->shown, r->max_bytes);
    case TRANSFER_NO_MEMORY: return fetch_refuse(kind, FETCH_NOMEM, why, "%s: no memory", a->shown);
    case TRANSFER_NO_HOST: return refuse_name(a, kind, why);
    case TRANSFER_CONNECT_TIMEOUT:
        return fetch_refuse(kind, FETCH_TIMEOUT, why, "%s: no connection after %d ms", a->shown, o->connect_timeout_ms);
    case TRANSFER_FIRST_BYTE_TIMEOUT:
        return fetch_refuse(kind, FETCH_TIMEOUT, why, "%s: no answer after %d ms", a->shown, o->first_byte_timeout_ms);
    case TRANSFER_TIMEOUT: return fetch_refuse(kind, FETCH_TIMEOUT, why, "%s: takes too long", a->shown);
    case TRANSFER_CERTIFICATE: return fetch_refuse(kind, FETCH_CERTIFICATE, why, "%s: %s", a->shown, t->words);
    case TRANSFER_OWN_CERTIFICATES:
        return fetch_refuse(kind, FETCH_NO_AUTHORITIES, why, "%s: the certificates of authorities can't be read here",
                            a->shown);
    case TRANSFER_BROKEN: break;
    }
    return fetch_refuse(kind, FETCH_UNREACHABLE, why, "%s: %s", a->shown, t->words);
}

static bool may_pass(long http)
{
    return http >= 500 || http == 408 || http == 425 || http == 429;
}

struct bytes http_take_body(struct transfer_answer *a)
{
    struct bytes b = a->body;
    a->body = (struct bytes){0};
    if (a->http == 416) { /* its text is no data */
        bytes_fini(&b);
    }
    return b;
}

enum status http_judge(const struct transfer_answer *a, const struct range *range, const char *shown,
                       enum fetch_error *kind, struct diag *why)
{
    enum fetch_error e = FETCH_HTTP_STATUS;
    bool part = a->http == 206 && (!a->has_content_range || a->range_from == range->offset);
    if (range->whole ? a->http >= 200 && a->http < 300
                     : part && (range->loose ? a->body.len <= range->length : a->body.len == range->length))
        return ST_OK;
    if (!range->whole && range->loose && a->http == 416)
        return ST_OK;
    if (!range->whole && ((a->http >= 200 && a->http < 300) || a->http == 416))
        return fetch_refuse(kind, FETCH_BAD_MEMBER, why, "%s: the server does not give that range", shown);
    if (a->http == 404 || a->http == 410)
        e = FETCH_MISSING;
    else if (a->http == 401 || a->http == 403)
        e = FETCH_DENIED;
    else if (may_pass(a->http))
        e = FETCH_HTTP_SERVER;
    return fetch_refuse(kind, e, why, "%s: HTTP status %ld", shown, a->http);
}

/* ---- what is known -------------------------------------------------------------------------------------------------
 */

/* The ETag's length in the stamp that the bytes had; 0: none of there. */
static int known_etag(const struct range *range, const char *where)
{
    const char *had = range->known ? range->known->had.text : "";
    const char *end = had[0] == '"' ? strchr(had + 1, '"') : NULL;
    return end && strcmp(end + 1, where) == 0 ? (int)(end + 1 - had) : 0;
}

void http_ask_condition(const struct range *range, const char *where, char header[HTTP_CONDITION_BYTES],
                        struct transfer_request *r)
{
    int len = known_etag(range, where);
    if (len == 0)
        return;
    snprintf(header, HTTP_CONDITION_BYTES, "If-None-Match: %.*s", len, range->known->had.text);
    r->headers[r->n_headers++] = header;
}

bool http_is_same(const struct transfer_answer *a, const struct range *range, const char *where)
{
    enum { NOT_MODIFIED = 304 };
    struct known *known = range->known;
    if (!known)
        return false;
    known->same = a->http == NOT_MODIFIED && known_etag(range, where) > 0;
    known->has = known->same ? known->had : (struct fetch_stamp){""};
    const char *end = a->etag[0] ? strchr(a->etag + 1, '"') : NULL;
    bool told = !known->same && end && !end[1] && !a->no_ai && !a->no_store;
    size_t size = sizeof known->has.text;
    if (told && snprintf(known->has.text, size, "%s%s", a->etag, where) >= (int)size)
        known->has = (struct fetch_stamp){""};
    return known->same;
}

/* ---- patience ------------------------------------------------------------------------------------------------------
 */

/* From half of it to all of it. */
static int64_t jitter(int64_t ms)
{
    uint32_t draw = 0;
    if (getrandom(&draw, sizeof draw, GRND_NONBLOCK) != (ssize_t)sizeof draw)
        draw = UINT32_MAX;
    return ms / 2 + ms / 2 * draw / UINT32_MAX;
}

/* How long to wait for the next try; -1: there is none. */
static int64_t next_wait(const struct http *h, const struct transfer_answer *a, int tries)
{
    bool hurt =
        a->end == TRANSFER_BROKEN || a->end == TRANSFER_CONNECT_TIMEOUT || a->end == TRANSFER_FIRST_BYTE_TIMEOUT;
    bool asked = a->end == TRANSFER_ANSWERED && may_pass(a->http);
    if (tries > h->options->retries || !(hurt || asked) || a->retry_after_ms > LONGEST_WAIT_MS)
        return -1;
    int64_t wait = jitter((int64_t)FIRST_WAIT_MS << (tries - 1 < 6 ? tries - 1 : 6));
    return a->retry_after_ms > 0 ? a->retry_after_ms + wait / 4 : wait;
}

enum status http_get(struct http *h, const struct transfer_request *r, const struct http_address *address,
                     struct transfer_answer *out, enum fetch_error *kind, struct diag *why)
{
    struct transfer_answer a;
    for (int tries = 1;; tries++) {
        transfers_run(h->transfers, r, &a);
        if (a.retry_after_ms > 0 && may_pass(a.http)) /* others that ask this host wait too */
            transfers_pause(h->transfers, r->host,
                            a.retry_after_ms < LONGEST_WAIT_MS ? a.retry_after_ms : LONGEST_WAIT_MS);
        int64_t wait = next_wait(h, &a, tries);
        if (wait < 0)
            break;
        if (!transfers_sleep(h->transfers, wait)) {
            a.end = TRANSFER_STOPPED;
            break;
        }
        transfer_answer_fini(&a);
    }
    enum status s = refuse_end(h, r, &a, address, kind, why);
    if (s == ST_OK)
        *out = a;
    else
        transfer_answer_fini(&a);
    return s;
}
