#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

struct json *progress_json(const struct campaign_status *c)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"total", c->total},         {"done", c->done},       {"failed", c->failed},
                   {"ready", c->ready},         {"running", c->running}, {"delayed", c->delayed},
                   {"cancelled", c->cancelled}, {"workers", c->workers}};
    struct json *out = jsn_new_object();
    enum status s = jsn_put(out, "campaign", jsn_new_string(c->name));
    for (size_t i = 0; s == ST_OK && i < sizeof numbers / sizeof *numbers; i++)
        s = jsn_put(out, numbers[i].key, jsn_new_int((int64_t)numbers[i].value));
    if (s == ST_OK)
        s = jsn_put(out, "class", jsn_new_string(c->class_name));
    if (s == ST_OK)
        s = jsn_put(out, "state", jsn_new_string(campaign_state_name(c->state)));
    if (s == ST_OK)
        s = jsn_put(out, "completed", jsn_new_bool(c->completed));
    if (s == ST_OK && c->stopped[0])
        s = jsn_put(out, "stopped", jsn_new_string(c->stopped));
    if (s == ST_OK && c->labels[0])
        s = jsn_put(out, "labels", jsn_new_string(c->labels));
    if (s == ST_OK)
        return out;
    jsn_free(out);
    return NULL;
}

uint64_t progress_ended(const struct campaign_status *c)
{
    return c->done + c->failed + c->cancelled;
}

void rate_add(struct rate *r, int64_t now_ms, uint64_t ended)
{
    r->ms[r->next] = now_ms;
    r->ended[r->next] = ended;
    r->next = (r->next + 1) % RATE_SAMPLES;
    if (r->n < RATE_SAMPLES)
        r->n++;
}

double rate_value(const struct rate *r)
{
    if (r->n < 2)
        return -1;
    int newest = (r->next + RATE_SAMPLES - 1) % RATE_SAMPLES;
    int oldest = (r->next + RATE_SAMPLES - r->n) % RATE_SAMPLES;
    double seconds = (double)(r->ms[newest] - r->ms[oldest]) / 1000;
    return seconds > 0 ? (double)(r->ended[newest] - r->ended[oldest]) / seconds : -1;
}

bool wait_reason_is_news(struct wait_reason *last, const char *reason, int64_t now_ms)
{
    enum { AGAIN_MS = 60000 };
    if (!*reason || (strcmp(reason, last->text) == 0 && now_ms - last->told_ms < AGAIN_MS))
        return false;
    snprintf(last->text, sizeof last->text, "%s", reason);
    last->told_ms = now_ms;
    return true;
}

void duration_text(double seconds, char *out, size_t size)
{
    int64_t s = seconds < 0 ? 0 : seconds > 1e9 ? (int64_t)1e9 : (int64_t)seconds;
    if (s >= 3600)
        snprintf(out, size, "%lld h %02lld min", (long long)(s / 3600), (long long)(s / 60 % 60));
    else if (s >= 60)
        snprintf(out, size, "%lld min %02lld s", (long long)(s / 60), (long long)(s % 60));
    else
        snprintf(out, size, "%lld s", (long long)s);
}
