/* Under the thread sanitizer: metrics are changed by threads while others read them over HTTP, and streams come, read,
 * stall and leave while events are published. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "observe/process.h"
#include "observe/service.h"

enum { COUNTERS = 3, READERS = 2, WATCHERS = 3, RUN_MS = 3000 };

struct shared {
    struct metric *counter, *histogram;
    struct service *service;
    atomic_bool stop;
    atomic_int answers;
};

static void *count(void *ctx)
{
    struct shared *s = ctx;
    for (int i = 0; !s->stop; i++) {
        metric_add(s->counter, 1);
        metric_observe(s->histogram, i % 1000000);
        service_beat(s->service);
    }
    return NULL;
}

static int dial(struct shared *s, const char *path)
{
    char head[128];
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)strtol(strrchr(web_address(service_web(s->service)), ':') + 1, NULL, 10));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, head, (size_t)n, MSG_NOSIGNAL) == n)
        return fd;
    close(fd);
    return -1;
}

static void *read_metrics(void *ctx)
{
    struct shared *s = ctx;
    static const char *const paths[] = {"/metrics", "/healthz", "/readyz", "/x"};
    for (int i = 0; !s->stop; i++) {
        char answer[8192];
        int fd = dial(s, paths[i % 4]);
        s->answers += fd >= 0 && recv(fd, answer, sizeof answer, 0) > 0;
        close(fd);
    }
    return NULL;
}

/* Reads a little, or nothing, and leaves. */
static void *watch(void *ctx)
{
    struct shared *s = ctx;
    struct timespec moment = {.tv_nsec = 20000000};
    for (int i = 0; !s->stop; i++) {
        char answer[8192];
        int fd = dial(s, "/stream");
        for (int k = 0; fd >= 0 && k < i % 5; k++)
            s->answers += recv(fd, answer, sizeof answer, 0) > 0;
        nanosleep(&moment, NULL);
        close(fd);
    }
    return NULL;
}

static const char *unready(void *ctx)
{
    struct shared *s = ctx;
    return s->answers % 2 ? "odd\n" : NULL;
}

static void pages(void *ctx, const struct web_request *q, struct web_answer *a)
{
    (void)ctx;
    if (strcmp(q->path, "/stream") == 0)
        *a = (struct web_answer){.code = 200, .type = "text/event-stream", .stream = true};
}

int main(void)
{
    struct shared s = {.stop = false};
    struct metrics *m = NULL;
    struct diag why = {""};
    struct service_flags flags = {.http = "127.0.0.1:0"};
    static char event[30000];
    memset(event, 'x', sizeof event);
    if (metrics_new(&m) != ST_OK || process_metrics(m, "stress") != ST_OK)
        return 1;
    s.counter = metrics_make(m, &(struct metric_info){.kind = METRIC_COUNTER, .name = "c_total", .help = "C."});
    s.histogram = metrics_make(m, &(struct metric_info){.kind = METRIC_HISTOGRAM,
                                                        .unit = UNIT_SECONDS,
                                                        .name = "h_seconds",
                                                        .help = "H.",
                                                        .bounds = metric_time_bounds,
                                                        .n_bounds = METRIC_TIME_BOUNDS});
    struct service_options o = {.flags = &flags, .metrics = m, .unready = unready, .pages = pages, .ctx = &s};
    if (service_open(&o, &s.service, &why) != ST_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    pthread_t threads[COUNTERS + READERS + WATCHERS];
    for (int i = 0; i < COUNTERS + READERS + WATCHERS; i++)
        if (pthread_create(&threads[i], NULL,
                           i < COUNTERS             ? count
                           : i < COUNTERS + READERS ? read_metrics
                                                    : watch,
                           &s) != 0)
            return 1;
    struct timespec moment = {.tv_nsec = 5000000};
    for (int64_t until = clock_ms() + RUN_MS; clock_ms() < until; nanosleep(&moment, NULL))
        web_publish(service_web(s.service), event, sizeof event);
    s.stop = true;
    int last = dial(&s, "/stream"); /* is there when the server ends */
    for (int i = 0; i < COUNTERS + READERS + WATCHERS; i++)
        pthread_join(threads[i], NULL);
    service_close(s.service);
    close(last);
    metrics_free(m);
    printf("%d answers\n", s.answers);
    return s.answers > 20 ? 0 : 1;
}
