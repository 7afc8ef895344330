#include "protocol/campaign.h"

const char *campaign_state_name(enum campaign_state s)
{
    static const char *const names[] = {"active", "paused", "cancelled"};
    return names[s];
}

bool campaign_is_finished(const struct campaign_status *c)
{
    return c->total > 0 && c->ready == 0 && c->running == 0 && c->delayed == 0;
}
