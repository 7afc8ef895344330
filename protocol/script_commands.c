#include "protocol/script_commands.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char CALL[] = "call('";

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

enum status script_commands_add(struct script_commands *c, enum script s)
{
    char *text;
    size_t len;
    enum status st = script_text(s, &text, &len);
    if (st != ST_OK)
        return st;
    const char *end = text + len;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), CALL, strlen(CALL)));) {
        size_t n = 0;
        at += strlen(CALL);
        while (at + n < end && isupper((unsigned char)at[n]) && n < COMMAND_BYTES)
            n++;
        if (n)
            add(c, at, n);
    }
    free(text);
    return ST_OK;
}
