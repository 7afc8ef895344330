#include "cli/samples.h"

#include <stdlib.h>
#include <string.h>

enum status samples_init(struct samples *s, size_t most)
{
    *s = (struct samples){.list = calloc(most + 1, sizeof *s->list), .most = most};
    return s->list ? ST_OK : ST_NOMEM;
}

enum status samples_add(struct samples *s, const struct json *record)
{
    struct sample new = {.record = NULL};
    const char *id = jsn_string(jsn_get(record, "id"), "");
    sha256_of(id, strlen(id), new.key);
    size_t at = s->n;
    while (at > 0 && memcmp(s->list[at - 1].key, new.key, sizeof new.key) > 0)
        at--;
    if (at == s->most)
        return ST_OK;
    if (!(new.record = jsn_copy(record)))
        return ST_NOMEM;
    memmove(s->list + at + 1, s->list + at, (s->n - at) * sizeof *s->list);
    s->list[at] = new;
    if (s->n == s->most)
        jsn_free(s->list[s->n].record);
    else
        s->n++;
    return ST_OK;
}

void samples_fini(struct samples *s)
{
    while (s->n)
        jsn_free(s->list[--s->n].record);
    free(s->list);
    *s = (struct samples){.list = NULL};
}
