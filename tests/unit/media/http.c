/* Claims of media/fetch.h over HTTP, against a small server of our own: bounds, patience, politeness, and that no
 * address leads into the own network. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "media/http_address.h"
#include "media/transfers.h"
#include "server.h"

TestSuite(http, .timeout = 60);

struct web {
    struct server server;
    uint16_t port;
    struct fetcher *fetcher;
};

static void web_open(struct web *w, struct fetch_options o)
{
    server_open(&w->server, "127.0.0.1");
    w->port = (uint16_t)w->server.port;
    o.ports = &w->port;
    o.n_ports = 1;
    cr_assert_eq(fetcher_open(&o, &w->fetcher, NULL), ST_OK);
}

static void web_close(struct web *w)
{
    fetcher_close(w->fetcher);
    server_close(&w->server);
}

/* Text: what should come, or of a refusal what its sentence should hold. */
static void expect_uri(const struct web *w, const char *uri, enum fetch_error want, const char *text)
{
    struct bytes b = {0};
    struct diag why = {0};
    enum fetch_error kind = FETCH_ERROR_COUNT_;
    enum status s = fetch(w->fetcher, uri, &b, &kind, &why);
    cr_expect_str_eq(fetch_error_word(kind), fetch_error_word(want), "%s: %s (%s)", uri, fetch_error_word(kind),
                     why.text);
    cr_expect_eq(s == ST_OK, want == FETCH_OK);
    if (want == FETCH_OK)
        cr_expect(b.len == strlen(text) && (b.len == 0 || memcmp(b.data, text, b.len) == 0), "%s", uri);
    else
        cr_expect(text ? strstr(why.text, text) != NULL : why.text[0] != '\0', "%s: %s", uri, why.text);
    bytes_fini(&b);
}

static void expect(const struct web *w, const char *path, enum fetch_error want, const char *text)
{
    char uri[256];
    snprintf(uri, sizeof uri, "http://user:word@127.0.0.1:%d%s", w->server.port, path);
    expect_uri(w, uri, want, text);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

Test(http, answers_map_to_kinds_and_bounds_hold)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .max_bytes = 16});
    expect(&w, "/hello?token=x", FETCH_OK, "hello");
    expect(&w, "/empty", FETCH_OK, "");
    expect(&w, "/gone", FETCH_MISSING, "404");
    expect(&w, "/status/410", FETCH_MISSING, "410");
    expect(&w, "/status/401", FETCH_DENIED, "401");
    expect(&w, "/status/403", FETCH_DENIED, "403");
    expect(&w, "/status/418", FETCH_HTTP_STATUS, "418");
    expect(&w, "/status/304", FETCH_HTTP_STATUS, "304");
    expect(&w, "/status/503", FETCH_HTTP_SERVER, "503");
    expect(&w, "/status/429", FETCH_HTTP_SERVER, "429");
    expect(&w, "/big", FETCH_TOO_LARGE, "16 bytes");
    expect(&w, "/cut", FETCH_UNREACHABLE, NULL);
    expect_uri(&w, "http://no-such-host.invalid/", FETCH_UNKNOWN_HOST, "no-such-host.invalid");
    expect_uri(&w, "http:///", FETCH_BAD_URI, "http:///: no usable address: ");
    expect_uri(&w, "http://me:word@h/a b.jpg?sig=x", FETCH_BAD_URI, "http://h/a b.jpg: no usable address: a space in");
    cr_expect_eq(fetch_error_class(FETCH_MISSING), MEDIA_PERMANENT);
    cr_expect_eq(fetch_error_class(FETCH_HTTP_SERVER), MEDIA_TRANSIENT);
    cr_expect_eq(fetch_error_class(FETCH_DENIED), MEDIA_ENVIRONMENT);
    web_close(&w);
}

Test(http, a_shards_member_is_one_range_of_exactly_its_length)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    expect(&w, "/bytes.tar#m.jpg@2+3", FETCH_OK, "234");
    expect(&w, "/bytes.tar#m.jpg@8+2", FETCH_OK, "89");
    expect(&w, "/bytes.tar#m.jpg@8+3", FETCH_BAD_MEMBER, NULL);
    expect(&w, "/bytes.tar#m.jpg@10+1", FETCH_BAD_MEMBER, NULL);
    expect(&w, "/stubborn.tar#m.jpg@2+3", FETCH_BAD_MEMBER, NULL);
    expect(&w, "/stubborn.tar#m.jpg@0+10", FETCH_BAD_MEMBER, NULL);
    web_close(&w);
}

Test(http, a_part_may_be_shorter_at_the_end_only)
{
    struct web w;
    struct bytes b = {0};
    char uri[64];
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    snprintf(uri, sizeof uri, "http://127.0.0.1:%d/bytes.tar", w.server.port);
    cr_assert_eq(fetch_part(w.fetcher, uri, 7, 100, &b, NULL, NULL), ST_OK);
    cr_expect(b.len == 3 && memcmp(b.data, "789", 3) == 0);
    bytes_fini(&b);
    cr_assert_eq(fetch_part(w.fetcher, uri, 10, 100, &b, NULL, NULL), ST_OK);
    cr_expect_eq(b.len, 0);
    bytes_fini(&b);
    web_close(&w);
}

Test(http, redirects_are_followed_counted_and_looked_at)
{
    struct web w;
    struct server other;
    char path[128], shown[128];
    server_open(&other, "127.0.0.1");
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .max_redirects = 2});
    expect(&w, "/to?/to?/hello", FETCH_OK, "hello");
    expect(&w, "/to?/to?/to?/hello", FETCH_HTTP_STATUS, "2 redirects");
    expect(&w, "/loop", FETCH_HTTP_STATUS, "2 redirects");
    expect(&w, "/to?file:///etc/passwd", FETCH_BAD_URI, "/to: redirected: file:///etc/passwd: no usable address: ");
    expect(&w, "/to?gopher://127.0.0.1/", FETCH_BAD_URI,
           ": redirected: gopher://127.0.0.1/: no usable address: expected");
    expect(&w, "/to?/gone", FETCH_MISSING, "/gone: HTTP status 404");
    snprintf(path, sizeof path, "/to?http://127.0.0.1:%d/hello", other.port);
    snprintf(shown, sizeof shown, "/to: redirected: http://127.0.0.1:%d/hello: port %d", other.port, other.port);
    expect(&w, path, FETCH_BLOCKED_ADDRESS, shown);
    cr_expect_eq(atomic_load(&other.connections), 0);
    web_close(&w);
    server_close(&other);
}

Test(http, what_may_pass_is_tried_again_as_often_as_said)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .retries = 2});
    expect(&w, "/heals/2", FETCH_OK, "hello");
    cr_expect_eq(atomic_load(&w.server.requests), 3);
    expect(&w, "/status/503", FETCH_HTTP_SERVER, NULL);
    cr_expect_eq(atomic_load(&w.server.requests), 6);
    expect(&w, "/gone", FETCH_MISSING, NULL);
    cr_expect_eq(atomic_load(&w.server.requests), 7, "what will not pass is not tried again");
    web_close(&w);
}

Test(http, retry_after_is_obeyed_and_a_long_one_ends_the_tries)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .retries = 1});
    int64_t from = now_ms();
    expect(&w, "/after/429/2", FETCH_HTTP_SERVER, NULL);
    cr_expect_eq(atomic_load(&w.server.requests), 2);
    cr_expect_geq(now_ms() - from, 2000);
    from = now_ms();
    expect(&w, "/after/503/3600", FETCH_HTTP_SERVER, NULL);
    cr_expect_eq(atomic_load(&w.server.requests), 3);
    cr_expect_lt(now_ms() - from, 20000);
    web_close(&w);
}

Test(http, silence_ends_after_the_time_for_a_first_byte_and_dripping_after_that_for_all)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .first_byte_timeout_ms = 800, .timeout_ms = 1600});
    expect(&w, "/mute", FETCH_TIMEOUT, "no answer after 800 ms");
    expect(&w, "/drip", FETCH_TIMEOUT, "takes too long");
    expect(&w, "/hello", FETCH_OK, "hello");
    web_close(&w);
}

Test(http, a_server_that_takes_no_connection_ends_as_a_timeout)
{
    struct web w;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int full = socket(AF_INET, SOCK_STREAM, 0), crowd[2];
    cr_assert(bind(full, (struct sockaddr *)(void *)&a, sizeof a) == 0 && listen(full, 0) == 0);
    cr_assert_eq(getsockname(full, (struct sockaddr *)(void *)&a, &len), 0);
    for (int i = 0; i < 2; i++) { /* its backlog is taken up */
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(crowd[i], (struct sockaddr *)(void *)&a, sizeof a);
    }
    uint16_t port = ntohs(a.sin_port);
    char uri[64];
    snprintf(uri, sizeof uri, "http://127.0.0.1:%d/", port);
    struct fetch_options o = {.allow_private_hosts = true, .connect_timeout_ms = 200, .ports = &port, .n_ports = 1};
    cr_assert_eq(fetcher_open(&o, &w.fetcher, NULL), ST_OK);
    expect_uri(&w, uri, FETCH_TIMEOUT, "no connection after 200 ms");
    fetcher_close(w.fetcher);
    for (int i = 0; i < 2; i++)
        close(crowd[i]);
    close(full);
}

Test(http, a_connection_that_is_refused_is_told_with_host_port_and_cause)
{
    struct web w;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int deaf = socket(AF_INET, SOCK_STREAM, 0); /* has a port, which nobody else gets, and does not listen */
    cr_assert(bind(deaf, (struct sockaddr *)(void *)&a, sizeof a) == 0);
    cr_assert_eq(getsockname(deaf, (struct sockaddr *)(void *)&a, &len), 0);
    uint16_t port = ntohs(a.sin_port);
    char uri[64], where[64];
    snprintf(uri, sizeof uri, "http://127.0.0.1:%d/", port);
    snprintf(where, sizeof where, " 127.0.0.1 port %d ", port);
    struct fetch_options o = {.allow_private_hosts = true, .ports = &port, .n_ports = 1};
    cr_assert_eq(fetcher_open(&o, &w.fetcher, NULL), ST_OK);
    expect_uri(&w, uri, FETCH_UNREACHABLE, where);
    expect_uri(&w, uri, FETCH_UNREACHABLE, ": Connection refused");
    fetcher_close(w.fetcher);
    close(deaf);
}

Test(http, an_address_is_shown_with_its_port_and_without_what_may_be_a_secret)
{
    static const char *const rows[][3] = {
        {"http://example.org/a.jpg", "http://example.org/a.jpg", ""},
        {"https://u:p@example.org:443/a.jpg?t=s", "https://example.org:443/a.jpg", ""},
        {"https://example.org:80/a.jpg", "https://example.org:80/a.jpg", ""},
        {"HTTP://u@127.0.0.1:8490/a.jpg#f", "HTTP://127.0.0.1:8490/a.jpg", ""},
        {"http://[::1]:81/", "http://[::1]:81/", ""},
        {"http://example.org/a b.jpg", "http://example.org/a b.jpg", "%20"},
        {"http://example.org/a b.jpg?t=s@x", "http://example.org/a b.jpg", "%20"},
        {"http://u:p?@ss@example.org/a b.jpg?t=s", "http://...", "%20"},
        {"http://u:p/s@s@example.org/a b.jpg?t=s", "http://...example.org/a b.jpg", "%20"},
        {"http://example.org:no/a.jpg", "http://example.org:no/a.jpg", "ort"},
        {"/a b.jpg", "/a b.jpg", "%20"},
        {"file://u:p@host/etc/passwd", "file://host/etc/passwd", "expected http:// or https://"},
        {"u:p@host", "host", "expected http:// or https://"},
        {"httpx://host/", "httpx://host/", "expected http:// or https://"},
        {"", "", "expected http:// or https://"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_address a;
        http_address_read(rows[i][0], &a);
        cr_expect_str_eq(a.shown, rows[i][1], "%s: %s", rows[i][0], a.shown);
        cr_expect(strstr(a.trouble, rows[i][2]) && !*a.trouble == !*rows[i][2], "%s: %s", rows[i][0], a.trouble);
        cr_expect_eq(a.sound, !*a.trouble);
    }
}

/* The stamp that the path's answer has; "-": it was the same and nothing came. */
static const char *stamp_of(const struct web *w, const char *path, struct fetch_stamp *stamp)
{
    char uri[256];
    struct bytes b = {0};
    struct diag why = {0};
    enum fetch_error kind;
    bool same = false;
    snprintf(uri, sizeof uri, "http://127.0.0.1:%d%s", w->server.port, path);
    if (fetch_changed(w->fetcher, uri, stamp, &same, &b, &kind, &why) != ST_OK)
        return fetch_error_word(kind);
    cr_expect_eq(b.len, same ? 0 : 5, "%s", path);
    bytes_fini(&b);
    return same ? "-" : stamp->text;
}

Test(http, what_has_the_etag_that_it_had_does_not_come_again)
{
    struct web w;
    struct fetch_stamp stamp = {""}, file = {"file 1 2 3 4"};
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    cr_expect_str_eq(stamp_of(&w, "/hello", &stamp), "");
    cr_expect_str_eq(stamp_of(&w, "/tagged/1", &stamp), "\"v1\"");
    cr_expect_str_eq(stamp_of(&w, "/tagged/1", &stamp), "-");
    cr_expect_str_eq(stamp.text, "\"v1\"");
    cr_expect_str_eq(stamp_of(&w, "/to?/tagged/1", &stamp), "-");
    cr_expect_str_eq(stamp_of(&w, "/tagged/2", &stamp), "\"v2\"");
    cr_expect_str_eq(stamp_of(&w, "/tagged/2/noai", &stamp), "not_allowed");
    cr_expect_str_eq(stamp_of(&w, "/weak/3", &stamp), "");
    cr_expect_str_eq(stamp_of(&w, "/status/304", &stamp), "http_status");
    cr_expect_str_eq(stamp_of(&w, "/tagged/1", &file), "\"v1\"");
    web_close(&w);
}

/* ---- many at a time ---- */

enum { MANY = 12 };

struct asker {
    const struct web *web;
    const char *path;
};

static void *ask(void *ctx)
{
    const struct asker *a = ctx;
    expect(a->web, a->path, FETCH_OK, "hello");
    return NULL;
}

static void ask_many(const struct web *w, const char *path)
{
    pthread_t threads[MANY];
    struct asker a = {w, path};
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, ask, &a), 0);
    for (int i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
}

Test(http, a_host_is_asked_so_many_times_at_once_and_no_more)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .host_transfers = 3});
    ask_many(&w, "/slow");
    cr_expect_eq(atomic_load(&w.server.requests), MANY);
    cr_expect_eq(atomic_load(&w.server.most_at_once), 3);
    web_close(&w);
}

Test(http, transfers_run_side_by_side_up_to_their_number)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .host_transfers = 64, .max_transfers = 5});
    ask_many(&w, "/slow");
    cr_expect_eq(atomic_load(&w.server.most_at_once), 5);
    web_close(&w);
}

Test(http, connections_are_kept)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    for (int i = 0; i < 5; i++)
        expect(&w, "/hello", FETCH_OK, "hello");
    expect(&w, "/gone", FETCH_MISSING, NULL);
    expect(&w, "/hello", FETCH_OK, "hello");
    cr_expect_eq(atomic_load(&w.server.connections), 1);
    web_close(&w);
}

Test(http, a_polite_pause_lies_between_two_requests_to_a_host)
{
    enum { PAUSE_MS = 60 };
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .host_delay_ms = PAUSE_MS});
    int64_t from = now_ms();
    ask_many(&w, "/hello");
    cr_expect_geq(now_ms() - from, (MANY - 1) * PAUSE_MS);
    web_close(&w);
}

static void *stop_soon(void *ctx)
{
    struct web *w = ctx;
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    fetcher_stop(w->fetcher);
    return NULL;
}

Test(http, a_stop_ends_what_waits_and_what_runs)
{
    struct web w;
    pthread_t thread;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, &w), 0);
    int64_t from = now_ms();
    expect(&w, "/mute", FETCH_STOPPED, NULL);
    pthread_join(thread, NULL);
    expect(&w, "/hello", FETCH_STOPPED, NULL);
    cr_expect_lt(now_ms() - from, 5000);
    web_close(&w);
}

/* ---- what must not be reached ---- */

Test(http, no_spelling_of_a_local_address_is_read_unless_allowed_and_secrets_are_not_shown)
{
    struct web w;
    struct diag why = {0};
    struct bytes b = {0};
    enum fetch_error kind;
    static const char *const hosts[] = {"127.0.0.1",
                                        "[::1]",
                                        "169.254.169.254",
                                        "[::ffff:10.0.0.1]",
                                        "localhost",
                                        "2130706433",
                                        "0x7f.1",
                                        "017700000001",
                                        "0.0.0.0",
                                        "[::]",
                                        "[::ffff:127.0.0.1]",
                                        "[fe80::1]",
                                        "10.1.2.3",
                                        "192.168.1.1",
                                        "[fd00::1]",
                                        "127.1"};
    web_open(&w, (struct fetch_options){0});
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char uri[64];
        snprintf(uri, sizeof uri, "http://%s:%d/hello", hosts[i], w.server.port);
        expect_uri(&w, uri, FETCH_BLOCKED_ADDRESS, "private");
    }
    cr_expect_eq(atomic_load(&w.server.connections), 0);
    cr_expect_eq(fetch(w.fetcher, "http://user:word@127.0.0.1:80/a?token=hidden", &b, &kind, &why), ST_REFUSED);
    cr_expect_not(strstr(why.text, "word") || strstr(why.text, "hidden"), "%s", why.text);
    web_close(&w);
}

Test(http, no_refusal_of_an_address_tells_its_password_or_query)
{
    static const struct {
        const char *uri;
        enum fetch_error kind;
    } rows[] = {
        {"http://user:geheim@127.0.0.1/a?token=hidden", FETCH_BLOCKED_ADDRESS},
        {"http://user:ge/heim@127.0.0.1/a?token=hidden", FETCH_BAD_URI},
        {"http://user:geheim@127.0.0.1/a.tar#b", FETCH_BAD_MEMBER},
        {"http://user:geheim@127.0.0.1/a.tar?token=hidden#b@1+x", FETCH_BLOCKED_ADDRESS},
        {"s3://user:geheim@bucket/a.jpg", FETCH_BAD_URI},
        {"s3://user:geheim@bucket/a.tar#b", FETCH_BAD_MEMBER},
        {"file://user:geheim@127.0.0.1/a.jpg", FETCH_BAD_URI},
        {"ftp://user:geheim@127.0.0.1/a.jpg?token=hidden", FETCH_BAD_URI},
        {"s3://bucket/a.jpg", FETCH_DENIED}, /* of the endpoint */
    };
    static const char *const endpoints[] = {"http://user:geheim@127.0.0.1", "user:geheim@127.0.0.1",
                                            "http://127.0.0.1/?token=hidden"};
    struct web w;
    struct diag why;
    struct bytes b = {0};
    for (size_t e = 0; e < sizeof endpoints / sizeof *endpoints; e++) {
        web_open(&w, (struct fetch_options){.s3 = {.endpoint = endpoints[e]}});
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            enum fetch_error kind;
            why = (struct diag){""};
            cr_expect_neq(fetch(w.fetcher, rows[i].uri, &b, &kind, &why), ST_OK);
            cr_expect_eq(kind, rows[i].kind, "%s: %s", rows[i].uri, fetch_error_word(kind));
            cr_expect_not(!why.text[0] || strstr(why.text, "heim") || strstr(why.text, "hidden"), "%s", why.text);
        }
        web_close(&w);
    }
}

Test(http, a_port_that_is_not_listed_is_not_asked_even_on_an_allowed_host)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    expect_uri(&w, "http://127.0.0.1:22/", FETCH_BLOCKED_ADDRESS, "port 22");
    expect_uri(&w, "http://127.0.0.1:6379/", FETCH_BLOCKED_ADDRESS, "port 6379");
    expect_uri(&w, "http://127.0.0.1:80/", FETCH_UNREACHABLE, NULL);
    web_close(&w);
}

Test(http, a_connection_that_is_there_already_is_no_way_in)
{
    struct server server;
    char url[64], host[64];
    server_open(&server, "127.0.0.1");
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hello", server.port);
    snprintf(host, sizeof host, "127.0.0.1:%d", server.port);
    uint16_t port = (uint16_t)server.port;
    struct fetch_options o = {.max_transfers = 2,
                              .host_transfers = 2,
                              .connect_timeout_ms = 2000,
                              .first_byte_timeout_ms = 2000,
                              .timeout_ms = 2000,
                              .ports = &port,
                              .n_ports = 1,
                              .user_agent = "test"};
    struct transfers *t;
    struct transfer_answer a;
    cr_assert_eq(transfers_open(&o, &t, NULL), ST_OK);
    struct transfer_request r = {.url = url, .host = host, .range.whole = true, .max_bytes = 100, .trusted = true};
    transfers_run(t, &r, &a);
    cr_expect(a.end == TRANSFER_ANSWERED && a.http == 200);
    transfer_answer_fini(&a);
    r.trusted = false;
    transfers_run(t, &r, &a);
    cr_expect_eq(a.end, TRANSFER_BLOCKED);
    transfer_answer_fini(&a);
    cr_expect_eq(atomic_load(&server.requests), 1);
    transfers_close(t);
    server_close(&server);
}

/* A network of its own, in which this machine has a public address; false where that is not allowed. */
static bool enter_internet(const char *address)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP}, alias = {.ifr_name = "lo:1"};
    struct sockaddr_in a = {.sin_family = AF_INET};
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(inet_pton(AF_INET, address, &a.sin_addr), 1);
    memcpy(&alias.ifr_addr, &a, sizeof a);
    bool ok = ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && ioctl(fd, SIOCSIFADDR, &alias) == 0;
    close(fd);
    return ok;
}

Test(http, a_redirect_from_the_internet_into_the_own_network_is_refused)
{
    struct server inside, outside;
    struct web w;
    char uri[128];
    if (!enter_internet("11.22.33.44"))
        cr_skip_test("no network namespaces here");
    server_open(&inside, "127.0.0.1");
    server_open(&outside, "11.22.33.44");
    const uint16_t ports[] = {(uint16_t)inside.port, (uint16_t)outside.port};
    struct fetch_options o = {.ports = ports, .n_ports = 2};
    cr_assert_eq(fetcher_open(&o, &w.fetcher, NULL), ST_OK);
    snprintf(uri, sizeof uri, "http://11.22.33.44:%d/hello", outside.port);
    expect_uri(&w, uri, FETCH_OK, "hello");
    snprintf(uri, sizeof uri, "http://11.22.33.44:%d/to?http://localhost:%d/hello", outside.port, inside.port);
    expect_uri(&w, uri, FETCH_BLOCKED_ADDRESS, "localhost");
    cr_expect_eq(atomic_load(&inside.connections), 0);
    fetcher_close(w.fetcher);
    server_close(&inside);
    server_close(&outside);
}

Test(http, what_is_cached_is_not_asked_for_again_unless_the_server_says_so)
{
    struct web w;
    char folder[] = "/tmp/fetch-cache-XXXXXX", command[64];
    cr_assert(mkdtemp(folder));
    for (int run = 0; run < 2; run++) {
        web_open(&w, (struct fetch_options){.allow_private_hosts = true, .cache = folder});
        for (int i = 0; i < 2; i++) {
            expect(&w, "/hello", FETCH_OK, "hello");
            expect(&w, "/nostore", FETCH_OK, "hello");
            expect(&w, "/bytes.tar#m@2+3", FETCH_OK, "234");
            expect(&w, "/bytes.tar#m@3+3", FETCH_OK, "345");
            expect(&w, "/gone", FETCH_MISSING, NULL);
        }
        cr_expect_eq(atomic_load(&w.server.requests), 3 + 2 + 2);
        web_close(&w); /* the next server has another port, which is another address */
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

Test(http, an_owner_who_says_noai_is_heard_unless_told_not_to)
{
    struct web w;
    web_open(&w, (struct fetch_options){.allow_private_hosts = true});
    expect(&w, "/noai", FETCH_NOT_ALLOWED, "noai");
    web_close(&w);
    web_open(&w, (struct fetch_options){.allow_private_hosts = true, .ignore_no_ai = true});
    expect(&w, "/noai", FETCH_OK, "hello");
    web_close(&w);
}
