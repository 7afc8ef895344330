/* Which way a URI goes: data in the URI itself, a file under a root, or a transfer. */
#include "media/fetch_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATA_URI_BYTES = 1 << 20, DEFAULT_MAX_BYTES = 256 << 20 };

struct fetcher {
    struct fetch_options options;
    struct http *http; /* NULL where no_http */
};

void bytes_fini(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

const char *fetch_error_word(enum fetch_error e)
{
    static const char *const words[] = {
        "ok",          "bad_uri",     "unknown_root", "root_absent", "missing",         "outside_root",
        "not_a_file",  "denied",      "too_large",    "bad_member",  "blocked_address", "http_status",
        "http_server", "unreachable", "timeout",      "io",          "out_of_memory"};
    return (unsigned)e < FETCH_ERROR_COUNT_ ? words[e] : "unknown";
}

enum media_class fetch_error_class(enum fetch_error e)
{
    switch (e) {
    case FETCH_UNKNOWN_ROOT:
    case FETCH_ROOT_ABSENT:
    case FETCH_DENIED: return MEDIA_ENVIRONMENT;
    case FETCH_HTTP_SERVER:
    case FETCH_UNREACHABLE:
    case FETCH_TIMEOUT:
    case FETCH_IO:
    case FETCH_NOMEM: return MEDIA_TRANSIENT;
    default: return MEDIA_PERMANENT;
    }
}

bool fetch_fail(struct fetch_failure *f, enum fetch_error kind, const char *fmt, ...)
{
    f->kind = kind;
    if (f->why) {
        va_list args;
        va_start(args, fmt);
        char text[DIAG_BYTES];
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        (void)diag_set(f->why, ST_OK, "%s",
                       text); /* cuts at a whole UTF-8 sequence; the status is made from the kind */
    }
    return false;
}

enum status fetcher_open(const struct fetch_options *o, struct fetcher **out, struct diag *why)
{
    struct fetcher *f = calloc(1, sizeof *f);
    if (!f)
        return ST_NOMEM;
    f->options = *o;
    if (f->options.max_bytes == 0)
        f->options.max_bytes = DEFAULT_MAX_BYTES;
    if (!o->no_http && http_open(&f->options, &f->http) != ST_OK) {
        free(f);
        return diag_set(why, ST_NOMEM, "fetch: libcurl could not be started");
    }
    *out = f;
    return ST_OK;
}

void fetcher_close(struct fetcher *f)
{
    if (!f)
        return;
    http_close(f->http);
    free(f);
}

static bool has_prefix(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* Splits "...tar#name@offset+length" in place behind the shard. False: the suffix is there but makes no sense. */
static bool split_member(char *uri, struct fetch_range *range)
{
    char *hash = strstr(uri, ".tar#");
    if (!hash)
        return true;
    hash += strlen(".tar");
    const char *at = strrchr(hash, '@');
    char *end;
    if (!at || !isdigit((unsigned char)at[1]))
        return false;
    range->offset = strtoll(at + 1, &end, 10);
    if (*end != '+' || !isdigit((unsigned char)end[1]))
        return false;
    range->length = strtoll(end + 1, &end, 10);
    *hash = '\0';
    return *end == '\0' && range->length > 0 && range->offset >= 0 && range->offset <= INT64_MAX - range->length;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* %XX sequences to bytes, in place; returns the new length. */
static size_t percent_decode(char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool coded = s[i] == '%' && i + 2 < len && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0;
        s[n++] = coded ? (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2])) : s[i];
        i += coded ? 2 : 0;
    }
    return n;
}

static int base64_digit(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(alphabet, c) : NULL;
    return p ? (int)(p - alphabet) : c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Base64 to bytes, in place; false at a character that is none. Padding is optional. */
static bool base64_decode(char *s, size_t len, size_t *out_len)
{
    while (len > 0 && s[len - 1] == '=')
        len--;
    unsigned bits = 0;
    int held = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int d = base64_digit(s[i]);
        if (d < 0)
            return false;
        bits = (bits << 6 | (unsigned)d) & 0xFFFFFF;
        held += 6;
        if (held >= 8) {
            held -= 8;
            s[n++] = (char)(bits >> held & 0xFF);
        }
    }
    *out_len = n;
    return true;
}

static bool fetch_data(const char *uri, struct bytes *out, struct fetch_failure *f)
{
    size_t len = strlen(uri);
    const char *comma = strchr(uri, ',');
    if (!comma)
        return fetch_fail(f, FETCH_BAD_URI, "data: URI without a comma");
    if (len > 2 * (size_t)DATA_URI_BYTES)
        return fetch_fail(f, FETCH_TOO_LARGE, "data: URI of %zu bytes; at most %d bytes of data are taken", len,
                          DATA_URI_BYTES);
    char *copy = strdup(comma + 1);
    if (!copy)
        return fetch_fail(f, FETCH_NOMEM, "data: no memory");
    size_t n = percent_decode(copy, strlen(copy));
    bool base64 = comma - uri >= 7 && strncasecmp(comma - 7, ";base64", 7) == 0;
    if (base64 && !base64_decode(copy, n, &n)) {
        free(copy);
        return fetch_fail(f, FETCH_BAD_URI, "data: URI whose base64 holds another character");
    }
    if (n > DATA_URI_BYTES) {
        free(copy);
        return fetch_fail(f, FETCH_TOO_LARGE, "data: %zu bytes; at most %d are taken", n, DATA_URI_BYTES);
    }
    *out = (struct bytes){(uint8_t *)copy, n};
    return true;
}

/* "NAME:rest": the root of that name, or NULL with *named telling whether the URI has that form at all. */
static const struct media_root *named_root(const struct media_roots *roots, const char *uri, const char **rest,
                                           bool *named)
{
    const char *colon = strchr(uri, ':'), *slash = strchr(uri, '/');
    *named = colon && colon > uri && (!slash || colon < slash);
    if (!*named)
        return NULL;
    *rest = colon + 1;
    for (int i = 0; roots && i < roots->n; i++)
        if (strlen(roots->list[i].name) == (size_t)(colon - uri) &&
            strncmp(roots->list[i].name, uri, (size_t)(colon - uri)) == 0)
            return &roots->list[i];
    return NULL;
}

static bool fetch_local(const struct fetcher *f, const char *uri, struct fetch_range range, struct bytes *out,
                        struct fetch_failure *failure)
{
    const struct media_roots *roots = f->options.roots;
    const char *path = uri;
    const struct media_root *root;
    bool named = false;
    if (has_prefix(path, "file://"))
        path += strlen("file://");
    if (*path == '/')
        root = media_roots_holding(roots, path, &path);
    else if (!(root = named_root(roots, uri, &path, &named)) && !named && roots && roots->n == 1)
        root = &roots->list[0];
    if (!root && named)
        return fetch_fail(failure, FETCH_UNKNOWN_ROOT, "%s: no root of that name is known here", uri);
    if (!root)
        return fetch_fail(failure, FETCH_UNKNOWN_ROOT, "%s: lies under none of the %d roots known here", uri,
                          roots ? roots->n : 0);
    return fetch_file(root, path, range, f->options.max_bytes, uri, out, failure);
}

static enum status status_of(enum fetch_error kind)
{
    switch (kind) {
    case FETCH_OK: return ST_OK;
    case FETCH_NOMEM: return ST_NOMEM;
    case FETCH_MISSING:
    case FETCH_UNKNOWN_ROOT:
    case FETCH_ROOT_ABSENT: return ST_MISSING;
    case FETCH_TOO_LARGE: return ST_LIMIT;
    case FETCH_TIMEOUT: return ST_TIMEOUT;
    case FETCH_BAD_URI:
    case FETCH_BAD_MEMBER: return ST_INVALID;
    case FETCH_OUTSIDE_ROOT:
    case FETCH_BLOCKED_ADDRESS:
    case FETCH_DENIED: return ST_REFUSED;
    default: return ST_IO;
    }
}

enum status fetch(const struct fetcher *f, const char *uri, struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    struct fetch_failure failure = {FETCH_OK, why};
    struct fetch_range range = {0, 0};
    char *shard = strdup(uri);
    if (!shard)
        (void)fetch_fail(&failure, FETCH_NOMEM, "fetch: no memory");
    else if (has_prefix(uri, "data:"))
        (void)fetch_data(uri, out, &failure);
    else if (!split_member(shard, &range))
        (void)fetch_fail(&failure, FETCH_BAD_MEMBER, "%s: a shard's member is written shard.tar#name@offset+length",
                         uri);
    else if (has_prefix(uri, "http:") || has_prefix(uri, "https:")) {
        if (f->http)
            (void)fetch_http(f->http, shard, range, f->options.max_bytes, out, &failure);
        else
            (void)fetch_fail(&failure, FETCH_BAD_URI, "http(s) is not allowed here");
    } else if (*uri == '\0')
        (void)fetch_fail(&failure, FETCH_BAD_URI, "empty URI");
    else {
        if (has_prefix(shard, "file://")) /* carries names that are no UTF-8 */
            shard[percent_decode(shard, strlen(shard))] = '\0';
        (void)fetch_local(f, shard, range, out, &failure);
    }
    free(shard);
    if (kind)
        *kind = failure.kind;
    return status_of(failure.kind);
}
