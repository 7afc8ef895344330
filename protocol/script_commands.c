#include "protocol/script_commands.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char FUNCTION[] = "local function ", CALL[] = "call('";

/* A piece of a script. */
struct span {
    const char *at;
    size_t len;
};

/* A function of the common part, and whether the script comes by it. */
struct function {
    struct span name, body;
    bool used;
};
enum { FUNCTIONS_MOST = 128 };
struct functions {
    struct function items[FUNCTIONS_MOST];
    size_t n;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Comments become blanks: they name functions and commands too. No string of ours has two dashes. */
static void blank_comments(char *text)
{
    for (char *at = strstr(text, "--"); at; at = strstr(at, "--"))
        while (*at && *at != '\n')
            *at++ = ' ';
}

static struct span rest(struct span s, const char *from)
{
    return (struct span){from, s.len - (size_t)(from - s.at)};
}

static const char *find(struct span s, const char *what)
{
    return memmem(s.at, s.len, what, strlen(what));
}

static void find_functions(struct span text, struct functions *f)
{
    for (const char *at = find(text, FUNCTION); at && f->n < FUNCTIONS_MOST; at = find(text, FUNCTION)) {
        bool is_first = at == text.at || at[-1] == '\n';
        text = rest(text, at + strlen(FUNCTION));
        const char *end = find(text, "\nend\n");
        if (!is_first || !end)
            continue; /* inside another one, whose body has it */
        struct function *fn = &f->items[f->n++];
        fn->name = (struct span){text.at, 0};
        while (is_word(fn->name.at[fn->name.len]))
            fn->name.len++;
        fn->body = (struct span){text.at, (size_t)(end - text.at)};
    }
}

static bool names(struct span text, struct span word)
{
    for (const char *at = memmem(text.at, text.len, word.at, word.len); at;
         at = memmem(text.at, text.len, word.at, word.len)) {
        bool whole = (at == text.at || !is_word(at[-1])) && !is_word(at[word.len]);
        if (whole)
            return true;
        text = rest(text, at + 1);
    }
    return false;
}

/* Puts a command in its place; room was made for far more than there are. */
static void add(struct script_commands *c, const char *at, size_t len)
{
    char name[COMMAND_BYTES + 1];
    size_t to = 0;
    for (size_t i = 0; i < len; i++)
        name[i] = (char)tolower((unsigned char)at[i]);
    name[len] = '\0';
    while (to < c->n && strcmp(c->names[to], name) < 0)
        to++;
    if (c->n == COMMANDS_MOST || (to < c->n && strcmp(c->names[to], name) == 0))
        return;
    memmove(c->names[to + 1], c->names[to], (c->n - to) * sizeof *c->names);
    memcpy(c->names[to], name, len + 1);
    c->n++;
}

static void add_calls(struct script_commands *c, struct span text)
{
    for (const char *at = find(text, CALL); at; at = find(text, CALL)) {
        text = rest(text, at + strlen(CALL));
        size_t len = 0;
        while (isupper((unsigned char)text.at[len]) && len < COMMAND_BYTES)
            len++;
        if (len)
            add(c, text.at, len);
    }
}

/* Follows functions to functions; each body is looked at once. */
static void add_all(struct script_commands *c, struct functions *f, struct span text)
{
    add_calls(c, text);
    for (size_t i = 0; i < f->n; i++)
        if (!f->items[i].used && names(text, f->items[i].name)) {
            f->items[i].used = true;
            add_all(c, f, f->items[i].body);
        }
}

enum status script_commands_add(struct script_commands *c, enum script s)
{
    char *text;
    size_t len, common;
    struct functions *f = calloc(1, sizeof *f);
    if (!f || script_text(s, &text, &len) != ST_OK) {
        free(f);
        return ST_NOMEM;
    }
    char *copy = strndup(text, len);
    free(text);
    if (copy) {
        common = script_common_len(s);
        blank_comments(copy);
        find_functions((struct span){copy, common}, f);
        add_all(c, f, (struct span){copy + common, len - common});
    }
    free(copy);
    free(f);
    return copy ? ST_OK : ST_NOMEM;
}
