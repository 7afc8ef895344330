/* SUBMIT: group commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch_impl.h"
#include "protocol/job.h"

void submit_batch_free(struct submit_batch *b)
{
    if (!b)
        return;
    store_args_fini(&b->args);
    free(b->groups);
    free(b);
}

static void answer_busy(struct dispatch *d, const struct link_peer *peer, uint64_t request, uint64_t retry_ms,
                        const char *text)
{
    struct message m = {.kind = MESSAGE_BUSY, .request = request, .retry_ms = retry_ms, .text = view_of_text(text)};
    dispatch_send(d, SIDE_CLIENT, peer, &m);
}

/* ---- numbers of campaigns: what the last answers said; the script says when that is true no more ----------------- */

static struct campaign_number *number_of(struct dispatch *d, struct wire_view name)
{
    for (size_t i = 0; i < CAMPAIGN_NUMBERS; i++) {
        struct campaign_number *c = &d->numbers[i];
        if (c->name_len == name.len && name.len && memcmp(c->name, name.bytes, name.len) == 0)
            return c;
    }
    struct campaign_number *c = &d->numbers[d->next_number++ % CAMPAIGN_NUMBERS];
    *c = (struct campaign_number){.serial = ++d->number_serial, .name_len = name.len};
    memcpy(c->name, name.bytes, name.len);
    return c;
}

static void learn_number(struct dispatch *d, uint64_t serial, const struct reply *r, size_t at)
{
    size_t len;
    const char *number = reply_bytes(r, at, &len);
    for (size_t i = 0; i < CAMPAIGN_NUMBERS; i++)
        if (d->numbers[i].serial == serial && len < sizeof d->numbers[i].number) {
            memcpy(d->numbers[i].number, number, len);
            d->numbers[i].number[len] = '\0';
        }
}

/* ---- gathering ------------------------------------------------------------------------------------------------------
 */

/* The batch that is being filled; a full one is followed by a fresh one. */
static struct submit_batch *open_batch(struct dispatch *d, size_t n_jobs)
{
    if (d->last && d->last->n_jobs + n_jobs <= SUBMIT_GROUP_JOBS && d->last->args.len < SUBMIT_GROUP_BYTES)
        return d->last;
    struct submit_batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    store_arg_u64(&b->args, d->options.window);
    store_arg_u64(&b->args, SUBMIT_STOPS_AT);
    if (d->last)
        d->last->next = b;
    else
        d->first = b;
    d->last = b;
    return b;
}

static bool add_group(struct submit_batch *b, const struct submit_group *g)
{
    enum { FIRST = 16 };
    if (b->n_groups == b->cap_groups) {
        size_t cap = b->cap_groups ? 2 * b->cap_groups : FIRST;
        struct submit_group *groups = realloc(b->groups, cap * sizeof *groups);
        if (!groups)
            return false;
        b->groups = groups;
        b->cap_groups = cap;
    }
    b->groups[b->n_groups++] = *g;
    b->n_jobs += g->n;
    return true;
}

/* Whose job it is follows from the body alone: an id or a campaign of somebody else's is refused. All jobs of a message
 * have one tenant, which the script compares with the campaign's. */
static enum status check_name(const struct message *m, const struct message_row *row, struct wire_view *tenant,
                              struct diag *why)
{
    struct job_name name;
    uint8_t id[ID_BYTES];
    if (job_name_read(row->body.bytes, row->body.len, &name) != ST_OK)
        return diag_set(why, ST_FORMAT, "SUBMIT: a body that is no job, or of a codec that this broker does not know");
    int len = (int)(name.key.len < LIMIT_NAME_BYTES ? name.key.len : LIMIT_NAME_BYTES);
    const char *key = (const char *)name.key.bytes;
    if (!wire_view_same(name.campaign, m->campaign))
        return diag_set(why, ST_REFUSED, "SUBMIT: job \"%.*s\" is of another campaign than the message", len, key);
    job_name_id(&name, id);
    if (memcmp(id, row->id, ID_BYTES) != 0)
        return diag_set(why, ST_REFUSED, "SUBMIT: the id of job \"%.*s\" does not follow from tenant, campaign and key",
                        len, key);
    if (name.tenant.len == 0 || (tenant->len && !wire_view_same(name.tenant, *tenant)))
        return diag_set(why, ST_REFUSED, "SUBMIT: job \"%.*s\" has another tenant than the one before, or none", len,
                        key);
    *tenant = name.tenant;
    return ST_OK;
}

/* *tenant stays empty where there are no rows. */
static enum status check_rows(const struct message *m, struct wire_view *tenant, struct diag *why)
{
    enum { PRIORITIES = 3, RETRIES = 100 };
    struct wire_reader r;
    size_t n = message_rows_open(m, &r);
    if (n > LIMIT_JOBS_PER_MESSAGE)
        return diag_set(why, ST_LIMIT, "SUBMIT: over %d jobs", LIMIT_JOBS_PER_MESSAGE);
    for (size_t i = 0; i < n; i++) {
        struct message_row row = message_row_next(&r);
        if (row.n[0] >= PRIORITIES)
            return diag_set(why, ST_LIMIT, "SUBMIT: priority is 0, 1 or 2");
        if (row.n[1] > RETRIES)
            return diag_set(why, ST_LIMIT, "SUBMIT: at most %d retries", RETRIES);
        enum status s = check_name(m, &row, tenant, why);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static bool begins_alike(const struct message_row *a, const struct message_row *b)
{
    return memcmp(a->n, b->n, sizeof a->n) == 0;
}

/* Neighbours that differ in nothing but id and body. Where the campaign's number is known the bodies go as they are
 * stored: behind priority, retries, deadline, number and an empty field. */
static void put_run(struct store_args *args, const struct message_row *rows, size_t n, const char *number)
{
    enum { FRONT = 4, FRONT_BYTES = 128 };
    char front[FRONT_BYTES];
    int len = snprintf(front, sizeof front, "%llu|%llu|%llu|%s||", (unsigned long long)rows[0].n[0],
                       (unsigned long long)rows[0].n[1], (unsigned long long)rows[0].n[2], number);
    for (int k = 0; k < FRONT; k++)
        store_arg_u64(args, rows[0].n[k]);
    store_arg_u64(args, n);
    store_arg(args, "", 0);
    for (size_t i = 0; i < n; i++)
        store_arg_more(args, rows[i].id, ID_BYTES);
    for (size_t i = 0; i < n; i++) {
        store_arg(args, front, *number ? (size_t)len : 0);
        store_arg_more(args, rows[i].body.bytes, rows[i].body.len);
    }
}

static void put_rows(struct store_args *args, const struct message *m, const char *number, struct wire_view tenant)
{
    struct message_row rows[LIMIT_JOBS_PER_MESSAGE];
    struct wire_reader r;
    size_t n = message_rows_open(m, &r);
    for (size_t i = 0; i < n; i++)
        rows[i] = message_row_next(&r);
    store_arg(args, m->campaign.bytes, m->campaign.len);
    store_arg_str(args, number);
    store_arg(args, tenant.bytes, tenant.len);
    store_arg(args, m->manifest.bytes, m->manifest.len);
    store_arg_u64(args, m->offset);
    store_arg_u64(args, m->end);
    store_arg_u64(args, n);
    for (size_t from = 0, behind; from < n; from = behind) {
        for (behind = from + 1; behind < n && begins_alike(&rows[from], &rows[behind]);)
            behind++;
        put_run(args, &rows[from], behind - from, number);
    }
}

/* The message's jobs go into the open batch. False: there is no room for them now. */
static bool put_group(struct dispatch *d, const struct link_peer *peer, const struct message *m,
                      struct wire_view tenant)
{
    struct wire_reader r;
    const struct campaign_number *c = number_of(d, m->campaign);
    struct submit_group g = {.peer = *peer,
                             .request = m->request,
                             .n = message_rows_open(m, &r),
                             .bytes = m->rows.len,
                             .number_serial = c->serial};
    struct submit_batch *b = dispatch_wants_clients(d) ? open_batch(d, g.n) : NULL;
    if (!b || !add_group(b, &g))
        return false;
    size_t before = b->args.len;
    put_rows(&b->args, m, c->number, tenant);
    d->held_bytes += b->args.len - before;
    return true;
}

/* What is over its sender's budget is not even looked at: that is what makes a flood cheap. */
void submits_add(struct dispatch *d, const struct link_peer *peer, const struct allowed *who, const struct message *m)
{
    struct diag why = {.text = ""};
    struct wire_view tenant = {.len = 0};
    if (!budget_take(d->budget, SIDE_CLIENT, peer, m->rows.len)) {
        answer_busy(d, peer, m->request, RETRY_MS, "as many jobs of this sender are on the way as may be");
        return;
    }
    enum message_code code = CODE_DENIED;
    enum status s = check_rows(m, &tenant, &why);
    if (s != ST_OK)
        code = s == ST_LIMIT ? CODE_LIMIT : s == ST_REFUSED ? CODE_REFUSED : CODE_FORMAT;
    else if (tenant.len && !allowed_tenant(who, tenant.bytes, tenant.len))
        s = diag_set(&why, ST_REFUSED, "SUBMIT: the key is not for the tenant of these jobs");
    if (tenant.len == 0) /* whose the campaign may be: a list between line ends, which no tenant's name has */
        tenant = view_of_text(who->tenants);
    if (s == ST_OK && put_group(d, peer, m, tenant))
        return;
    budget_give(d->budget, SIDE_CLIENT, peer, m->rows.len);
    if (s == ST_OK)
        answer_busy(d, peer, m->request, RETRY_MS, "the broker has its hands full");
    else
        dispatch_error(d, SIDE_CLIENT, peer, m, code, why.text);
}

/* Its senders have their answers. */
static void end_batch(struct dispatch *d, struct submit_batch *b)
{
    for (size_t i = 0; i < b->n_groups; i++)
        budget_give(d->budget, SIDE_CLIENT, &b->groups[i].peer, b->groups[i].bytes);
    submit_batch_free(b);
}

static void answer_all_busy(struct dispatch *d, const struct submit_batch *b, uint64_t retry_ms, const char *text)
{
    for (size_t i = 0; i < b->n_groups; i++)
        answer_busy(d, &b->groups[i].peer, b->groups[i].request, retry_ms, text);
}

/* One call is always on the way while there is work; a second one once so many have gathered that it is worth its
 * costs: who hands in then waits for one sync of the disk, not for two. */
void submits_flush(struct dispatch *d)
{
    while (d->first && (d->submits_on_the_way == 0 ||
                        (d->submits_on_the_way < SUBMITS_AT_ONCE && d->first->n_jobs >= SUBMIT_SECOND_JOBS))) {
        struct submit_batch *b = d->first;
        d->first = b->next;
        if (!d->first)
            d->last = NULL;
        b->next = NULL;
        size_t bytes = b->args.len;
        struct pending *p = dispatch_call(d, SCRIPT_SUBMIT, &b->args);
        if (!p) {
            d->held_bytes -= bytes < d->held_bytes ? bytes : d->held_bytes;
            answer_all_busy(d, b, RETRY_MS, "too many calls are on the way to Redis");
            end_batch(d, b);
            continue;
        }
        p->n = bytes;
        p->batch = b;
        b->n_jobs = bytes; /* from here on: the bytes that are held for it */
        d->submits_on_the_way++;
    }
}

static const char window_text[] = "the campaign has as many unfinished jobs as it may",
                  quota_text[] = "the tenant has as many unfinished jobs as its quota allows",
                  memory_text[] = "Redis is over 70 % full; it takes new jobs once results leave it (ferret export "
                                  "--follow)",
                  small_text[] =
                      "Redis is over 70 % full and has no results that could leave it: it needs more memory, "
                      "or campaigns that are over removed (ferret admin purge)",
                  away_text[] = "a shard of the queue is away";

static const char *busy_text(const struct reply *r, size_t at)
{
    return reply_is(r, at, "B")   ? window_text
           : reply_is(r, at, "Q") ? quota_text
           : reply_is(r, at, "F") ? small_text
                                  : memory_text;
}

static void answer_group(struct dispatch *d, const struct submit_group *g, const struct reply *r, size_t at)
{
    size_t len;
    const char *statuses = reply_bytes(r, at, &len);
    struct message m = {.kind = MESSAGE_ACCEPTED, .request = g->request};
    m.unfinished = (uint64_t)reply_number(r, at + 1);
    if (len == g->n && !(len == 1 && strchr("NBMFQXCTw", *statuses))) {
        bool replicated = d->options.replicas > 0 && r->replicas >= d->options.replicas;
        m.durability = view_of_text(replicated ? "replicated" : "local");
        m.statuses = (struct wire_view){.bytes = (const uint8_t *)statuses, .len = len};
        for (size_t i = 0; i < len; i++)
            d->accepted += statuses[i] == 'n';
        dispatch_send(d, SIDE_CLIENT, &g->peer, &m);
    } else if (reply_is(r, at, "X")) {
        dispatch_error(d, SIDE_CLIENT, &g->peer, &m, CODE_MISSING, "no such campaign");
    } else if (reply_is(r, at, "T")) {
        dispatch_error(d, SIDE_CLIENT, &g->peer, &m, CODE_REFUSED, "the campaign is another tenant's");
    } else if (reply_is(r, at, "C")) {
        dispatch_error(d, SIDE_CLIENT, &g->peer, &m, CODE_REFUSED, "the campaign is cancelled");
    } else if (reply_is(r, at, "w")) {
        answer_busy(d, &g->peer, g->request, RETRY_MS, away_text);
    } else if (reply_is(r, at, "N")) { /* learnt by now */
        answer_busy(d, &g->peer, g->request, 1, "the campaign was made anew");
    } else {
        bool window = reply_is(r, at, "B");
        m.kind = MESSAGE_BUSY;
        m.retry_ms = window ? RETRY_MS : FULL_RETRY_MS;
        m.text = view_of_text(busy_text(r, at));
        dispatch_send(d, SIDE_CLIENT, &g->peer, &m);
    }
}

void submits_on_reply(struct dispatch *d, struct submit_batch *b, const struct reply *r)
{
    d->submits_on_the_way--;
    size_t bytes = b->n_jobs;
    d->held_bytes -= bytes < d->held_bytes ? bytes : d->held_bytes;
    enum { GROUP = 3 };
    if (r->kind == REPLY_ARRAY && r->n == GROUP * b->n_groups) {
        for (size_t i = 0; i < b->n_groups; i++) {
            learn_number(d, b->groups[i].number_serial, r, GROUP * i + 2);
            answer_group(d, &b->groups[i], r, GROUP * i);
        }
        sessions_wake(d);
    } else {
        /* Lost: perhaps committed; the same ids come again and are duplicates then. Memory of Redis full: later. */
        bool full = reply_error_is(r, "OOM");
        answer_all_busy(d, b, full ? FULL_RETRY_MS : RETRY_MS, full ? memory_text : "Redis gave no answer");
    }
    end_batch(d, b);
}
