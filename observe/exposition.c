#include "observe/exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct exposition *e, size_t n)
{
    enum { FIRST = 4096 };
    if (e->failed || e->cap - e->len > n)
        return !e->failed;
    size_t cap = e->cap ? e->cap : FIRST;
    while (cap - e->len <= n)
        cap *= 2;
    char *text = realloc(e->text, cap);
    if (!text) {
        e->failed = true;
        return false;
    }
    e->text = text;
    e->cap = cap;
    return true;
}

static void put(struct exposition *e, const char *bytes, size_t n)
{
    if (!make_room(e, n))
        return;
    memcpy(e->text + e->len, bytes, n);
    e->len += n;
    e->text[e->len] = '\0';
}

static void put_text(struct exposition *e, const char *text)
{
    put(e, text, strlen(text));
}

/* Backslash and line feed are escaped everywhere, quotes in labels only. */
static void put_escaped(struct exposition *e, const char *text, bool in_label)
{
    for (; *text; text++) {
        if (*text == '\n') {
            put_text(e, "\\n");
            continue;
        }
        if (*text == '\\' || (*text == '"' && in_label))
            put_text(e, "\\");
        put(e, text, 1);
    }
}

void exposition_family(struct exposition *e, enum metric_kind kind, const char *name, const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    put_text(e, "# HELP ");
    put_text(e, name);
    put_text(e, " ");
    put_escaped(e, help, false);
    put_text(e, "\n# TYPE ");
    put_text(e, name);
    put_text(e, " ");
    put_text(e, kinds[kind]);
    put_text(e, "\n");
}

static void put_number(struct exposition *e, double value)
{
    enum { NUMBER_BYTES = 40 };
    char text[NUMBER_BYTES];
    if (isinf(value))
        snprintf(text, sizeof text, value > 0 ? "+Inf" : "-Inf");
    else
        snprintf(text, sizeof text, "%.15g", value);
    put_text(e, text);
}

void exposition_sample(struct exposition *e, const char *name, const char *suffix,
                       const struct exposition_label *labels, int n_labels, double value)
{
    put_text(e, name);
    put_text(e, suffix);
    for (int i = 0; i < n_labels; i++) {
        put_text(e, i == 0 ? "{" : ",");
        put_text(e, labels[i].name);
        put_text(e, "=\"");
        put_escaped(e, labels[i].value, true);
        put_text(e, i == n_labels - 1 ? "\"}" : "\"");
    }
    put_text(e, " ");
    put_number(e, value);
    put_text(e, "\n");
}
