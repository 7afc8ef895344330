/* Grounded captions as Kosmos-2's processor gives them: one line an answer,
 *   {"id", "task", "image": {"uri", "width", "height"}, "grounded": [caption, [[phrase, [start, end], [box, ...]],
 * ...]]} with spans in characters of the caption and boxes [x1, y1, x2, y2] as shares of the image's sides. */
#include <stdlib.h>
#include <string.h>

#include "formats/write/answer.h"
#include "formats/write/format.h"
#include "formats/write/markup.h"
#include "formats/write/new_file.h"

struct kosmos2 {
    struct new_file file;
};

static enum status open_kosmos2(const struct format_options *o, void **out, struct diag *why)
{
    struct kosmos2 *k = calloc(1, sizeof *k);
    enum status s = k ? new_file_open(&k->file, o->dir, "kosmos2.jsonl", why) : ST_NOMEM;
    if (s != ST_OK) {
        free(k);
        return s;
    }
    *out = k;
    return ST_OK;
}

static struct json *box_array(const double box[4], double width, double height)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    for (int i = 0; i < 4; i++)
        jsn_append(&s, a, jsn_new_real(box[i] / (i % 2 ? height : width)));
    if (s == ST_OK)
        return a;
    jsn_free(a);
    return NULL;
}

static struct json *phrase_array(const struct answer *a, const struct answer_phrase *p, double width, double height)
{
    enum status s = ST_OK;
    const struct json *boxes = jsn_get(p->entity, "boxes");
    struct json *tuple = jsn_new_array(), *span = jsn_new_array(), *list = jsn_new_array();
    jsn_append(&s, span, jsn_new_int((int64_t)p->character_from));
    jsn_append(&s, span, jsn_new_int((int64_t)p->character_to));
    for (size_t i = 0; i < jsn_size(boxes); i++) {
        double box[4];
        if (markup_numbers(jsn_at(boxes, i), box, 4))
            jsn_append(&s, list, box_array(box, width, height));
    }
    jsn_append(&s, tuple, jsn_new_string_n(a->text + p->from, p->to - p->from));
    jsn_append(&s, tuple, span);
    jsn_append(&s, tuple, list);
    if (s == ST_OK)
        return tuple;
    jsn_free(tuple);
    return NULL;
}

static enum status line_of(const struct json *record, const struct json *task, const struct answer *a,
                           struct json **out)
{
    static const char *const facts[] = {"uri", "width", "height"};
    enum status s = ST_OK;
    const struct json *from = jsn_get(record, "image");
    struct json *line = jsn_new_object(), *image = jsn_new_object(), *tuple = jsn_new_array(), *list = jsn_new_array();
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (jsn_get(from, facts[i]))
            jsn_add(&s, image, facts[i], jsn_copy(jsn_get(from, facts[i])));
    for (size_t i = 0; i < a->n; i++)
        jsn_append(&s, list,
                   phrase_array(a, &a->phrases[i], jsn_number(jsn_get(from, "width"), 1),
                                jsn_number(jsn_get(from, "height"), 1)));
    jsn_append(&s, tuple, jsn_new_string(a->text));
    jsn_append(&s, tuple, list);
    jsn_add(&s, line, "id", jsn_copy(jsn_get(record, "id")));
    jsn_add(&s, line, "task", jsn_copy(jsn_get(task, "id")));
    jsn_add(&s, line, "image", image);
    jsn_add(&s, line, "grounded", tuple);
    if (s == ST_OK)
        *out = line;
    else
        jsn_free(line);
    return s;
}

static enum status put_kosmos2(void *writer, const struct json *record, const char *picture, struct diag *why)
{
    struct kosmos2 *k = writer;
    const struct json *tasks = jsn_get(record, "tasks");
    enum status s = ST_OK;
    (void)picture;
    (void)why;
    for (size_t i = 0; s == ST_OK && i < jsn_size(tasks); i++) {
        struct answer a = {0};
        struct json *line = NULL;
        if (jsn_get(jsn_at(tasks, i), "error"))
            continue;
        s = answer_read(jsn_at(tasks, i), &a);
        if (s == ST_OK)
            s = line_of(record, jsn_at(tasks, i), &a, &line);
        char *text = s == ST_OK ? jsn_text(line) : NULL;
        if (text)
            fprintf(k->file.out, "%s\n", text);
        else if (s == ST_OK)
            s = ST_NOMEM;
        free(text);
        jsn_free(line);
        answer_fini(&a);
    }
    return s;
}

static enum status close_kosmos2(void *writer, bool keep, struct diag *notes, struct diag *why)
{
    struct kosmos2 *k = writer;
    (void)notes;
    enum status s = new_file_close(&k->file, keep, why);
    free(k);
    return s;
}

const struct format format_kosmos2 = {"kosmos2", open_kosmos2, put_kosmos2, close_kosmos2};
