/* What a session says to its broker: HELLO, RESUME and credit; and which broker it hangs on. */
#include <stdlib.h>
#include <string.h>

#include "worker/session_impl.h"

static bool post(struct session *s, struct message *m)
{
    uint8_t *bytes;
    size_t len;
    m->request = ++s->last_request;
    if (m->kind != MESSAGE_PING)
        m->session = (struct wire_view){.bytes = s->id, .len = SESSION_BYTES};
    if (message_encode(m, &bytes, &len) != ST_OK)
        return false;
    s->is_connected = link_send(s->link, NULL, bytes, len) == ST_OK;
    return s->is_connected;
}

static struct wire_view text_view(const char *t)
{
    return (struct wire_view){.bytes = (const uint8_t *)(t ? t : ""), .len = t ? strlen(t) : 0};
}

void session_say_hello(struct session *s)
{
    s->state = SESSION_HELLO;
    s->ask_at = 0;
}

void session_resume(struct session *s)
{
    s->state = SESSION_RESUMING;
    s->seq++;
    s->ask_at = 0;
}

static bool post_resume(struct session *s)
{
    uint8_t *ids = malloc(LIMIT_HELD_JOBS * ID_BYTES);
    size_t n = 0;
    for (size_t i = 0; ids && i < s->n_flights; i++)
        if (!s->flights[i]->lost)
            memcpy(ids + n++ * ID_BYTES, s->flights[i]->id, ID_BYTES);
    struct message m = {.kind = MESSAGE_RESUME, .seq = s->seq, .ids = {ids, n * ID_BYTES}};
    bool sent = ids && post(s, &m);
    free(ids);
    return sent;
}

static bool post_hello(struct session *s)
{
    struct message m = {.kind = MESSAGE_HELLO,
                        .class_name = text_view(s->options.class_name),
                        .tasks = text_view(s->options.tasks),
                        .label = text_view(s->options.label),
                        .context = (uint64_t)s->options.context,
                        .shards = LIMIT_SHARDS};
    return post(s, &m);
}

/* Tells the broker how many jobs fit: once a quarter of the credit is free, so that jobs come in batches, and again
 * once a beat, in case it was lost. */
void session_tell_credit(struct session *s, int64_t now_ms)
{
    size_t credit = s->draining ? 0 : (size_t)s->options.credit;
    uint64_t want = credit > s->n_flights ? credit - s->n_flights : 0;
    bool worth_it = want != s->told_want && (4 * want >= credit || s->n_flights == 0 || s->draining);
    if (s->state != SESSION_OPEN || (!worth_it && now_ms < s->credit_at))
        return;
    struct message m = {.kind = MESSAGE_CREDIT, .seq = s->seq, .want = want, .owned = s->n_flights};
    if (post(s, &m))
        s->told_want = want;
    s->credit_at = now_ms + s->beat_ms;
}

static void ask(struct session *s, int64_t now_ms)
{
    enum { AGAIN_MS = 1000, NOT_CONNECTED_MS = 50 };
    if (s->state == SESSION_OPEN || s->refused != ST_OK || now_ms < s->ask_at)
        return;
    bool sent = s->state == SESSION_HELLO ? post_hello(s) : post_resume(s);
    s->ask_at = now_ms + (sent ? AGAIN_MS : NOT_CONNECTED_MS);
}

/* A broker owes no answer to credit while there is no work, so a silent one is asked for a sign of life once a beat.
 * One that gives none, is not there, or can't reach Redis, is left for the next of the list, under the same session. */
static void mind_broker(struct session *s, int64_t now_ms)
{
    enum { SILENT_MS = 1500, NOT_THERE_MS = 300 };
    bool is_open = s->state == SESSION_OPEN;
    int64_t silent = now_ms - s->well_at;
    if (s->refused != ST_OK)
        return;
    if (is_open && silent >= s->beat_ms && now_ms >= s->ping_at) {
        struct message m = {.kind = MESSAGE_PING};
        (void)post(s, &m);
        s->ping_at = now_ms + s->beat_ms;
    }
    if (silent < (!s->is_connected ? NOT_THERE_MS : is_open ? s->beat_ms + SILENT_MS : SILENT_MS))
        return;
    s->well_at = now_ms;
    if (!link_move(s->link))
        return;
    session_say_hello(s);
    for (int k = 0; k < WRITE_COUNT_; k++)
        s->writes[k].again_at = now_ms; /* relay: what was on the way is lost */
}

void session_ask(struct session *s, int64_t now_ms)
{
    mind_broker(s, now_ms);
    ask(s, now_ms);
}
