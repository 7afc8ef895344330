/* The same work through beanstalkd, each put synced (-f 0): one producer that has 64 puts on the way, eight consumers.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/queue/peers.h"

enum { CONSUMERS = 8, ON_THE_WAY = 64, BODY = 512, LINE = 1024 };

static int port;
static long jobs;
static _Atomic long left;

/* A connection; one stream for each way. */
struct wire {
    FILE *in, *out;
};

static void hang_up(struct wire *w)
{
    if (w->in)
        fclose(w->in);
    if (w->out)
        fclose(w->out);
}

static bool dial(struct wire *w)
{
    *w = (struct wire){.in = NULL};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return false;
    }
    w->in = fdopen(fd, "r");
    w->out = fdopen(dup(fd), "w");
    return w->in && w->out;
}

static bool expect(FILE *f, const char *word)
{
    char line[LINE];
    return fgets(line, sizeof line, f) && strncmp(line, word, strlen(word)) == 0;
}

static void *produce(void *arg)
{
    struct wire w;
    char body[BODY + 1];
    (void)arg;
    memset(body, 'x', BODY);
    body[BODY] = '\0';
    bool ok = dial(&w);
    for (long i = 0, answered = 0; ok && answered < jobs; answered++) {
        for (; i < jobs && i - answered < ON_THE_WAY; i++)
            fprintf(w.out, "put 1024 0 60 %d\r\n%s\r\n", (int)BODY, body);
        fflush(w.out);
        ok = expect(w.in, "INSERTED");
    }
    hang_up(&w);
    return NULL;
}

static void *consume(void *arg)
{
    struct wire w;
    char line[LINE], id[32];
    (void)arg;
    bool ok = dial(&w);
    while (ok && atomic_load(&left) > 0) {
        fprintf(w.out, "reserve-with-timeout 1\r\n");
        fflush(w.out);
        ok = fgets(line, sizeof line, w.in);
        if (!ok || sscanf(line, "RESERVED %31s", id) != 1)
            continue;
        ok = fgets(line, sizeof line, w.in);
        fprintf(w.out, "delete %s\r\n", id);
        fflush(w.out);
        if (expect(w.in, "DELETED"))
            atomic_fetch_sub(&left, 1);
    }
    hang_up(&w);
    return NULL;
}

double beanstalkd_rate(const char *dir, long n)
{
    enum { FIRST_PORT = 23000, PORTS = 20000, TRIES = 200, TRY_US = 20000 };
    char number[16];
    pthread_t threads[CONSUMERS + 1];
    port = FIRST_PORT + (int)(getpid() % PORTS);
    jobs = n;
    atomic_store(&left, n);
    snprintf(number, sizeof number, "%d", port);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("beanstalkd", "beanstalkd", "-l", "127.0.0.1", "-p", number, "-b", dir, "-f", "0", NULL);
        _exit(127);
    }
    struct wire probe;
    bool there = false;
    for (int i = 0; i < TRIES && !there && waitpid(pid, NULL, WNOHANG) == 0; i++) {
        usleep(TRY_US);
        there = dial(&probe);
        if (there)
            hang_up(&probe);
    }
    double rate = 0;
    if (there) {
        int64_t from = clock_us();
        for (int i = 0; i <= CONSUMERS; i++)
            pthread_create(&threads[i], NULL, i ? consume : produce, NULL);
        for (int i = 0; i <= CONSUMERS; i++)
            pthread_join(threads[i], NULL);
        rate = (double)n * 1e6 / (double)(clock_us() - from);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return rate;
}
