#include "protocol/campaign.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char *campaign_state_name(enum campaign_state s)
{
    static const char *const names[] = {"active", "paused", "cancelled", "purged"};
    return names[s];
}

uint64_t result_cursor_sum(const struct result_cursor *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < LIMIT_SHARDS; i++)
        sum += c->at[i];
    return sum;
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
        {"shard-away", "a shard of the queue is away; counters are those of the others"},
        {"failures", "too many images failed (ferret resume goes on)"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(c->stopped, all[i].word) == 0)
            return all[i].text;
    return c->stopped;
}

bool worker_said_is_sound(const char *said, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((said[i] < '0' || said[i] > '9') && said[i] != '|')
            return false;
    return len <= SAID_BYTES;
}

bool worker_said_read(const char *said, struct worker_said *out)
{
    struct worker_said w;
    int64_t *numbers[] = {&w.images, &w.failed, &w.images_per_1000s, &w.tokens_per_s, &w.fetch, &w.decode, &w.engine};
    const char *at = said;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char *end;
        *numbers[i] = strtoll(at, &end, 10);
        if (end == at || *end != (i + 1 < sizeof numbers / sizeof *numbers ? '|' : '\0'))
            return false;
        at = end + 1;
    }
    *out = w;
    return true;
}
