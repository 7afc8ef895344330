#include "broker/meters.h"

#include <stdlib.h>

#include "broker/dispatch_impl.h"
#include "protocol/message.h"

/* Calls whose time is told apart; the rest are "other". */
static const enum script timed[] = {SCRIPT_SUBMIT, SCRIPT_CLAIM, SCRIPT_FINISH, SCRIPT_HEARTBEAT, SCRIPT_RESULTS};
enum { TIMED = sizeof timed / sizeof *timed };

struct meters {
    struct metric *received[MESSAGE_KIND_END_], *sent[MESSAGE_KIND_END_], *unreadable;
    struct metric *calls[TIMED + 1];
    struct metric *redis_up, *sessions, *held_bytes, *accepted, *handed_out;
    struct {
        int64_t since_us;
        int timed;
    } on_the_way[MAX_CALLS]; /* by the row in the tag */
};

static struct metric *make(struct metrics *m, enum metric_kind kind, const char *name, const char *help,
                           const char *label, const char *value)
{
    struct metric_info info = {.kind = kind, .name = name, .help = help, .label = label, .value = value};
    if (kind == METRIC_HISTOGRAM) {
        info.unit = UNIT_SECONDS;
        info.bounds = metric_time_bounds;
        info.n_bounds = METRIC_TIME_BOUNDS;
    }
    return metrics_make(m, &info);
}

static void make_all(struct meters *t, struct metrics *m)
{
    static const char redis[] = "Time from a script's call until Redis' answer.";
    for (int k = 0; k < MESSAGE_KIND_END_; k++) {
        const char *kind = message_kind_name((enum message_kind)k);
        if (kind[0] == '?')
            continue;
        t->received[k] =
            make(m, METRIC_COUNTER, "ferretry_broker_received_total", "Messages that came, by kind.", "kind", kind);
        t->sent[k] =
            make(m, METRIC_COUNTER, "ferretry_broker_sent_total", "Messages that went, by kind.", "kind", kind);
    }
    t->unreadable = make(m, METRIC_COUNTER, "ferretry_broker_unreadable_total",
                         "Frames that came and are no message of this protocol.", NULL, NULL);
    for (int i = 0; i < TIMED; i++)
        t->calls[i] =
            make(m, METRIC_HISTOGRAM, "ferretry_broker_redis_seconds", redis, "script", script_name(timed[i]));
    t->calls[TIMED] = make(m, METRIC_HISTOGRAM, "ferretry_broker_redis_seconds", redis, "script", "other");
    t->redis_up = make(m, METRIC_GAUGE, "ferretry_broker_redis_up", "1 while Redis can be reached.", NULL, NULL);
    t->sessions = make(m, METRIC_GAUGE, "ferretry_broker_sessions", "Workers that hang on this broker.", NULL, NULL);
    t->held_bytes =
        make(m, METRIC_GAUGE, "ferretry_broker_held_bytes", "Submits held until Redis has them.", NULL, NULL);
    t->accepted = make(m, METRIC_COUNTER, "ferretry_broker_jobs_accepted_total", "New jobs taken in.", NULL, NULL);
    t->handed_out =
        make(m, METRIC_COUNTER, "ferretry_broker_jobs_handed_out_total", "Jobs given to workers.", NULL, NULL);
}

enum status meters_new(struct metrics *m, struct meters **out)
{
    struct meters *t = calloc(1, sizeof *t);
    if (!t)
        return ST_NOMEM;
    make_all(t, m);
    *out = t;
    return ST_OK;
}

void meters_free(struct meters *m)
{
    free(m);
}

/* A frame begins with an array of four, the version, and the kind, a byte each (PROTOCOL.md, section 2). */
void meters_message(struct meters *m, bool sent, const void *bytes, size_t len)
{
    enum { ARRAY_OF_4 = 0x94, KIND_AT = 2 };
    const uint8_t *b = bytes;
    if (!m)
        return;
    bool known = len > KIND_AT && b[0] == ARRAY_OF_4 && b[1] == PROTOCOL_VERSION && b[KIND_AT] < MESSAGE_KIND_END_;
    struct metric *metric = known ? (sent ? m->sent : m->received)[b[KIND_AT]] : NULL;
    metric_add(metric ? metric : m->unreadable, 1);
}

void meters_call(struct meters *m, enum script script, uint64_t tag, int64_t now_us)
{
    uint32_t row = (uint32_t)tag;
    if (!m || row >= MAX_CALLS)
        return;
    int i = 0;
    while (i < TIMED && timed[i] != script)
        i++;
    m->on_the_way[row].since_us = now_us;
    m->on_the_way[row].timed = i;
}

void meters_reply(struct meters *m, uint64_t tag, int64_t now_us)
{
    uint32_t row = (uint32_t)tag;
    if (m && row < MAX_CALLS)
        metric_observe(m->calls[m->on_the_way[row].timed], now_us - m->on_the_way[row].since_us);
}

void meters_loop(struct meters *m, const struct dispatch *d, bool redis_is_up)
{
    if (!m)
        return;
    struct dispatch_counts c = dispatch_counts(d);
    metric_set(m->redis_up, redis_is_up);
    metric_set(m->sessions, (int64_t)c.sessions);
    metric_set(m->held_bytes, (int64_t)c.held_bytes);
    metric_set(m->accepted, (int64_t)c.accepted);
    metric_set(m->handed_out, (int64_t)c.handed_out);
}
