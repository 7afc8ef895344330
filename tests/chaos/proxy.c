/* Unix sockets in front of the brokers' and of Redis', which cut, delay and halve what passes, as the seed says. Bytes
 * are never changed: a connection that is cut in the middle of a frame loses its rest. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/chaos/chaos.h"

enum { MOST_DOORS = 8, MOST_PAIRS = 128, CHUNK = 64 << 10 };

struct door {
    int fd;
    char to[PATH_LEN];
};

/* Two sockets; what side i sent and the other has not taken waits in held[i]. */
struct pair {
    int fds[2];
    struct {
        char *bytes;
        size_t at, end;
        int64_t from_ms; /* not passed on before */
    } held[2];
};

struct proxy {
    struct door doors[MOST_DOORS];
    int n_doors;
    struct pair pairs[MOST_PAIRS];
    int n_pairs;
    unsigned seed;
};

static volatile sig_atomic_t cut_all;

static void on_signal(int sig)
{
    (void)sig;
    cut_all = 1;
}

static int unix_socket(const char *path, struct sockaddr_un *to)
{
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(to->sun_path, sizeof to->sun_path, "%.100s", path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void open_door(struct proxy *p, const char *at, const char *to)
{
    struct sockaddr_un name;
    struct door *d = &p->doors[p->n_doors++];
    d->fd = unix_socket(at, &name);
    snprintf(d->to, sizeof d->to, "%s", to);
    unlink(at);
    if (d->fd < 0 || bind(d->fd, (struct sockaddr *)&name, sizeof name) != 0 || listen(d->fd, MOST_PAIRS) != 0) {
        fprintf(stderr, "proxy: %s: %s\n", at, strerror(errno));
        _exit(1);
    }
}

static void close_pair(struct proxy *p, int i)
{
    for (int k = 0; k < 2; k++) {
        close(p->pairs[i].fds[k]);
        free(p->pairs[i].held[k].bytes);
    }
    p->pairs[i] = p->pairs[--p->n_pairs];
}

static void accept_one(struct proxy *p, const struct door *d)
{
    struct sockaddr_un to;
    int one = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), other = unix_socket(d->to, &to);
    if (one < 0 || other < 0 || p->n_pairs == MOST_PAIRS ||
        connect(other, (struct sockaddr *)&to, sizeof to) != 0) { /* nobody there: the peer sees its connection end */
        close(one);
        close(other);
        return;
    }
    p->pairs[p->n_pairs++] = (struct pair){.fds = {one, other}};
}

/* Takes what side `from` has to say; false: the pair is to be closed. */
static bool take(struct proxy *p, struct pair *pair, int from)
{
    enum { DICE = 4000, CUT = 2, HALVE = 20, DELAY = 60, DELAY_MS = 250 };
    pair->held[from].bytes = malloc(CHUNK);
    if (!pair->held[from].bytes)
        return false;
    ssize_t n = recv(pair->fds[from], pair->held[from].bytes, CHUNK, 0);
    if (n <= 0) {
        free(pair->held[from].bytes);
        pair->held[from].bytes = NULL;
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    pair->held[from].at = 0;
    pair->held[from].end = (size_t)n;
    pair->held[from].from_ms = 0;
    int dice = rand_r(&p->seed) % DICE;
    if (dice < CUT) { /* half of it still gets there */
        ssize_t sent = send(pair->fds[!from], pair->held[from].bytes, (size_t)n / 2, MSG_NOSIGNAL);
        (void)sent;
        return false;
    }
    if (dice < DELAY)
        pair->held[from].from_ms = clock_ms() + rand_r(&p->seed) % DELAY_MS;
    if (dice < HALVE) { /* the rest comes after the delay */
        ssize_t sent = send(pair->fds[!from], pair->held[from].bytes, (size_t)n / 2, MSG_NOSIGNAL);
        pair->held[from].at = sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

static bool give(struct pair *pair, int from)
{
    ssize_t n = send(pair->fds[!from], pair->held[from].bytes + pair->held[from].at,
                     pair->held[from].end - pair->held[from].at, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    pair->held[from].at += (size_t)n;
    if (pair->held[from].at == pair->held[from].end) {
        free(pair->held[from].bytes);
        pair->held[from].bytes = NULL;
    }
    return true;
}

static void watch(const struct proxy *p, struct pollfd *polls, int *n, int64_t now, int *wait_ms)
{
    *n = 0;
    for (int i = 0; i < p->n_doors; i++)
        polls[(*n)++] = (struct pollfd){.fd = p->doors[i].fd, .events = POLLIN};
    for (int i = 0; i < p->n_pairs; i++)
        for (int k = 0; k < 2; k++) {
            const struct pair *pair = &p->pairs[i];
            bool late = pair->held[!k].bytes && pair->held[!k].from_ms > now;
            short events = pair->held[k].bytes ? 0 : POLLIN;
            if (pair->held[!k].bytes && !late)
                events |= POLLOUT;
            if (late && pair->held[!k].from_ms - now < *wait_ms)
                *wait_ms = (int)(pair->held[!k].from_ms - now);
            polls[(*n)++] = (struct pollfd){.fd = pair->fds[k], .events = events};
        }
}

static bool serve(struct proxy *p, struct pair *pair, const struct pollfd *polls)
{
    for (int k = 0; k < 2; k++) {
        if ((polls[k].revents & POLLOUT) && pair->held[!k].bytes && !give(pair, !k))
            return false;
        if ((polls[k].revents & (POLLIN | POLLHUP | POLLERR)) && !pair->held[k].bytes && !take(p, pair, k))
            return false;
    }
    return true;
}

static void loop(struct proxy *p)
{
    struct pollfd polls[MOST_DOORS + 2 * MOST_PAIRS];
    for (;;) {
        enum { LONGEST_MS = 100 };
        int n, wait_ms = LONGEST_MS;
        watch(p, polls, &n, clock_ms(), &wait_ms);
        (void)poll(polls, (nfds_t)n, wait_ms);
        for (int i = p->n_pairs; i-- > 0;)
            if (cut_all || !serve(p, &p->pairs[i], &polls[p->n_doors + 2 * i]))
                close_pair(p, i);
        cut_all = 0;
        for (int i = 0; i < p->n_doors; i++)
            if (polls[i].revents & POLLIN)
                accept_one(p, &p->doors[i]);
    }
}

void proxy_run(const struct chaos *c)
{
    static struct proxy p;
    char at[PATH_LEN], to[PATH_LEN];
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &act, NULL);
    p.seed = c->seed;
    for (int i = 0; i < c->count[ROLE_BROKER]; i++)
        for (const char *side = "cw"; *side; side++) {
            broker_socket(c, *side, i, true, at);
            broker_socket(c, *side, i, false, to);
            open_door(&p, at, to);
        }
    snprintf(at, sizeof at, "%.150s/proxy.redis", c->dir);
    open_door(&p, at, c->redis);
    loop(&p);
}
