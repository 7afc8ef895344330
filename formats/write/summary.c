#include "formats/write/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/write/answer.h"
#include "formats/write/words.h"

enum { NAME_BYTES = 96, ROWS_MOST = 4096, WORDS_MOST = 1024, BOXES_MOST = 256, ENOUGH = 30 };
static const double FAR = 4; /* standard errors */

struct mean {
    uint64_t n;
    double sum, squares;
};
/* Counts and means, in the order of names[]. */
enum count { IMAGES, OK, PARTIAL, FAILED, ANSWERS, EMPTY, REPETITION, CUT, ANSWER_ERRORS, COUNTS };
static const char *const count_names[COUNTS] = {"images", "ok",         "partial", "failed",       "answers",
                                                "empty",  "repetition", "cut",     "answer_errors"};
enum measure { WORDS, BOXES, SCORE, MEASURES };
static const char *const measure_names[MEASURES] = {"caption_words", "boxes", "score"};

struct row {
    char name[NAME_BYTES];
    uint64_t counts[COUNTS];
    struct mean means[MEASURES];
};
struct rows {
    struct words names; /* place in the list plus one */
    struct row *list;
    size_t n;
};
struct summary {
    struct row all;
    struct rows days, workers;
    struct words errors; /* how often each came */
    uint64_t words[WORDS_MOST], boxes[BOXES_MOST];
};

struct summary *summary_new(void)
{
    return calloc(1, sizeof(struct summary));
}

void summary_free(struct summary *s)
{
    if (!s)
        return;
    words_fini(&s->days.names);
    words_fini(&s->workers.names);
    words_fini(&s->errors);
    free(s->days.list);
    free(s->workers.list);
    free(s);
}

uint64_t summary_images(const struct summary *s)
{
    return s->all.counts[IMAGES];
}

uint64_t summary_failed(const struct summary *s)
{
    return s->all.counts[FAILED];
}

/* ---- adding ----------------------------------------------------------------------------------------------------- */

static void mean_add(struct mean *m, double v)
{
    m->n++;
    m->sum += v;
    m->squares += v * v;
}

/* The row of that name; when there are too many, the last one takes all others. */
static enum status row_of(struct rows *rows, const char *name, struct row **out)
{
    const char *own = rows->n < ROWS_MOST || words_find(&rows->names, name) ? name : "others";
    const struct word *known = words_find(&rows->names, own);
    if (known) {
        *out = &rows->list[known->number - 1];
        return ST_OK;
    }
    struct row *list = realloc(rows->list, (rows->n + 1) * sizeof *list);
    if (!list)
        return ST_NOMEM;
    rows->list = list;
    list[rows->n] = (struct row){.name = ""};
    snprintf(list[rows->n].name, NAME_BYTES, "%s", own);
    enum status s = words_add(&rows->names, own, (int64_t)rows->n + 1);
    if (s == ST_OK)
        *out = &rows->list[rows->n++];
    return s;
}

static void day_of(const struct json *record, char name[NAME_BYTES])
{
    int64_t ms = jsn_int(jsn_get(record, "ended_ms"), -1);
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    snprintf(name, NAME_BYTES, "unknown");
    if (ms >= 0 && gmtime_r(&seconds, &utc))
        (void)strftime(name, NAME_BYTES, "%Y-%m-%d", &utc);
}

/* What one record adds to a row. */
struct facts {
    uint64_t counts[COUNTS];
    double words[8]; /* of its captions */
    int n_captions;
    uint64_t boxes;
    double scores;
    uint64_t n_scores;
};

static double count_words(const char *text)
{
    double n = 0;
    for (const char *s = text; *s; s++)
        n += *s != ' ' && (s == text || s[-1] == ' ');
    return n;
}

static enum status read_answer(struct facts *f, const struct json *task)
{
    struct answer a = {0};
    const char *finish = jsn_string(jsn_get(task, "finish"), "");
    const struct json *entities = jsn_get(task, "entities");
    enum status s = answer_read(task, &a);
    if (s != ST_OK)
        return s;
    double words = count_words(a.text);
    f->counts[ANSWERS]++;
    f->counts[EMPTY] += words == 0;
    f->counts[REPETITION] += strcmp(finish, "repetition") == 0;
    f->counts[CUT] += strcmp(finish, "length") == 0;
    bool caption = strcmp(jsn_string(jsn_get(task, "task"), ""), "caption") == 0;
    if (caption && f->n_captions < (int)(sizeof f->words / sizeof *f->words))
        f->words[f->n_captions++] = words;
    for (size_t i = 0; i < jsn_size(entities); i++) {
        double score = jsn_number(jsn_get(jsn_at(entities, i), "score"), -1);
        f->boxes += jsn_size(jsn_get(jsn_at(entities, i), "boxes"));
        f->scores += score >= 0 ? score : 0;
        f->n_scores += score >= 0;
    }
    answer_fini(&a);
    return ST_OK;
}

static enum status count_error(struct summary *s, const struct json *error)
{
    return words_count(&s->errors, jsn_string(jsn_get(error, "code"), "error"));
}

static enum status read_facts(struct summary *s, const struct json *record, struct facts *f)
{
    const char *status = jsn_string(jsn_get(record, "status"), "failed");
    const struct json *tasks = jsn_get(record, "tasks");
    f->counts[IMAGES] = 1;
    f->counts[strcmp(status, "ok") == 0 ? OK : strcmp(status, "partial") == 0 ? PARTIAL : FAILED] = 1;
    enum status st = jsn_get(record, "error") ? count_error(s, jsn_get(record, "error")) : ST_OK;
    for (size_t i = 0; st == ST_OK && i < jsn_size(tasks); i++) {
        const struct json *error = jsn_get(jsn_at(tasks, i), "error");
        f->counts[ANSWER_ERRORS] += error != NULL;
        st = error ? count_error(s, error) : read_answer(f, jsn_at(tasks, i));
    }
    return st;
}

static void add_facts(struct row *r, const struct facts *f)
{
    for (int i = 0; i < COUNTS; i++)
        r->counts[i] += f->counts[i];
    for (int i = 0; i < f->n_captions; i++)
        mean_add(&r->means[WORDS], f->words[i]);
    if (f->counts[ANSWERS] > 0)
        mean_add(&r->means[BOXES], (double)f->boxes);
    if (f->n_scores > 0)
        mean_add(&r->means[SCORE], f->scores / (double)f->n_scores);
}

enum status summary_add(struct summary *s, const struct json *record)
{
    struct facts f = {.n_captions = 0};
    struct row *day = NULL, *worker = NULL;
    char name[NAME_BYTES];
    day_of(record, name);
    enum status st = read_facts(s, record, &f);
    if (st == ST_OK)
        st = row_of(&s->days, name, &day);
    if (st == ST_OK)
        st = row_of(&s->workers, jsn_string(jsn_get(record, "worker"), "unknown"), &worker);
    if (st != ST_OK)
        return st;
    add_facts(&s->all, &f);
    add_facts(day, &f);
    add_facts(worker, &f);
    for (int i = 0; i < f.n_captions; i++)
        s->words[f.words[i] < WORDS_MOST ? (int)f.words[i] : WORDS_MOST - 1]++;
    if (f.counts[ANSWERS] > 0)
        s->boxes[f.boxes < BOXES_MOST ? f.boxes : BOXES_MOST - 1]++;
    return ST_OK;
}

/* ---- what differs ----------------------------------------------------------------------------------------------- */

static double mean_of(const struct mean *m)
{
    return m->n ? m->sum / (double)m->n : 0;
}

static double deviation(const struct mean *m)
{
    double mean = mean_of(m), n = (double)m->n;
    return m->n > 1 ? sqrt(fmax(0, (m->squares - n * mean * mean) / (n - 1))) : 0;
}

static bool mean_differs(const struct mean *row, const struct mean *all)
{
    if (row->n < ENOUGH || row->n == all->n)
        return false;
    double error = deviation(all) / sqrt((double)row->n);
    return fabs(mean_of(row) - mean_of(all)) > FAR * error && error > 0;
}

/* Counts as shares of images or of answers. */
static const enum count base_of[COUNTS] = {
    [FAILED] = IMAGES, [EMPTY] = ANSWERS, [REPETITION] = ANSWERS, [CUT] = ANSWERS, [ANSWER_ERRORS] = IMAGES};

static bool share_differs(const struct row *row, const struct row *all, enum count c)
{
    double n = (double)row->counts[base_of[c]], whole = (double)all->counts[base_of[c]];
    if (n < ENOUGH || n >= whole || c < FAILED || c == ANSWERS)
        return false;
    double share = (double)all->counts[c] / whole, error = sqrt(share * fmax(0, 1 - share) / n);
    return error > 0 && fabs((double)row->counts[c] / n - share) > FAR * error;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static struct json *mean_object(const struct mean *m)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "mean", m->n ? jsn_new_real(mean_of(m)) : jsn_new_null());
    jsn_add(&s, o, "sd", m->n > 1 ? jsn_new_real(deviation(m)) : jsn_new_null());
    return jsn_whole(o, s);
}

static struct json *differs_array(const struct row *row, const struct row *all)
{
    enum status s = ST_OK;
    struct json *a = jsn_new_array();
    for (int i = 0; i < COUNTS; i++)
        if (share_differs(row, all, (enum count)i) && s == ST_OK)
            s = jsn_push(a, jsn_new_string(count_names[i]));
    for (int i = 0; i < MEASURES; i++)
        if (mean_differs(&row->means[i], &all->means[i]) && s == ST_OK)
            s = jsn_push(a, jsn_new_string(measure_names[i]));
    return jsn_whole(a, s);
}

static struct json *row_object(const struct row *row, const struct row *all)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    if (row != all)
        jsn_add(&s, o, "name", jsn_new_string(row->name));
    for (int i = 0; i < COUNTS; i++)
        jsn_add(&s, o, count_names[i], jsn_new_int((int64_t)row->counts[i]));
    for (int i = 0; i < MEASURES; i++)
        jsn_add(&s, o, measure_names[i], mean_object(&row->means[i]));
    if (row != all)
        jsn_add(&s, o, "differs", differs_array(row, all));
    return jsn_whole(o, s);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct row *const *)a)->name, (*(const struct row *const *)b)->name);
}

/* Malloc'ed; NULL when memory is short. */
static const struct row **sorted(const struct rows *rows)
{
    const struct row **list = calloc(rows->n + 1, sizeof *list);
    for (size_t i = 0; list && i < rows->n; i++)
        list[i] = &rows->list[i];
    if (list)
        qsort(list, rows->n, sizeof *list, by_name);
    return list;
}

static struct json *row_array(const struct rows *rows, const struct row *all)
{
    struct json *a = jsn_new_array();
    const struct row **list = sorted(rows);
    enum status s = list ? ST_OK : ST_NOMEM;
    for (size_t i = 0; s == ST_OK && i < rows->n; i++)
        s = jsn_push(a, row_object(list[i], all));
    free(list);
    return jsn_whole(a, s);
}

struct json *summary_json(const struct summary *s)
{
    enum status st = ST_OK;
    struct json *o = row_object(&s->all, &s->all), *errors = jsn_new_object();
    for (size_t i = 0; i < s->errors.n; i++)
        jsn_add(&st, errors, s->errors.list[i].text, jsn_new_int(s->errors.list[i].number));
    jsn_add(&st, o, "errors", errors);
    jsn_add(&st, o, "by_day", row_array(&s->days, &s->all));
    jsn_add(&st, o, "by_worker", row_array(&s->workers, &s->all));
    return jsn_whole(o, st);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static int percentile(const uint64_t *histogram, int size, double share)
{
    uint64_t n = 0, seen = 0;
    for (int i = 0; i < size; i++)
        n += histogram[i];
    for (int i = 0; i < size; i++) {
        seen += histogram[i];
        if (n > 0 && (double)seen >= share * (double)n)
            return i;
    }
    return 0;
}

static void spread_text(FILE *out, const char *what, const uint64_t *histogram, int size, const struct mean *m)
{
    if (m->n > 0)
        fprintf(out, "%-14s %.2f on average; a tenth has at most %d, half at most %d, nine tenths at most %d\n", what,
                mean_of(m), percentile(histogram, size, 0.1), percentile(histogram, size, 0.5),
                percentile(histogram, size, 0.9));
}

static double percent(uint64_t n, uint64_t of)
{
    return of ? 100.0 * (double)n / (double)of : 0;
}

static void share_cell(FILE *out, const struct row *r, const struct row *all, enum count c)
{
    fprintf(out, " %6.2f%%%c", percent(r->counts[c], r->counts[base_of[c]]), share_differs(r, all, c) ? '!' : ' ');
}

static void rows_text(FILE *out, const char *what, const struct rows *rows, const struct row *all)
{
    const struct row **list = sorted(rows);
    fprintf(out, "\n%-28s %9s  %7s  %7s  %7s  %7s  %7s  %7s  %7s\n", what, "images", "failed", "empty", "repeat", "cut",
            "words", "boxes", "score");
    for (size_t i = 0; list && i < rows->n; i++) {
        const struct row *r = list[i];
        fprintf(out, "%-28.60s %9llu ", r->name, (unsigned long long)r->counts[IMAGES]);
        share_cell(out, r, all, FAILED);
        share_cell(out, r, all, EMPTY);
        share_cell(out, r, all, REPETITION);
        share_cell(out, r, all, CUT);
        for (int m = 0; m < MEASURES; m++)
            fprintf(out, " %7.2f%c", mean_of(&r->means[m]), mean_differs(&r->means[m], &all->means[m]) ? '!' : ' ');
        fputc('\n', out);
    }
    free(list);
}

void summary_text(const struct summary *s, FILE *out)
{
    const uint64_t *c = s->all.counts;
    fprintf(out, "%-14s %llu: %llu ok, %llu partial, %llu failed (%.2f%%)\n", "images", (unsigned long long)c[IMAGES],
            (unsigned long long)c[OK], (unsigned long long)c[PARTIAL], (unsigned long long)c[FAILED],
            percent(c[FAILED], c[IMAGES]));
    fprintf(out, "%-14s %llu: %.2f%% empty, %.2f%% ended by repetition, %.2f%% cut at their length\n", "answers",
            (unsigned long long)c[ANSWERS], percent(c[EMPTY], c[ANSWERS]), percent(c[REPETITION], c[ANSWERS]),
            percent(c[CUT], c[ANSWERS]));
    spread_text(out, "caption words", s->words, WORDS_MOST, &s->all.means[WORDS]);
    spread_text(out, "boxes an image", s->boxes, BOXES_MOST, &s->all.means[BOXES]);
    if (s->all.means[SCORE].n > 0)
        fprintf(out, "%-14s %.3f on average\n", "score", mean_of(&s->all.means[SCORE]));
    for (size_t i = 0; i < s->errors.n; i++)
        fprintf(out, "%-14s %s: %lld\n", i ? "" : "errors", s->errors.list[i].text,
                (long long)s->errors.list[i].number);
}

void summary_tables(const struct summary *s, FILE *out)
{
    rows_text(out, "day (UTC)", &s->days, &s->all);
    rows_text(out, "worker", &s->workers, &s->all);
    fputs("\n! more than four standard errors away from the whole\n", out);
}
