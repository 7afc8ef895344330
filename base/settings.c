#include "base/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/program.h"
#include "base/settings_impl.h"
#include "base/version.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

const char *settings_keep(struct settings *s, const char *text)
{
    if (s->n_strings == s->strings_room) {
        int room = s->strings_room ? 2 * s->strings_room : 16;
        char **strings = realloc(s->strings, (size_t)room * sizeof *strings);
        if (!strings)
            return NULL;
        s->strings = strings;
        s->strings_room = room;
    }
    char *copy = strdup(text);
    if (copy)
        s->strings[s->n_strings++] = copy;
    return copy;
}

void settings_variable(const char *name, char out[64])
{
    int n = snprintf(out, 64, "FERRET_%s", name);
    for (int i = 0; i < n && i < 63; i++) {
        if (out[i] == '-')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
    }
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_slots; i++)
        free(s->slots[i].items);
    for (int i = 0; i < s->n_strings; i++)
        free(s->strings[i]);
    free(s->slots);
    free(s->strings);
    free(s->args);
    free(s->text);
    free(s);
}

static struct settings *settings_new(const struct settings_program *p, void *target)
{
    struct settings *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->program = p;
    for (int g = 0; g < p->n_groups; g++)
        s->n_slots += p->groups[g].n_rows;
    s->slots = calloc((size_t)s->n_slots + 1, sizeof *s->slots);
    if (!s->slots) {
        s->n_slots = 0;
        settings_free(s);
        return NULL;
    }
    struct slot *slot = s->slots;
    for (int g = 0; g < p->n_groups; g++) {
        for (int i = 0; i < p->groups[g].n_rows; i++, slot++) {
            slot->row = &p->groups[g].rows[i];
            slot->field = (char *)target + p->groups[g].at + slot->row->offset;
        }
    }
    return s;
}

/* ---- the four sources, weakest first ---------------------------------------------------------------------------- */

static enum status read_defaults(struct settings *s, struct diag *why)
{
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->row->fallback)
            continue;
        enum status status = settings_set(s, slot, slot->row->fallback, SOURCE_DEFAULT, slot->row->name, why);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static struct slot *find_slot(struct settings *s, const char *name, size_t len)
{
    for (int i = 0; i < s->n_slots; i++) {
        if (strlen(s->slots[i].row->name) == len && memcmp(s->slots[i].row->name, name, len) == 0)
            return &s->slots[i];
    }
    return NULL;
}

static enum status set_from_json(struct settings *s, struct slot *slot, const struct json *value, enum source source,
                                 const char *where, struct diag *why)
{
    switch (jsn_kind(value)) {
    case JSON_KIND_STRING: return settings_set(s, slot, jsn_string(value, ""), source, where, why);
    case JSON_KIND_INT:
    case JSON_KIND_REAL:
    case JSON_KIND_BOOL: {
        char *text = jsn_text(value);
        enum status status = text ? settings_set(s, slot, text, source, where, why) : ST_NOMEM;
        free(text);
        return status;
    }
    case JSON_KIND_ARRAY: {
        if (slot->row->type != SETTING_LIST)
            break;
        for (size_t i = 0; i < jsn_size(value); i++) {
            const char *item = jsn_string(jsn_at(value, i), NULL);
            if (!item)
                return diag_set(why, ST_INVALID, "%s: expected an array of strings", where);
            enum status status = settings_set(s, slot, item, source, where, why);
            if (status != ST_OK)
                return status;
        }
        return ST_OK;
    }
    case JSON_KIND_NULL:
    case JSON_KIND_OBJECT: break;
    }
    return diag_set(why, ST_INVALID, "%s: expected a %s", where,
                    slot->row->type == SETTING_LIST ? "string or an array of strings" : "single value");
}

struct file_reading {
    struct settings *settings;
    struct diag *why;
    enum status status;
};

static bool read_member(void *ctx, const char *key, const struct json *value)
{
    struct file_reading *r = ctx;
    char where[512];
    snprintf(where, sizeof where, "%s: key %s", r->settings->config_path, key);
    struct slot *slot = find_slot(r->settings, key, strlen(key));
    if (!slot)
        r->status = diag_set(r->why, ST_INVALID, "%s: no such setting of %s", where, r->settings->program->name);
    else
        r->status = set_from_json(r->settings, slot, value, SOURCE_FILE, where, r->why);
    return r->status == ST_OK;
}

static enum status read_file(struct settings *s, struct diag *why)
{
    struct json *root = NULL;
    enum status status = jsn_load(s->config_path, CONFIG_MAX_BYTES, &root, why);
    if (status != ST_OK)
        return status;
    struct file_reading r = {.settings = s, .why = why, .status = ST_OK};
    if (jsn_kind(root) != JSON_KIND_OBJECT)
        r.status = diag_set(why, ST_FORMAT, "%s: expected a JSON object of settings", s->config_path);
    jsn_each(root, read_member, &r);
    jsn_free(root);
    return r.status;
}

/* An empty variable counts as absent, which is how a shell unsets one for a single command. */
static const char *variable_value(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

const char *settings_variable_of_others(const char *name)
{
    return variable_value(name);
}

static enum status read_environment(struct settings *s, struct diag *why)
{
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        char variable[64];
        settings_variable(slot->row->name, variable);
        const char *value = variable_value(variable);
        if (!value)
            continue;
        enum status status;
        if (slot->row->type == SETTING_LIST && value[0] == '[') {
            struct json *root = NULL;
            status = jsn_parse(value, strlen(value), variable, &root, why);
            if (status == ST_OK)
                status = set_from_json(s, slot, root, SOURCE_ENVIRONMENT, variable, why);
            jsn_free(root);
        } else {
            status = settings_set(s, slot, value, SOURCE_ENVIRONMENT, variable, why);
        }
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

/* ---- the command line ------------------------------------------------------------------------------------------- */

/* A command line is walked twice: once for --config and the flags that replace running, since the file must be read
 * before flags are, and once for the flags themselves. */
struct walk {
    struct settings *settings;
    int argc;
    char *const *argv;
    int at;
    bool apply;
    bool help, version, print_config, print_flags;
    struct diag *why;
};

static enum status add_arg(struct settings *s, const char *arg)
{
    if (s->n_args + 1 >= s->args_room) {
        int room = s->args_room ? 2 * s->args_room : 16;
        const char **args = realloc(s->args, (size_t)room * sizeof *args);
        if (!args)
            return ST_NOMEM;
        s->args = args;
        s->args_room = room;
    }
    const char *kept = settings_keep(s, arg);
    if (!kept)
        return ST_NOMEM;
    s->args[s->n_args++] = kept;
    s->args[s->n_args] = NULL;
    return ST_OK;
}

static enum status apply_flag(struct walk *w, struct slot *slot, const char *shown, const char *value)
{
    const struct setting *row = slot->row;
    if (row->secret) {
        char variable[64];
        settings_variable(row->name, variable);
        return diag_set(w->why, ST_INVALID, "%s: a secret is not taken from the command line; set %s or use --config",
                        shown, variable);
    }
    if (!value && row->type == SETTING_BOOL)
        value = "true";
    if (!value && w->at + 1 >= w->argc)
        return diag_set(w->why, ST_INVALID, "%s: expected a value behind it", shown);
    if (!value)
        value = w->argv[++w->at];
    return w->apply ? settings_set(w->settings, slot, value, SOURCE_FLAG, shown, w->why) : ST_OK;
}

static bool special_flag(struct walk *w, const char *name, size_t len)
{
    bool help = len == 4 && memcmp(name, "help", 4) == 0;
    bool version = len == 7 && memcmp(name, "version", 7) == 0;
    bool print = len == 12 && memcmp(name, "print-config", 12) == 0;
    bool flags = len == 11 && memcmp(name, "print-flags", 11) == 0;
    w->help |= help;
    w->version |= version;
    w->print_config |= print;
    w->print_flags |= flags;
    return help || version || print || flags;
}

static enum status long_flag(struct walk *w, const char *arg)
{
    const char *name = arg + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const char *value = equals ? equals + 1 : NULL;
    if (special_flag(w, name, len))
        return value ? diag_set(w->why, ST_INVALID, "%s: takes no value", arg) : ST_OK;
    if (len == 6 && memcmp(name, "config", 6) == 0) {
        if (!value && w->at + 1 >= w->argc)
            return diag_set(w->why, ST_INVALID, "--config: expected a file behind it");
        value = value ? value : w->argv[++w->at];
        if (!w->apply)
            w->settings->config_path = settings_keep(w->settings, value);
        return w->settings->config_path ? ST_OK : ST_NOMEM;
    }
    struct slot *slot = find_slot(w->settings, name, len);
    if (!slot)
        return diag_set(w->why, ST_INVALID, "--%.*s: no such flag of %s", (int)len, name, w->settings->program->name);
    char shown[80];
    snprintf(shown, sizeof shown, "--%s", slot->row->name);
    return apply_flag(w, slot, shown, value);
}

static enum status short_flag(struct walk *w, const char *arg)
{
    if (strcmp(arg, "-h") == 0) {
        w->help = true;
        return ST_OK;
    }
    for (int i = 0; i < w->settings->n_slots; i++) {
        struct slot *slot = &w->settings->slots[i];
        if (!slot->row->letter || slot->row->letter != arg[1])
            continue;
        char shown[3] = {'-', arg[1], 0};
        return apply_flag(w, slot, shown, arg[2] ? arg + 2 : NULL);
    }
    return diag_set(w->why, ST_INVALID, "%s: no such flag of %s", arg, w->settings->program->name);
}

static enum status walk_flags(struct walk *w)
{
    bool flags_end = false;
    for (w->at = 1; w->at < w->argc; w->at++) {
        const char *arg = w->argv[w->at];
        enum status status = ST_OK;
        if (!flags_end && strcmp(arg, "--") == 0)
            flags_end = true;
        else if (!flags_end && arg[0] == '-' && arg[1] == '-')
            status = long_flag(w, arg);
        else if (!flags_end && arg[0] == '-' && arg[1])
            status = short_flag(w, arg);
        else if (w->apply)
            status = add_arg(w->settings, arg);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status check_args(const struct settings *s, struct diag *why)
{
    const struct settings_program *p = s->program;
    if (s->n_args < p->min_args)
        return diag_set(why, ST_INVALID, "expected %s", p->args);
    if (p->max_args >= 0 && s->n_args > p->max_args)
        return diag_set(why, ST_INVALID, "\"%s\": one argument too many, expected %s", s->args[p->max_args],
                        *p->args ? p->args : "flags only");
    return ST_OK;
}

static enum status read_all(struct settings *s, struct walk *w, struct diag *why)
{
    enum status status = walk_flags(w);
    if (status != ST_OK)
        return status;
    if (w->help || w->print_flags || w->version) {
        if (w->help || w->print_flags)
            s->text = w->help ? settings_help_text(s) : settings_flags_text(s);
        else if (asprintf(&s->text, "%s %s\n", s->program->name, FERRETRY_VERSION) < 0)
            s->text = NULL;
        return s->text ? ST_OK : ST_NOMEM;
    }
    const char *config = variable_value("FERRET_CONFIG");
    if (!s->config_path && config && !(s->config_path = settings_keep(s, config)))
        return ST_NOMEM;
    if ((status = read_defaults(s, why)) != ST_OK)
        return status;
    if (s->config_path && (status = read_file(s, why)) != ST_OK)
        return status;
    if ((status = read_environment(s, why)) != ST_OK)
        return status;
    w->apply = true;
    if ((status = walk_flags(w)) != ST_OK)
        return status;
    if (w->print_config) {
        s->text = settings_config_text(s);
        return s->text ? ST_OK : ST_NOMEM;
    }
    return check_args(s, why);
}

enum status settings_read(const struct settings_program *p, int argc, char *const *argv, void *target,
                          struct settings **out, struct diag *why)
{
    struct settings *s = settings_new(p, target);
    if (!s)
        return ST_NOMEM;
    struct walk w = {.settings = s, .argc = argc, .argv = argv, .why = why};
    enum status status = read_all(s, &w, why);
    if (status != ST_OK) {
        settings_free(s);
        return status;
    }
    *out = s;
    return ST_OK;
}

/* ---- what a program asks ---------------------------------------------------------------------------------------- */

int settings_n_args(const struct settings *s)
{
    return s->n_args;
}

const char *const *settings_args(const struct settings *s)
{
    return s->args;
}

const char *settings_arg(const struct settings *s, int i)
{
    return i < s->n_args ? s->args[i] : NULL;
}

const char *settings_text(const struct settings *s)
{
    return s->text;
}

bool settings_start(const struct settings_program *p, int argc, char *const *argv, void *target, struct settings **out,
                    int *exit_code)
{
    struct diag why = {{0}};
    struct settings *s = NULL;
    enum status status = settings_read(p, argc, argv, target, &s, &why);
    if (status != ST_OK) {
        fprintf(stderr, "%s: %s\n(%s --help lists flags and examples)\n", p->name,
                why.text[0] ? why.text : status_word(status), p->name);
        *exit_code = EXIT_USAGE;
        return false;
    }
    if (s->text) {
        fputs(s->text, stdout);
        settings_free(s);
        *exit_code = EXIT_OK;
        return false;
    }
    *out = s;
    return true;
}
