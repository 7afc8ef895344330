/* Scenarios of the broker and of what is looked at over HTTP: the dispatcher with a played Redis, a snapshot as JSON, a
 * server and one who asks it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker/board_impl.h"
#include "broker/dispatch.h"
#include "observe/metrics.h"
#include "observe/process.h"
#include "observe/trace.h"
#include "observe/web.h"
#include "protocol/job.h"
#include "protocol/message.h"
#include "tests/caption_job.h"
#include "tests/torture/scenarios.h"

#define TEXT(s)                                                                                                        \
    {                                                                                                                  \
        .kind = REPLY_BYTES, .bytes = s, .len = sizeof s - 1                                                           \
    }
#define NUMBER(i)                                                                                                      \
    {                                                                                                                  \
        .kind = REPLY_INT, .integer = i                                                                                \
    }
#define ARRAY(...)                                                                                                     \
    {                                                                                                                  \
        .kind = REPLY_ARRAY, .items = (struct reply[]){__VA_ARGS__},                                                   \
        .n = sizeof((struct reply[]){__VA_ARGS__}) / sizeof(struct reply)                                              \
    }

/* ---- the dispatcher --------------------------------------------------------------------------------------------- */

static void answer(struct dispatch *d, const struct dispatch_output *o, int64_t now)
{
    struct reply submit = ARRAY(TEXT("n"), NUMBER(1), TEXT("7")), hello = ARRAY(TEXT("new"), NUMBER(0));
    struct reply claim =
        ARRAY(NUMBER(0), TEXT("ok"), NUMBER(1), TEXT("0123456789abcdef"), TEXT("2|1|0|7|1|"), TEXT("1|4|0|7||body"));
    struct reply lost = {.kind = REPLY_LOST};
    dispatch_on_reply(d, o->tag,
                      o->script == SCRIPT_SUBMIT  ? &submit
                      : o->script == SCRIPT_HELLO ? &hello
                      : o->script == SCRIPT_CLAIM ? &claim
                                                  : &lost,
                      now);
}

/* Says m, plays Redis, and tells whether a message of kind `want` came of it. */
static bool came(struct dispatch *d, enum side side, const struct message *m, int64_t now, enum message_kind want)
{
    const struct link_peer peer = {.bytes = "peer", .len = 4};
    uint8_t *bytes = NULL;
    size_t len = 0;
    bool found = false;
    if (message_encode(m, &bytes, &len) != ST_OK)
        return false;
    dispatch_on_message(d, side, &peer, bytes, len, now);
    free(bytes);
    for (int round = 0; round < 4; round++) {
        struct dispatch_output o;
        dispatch_tick(d, now);
        while (dispatch_next(d, &o)) {
            struct message out;
            if (o.kind == OUTPUT_CALL)
                answer(d, &o, now);
            else if (message_decode(o.bytes, o.len, &out, NULL) == ST_OK)
                found = found || out.kind == want;
            dispatch_output_fini(&o);
        }
    }
    return found;
}

/* Who got no answer asks again, as clients and workers do: then there is one. */
static enum status settle(struct dispatch *d, enum side side, struct message *m, int64_t now, enum message_kind want)
{
    enum { TRIES = 3, PAUSE_MS = 1000 };
    for (int i = 0; i < TRIES; i++, now += PAUSE_MS, m->seq++)
        if (came(d, side, m, now, want))
            return i == 0 ? ST_OK : ST_NOMEM;
    return ST_TIMEOUT;
}

static enum status put_row(struct wire_writer *w)
{
    const struct job job = caption_job("k", "t", "c");
    uint8_t id[ID_BYTES], *body = NULL;
    size_t len = 0;
    enum status s = job_encode(&job, &body, &len, NULL);
    job_id(&job, id);
    if (s == ST_OK) {
        wire_put_array(w, 1);
        message_row_put(w, &(struct message_row){.id = id, .n = {1, 4, 0}, .body = {body, len}});
    }
    free(body);
    return s;
}

enum status dispatch_round(void)
{
    static const uint8_t session[SESSION_BYTES] = "session of 16 b";
    const struct dispatch_options o = {.worker_redis = "/r",
                                       .route = ROUTE_DIRECT,
                                       .lease_ms = 12000,
                                       .beat_ms = 3000,
                                       .window = 1000,
                                       .max_held_bytes = 10000};
    struct dispatch *d = NULL;
    struct wire_writer w;
    wire_writer_init(&w, 100000);
    enum status s = put_row(&w), other[3] = {ST_OK, ST_OK, ST_OK};
    if (s == ST_OK)
        s = w.bytes ? dispatch_new(&o, &d) : ST_NOMEM;
    if (s == ST_OK) {
        struct message submit = {
            .kind = MESSAGE_SUBMIT, .campaign = {(const uint8_t *)"c", 1}, .rows = {w.bytes, w.len}};
        struct message hello = {
            .kind = MESSAGE_HELLO, .session = {session, sizeof session}, .class_name = {(const uint8_t *)"m/f32", 5}};
        struct message credit = {.kind = MESSAGE_CREDIT, .session = {session, sizeof session}, .seq = 1, .want = 8};
        dispatch_on_store(d, 0, true, 1);
        other[0] = settle(d, SIDE_CLIENT, &submit, 1, MESSAGE_ACCEPTED);
        other[1] = settle(d, SIDE_WORKER, &hello, 10000, MESSAGE_WELCOME);
        other[2] = settle(d, SIDE_WORKER, &credit, 20000, MESSAGE_JOBS);
    }
    for (int i = 0; i < 3 && s != ST_TIMEOUT; i++) /* that nobody is served any more outweighs all else */
        s = other[i] == ST_TIMEOUT || s == ST_OK ? other[i] : s;
    dispatch_free(d);
    wire_writer_fini(&w);
    return s;
}

/* ---- what there is to see ---------------------------------------------------------------------------------------- */

enum status board_round(void)
{
    struct reply campaign = ARRAY(TEXT("a"), TEXT("t"), TEXT("hash/f32"), TEXT("active"), NUMBER(7), NUMBER(5),
                                  NUMBER(0), NUMBER(0), NUMBER(2), NUMBER(0), NUMBER(0), NUMBER(0), NUMBER(1), TEXT(""),
                                  TEXT("0"), TEXT(""), TEXT(""), NUMBER(0), NUMBER(0), NUMBER(5), NUMBER(0));
    struct reply page = ARRAY(NUMBER(0), campaign), newest = ARRAY(campaign, TEXT("{\"id\":\"1\"}"));
    struct reply news = ARRAY(ARRAY(TEXT("5|completed|a")), ARRAY(TEXT("9"), TEXT("a"), TEXT("{\"id\":\"x\"}")));
    const struct reply *answers[] = {&newest};
    struct snapshot snapshot = {.n_campaigns = 0};
    struct rates rates = {.n = 0};
    enum status s = snapshot_add_campaigns(&snapshot, &page);
    if (s == ST_OK)
        s = snapshot_add_news(&snapshot, &news);
    if (s == ST_OK) {
        rates_note(&rates, &snapshot, 1000, 1700000000000);
        char *text = board_json(&snapshot, &rates, 5), *one = board_campaign_json(answers, 1, 24);
        s = text && one ? ST_OK : ST_NOMEM;
        free(text);
        free(one);
    }
    rates_fini(&rates);
    snapshot_fini(&snapshot);
    return s;
}

static void tell(void *ctx, const struct web_request *q, struct web_answer *out)
{
    char *text = metrics_text(ctx);
    (void)q;
    if (text)
        *out =
            (struct web_answer){.code = 200, .type = "text/plain", .bytes = text, .len = strlen(text), .owned = true};
    else
        web_say(out, 503, "memory is short");
}

/* Asks for `/` and reads to the end: ST_OK only where all of it came. */
static enum status ask(const char *address)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    char text[16384];
    size_t n = 0;
    ssize_t got = 0;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval patience = {.tv_sec = 10};
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        perror("setsockopt");
    bool is_sent = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
                   send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1;
    while (is_sent && n < sizeof text - 1 && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    if (fd >= 0)
        close(fd);
    return strstr(text, " 200 ") && strstr(text, "ferretry_torture_total") ? ST_OK : ST_NOMEM;
}

enum status web_round(void)
{
    static const struct metric_info info = {
        .kind = METRIC_COUNTER, .name = "ferretry_torture_total", .help = "Rounds.", .label = "of", .value = "one"};
    struct metrics *m = NULL;
    struct web *web = NULL;
    enum status s = metrics_new(&m);
    if (s == ST_OK)
        s = metrics_make(m, &info) ? process_metrics(m, "torture") : ST_NOMEM;
    if (s == ST_OK)
        s = web_open(&(struct web_options){.address = "127.0.0.1:0", .handler = tell, .ctx = m}, &web, NULL);
    if (s == ST_OK)
        s = ask(web_address(web));
    web_close(web);
    metrics_free(m);
    return s;
}

enum status trace_round(void)
{
    struct trace *t = NULL;
    enum status s = trace_open("/dev/null", "torture", &t, NULL);
    if (s != ST_OK)
        return s;
    trace_thread(t, "a thread");
    trace_did(t, "decode", "an image", 1, 2);
    return trace_close(t, NULL);
}
