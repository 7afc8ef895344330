/* The session carries questions and news of twins (worker/twins.h) to the index: one call on the way at a time, as a
 * script on the worker's own connection or through the broker. Without an answer there are no twins; nothing else waits
 * for it. */
#include <stdlib.h>

#include "worker/session_impl.h"

static void put_direct(struct session *s, const struct twins_load *load)
{
    struct store_args args = {0};
    store_arg_u64(&args, (uint64_t)twins_most(s->options.twins));
    store_arg_u64(&args, load->n_news);
    for (const struct twin_news *n = load->news; n; n = n->next) {
        store_arg(&args, n->key, ID_BYTES);
        store_arg(&args, n->value, n->len);
    }
    for (size_t i = 0; i < load->n_asked; i++)
        store_arg(&args, load->asked[i], ID_BYTES);
    s->twins_on_the_way = store_send(s->store, SCRIPT_TWINS, &args, SESSION_TAG_TWINS) == ST_OK;
    store_args_fini(&args);
}

static void put_relay(struct session *s, const struct twins_load *load)
{
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, load->n_news);
    for (const struct twin_news *n = load->news; n; n = n->next) {
        struct message_row row = {.id = n->key, .body = {(const uint8_t *)n->value, n->len}};
        message_row_put(&w, &row);
    }
    struct message m = {.kind = MESSAGE_TWINS,
                        .request = s->twins_request = ++s->last_request,
                        .session = {s->id, SESSION_BYTES},
                        .n = (uint64_t)twins_most(s->options.twins),
                        .ids = {load->asked[0], load->n_asked * ID_BYTES},
                        .rows = {w.bytes, w.len}};
    uint8_t *bytes;
    size_t len;
    s->twins_on_the_way =
        w.state == ST_OK && message_encode(&m, &bytes, &len) == ST_OK && link_send(s->link, NULL, bytes, len) == ST_OK;
    wire_writer_fini(&w);
}

static void end_round(struct session *s)
{
    s->twins_on_the_way = false;
    twins_answered(s->options.twins);
}

void session_twins_carry(struct session *s, int64_t now_ms)
{
    struct twins *t = s->options.twins;
    struct twins_load load;
    if (!t)
        return;
    bool open = s->state == SESSION_OPEN && !s->draining && s->twins_known && (!s->store || store_is_ready(s->store));
    twins_set_open(t, open);
    if (s->twins_on_the_way && now_ms >= s->twins_until)
        end_round(s);
    if (!open || s->twins_on_the_way || !twins_take(t, &load))
        return;
    s->twins_until = now_ms + TWINS_WAIT_MS;
    if (s->store)
        put_direct(s, &load);
    else
        put_relay(s, &load);
    for (struct twin_news *n = load.news, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    if (!s->twins_on_the_way)
        end_round(s);
}

void session_twins_on_store(struct session *s, const struct reply *r)
{
    for (size_t i = 0; r->kind == REPLY_ARRAY && i + 1 < r->n; i += 2) {
        size_t key_len, len;
        const char *key = reply_bytes(r, i, &key_len), *value = reply_bytes(r, i + 1, &len);
        if (key_len == ID_BYTES)
            twins_answer(s->options.twins, (const uint8_t *)key, value, len);
    }
    if (reply_error_is(r, "NOPERM") && s->twins_known) {
        log_line(s->options.log, LOG_WARN,
                 "no results are copied: Redis does not let this worker run the script; `ferret admin keygen` writes "
                 "rules that do");
        s->twins_known = false;
    }
    end_round(s);
}

bool session_twins_on_message(struct session *s, const struct message *m)
{
    struct wire_reader r;
    bool mine = s->options.twins && s->twins_on_the_way && !s->store && m->request == s->twins_request;
    if (m->kind != MESSAGE_TWINS_ARE && !(mine && m->kind == MESSAGE_ERROR))
        return false;
    if (!mine)
        return true;                /* too late */
    if (m->kind == MESSAGE_ERROR) { /* refused; or it can't reach Redis, and later can */
        s->twins_known = wire_view_is(m->code, message_code_name(CODE_STORE));
        end_round(s);
        return true;
    }
    for (size_t n = message_rows_open(m, &r); n > 0; n--) {
        struct message_row row = message_row_next(&r);
        twins_answer(s->options.twins, row.id, (const char *)row.body.bytes, row.body.len);
    }
    end_round(s);
    return true;
}

void session_twins_forget(struct session *s)
{
    if (!s->options.twins)
        return;
    if (s->twins_on_the_way)
        end_round(s);
}
