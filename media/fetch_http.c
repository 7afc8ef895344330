/* http(s) through libcurl: bounded in bytes, time and redirects, to public addresses only unless allowed. The address
 * is checked when the socket is made, after the name was resolved and for every redirect, so a name that resolves
 * differently the second time gains nothing. */
#include "media/fetch_impl.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEFAULT_CONNECT_MS = 5000,
    DEFAULT_TRANSFER_MS = 60000,
    DEFAULT_REDIRECTS = 4,
    IDLE_HANDLES = 16, /* kept for their open connections */
    FIRST_BUFFER = 64 << 10,
};

struct http {
    struct fetch_options options;
    pthread_mutex_t lock;
    CURL *idle[IDLE_HANDLES];
    int n_idle;
};

struct transfer {
    const struct http *http;
    size_t max_bytes, capacity;
    struct bytes got;
    bool too_large, no_memory, blocked;
    char address[INET6_ADDRSTRLEN];
};

enum status http_open(const struct fetch_options *o, struct http **out)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return ST_NOMEM;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || pthread_mutex_init(&h->lock, NULL) != 0) {
        free(h);
        return ST_NOMEM;
    }
    h->options = *o;
    *out = h;
    return ST_OK;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    for (int i = 0; i < h->n_idle; i++)
        curl_easy_cleanup(h->idle[i]);
    pthread_mutex_destroy(&h->lock);
    curl_global_cleanup();
    free(h);
}

static CURL *take_handle(struct http *h)
{
    pthread_mutex_lock(&h->lock);
    CURL *c = h->n_idle > 0 ? h->idle[--h->n_idle] : NULL;
    pthread_mutex_unlock(&h->lock);
    return c ? c : curl_easy_init();
}

static void give_handle(struct http *h, CURL *c)
{
    curl_easy_reset(c); /* forgets the options, keeps the connections */
    pthread_mutex_lock(&h->lock);
    bool keep = h->n_idle < IDLE_HANDLES;
    if (keep)
        h->idle[h->n_idle++] = c;
    pthread_mutex_unlock(&h->lock);
    if (!keep)
        curl_easy_cleanup(c);
}

/* RFC 1918, 6598, 3927, 5737, 2544 and the other ranges that are no public hosts. */
static bool private_v4(uint32_t a)
{
    static const struct {
        uint32_t net;
        int bits;
    } ranges[] = {{0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},  {0xA9FE0000, 16},
                  {0xAC100000, 12}, {0xC0000000, 24}, {0xC0000200, 24}, {0xC0A80000, 16}, {0xC6120000, 15},
                  {0xC6336400, 24}, {0xCB007100, 24}, {0xE0000000, 3}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if ((a ^ ranges[i].net) >> (32 - ranges[i].bits) == 0)
            return true;
    return false;
}

/* Only 2000::/3 holds public hosts; within it, 6to4 and NAT64-like forms carry an IPv4 address that counts. */
static bool private_v6(const uint8_t a[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    uint32_t tail = (uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 | a[15];
    if (memcmp(a, mapped, sizeof mapped) == 0)
        return private_v4(tail);
    if (a[0] == 0x20 && a[1] == 0x02)
        return private_v4((uint32_t)a[2] << 24 | (uint32_t)a[3] << 16 | (uint32_t)a[4] << 8 | a[5]);
    bool documentation = a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0D && a[3] == 0xB8;
    return (a[0] & 0xE0) != 0x20 || documentation;
}

static bool is_private(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return private_v4(ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr));
    if (sa->sa_family == AF_INET6)
        return private_v6(((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr);
    return true;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = ctx;
    (void)purpose;
    if (!t->http->options.allow_private_hosts && is_private(&address->addr)) {
        const void *host = address->family == AF_INET6
                               ? (const void *)&((struct sockaddr_in6 *)(void *)&address->addr)->sin6_addr
                               : (const void *)&((struct sockaddr_in *)(void *)&address->addr)->sin_addr;
        if (!inet_ntop(address->family, host, t->address, sizeof t->address))
            t->address[0] = '\0';
        t->blocked = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * n, need = t->got.len + len;
    if (need > t->max_bytes) {
        t->too_large = true;
        return 0;
    }
    if (need > t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : FIRST_BUFFER;
        while (capacity < need)
            capacity *= 2;
        uint8_t *grown = realloc(t->got.data, capacity);
        if (!grown) {
            t->no_memory = true;
            return 0;
        }
        t->got.data = grown;
        t->capacity = capacity;
    }
    memcpy(t->got.data + t->got.len, data, len);
    t->got.len = need;
    return len;
}

/* The URL without user, password, query and fragment, for messages. */
static void public_url(const char *url, char *out, size_t size)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    const char *rest = at ? at + 1 : host;
    snprintf(out, size, "%.*s%.*s", (int)(host - url), url, (int)strcspn(rest, "?#"), rest);
}

static bool set_options(CURL *c, const char *url, struct fetch_range range, struct transfer *t)
{
    const struct fetch_options *o = &t->http->options;
    long connect_ms = o->connect_timeout_ms ? o->connect_timeout_ms : DEFAULT_CONNECT_MS;
    long total_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TRANSFER_MS;
    long redirects = o->max_redirects ? o->max_redirects : DEFAULT_REDIRECTS;
    char bytes[64];
    snprintf(bytes, sizeof bytes, "%lld-%lld", (long long)range.offset, (long long)(range.offset + range.length - 1));
    bool ok = curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_MAXREDIRS, redirects) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, total_ms) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_bytes) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_USERAGENT, "ferretry") == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK;
    if (!o->allow_private_hosts) /* a proxy would connect in our place, past the address check */
        ok = ok && curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK;
    if (range.length > 0)
        ok = ok && curl_easy_setopt(c, CURLOPT_RANGE, bytes) == CURLE_OK;
    return ok;
}

static bool transfer_failed(CURLcode code, const struct transfer *t, const char *url, struct fetch_failure *f)
{
    if (t->blocked)
        return fetch_fail(f, FETCH_BLOCKED_ADDRESS, "%s: address %s is private or local", url, t->address);
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return fetch_fail(f, FETCH_TOO_LARGE, "%s: more than %zu bytes", url, t->max_bytes);
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return fetch_fail(f, FETCH_BAD_URI, "%s: %s", url, curl_easy_strerror(code));
    case CURLE_OPERATION_TIMEDOUT: return fetch_fail(f, FETCH_TIMEOUT, "%s: timed out", url);
    case CURLE_TOO_MANY_REDIRECTS: return fetch_fail(f, FETCH_HTTP_STATUS, "%s: too many redirects", url);
    case CURLE_OUT_OF_MEMORY: return fetch_fail(f, FETCH_NOMEM, "%s: no memory", url);
    default:
        return t->no_memory ? fetch_fail(f, FETCH_NOMEM, "%s: no memory", url)
                            : fetch_fail(f, FETCH_UNREACHABLE, "%s: %s", url, curl_easy_strerror(code));
    }
}

static bool check_status(long status, struct fetch_range range, const struct transfer *t, const char *url,
                         struct fetch_failure *f)
{
    if (range.length > 0 && (status == 200 || status == 416))
        return fetch_fail(f, FETCH_BAD_MEMBER, "%s: the server gives no such range (status %ld)", url, status);
    if (status >= 200 && status < 300) {
        if (range.length > 0 && t->got.len != (size_t)range.length)
            return fetch_fail(f, FETCH_BAD_MEMBER, "%s: %zu bytes in place of %lld", url, t->got.len,
                              (long long)range.length);
        return true;
    }
    if (status == 404 || status == 410)
        return fetch_fail(f, FETCH_MISSING, "%s: status %ld", url, status);
    if (status == 401 || status == 403)
        return fetch_fail(f, FETCH_DENIED, "%s: status %ld", url, status);
    if (status >= 500 || status == 408 || status == 425 || status == 429)
        return fetch_fail(f, FETCH_HTTP_SERVER, "%s: status %ld", url, status);
    return fetch_fail(f, FETCH_HTTP_STATUS, "%s: status %ld", url, status);
}

bool fetch_http(struct http *h, const char *url, struct fetch_range range, size_t max_bytes, struct bytes *out,
                struct fetch_failure *f)
{
    struct transfer t = {.http = h, .max_bytes = max_bytes};
    char shown[DIAG_BYTES / 2];
    public_url(url, shown, sizeof shown);
    CURL *c = take_handle(h);
    if (!c)
        return fetch_fail(f, FETCH_NOMEM, "%s: no memory", shown);
    long status = 0;
    bool ok = set_options(c, url, range, &t) || fetch_fail(f, FETCH_NOMEM, "%s: libcurl takes no options", shown);
    if (ok) {
        CURLcode code = curl_easy_perform(c);
        if (code == CURLE_OK)
            code = curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        ok = code == CURLE_OK ? check_status(status, range, &t, shown, f) : transfer_failed(code, &t, shown, f);
    }
    give_handle(h, c);
    if (ok)
        *out = t.got;
    else
        free(t.got.data);
    return ok;
}
