#include "broker/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"
#include "protocol/job.h"
#include "protocol/result.h"

struct wire_view view_of_text(const char *text)
{
    return (struct wire_view){.bytes = (const uint8_t *)text, .len = strlen(text)};
}

void dispatch_output_fini(struct dispatch_output *o)
{
    free(o->bytes);
    store_args_fini(&o->args);
    o->bytes = NULL;
}

void dispatch_arg_pressure(const struct dispatch *d, int shard, struct store_args *args)
{
    char budget[32];
    double whole = d->options.result_budget; /* bytes of all shards, or a share of the memory of one Redis */
    int parts = whole > 1 ? d->options.shards : d->shards[shard].beside;
    snprintf(budget, sizeof budget, "%.17g", whole / parts);
    store_arg_u64(args, CLAIM_STOPS_AT);
    store_arg_str(args, budget);
}

enum status dispatch_new(const struct dispatch_options *o, struct dispatch **out)
{
    struct dispatch *d = calloc(1, sizeof *d);
    if (!d)
        return ST_NOMEM;
    d->options = *o;
    d->options.shards = o->shards > 0 ? o->shards : 1;
    for (int i = 0; i < LIMIT_SHARDS; i++)
        d->shards[i].beside = 1;
    const struct budget_limits limits = {
        .bytes = PEER_BYTES, .key_bytes = o->max_held_bytes / KEY_SHARE, .calls = PEER_CALLS, .key_calls = KEY_CALLS};
    d->worker_redis = strdup(o->worker_redis ? o->worker_redis : "");
    enum status s = d->worker_redis ? budget_new(&limits, &d->budget) : ST_NOMEM;
    if (s != ST_OK) {
        dispatch_free(d);
        return s;
    }
    *out = d;
    return ST_OK;
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    struct dispatch_output o;
    while (dispatch_next(d, &o))
        dispatch_output_fini(&o);
    for (uint32_t i = 0; i < d->n_calls; i++) {
        submit_batch_free(d->calls[i].batch);
        claim_batch_free(d->calls[i].claim);
    }
    while (d->first) {
        struct submit_batch *b = d->first;
        d->first = b->next;
        submit_batch_free(b);
    }
    free(d->outputs);
    free(d->calls);
    free(d->sessions);
    free(d->by_id);
    free(d->classes);
    free(d->worker_redis);
    budget_free(d->budget);
    free(d);
}

/* ---- outputs ------------------------------------------------------------------------------------------------------
 */

static struct dispatch_output *push_output(struct dispatch *d)
{
    enum { FIRST = 64 };
    if (d->out_n == d->out_cap) {
        size_t cap = d->out_cap ? 2 * d->out_cap : FIRST;
        struct dispatch_output *ring = malloc(cap * sizeof *ring);
        if (!ring)
            return NULL;
        for (size_t i = 0; i < d->out_n; i++)
            ring[i] = d->outputs[(d->out_head + i) % d->out_cap];
        free(d->outputs);
        d->outputs = ring;
        d->out_cap = cap;
        d->out_head = 0;
    }
    struct dispatch_output *o = &d->outputs[(d->out_head + d->out_n++) % d->out_cap];
    *o = (struct dispatch_output){.kind = OUTPUT_SEND};
    return o;
}

bool dispatch_next(struct dispatch *d, struct dispatch_output *out)
{
    if (d->out_n == 0)
        return false;
    *out = d->outputs[d->out_head];
    d->out_head = (d->out_head + 1) % d->out_cap;
    d->out_n--;
    return true;
}

/* What can't be encoded for lack of memory is not sent: the peer asks again. */
void dispatch_send(struct dispatch *d, enum side side, const struct link_peer *peer, const struct message *m)
{
    uint8_t *bytes;
    size_t len;
    if (message_encode(m, &bytes, &len) != ST_OK)
        return;
    struct dispatch_output *o = push_output(d);
    if (!o) {
        free(bytes);
        return;
    }
    o->side = side;
    o->peer = *peer;
    o->bytes = bytes;
    o->len = len;
}

void dispatch_error(struct dispatch *d, enum side side, const struct link_peer *peer, const struct message *to,
                    enum message_code code, const char *text)
{
    struct message m = {.kind = MESSAGE_ERROR,
                        .request = to->request,
                        .session = to->session,
                        .code = view_of_text(message_code_name(code)),
                        .text = view_of_text(text)};
    if (code == CODE_STORE || code == CODE_NO_CLASS)
        m.retry_ms = RETRY_MS;
    dispatch_send(d, side, peer, &m);
}

/* ---- calls --------------------------------------------------------------------------------------------------------
 */

static struct pending *free_row(struct dispatch *d)
{
    enum { FIRST = 64 };
    for (uint32_t i = 0; i < d->n_calls; i++) {
        uint32_t at = (d->free_hint + i) % d->n_calls;
        if (!d->calls[at].used) {
            d->free_hint = at + 1;
            return &d->calls[at];
        }
    }
    if (d->n_calls == MAX_CALLS)
        return NULL;
    if (d->n_calls == d->cap_calls) {
        uint32_t cap = d->cap_calls ? 2 * d->cap_calls : FIRST;
        struct pending *calls = realloc(d->calls, cap * sizeof *calls);
        if (!calls)
            return NULL;
        d->calls = calls;
        d->cap_calls = cap;
    }
    d->calls[d->n_calls] = (struct pending){.used = false};
    return &d->calls[d->n_calls++];
}

struct pending *dispatch_call(struct dispatch *d, enum script script, struct store_args *args)
{
    struct pending *p = args->failed ? NULL : free_row(d);
    struct dispatch_output *o = p ? push_output(d) : NULL;
    if (!o) {
        store_args_fini(args);
        return NULL;
    }
    *p = (struct pending){.used = true, .generation = p->generation + 1, .script = script, .shard = args->shard};
    o->kind = OUTPUT_CALL;
    o->script = script;
    o->args = *args;
    o->tag = (uint64_t)p->generation << 32 | (uint64_t)(p - d->calls);
    *args = (struct store_args){0};
    return p;
}

struct pending *dispatch_question(struct dispatch *d, enum side side, const struct link_peer *peer,
                                  const struct message *m, enum script script, struct store_args *args)
{
    if (!budget_take(d->budget, side, peer, 0)) {
        store_args_fini(args);
        dispatch_error(d, side, peer, m, CODE_LIMIT, "more questions at once than a peer may have on the way");
        return NULL;
    }
    struct pending *p = dispatch_call(d, script, args);
    if (!p) {
        budget_give(d->budget, side, peer, 0);
        dispatch_error(d, side, peer, m, CODE_STORE, "too many calls on the way");
        return NULL;
    }
    p->charged = true;
    p->side = side;
    p->peer = *peer;
    p->request = m->request;
    return p;
}

/* ---- chores -------------------------------------------------------------------------------------------------------
 */

static void start_chore(struct dispatch *d, int shard, enum chore c)
{
    static const enum script scripts[CHORE_COUNT_] = {SCRIPT_REAP, SCRIPT_PROMOTE, SCRIPT_SWEEP, SCRIPT_DOOMED};
    enum { PROMOTE_MOST = 256, SWEEP_MOST = 340 }; /* SWEEP takes from three queues */
    struct store_args args = {.shard = shard};
    if (c == CHORE_REAP) {
        store_arg_u64(&args, (uint64_t)d->options.lease_ms);
        store_arg_u64(&args, (uint64_t)d->options.beat_ms);
        store_arg_u64(&args, POISON_CRASHES);
    } else if (c == CHORE_PROMOTE) {
        store_arg_u64(&args, PROMOTE_MOST);
    } else if (c == CHORE_SWEEP) {
        store_arg_u64(&args, SWEEP_MOST / 2);
    }
    d->shards[shard].chores[c].on_the_way = dispatch_call(d, scripts[c], &args) != NULL;
}

/* Jobs given up on: the record says why. Their bodies come from our own SUBMIT, but are read as carefully as any. */
static void bury(struct dispatch *d, const struct reply *r, size_t i)
{
    size_t id_len, body_len, reason_len;
    const char *id = reply_bytes(r, i, &id_len), *reason = reply_bytes(r, i + 1, &reason_len);
    const char *body = reply_bytes(r, i + 2, &body_len);
    char code[LIMIT_NAME_BYTES + 1] = "";
    memcpy(code, reason, reason_len < LIMIT_NAME_BYTES ? reason_len : LIMIT_NAME_BYTES);
    struct job *job = NULL;
    char *text = NULL;
    if (job_decode((const uint8_t *)body, body_len, &job, NULL) == ST_OK) {
        bool expired = strcmp(code, "expired") == 0;
        struct json *record =
            result_failure(job, ERROR_PERMANENT, code,
                           expired ? "its deadline passed before it began"
                                   : "the worker process died three times while running this job alone");
        text = record ? jsn_text(record) : NULL;
        jsn_free(record);
        job_free(job);
    }
    struct store_args args = {0};
    store_arg(&args, id, id_len);
    store_arg_str(&args, text ? text : "{\"schema\":1,\"status\":\"failed\"}");
    free(text);
    dispatch_call(d, SCRIPT_BURY, &args);
}

static void on_chore(struct dispatch *d, int shard, enum chore c, const struct reply *r, int64_t now_ms)
{
    enum { SOON_MS = 1, PROMOTE_MS = 200, DOOMED_MS = 1000 };
    const int64_t period[CHORE_COUNT_] = {d->options.beat_ms / 2, PROMOTE_MS, PROMOTE_MS, DOOMED_MS};
    struct chore_state *state = &d->shards[shard].chores[c];
    int64_t moved = r->kind == REPLY_INT ? r->integer : c == CHORE_REAP ? reply_number(r, 0) : 0;
    bool more = c == CHORE_REAP ? moved > 0 && reply_number(r, 1) > 0 : moved > 0;
    if (c == CHORE_DOOMED)
        more = r->kind == REPLY_ARRAY && r->n > 0;
    if (c == CHORE_DOOMED && r->kind == REPLY_ARRAY)
        for (size_t i = 0; i + 2 < r->n; i += 3)
            bury(d, r, i);
    if (moved > 0)
        sessions_wake(d);
    state->on_the_way = false;
    state->due = now_ms + (more ? SOON_MS : period[c]);
}

/* ---- the three ways in ---------------------------------------------------------------------------------------------
 */

static enum message_code code_of(enum status s)
{
    return s == ST_UNSUPPORTED ? CODE_VERSION : s == ST_LIMIT ? CODE_LIMIT : CODE_FORMAT;
}

void dispatch_set_allowed(struct dispatch *d, const struct allow_list *list)
{
    d->allowed = list;
    sessions_recheck(d);
}

/* Who may send it; NULL: nobody, and the peer has been told. */
static const struct allowed *admit(struct dispatch *d, enum side side, const struct link_peer *peer,
                                   const struct message *m)
{
    struct diag why = {.text = "the key is not on the broker's allow-list any more"};
    const struct allowed *who = access_of(d->allowed, peer);
    if (who && access_check(who, m, &why) == ST_OK)
        return who;
    dispatch_error(d, side, peer, m, CODE_DENIED, why.text);
    return NULL;
}

void dispatch_on_message(struct dispatch *d, enum side side, const struct link_peer *peer, const void *bytes,
                         size_t len, int64_t now_ms)
{
    struct message m;
    struct diag why = {.text = ""};
    enum status s = message_decode(bytes, len, &m, &why);
    if (s != ST_OK) {
        dispatch_error(d, side, peer, &m, code_of(s), why.text);
        return;
    }
    bool from_worker = m.kind >= MESSAGE_HELLO || (m.kind == MESSAGE_PING && side == SIDE_WORKER);
    if (from_worker != (side == SIDE_WORKER)) {
        dispatch_error(d, side, peer, &m, CODE_FORMAT, "this message does not belong on this socket");
        return;
    }
    const struct allowed *who = admit(d, side, peer, &m);
    if (!who)
        return;
    if (!d->ready || d->draining) {
        const char *text = d->ready ? "the broker is stopping" : "Redis is away";
        struct message busy = {.kind = MESSAGE_BUSY, .request = m.request, .retry_ms = RETRY_MS};
        busy.text = view_of_text(text);
        if (m.kind == MESSAGE_SUBMIT)
            dispatch_send(d, side, peer, &busy);
        else
            dispatch_error(d, side, peer, &m, CODE_STORE, text);
    } else if (m.kind == MESSAGE_PING) {
        struct message pong = {.kind = MESSAGE_PONG,
                               .request = m.request,
                               .text = view_of_text("ferret-broker"),
                               .shards = (uint64_t)d->options.shards};
        dispatch_send(d, side, peer, &pong);
    } else if (side == SIDE_WORKER) {
        sessions_on_message(d, peer, &m, now_ms);
    } else if (m.kind == MESSAGE_SUBMIT) {
        submits_add(d, peer, who, &m);
    } else {
        requests_on_message(d, peer, who, &m);
    }
}

void dispatch_on_reply(struct dispatch *d, uint64_t tag, const struct reply *reply, int64_t now_ms)
{
    uint32_t row = (uint32_t)tag;
    if (row >= d->n_calls || !d->calls[row].used || d->calls[row].generation != tag >> 32)
        return;
    struct pending p = d->calls[row];
    d->calls[row].used = false;
    d->calls[row].batch = NULL;
    d->calls[row].claim = NULL;
    if (p.charged)
        budget_give(d->budget, p.side, &p.peer, 0);
    switch (p.script) {
    case SCRIPT_SUBMIT: submits_on_reply(d, p.batch, reply); break;
    case SCRIPT_REAP: on_chore(d, p.shard, CHORE_REAP, reply, now_ms); break;
    case SCRIPT_PROMOTE: on_chore(d, p.shard, CHORE_PROMOTE, reply, now_ms); break;
    case SCRIPT_SWEEP: on_chore(d, p.shard, CHORE_SWEEP, reply, now_ms); break;
    case SCRIPT_DOOMED: on_chore(d, p.shard, CHORE_DOOMED, reply, now_ms); break;
    case SCRIPT_BURY: break; /* lost: DOOMED lists it again */
    default:
        if (p.side == SIDE_WORKER)
            sessions_on_reply(d, &p, reply, now_ms);
        else
            requests_on_reply(d, &p, reply);
    }
}

void dispatch_on_store(struct dispatch *d, int shard, bool ready, int beside)
{
    d->shards[shard].ready = ready;
    d->shards[shard].beside = beside;
    d->ready = false;
    for (int i = 0; i < d->options.shards; i++)
        d->ready = d->ready || d->shards[i].ready;
}

int dispatch_shard_of(const struct dispatch *d, const struct message *m)
{
    if (m->shard > 0 && m->shard <= (uint64_t)d->options.shards)
        return (int)m->shard - 1;
    return m->shard == 0 && d->options.shards == 1 ? 0 : -1;
}

/* What is due on a shard; in how many ms again. */
static int64_t do_chores(struct dispatch *d, int shard, int64_t now_ms, int64_t wait)
{
    for (int c = 0; c < CHORE_COUNT_ && d->shards[shard].ready; c++) {
        struct chore_state *state = &d->shards[shard].chores[c];
        if (!state->on_the_way && state->due <= now_ms)
            start_chore(d, shard, (enum chore)c);
        if (!state->on_the_way && state->due > now_ms && state->due - now_ms < wait)
            wait = state->due - now_ms;
    }
    return wait;
}

int dispatch_tick(struct dispatch *d, int64_t now_ms)
{
    enum { LONGEST_MS = 1000 };
    if (!d->ready)
        return LONGEST_MS;
    submits_flush(d);
    int64_t wait = LONGEST_MS;
    for (int i = 0; i < d->options.shards && !d->draining; i++)
        wait = do_chores(d, i, now_ms, wait);
    int claim = d->draining ? LONGEST_MS : sessions_claim(d, now_ms);
    return claim < wait ? claim : (int)wait;
}

struct dispatch_counts dispatch_counts(const struct dispatch *d)
{
    return (struct dispatch_counts){
        .accepted = d->accepted, .handed_out = d->handed_out, .sessions = d->n_sessions, .held_bytes = d->held_bytes};
}

bool dispatch_wants_clients(const struct dispatch *d)
{
    return d->held_bytes < d->options.max_held_bytes;
}

void dispatch_drain(struct dispatch *d)
{
    d->draining = true;
}

bool dispatch_is_idle(const struct dispatch *d)
{
    for (uint32_t i = 0; i < d->n_calls; i++)
        if (d->calls[i].used)
            return false;
    return d->out_n == 0 && d->first == NULL;
}
