#include "broker/pages.h"

#include <stdlib.h>
#include <string.h>

#define ASSET(name) extern const char _binary_broker_assets_##name##_start[], _binary_broker_assets_##name##_end[]
ASSET(status_html);
ASSET(campaign_html);
ASSET(page_css);
ASSET(kit_js);
ASSET(status_js);
ASSET(campaign_js);

#define PAGE(path, type, name)                                                                                         \
    {                                                                                                                  \
        path, type, _binary_broker_assets_##name##_start, _binary_broker_assets_##name##_end                           \
    }
static const struct {
    const char *path, *type, *start, *end;
} files[] = {
    PAGE("/", "text/html; charset=utf-8", status_html),
    PAGE("/page.css", "text/css; charset=utf-8", page_css),
    PAGE("/kit.js", "text/javascript; charset=utf-8", kit_js),
    PAGE("/status.js", "text/javascript; charset=utf-8", status_js),
    PAGE("/campaign.js", "text/javascript; charset=utf-8", campaign_js),
};

static void show_file(struct web_answer *a, const char *type, const char *start, const char *end)
{
    *a = (struct web_answer){.code = 200, .type = type, .bytes = start, .len = (size_t)(end - start)};
}

static void show_json(struct web_answer *a, char *text)
{
    *a = (struct web_answer){
        .code = 200, .type = "application/json; charset=utf-8", .bytes = text, .len = strlen(text), .owned = true};
}

static void show_results(struct board *b, const struct web_request *q, struct web_answer *a)
{
    enum { FEW = 24, MOST = 96 };
    const char *campaign = web_query(q, "campaign"), *count = web_query(q, "n");
    long n = count ? strtol(count, NULL, 10) : FEW;
    char *text = NULL;
    enum status s = campaign ? board_newest(b, campaign, n < 1 ? 1 : n > MOST ? MOST : (int)n, &text) : ST_MISSING;
    if (s == ST_OK)
        show_json(a, text);
    else if (s == ST_MISSING)
        web_say(a, 404, "no such campaign\n");
    else
        web_say(a, 503, "Redis gave no answer\n");
}

/* A sentence for the page, malloc'ed. */
static void say_why(struct web_answer *a, const char *why)
{
    char *text = strdup(why);
    web_say(a, 404, text ? text : "");
    a->owned = text != NULL;
}

static void show_picture(struct board *b, const struct pictures *p, const struct web_request *q, struct web_answer *a)
{
    const char *job = web_query(q, "job");
    struct json *record = NULL;
    struct picture picture;
    struct diag why = {.text = ""};
    enum status s = job ? board_record(b, job, &record) : ST_MISSING;
    if (s != ST_OK) {
        say_why(a, s == ST_MISSING ? "its record is not in Redis any more" : "Redis gave no answer");
        return;
    }
    s = pictures_read(p, record, &picture, &why);
    jsn_free(record);
    if (s == ST_OK)
        *a = (struct web_answer){.code = 200,
                                 .type = picture.type,
                                 .bytes = (const char *)picture.bytes,
                                 .len = picture.len,
                                 .owned = true,
                                 .may_keep = true};
    else
        say_why(a, why.text[0] ? why.text : status_word(s));
}

void pages_answer(struct board *b, const struct pictures *p, const struct web_request *q, struct web_answer *a)
{
    static const char campaigns[] = "/campaigns/";
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(q->path, files[i].path) == 0) {
            show_file(a, files[i].type, files[i].start, files[i].end);
            return;
        }
    if (strncmp(q->path, campaigns, sizeof campaigns - 1) == 0 && q->path[sizeof campaigns - 1]) {
        show_file(a, "text/html; charset=utf-8", _binary_broker_assets_campaign_html_start,
                  _binary_broker_assets_campaign_html_end);
    } else if (strcmp(q->path, "/api/status") == 0) {
        char *text = board_text(b);
        if (text)
            show_json(a, text);
        else
            web_say(a, 503, "nothing is known of the queue yet\n");
    } else if (strcmp(q->path, "/api/events") == 0) {
        *a = (struct web_answer){.code = 200, .type = "text/event-stream", .stream = true};
    } else if (strcmp(q->path, "/api/results") == 0) {
        show_results(b, q, a);
    } else if (strcmp(q->path, "/api/picture") == 0) {
        show_picture(b, p, q, a);
    }
}
