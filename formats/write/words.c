#include "formats/write/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037U; /* FNV-1a */
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        h = (h ^ *s) * 1099511628211U;
    return h;
}

/* The slot that has the word, or the free one where it would go. */
static size_t slot_of(const struct words *w, const char *text)
{
    size_t at = hash(text) & (w->n_slots - 1);
    while (w->slots[at] != 0 && strcmp(w->list[w->slots[at] - 1].text, text) != 0)
        at = (at + 1) & (w->n_slots - 1);
    return at;
}

static enum status make_room(struct words *w)
{
    enum { FIRST = 64 };
    if (w->n < w->room)
        return ST_OK;
    size_t room = w->room ? 2 * w->room : FIRST;
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    struct word *list = slots ? realloc(w->list, room * sizeof *list) : NULL;
    if (!list) {
        free(slots);
        return ST_NOMEM;
    }
    free(w->slots);
    w->list = list;
    w->room = room;
    w->slots = slots;
    w->n_slots = 2 * room;
    for (size_t i = 0; i < w->n; i++)
        w->slots[slot_of(w, w->list[i].text)] = (uint32_t)i + 1;
    return ST_OK;
}

const struct word *words_find(const struct words *w, const char *text)
{
    uint32_t place = w->n_slots ? w->slots[slot_of(w, text)] : 0;
    return place ? &w->list[place - 1] : NULL;
}

enum status words_add(struct words *w, const char *text, int64_t number)
{
    if (words_find(w, text))
        return ST_INVALID;
    enum status s = make_room(w);
    char *copy = s == ST_OK ? strdup(text) : NULL;
    if (!copy)
        return ST_NOMEM;
    w->slots[slot_of(w, text)] = (uint32_t)w->n + 1;
    w->list[w->n++] = (struct word){copy, number};
    return ST_OK;
}

enum status words_number(struct words *w, const char *text, int64_t *out)
{
    const struct word *known = words_find(w, text);
    int64_t number = w->n ? w->list[w->n - 1].number + 1 : 1;
    if (known) {
        *out = known->number;
        return ST_OK;
    }
    enum status s = words_add(w, text, number);
    if (s == ST_OK)
        *out = number;
    return s;
}

enum status words_count(struct words *w, const char *text)
{
    const struct word *known = words_find(w, text);
    if (!known)
        return words_add(w, text, 1);
    w->list[known - w->list].number++;
    return ST_OK;
}

void words_fini(struct words *w)
{
    while (w->n)
        free(w->list[--w->n].text);
    free(w->list);
    free(w->slots);
    *w = (struct words){0};
}
