#include "formats/write/html.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/write/markup.h"
#include "formats/write/new_file.h"
#include "formats/write/overlay.h"

enum { WHOLE_TEXT = 20000, PICTURE_WIDTH = 640 };

struct html {
    FILE *out;
    char *path, *temporary; /* the page is there when it is whole */
};

static const char STYLE[] =
    ":root{color-scheme:light dark;--line:#8884;--soft:#8882;--bad:#c33}\n"
    "body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1.5rem;max-width:90rem}\n"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1.5rem}\n"
    "figure{margin:0;border:1px solid var(--line);border-radius:8px;overflow:hidden}\n"
    ".picture{position:relative;background:var(--soft)}\n"
    ".picture img,.picture svg{display:block;width:100%;height:auto}\n"
    ".picture svg{position:absolute;inset:0;height:100%}\n"
    ".picture:hover svg{opacity:.15}\n"
    "figcaption{padding:.75rem 1rem}\n"
    "figcaption h2{font-size:.95rem;margin:0 0 .4rem;overflow-wrap:anywhere}\n"
    "figcaption p{margin:.3rem 0;overflow-wrap:anywhere}\n"
    ".ask{opacity:.65}.bad{color:var(--bad)}mark{background:#ffd54a66;color:inherit;border-radius:3px}\n";

static void html_free(struct html *h)
{
    free(h->path);
    free(h->temporary);
    free(h);
}

enum status html_open(const char *path, const char *title, struct html **out, struct diag *why)
{
    enum status s = make_folders_above(path, why);
    if (s != ST_OK)
        return s;
    struct html *h = calloc(1, sizeof *h);
    if (!h)
        return ST_NOMEM;
    h->path = strdup(path);
    if (!h->path || asprintf(&h->temporary, "%s.new", path) < 0) {
        h->temporary = NULL;
        html_free(h);
        return ST_NOMEM;
    }
    if (!(h->out = fopen(h->temporary, "we"))) {
        s = diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
        html_free(h);
        return s;
    }
    fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          h->out);
    markup_text(h->out, title, WHOLE_TEXT);
    fprintf(h->out, "</title>\n<style>\n%s</style>\n<h1>", STYLE);
    markup_text(h->out, title, WHOLE_TEXT);
    fputs("</h1>\n<main>\n", h->out);
    *out = h;
    return ST_OK;
}

/* A relative path as an address: bytes outside the unreserved set are escaped, slashes stay. */
static void write_address(FILE *out, const char *path)
{
    for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
        if (isalnum(*s) || strchr("-_.~/", *s))
            fputc(*s, out);
        else
            fprintf(out, "%%%02X", *s);
    }
}

static enum status write_picture(struct html *h, const struct json *record, const char *picture, struct diag *why)
{
    double width = jsn_number(jsn_get(jsn_get(record, "image"), "width"), 0);
    char *svg = NULL;
    if (!picture || width < 1)
        return ST_OK;
    enum status s = overlay_svg(record, PICTURE_WIDTH / width, &svg, why);
    if (s != ST_OK)
        return s;
    fputs("<div class=\"picture\"><img loading=\"lazy\" alt=\"\" src=\"", h->out);
    write_address(h->out, picture);
    fprintf(h->out, "\">\n%s</div>\n", svg);
    free(svg);
    return ST_OK;
}

/* The answer with its phrases marked. Spans are byte offsets, ascending; what does not fit is left unmarked. */
static void write_answer(FILE *out, const char *text, const struct json *entities)
{
    size_t len = strlen(text), at = 0;
    char *piece = malloc(len + 1);
    for (size_t i = 0; piece && i <= jsn_size(entities); i++) {
        const struct json *span = jsn_get(jsn_at(entities, i), "span");
        int64_t from = jsn_int(jsn_at(span, 0), -1), to = jsn_int(jsn_at(span, 1), -1);
        bool last = i == jsn_size(entities);
        if (!last && (from < (int64_t)at || to <= from || to > (int64_t)len))
            continue;
        size_t stop = last ? len : (size_t)from;
        memcpy(piece, text + at, stop - at);
        piece[stop - at] = '\0';
        markup_text(out, piece, WHOLE_TEXT);
        if (last)
            break;
        memcpy(piece, text + from, (size_t)(to - from));
        piece[to - from] = '\0';
        fputs("<mark>", out);
        markup_text(out, piece, WHOLE_TEXT);
        fputs("</mark>", out);
        at = (size_t)to;
    }
    free(piece);
}

static void write_error(FILE *out, const struct json *error)
{
    fputs("<p class=\"bad\">", out);
    markup_text(out, jsn_string(jsn_get(error, "code"), "error"), WHOLE_TEXT);
    fputs(": ", out);
    markup_text(out, jsn_string(jsn_get(error, "message"), ""), WHOLE_TEXT);
    fputs("</p>\n", out);
}

static void write_tasks(FILE *out, const struct json *record)
{
    const struct json *tasks = jsn_get(record, "tasks");
    for (size_t i = 0; i < jsn_size(tasks); i++) {
        const struct json *task = jsn_at(tasks, i);
        fputs("<p class=\"ask\">", out);
        markup_text(out, jsn_string(jsn_get(task, "question"), ""), WHOLE_TEXT);
        fputs("</p>\n", out);
        if (jsn_get(task, "error")) {
            write_error(out, jsn_get(task, "error"));
            continue;
        }
        fputs("<p>", out);
        write_answer(out, jsn_string(jsn_get(task, "text"), ""), jsn_get(task, "entities"));
        fputs("</p>\n", out);
    }
}

enum status html_put(struct html *h, const struct json *record, const char *picture, struct diag *why)
{
    fputs("<figure>\n", h->out);
    enum status s = write_picture(h, record, picture, why);
    fputs("<figcaption><h2>", h->out);
    markup_text(h->out, jsn_string(jsn_get(record, "id"), ""), WHOLE_TEXT);
    fputs("</h2>\n", h->out);
    if (jsn_get(record, "error"))
        write_error(h->out, jsn_get(record, "error"));
    write_tasks(h->out, record);
    fputs("</figcaption></figure>\n", h->out);
    if (s == ST_OK && ferror(h->out))
        s = diag_set(why, ST_IO, "%s: could not be written", h->path);
    return s;
}

enum status html_close(struct html *h, bool keep, struct diag *why)
{
    fputs("</main>\n</html>\n", h->out);
    bool bad = ferror(h->out) != 0;
    bad = fclose(h->out) != 0 || bad;
    enum status s = ST_OK;
    if (bad)
        s = diag_set(why, ST_IO, "%s: could not be written whole", h->path);
    else if (keep && rename(h->temporary, h->path) != 0)
        s = diag_set(why, ST_IO, "%s: %s", h->path, strerror(errno));
    if (!keep || s != ST_OK)
        unlink(h->temporary);
    html_free(h);
    return s;
}
