/* http and https: the address against the rules, and redirects, each of which is looked at like the first address. */
#include <stdlib.h>
#include <string.h>

#include "media/http.h"

static bool is_redirect(const struct transfer_answer *a)
{
    return a->http >= 300 && a->http < 400 && a->http != 304 && a->location;
}

static enum status judge(const struct http *h, struct transfer_answer *a, const struct range *range, const char *shown,
                         struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    enum status s = http_is_same(a, range, "") ? ST_OK : http_judge(a, range, shown, kind, why);
    if (s == ST_OK && a->no_ai && !h->options->ignore_no_ai)
        s = fetch_refuse(kind, FETCH_NOT_ALLOWED, why, "%s: its owner says noai (X-Robots-Tag)", shown);
    if (s == ST_OK)
        *out = http_take_body(a);
    return s;
}

/* One address. *next: where it redirects to, malloc'ed, or NULL. */
static enum status get(struct http *h, const char *url, const struct range *range, char **next, struct bytes *out,
                       bool *keep, enum fetch_error *kind, struct diag *why)
{
    struct http_address address;
    http_address_read(url, &address);
    if (!address.sound)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "%s: no usable address: %s", address.shown, address.trouble);
    struct transfer_request r = {.url = url, .host = address.host, .range = *range, .max_bytes = h->options->max_bytes};
    if (!range->whole)
        r.max_bytes = (size_t)range->length; /* a server that ignores the range is cut off at once */
    char condition[HTTP_CONDITION_BYTES];
    http_ask_condition(range, "", condition, &r);
    struct transfer_answer a;
    enum status s = http_get(h, &r, &address, &a, kind, why);
    if (s != ST_OK)
        return s;
    if (is_redirect(&a)) {
        *next = a.location;
        a.location = NULL;
    } else {
        s = judge(h, &a, range, address.shown, out, kind, why);
    }
    *keep = !a.no_store;
    transfer_answer_fini(&a);
    return s;
}

/* What went wrong behind a redirect is told with the address that was asked for. */
static enum status follow(struct http *h, const struct http_address *first, const char *url, const struct range *range,
                          char **next, struct bytes *out, bool *keep, enum fetch_error *kind, struct diag *why)
{
    enum { MOST_SHOWN = 140 }; /* so that a long address leaves room for what is wrong */
    enum status s = get(h, url, range, next, out, keep, kind, why);
    return s == ST_OK ? s : diag_wrap(why, s, "%.*s: redirected", MOST_SHOWN, first->shown);
}

enum status fetch_http(struct http *h, const char *url, const struct range *range, struct bytes *out, bool *keep,
                       enum fetch_error *kind, struct diag *why)
{
    struct http_address first;
    http_address_read(url, &first);
    if (!range->whole && range->length > h->options->max_bytes)
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "%s: a member of %llu bytes", first.shown,
                            (unsigned long long)range->length);
    char *next = NULL;
    enum status s = get(h, url, range, &next, out, keep, kind, why);
    for (int redirects = 1; s == ST_OK && next; redirects++) {
        char *here = next;
        next = NULL;
        s = redirects > h->options->max_redirects ? fetch_refuse(kind, FETCH_HTTP_STATUS, why, "%s: over %d redirects",
                                                                 first.shown, h->options->max_redirects)
                                                  : follow(h, &first, here, range, &next, out, keep, kind, why);
        free(here);
    }
    free(next);
    return s;
}
