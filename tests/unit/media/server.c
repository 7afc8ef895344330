#include "server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BIG = 1 << 20, SLOW_MS = 400 };

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static bool say(int fd, const char *text, size_t len)
{
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool reply(int fd, int status, const char *headers, const char *body, size_t len)
{
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n%s\r\n", status, len, headers);
    return say(fd, head, (size_t)n) && (len == 0 || say(fd, body, len));
}

static bool reply_big(int fd)
{
    char *big = calloc(1, BIG);
    bool ok = reply(fd, 200, "", big, BIG);
    free(big);
    return ok;
}

static bool reply_range(int fd, const char *request)
{
    static const char digits[] = "0123456789";
    unsigned from = 0, to = 0;
    char header[64];
    const char *range = strcasestr(request, "range: bytes=");
    if (!range || sscanf(range + strlen("range: bytes="), "%u-%u", &from, &to) != 2)
        return reply(fd, 200, "", digits, 10);
    if (from >= 10)
        return reply(fd, 416, "", "no", 2);
    to = to > 9 ? 9 : to;
    snprintf(header, sizeof header, "Content-Range: bytes %u-%u/10\r\n", from, to);
    return reply(fd, 206, header, digits + from, to - from + 1);
}

static bool drip(int fd)
{
    bool ok = say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 43);
    while (ok) {
        pause_ms(50);
        ok = say(fd, "x", 1);
    }
    return false;
}

static bool answer(struct server *s, int fd, const char *request)
{
    char path[512] = "", header[600];
    int status = 0, seconds = 0;
    sscanf(request, "GET %511s", path);
    if (sscanf(path, "/status/%d", &status) ==
        1) /* a 304 has no body (RFC 9110 15.4.5): one would open the next answer */
        return reply(fd, status, "", "reason", status == 304 ? 0 : 6);
    if (sscanf(path, "/after/%d/%d", &status, &seconds) == 2) {
        snprintf(header, sizeof header, "Retry-After: %d\r\n", seconds);
        return reply(fd, status, header, "", 0);
    }
    if (sscanf(path, "/heals/%d", &status) == 1)
        return atomic_fetch_add(&s->heals, 1) < status ? reply(fd, 503, "", "", 0) : reply(fd, 200, "", "hello", 5);
    if (strncmp(path, "/to?", 4) == 0 || strcmp(path, "/loop") == 0) {
        snprintf(header, sizeof header, "Location: %s\r\n", path[1] == 't' ? path + 4 : path);
        return reply(fd, 302, header, "moved", 5);
    }
    if (strcmp(path, "/bytes.tar") == 0)
        return reply_range(fd, request);
    if (strcmp(path, "/stubborn.tar") == 0)
        return reply(fd, 200, "", "0123456789", 10);
    if (strcmp(path, "/big") == 0)
        return reply_big(fd);
    if (strcmp(path, "/drip") == 0)
        return drip(fd);
    if (strcmp(path, "/cut") == 0)
        return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 43) && false;
    if (strcmp(path, "/mute") == 0) {
        char byte;
        return recv(fd, &byte, 1, 0) < 0; /* until the other side leaves */
    }
    if (strcmp(path, "/slow") == 0)
        pause_ms(SLOW_MS);
    if (sscanf(path, "/tagged/%d", &status) == 1 || sscanf(path, "/weak/%d", &status) == 1) {
        snprintf(header, sizeof header, "If-None-Match: \"v%d\"\r\n", status);
        bool same = strstr(request, header) != NULL;
        snprintf(header, sizeof header, "ETag: %s\"v%d\"\r\n%s", path[1] == 'w' ? "W/" : "", status,
                 strstr(path, "noai") ? "X-Robots-Tag: noai\r\n" : "");
        return reply(fd, same ? 304 : 200, header, "hello", same ? 0 : 5);
    }
    if (strcmp(path, "/noai") == 0)
        return reply(fd, 200, "X-Robots-Tag: noindex, noai\r\n", "hello", 5);
    if (strcmp(path, "/nostore") == 0)
        return reply(fd, 200, "Cache-Control: private, no-store\r\n", "hello", 5);
    if (strncmp(path, "/hello", 6) == 0 || strcmp(path, "/slow") == 0)
        return reply(fd, 200, "", "hello", 5);
    return strcmp(path, "/empty") == 0 ? reply(fd, 200, "", "", 0) : reply(fd, 404, "", "", 0);
}

static void count(struct server *s)
{
    int running = atomic_fetch_add(&s->now, 1) + 1, most = atomic_load(&s->most_at_once);
    atomic_fetch_add(&s->requests, 1);
    while (running > most && !atomic_compare_exchange_weak(&s->most_at_once, &most, running))
        ;
}

struct connection {
    struct server *server;
    int fd;
};

static void *converse(void *ctx)
{
    struct connection c = *(struct connection *)ctx;
    free(ctx);
    char request[4096];
    ssize_t n;
    bool more = true;
    while (more && (n = recv(c.fd, request, sizeof request - 1, 0)) > 0) {
        request[n] = '\0';
        count(c.server);
        more = answer(c.server, c.fd, request);
        atomic_fetch_sub(&c.server->now, 1);
    }
    shutdown(c.fd, SHUT_RDWR);
    return NULL;
}

static void *serve(void *ctx)
{
    struct server *s = ctx;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct connection *c = malloc(sizeof *c);
        *c = (struct connection){s, fd};
        atomic_fetch_add(&s->connections, 1);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        cr_assert(s->n_talks < SERVER_CONNECTIONS);
        s->talks[s->n_talks].fd = fd;
        cr_assert_eq(pthread_create(&s->talks[s->n_talks++].thread, NULL, converse, c), 0);
    }
    return NULL;
}

void server_open(struct server *s, const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    memset(s, 0, sizeof *s);
    cr_assert_eq(inet_pton(AF_INET, address, &a.sin_addr), 1);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(s->fd, (struct sockaddr *)(void *)&a, sizeof a), 0);
    cr_assert_eq(listen(s->fd, 64), 0);
    cr_assert_eq(getsockname(s->fd, (struct sockaddr *)(void *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

void server_close(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    for (int i = 0; i < s->n_talks; i++) {
        shutdown(s->talks[i].fd, SHUT_RDWR);
        pthread_join(s->talks[i].thread, NULL);
        close(s->talks[i].fd);
    }
}
