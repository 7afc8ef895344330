#include "protocol/script_pick.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char LOCAL[] = "local ", FUNCTION[] = "function ";

/* A statement of the common part. Only those behind it and the script see its names. */
struct piece {
    const char *at;
    size_t len;
    bool used;
};
enum { PIECES_MOST = 128 };
struct pieces {
    struct piece items[PIECES_MOST];
    size_t n;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Comments go: they name functions too. No string of ours has two dashes. Returns how long the text is then. */
static size_t drop_comments(char *text)
{
    size_t len = 0;
    for (const char *at = text; *at;) {
        if (at[0] == '-' && at[1] == '-')
            at += strcspn(at, "\n");
        else
            text[len++] = *at++;
    }
    text[len] = '\0';
    return len;
}

static bool has_word(const char *text, size_t len, const char *word, size_t word_len)
{
    const char *end = text + len;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), word, word_len)); at++)
        if ((at == text || !is_word(at[-1])) && (at + word_len == end || !is_word(at[word_len])))
            return true;
    return false;
}

/* From each "local " at the beginning of a line to the next one. False: too many. */
static bool split(const char *text, size_t len, struct pieces *p)
{
    const char *at = strstr(text, LOCAL);
    while (at) {
        const char *next = strstr(at, "\nlocal ");
        next = next ? next + 1 : NULL;
        if (p->n == PIECES_MOST)
            return false;
        p->items[p->n++] = (struct piece){.at = at, .len = (size_t)((next ? next : text + len) - at)};
        at = next;
    }
    return true;
}

/* The next name that a piece gives, from *at on; 0: none is left. */
static size_t next_name(const struct piece *p, const char **at)
{
    const char *from = *at ? *at : p->at + strlen(LOCAL);
    bool is_function = strncmp(p->at + strlen(LOCAL), FUNCTION, strlen(FUNCTION)) == 0;
    if (!*at && is_function)
        from += strlen(FUNCTION);
    else if (*at && is_function)
        return 0;
    from += strspn(from, ", ");
    size_t len = 0;
    while (is_word(from[len]))
        len++;
    *at = from;
    return len;
}

static bool is_named_in(const struct piece *p, const char *text, size_t len)
{
    const char *name = NULL;
    for (size_t n = next_name(p, &name); n > 0; name += n, n = next_name(p, &name))
        if (has_word(text, len, name, n))
            return true;
    return false;
}

/* From the last one to the first, since a piece is seen by those behind it only. Returns how long all are together. */
static size_t mark_used(struct pieces *p, const char *own, size_t own_len)
{
    size_t total = 0;
    for (size_t i = p->n; i-- > 0;) {
        struct piece *one = &p->items[i];
        one->used = is_named_in(one, own, own_len);
        for (size_t k = i + 1; k < p->n && !one->used; k++)
            one->used = p->items[k].used && is_named_in(one, p->items[k].at, p->items[k].len);
        total += one->used ? one->len : 0;
    }
    return total;
}

enum status script_pick(const char *common, size_t common_len, const char *own, size_t own_len, char **out,
                        size_t *out_len)
{
    char *text = strndup(common, common_len), *bare = strndup(own, own_len), *all = NULL;
    struct pieces *p = calloc(1, sizeof *p);
    if (text && bare && p && split(text, drop_comments(text), p)) {
        size_t len = mark_used(p, bare, drop_comments(bare));
        all = malloc(len + own_len);
    }
    size_t at = 0;
    for (size_t i = 0; all && i < p->n; i++)
        if (p->items[i].used) {
            memcpy(all + at, p->items[i].at, p->items[i].len);
            at += p->items[i].len;
        }
    if (all) {
        memcpy(all + at, own, own_len);
        *out = all;
        *out_len = at + own_len;
    }
    free(text);
    free(bare);
    free(p);
    return all ? ST_OK : ST_NOMEM;
}
