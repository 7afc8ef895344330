#include "formats/write/answer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- coordinates ------------------------------------------------------------------------------------------------ */

/* "[" two or four numbers "]", as the model writes points and boxes; the end, or NULL. */
static const char *skip_numbers(const char *s)
{
    enum { POINT = 2, BOX = 4 };
    int n = 0;
    for (s++; n <= BOX; n++) {
        s += strspn(s, ", \t\n");
        if (*s == ']')
            break;
        s += *s == '-' || *s == '+';
        size_t digits = strspn(s, "0123456789");
        if (digits == 0)
            return NULL;
        s += digits;
        if (*s == '.' && isdigit((unsigned char)s[1]))
            s += 1 + strspn(s + 1, "0123456789");
    }
    return *s == ']' && (n == POINT || n == BOX) ? s + 1 : NULL;
}

/* Behind the coordinates at s: one group, or several ("[..][..]", "[..], [..]"); s itself where there are none. */
static const char *skip_groups(const char *s)
{
    const char *end = *s == '[' ? skip_numbers(s) : NULL;
    if (!end)
        return s;
    for (;;) {
        const char *next = end + strspn(end, ", ");
        const char *after = *next == '[' ? skip_numbers(next) : NULL;
        if (!after)
            return end;
        end = after;
    }
}

/* ---- the plain text --------------------------------------------------------------------------------------------- */

struct plain {
    char *text;
    size_t n;
    size_t *at; /* place in the plain text of each byte of the answer, and of its end */
};

static bool make_plain(struct plain *p, const char *text)
{
    size_t len = strlen(text);
    p->text = malloc(len + 1);
    p->at = malloc((len + 1) * sizeof *p->at);
    if (!p->text || !p->at)
        return false;
    for (size_t i = 0; i < len;) {
        size_t blanks = strspn(text + i, " \t\n");
        const char *from = text + i + blanks, *behind = skip_groups(from);
        size_t skipped = behind > from ? (size_t)(behind - text) - i : 0; /* with the space in front */
        for (size_t k = 0; k < skipped; k++)
            p->at[i++] = p->n;
        if (skipped == 0) {
            p->at[i] = p->n;
            p->text[p->n++] = text[i] == '\n' || text[i] == '\t' || text[i] == '\r' ? ' ' : text[i];
            i++;
        }
    }
    p->at[len] = p->n;
    p->text[p->n] = '\0';
    return true;
}

static size_t count_characters(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static void add_phrase(struct answer *a, size_t from, size_t to, const struct json *entity)
{
    size_t behind = a->n ? a->phrases[a->n - 1].to : 0;
    while (from < to && a->text[from] == ' ')
        from++;
    while (to > from && a->text[to - 1] == ' ')
        to--;
    if (from >= to || from < behind)
        return;
    size_t before = count_characters(a->text, from);
    a->phrases[a->n++] = (struct answer_phrase){.from = from,
                                                .to = to,
                                                .character_from = before,
                                                .character_to = before + count_characters(a->text + from, to - from),
                                                .entity = entity};
}

static void map_phrases(struct answer *a, const struct plain *p, size_t len, const struct json *entities)
{
    for (size_t i = 0; i < jsn_size(entities); i++) {
        const struct json *span = jsn_get(jsn_at(entities, i), "span");
        int64_t from = jsn_int(jsn_at(span, 0), -1), to = jsn_int(jsn_at(span, 1), -1);
        if (from >= 0 && to > from && (size_t)to <= len)
            add_phrase(a, p->at[from], p->at[to], jsn_at(entities, i));
    }
}

const char *answer_entity_name(const struct json *task, size_t index)
{
    const struct json *entities = jsn_get(task, "entities"), *phrases = jsn_get(task, "phrases");
    const char *phrase = jsn_string(jsn_get(jsn_at(entities, index), "phrase"), "");
    if (*phrase || jsn_size(phrases) == 0)
        return phrase;
    bool paired = jsn_size(phrases) == jsn_size(entities);
    return paired || jsn_size(phrases) == 1 ? jsn_string(jsn_at(phrases, paired ? index : 0), "") : "";
}

/* "a dog, a ball": what was looked for and found. */
static enum status write_names(const struct json *task, struct answer *a)
{
    size_t len = 0, n = jsn_size(jsn_get(task, "entities"));
    FILE *out = open_memstream(&a->text, &len);
    if (!out)
        return ST_NOMEM;
    for (size_t i = 0, any = 0; i < n; i++) {
        const char *name = answer_entity_name(task, i);
        any += *name && any ? fputs(", ", out) >= 0 : *name != '\0';
        fputs(name, out);
    }
    if (fclose(out) != 0)
        return ST_NOMEM;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t name = strlen(answer_entity_name(task, i));
        if (name == 0)
            continue;
        at += at ? 2 : 0;
        add_phrase(a, at, at + name, jsn_at(jsn_get(task, "entities"), i));
        at += name;
    }
    return ST_OK;
}

enum status answer_read(const struct json *task, struct answer *out)
{
    struct plain p = {0};
    struct answer a = {0};
    const char *text = jsn_string(jsn_get(task, "text"), "");
    const struct json *entities = jsn_get(task, "entities");
    a.phrases = calloc(jsn_size(entities) + 1, sizeof *a.phrases);
    enum status s = a.phrases && make_plain(&p, text) ? ST_OK : ST_NOMEM;
    if (s == ST_OK) {
        a.text = p.text;
        p.text = NULL;
        map_phrases(&a, &p, strlen(text), entities);
    }
    if (s == ST_OK && a.n == 0 && jsn_size(entities) > 0 && jsn_size(jsn_get(task, "phrases")) > 0) {
        free(a.text);
        a.text = NULL;
        s = write_names(task, &a);
    }
    free(p.text);
    free(p.at);
    if (s != ST_OK) {
        answer_fini(&a);
        return s;
    }
    *out = a;
    return ST_OK;
}

void answer_fini(struct answer *a)
{
    free(a->text);
    free(a->phrases);
    *a = (struct answer){0};
}

/* ---- what it is about ------------------------------------------------------------------------------------------- */

static bool ends_noun(const char *word, size_t len)
{
    static const char *const words[] = {"of",   "with",  "in",  "on",      "at",      "to",     "from",  "near",
                                        "that", "which", "who", "wearing", "holding", "behind", "under", "over",
                                        "and",  "for",   "by",  "next",    "inside",  "beside"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], word, len) == 0)
            return true;
    return false;
}

void answer_head(const char *phrase, char *out, size_t size)
{
    static const char between[] = " \t\n\"'()[]{}<>.,;:!?";
    const char *head = phrase;
    size_t head_len = 0;
    for (const char *s = phrase + strspn(phrase, between); *s;) {
        size_t len = strcspn(s, between);
        if (head_len > 0 && ends_noun(s, len))
            break;
        head = s;
        head_len = len;
        s += len;
        s += strspn(s, between);
    }
    size_t n = 0;
    for (; n < head_len && n + 1 < size; n++)
        out[n] = (char)tolower((unsigned char)head[n]);
    while (n > 0 && n < head_len && ((unsigned char)head[n] & 0xC0) == 0x80) /* cut inside a character */
        n--;
    out[n] = '\0';
}
