/* The tolerant parser of our records. Boxes first, by their brackets; then the words in front of each become its
 * phrase. */
#include "model/grounding.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FRAME = 1000, RAW_LIMIT = 1000000000 };

/* One number; *decimal tells whether it has a point. Returns the end, or NULL. */
static const char *read_number(const char *s, double *value, bool *decimal)
{
    bool negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    if (!isdigit((unsigned char)*s))
        return NULL;
    double v = 0, unit = 1;
    for (; isdigit((unsigned char)*s); s++)
        v = v * 10 + (*s - '0');
    *decimal = *s == '.' && isdigit((unsigned char)s[1]);
    if (*decimal)
        for (s++; isdigit((unsigned char)*s); s++)
            v += (*s - '0') * (unit /= 10);
    *value = negative ? -v : v;
    return s;
}

static const char *skip_separator(const char *s)
{
    return s + strspn(s, ", \t\n");
}

/* "[" 2 or 4 numbers "]" at s: fills values and returns the end, or NULL. Numbers with a point that all lie in 0..1 are
 * shares of the side (the form of Ferret-Bench) and become thousandths. */
static const char *read_brackets(const char *s, double values[4], int *n)
{
    bool any_decimal = false, shares = true;
    *n = 0;
    for (s = skip_separator(s + 1); *s != ']'; s = skip_separator(s)) {
        bool decimal;
        if (*n == 4 || !(s = read_number(s, &values[*n], &decimal)))
            return NULL;
        any_decimal = any_decimal || decimal;
        shares = shares && values[*n] >= 0 && values[*n] <= 1;
        (*n)++;
    }
    if (*n != 2 && *n != 4)
        return NULL;
    for (int i = 0; any_decimal && shares && i < *n; i++)
        values[i] *= FRAME;
    return s + 1;
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static void place_box(struct grounded_box *b, const double values[4], int n, int width, int height)
{
    const int size[2] = {width, height};
    b->n_raw = n;
    for (int i = 0; i < n; i++)
        b->raw[i] = (int)clamp(values[i], -RAW_LIMIT, RAW_LIMIT);
    for (int axis = 0; axis < 2; axis++) {
        double low = clamp(values[axis], 0, FRAME), high = n == 4 ? clamp(values[axis + 2], 0, FRAME) : low;
        if (low > high) {
            double other = low;
            low = high;
            high = other;
        }
        b->box[axis] = low * size[axis] / FRAME;
        b->box[axis + 2] = high * size[axis] / FRAME;
        b->truncated[axis] = (int)((int)low * (size[axis] / 1000.0)); /* order of operations: spec 5.1 */
        b->truncated[axis + 2] = (int)((int)high * (size[axis] / 1000.0));
    }
}

/* ---- phrases -------------------------------------------------------------------------------------------------------
 */

struct words {
    const char *text;
    size_t start, end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct words trim(struct words w)
{
    while (w.start < w.end && is_space(w.text[w.start]))
        w.start++;
    while (w.start < w.end && is_space(w.text[w.end - 1]))
        w.end--;
    return w;
}

static bool word_is_one_of(const char *word, size_t len, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && strncasecmp(word, list[i], len) == 0)
            return true;
    return false;
}

static bool is_determiner(const char *word, size_t len)
{
    static const char *const list[] = {"a",    "an",   "the", "this",  "that", "these", "those", "his",     "her",
                                       "its",  "my",   "our", "their", "your", "some",  "one",   "two",     "three",
                                       "four", "five", "six", "no",    "both", "each",  "any",   "several", "another"};
    return word_is_one_of(word, len, list, sizeof list / sizeof *list);
}

static bool is_leading(const char *word, size_t len)
{
    static const char *const list[] = {"and", "or", "but", "with", "then", "the"};
    return word_is_one_of(word, len, list, sizeof list / sizeof *list);
}

static size_t word_end(struct words w, size_t at)
{
    while (at < w.end && !is_space(w.text[at]))
        at++;
    return at;
}

/* From the last determiner on ("It is a red circle" -> "a red circle"), but one behind "of" belongs to the noun before
 * it ("the top of the tree" stays whole). */
static struct words noun_phrase(struct words w)
{
    size_t start = w.start, before = 0, before_len = 0;
    for (size_t at = w.start; at < w.end;) {
        size_t end = word_end(w, at);
        bool after_of = before_len == 2 && strncasecmp(w.text + before, "of", 2) == 0;
        if (is_determiner(w.text + at, end - at) && end < w.end && !after_of)
            start = at;
        before = at;
        before_len = end - at;
        for (at = end; at < w.end && is_space(w.text[at]);)
            at++;
    }
    w.start = start;
    return w;
}

static struct words drop_leading(struct words w)
{
    for (size_t end; (end = word_end(w, w.start)) < w.end && is_leading(w.text + w.start, end - w.start);) {
        w.start = end;
        w = trim(w);
    }
    size_t end = word_end(w, w.start);
    if (end == w.end && is_leading(w.text + w.start, end - w.start))
        w.start = w.end;
    return w;
}

/* Words between `from` and the bracket at `to`, behind the last mark that ends a phrase. */
static struct words phrase_before(const char *text, size_t from, size_t to)
{
    struct words w = {text, from, to};
    for (size_t i = from; i < to; i++)
        if (strchr(".,;:!?[]", text[i]))
            w.start = i + 1;
    w = trim(w);
    return drop_leading(noun_phrase(w));
}

/* "[..][..]", "[..], [..]" and "[..] and [..]" belong to one phrase. */
static bool only_joins(const char *text, size_t from, size_t to)
{
    struct words w = trim((struct words){text, from, to});
    if (w.start < w.end && text[w.start] == ',')
        w.start++;
    w = trim(w);
    size_t len = w.end - w.start;
    return len == 0 || (len == 3 && strncasecmp(text + w.start, "and", 3) == 0);
}

/* ---- collecting ----------------------------------------------------------------------------------------------------
 */

struct tokens {
    const float *logprob;
    const size_t *end;
    const bool *is_digit;
    int n;
};

static double box_score(const struct grounded_box *b, const struct tokens *t)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < t->n; i++)
        if (t->is_digit[i] && t->end[i] > b->start && t->end[i] <= b->end) {
            sum += (double)t->logprob[i];
            n++;
        }
    return n ? exp(sum / n) : -1;
}

static enum status add_box(struct entity *e, const struct grounded_box *b)
{
    struct grounded_box *grown = realloc(e->boxes, ((size_t)e->n_boxes + 1) * sizeof *grown);
    if (!grown)
        return ST_NOMEM;
    e->boxes = grown;
    e->boxes[e->n_boxes++] = *b;
    return ST_OK;
}

static enum status add_entity(struct entities *out, struct words phrase)
{
    struct entity *grown = realloc(out->list, ((size_t)out->n + 1) * sizeof *grown);
    if (!grown)
        return ST_NOMEM;
    out->list = grown;
    char *copy = strndup(phrase.text + phrase.start, phrase.end - phrase.start);
    if (!copy)
        return ST_NOMEM;
    out->list[out->n++] = (struct entity){.start = phrase.start, .end = phrase.end, .phrase = copy};
    return ST_OK;
}

static enum status collect(const char *text, int width, int height, const struct tokens *t, struct entities *out)
{
    size_t behind = 0; /* end of the last box */
    for (const char *open = strchr(text, '['); open; open = strchr(open, '[')) {
        double values[4];
        int n;
        const char *end = read_brackets(open, values, &n);
        if (!end) {
            open++;
            continue;
        }
        struct grounded_box b = {.start = (size_t)(open - text), .end = (size_t)(end - text)};
        place_box(&b, values, n, width, height);
        b.score = box_score(&b, t);
        enum status s = ST_OK;
        if (out->n == 0 || !only_joins(text, behind, b.start))
            s = add_entity(out, phrase_before(text, behind, b.start));
        if (s == ST_OK)
            s = add_box(&out->list[out->n - 1], &b);
        if (s != ST_OK)
            return s;
        behind = b.end;
        open = end;
    }
    return ST_OK;
}

enum status grounding_parse(const char *text, int width, int height, const float *logprob, const size_t *token_end,
                            const bool *is_digit, int n_tokens, struct entities *out)
{
    const struct tokens tokens = {logprob, token_end, is_digit, n_tokens};
    struct entities found = {0};
    enum status s = collect(text, width, height, &tokens, &found);
    if (s != ST_OK) {
        entities_fini(&found);
        return s;
    }
    *out = found;
    return ST_OK;
}

void entities_fini(struct entities *e)
{
    for (int i = 0; i < e->n; i++) {
        free(e->list[i].phrase);
        free(e->list[i].boxes);
    }
    free(e->list);
    *e = (struct entities){0};
}
