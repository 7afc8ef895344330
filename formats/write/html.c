/* The gallery: a folder that a browser shows from the disk, without a server and without a request to anywhere.
 *
 *   index.html gallery.css gallery.js   the page, the same for all
 *   data/00000.js ...                   200 records each: ferretRecords(0, [...]), since a page of a folder may load
 * scripts and nothing else data/index.js                       what there is, written last pictures/ is the caller's */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "formats/write/answer.h"
#include "formats/write/format.h"
#include "formats/write/markup.h"
#include "formats/write/new_file.h"
#include "formats/write/words.h"

enum { CHUNK = 200, NAME_BYTES = 32, PHRASES_MOST = 400, HEAD_BYTES = 64 };

extern const char _binary_formats_assets_gallery_html_start[], _binary_formats_assets_gallery_html_end[];
extern const char _binary_formats_assets_gallery_css_start[], _binary_formats_assets_gallery_css_end[];
extern const char _binary_formats_assets_gallery_js_start[], _binary_formats_assets_gallery_js_end[];

static const struct {
    const char *name, *start, *end;
} pages[] = {
    {"gallery.css", _binary_formats_assets_gallery_css_start, _binary_formats_assets_gallery_css_end},
    {"gallery.js", _binary_formats_assets_gallery_js_start, _binary_formats_assets_gallery_js_end},
    {"index.html", _binary_formats_assets_gallery_html_start, _binary_formats_assets_gallery_html_end},
};

struct html {
    char *dir, *title;
    struct new_file chunk;
    uint64_t n;
    struct words statuses, errors, phrases; /* how often each came */
};

static enum status open_html(const struct format_options *o, void **out, struct diag *why)
{
    struct html *h = calloc(1, sizeof *h);
    (void)why;
    if (!h || !(h->dir = strdup(o->dir)) || !(h->title = strdup(o->title))) {
        free(h ? h->dir : NULL);
        free(h);
        return ST_NOMEM;
    }
    *out = h;
    return ST_OK;
}

/* ---- a record for the page -------------------------------------------------------------------------------------- */

static void put_copy(enum status *s, struct json *to, const char *key, const struct json *from)
{
    if (from)
        jsn_add(s, to, key, jsn_copy(from));
}

/* A path as an address: bytes outside the unreserved set are escaped, slashes stay. An absolute one is a file's. */
static struct json *address(const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    if (*path == '/')
        fputs("file://", out);
    for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
        if (isalnum(*s) || strchr("-_.~/", *s))
            fputc(*s, out);
        else
            fprintf(out, "%%%02X", *s);
    }
    struct json *v = fclose(out) == 0 ? jsn_new_string(text) : NULL;
    free(text);
    return v;
}

/* How a browser counts: UTF-16 units in front of a byte. */
static int64_t units(const char *text, int64_t bytes)
{
    int64_t n = 0;
    for (int64_t i = 0; i < bytes && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        n += (c & 0xC0) != 0x80;
        n += c >= 0xF0;
    }
    return n;
}

static struct json *entity_object(const struct json *entity, const char *text)
{
    enum status s = ST_OK;
    const struct json *span = jsn_get(entity, "span"), *boxes = jsn_get(entity, "boxes"),
                      *score = jsn_get(entity, "score");
    struct json *o = jsn_new_object(), *list = jsn_new_array();
    for (size_t i = 0; i < jsn_size(boxes); i++) {
        double box[4];
        if (markup_numbers(jsn_at(boxes, i), box, 4))
            jsn_append(&s, list, jsn_copy(jsn_at(boxes, i)));
    }
    jsn_add(&s, o, "phrase", jsn_new_string(jsn_string(jsn_get(entity, "phrase"), "")));
    jsn_add(&s, o, "from", jsn_new_int(units(text, jsn_int(jsn_at(span, 0), 0))));
    jsn_add(&s, o, "to", jsn_new_int(units(text, jsn_int(jsn_at(span, 1), 0))));
    jsn_add(&s, o, "boxes", list);
    jsn_add(&s, o, "score", jsn_number(score, -1) >= 0 ? jsn_copy(score) : jsn_new_null());
    return jsn_whole(o, s);
}

static struct json *error_object(const struct json *error)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "code", jsn_new_string(jsn_string(jsn_get(error, "code"), "error")));
    jsn_add(&s, o, "message", jsn_new_string(jsn_string(jsn_get(error, "message"), "")));
    return jsn_whole(o, s);
}

static struct json *region_box(const struct json *task)
{
    enum status s = ST_OK;
    double b[4];
    if (!markup_numbers(jsn_get(jsn_get(task, "region"), "box"), b, 4))
        return NULL;
    struct json *a = jsn_new_array();
    for (int i = 0; i < 4; i++)
        jsn_append(&s, a, jsn_new_real(i < 2 ? b[i] : b[i] + 1)); /* the last pixel is inside */
    return jsn_whole(a, s);
}

static struct json *task_object(const struct json *task)
{
    enum status s = ST_OK;
    const struct json *entities = jsn_get(task, "entities");
    const char *text = jsn_string(jsn_get(task, "text"), "");
    struct json *o = jsn_new_object(), *list = jsn_new_array(), *box = region_box(task);
    for (size_t i = 0; i < jsn_size(entities); i++)
        jsn_append(&s, list, entity_object(jsn_at(entities, i), text));
    jsn_add(&s, o, "kind", jsn_new_string(jsn_string(jsn_get(task, "task"), "")));
    jsn_add(&s, o, "text", jsn_new_string(text));
    jsn_add(&s, o, "entities", list);
    put_copy(&s, o, "question", jsn_get(task, "question"));
    put_copy(&s, o, "phrases", jsn_get(task, "phrases"));
    if (box)
        jsn_add(&s, o, "region", box);
    if (jsn_get(task, "error"))
        jsn_add(&s, o, "error", error_object(jsn_get(task, "error")));
    return jsn_whole(o, s);
}

static struct json *record_object(const struct json *record, const char *picture)
{
    enum status s = ST_OK;
    const struct json *image = jsn_get(record, "image"), *tasks = jsn_get(record, "tasks");
    struct json *o = jsn_new_object(), *list = jsn_new_array();
    for (size_t i = 0; i < jsn_size(tasks); i++)
        jsn_append(&s, list, task_object(jsn_at(tasks, i)));
    jsn_add(&s, o, "id", jsn_new_string(jsn_string(jsn_get(record, "id"), "")));
    jsn_add(&s, o, "status", jsn_new_string(jsn_string(jsn_get(record, "status"), "failed")));
    put_copy(&s, o, "job", jsn_get(record, "job"));
    jsn_add(&s, o, "uri", jsn_new_string(jsn_string(jsn_get(image, "uri"), "")));
    jsn_add(&s, o, "width", jsn_new_int(jsn_int(jsn_get(image, "width"), 0)));
    jsn_add(&s, o, "height", jsn_new_int(jsn_int(jsn_get(image, "height"), 0)));
    if (picture)
        jsn_add(&s, o, "picture", address(picture));
    if (jsn_get(record, "error"))
        jsn_add(&s, o, "error", error_object(jsn_get(record, "error")));
    jsn_add(&s, o, "tasks", list);
    return jsn_whole(o, s);
}

/* ---- what there is ---------------------------------------------------------------------------------------------- */

static enum status count_record(struct html *h, const struct json *record)
{
    const struct json *tasks = jsn_get(record, "tasks"), *error = jsn_get(record, "error");
    char head[HEAD_BYTES];
    enum status s = words_count(&h->statuses, jsn_string(jsn_get(record, "status"), "failed"));
    if (s == ST_OK && error)
        s = words_count(&h->errors, jsn_string(jsn_get(error, "code"), "error"));
    for (size_t i = 0; s == ST_OK && i < jsn_size(tasks); i++) {
        const struct json *task = jsn_at(tasks, i), *entities = jsn_get(task, "entities");
        if (jsn_get(task, "error"))
            s = words_count(&h->errors, jsn_string(jsn_get(jsn_get(task, "error"), "code"), "error"));
        for (size_t k = 0; s == ST_OK && k < jsn_size(entities); k++) {
            answer_head(answer_entity_name(task, k), head, sizeof head);
            if (*head && (words_find(&h->phrases, head) || h->phrases.n < PHRASES_MOST))
                s = words_count(&h->phrases, head);
        }
    }
    return s;
}

static struct json *count_object(const struct words *w)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    for (size_t i = 0; i < w->n; i++)
        jsn_add(&s, o, w->list[i].text, jsn_new_int(w->list[i].number));
    return jsn_whole(o, s);
}

static int by_count(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    return x->number != y->number ? (x->number < y->number ? 1 : -1) : strcmp(x->text, y->text);
}

/* Sorts the list; the table is of no use behind that. */
static struct json *phrase_array(struct words *w)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    if (w->n > 0)
        qsort(w->list, w->n, sizeof *w->list, by_count);
    for (size_t i = 0; i < w->n; i++)
        jsn_append(&s, a, jsn_new_string(w->list[i].text));
    return jsn_whole(a, s);
}

static enum status write_index(struct html *h, struct diag *why)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "title", jsn_new_string(h->title));
    jsn_add(&s, o, "records", jsn_new_int((int64_t)h->n));
    jsn_add(&s, o, "chunks", jsn_new_int((int64_t)((h->n + CHUNK - 1) / CHUNK)));
    jsn_add(&s, o, "counts", count_object(&h->statuses));
    jsn_add(&s, o, "errors", count_object(&h->errors));
    jsn_add(&s, o, "phrases", phrase_array(&h->phrases));
    char *text = s == ST_OK ? jsn_text(o) : NULL, *script = NULL;
    jsn_free(o);
    if (!text || asprintf(&script, "window.ferretIndex = %s;\n", text) < 0) {
        free(text);
        return ST_NOMEM;
    }
    s = new_file_write(h->dir, "data/index.js", script, strlen(script), why);
    free(text);
    free(script);
    return s;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static enum status end_chunk(struct html *h, bool keep, struct diag *why)
{
    if (h->chunk.out)
        fputs("\n]);\n", h->chunk.out);
    return new_file_close(&h->chunk, keep, why);
}

static enum status begin_chunk(struct html *h, struct diag *why)
{
    char name[NAME_BYTES];
    unsigned long long number = h->n / CHUNK;
    enum status s = end_chunk(h, true, why);
    snprintf(name, sizeof name, "data/%05llu.js", number);
    if (s == ST_OK)
        s = new_file_open(&h->chunk, h->dir, name, why);
    if (s == ST_OK)
        fprintf(h->chunk.out, "ferretRecords(%llu, [", number);
    return s;
}

static enum status put_html(void *writer, const struct json *record, const char *picture, struct diag *why)
{
    struct html *h = writer;
    enum status s = h->n % CHUNK == 0 ? begin_chunk(h, why) : ST_OK;
    if (s == ST_OK)
        s = count_record(h, record);
    struct json *o = s == ST_OK ? record_object(record, picture) : NULL;
    char *text = o ? jsn_text(o) : NULL;
    jsn_free(o);
    if (!text)
        return s == ST_OK ? ST_NOMEM : s;
    fprintf(h->chunk.out, "%s\n%s", h->n % CHUNK ? "," : "", text);
    free(text);
    h->n++;
    return ferror(h->chunk.out) ? diag_set(why, ST_IO, "%s: could not be written", h->chunk.path) : ST_OK;
}

static enum status close_html(void *writer, bool keep, struct diag *notes, struct diag *why)
{
    struct html *h = writer;
    (void)notes;
    enum status s = end_chunk(h, keep, why);
    if (s == ST_OK && keep)
        s = write_index(h, why);
    for (size_t i = 0; s == ST_OK && keep && i < sizeof pages / sizeof *pages; i++)
        s = new_file_write(h->dir, pages[i].name, pages[i].start, (size_t)(pages[i].end - pages[i].start), why);
    words_fini(&h->statuses);
    words_fini(&h->errors);
    words_fini(&h->phrases);
    free(h->title);
    free(h->dir);
    free(h);
    return s;
}

const struct format format_html = {"html", open_html, put_html, close_html};
