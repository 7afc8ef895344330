/* What --help, --print-flags and --print-config print, made from the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/settings_impl.h"
#include "base/uri.h"

enum { HELP_COLUMN = 30 };

static const char *value_word(const struct setting *row)
{
    if (row->type == SETTING_CHOICE)
        return row->choices;
    if (row->value)
        return row->value;
    switch (row->type) {
    case SETTING_INT: return "N";
    case SETTING_FLOAT: return "X";
    case SETTING_BYTES: return "SIZE";
    case SETTING_SECONDS: return "SECONDS";
    case SETTING_MEMORY: return "SHARE|SIZE";
    case SETTING_COLOUR: return "RRGGBB";
    case SETTING_BOOL: return "";
    default: return "TEXT";
    }
}

static void help_row(FILE *out, const struct setting *row)
{
    char left[256];
    char letter[8] = "";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    const char *value = value_word(row);
    if (row->secret) { /* no flag: a file or a variable */
        char variable[64];
        settings_variable(row->name, variable);
        snprintf(left, sizeof left, "  %s", variable);
    } else {
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name, *value ? " " : "", value);
    }
    fprintf(out, "%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    fputs(row->help, out);
    if (row->type == SETTING_LIST)
        fputs(" (repeatable)", out);
    if (row->fallback)
        fprintf(out, " [%s]", row->fallback);
    fputc('\n', out);
}

char *settings_help_text(const struct settings *s)
{
    const struct settings_program *p = s->program;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "usage: %s [FLAGS]%s%s\n\n%s\n", p->name, *p->args ? " " : "", p->args, p->summary);
    for (int g = 0; g < p->n_groups; g++) {
        fprintf(out, "\n%s:\n", p->groups[g].title);
        for (int i = 0; i < p->groups[g].n_rows; i++)
            help_row(out, &p->groups[g].rows[i]);
    }
    fputs("\nsettings:\n"
          "  --config FILE               JSON object with flags as keys; FERRET_* variables win over it, flags over "
          "both\n"
          "  --print-config              print the settings in force, each with its source, and exit\n"
          "  --print-flags               print these flags for programs, a line each with tabs between, and exit\n"
          "  --version                   print the version and exit\n"
          "  -h, --help                  this text\n",
          out);
    if (p->examples && *p->examples)
        fprintf(out, "\nexamples:\n%s", p->examples);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Tabs and line ends separate, so none may stand in a field. */
static void print_field(FILE *out, const char *text, char after)
{
    for (; text && *text; text++)
        fputc(*text == '\t' || *text == '\n' ? ' ' : *text, out);
    fputc(after, out);
}

static void print_row(FILE *out, const struct setting *row)
{
    const char *kind = row->secret                   ? "secret"
                       : row->type == SETTING_BOOL   ? "switch"
                       : row->type == SETTING_CHOICE ? "choice"
                       : row->type == SETTING_LIST   ? "list"
                                                     : "value";
    char letter[2] = {row->letter, 0};
    fputs("flag\t", out);
    print_field(out, row->name, '\t');
    print_field(out, letter, '\t');
    print_field(out, kind, '\t');
    print_field(out, value_word(row), '\t');
    print_field(out, row->fallback, '\t');
    print_field(out, row->help, '\n');
}

char *settings_flags_text(const struct settings *s)
{
    const struct settings_program *p = s->program;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("program\t", out);
    print_field(out, p->name, '\t');
    print_field(out, p->args, '\t');
    print_field(out, p->summary, '\n');
    for (int g = 0; g < p->n_groups; g++) {
        fputs("group\t", out);
        print_field(out, p->groups[g].title, '\n');
        for (int i = 0; i < p->groups[g].n_rows; i++)
            print_row(out, &p->groups[g].rows[i]);
    }
    for (const char *line = p->examples; line && *line;) {
        int len = (int)strcspn(line, "\n");
        fprintf(out, "example\t%.*s\n", len, line);
        line += len + (line[len] == '\n');
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static struct json *choice_json(const struct setting *row, int index)
{
    const char *at = row->choices;
    for (int i = 0; i < index; i++)
        at = strchr(at, '|') + 1;
    return jsn_new_string_n(at, strcspn(at, "|"));
}

/* As it is; a list goes item by item. */
static struct json *value_json(const struct slot *slot)
{
    const void *f = slot->field;
    switch (slot->row->type) {
    case SETTING_STRING: {
        const char *text = *(const char *const *)f;
        return text ? jsn_new_string(text) : jsn_new_null();
    }
    case SETTING_INT:
    case SETTING_BYTES: return jsn_new_int(*(const int64_t *)f);
    case SETTING_FLOAT:
    case SETTING_SECONDS: return jsn_new_real(*(const double *)f);
    case SETTING_BOOL: return jsn_new_bool(*(const bool *)f);
    case SETTING_CHOICE: return choice_json(slot->row, *(const int *)f);
    case SETTING_LIST: return NULL;
    case SETTING_COLOUR: {
        const uint8_t *c = f;
        char text[8];
        snprintf(text, sizeof text, "%02x%02x%02x", c[0], c[1], c[2]);
        return jsn_new_string(text);
    }
    case SETTING_MEMORY: {
        const struct setting_memory *m = f;
        return m->share > 0 ? jsn_new_real(m->share) : m->bytes ? jsn_new_int(m->bytes) : jsn_new_null();
    }
    }
    return NULL;
}

/* An address without what may be a secret in it. */
static struct json *shown_string(const char *text)
{
    size_t size = strlen(text) + sizeof "..."; /* dots may stand for less than they take */
    char *shown = malloc(size);
    struct json *string = shown ? jsn_new_string(uri_shown(text, shown, size)) : NULL;
    free(shown);
    return string;
}

static struct json *shown_list(const struct setting_list *list)
{
    struct json *array = jsn_new_array();
    for (int i = 0; array && i < list->n; i++) {
        if (jsn_push(array, shown_string(list->items[i])) != ST_OK) {
            jsn_free(array);
            return NULL;
        }
    }
    return array;
}

/* For people, who pass it on. */
static struct json *shown_json(const struct slot *slot)
{
    const char *text = slot->row->type == SETTING_STRING ? *(const char *const *)slot->field : NULL;
    if (slot->row->type == SETTING_LIST)
        return shown_list(slot->field);
    return !text ? value_json(slot) : slot->row->secret ? jsn_new_string("***") : shown_string(text);
}

static struct json *source_json(const struct settings *s, const struct slot *slot)
{
    char text[320];
    char variable[64];
    settings_variable(slot->row->name, variable);
    switch (slot->source) {
    case SOURCE_DEFAULT: return jsn_new_string("default");
    case SOURCE_FILE: snprintf(text, sizeof text, "file %s", s->config_path); break;
    case SOURCE_ENVIRONMENT: snprintf(text, sizeof text, "%s", variable); break;
    case SOURCE_FLAG: snprintf(text, sizeof text, "--%s", slot->row->name); break;
    }
    return jsn_new_string(text);
}

char *settings_config_text(const struct settings *s)
{
    struct json *root = jsn_new_object();
    char *text = NULL;
    for (int i = 0; root && i < s->n_slots; i++) {
        const struct slot *slot = &s->slots[i];
        struct json *entry = jsn_new_object();
        enum status value = jsn_put(entry, "value", shown_json(slot));
        enum status source = jsn_put(entry, "source", source_json(s, slot));
        enum status put = jsn_put(root, slot->row->name, entry);
        if (value != ST_OK || source != ST_OK || put != ST_OK)
            goto done;
    }
    char *body = root ? jsn_text_indented(root, 2) : NULL;
    if (body && asprintf(&text, "%s\n", body) < 0)
        text = NULL;
    free(body);
done:
    jsn_free(root);
    return text;
}

/* ---- for another program -----------------------------------------------------------------------------------------
 */

struct flags {
    char **list;
    int n, room;
};

/* Takes ownership of value. */
static enum status add_flag(struct flags *f, const char *name, struct json *value)
{
    if (f->n == f->room) {
        int room = f->room ? 2 * f->room : 8;
        char **list = realloc(f->list, (size_t)room * sizeof *list);
        if (!list) {
            jsn_free(value);
            return ST_NOMEM;
        }
        f->list = list;
        f->room = room;
    }
    char *plain = value && jsn_kind(value) != JSON_KIND_STRING ? jsn_text(value) : NULL;
    const char *text = plain ? plain : jsn_string(value, NULL);
    bool ok = text && asprintf(&f->list[f->n], "--%s=%s", name, text) >= 0;
    f->n += ok;
    free(plain);
    jsn_free(value);
    return ok ? ST_OK : ST_NOMEM;
}

static enum status add_slot(struct flags *f, const struct slot *slot)
{
    enum status s = ST_OK;
    if (slot->row->type != SETTING_LIST)
        return add_flag(f, slot->row->name, value_json(slot));
    const struct setting_list *list = slot->field;
    for (int i = 0; s == ST_OK && i < list->n; i++)
        s = add_flag(f, slot->row->name, jsn_new_string(list->items[i]));
    return s;
}

enum status settings_flags(const struct settings *s, const struct setting_group *g, char ***out, int *n)
{
    struct flags f = {0};
    enum status status = ST_OK;
    for (int i = 0; status == ST_OK && i < s->n_slots; i++) {
        const struct slot *slot = &s->slots[i];
        bool of_group = slot->row >= g->rows && slot->row < g->rows + g->n_rows;
        if (of_group && slot->source != SOURCE_DEFAULT && !slot->row->secret)
            status = add_slot(&f, slot);
    }
    if (status != ST_OK) {
        settings_flags_free(f.list, f.n);
        return status;
    }
    *out = f.list;
    *n = f.n;
    return ST_OK;
}

void settings_flags_free(char **flags, int n)
{
    for (int i = 0; flags && i < n; i++)
        free(flags[i]);
    free(flags);
}
