#include "observe/web.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/web_impl.h"

enum { MOST_CONNECTIONS = 128, IDLE_S = 60, HOST_BYTES = 256, PORT_BYTES = 8, MOST_PORT = 65535 };

/* ---- where it listens ------------------------------------------------------------------------------------------- */

/* "HOST:PORT", "[HOST]:PORT" or "PORT", which means loopback. */
static enum status split(const char *address, char host[HOST_BYTES], char port[PORT_BYTES], struct diag *why)
{
    const char *colon = strrchr(address, ':'), *from = address;
    size_t n = colon ? (size_t)(colon - address) : 0;
    if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
        from++;
        n -= 2;
    }
    const char *digits = colon ? colon + 1 : address;
    size_t n_digits = strlen(digits);
    if (n >= HOST_BYTES || (colon && n == 0) || n_digits == 0 || n_digits >= PORT_BYTES ||
        strspn(digits, "0123456789") != n_digits || strtol(digits, NULL, 10) > MOST_PORT ||
        (memchr(from, ':', n) && from == address))
        return diag_set(why, ST_INVALID, "http \"%s\": want HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420", address);
    snprintf(host, HOST_BYTES, "%.*s", colon ? (int)n : 9, colon ? from : "127.0.0.1");
    snprintf(port, PORT_BYTES, "%s", digits);
    return ST_OK;
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static enum status listen_on(struct web *h, const struct addrinfo *a, struct diag *why)
{
    enum { BACKLOG = 64 };
    const char *address = h->options.address;
    int yes = 1;
    h->loopback = is_loopback(a->ai_addr);
    if (!h->loopback && !h->token)
        return diag_set(why, ST_REFUSED,
                        "http %s is reached by other hosts and no token is set; set FERRET_HTTP_TOKEN, or listen on "
                        "127.0.0.1",
                        address);
    h->socket = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->socket < 0)
        return diag_set(why, ST_IO, "http %s: %s", address, strerror(errno));
    (void)setsockopt(h->socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(h->socket, a->ai_addr, a->ai_addrlen) != 0 || listen(h->socket, BACKLOG) != 0)
        return diag_set(why, ST_IO, "http %s: %s", address, strerror(errno));
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char host[HOST_BYTES], port[PORT_BYTES];
    if (getsockname(h->socket, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return diag_set(why, ST_IO, "http %s: its address can't be read", address);
    snprintf(h->address, sizeof h->address, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    snprintf(h->cookie, sizeof h->cookie, "ferretry-%s", port);
    return ST_OK;
}

static enum status listen_at(struct web *h, struct diag *why)
{
    char host[HOST_BYTES], port[PORT_BYTES];
    enum status s = split(h->options.address, host, port, why);
    if (s != ST_OK)
        return s;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
    int e = getaddrinfo(host, port, &hints, &list);
    if (e != 0)
        return diag_set(why, ST_INVALID, "http %s: %s", h->options.address, gai_strerror(e));
    s = listen_on(h, list, why);
    freeaddrinfo(list);
    return s;
}

/* ---- who may ask ------------------------------------------------------------------------------------------------ */

/* Takes as long whatever differs. */
static bool same_token(const struct web *h, const char *given, size_t len)
{
    size_t n = strlen(h->token);
    unsigned differs = len != n;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned char)given[i] ^ (unsigned char)h->token[n ? i % n : 0];
    return !differs;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static bool has_token(const struct web *h, struct MHD_Connection *c)
{
    static const char bearer[] = "Bearer ";
    const char *auth = header(c, "Authorization"), *cookie = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, h->cookie);
    const char *query = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "token");
    if (auth && strncasecmp(auth, bearer, sizeof bearer - 1) == 0)
        return same_token(h, auth + sizeof bearer - 1, strlen(auth) - (sizeof bearer - 1));
    return (query && same_token(h, query, strlen(query))) || (cookie && same_token(h, cookie, strlen(cookie)));
}

/* The Host that a browser sends is the name in its address bar. One that is not loopback's came by a name of somebody
 * else's that points here. */
static bool asks_loopback(struct MHD_Connection *c)
{
    const char *host = header(c, "Host");
    if (!host)
        return true;
    size_t n = strcspn(host, ":");
    if (host[0] == '[')
        return strncmp(host, "[::1]", 5) == 0 && (host[5] == ':' || host[5] == '\0');
    return (n == 9 && strncasecmp(host, "localhost", n) == 0) ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == n);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

void web_say(struct web_answer *answer, int code, const char *static_text)
{
    *answer = (struct web_answer){
        .code = code, .type = "text/plain; charset=utf-8", .bytes = static_text, .len = strlen(static_text)};
}

/* NULL where memory is short. Takes the answer's bytes over. */
static struct MHD_Response *make_response(struct web *h, struct MHD_Connection *c, struct web_answer *a)
{
    struct MHD_Response *r = a->stream ? stream_response(h, c) : NULL;
    if (a->stream && !r)
        web_say(a, MHD_HTTP_SERVICE_UNAVAILABLE, "too many are looking already\n");
    if (!r)
        r = MHD_create_response_from_buffer(a->len, (void *)(uintptr_t)a->bytes,
                                            a->owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r && a->owned)
        free((void *)(uintptr_t)a->bytes);
    return r;
}

static enum MHD_Result send_answer(struct web *h, struct MHD_Connection *c, struct web_answer *a, const char *cookie,
                                   const char *location)
{
    static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                 "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    struct MHD_Response *r = make_response(h, c, a);
    if (!r)
        return MHD_NO;
    const char *pairs[][2] = {{"Content-Type", a->type},
                              {"Cache-Control", a->may_keep ? "private, max-age=300" : "no-store"},
                              {"X-Content-Type-Options", "nosniff"},
                              {"Referrer-Policy", "no-referrer"},
                              {"Content-Security-Policy", policy},
                              {"WWW-Authenticate", a->code == MHD_HTTP_UNAUTHORIZED ? "Bearer" : NULL},
                              {"Allow", a->code == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL},
                              {"Set-Cookie", cookie},
                              {"Location", location}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][1])
            (void)MHD_add_response_header(r, pairs[i][0], pairs[i][1]);
    enum MHD_Result result = MHD_queue_response(c, (unsigned)a->code, r);
    MHD_destroy_response(r);
    return result;
}

/* A path as an address has it; cut where it does not fit. */
static void encode_path(const char *path, char *out, size_t size)
{
    enum { CODED = 3 };
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-_.~";
    size_t n = 0;
    for (; *path && n + CODED < size; path++) {
        if (strchr(plain, *path))
            out[n++] = *path;
        else
            n += (size_t)snprintf(out + n, size - n, "%%%02X", (unsigned char)*path);
    }
    out[n] = '\0';
}

/* A browser that came with the token in its address gets it as a cookie, and an address that can be shown to others. */
static enum MHD_Result move_token(struct web *h, struct MHD_Connection *c, const char *path)
{
    enum { COOKIE_BYTES = 512, PATH_BYTES = 1024 };
    char cookie[COOKIE_BYTES], location[PATH_BYTES];
    struct web_answer a;
    web_say(&a, MHD_HTTP_SEE_OTHER, "moved\n");
    snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict", h->cookie, h->token);
    encode_path(path, location, sizeof location);
    return send_answer(h, c, &a, cookie, location);
}

static bool is_browser(struct MHD_Connection *c)
{
    const char *accept = header(c, "Accept");
    return accept && strstr(accept, "text/html");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_len, void **seen)
{
    (void)version, (void)upload;
    static int mark;
    struct web *h = ctx;
    struct web_answer a = {.code = 0};
    if (!*seen) { /* the first call is for the header alone */
        *seen = &mark;
        return MHD_YES;
    }
    *upload_len = 0;
    bool is_open = h->options.is_open && h->options.is_open(h->options.ctx, url);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        web_say(&a, MHD_HTTP_METHOD_NOT_ALLOWED, "this is for looking only: GET and HEAD\n");
    else if (!h->token && !asks_loopback(c))
        web_say(&a, MHD_HTTP_FORBIDDEN, "no token is set, so only requests to localhost are answered\n");
    else if (h->token && !is_open && !has_token(h, c))
        web_say(
            &a, MHD_HTTP_UNAUTHORIZED,
            "a token is needed: open the address that was printed at the start, or send Authorization: Bearer TOKEN\n");
    else if (h->token && is_browser(c) && MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "token"))
        return move_token(h, c, url);
    else {
        struct web_request q = {.path = url, .connection = c};
        h->options.handler(h->options.ctx, &q, &a);
    }
    return send_answer(h, c, &a, NULL, NULL);
}

const char *web_query(const struct web_request *q, const char *name)
{
    return MHD_lookup_connection_value((struct MHD_Connection *)(uintptr_t)q->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static enum status check_token(const char *token, struct diag *why)
{
    enum { LEAST = 8, MOST = 256 };
    size_t n = token ? strlen(token) : LEAST;
    bool plain = !token || strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == n;
    return n >= LEAST && n <= MOST && plain
               ? ST_OK
               : diag_set(why, ST_INVALID, "http-token: want %d to %d letters, digits, - . _ ~", LEAST, MOST);
}

/* What it has to say goes nowhere: a peer that breaks off is no event. */
static void stay_quiet(void *ctx, const char *format, va_list args)
{
    (void)ctx, (void)format, (void)args;
}

static enum status start(struct web *h, struct diag *why)
{
    if (pthread_mutex_init(&h->lock, NULL) != 0)
        return ST_NOMEM;
    h->has_lock = true;
    enum status s = listen_at(h, why);
    if (s != ST_OK)
        return s;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, stay_quiet, NULL,
                                 MHD_OPTION_LISTEN_SOCKET, h->socket, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
                                 MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!h->daemon)
        return diag_set(why, ST_NOMEM, "http %s: the server could not be started", h->options.address);
    h->socket = -1; /* the daemon's */
    return ST_OK;
}

enum status web_open(const struct web_options *o, struct web **out, struct diag *why)
{
    enum status s = check_token(o->token, why);
    if (s != ST_OK)
        return s;
    struct web *h = calloc(1, sizeof *h);
    if (!h)
        return ST_NOMEM;
    h->options = *o;
    h->socket = -1;
    h->token = o->token ? strdup(o->token) : NULL;
    s = o->token && !h->token ? ST_NOMEM : start(h, why);
    if (s != ST_OK) {
        web_close(h);
        return s;
    }
    *out = h;
    return ST_OK;
}

void web_close(struct web *h)
{
    if (!h)
        return;
    if (h->daemon) {
        streams_close(h);
        MHD_stop_daemon(h->daemon);
    }
    if (h->socket >= 0)
        close(h->socket);
    if (h->has_lock)
        pthread_mutex_destroy(&h->lock);
    free(h->token);
    free(h);
}

const char *web_address(const struct web *h)
{
    return h->address;
}
