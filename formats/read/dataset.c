#include "formats/read/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "formats/read/dataset_parts.h"
#include "formats/read/elements.h"
#include "formats/read/local_path.h"
#include "formats/read/make_input.h"
#include "formats/read/sorter.h"

enum {
    ID_ROOM = 256,
    ROWS_AN_IMAGE = 1 << 16, /* more is no honest data set */
    TASKS_A_JOB = 64,        /* with their phrases they must fit into a job */
    REGIONS_A_JOB = 128,     /* likewise */
};

/* Rows of one image, as they were put into the sorter. */
struct group {
    struct json **rows;
    size_t n, room, at; /* at: of those that are in jobs already */
    int part;
};

struct dataset {
    struct source source;
    const struct inputs_options *options;
    char *path, *folder;
    enum wanted wanted;
    struct elements *elements; /* while the file is read */
    struct sorter *sorter;
    bool captions; /* its images have captions to look into */
    bool genome;   /* a list of images with regions */
    bool sorted, ended;
    struct group group;
    uint64_t number;   /* of the row that waits */
    struct json *next; /* the row that waits, or NULL */
    uint64_t n_images;
};

bool is_dataset_name(const char *path)
{
    static const char *const endings[] = {".json", ".json.gz", ".json.zst"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(path), m = strlen(endings[i]);
        if (n > m && strcmp(path + n - m, endings[i]) == 0)
            return true;
    }
    return false;
}

static void drop_group(struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        jsn_free(g->rows[i]);
    free(g->rows);
    *g = (struct group){0};
}

static void close_dataset(struct source *source)
{
    struct dataset *d = (struct dataset *)(void *)source;
    drop_group(&d->group);
    jsn_free(d->next);
    elements_close(d->elements);
    sorter_free(d->sorter);
    free(d->folder);
    free(d->path);
    free(d);
}

/* Takes ownership of row. */
static enum status add_row(struct group *g, struct json *row)
{
    if (!row)
        return ST_NOMEM;
    if (g->n == g->room) {
        size_t room = g->room ? 2 * g->room : 16;
        struct json **rows = realloc(g->rows, room * sizeof(struct json *));
        if (!rows) {
            jsn_free(row);
            return ST_NOMEM;
        }
        g->rows = rows;
        g->room = room;
    }
    g->rows[g->n++] = row;
    return ST_OK;
}

/* ---- into the sorter -----------------------------------------------------------------------------------------------
 */

static uint64_t number_of(const struct json *id)
{
    return jsn_kind(id) == JSON_KIND_INT ? (uint64_t)jsn_int(id, 0) : sha256_number(jsn_string(id, ""));
}

/* The members of an element that a job is made of. */
static enum status put_members(struct dataset *d, uint64_t number, const struct json *element,
                               const char *const *members, struct diag *why)
{
    enum status s = ST_OK;
    struct json *row = jsn_new_object();
    for (; s == ST_OK && *members; members++) {
        const struct json *v = jsn_get(element, *members);
        if (v)
            s = jsn_put(row, *members, jsn_copy(v));
    }
    char *text = s == ST_OK ? jsn_text(row) : NULL;
    jsn_free(row);
    s = text ? sorter_put(d->sorter, number, text, strlen(text), why) : ST_NOMEM;
    free(text);
    return s;
}

static const char *file_of(const struct json *image)
{
    static const char *const names[] = {"file_name", "coco_url", "flickr_url", "url"};
    const char *found = NULL;
    for (size_t i = 0; !found && i < sizeof names / sizeof *names; i++)
        found = jsn_string(jsn_get(image, names[i]), NULL);
    return found;
}

static enum status put_image(struct dataset *d, const struct json *image, struct diag *why)
{
    static const char *const members[] = {
        "id",          "file_name",       "coco_url",    "flickr_url",   "url", "caption", "tokens_positive_eval",
        "original_id", "original_img_id", "sentence_id", "dataset_name", NULL};
    const char *file = file_of(image);
    bool caption = jsn_kind(jsn_get(image, "caption")) == JSON_KIND_STRING;
    d->captions |= caption;
    d->n_images++;
    bool by_file = file && caption && d->wanted != WANTED_BOXES; /* each sentence is an image of its own there */
    return put_members(d, by_file ? sha256_number(file) : number_of(jsn_get(image, "id")), image, members, why);
}

static enum status put_annotation(struct dataset *d, const struct json *annotation, struct diag *why)
{
    static const char *const members[] = {"id", "bbox", "image_id", NULL};
    if (d->wanted != WANTED_BOXES)
        return ST_OK;
    return put_members(d, number_of(jsn_get(annotation, "image_id")), annotation, members, why);
}

/* All of a file with lists of images and annotations. *first: the element that has been read already. */
static enum status sort(struct dataset *d, const char *list, const struct json *element, struct diag *why)
{
    enum status s = ST_OK;
    do {
        if (strcmp(list, "images") == 0)
            s = put_image(d, element, why);
        else if (strcmp(list, "annotations") == 0)
            s = put_annotation(d, element, why);
    } while (s == ST_OK && (s = elements_next(d->elements, &list, &element, why)) == ST_OK);
    if (s == ST_CLOSED && d->n_images == 0)
        return diag_set(why, ST_FORMAT,
                        "%s: no data set: expected \"images\" as COCO has them, or a list of regions as "
                        "Visual Genome has it",
                        d->path);
    d->sorted = s == ST_CLOSED;
    return s == ST_CLOSED ? ST_OK : s;
}

static enum status begin(struct dataset *d, struct diag *why)
{
    const char *list;
    const struct json *element;
    char *folder = path_folder(d->path);
    enum status s = folder ? path_absolute(NULL, folder, &d->folder, why) : ST_NOMEM;
    free(folder);
    if (s == ST_OK)
        s = elements_open(d->path, &d->elements, why);
    if (s == ST_OK)
        s = elements_next(d->elements, &list, &element, why);
    if (s == ST_CLOSED)
        return diag_set(why, ST_FORMAT, "%s: no data set: there is no list in it", d->path);
    if (s != ST_OK)
        return s;
    d->genome = *list == '\0' && jsn_kind(jsn_get(element, "regions")) == JSON_KIND_ARRAY;
    if (d->genome)
        return add_row(&d->group, jsn_copy(element));
    s = sorter_new(&d->sorter);
    return s == ST_OK ? sort(d, list, element, why) : s;
}

/* ---- rows of one image ---------------------------------------------------------------------------------------------
 */

static enum status read_row(struct dataset *d, struct diag *why)
{
    const void *text;
    size_t len;
    enum status s = sorter_next(d->sorter, &d->number, &text, &len, why);
    return s == ST_OK ? jsn_parse(text, len, "row", &d->next, why) : s;
}

/* All rows of the next image. ST_CLOSED: there is none. */
static enum status read_group(struct dataset *d, struct diag *why)
{
    enum status s = d->next ? ST_OK : read_row(d, why);
    uint64_t number = d->number;
    drop_group(&d->group);
    while (s == ST_OK && d->number == number && d->group.n < ROWS_AN_IMAGE) {
        s = add_row(&d->group, d->next);
        d->next = NULL;
        if (s == ST_OK)
            s = read_row(d, why);
    }
    return s == ST_CLOSED && d->group.n > 0 ? ST_OK : s;
}

static enum status read_genome(struct dataset *d, struct diag *why)
{
    const char *list;
    const struct json *element;
    enum status s = elements_next(d->elements, &list, &element, why);
    drop_group(&d->group);
    return s == ST_OK ? add_row(&d->group, jsn_copy(element)) : s;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------
 */

/* Takes ownership of job. */
static enum status finish(struct dataset *d, struct json *job, struct input *out)
{
    if (!job)
        return ST_NOMEM;
    enum status s = make_from_object(d->options, d->path, d->folder, job, out);
    jsn_free(job);
    return s;
}

static enum status fail(struct dataset *d, const char *id, const char *code, const char *what, struct input *out)
{
    struct diag why = {""};
    char *key = NULL;
    diag_set(&why, ST_INVALID, "%.200s: %s: %s", d->path, id, what);
    if (asprintf(&key, "%s:%s", d->path, id) < 0)
        return ST_NOMEM;
    enum status s = make_error_of_uri(d->options, key, code, why.text, out);
    free(key);
    d->group.at = d->group.n;
    return s;
}

static const struct json *image_row(const struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        if (file_of(g->rows[i]))
            return g->rows[i];
    return NULL;
}

/* The text between two places that are counted in code points, as Python does; NULL: they are none. */
static struct json *characters(const char *text, int64_t from, int64_t to)
{
    const char *begin = NULL, *at = text;
    for (int64_t n = 0; from >= 0; n++) {
        if (n == from)
            begin = at;
        if (n == to)
            return begin && at > begin ? jsn_new_string_n(begin, (size_t)(at - begin)) : NULL;
        if (!*at)
            break;
        for (at++; (*at & 0xC0) == 0x80; at++)
            ;
    }
    return NULL;
}

/* What an image's caption asks to be found: its marked phrases, each the text from its first to its last mark; where
 * nothing is marked, all of it. NULL when memory is short. */
static struct json *phrases_of(const struct json *row)
{
    const char *caption = jsn_string(jsn_get(row, "caption"), "");
    const struct json *marks = jsn_get(row, "tokens_positive_eval");
    struct json *phrases = jsn_new_array();
    bool whole = jsn_size(marks) == 0 || strncmp(jsn_string(jsn_get(row, "dataset_name"), ""), "refcoco", 7) == 0;
    enum status s = whole ? jsn_push(phrases, jsn_new_string(caption)) : ST_OK;
    for (size_t i = 0; !whole && s == ST_OK && i < jsn_size(marks) && i < LIMIT_PHRASES; i++) {
        const struct json *spans = jsn_at(marks, i);
        int64_t from = jsn_int(jsn_at(jsn_at(spans, 0), 0), -1);
        int64_t to = jsn_int(jsn_at(jsn_at(spans, jsn_size(spans) - 1), 1), -1);
        struct json *phrase = characters(caption, from, to);
        s = phrase ? jsn_push(phrases, phrase) : ST_OK;
    }
    if (s == ST_OK && jsn_size(phrases) == 0)
        s = jsn_push(phrases, jsn_new_string(caption));
    if (s == ST_OK)
        return phrases;
    jsn_free(phrases);
    return NULL;
}

/* The next sentences of the image, as tasks. */
static enum status add_sentences(struct dataset *d, struct json *job)
{
    struct group *g = &d->group;
    struct json *tasks = jsn_new_array();
    enum status s = ST_OK;
    for (; s == ST_OK && g->at < g->n && jsn_size(tasks) < TASKS_A_JOB; g->at++) {
        char id[ID_ROOM];
        struct json *phrases = phrases_of(g->rows[g->at]);
        s = phrases ? dataset_add_locate(tasks, dataset_id(jsn_get(g->rows[g->at], "id"), id, sizeof id), phrases)
                    : ST_NOMEM;
    }
    enum status put = jsn_put(job, "tasks", tasks);
    return s == ST_OK ? put : s;
}

/* The next annotations' boxes, as regions. */
static enum status add_annotations(struct dataset *d, struct json *job)
{
    struct group *g = &d->group;
    struct json *regions = jsn_new_array();
    enum status s = ST_OK;
    for (; s == ST_OK && g->at < g->n && jsn_size(regions) < REGIONS_A_JOB; g->at++) {
        char id[ID_ROOM];
        double box[4];
        const struct json *row = g->rows[g->at];
        if (dataset_numbers(jsn_get(row, "bbox"), box, 4))
            s = dataset_add_box(regions, dataset_id(jsn_get(row, "id"), id, sizeof id), box);
    }
    bool any = jsn_size(regions) > 0;
    enum status put = jsn_put(job, "regions", regions);
    return s == ST_OK && put == ST_OK ? (any ? ST_OK : ST_CLOSED) : ST_NOMEM;
}

/* ST_CLOSED: nothing (more) is asked about this image. */
static enum status next_of_images(struct dataset *d, struct input *out)
{
    struct group *g = &d->group;
    const struct json *image = image_row(g);
    char id[ID_ROOM], *uri = NULL;
    if (!image)
        return fail(d, dataset_id(jsn_get(g->rows[0], "image_id"), id, sizeof id), "invalid_job",
                    "annotations of an image that is not in \"images\", or has no file_name and no coco_url", out);
    if (g->n >= ROWS_AN_IMAGE)
        return fail(d, dataset_id(jsn_get(image, "id"), id, sizeof id), "too_long", "too many annotations", out);
    enum status s = dataset_image(d->options, d->folder, file_of(image), &uri);
    struct json *job = NULL;
    const char *original = dataset_id(jsn_get(image, "original_img_id"), id, sizeof id);
    if (!*original)
        original = dataset_id(jsn_get(image, "original_id"), id, sizeof id);
    if (!*original || !d->captions)
        original = dataset_id(jsn_get(image, "id"), id, sizeof id);
    if (s == ST_OK && !(job = dataset_job(original, ++g->part, uri)))
        s = ST_NOMEM;
    free(uri);
    if (s == ST_OK && d->wanted == WANTED_BOXES)
        s = add_annotations(d, job);
    else if (s == ST_OK && d->wanted == WANTED_PHRASES && d->captions)
        s = add_sentences(d, job);
    else
        g->at = g->n;
    if (s == ST_OK)
        return finish(d, job, out);
    jsn_free(job);
    return s;
}

static enum status add_genome_regions(struct dataset *d, const struct json *list, struct json *job)
{
    struct group *g = &d->group;
    bool boxes = d->wanted == WANTED_BOXES;
    struct json *out = jsn_new_array();
    enum status s = ST_OK;
    for (; s == ST_OK && g->at < jsn_size(list) && jsn_size(out) < (boxes ? REGIONS_A_JOB : TASKS_A_JOB); g->at++) {
        static const char *const sides[] = {"x", "y", "width", "height"};
        char id[ID_ROOM];
        double box[4];
        const struct json *region = jsn_at(list, g->at), *phrase = jsn_get(region, "phrase");
        for (int i = 0; i < 4; i++)
            box[i] = jsn_number(jsn_get(region, sides[i]), 0);
        dataset_id(jsn_get(region, "region_id"), id, sizeof id);
        struct json *phrases = boxes ? NULL : jsn_new_array();
        if (boxes)
            s = dataset_add_box(out, id, box);
        else if ((s = jsn_push(phrases, jsn_copy(phrase))) == ST_OK)
            s = dataset_add_locate(out, id, phrases);
        else
            jsn_free(phrases);
    }
    enum status put = jsn_put(job, boxes ? "regions" : "tasks", out);
    return s == ST_OK ? put : s;
}

static enum status next_of_genome(struct dataset *d, struct input *out)
{
    struct group *g = &d->group;
    const struct json *image = g->rows[0], *list = jsn_get(image, "regions"), *id = jsn_get(image, "id");
    char name[ID_ROOM + 8], text[ID_ROOM], *uri = NULL;
    if (!id)
        id = jsn_get(jsn_at(list, 0), "image_id");
    bool nothing = d->wanted != WANTED_IMAGE && g->at >= jsn_size(list);
    if (nothing || (d->wanted == WANTED_IMAGE && g->part > 0)) {
        g->at = SIZE_MAX;
        return ST_CLOSED;
    }
    snprintf(name, sizeof name, "%s.jpg", dataset_id(id, text, sizeof text));
    enum status s = dataset_image(d->options, d->folder, name, &uri);
    struct json *job = s == ST_OK ? dataset_job(text, ++g->part, uri) : NULL;
    free(uri);
    s = job ? ST_OK : ST_NOMEM;
    if (s == ST_OK && d->wanted != WANTED_IMAGE)
        s = add_genome_regions(d, list, job);
    if (s == ST_OK)
        return finish(d, job, out);
    jsn_free(job);
    return s;
}

/* The file cannot be read, or not to its end. */
static enum status give_up(struct dataset *d, enum status s, const struct diag *why, struct input *out)
{
    if (s == ST_NOMEM)
        return s;
    d->ended = true;
    const char *code = s == ST_MISSING                   ? "missing_file"
                       : s == ST_FORMAT || s == ST_LIMIT ? "bad_manifest"
                                                         : "unreadable";
    return make_error(d->options, d->path, code, why->text, out);
}

static enum status next(struct source *source, struct input *out)
{
    struct dataset *d = (struct dataset *)(void *)source;
    struct diag why = {""};
    enum status s = d->elements || d->ended ? ST_OK : begin(d, &why);
    if (d->ended)
        return ST_CLOSED;
    while (s == ST_OK) {
        bool more = d->genome ? d->group.n > 0 && d->group.at != SIZE_MAX : d->group.at < d->group.n;
        if (!more)
            s = d->genome ? read_genome(d, &why) : read_group(d, &why);
        if (s == ST_CLOSED)
            return s;
        if (s != ST_OK)
            break;
        s = d->genome ? next_of_genome(d, out) : next_of_images(d, out);
        if (s == ST_OK || s == ST_NOMEM)
            return s;
        s = ST_OK; /* nothing was asked about that one */
    }
    return give_up(d, s, &why, out);
}

enum status dataset_open(const struct inputs_options *o, const char *path, struct source **out)
{
    struct dataset *d = calloc(1, sizeof *d);
    if (!d || !(d->path = strdup(path))) {
        free(d);
        return ST_NOMEM;
    }
    d->source = (struct source){.next = next, .close = close_dataset};
    d->options = o;
    d->wanted = wanted_of(o);
    *out = &d->source;
    return ST_OK;
}
