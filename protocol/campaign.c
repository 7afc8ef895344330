#include "protocol/campaign.h"

#include <stddef.h>
#include <string.h>

const char *campaign_state_name(enum campaign_state s)
{
    static const char *const names[] = {"active", "paused", "cancelled", "purged"};
    return names[s];
}

bool campaign_is_finished(const struct campaign_status *c)
{
    return c->total > 0 && c->ready == 0 && c->running == 0 && c->delayed == 0;
}

const char *campaign_stopped_text(const struct campaign_status *c)
{
    static const struct {
        const char *word, *text;
    } all[] = {
        {"no-worker", "no worker has its model and precision"},
        {"memory", "Redis is nearly full: nothing is handed out until results leave it (ferret export --follow)"},
        {"results", "results fill their share of Redis: nothing is handed out until they leave it "
                    "(ferret export --follow)"},
        {"failures", "too many images failed (ferret resume goes on)"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(c->stopped, all[i].word) == 0)
            return all[i].text;
    return c->stopped;
}
