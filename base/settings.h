/* Settings of a program: one table gives its flags, FERRET_* variables, keys of --config FILE, ranges and --help.
 *
 * A row named "max-tokens" is the flag --max-tokens, the variable FERRET_MAX_TOKENS and the key "max-tokens" of the
 * JSON object in --config FILE. Later wins: default, file, environment, flag. Values land in a struct of the caller's
 * by offset. Rows come in groups, so that programs share them: a group's offsets count from its own struct, which
 * stands at `at` inside the program's. Every program also knows --config, --print-config, --print-flags, --help and
 * --version.
 *
 * Errors name where the value came from (flag, variable, key of which file), the value and what was expected. The
 * environment is read in settings.c and nowhere else. One thread. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum setting_type {                  /* type of the field */
                    SETTING_STRING,  /* const char *; NULL where unset */
                    SETTING_INT,     /* int64_t */
                    SETTING_FLOAT,   /* double */
                    SETTING_BOOL,    /* bool; the flag alone means true, --flag=false is allowed */
                    SETTING_BYTES,   /* int64_t; "64MiB", "2GB", "4096" */
                    SETTING_SECONDS, /* double; "90", "90s", "500ms", "15m", "2h", "7d" */
                    SETTING_MEMORY,  /* struct setting_memory; a share such as "0.9", or bytes */
                    SETTING_CHOICE,  /* int: place in `choices` */
                    SETTING_COLOUR,  /* uint8_t[3]; "RRGGBB" */
                    SETTING_LIST,    /* struct setting_list of strings: a repeatable flag; the file has a string or an
                                        array, a   variable one value or a JSON array */
};

struct setting_memory {
    double share;  /* (0, 1], or 0 where bytes are given */
    int64_t bytes; /* > 0, or 0 where a share is given; both 0: unset */
};
struct setting_list {
    const char *const *items;
    int n;
};

struct setting {
    const char *name; /* "max-tokens" */
    enum setting_type type;
    size_t offset;        /* of the field, in the group's struct */
    const char *fallback; /* the default, written as on the command line; NULL: 0, false, NULL, empty list */
    double min, max;      /* INT, FLOAT, BYTES, SECONDS, inclusive; both 0: any */
    const char *choices;  /* CHOICE: "auto|cpu|cuda" */
    const char *value;    /* how --help calls the value: "DIR" */
    const char *help;     /* one sentence, without a full stop */
    char letter;          /* short flag ("o" for -o), or 0 */
    bool secret;          /* shown as "***"; refused as a flag, since others can read command lines */
};
struct setting_group {
    const char *title; /* over its rows in --help */
    const struct setting *rows;
    int n_rows;
    size_t at; /* of the group's struct, in the program's */
};

struct settings_program {
    const char *name;       /* "ferret submit" */
    const char *args;       /* "PATH..." or "" */
    const char *summary;    /* what it does, a sentence or two */
    const char *examples;   /* whole lines, indented by two spaces */
    int min_args, max_args; /* positional arguments; max_args < 0: any number */
    const struct setting_group *groups;
    int n_groups;
};

/* Owns every string that the caller's struct points to, and the positional arguments. */
struct settings;

/* Reads argv[1..] and fills *target, which the caller has zeroed. ST_INVALID: a wrong flag, value or number of
 * arguments; ST_MISSING, ST_FORMAT...: the --config file. With --help, --version, --print-config or --print-flags in
 * argv the result is ST_OK and settings_text is what should be printed instead of running. The caller owns *out. */
MUST_CHECK enum status settings_read(const struct settings_program *p, int argc, char *const *argv, void *target,
                                     struct settings **out, struct diag *why);
void settings_free(struct settings *s); /* NULL is fine */
int settings_n_args(const struct settings *s);
const char *const *settings_args(const struct settings *s); /* all of them, borrowed */
const char *settings_arg(const struct settings *s, int i);  /* one of them, or NULL */
const char *settings_text(const struct settings *s);        /* NULL: run */

/* What file, variables and flags have set among these rows of the program, as flags "--name=value" for another program
 * that has the rows too; secrets stay out. *out: an array and its *n strings, all malloc'ed. */
MUST_CHECK enum status settings_flags(const struct settings *s, const struct setting_group *g, char ***out, int *n);
void settings_flags_free(char **flags, int n); /* NULL is fine */

/* A variable of a convention that is not ours (AWS_REGION, HOME), borrowed; NULL where it is absent or empty. */
const char *settings_variable_of_others(const char *name);

/* For main() only: settings_read, then prints settings_text on stdout, or the error and a hint on stderr. True: go on,
 * the caller owns *out. False: end with *exit_code (EXIT_OK or EXIT_USAGE). */
MUST_CHECK bool settings_start(const struct settings_program *p, int argc, char *const *argv, void *target,
                               struct settings **out, int *exit_code);

/* "20GiB", "512M", "4096" -> bytes. Units: K M G T with iB (1024), B (1000) or nothing (1024). */
MUST_CHECK enum status settings_parse_bytes(const char *text, int64_t *out);
/* "90", "90s", "500ms", "15m", "2h", "7d" -> seconds, from 0 on. */
MUST_CHECK enum status settings_parse_seconds(const char *text, double *out);

#endif
