#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/web.h"
#include "observe/service.h"

enum { ANSWER_BYTES = 65536, PATIENCE_MS = 10000 };

/* ---- a client that sends what it is told ------------------------------------------------------------------------- */

static int dial(const char *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Reads until `until` has come (or the end, where NULL). */
static void read_until(int fd, char out[ANSWER_BYTES], const char *until)
{
    size_t n = strlen(out);
    while (!until || !strstr(out, until)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "nothing more came after: %s", out);
        ssize_t got = recv(fd, out + n, ANSWER_BYTES - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        out[n] = '\0';
    }
    cr_assert(!until || strstr(out, until), "never came: %s", until);
}

static void ask(const char *address, const char *head, char out[ANSWER_BYTES])
{
    char request[2048];
    int fd = dial(address);
    int n = snprintf(request, sizeof request, "%s\r\nConnection: close\r\n\r\n", head);
    cr_assert_eq(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
    out[0] = '\0';
    read_until(fd, out, NULL);
    close(fd);
}

static int code_of(const char *answer)
{
    cr_assert_eq(strncmp(answer, "HTTP/1.1 ", 9), 0, "no HTTP: %s", answer);
    return (int)strtol(answer + 9, NULL, 10);
}

/* ---- a server that says which path it saw ------------------------------------------------------------------------ */

static void echo(void *ctx, const struct web_request *q, struct web_answer *a)
{
    (void)ctx;
    if (strcmp(q->path, "/stream") == 0) {
        *a = (struct web_answer){.code = 200, .type = "text/event-stream", .stream = true};
        return;
    }
    char *text = NULL;
    const char *x = web_query(q, "x");
    int n = asprintf(&text, "path %s x %s", q->path, x ? x : "none");
    *a = (struct web_answer){.code = 200, .type = "text/plain", .bytes = text, .len = (size_t)n, .owned = true};
}

static bool health_is_open(void *ctx, const char *path)
{
    (void)ctx;
    return strcmp(path, "/healthz") == 0;
}

static struct web *serve(const char *token)
{
    struct web *h = NULL;
    struct diag why = {""};
    struct web_options o = {.address = "127.0.0.1:0", .token = token, .is_open = health_is_open, .handler = echo};
    cr_assert_eq(web_open(&o, &h, &why), ST_OK, "%s", why.text);
    return h;
}

#define HOST "\r\nHost: 127.0.0.1"

Test(web, a_path_and_its_parameters_reach_the_handler_decoded)
{
    char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    ask(web_address(h), "GET /a%20b?x=1%262 HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 200);
    cr_assert(strstr(out, "\r\n\r\npath /a b x 1&2"), "%s", out);
    web_close(h);
}

Test(web, only_looking_is_allowed)
{
    char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    ask(web_address(h), "POST / HTTP/1.1" HOST "\r\nContent-Length: 0", out);
    cr_assert_eq(code_of(out), 405);
    ask(web_address(h), "DELETE / HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 405);
    ask(web_address(h), "HEAD /x HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 200);
    cr_assert_null(strstr(out, "path /x"), "a HEAD has no body");
    web_close(h);
}

Test(web, a_page_by_another_name_cannot_read_loopback)
{
    char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    static const struct {
        const char *host;
        int code;
    } cases[] = {{"evil.example", 403},
                 {"127.0.0.1.evil.example", 403},
                 {"localhost.evil.example", 403},
                 {"[::1].evil.example", 403},
                 {"127.0.0.1", 200},
                 {"localhost:7420", 200},
                 {"LocalHost", 200},
                 {"[::1]:80", 200},
                 {"127.evil.example:80", 403}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[256];
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s", cases[i].host);
        ask(web_address(h), head, out);
        cr_assert_eq(code_of(out), cases[i].code, "Host %s: %d", cases[i].host, code_of(out));
    }
    web_close(h);
}

Test(web, who_lacks_the_token_gets_nothing_but_open_paths)
{
    char out[ANSWER_BYTES];
    struct web *h = serve("correct-horse");
    static const struct {
        const char *head;
        int code;
    } cases[] = {{"GET / HTTP/1.1" HOST, 401},
                 {"GET /?token=correct-hors HTTP/1.1" HOST, 401},
                 {"GET /?token=correct-horsf HTTP/1.1" HOST, 401},
                 {"GET /?token=correct-horsecorrect-horse HTTP/1.1" HOST, 401},
                 {"GET /?token= HTTP/1.1" HOST, 401},
                 {"GET / HTTP/1.1" HOST "\r\nAuthorization: Bearer wrong-horse-", 401},
                 {"GET /healthz HTTP/1.1" HOST, 200},
                 {"GET /?token=correct-horse HTTP/1.1" HOST, 200},
                 {"GET / HTTP/1.1\r\nHost: elsewhere.example\r\nAuthorization: Bearer correct-horse", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(web_address(h), cases[i].head, out);
        cr_assert_eq(code_of(out), cases[i].code, "%s: %d", cases[i].head, code_of(out));
        cr_assert(cases[i].code == 200 || !strstr(out, "path "), "it got a page: %s", out);
    }
    web_close(h);
}

Test(web, a_browser_gets_the_token_as_a_cookie_and_an_address_without_it)
{
    char out[ANSWER_BYTES], head[512];
    struct web *h = serve("correct-horse");
    ask(web_address(h),
        "GET /campaigns/a%20b%0d%0aSet-Cookie:x?token=correct-horse HTTP/1.1" HOST "\r\nAccept: text/html", out);
    cr_assert_eq(code_of(out), 303);
    cr_assert(strstr(out, "Location: /campaigns/a%20b%0D%0ASet-Cookie%3Ax\r\n"), "%s", out);
    cr_assert(strstr(out, "HttpOnly; SameSite=Strict"), "%s", out);
    snprintf(head, sizeof head, "GET / HTTP/1.1" HOST "\r\nCookie: ferretry-%s=correct-horse",
             strrchr(web_address(h), ':') + 1);
    ask(web_address(h), head, out);
    cr_assert_eq(code_of(out), 200);
    web_close(h);
}

Test(web, every_answer_forbids_scripts_from_elsewhere_and_sniffing)
{
    char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    ask(web_address(h), "GET / HTTP/1.1" HOST, out);
    cr_assert(strstr(out, "Content-Security-Policy: default-src 'none'; script-src 'self';"), "%s", out);
    cr_assert(strstr(out, "X-Content-Type-Options: nosniff"), "%s", out);
    web_close(h);
}

static enum status try_open(const char *address, const char *token, struct diag *why)
{
    struct web *h = NULL;
    struct web_options o = {.address = address, .token = token, .handler = echo};
    enum status s = web_open(&o, &h, why);
    web_close(h);
    return s;
}

Test(web, other_hosts_are_let_in_with_a_token_only)
{
    struct diag why = {""};
    cr_assert_eq(try_open("0.0.0.0:0", NULL, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "FERRET_HTTP_TOKEN"), "%s", why.text);
    cr_assert_eq(try_open("0.0.0.0:0", "correct-horse", &why), ST_OK, "%s", why.text);
    cr_assert_eq(try_open("0.0.0.0:0", "short", &why), ST_INVALID);
    cr_assert_eq(try_open("127.0.0.1:0", "bad token with space", &why), ST_INVALID);
}

Test(web, an_address_that_is_none_is_named)
{
    static const char *const bad[] = {"",         "localhost",       "127.0.0.1:", ":7420", "127.0.0.1:x",
                                      "::1:7420", "127.0.0.1:123456"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct diag why = {""};
        cr_assert_eq(try_open(bad[i], NULL, &why), ST_INVALID, "\"%s\" was taken", bad[i]);
        cr_assert(strstr(why.text, "http"), "%s", why.text);
    }
}

Test(web, an_address_that_is_taken_is_an_error)
{
    struct diag why = {""};
    struct web *h = serve(NULL);
    cr_assert_eq(try_open(web_address(h), NULL, &why), ST_IO);
    cr_assert(strstr(why.text, "Address already in use"), "%s", why.text);
    web_close(h);
}

/* ---- streams ------------------------------------------------------------------------------------------------------
 */

static int open_stream(const struct web *h)
{
    static const char head[] = "GET /stream HTTP/1.1" HOST "\r\n\r\n";
    int fd = dial(web_address(h));
    cr_assert_eq(send(fd, head, sizeof head - 1, MSG_NOSIGNAL), (ssize_t)sizeof head - 1);
    return fd;
}

static void wait_streams(struct web *h, int n)
{
    for (int i = 0; i < PATIENCE_MS / 10 && web_streams(h) != n; i++)
        poll(NULL, 0, 10);
    cr_assert_eq(web_streams(h), n, "%d streams are open, not %d", web_streams(h), n);
}

Test(web, a_stream_brings_the_last_event_first_and_then_each_new_one)
{
    static char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    web_publish(h, "old", 3);
    web_publish(h, "first", 5);
    int fd = open_stream(h);
    out[0] = '\0';
    read_until(fd, out, "data: first\n\n");
    cr_assert_null(strstr(out, "old"));
    for (int i = 0; i < 20; i++) {
        char text[32], expected[48];
        int n = snprintf(text, sizeof text, "event %d.", i);
        snprintf(expected, sizeof expected, "data: %s\n\n", text);
        web_publish(h, text, (size_t)n);
        read_until(fd, out, expected);
    }
    close(fd);
    web_close(h);
}

Test(web, a_stream_waits_for_the_first_event)
{
    static char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    int fd = open_stream(h);
    wait_streams(h, 1);
    out[0] = '\0';
    read_until(fd, out, "\r\n\r\n");
    web_publish(h, "late", 4);
    read_until(fd, out, "data: late\n\n");
    close(fd);
    web_close(h);
}

Test(web, a_reader_that_leaves_or_stalls_holds_nobody_up)
{
    static char out[ANSWER_BYTES], big[40000];
    struct web *h = serve(NULL);
    int gone = open_stream(h), stalled = open_stream(h), reader = open_stream(h);
    wait_streams(h, 3);
    close(gone);
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 2000; i++) /* 80 MB: more than sockets hold */
        web_publish(h, big, sizeof big);
    web_publish(h, "end", 3);
    out[0] = '\0';
    size_t seen = 0;
    do {
        out[0] = '\0';
        ssize_t n = recv(reader, out, sizeof out - 1, 0);
        cr_assert_gt(n, 0);
        out[n] = '\0';
        seen += (size_t)n;
    } while (!strstr(out, "data: end\n\n"));
    cr_assert_lt(seen, 80000000u, "a slow reader skips");
    wait_streams(h, 2);
    close(stalled);
    close(reader);
    web_close(h);
}

Test(web, closing_ends_streams_that_wait)
{
    static char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    int fd = open_stream(h);
    wait_streams(h, 1);
    web_close(h);
    out[0] = '\0';
    read_until(fd, out, NULL);
    close(fd);
}

Test(web, one_watcher_too_many_is_told_so)
{
    enum { MOST = 48 };
    static char out[ANSWER_BYTES];
    struct web *h = serve(NULL);
    int fds[MOST];
    for (int i = 0; i < MOST; i++)
        fds[i] = open_stream(h);
    wait_streams(h, MOST);
    int fd = open_stream(h);
    out[0] = '\0';
    read_until(fd, out, "too many are looking");
    cr_assert_eq(code_of(out), 503);
    close(fd);
    for (int i = 0; i < MOST; i++)
        close(fds[i]);
    web_close(h);
}

/* ---- what every program shows -------------------------------------------------------------------------------------
 */

static const char *unready(void *ctx)
{
    return *(const char **)ctx;
}

Test(service, health_readiness_and_metrics_have_their_pages)
{
    char out[ANSWER_BYTES];
    const char *reason = "the model is loading\n";
    struct metrics *m = NULL;
    struct service *s = NULL;
    struct diag why = {""};
    cr_assert_eq(metrics_new(&m), ST_OK);
    metric_add(metrics_make(m, &(struct metric_info){.kind = METRIC_COUNTER, .name = "x_total", .help = "X."}), 5);
    struct service_flags flags = {.http = "127.0.0.1:0", .token = "correct-horse"};
    struct service_options o = {.flags = &flags, .metrics = m, .unready = unready, .ctx = &reason};
    cr_assert_eq(service_open(&o, &s, &why), ST_OK, "%s", why.text);
    const char *address = web_address(service_web(s));
    ask(address, "GET /healthz HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 200);
    ask(address, "GET /readyz HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 503);
    cr_assert(strstr(out, "the model is loading"));
    reason = NULL;
    ask(address, "GET /readyz HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 200);
    ask(address, "GET /metrics HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 401);
    ask(address, "GET /metrics HTTP/1.1" HOST "\r\nAuthorization: Bearer correct-horse", out);
    cr_assert_eq(code_of(out), 200);
    cr_assert(strstr(out, "text/plain; version=0.0.4") && strstr(out, "\nx_total 5\n"), "%s", out);
    ask(address, "GET /nowhere?token=correct-horse HTTP/1.1" HOST, out);
    cr_assert_eq(code_of(out), 404);
    service_beat(s);
    service_beat(NULL);
    service_close(s);
    metrics_free(m);
}
