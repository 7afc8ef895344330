#include "model/prompt.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char image_mark[] = "<image>", region_mark[] = "<region_fea>";

/* Grows; after a failed growth everything else is ignored and text_take says so. */
struct text {
    char *bytes;
    size_t len, capacity;
    bool failed;
};

static void add_n(struct text *t, const char *s, size_t n)
{
    if (t->failed)
        return;
    if (t->len + n + 1 > t->capacity) {
        size_t capacity = 2 * (t->len + n + 1);
        char *bytes = realloc(t->bytes, capacity);
        if (!bytes) {
            t->failed = true;
            return;
        }
        t->bytes = bytes;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->len, s, n);
    t->len += n;
    t->bytes[t->len] = '\0';
}

static void add(struct text *t, const char *s)
{
    add_n(t, s, strlen(s));
}

/* Hands the text over when status is ST_OK; frees it otherwise. */
static enum status text_take(struct text *t, enum status status, char **out)
{
    add_n(t, "", 0);
    if (status == ST_OK && t->failed)
        status = ST_NOMEM;
    if (status == ST_OK)
        *out = t->bytes;
    else
        free(t->bytes);
    return status;
}

/* Appends s without image marks and the line ends behind them. Marks that appear as others go are taken out too. */
static void add_without_image_marks(struct text *t, const char *s)
{
    size_t begin = t->len, n = sizeof image_mark - 1;
    add(t, s);
    if (t->failed)
        return;
    char *at = t->bytes + begin;
    while ((at = strstr(at, image_mark))) {
        size_t gone = at[n] == '\n' ? n + 1 : n;
        memmove(at, at + gone, strlen(at + gone) + 1);
        t->len -= gone;
        ptrdiff_t back = at - (t->bytes + begin);
        at -= back < (ptrdiff_t)n ? back : (ptrdiff_t)n;
    }
}

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n\f\v")] == '\0';
}

enum status prompt_render(const struct template_config *t, const char *const *turns, int n_turns, char **out,
                          struct diag *why)
{
    if (n_turns < 1 || n_turns % 2 == 0)
        return diag_set(why, ST_INVALID, "conversation: %d turns; it must begin and end with the user's", n_turns);
    struct text text = {0};
    enum status s = ST_OK;
    add(&text, t->system);
    add(&text, t->separators[0]);
    for (int i = 0; i < n_turns && s == ST_OK; i++) {
        add(&text, t->roles[i % 2]);
        add(&text, ": ");
        if (i == 0) {
            add(&text, image_mark);
            add(&text, "\n");
        }
        size_t begin = text.len;
        add_without_image_marks(&text, turns[i]);
        if (!text.failed && is_blank(text.bytes + begin))
            s = diag_set(why, ST_INVALID, "conversation: turn %d is empty", i + 1);
        add(&text, t->separators[i % 2]);
    }
    add(&text, t->roles[1]);
    add(&text, ":");
    return text_take(&text, s, out);
}

/* "{region}" or "{region12}" at s: its length, or 0. *index: -1 without a number. */
static size_t placeholder(const char *s, int *index)
{
    static const char head[] = "{region";
    if (strncmp(s, head, sizeof head - 1) != 0)
        return 0;
    const char *p = s + sizeof head - 1;
    int n = -1;
    for (; isdigit((unsigned char)*p); p++) {
        int digit = *p - '0';
        n = n < 0 ? digit : n > (INT_MAX - digit) / 10 ? INT_MAX : n * 10 + digit;
    }
    *index = n;
    return *p == '}' ? (size_t)(p + 1 - s) : 0;
}

enum status prompt_place_regions(const char *text, const struct region *regions, int n_regions, int *next, char **out,
                                 int *order, int max_order, int *n_order, struct diag *why)
{
    struct text t = {0};
    enum status s = ST_OK;
    int upcoming = *next, n = 0;
    const char *from = text;
    for (const char *p = text; s == ST_OK && (p = strchr(p, '{'));) {
        int index = -1;
        size_t len = placeholder(p, &index);
        if (len == 0) {
            p++;
            continue;
        }
        if (index < 0)
            index = upcoming++;
        if (index >= n_regions) {
            s = diag_set(why, ST_INVALID, "text: %.*s names region %d of %d (they count from 0)", (int)len, p, index,
                         n_regions);
        } else if (n == max_order) {
            s = diag_set(why, ST_LIMIT, "text: more than %d mentions of regions", max_order);
        } else {
            char place[64];
            add_n(&t, from, (size_t)(p - from));
            add_n(&t, place, (size_t)region_text(&regions[index], place));
            add(&t, " ");
            add(&t, region_mark);
            order[n++] = index;
        }
        from = p += len;
    }
    add(&t, from);
    s = text_take(&t, s, out);
    if (s == ST_OK) {
        *next = upcoming;
        *n_order = n;
    }
    return s;
}

/* `text` with every `mark` replaced. */
static enum status fill(const char *text, const char *mark, const char *value, char **out)
{
    struct text t = {0};
    for (const char *p; (p = strstr(text, mark)); text = p + strlen(mark)) {
        add_n(&t, text, (size_t)(p - text));
        add(&t, value);
    }
    add(&t, text);
    return text_take(&t, ST_OK, out);
}

static enum status copy(const char *s, char **out)
{
    struct text t = {0};
    add(&t, s);
    return text_take(&t, ST_OK, out);
}

enum status prompt_caption(const struct task_texts *t, char **out)
{
    return copy(t->caption, out);
}

enum status prompt_describe(const struct task_texts *t, char **out)
{
    return copy(t->describe, out);
}

/* As in the training data: no commas inside a phrase; several phrases in lower case. */
static void add_phrase(struct text *t, const char *phrase, bool lower)
{
    for (const char *p = phrase; *p; p++) {
        char c = lower ? (char)tolower((unsigned char)*p) : *p;
        if (c != ',')
            add_n(t, &c, 1);
    }
}

enum status prompt_locate(const struct task_texts *t, const char *const *phrases, int n, char **out)
{
    if (n < 1)
        return ST_INVALID;
    struct text list = {0};
    for (int i = 0; i < n; i++) {
        if (i > 0)
            add(&list, ", ");
        add_phrase(&list, phrases[i], n > 1);
    }
    char *joined = NULL;
    enum status s = text_take(&list, ST_OK, &joined);
    if (s == ST_OK)
        s = fill(n > 1 ? t->locate_many : t->locate, n > 1 ? "{phrases}" : "{phrase}", joined, out);
    free(joined);
    return s;
}
