#include "media/fetch.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uri.h"
#include "base/version.h"
#include "media/cache.h"
#include "media/fetch_impl.h"
#include "media/s3.h"

enum {
    DATA_MAX_BYTES = 1 << 20,
    DEFAULT_CONNECT_MS = 5000,
    DEFAULT_FIRST_BYTE_MS = 20000,
    DEFAULT_TIMEOUT_MS = 60000,
    DEFAULT_REDIRECTS = 4,
    DEFAULT_TRANSFERS = 64,
    DEFAULT_HOST_TRANSFERS = 8,
};

#define DEFAULT_CACHE_BYTES (INT64_C(10) << 30)

struct error_facts {
    const char *word;
    enum media_class class;
    enum status status;
};
static const struct error_facts facts[] = {
    [FETCH_OK] = {"ok", MEDIA_PERMANENT, ST_OK},
    [FETCH_BAD_URI] = {"bad_uri", MEDIA_PERMANENT, ST_INVALID},
    [FETCH_UNKNOWN_ROOT] = {"unknown_root", MEDIA_ENVIRONMENT, ST_MISSING},
    [FETCH_ROOT_ABSENT] = {"root_absent", MEDIA_ENVIRONMENT, ST_MISSING},
    [FETCH_MISSING] = {"missing", MEDIA_PERMANENT, ST_MISSING},
    [FETCH_OUTSIDE_ROOT] = {"outside_root", MEDIA_PERMANENT, ST_REFUSED},
    [FETCH_NOT_A_FILE] = {"not_a_file", MEDIA_PERMANENT, ST_INVALID},
    [FETCH_DENIED] = {"denied", MEDIA_ENVIRONMENT, ST_REFUSED},
    [FETCH_TOO_LARGE] = {"too_large", MEDIA_PERMANENT, ST_LIMIT},
    [FETCH_BAD_MEMBER] = {"bad_member", MEDIA_PERMANENT, ST_INVALID},
    [FETCH_BLOCKED_ADDRESS] = {"blocked_address", MEDIA_PERMANENT, ST_REFUSED},
    [FETCH_NOT_ALLOWED] = {"not_allowed", MEDIA_PERMANENT, ST_REFUSED},
    [FETCH_UNKNOWN_HOST] = {"unknown_host", MEDIA_PERMANENT, ST_MISSING},
    [FETCH_CERTIFICATE] = {"bad_certificate", MEDIA_PERMANENT, ST_REFUSED},
    [FETCH_NO_AUTHORITIES] = {"no_authorities", MEDIA_ENVIRONMENT, ST_IO},
    [FETCH_NO_NAME_SERVICE] = {"no_name_service", MEDIA_ENVIRONMENT, ST_IO},
    [FETCH_HTTP_STATUS] = {"http_status", MEDIA_PERMANENT, ST_REFUSED},
    [FETCH_HTTP_SERVER] = {"http_server", MEDIA_TRANSIENT, ST_IO},
    [FETCH_UNREACHABLE] = {"unreachable", MEDIA_TRANSIENT, ST_IO},
    [FETCH_TIMEOUT] = {"timeout", MEDIA_TRANSIENT, ST_TIMEOUT},
    [FETCH_STOPPED] = {"stopped", MEDIA_TRANSIENT, ST_CANCELLED},
    [FETCH_IO] = {"io", MEDIA_TRANSIENT, ST_IO},
    [FETCH_NOMEM] = {"nomem", MEDIA_TRANSIENT, ST_NOMEM},
};

const char *fetch_error_word(enum fetch_error e)
{
    return (unsigned)e < FETCH_ERROR_COUNT_ ? facts[e].word : "unknown";
}

enum media_class fetch_error_class(enum fetch_error e)
{
    return (unsigned)e < FETCH_ERROR_COUNT_ ? facts[e].class : MEDIA_PERMANENT;
}

enum status fetch_refuse(enum fetch_error *kind, enum fetch_error e, struct diag *why, const char *fmt, ...)
{
    char text[DIAG_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    *kind = e;
    return diag_set(why, facts[e].status, "%s", text);
}

void bytes_fini(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

static int hex_value(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

size_t percent_decode(const char *text, size_t len, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool escaped = text[i] == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
        int value = escaped ? hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]) : text[i];
        out[n++] = (uint8_t)value;
        i += escaped ? 2 : 0;
    }
    return n;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Number of bytes, or SIZE_MAX where the text is no base64. */
static size_t base64_decode(const char *text, size_t len, uint8_t *out)
{
    while (len > 0 && text[len - 1] == '=')
        len--;
    size_t n = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int v = base64_value(text[i]);
        if (v < 0)
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 != 0)
            out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return len % 4 == 1 ? SIZE_MAX : n;
}

enum status fetch_data(const char *uri, struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    const char *comma = strchr(uri, ',');
    if (!comma)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "data: no comma in front of the data");
    const char *text = comma + 1;
    size_t len = strlen(text);
    static const char mark[] = ";base64";
    bool base64 =
        (size_t)(comma - uri) >= sizeof mark - 1 && strncasecmp(comma - (sizeof mark - 1), mark, sizeof mark - 1) == 0;
    if (len > 3 * (size_t)DATA_MAX_BYTES)
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "data: over %d bytes", DATA_MAX_BYTES);
    struct bytes b = {.data = malloc(len + 1)};
    if (!b.data)
        return fetch_refuse(kind, FETCH_NOMEM, why, "data: no memory");
    b.len = base64 ? base64_decode(text, len, b.data) : percent_decode(text, len, b.data);
    if (b.len > DATA_MAX_BYTES) {
        bool broken = b.len == SIZE_MAX;
        free(b.data);
        return broken ? fetch_refuse(kind, FETCH_BAD_URI, why, "data: broken base64")
                      : fetch_refuse(kind, FETCH_TOO_LARGE, why, "data: over %d bytes", DATA_MAX_BYTES);
    }
    *out = b;
    return ST_OK;
}

static bool read_digits(const char **p, uint64_t *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    *out = strtoull(*p, &end, 10);
    *p = end;
    return errno == 0 && *out <= INT64_MAX;
}

/* Cuts "#name@offset+length" off behind ".tar". False: something else follows "#" there. */
static bool take_member(char *uri, struct range *r)
{
    *r = (struct range){.whole = true};
    char *hash = strstr(uri, ".tar#"), *at = hash ? strrchr(hash, '@') : NULL;
    if (!hash)
        return true;
    const char *p = at ? at + 1 : "";
    if (!read_digits(&p, &r->offset) || *p++ != '+' || !read_digits(&p, &r->length) || *p || r->length == 0)
        return false;
    hash[strlen(".tar")] = '\0';
    r->whole = false;
    return true;
}

static bool has_scheme(const char *uri, const char *scheme)
{
    return strncasecmp(uri, scheme, strlen(scheme)) == 0;
}

/* A path that lies under one of the roots. */
static enum status fetch_path(const struct fetcher *f, const char *path, const struct range *range, const char *shown,
                              struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    const struct media_roots *roots = f->options.roots;
    const char *rest = path;
    int i = path[0] == '/' ? root_by_path(roots, path, &rest) : media_roots_count(roots) == 1 ? 0 : -1;
    if (i < 0)
        return fetch_refuse(kind, FETCH_UNKNOWN_ROOT, why, "%s: lies under none of the %d roots known here", shown,
                            media_roots_count(roots));
    return fetch_file(media_roots_dir(roots, i), rest, range, f->options.max_bytes, shown, out, kind, why);
}

/* "file:///path" or "file:/path", with %XX. */
static enum status fetch_file_uri(const struct fetcher *f, char *uri, const struct range *range, const char *shown,
                                  struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    char *path = uri + strlen("file:");
    if (strncmp(path, "//", 2) == 0) {
        path += 2;
        if (has_scheme(path, "localhost/"))
            path += strlen("localhost");
    }
    if (path[0] != '/')
        return fetch_refuse(kind, FETCH_BAD_URI, why, "%s: want file:///path", shown);
    size_t n = percent_decode(path, strlen(path), (uint8_t *)path);
    path[n] = '\0';
    if (strlen(path) != n)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "%s: a zero byte in a path", shown);
    return fetch_path(f, path, range, shown, out, kind, why);
}

static enum status fetch_local(const struct fetcher *f, char *uri, const struct range *range, const char *shown,
                               struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    if (has_scheme(uri, "file:"))
        return fetch_file_uri(f, uri, range, shown, out, kind, why);
    size_t head = strcspn(uri, ":/");
    int i = uri[head] == ':' ? root_by_name(f->options.roots, uri, head) : -1;
    if (i >= 0)
        return fetch_file(media_roots_dir(f->options.roots, i), uri + head + 1, range, f->options.max_bytes, shown, out,
                          kind, why);
    if (uri[head] == ':' && strncmp(uri + head, "://", 3) == 0)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "%.*s: this kind of address is not read here", (int)head, uri);
    if (uri[head] == ':' && root_name_is_sound(uri, head))
        return fetch_refuse(kind, FETCH_UNKNOWN_ROOT, why, "%s: no root \"%.*s\" is known here", shown, (int)head, uri);
    return fetch_path(f, uri, range, shown, out, kind, why);
}

/* What an entry of the cache hangs on: the address, the part, and all that decides whether it may be read. Malloc'ed;
 * NULL when memory is short. */
static char *cache_key(const struct fetcher *f, const char *uri, bool s3, const struct range *range)
{
    const struct fetch_options *o = &f->options;
    char *key = NULL;
    int n = s3 ? asprintf(&key, "s3 %s %s %llu+%llu %s", o->s3.endpoint ? o->s3.endpoint : "",
                          o->s3.anonymous    ? "-"
                          : o->s3.access_key ? o->s3.access_key
                                             : o->s3.profile,
                          (unsigned long long)range->offset, (unsigned long long)range->length, uri)
               : asprintf(&key, "http %d %d %llu+%llu %s", o->allow_private_hosts, o->ignore_no_ai,
                          (unsigned long long)range->offset, (unsigned long long)range->length, uri);
    return n < 0 ? NULL : key;
}

static enum status fetch_remote(const struct fetcher *f, const char *uri, bool s3, const struct range *range,
                                struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    bool keep = true;
    char *key = f->cache && !range->loose ? cache_key(f, uri, s3, range) : NULL;
    if (key && cache_get(f->cache, key, out) == ST_OK) {
        free(key);
        if (out->len <= f->options.max_bytes)
            return ST_OK;
        bytes_fini(out);
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "over %zu bytes", f->options.max_bytes);
    }
    enum status s =
        s3 ? fetch_s3(f->s3, uri, range, out, kind, why) : fetch_http(f->http, uri, range, out, &keep, kind, why);
    bool same = range->known && range->known->same;
    if (s == ST_OK && key && keep && !same)
        cache_put(f->cache, key, out);
    free(key);
    return s;
}

/* copy: the URI without a member, which is written to. */
static enum status fetch_range(const struct fetcher *f, char *copy, const struct range *range, struct bytes *out,
                               enum fetch_error *kind, struct diag *why)
{
    char shown[URI_SHOWN_BYTES];
    uri_shown(copy, shown, sizeof shown);
    if (!*copy)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "fetch: an empty address");
    bool s3 = has_scheme(copy, "s3://");
    if (!s3 && !has_scheme(copy, "http://") && !has_scheme(copy, "https://"))
        return fetch_local(f, copy, range, shown, out, kind, why);
    if (!f->http)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "fetch: http is switched off here");
    return fetch_remote(f, copy, s3, range, out, kind, why);
}

static enum status fetch_any(const struct fetcher *f, const char *uri, struct known *known, struct bytes *out,
                             enum fetch_error *kind, struct diag *why)
{
    enum fetch_error unused;
    kind = kind ? kind : &unused;
    *kind = FETCH_OK;
    if (has_scheme(uri, "data:"))
        return fetch_data(uri, out, kind, why);
    char *copy = strdup(uri);
    if (!copy)
        return fetch_refuse(kind, FETCH_NOMEM, why, "fetch: no memory");
    struct range range;
    char shown[URI_SHOWN_BYTES];
    enum status s = ST_OK;
    if (!take_member(copy, &range))
        s = fetch_refuse(kind, FETCH_BAD_MEMBER, why, "%s: want shard.tar#name@offset+length",
                         uri_shown(uri, shown, sizeof shown));
    range.known = known;
    if (s == ST_OK)
        s = fetch_range(f, copy, &range, out, kind, why);
    free(copy);
    return s;
}

enum status fetch(const struct fetcher *f, const char *uri, struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    return fetch_any(f, uri, NULL, out, kind, why);
}

enum status fetch_changed(const struct fetcher *f, const char *uri, struct fetch_stamp *stamp, bool *same,
                          struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    struct known known = {.had = *stamp};
    struct bytes bytes = {0};
    enum status s = fetch_any(f, uri, &known, &bytes, kind, why);
    if (s != ST_OK)
        return s;
    *stamp = known.has;
    *same = known.same;
    *out = bytes;
    return ST_OK;
}

enum status fetch_part(const struct fetcher *f, const char *uri, uint64_t offset, uint64_t length, struct bytes *out,
                       enum fetch_error *kind, struct diag *why)
{
    enum fetch_error unused;
    kind = kind ? kind : &unused;
    *kind = FETCH_OK;
    const struct range range = {.loose = true, .offset = offset, .length = length};
    char *copy = strdup(uri);
    if (!copy)
        return fetch_refuse(kind, FETCH_NOMEM, why, "fetch: no memory");
    enum status s = fetch_range(f, copy, &range, out, kind, why);
    free(copy);
    return s;
}

enum status fetch_list(const struct fetcher *f, const char *uri, char **token, struct uri_list *out,
                       enum fetch_error *kind, struct diag *why)
{
    enum fetch_error unused;
    char shown[URI_SHOWN_BYTES];
    kind = kind ? kind : &unused;
    *kind = FETCH_OK;
    if (!has_scheme(uri, "s3://"))
        return fetch_refuse(kind, FETCH_BAD_URI, why, "%s: only s3://BUCKET/PREFIX can be listed",
                            uri_shown(uri, shown, sizeof shown));
    if (!f->s3)
        return fetch_refuse(kind, FETCH_BAD_URI, why, "fetch: s3 is switched off here");
    return s3_list(f->s3, uri, token, out, kind, why);
}

static void fill_in(struct fetch_options *o)
{
    if (o->max_bytes == 0)
        o->max_bytes = (size_t)256 << 20;
    if (o->connect_timeout_ms <= 0)
        o->connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (o->first_byte_timeout_ms <= 0)
        o->first_byte_timeout_ms = DEFAULT_FIRST_BYTE_MS;
    if (o->timeout_ms <= 0)
        o->timeout_ms = DEFAULT_TIMEOUT_MS;
    if (o->max_redirects <= 0)
        o->max_redirects = DEFAULT_REDIRECTS;
    if (o->max_transfers <= 0)
        o->max_transfers = DEFAULT_TRANSFERS;
    if (o->host_transfers <= 0)
        o->host_transfers = DEFAULT_HOST_TRANSFERS;
    if (o->cache_bytes <= 0)
        o->cache_bytes = DEFAULT_CACHE_BYTES;
    if (!o->s3.profile)
        o->s3.profile = "default";
    if (!o->user_agent)
        o->user_agent = "ferretry/" FERRETRY_VERSION;
}

enum status fetcher_open(const struct fetch_options *o, struct fetcher **out, struct diag *why)
{
    struct fetcher *f = calloc(1, sizeof *f);
    if (!f)
        return ST_NOMEM;
    f->options = *o;
    fill_in(&f->options);
    if (!o->no_http) {
        enum status s = http_open(&f->options, &f->http, why);
        if (s == ST_OK)
            s = s3_open(f->http, &f->s3);
        if (s != ST_OK) {
            fetcher_close(f);
            return s;
        }
    }
    if (o->cache) {
        enum status s = cache_open(o->cache, f->options.cache_bytes, &f->cache, why);
        if (s != ST_OK) {
            fetcher_close(f);
            return s;
        }
    }
    *out = f;
    return ST_OK;
}

void fetcher_stop(struct fetcher *f)
{
    http_stop(f->http);
}

void fetcher_close(struct fetcher *f)
{
    if (!f)
        return;
    cache_close(f->cache);
    s3_close(f->s3);
    http_close(f->http);
    free(f);
}
