#include "observe/service.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct service {
    struct service_options options;
    struct web *http;
    atomic_int_fast64_t beat_ms; /* 0: none yet */
};

struct setting_group service_flags_group(size_t at)
{
    static const struct setting rows[] = {
        {.name = "http",
         .type = SETTING_STRING,
         .offset = offsetof(struct service_flags, http),
         .value = "ADDR",
         .help = "show metrics, health and pages at HOST:PORT, e.g. 127.0.0.1:7420; unset: nowhere"},
        {.name = "http-token",
         .type = SETTING_STRING,
         .offset = offsetof(struct service_flags, token),
         .value = "TOKEN",
         .help = "who asks there must bring it; needed where other hosts reach ADDR; from the environment or a file",
         .secret = true},
    };
    return (struct setting_group){
        .title = "looking at it", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

static bool is_open(void *ctx, const char *path)
{
    (void)ctx;
    return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0;
}

static void show_health(const struct service *s, struct web_answer *a)
{
    enum { STUCK_MS = 30000 };
    int64_t beat = atomic_load_explicit(&s->beat_ms, memory_order_relaxed);
    if (beat != 0 && clock_ms() - beat > STUCK_MS)
        web_say(a, 503, "the program's loop has not turned for half a minute\n");
    else
        web_say(a, 200, "alive\n");
}

static void show_readiness(const struct service *s, struct web_answer *a)
{
    const char *why = s->options.unready(s->options.ctx);
    web_say(a, why ? 503 : 200, why ? why : "ready\n");
}

static void show_metrics(const struct service *s, struct web_answer *a)
{
    char *text = metrics_text(s->options.metrics);
    if (!text) {
        web_say(a, 503, "memory is short\n");
        return;
    }
    *a = (struct web_answer){.code = 200,
                             .type = "text/plain; version=0.0.4; charset=utf-8",
                             .bytes = text,
                             .len = strlen(text),
                             .owned = true};
}

static void handle(void *ctx, const struct web_request *q, struct web_answer *a)
{
    const struct service *s = ctx;
    if (strcmp(q->path, "/metrics") == 0)
        show_metrics(s, a);
    else if (strcmp(q->path, "/healthz") == 0)
        show_health(s, a);
    else if (strcmp(q->path, "/readyz") == 0)
        show_readiness(s, a);
    else if (s->options.pages)
        s->options.pages(s->options.ctx, q, a);
    if (a->code == 0)
        web_say(a, 404, "no such page; there are /metrics, /healthz and /readyz\n");
}

enum status service_open(const struct service_options *o, struct service **out, struct diag *why)
{
    struct service *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->options = *o;
    struct web_options http = {
        .address = o->flags->http, .token = o->flags->token, .is_open = is_open, .handler = handle, .ctx = s};
    enum status st = web_open(&http, &s->http, why);
    if (st != ST_OK) {
        service_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void service_close(struct service *s)
{
    if (!s)
        return;
    web_close(s->http);
    free(s);
}

void service_beat(struct service *s)
{
    if (s)
        atomic_store_explicit(&s->beat_ms, clock_ms(), memory_order_relaxed);
}

struct web *service_web(struct service *s)
{
    return s->http;
}
