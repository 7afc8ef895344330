#include "cli/up_http.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/paths.h"

void up_http_address(const struct up_http *h, int index, char out[UP_HTTP_ADDRESS])
{
    snprintf(out, UP_HTTP_ADDRESS, "%s:%d", h->host, h->port + index);
}

void up_http_url(const struct up_http *h, char out[UP_HTTP_URL])
{
    snprintf(out, UP_HTTP_URL, "http://%s:%d/?token=%s", h->host, h->port, h->token);
}

/* ---- token ---------------------------------------------------------------------------------------------------------
 */

/* ST_MISSING: there is none yet. */
static enum status read_token(const char *path, struct up_http *h)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ST_MISSING : ST_IO;
    ssize_t n = read(fd, h->token, sizeof h->token - 1);
    close(fd);
    if (n <= 0)
        return ST_IO;
    h->token[n] = '\0';
    h->token[strcspn(h->token, "\n")] = '\0';
    return ST_OK;
}

static enum status make_token(const char *path, struct up_http *h)
{
    enum { RANDOM_BYTES = 16 };
    unsigned char bytes[RANDOM_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return ST_IO;
    for (int i = 0; i < RANDOM_BYTES; i++)
        snprintf(h->token + 2 * i, 3, "%02x", bytes[i]);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ST_IO;
    bool ok = dprintf(fd, "%s\n", h->token) > 0;
    ok = close(fd) == 0 && ok;
    return ok ? ST_OK : ST_IO;
}

/* Kept from start to start, so that an address that somebody noted still works. */
static enum status find_token(const char *given, const char *data, struct up_http *h, struct diag *why)
{
    char path[PATHS_BYTES + 16];
    if (given && strlen(given) >= sizeof h->token)
        return diag_set(why, ST_INVALID, "http-token: over %zu bytes", sizeof h->token - 1);
    if (given) {
        snprintf(h->token, sizeof h->token, "%s", given);
        return ST_OK;
    }
    snprintf(path, sizeof path, "%s/http.token", data);
    enum status s = read_token(path, h);
    if (s == ST_MISSING)
        s = make_token(path, h);
    return s == ST_OK ? ST_OK : diag_set(why, s, "%s: %s", path, strerror(errno ? errno : EIO));
}

/* ---- ports ---------------------------------------------------------------------------------------------------------
 */

/* 0, or why a program can't listen there. */
static int error_of_port(const char *host, int port)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
    if (getaddrinfo(host, service, &hints, &list) != 0)
        return 0; /* the broker says what is wrong with it */
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    bool listens = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                   bind(fd, list->ai_addr, list->ai_addrlen) == 0 && listen(fd, 1) == 0;
    int error = listens ? 0 : errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return error;
}

/* The first of a run of n where none can listen, with the reason; or 0. */
static int first_refused(const char *host, int port, int n, int *error)
{
    *error = 0;
    for (int i = 0; i < n; i++)
        if ((*error = error_of_port(host, port + i)) != 0)
            return port + i;
    return 0;
}

static enum status refuse_port(const char *host, int port, int n, int error, struct diag *why)
{
    enum { FIRST_UNPRIVILEGED = 1024 };
    switch (error) {
    case EADDRINUSE:
        return diag_set(why, ST_REFUSED,
                        "http: %s:%d is taken, perhaps by another `ferret up`; %d ports in a row are needed: give "
                        "another one, or none for the next free ones",
                        host, port, n);
    case EADDRNOTAVAIL:
        return diag_set(why, ST_INVALID,
                        "http: %s is no address of this machine; expected one of its own, such as %s, or 0.0.0.0 for "
                        "all of them",
                        host, UP_HTTP_DEFAULT);
    case EACCES:
        return diag_set(why, ST_REFUSED, "http: %s:%d: permission denied%s", host, port,
                        port < FIRST_UNPRIVILEGED ? "; a port below 1024 takes a right (CAP_NET_BIND_SERVICE): give a "
                                                    "higher one"
                                                  : "");
    default: return diag_set(why, ST_IO, "http: %s:%d: %s", host, port, strerror(error));
    }
}

static enum status find_ports(struct up_http *h, bool may_move, int n, struct diag *why)
{
    enum { TRIES = 200, LAST_PORT = 65535 };
    int error, refused = first_refused(h->host, h->port, n, &error);
    for (int i = 0; may_move && error == EADDRINUSE && i < TRIES && refused + n < LAST_PORT; i++) {
        h->port = refused + 1;
        refused = first_refused(h->host, h->port, n, &error);
    }
    return error ? refuse_port(h->host, refused, n, error, why) : ST_OK;
}

enum status up_http_prepare(const struct service_flags *flags, const char *data, int n, struct up_http *out,
                            struct diag *why)
{
    enum { LAST_PORT = 65535 };
    const char *address = flags->http ? flags->http : UP_HTTP_DEFAULT;
    *out = (struct up_http){.is_off = strcmp(address, "off") == 0};
    if (out->is_off)
        return ST_OK;
    const char *colon = strrchr(address, ':');
    char *end;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == address || *end || port < 1 || port + n - 1 > LAST_PORT ||
        (size_t)(colon - address) >= sizeof out->host)
        return diag_set(why, ST_INVALID, "http \"%s\": want HOST:PORT, such as %s, or off", address, UP_HTTP_DEFAULT);
    snprintf(out->host, sizeof out->host, "%.*s", (int)(colon - address), address);
    out->port = (int)port;
    enum status s = find_token(flags->token, data, out, why);
    return s == ST_OK ? find_ports(out, !flags->http, n, why) : s;
}
