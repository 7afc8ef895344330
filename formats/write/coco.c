/* COCO, four files a million images, and a map:
 *
 * - instances-00000.json: {"info","licenses","images","annotations","categories"}, a box an annotation, in the pixels
 *   of the image as displayed; "caption" (the phrase or the answer about the region), "score"
 * - captions-00000.json: the same for whole answers, {"id","image_id","caption"}
 * - detections-00000.json: [{"image_id","category_id","bbox","score"}], as loadRes and COCOeval take them
 * - caption_results-00000.json: [{"image_id","caption"}]
 * - image_ids.jsonl: {"image_id","id"}, which record each number is */
#include <stdlib.h>
#include <string.h>

#include "formats/read/nameless_file.h"
#include "formats/write/answer.h"
#include "formats/write/coco_names.h"
#include "formats/write/format.h"
#include "formats/write/markup.h"
#include "formats/write/new_file.h"

enum { SHARD_IMAGES = 1000000, NAME_BYTES = 64, HEAD_BYTES = 64 };

/* A data set is written as two lists at once; the second one waits in a file of its own. */
struct data_set {
    struct new_file file; /* up to and with the images */
    FILE *annotations;
    uint64_t n_images, n_annotations; /* of this shard */
};

struct coco {
    char *dir, *title;
    int64_t shard_images;
    unsigned shard;
    struct coco_names names;
    struct data_set instances, captions;
    struct new_file detections, caption_results, map;
    uint64_t n_detections, n_results;
    int64_t next_annotation, next_caption;
    unsigned long long no_category, points, failed;
};

/* ---- JSON as it is written -------------------------------------------------------------------------------------- */

static enum status write_text(FILE *out, const char *text, size_t len)
{
    struct json *v = jsn_new_string_n(text, len);
    char *quoted = v ? jsn_text(v) : NULL;
    jsn_free(v);
    if (!quoted)
        return ST_NOMEM;
    fputs(quoted, out);
    free(quoted);
    return ST_OK;
}

static void separate(FILE *out, uint64_t *n)
{
    fputs(*n ? ",\n" : "\n", out);
    ++*n;
}

/* ---- shards ----------------------------------------------------------------------------------------------------- */

static enum status open_named(struct coco *c, struct new_file *f, const char *stem, struct diag *why)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s-%05u.json", stem, c->shard);
    return new_file_open(f, c->dir, name, why);
}

static enum status open_set(struct coco *c, struct data_set *d, const char *stem, struct diag *why)
{
    enum status s = open_named(c, &d->file, stem, why);
    if (s != ST_OK)
        return s;
    d->n_images = d->n_annotations = 0;
    s = nameless_file_open("annotations of a shard", &d->annotations, why);
    if (s != ST_OK)
        return s;
    fputs("{\"info\":{\"description\":", d->file.out);
    s = write_text(d->file.out, c->title, strlen(c->title));
    fputs("},\n\"licenses\":[],\n\"images\":[", d->file.out);
    return s;
}

static enum status open_shard(struct coco *c, struct diag *why)
{
    enum status s = open_set(c, &c->instances, "instances", why);
    if (s == ST_OK)
        s = open_set(c, &c->captions, "captions", why);
    if (s == ST_OK)
        s = open_named(c, &c->detections, "detections", why);
    if (s == ST_OK)
        s = open_named(c, &c->caption_results, "caption_results", why);
    c->n_detections = c->n_results = 0;
    if (s == ST_OK) {
        fputs("[", c->detections.out);
        fputs("[", c->caption_results.out);
    }
    return s;
}

static bool copy_all(FILE *from, FILE *to)
{
    enum { BLOCK = 64 << 10 };
    char block[BLOCK];
    size_t n;
    rewind(from);
    while ((n = fread(block, 1, sizeof block, from)) > 0)
        fwrite(block, 1, n, to);
    return !ferror(from);
}

static enum status write_categories(struct coco *c, FILE *out)
{
    enum status s = ST_OK;
    fputs("\n],\n\"categories\":[", out);
    for (size_t i = 0; s == ST_OK && i < c->names.categories.n; i++) {
        const struct word *w = &c->names.categories.list[i];
        fprintf(out, "%s{\"id\":%lld,\"name\":", i ? ",\n" : "\n", (long long)w->number);
        s = write_text(out, w->text, strlen(w->text));
        fputc('}', out);
    }
    return s;
}

static enum status close_set(struct coco *c, struct data_set *d, bool categories, bool keep, struct diag *why)
{
    enum status s = ST_OK;
    if (keep && d->annotations) {
        fputs("\n],\n\"annotations\":[", d->file.out);
        if (fflush(d->annotations) != 0 || ferror(d->annotations) || !copy_all(d->annotations, d->file.out))
            s = diag_set(why, ST_IO, "%s: the temporary file of annotations can't be written or read", c->dir);
        if (s == ST_OK && categories)
            s = write_categories(c, d->file.out);
        fputs("\n]}\n", d->file.out);
    }
    if (d->annotations)
        fclose(d->annotations);
    d->annotations = NULL;
    enum status closed = new_file_close(&d->file, keep && s == ST_OK, s == ST_OK ? why : NULL);
    return s == ST_OK ? closed : s;
}

static enum status close_list(struct new_file *f, bool keep, struct diag *why)
{
    if (f->out)
        fputs("\n]\n", f->out);
    return new_file_close(f, keep, why);
}

/* All of them end, whatever fails. */
static enum status close_shard(struct coco *c, bool keep, struct diag *why)
{
    enum status s = close_set(c, &c->instances, true, keep, why);
    enum status one = close_set(c, &c->captions, false, keep && s == ST_OK, s == ST_OK ? why : NULL);
    s = s == ST_OK ? one : s;
    one = close_list(&c->detections, keep && s == ST_OK, s == ST_OK ? why : NULL);
    s = s == ST_OK ? one : s;
    one = close_list(&c->caption_results, keep && s == ST_OK, s == ST_OK ? why : NULL);
    return s == ST_OK ? one : s;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

static enum status put_image(struct data_set *d, int64_t number, const struct json *record)
{
    const struct json *image = jsn_get(record, "image");
    const char *uri = jsn_string(jsn_get(image, "uri"), "");
    separate(d->file.out, &d->n_images);
    fprintf(d->file.out, "{\"id\":%lld,\"width\":%lld,\"height\":%lld,\"file_name\":", (long long)number,
            (long long)jsn_int(jsn_get(image, "width"), 0), (long long)jsn_int(jsn_get(image, "height"), 0));
    enum status s = write_text(d->file.out, uri, strlen(uri));
    fputc('}', d->file.out);
    return s;
}

static void write_box(FILE *out, const double b[4])
{
    fprintf(out, "\"bbox\":[%.10g,%.10g,%.10g,%.10g]", b[0], b[1], b[2] - b[0], b[3] - b[1]);
}

/* pycocotools makes a mask of every annotation, and has none for an empty list: the box as a polygon. */
static void write_segmentation(FILE *out, const double b[4])
{
    fprintf(out, "\"segmentation\":[[%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g]]", b[0], b[1], b[2], b[1], b[2],
            b[3], b[0], b[3]);
}

static enum status put_box(struct coco *c, int64_t image, const char *name, const double b[4], const char *caption,
                           double score)
{
    int64_t category = 0;
    enum status s = coco_names_category(&c->names, name, &category);
    if (s != ST_OK)
        return s;
    if (category == 0) {
        c->no_category++;
        return ST_OK;
    }
    FILE *out = c->instances.annotations;
    separate(out, &c->instances.n_annotations);
    fprintf(out, "{\"id\":%lld,\"image_id\":%lld,\"category_id\":%lld,", (long long)c->next_annotation++,
            (long long)image, (long long)category);
    write_box(out, b);
    fprintf(out, ",\"area\":%.10g,\"iscrowd\":0,", (b[2] - b[0]) * (b[3] - b[1]));
    write_segmentation(out, b);
    fputs(",\"caption\":", out);
    s = write_text(out, caption, strlen(caption));
    if (score >= 0)
        fprintf(out, ",\"score\":%.6g", score);
    fputc('}', out);
    out = c->detections.out;
    separate(out, &c->n_detections);
    fprintf(out, "{\"image_id\":%lld,\"category_id\":%lld,", (long long)image, (long long)category);
    write_box(out, b);
    fprintf(out, ",\"score\":%.6g}", score >= 0 ? score : 0); /* unknown ones sort last */
    return s;
}

static enum status put_entities(struct coco *c, int64_t image, const struct json *task)
{
    const struct json *entities = jsn_get(task, "entities");
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < jsn_size(entities); i++) {
        const struct json *boxes = jsn_get(jsn_at(entities, i), "boxes");
        const char *name = answer_entity_name(task, i);
        double score = jsn_number(jsn_get(jsn_at(entities, i), "score"), -1), b[4];
        for (size_t k = 0; s == ST_OK && k < jsn_size(boxes); k++) {
            if (!markup_numbers(jsn_at(boxes, k), b, 4))
                continue;
            if (b[0] == b[2] && b[1] == b[3])
                c->points++; /* COCO has no place for it */
            else
                s = put_box(c, image, name, b, name, score);
        }
    }
    return s;
}

/* The region that was described: its box has the answer as caption. */
static enum status put_region(struct coco *c, int64_t image, const struct json *task, const struct answer *a)
{
    double b[4];
    if (strcmp(jsn_string(jsn_get(task, "task"), ""), "describe") != 0 ||
        !markup_numbers(jsn_get(jsn_get(task, "region"), "box"), b, 4))
        return ST_OK;
    b[2] += 1; /* region boxes are inclusive pixels */
    b[3] += 1;
    return put_box(c, image, a->text, b, a->text, -1);
}

static enum status put_caption(struct coco *c, int64_t image, const struct answer *a)
{
    FILE *out = c->captions.annotations;
    separate(out, &c->captions.n_annotations);
    fprintf(out, "{\"id\":%lld,\"image_id\":%lld,\"caption\":", (long long)c->next_caption++, (long long)image);
    enum status s = write_text(out, a->text, strlen(a->text));
    fputc('}', out);
    out = c->caption_results.out;
    separate(out, &c->n_results);
    fprintf(out, "{\"image_id\":%lld,\"caption\":", (long long)image);
    if (s == ST_OK)
        s = write_text(out, a->text, strlen(a->text));
    fputc('}', out);
    return s;
}

static enum status put_task(struct coco *c, int64_t image, const struct json *task)
{
    struct answer a = {0};
    if (jsn_get(task, "error"))
        return ST_OK;
    enum status s = answer_read(task, &a);
    if (s == ST_OK)
        s = put_entities(c, image, task);
    if (s == ST_OK)
        s = put_region(c, image, task, &a);
    if (s == ST_OK && strcmp(jsn_string(jsn_get(task, "task"), ""), "caption") == 0)
        s = put_caption(c, image, &a);
    answer_fini(&a);
    return s;
}

static enum status put_coco(void *writer, const struct json *record, const char *picture, struct diag *why)
{
    struct coco *c = writer;
    const struct json *tasks = jsn_get(record, "tasks");
    const char *key = jsn_string(jsn_get(record, "id"), "");
    (void)picture;
    if (jsn_int(jsn_get(jsn_get(record, "image"), "width"), 0) <= 0) { /* it was never decoded */
        c->failed++;
        return ST_OK;
    }
    enum status s = ST_OK;
    if (c->instances.n_images == (uint64_t)c->shard_images) {
        s = close_shard(c, true, why);
        c->shard++;
        if (s == ST_OK)
            s = open_shard(c, why);
    }
    if (s != ST_OK)
        return s;
    int64_t image = coco_names_image(&c->names, record);
    fprintf(c->map.out, "{\"image_id\":%lld,\"id\":", (long long)image);
    s = write_text(c->map.out, key, strlen(key));
    fputs("}\n", c->map.out);
    if (s == ST_OK)
        s = put_image(&c->instances, image, record);
    if (s == ST_OK)
        s = put_image(&c->captions, image, record);
    for (size_t i = 0; s == ST_OK && i < jsn_size(tasks); i++)
        s = put_task(c, image, jsn_at(tasks, i));
    return s;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static void free_coco(struct coco *c)
{
    coco_names_fini(&c->names);
    free(c->dir);
    free(c->title);
    free(c);
}

static enum status open_coco(const struct format_options *o, void **out, struct diag *why)
{
    struct coco *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->next_annotation = c->next_caption = 1;
    c->shard_images = o->shard_images > 0 ? o->shard_images : SHARD_IMAGES;
    c->dir = strdup(o->dir);
    c->title = strdup(o->title);
    enum status s = c->dir && c->title ? coco_names_open(&c->names, o->categories, why) : ST_NOMEM;
    if (s == ST_OK)
        s = open_shard(c, why);
    if (s == ST_OK)
        s = new_file_open(&c->map, c->dir, "image_ids.jsonl", why);
    if (s != ST_OK) {
        (void)!close_shard(c, false, NULL);
        free_coco(c);
        return s;
    }
    *out = c;
    return ST_OK;
}

static enum status close_coco(void *writer, bool keep, struct diag *notes, struct diag *why)
{
    struct coco *c = writer;
    enum status s = close_shard(c, keep, why);
    enum status one = new_file_close(&c->map, keep && s == ST_OK, s == ST_OK ? why : NULL);
    s = s == ST_OK ? one : s;
    if (c->failed + c->no_category + c->points > 0)
        (void)diag_set(notes, ST_OK,
                       "left out: %llu images that were never decoded, %llu boxes of no given category, %llu points",
                       c->failed, c->no_category, c->points);
    free_coco(c);
    return s;
}

const struct format format_coco = {"coco", open_coco, put_coco, close_coco};
