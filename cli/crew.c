#include "cli/crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"

void crew_class_text(const char *class_name, char out[CLASS_TEXT_BYTES])
{
    enum { HASH_SHOWN = 12 };
    int hash = (int)strcspn(class_name, "/");
    const char *dtype = class_name + hash;
    snprintf(out, CLASS_TEXT_BYTES, "model %.*s at %s", hash < HASH_SHOWN ? hash : HASH_SHOWN, class_name,
             *dtype ? dtype + 1 : "?");
}

static uint64_t unfinished(const struct campaign_status *c)
{
    return c->total - progress_ended(c);
}

bool crew_is_missing(const struct campaign_status *c)
{
    return c->workers == 0 && unfinished(c) > 0 && c->state != CAMPAIGN_CANCELLED;
}

size_t crew_lapsed(const struct worker_status *list, size_t n, const char *class_name)
{
    size_t lapsed = 0;
    for (size_t i = 0; i < n; i++)
        lapsed += list[i].lease_ms < 0 && strcmp(list[i].class_name, class_name) == 0;
    return lapsed;
}

enum status crew_tell_waiting(struct client *client, const char *class_name, struct diag *why)
{
    enum { NAMED = 5 };
    struct campaign_status *all = NULL;
    size_t n = 0, waiting = 0;
    char ours[CLASS_TEXT_BYTES], theirs[CLASS_TEXT_BYTES];
    enum status s = client_campaigns(client, &all, &n, why);
    if (s != ST_OK)
        return s;
    crew_class_text(class_name, ours);
    for (size_t i = 0; i < n; i++) {
        const struct campaign_status *c = &all[i];
        if (unfinished(c) == 0 || c->state == CAMPAIGN_CANCELLED || strcmp(c->class_name, class_name) == 0)
            continue;
        if (++waiting > NAMED)
            continue;
        crew_class_text(c->class_name, theirs);
        fprintf(stderr,
                "ferret up: campaign %s: its %llu unfinished images wait for %s, and these workers run %s: start "
                "`ferret up` with that --model and --dtype, or give them up with `ferret cancel %s`\n",
                c->name, (unsigned long long)unfinished(c), theirs, ours, c->name);
    }
    if (waiting > NAMED)
        fprintf(stderr, "ferret up: and %zu campaigns more; `ferret status` lists them\n", waiting - NAMED);
    free(all);
    return ST_OK;
}
