#include "media/transfer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "media/address.h"

enum {
    SLOW_BYTES = 1024, /* a second, over SLOW_SECONDS: given up */
    SLOW_SECONDS = 20,
    FIRST_BYTES = 1 << 16,
    ERROR_BODY_BYTES = 4096, /* kept of an answer that is no success */
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
};

void transfer_answer_fini(struct transfer_answer *a)
{
    bytes_fini(&a->body);
    free(a->location);
    *a = (struct transfer_answer){0};
}

/* ---- what libcurl calls --------------------------------------------------------------------------------------------
 */

static bool is_success(const struct transfer *t)
{
    long http = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
    return http >= 200 && http < 300;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct bytes *body = &t->answer->body;
    n *= size;
    size_t taken = n;
    if (!is_success(t)) {
        size_t room = ERROR_BODY_BYTES - body->len;
        n = n < room ? n : room;
        taken = n > 0 ? taken : 0; /* enough of it */
    } else if (n > t->request->max_bytes - body->len) {
        t->too_large = true;
        return 0;
    }
    if (body->len + n > t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : FIRST_BYTES;
        while (capacity < body->len + n)
            capacity *= 2;
        uint8_t *data = realloc(body->data, capacity);
        if (!data) {
            t->no_memory = true;
            return 0;
        }
        body->data = data;
        t->capacity = capacity;
    }
    memcpy(body->data + body->len, p, n);
    body->len += n;
    return taken;
}

/* The value behind "name:", without blanks around it; NULL: another header. */
static const char *value_of(const char *line, size_t len, const char *name, char *room, size_t size)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    size_t from = n + 1;
    while (from < len && isspace((unsigned char)line[from]))
        from++;
    while (len > from && isspace((unsigned char)line[len - 1]))
        len--;
    snprintf(room, size, "%.*s", (int)(len - from), line + from);
    return room;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct transfer_answer *a = t->answer;
    char value[512];
    const char *v;
    size_t len = size * n;
    t->first_byte = true;
    if (value_of(line, len, "content-range", value, sizeof value)) {
        unsigned long long from = 0;
        a->has_content_range = sscanf(value, "bytes %llu-", &from) == 1;
        a->range_from = from;
    } else if ((v = value_of(line, len, "x-robots-tag", value, sizeof value))) {
        a->no_ai |= strcasestr(v, "noai") || strcasestr(v, "noimageai");
    } else if ((v = value_of(line, len, "cache-control", value, sizeof value))) {
        a->no_store |= strcasestr(v, "no-store") != NULL;
    } else if ((v = value_of(line, len, "etag", value, sizeof value))) {
        if (v[0] == '"' && strlen(v) < sizeof a->etag)
            snprintf(a->etag, sizeof a->etag, "%s", v);
    } else if ((v = value_of(line, len, "x-amz-bucket-region", value, sizeof value))) {
        snprintf(a->s3_region, sizeof a->s3_region, "%.*s", TRANSFER_REGION_BYTES - 1, v);
    }
    return len;
}

static int port_of(const struct sockaddr *a)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        return ntohs(v4.sin_port);
    }
    if (a->sa_family != AF_INET6)
        return -1;
    memcpy(&v6, a, sizeof v6);
    return ntohs(v6.sin6_port);
}

static bool port_is_listed(const struct fetch_options *o, int port)
{
    bool listed = port == HTTP_PORT || port == HTTPS_PORT;
    for (int i = 0; i < o->n_ports && !listed; i++)
        listed = o->ports[i] == port;
    return listed;
}

static bool may_reach(struct transfer *t, const struct sockaddr *a)
{
    const struct fetch_options *o = t->options;
    if (t->request->trusted)
        return true;
    if (!port_is_listed(o, port_of(a)))
        t->blocked_port = true;
    else if (!o->allow_private_hosts && !address_is_public(a))
        t->blocked = true;
    return !t->blocked && !t->blocked_port;
}

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN || !may_reach(t, &a->addr))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A connection that another request opened may be one that this request could not have opened. */
static int on_connection(void *ctx, char *address, char *own_address, int port, int own_port)
{
    struct transfer *t = ctx;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    (void)own_address, (void)own_port;
    if (t->request->trusted)
        return CURL_PREREQFUNC_OK;
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return may_reach(t, (const struct sockaddr *)(const void *)&v4) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        return may_reach(t, (const struct sockaddr *)(const void *)&v6) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    t->blocked = true;
    return CURL_PREREQFUNC_ABORT;
}

/* ---- how it is asked for ------------------------------------------------------------------------------------
 */

static bool set_headers(struct transfer *t)
{
    for (int i = 0; i < t->request->n_headers; i++) {
        struct curl_slist *longer = curl_slist_append(t->headers, t->request->headers[i]);
        if (!longer)
            return false;
        t->headers = longer;
    }
    return !t->headers || curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

static bool set_callbacks(struct transfer *t)
{
    CURL *c = t->easy;
    return curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connection) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->cause) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK;
}

static bool set_request(struct transfer *t)
{
    const struct transfer_request *r = t->request;
    CURL *c = t->easy;
    bool ok = curl_easy_setopt(c, CURLOPT_URL, r->url) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    if (!r->range.whole) {
        char bytes[64];
        snprintf(bytes, sizeof bytes, "%llu-%llu", (unsigned long long)r->range.offset,
                 (unsigned long long)(r->range.offset + r->range.length - 1));
        ok = ok && curl_easy_setopt(c, CURLOPT_RANGE, bytes) == CURLE_OK;
    }
    if (r->user_password)
        ok = ok && curl_easy_setopt(c, CURLOPT_USERPWD, r->user_password) == CURLE_OK;
    if (r->sigv4)
        ok = ok && curl_easy_setopt(c, CURLOPT_AWS_SIGV4, r->sigv4) == CURLE_OK;
    const char *ca = r->ca_file ? r->ca_file : t->options->ca_file;
    if (ca)
        ok = ok && curl_easy_setopt(c, CURLOPT_CAINFO, ca) == CURLE_OK;
    return ok;
}

bool transfer_prepare(struct transfer *t)
{
    const struct fetch_options *o = t->options;
    CURL *c = t->easy;
    bool ok = set_request(t) && set_headers(t) && set_callbacks(t);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PIPEWAIT, 1L); /* rather one HTTP/2 connection than one a request */
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, t->user_agent);
    /* A proxy would hide the address that is really read. */
    if (!o->allow_private_hosts)
        ok = curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && ok;
    return ok;
}

/* ---- how it ended ---------------------------------------------------------------------------------------------------
 */

enum transfer_end transfer_end_of(const struct transfer *t, CURLcode code)
{
    if (t->blocked_port)
        return TRANSFER_BLOCKED_PORT;
    if (t->blocked)
        return TRANSFER_BLOCKED;
    if (t->too_large)
        return TRANSFER_TOO_LARGE;
    if (t->no_memory)
        return TRANSFER_NO_MEMORY;
    switch (code) {
    case CURLE_OK: return TRANSFER_ANSWERED;
    case CURLE_WRITE_ERROR: return is_success(t) ? TRANSFER_BROKEN : TRANSFER_ANSWERED; /* enough of an error's words */
    case CURLE_OUT_OF_MEMORY: return TRANSFER_NO_MEMORY;
    case CURLE_COULDNT_RESOLVE_HOST: return TRANSFER_NO_HOST;
    case CURLE_PEER_FAILED_VERIFICATION: return TRANSFER_CERTIFICATE;
    case CURLE_SSL_CACERT_BADFILE: return TRANSFER_OWN_CERTIFICATES;
    case CURLE_OPERATION_TIMEDOUT: {
        curl_off_t connected_us = 0;
        curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
        return connected_us > 0 ? TRANSFER_TIMEOUT : TRANSFER_CONNECT_TIMEOUT;
    }
    default: return TRANSFER_BROKEN;
    }
}

void transfer_read_answer(struct transfer *t)
{
    char *location = NULL;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->answer->http);
    if (curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location)
        t->answer->location = strdup(location);
    if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
        t->answer->retry_after_ms = retry_after < INT32_MAX ? retry_after * 1000 : INT64_C(1000) * INT32_MAX;
}

/* Where there was no connection libcurl names host and port, and the system knows why. */
void transfer_find_words(struct transfer *t, CURLcode code)
{
    long number = 0;
    const char *words = t->cause[0] ? t->cause : curl_easy_strerror(code), *reason = "";
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
    if (number != 0 && !strstr(words, strerror((int)number)))
        reason = strerror((int)number);
    snprintf(t->answer->words, sizeof t->answer->words, "%s%s%s", words, *reason ? ": " : "", reason);
}
