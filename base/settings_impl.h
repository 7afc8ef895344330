/* What settings.c, settings_value.c and settings_text.c share. */
#ifndef BASE_SETTINGS_IMPL_H
#define BASE_SETTINGS_IMPL_H

#include "base/settings.h"

enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG }; /* later wins */

/* One row of the table while a program runs. */
struct slot {
    const struct setting *row;
    void *field; /* in the caller's struct */
    enum source source;
    const char **items; /* SETTING_LIST: what the field points to */
    int n_items, room;
};

struct settings {
    const struct settings_program *program;
    struct slot *slots;
    int n_slots;
    const char *config_path; /* of --config or FERRET_CONFIG, or NULL */
    char **strings;          /* every string that fields, lists and args point to */
    int n_strings, strings_room;
    const char **args; /* NULL-terminated */
    int n_args, args_room;
    char *text;
};

/* Keeps a copy of a string until settings_free; NULL when memory is short. */
const char *settings_keep(struct settings *s, const char *text);
/* "max-tokens" -> "FERRET_MAX_TOKENS". */
void settings_variable(const char *name, char out[64]);

/* Parses `text` into the slot's field. `where` names the place in *why: "--max-tokens", "FERRET_MAX_TOKENS",
 * "x.json: key max-tokens". A list takes one more item, or starts anew where `source` is stronger than what it holds.
 */
MUST_CHECK enum status settings_set(struct settings *s, struct slot *slot, const char *text, enum source source,
                                    const char *where, struct diag *why);

/* NULL when memory is short; malloc'ed. */
char *settings_help_text(const struct settings *s);
char *settings_config_text(const struct settings *s);
char *settings_flags_text(const struct settings *s);

#endif
