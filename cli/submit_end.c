#include "cli/submit_end.h"

#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"

static enum status print(const struct submit_end *e, const struct submit_counts *c, uint64_t lost)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"accepted", c->accepted},
                   {"duplicates", c->duplicate},
                   {"finished", c->finished},
                   {"local", c->local},
                   {"lost", lost},
                   {"rejected", e->rejected}};
    struct json *o = jsn_new_object();
    enum status s = jsn_put(o, "campaign", jsn_new_string(e->campaign));
    for (size_t i = 0; s == ST_OK && i < sizeof numbers / sizeof *numbers; i++)
        s = jsn_put(o, numbers[i].name, jsn_new_int((int64_t)numbers[i].value));
    return print_object(o, s);
}

enum status submit_end_tell(const struct submit_end *e, struct client *client, uint64_t *lost, struct diag *why)
{
    struct submit_counts c = client_submit_counts(client);
    struct campaign_status now;
    enum status s = client_status(client, e->campaign, &now, why);
    if (s != ST_OK)
        return s;
    bool all_there = now.stopped[0] != 's'; /* "shard-away": its jobs are not in the counters */
    uint64_t want = e->total_before + c.accepted;
    *lost = all_there && now.total < want ? want - now.total : 0;
    if (*lost > 0)
        fprintf(
            stderr,
            "ferret submit: Redis lost %llu accepted jobs (a replica took over that had not heard of them); the same "
            "command hands them in again\n",
            (unsigned long long)*lost);
    if (c.local > 0 && c.local < c.accepted)
        fprintf(stderr, "ferret submit: %llu of %llu jobs were on no replica yet when they were accepted\n",
                (unsigned long long)c.local, (unsigned long long)c.accepted);
    return e->json ? print(e, &c, *lost) : ST_OK;
}
