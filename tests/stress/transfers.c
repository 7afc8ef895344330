/* Many threads fetch from a server of our own while others fetch, fail, wait for their turn and are stopped: under the
 * thread sanitizer. Exit code 0: each fetch came back once, with what it asked for or a reason. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "media/fetch.h"

enum { ASKERS = 12, ROUNDS = 40, TALKS = 64 };

struct web {
    int fd;
    uint16_t port;
    pthread_t thread, talks[TALKS];
    int fds[TALKS], n_talks;
};

struct asker {
    const struct fetcher *fetcher;
    int port, number;
    int good, refused, stopped, wrong;
};

static void *talk(void *ctx)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    static const char gone[] = "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n";
    int fd = *(int *)ctx;
    char request[2048];
    for (ssize_t n; (n = recv(fd, request, sizeof request - 1, 0)) > 0;) {
        request[n] = '\0';
        const char *reply = strstr(request, "/gone") ? gone : strstr(request, "/busy") ? busy : hello;
        if (send(fd, reply, strlen(reply), MSG_NOSIGNAL) < 0)
            break;
    }
    shutdown(fd, SHUT_RDWR);
    return NULL;
}

static void *serve(void *ctx)
{
    struct web *w = ctx;
    for (int fd; w->n_talks < TALKS && (fd = accept(w->fd, NULL, NULL)) >= 0;) {
        w->fds[w->n_talks] = fd;
        if (pthread_create(&w->talks[w->n_talks], NULL, talk, &w->fds[w->n_talks]) != 0)
            break;
        w->n_talks++;
    }
    return NULL;
}

static bool web_open(struct web *w)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(w->fd, (struct sockaddr *)(void *)&a, sizeof a) != 0 || listen(w->fd, TALKS) != 0 ||
        getsockname(w->fd, (struct sockaddr *)(void *)&a, &len) != 0)
        return false;
    w->port = ntohs(a.sin_port);
    return pthread_create(&w->thread, NULL, serve, w) == 0;
}

static void web_close(struct web *w)
{
    shutdown(w->fd, SHUT_RDWR);
    pthread_join(w->thread, NULL);
    close(w->fd);
    for (int i = 0; i < w->n_talks; i++) {
        shutdown(w->fds[i], SHUT_RDWR);
        pthread_join(w->talks[i], NULL);
        close(w->fds[i]);
    }
}

static void *ask(void *ctx)
{
    static const char *const paths[] = {"hello", "gone", "hello", "busy"};
    struct asker *a = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        char uri[64];
        struct bytes b = {0};
        enum fetch_error kind;
        struct diag why;
        snprintf(uri, sizeof uri, "http://127.0.0.1:%d/%s", a->port, paths[(i + a->number) % 4]);
        if (fetch(a->fetcher, uri, &b, &kind, &why) == ST_OK)
            a->good += b.len == 5;
        else if (kind == FETCH_STOPPED)
            a->stopped++;
        else if (kind == FETCH_MISSING || kind == FETCH_HTTP_SERVER)
            a->refused++;
        else
            a->wrong++;
        bytes_fini(&b);
    }
    return NULL;
}

int main(void)
{
    struct web web = {0};
    struct fetcher *f;
    struct asker askers[ASKERS] = {0};
    pthread_t threads[ASKERS];
    int all = 0, good = 0, stopped = 0;
    if (!web_open(&web))
        return 1;
    struct fetch_options o = {.allow_private_hosts = true,
                              .ports = &web.port,
                              .n_ports = 1,
                              .retries = 1,
                              .max_transfers = 6,
                              .host_transfers = 4};
    if (fetcher_open(&o, &f, NULL) != ST_OK)
        return 1;
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.fetcher = f, .port = web.port, .number = i};
        if (pthread_create(&threads[i], NULL, ask, &askers[i]) != 0)
            return 1;
    }
    sleep(3);
    fetcher_stop(f);
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(threads[i], NULL);
        all += askers[i].good + askers[i].refused + askers[i].stopped;
        good += askers[i].good;
        stopped += askers[i].stopped;
    }
    fetcher_close(f);
    web_close(&web);
    fprintf(stderr, "%d fetches: %d good, %d stopped\n", all, good, stopped);
    return all == ASKERS * ROUNDS && good > 0 && stopped > 0 ? 0 : 1;
}
