/* http and https through libcurl. Every address is looked at when its socket is made, behind name resolution and
 * redirects, so that no name leads into the own network. */
#include "media/fetch_impl.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/version.h"
#include "media/address.h"

enum {
    IDLE_HANDLES = 16, /* kept with their open connections */
    SLOW_BYTES = 1024, /* a second, over SLOW_SECONDS: given up */
    SLOW_SECONDS = 20,
    FIRST_BYTES = 1 << 16,
};

struct http {
    struct fetch_options options;
    pthread_mutex_t lock;
    CURL *idle[IDLE_HANDLES];
    int n_idle;
};

struct transfer {
    const struct fetch_options *options;
    size_t max_bytes;
    struct bytes body;
    size_t capacity;
    bool too_large, no_memory, blocked;
};

enum status http_open(const struct fetch_options *o, struct http **out, struct diag *why)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return diag_set(why, ST_IO, "libcurl does not start");
    struct http *h = calloc(1, sizeof *h);
    if (!h) {
        curl_global_cleanup();
        return ST_NOMEM;
    }
    h->options = *o;
    pthread_mutex_init(&h->lock, NULL);
    *out = h;
    return ST_OK;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    while (h->n_idle > 0)
        curl_easy_cleanup(h->idle[--h->n_idle]);
    pthread_mutex_destroy(&h->lock);
    free(h);
    curl_global_cleanup();
}

static CURL *take_handle(struct http *h)
{
    CURL *c = NULL;
    pthread_mutex_lock(&h->lock);
    if (h->n_idle > 0)
        c = h->idle[--h->n_idle];
    pthread_mutex_unlock(&h->lock);
    return c ? c : curl_easy_init();
}

static void give_handle(struct http *h, CURL *c)
{
    curl_easy_reset(c); /* keeps connections */
    pthread_mutex_lock(&h->lock);
    if (h->n_idle < IDLE_HANDLES) {
        h->idle[h->n_idle++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&h->lock);
    if (c)
        curl_easy_cleanup(c);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    n *= size;
    if (n > t->max_bytes - t->body.len) {
        t->too_large = true;
        return 0;
    }
    if (t->body.len + n > t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : FIRST_BYTES;
        while (capacity < t->body.len + n)
            capacity *= 2;
        uint8_t *data = realloc(t->body.data, capacity);
        if (!data) {
            t->no_memory = true;
            return 0;
        }
        t->body.data = data;
        t->capacity = capacity;
    }
    memcpy(t->body.data + t->body.len, p, n);
    t->body.len += n;
    return n;
}

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN || (!t->options->allow_private_hosts && !address_is_public(&a->addr))) {
        t->blocked = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* scheme://host/path for messages: no user, no password, no query. */
static void show(const char *url, char *out, size_t size)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *path = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK)
        snprintf(out, size, "%.16s://%.128s%.128s", scheme, host, path);
    else
        snprintf(out, size, "address");
    curl_free(scheme);
    curl_free(host);
    curl_free(path);
    curl_url_cleanup(u);
}

static bool set_options(CURL *c, struct transfer *t, const char *url, const struct range *range)
{
    const struct fetch_options *o = t->options;
    bool ok = curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK;
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)o->max_redirects);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 0L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "ferretry/" FERRETRY_VERSION);
    curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    /* A proxy would hide the address that is really read. */
    if (!o->allow_private_hosts)
        ok = curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && ok;
    if (!range->whole) {
        char bytes[64];
        snprintf(bytes, sizeof bytes, "%llu-%llu", (unsigned long long)range->offset,
                 (unsigned long long)(range->offset + range->length - 1));
        ok = curl_easy_setopt(c, CURLOPT_RANGE, bytes) == CURLE_OK && ok;
    }
    return ok;
}

static enum status judge_code(CURLcode code, const struct transfer *t, const char *shown, enum fetch_error *kind,
                              struct diag *why)
{
    if (t->blocked)
        return fetch_refuse(kind, FETCH_BLOCKED_ADDRESS, why, "%s: leads to a private or local address", shown);
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "%s: over %zu bytes", shown, t->max_bytes);
    if (t->no_memory || code == CURLE_OUT_OF_MEMORY)
        return fetch_refuse(kind, FETCH_NOMEM, why, "%s: no memory", shown);
    switch (code) {
    case CURLE_OK: return ST_OK;
    case CURLE_OPERATION_TIMEDOUT: return fetch_refuse(kind, FETCH_TIMEOUT, why, "%s: takes too long", shown);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return fetch_refuse(kind, FETCH_BAD_URI, why, "%s: no usable address", shown);
    case CURLE_TOO_MANY_REDIRECTS:
        return fetch_refuse(kind, FETCH_HTTP_STATUS, why, "%s: over %d redirects", shown, t->options->max_redirects);
    default: return fetch_refuse(kind, FETCH_UNREACHABLE, why, "%s: %s", shown, curl_easy_strerror(code));
    }
}

static enum status judge_status(long http, const struct transfer *t, const struct range *range, const char *shown,
                                enum fetch_error *kind, struct diag *why)
{
    enum fetch_error e = FETCH_HTTP_STATUS;
    if (!range->whole && (http == 200 || http == 416 || (http == 206 && t->body.len != range->length)))
        return fetch_refuse(kind, FETCH_BAD_MEMBER, why, "%s: the server does not give that range", shown);
    if (http >= 200 && http < 300)
        return ST_OK;
    if (http == 404 || http == 410)
        e = FETCH_MISSING;
    else if (http == 401 || http == 403)
        e = FETCH_DENIED;
    else if (http >= 500 || http == 408 || http == 425 || http == 429)
        e = FETCH_HTTP_SERVER;
    return fetch_refuse(kind, e, why, "%s: HTTP status %ld", shown, http);
}

enum status fetch_http(struct http *h, const char *url, const struct range *range, struct bytes *out,
                       enum fetch_error *kind, struct diag *why)
{
    struct transfer t = {.options = &h->options, .max_bytes = h->options.max_bytes};
    char shown[320];
    show(url, shown, sizeof shown);
    if (!range->whole && range->length > t.max_bytes)
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "%s: a member of %llu bytes", shown,
                            (unsigned long long)range->length);
    if (!range->whole)
        t.max_bytes = (size_t)range->length; /* a server that ignores the range is cut off at once */
    CURL *c = take_handle(h);
    if (!c || !set_options(c, &t, url, range)) {
        if (c)
            curl_easy_cleanup(c);
        return fetch_refuse(kind, FETCH_NOMEM, why, "%s: libcurl gives no handle", shown);
    }
    long http = 0;
    CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http);
    bool range_ignored = !range->whole && http == 200;
    enum status s = range_ignored ? ST_OK : judge_code(code, &t, shown, kind, why);
    if (s == ST_OK)
        s = judge_status(http, &t, range, shown, kind, why);
    give_handle(h, c);
    if (s == ST_OK)
        *out = t.body;
    else
        free(t.body.data);
    return s;
}
