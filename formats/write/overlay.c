#include "formats/write/overlay.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "formats/write/answer.h"
#include "formats/write/markup.h"

enum { LABEL_CHARACTERS = 48, MAX_PLACES = 512 };

/* Bright enough for dark letters on them, and far apart. */
static const char *const colours[] = {"#ffd54a", "#5fd3ff", "#ff8fb1", "#8ef08a",
                                      "#ffab5e", "#c9a7ff", "#4be3c0", "#f2f27a"};
enum { N_COLOURS = sizeof colours / sizeof *colours };

struct place {
    double x, y, w, h;
};

struct layer {
    FILE *out;
    double width, height; /* of the drawing */
    double scale;         /* drawing pixels a display pixel */
    double font, line;    /* sizes in drawing pixels */
    int colour;           /* of the next entity */
    struct place labels[MAX_PLACES];
    int n_labels;
};

/* ---- shapes --------------------------------------------------------------------------------------------------------
 */

/* Twice: wide and dark below, narrow and bright on top, so that one of the two stands out from any picture. */
static void draw_box(struct layer *l, const double box[4], const char *colour, bool dashed)
{
    double x = box[0] * l->scale, y = box[1] * l->scale;
    double w = fmax((box[2] - box[0]) * l->scale, 1), h = fmax((box[3] - box[1]) * l->scale, 1);
    for (int pass = 0; pass < 2; pass++) {
        fprintf(l->out,
                "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" stroke=\"%s\" "
                "stroke-opacity=\"%s\" stroke-width=\"%.2f\"%s/>\n",
                x, y, w, h, pass ? colour : "#000", pass ? "1" : "0.75", pass ? l->line : 2.2 * l->line,
                dashed && pass ? " stroke-dasharray=\"7 5\"" : "");
    }
}

static void draw_point(struct layer *l, double x, double y, const char *colour)
{
    fprintf(l->out,
            "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"%s\" stroke=\"#000\" stroke-opacity=\"0.8\" "
            "stroke-width=\"%.2f\"/>\n",
            x * l->scale, y * l->scale, 2.5 * l->line, colour, l->line);
}

static bool overlap(const struct place *a, const struct place *b)
{
    return a->x < b->x + b->w && b->x < a->x + a->w && a->y < b->y + b->h && b->y < a->y + a->h;
}

/* Above the box, else inside it; then down past labels that are there already; never out of the picture. */
static struct place find_place(struct layer *l, double x, double y, double w, double h)
{
    struct place p = {.w = fmin(w, l->width), .h = h};
    p.x = fmax(0, fmin(x, l->width - p.w));
    p.y = y - h >= 0 ? y - h : fmin(y, l->height - h);
    for (int i = 0; i < l->n_labels; i++) {
        if (!overlap(&p, &l->labels[i]))
            continue;
        double below = l->labels[i].y + l->labels[i].h + 1;
        if (below + h > l->height)
            break;
        p.y = below;
        i = -1; /* below is larger each time, so this ends */
    }
    p.y = fmax(0, p.y);
    if (l->n_labels < MAX_PLACES)
        l->labels[l->n_labels++] = p;
    return p;
}

static void draw_label(struct layer *l, double x, double y, const char *phrase, double score, const char *colour)
{
    char number[16] = "";
    if (score >= 0)
        snprintf(number, sizeof number, " %.2f", score);
    if (!*phrase && !*number)
        return;
    double w = (markup_width(phrase, LABEL_CHARACTERS) + markup_width(number, sizeof number)) * l->font + l->font * 0.7;
    struct place p = find_place(l, x * l->scale - l->line, y * l->scale - l->line, w, l->font * 1.35);
    fprintf(l->out,
            "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" rx=\"%.2f\" fill=\"%s\" stroke=\"#000\" "
            "stroke-opacity=\"0.75\" stroke-width=\"1\"/>\n",
            p.x, p.y, p.w, p.h, l->font * 0.15, colour);
    fprintf(l->out, "<text x=\"%.2f\" y=\"%.2f\" fill=\"#111\">", p.x + l->font * 0.35, p.y + l->font);
    markup_text(l->out, phrase, LABEL_CHARACTERS);
    fprintf(l->out, "%s</text>\n", number);
}

/* ---- what a record has to draw
 * --------------------------------------------------------------------------------------- */

static void draw_entity(struct layer *l, const struct json *task, size_t index, bool labels)
{
    const struct json *entity = jsn_at(jsn_get(task, "entities"), index), *boxes = jsn_get(entity, "boxes");
    const char *colour = colours[l->colour++ % N_COLOURS];
    double score = jsn_number(jsn_get(entity, "score"), -1), box[4];
    for (size_t i = 0; i < jsn_size(boxes); i++) {
        if (!markup_numbers(jsn_at(boxes, i), box, 4))
            continue;
        if (labels)
            draw_label(l, box[0], box[1], answer_entity_name(task, index), score, colour);
        else if (box[0] == box[2] && box[1] == box[3])
            draw_point(l, box[0], box[1], colour);
        else
            draw_box(l, box, colour, false);
    }
}

/* What a region is called: what was answered about it, or the task where there is no answer. */
static const char *region_name(const struct json *task)
{
    const char *text = jsn_string(jsn_get(task, "text"), "");
    return *text ? text : jsn_string(jsn_get(task, "id"), "");
}

/* The region that was asked about: dashed and white, with its answer. */
static void draw_region(struct layer *l, const struct json *task, bool labels)
{
    double box[4];
    if (!markup_numbers(jsn_get(jsn_get(task, "region"), "box"), box, 4))
        return;
    box[2] += 1; /* region boxes are inclusive pixels */
    box[3] += 1;
    if (labels)
        draw_label(l, box[0], box[1], region_name(task), -1, "#fff");
    else
        draw_box(l, box, "#fff", true);
}

/* Regions below entities, and every label above every box. */
static void draw_all(struct layer *l, const struct json *record)
{
    const struct json *tasks = jsn_get(record, "tasks");
    fprintf(l->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
            "font-family=\"DejaVu Sans, Noto Sans, Noto Sans CJK SC, sans-serif\" font-size=\"%.2f\">\n",
            l->width, l->height, l->width, l->height, l->font);
    for (int labels = 0; labels < 2; labels++) {
        l->colour = 0;
        for (size_t i = 0; i < jsn_size(tasks); i++)
            draw_region(l, jsn_at(tasks, i), labels);
        for (size_t i = 0; i < jsn_size(tasks); i++) {
            size_t n = jsn_size(jsn_get(jsn_at(tasks, i), "entities"));
            for (size_t k = 0; k < n; k++)
                draw_entity(l, jsn_at(tasks, i), k, labels);
        }
    }
    fputs("</svg>\n", l->out);
}

enum status overlay_svg(const struct json *record, double scale, char **svg, struct diag *why)
{
    const struct json *image = jsn_get(record, "image");
    if (jsn_int(jsn_get(record, "schema"), 0) != 1)
        return diag_set(why, ST_FORMAT, "no record of schema 1");
    struct layer *l = calloc(1, sizeof *l);
    if (!l)
        return ST_NOMEM;
    l->scale = scale;
    l->width = floor(jsn_number(jsn_get(image, "width"), 0) * scale + 0.5);
    l->height = floor(jsn_number(jsn_get(image, "height"), 0) * scale + 0.5);
    if (!(l->width >= 1 && l->height >= 1)) {
        free(l);
        return diag_set(why, ST_MISSING, "%s: the record has no picture", jsn_string(jsn_get(record, "id"), "record"));
    }
    double shorter = fmin(l->width, l->height);
    l->font = fmax(11, fmin(40, shorter / 32));
    l->line = fmax(1.5, fmin(6, shorter / 240));
    size_t len = 0;
    l->out = open_memstream(svg, &len);
    if (l->out)
        draw_all(l, record);
    bool ok = l->out && !ferror(l->out);
    if (l->out && (fclose(l->out) != 0 || !ok)) {
        free(*svg);
        ok = false;
    }
    free(l);
    return ok ? ST_OK : ST_NOMEM;
}

enum status overlay_name(const struct json *record, const char *suffix, char **name, struct diag *why)
{
    enum { KEPT = 80, HASHED = 4 };
    const char *key = jsn_string(jsn_get(record, "id"), NULL), *job = jsn_string(jsn_get(record, "job"), "");
    if (!key)
        return diag_set(why, ST_FORMAT, "the record has no id");
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX], safe[KEPT + 1];
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, key, strlen(key) + 1);
    sha256_add(&h, job, strlen(job));
    sha256_end(&h, digest);
    sha256_hex(digest, hex);
    /* the end of a long key says more than its beginning */
    size_t len = strlen(key), from = len > KEPT ? len - KEPT : 0, n = 0;
    for (size_t i = from; i < len; i++)
        safe[n++] = isalnum((unsigned char)key[i]) || strchr("-_.", key[i]) ? key[i] : '_';
    safe[n] = '\0';
    if (safe[0] == '.')
        safe[0] = '_';
    return asprintf(name, "%s-%.*s%s", safe, 2 * HASHED, hex, suffix) < 0 ? ST_NOMEM : ST_OK;
}
