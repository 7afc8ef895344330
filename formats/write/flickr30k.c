/* Flickr30k Entities: Sentences/NAME.txt with a line an answer, phrases as [/EN#id/type phrase], and
 * Annotations/NAME.xml with the boxes of each id. The model knows no types of entities: all are "other". An entity has
 * an id of its own in each sentence, as nothing says which phrases of two answers mean the same. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "formats/write/answer.h"
#include "formats/write/format.h"
#include "formats/write/markup.h"
#include "formats/write/new_file.h"
#include "formats/write/overlay.h"

enum { NAME_BYTES = 128, WHOLE = 1 << 20 };

struct flickr30k {
    char *dir;
    unsigned long long no_answer; /* records that failed */
};

static enum status open_flickr30k(const struct format_options *o, void **out, struct diag *why)
{
    struct flickr30k *f = calloc(1, sizeof *f);
    (void)why;
    if (!f || !(f->dir = strdup(o->dir))) {
        free(f);
        return ST_NOMEM;
    }
    *out = f;
    return ST_OK;
}

/* "1000092795.jpg" and "1000092795" are what the data set calls them; other keys become safe and distinct. */
static enum status name_of(const struct json *record, char name[NAME_BYTES], struct diag *why)
{
    const char *key = jsn_string(jsn_get(record, "id"), "");
    size_t digits = strspn(key, "0123456789");
    char *safe = NULL;
    if (digits > 0 && digits < NAME_BYTES && (!key[digits] || strcmp(key + digits, ".jpg") == 0)) {
        snprintf(name, NAME_BYTES, "%.*s", (int)digits, key);
        return ST_OK;
    }
    enum status s = overlay_name(record, "", &safe, why);
    if (s == ST_OK)
        snprintf(name, NAME_BYTES, "%s", safe);
    free(safe);
    return s;
}

/* Brackets are the format's own, and a line is a sentence. */
static void write_plain(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fputc(text[i] == '[' ? '(' : text[i] == ']' ? ')' : iscntrl((unsigned char)text[i]) ? ' ' : text[i], out);
}

static void write_object(FILE *out, int id, const struct json *boxes)
{
    for (size_t i = 0; i < jsn_size(boxes); i++) {
        double b[4];
        if (!markup_numbers(jsn_at(boxes, i), b, 4))
            continue;
        fprintf(out,
                "\t<object>\n\t\t<name>%d</name>\n\t\t<bndbox>\n\t\t\t<xmin>%.0f</xmin>\n\t\t\t<ymin>%.0f</ymin>\n"
                "\t\t\t<xmax>%.0f</xmax>\n\t\t\t<ymax>%.0f</ymax>\n\t\t</bndbox>\n\t</object>\n",
                id, b[0], b[1], b[2], b[3]);
    }
    if (jsn_size(boxes) == 0)
        fprintf(out, "\t<object>\n\t\t<name>%d</name>\n\t\t<scene>0</scene>\n\t\t<nobndbox>1</nobndbox>\n\t</object>\n",
                id);
}

static void write_answer(FILE *sentences, FILE *xml, const struct answer *a, int *id)
{
    size_t at = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct answer_phrase *p = &a->phrases[i];
        ++*id;
        write_plain(sentences, a->text + at, p->from - at);
        fprintf(sentences, "[/EN#%d/other ", *id);
        write_plain(sentences, a->text + p->from, p->to - p->from);
        fputc(']', sentences);
        write_object(xml, *id, jsn_get(p->entity, "boxes"));
        at = p->to;
    }
    write_plain(sentences, a->text + at, strlen(a->text + at));
    fputc('\n', sentences);
}

static void begin_xml(FILE *xml, const struct json *record, const char *name)
{
    const struct json *image = jsn_get(record, "image");
    fputs("<annotation>\n\t<filename>", xml);
    markup_text(xml, name, WHOLE);
    fprintf(xml,
            ".jpg</filename>\n\t<size>\n\t\t<width>%lld</width>\n\t\t<height>%lld</height>\n\t\t<depth>3</depth>\n"
            "\t</size>\n",
            (long long)jsn_int(jsn_get(image, "width"), 0), (long long)jsn_int(jsn_get(image, "height"), 0));
}

static enum status write_record(struct flickr30k *f, const struct json *record, const char *name, struct diag *why)
{
    char path[NAME_BYTES + 16];
    struct new_file sentences = {0}, xml = {0};
    const struct json *tasks = jsn_get(record, "tasks");
    int id = 0;
    snprintf(path, sizeof path, "Sentences/%s.txt", name);
    enum status s = new_file_open(&sentences, f->dir, path, why);
    snprintf(path, sizeof path, "Annotations/%s.xml", name);
    if (s == ST_OK)
        s = new_file_open(&xml, f->dir, path, why);
    if (s == ST_OK)
        begin_xml(xml.out, record, name);
    for (size_t i = 0; s == ST_OK && i < jsn_size(tasks); i++) {
        struct answer a = {0};
        if (jsn_get(jsn_at(tasks, i), "error"))
            continue;
        s = answer_read(jsn_at(tasks, i), &a);
        if (s == ST_OK)
            write_answer(sentences.out, xml.out, &a, &id);
        answer_fini(&a);
    }
    if (s == ST_OK)
        fputs("</annotation>\n", xml.out);
    bool keep = s == ST_OK;
    enum status closed = new_file_close(&xml, keep, keep ? why : NULL);
    s = s == ST_OK ? closed : s;
    closed = new_file_close(&sentences, s == ST_OK, s == ST_OK ? why : NULL);
    return s == ST_OK ? closed : s;
}

static enum status put_flickr30k(void *writer, const struct json *record, const char *picture, struct diag *why)
{
    struct flickr30k *f = writer;
    char name[NAME_BYTES];
    (void)picture;
    if (strcmp(jsn_string(jsn_get(record, "status"), ""), "failed") == 0) {
        f->no_answer++;
        return ST_OK;
    }
    enum status s = name_of(record, name, why);
    return s == ST_OK ? write_record(f, record, name, why) : s;
}

static enum status close_flickr30k(void *writer, bool keep, struct diag *notes, struct diag *why)
{
    struct flickr30k *f = writer;
    (void)keep;
    (void)why;
    if (f->no_answer > 0)
        (void)diag_set(notes, ST_OK, "%llu failed images have no sentences", f->no_answer);
    free(f->dir);
    free(f);
    return ST_OK;
}

const struct format format_flickr30k = {"flickr30k", open_flickr30k, put_flickr30k, close_flickr30k};
