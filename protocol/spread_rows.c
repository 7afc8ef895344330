/* Calls that carry rows or ids: which go where, and letters back into their order. */
#include <stdlib.h>
#include <string.h>

#include "protocol/spread.h"

static size_t number_at(const struct store_args *args, size_t i)
{
    enum { DIGITS = 24 };
    char text[DIGITS] = "";
    size_t len;
    const char *bytes = store_args_at(args, i, &len);
    memcpy(text, bytes, len < sizeof text - 1 ? len : sizeof text - 1);
    return strtoull(text, NULL, 10);
}

static int shard_of_arg(const struct spread *sp, size_t i)
{
    size_t len;
    const char *id = store_args_at(&sp->args, i, &len);
    return len == ID_BYTES ? store_shard_of((const uint8_t *)id, sp->shards) : 0;
}

/* ---- plan ---------------------------------------------------------------------------------------------------------
 */

/* SUBMIT: window, stop, then groups; a group: six arguments, the number of its rows, and runs of rows. A run: four
 * arguments, the number of its rows, their ids one behind another, and a body a row. FINISH: session, outcomes, ids,
 * and a record a row. As submit.lua and finish.lua have them. */
enum { SUBMIT_FRONT = 2, GROUP_FRONT = 7, RUN_FRONT = 5, FINISH_FRONT = 2 };

/* Of the ids in argument `at`. */
static size_t plan_ids(struct spread *sp, size_t at)
{
    size_t len;
    const char *ids = store_args_at(&sp->args, at, &len);
    for (size_t i = 0; i < len / ID_BYTES; i++)
        sp->rows.shards[sp->rows.n++] = (uint8_t)store_shard_of((const uint8_t *)ids + i * ID_BYTES, sp->shards);
    return len / ID_BYTES;
}

static void plan_submit(struct spread *sp)
{
    for (size_t at = SUBMIT_FRONT; at + GROUP_FRONT <= sp->args.n;) {
        size_t n = number_at(&sp->args, at + GROUP_FRONT - 1);
        at += GROUP_FRONT;
        sp->rows.groups[sp->rows.n_groups++] = n;
        for (size_t done = 0, rows = 1; done < n && rows > 0 && at + RUN_FRONT < sp->args.n;
             at += RUN_FRONT + 1 + rows) {
            rows = plan_ids(sp, at + RUN_FRONT);
            done += rows;
        }
    }
}

enum status spread_plan_rows(struct spread *sp)
{
    sp->rows.groups = spread_alloc(sp, (sp->args.n + 1) * sizeof *sp->rows.groups);
    sp->rows.shards = spread_alloc(sp, sp->args.len / ID_BYTES + 1); /* more than all ids there are */
    if (!sp->rows.groups || !sp->rows.shards)
        return ST_NOMEM;
    if (sp->script == SCRIPT_SUBMIT) {
        plan_submit(sp);
    } else {
        sp->rows.n_groups = 1;
        sp->rows.groups[0] = plan_ids(sp, FINISH_FRONT);
    }
    return ST_OK;
}

/* Rows from `from` on that belong to the shard. */
static size_t count_of(const struct spread *sp, int shard, size_t from, size_t n)
{
    size_t found = 0;
    for (size_t i = from; i < from + n; i++)
        found += sp->rows.shards[i] == shard;
    return found;
}

/* ---- parts --------------------------------------------------------------------------------------------------------
 */

/* The shard's of n rows, whose ids stand in argument `at` and which are the call's from `row` on. */
static void put_shard_rows(const struct spread *sp, int shard, size_t at, size_t row, size_t n, struct store_args *out)
{
    size_t len;
    const char *ids = store_args_at(&sp->args, at, &len);
    store_arg(out, "", 0);
    for (size_t i = 0; i < n; i++)
        if (sp->rows.shards[row + i] == shard)
            store_arg_more(out, ids + i * ID_BYTES, ID_BYTES);
    for (size_t i = 0; i < n; i++)
        if (sp->rows.shards[row + i] == shard && at + 1 + i < sp->args.n)
            spread_copy_arg(out, &sp->args, at + 1 + i);
}

/* One group's runs, from argument `at` on; `n` rows, the call's from `row` on. Answers what stands behind them. */
static size_t put_runs(const struct spread *sp, int shard, size_t at, size_t row, size_t n, struct store_args *out)
{
    size_t rows;
    for (size_t done = 0; done < n && at + RUN_FRONT < sp->args.n; done += rows, at += RUN_FRONT + 1 + rows) {
        size_t len;
        (void)store_args_at(&sp->args, at + RUN_FRONT, &len);
        rows = len / ID_BYTES;
        size_t mine = count_of(sp, shard, row + done, rows);
        for (size_t i = 0; mine > 0 && i < RUN_FRONT; i++)
            if (i == RUN_FRONT - 1)
                store_arg_u64(out, mine);
            else
                spread_copy_arg(out, &sp->args, at + i);
        if (mine > 0)
            put_shard_rows(sp, shard, at + RUN_FRONT, row + done, rows, out);
        if (rows == 0)
            break;
    }
    return at;
}

/* A group without rows tells all shards how far the campaign has come. A shard's window is its share of the campaign's.
 */
enum status spread_part_submit(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    size_t window = number_at(&sp->args, 0), row = 0, at = SUBMIT_FRONT;
    store_arg_u64(out, (window + (size_t)sp->shards - 1) / (size_t)sp->shards);
    spread_copy_arg(out, &sp->args, 1);
    for (size_t g = 0; g < sp->rows.n_groups; g++) {
        size_t n = sp->rows.groups[g], mine = count_of(sp, shard, row, n);
        bool takes_part = mine > 0 || n == 0;
        for (size_t i = 0; takes_part && i < GROUP_FRONT; i++)
            if (i == GROUP_FRONT - 1)
                store_arg_u64(out, mine);
            else
                spread_copy_arg(out, &sp->args, at + i);
        at = put_runs(sp, shard, at + GROUP_FRONT, row, n, out);
        row += n;
        *wanted = *wanted || takes_part;
    }
    return ST_OK;
}

enum status spread_part_finish(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    size_t len;
    const char *outcomes = store_args_at(&sp->args, 1, &len);
    spread_copy_arg(out, &sp->args, 0);
    store_arg(out, "", 0);
    for (size_t i = 0; i < sp->rows.n && i < len; i++)
        if (sp->rows.shards[i] == shard) {
            store_arg_more(out, outcomes + i, 1);
            *wanted = true;
        }
    put_shard_rows(sp, shard, FINISH_FRONT, 0, sp->rows.n, out);
    return ST_OK;
}

/* HEARTBEAT, RESUME and HANDBACK: what stands in front, then ids. RESUME's answer of all shards must fit where one's
 * does. */
enum status spread_part_ids(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    enum { FRONT = 2, RESUME_BYTES = 2 };
    size_t front = sp->script == SCRIPT_RESUME ? FRONT + 1 : FRONT, mine = 0;
    for (size_t i = 0; i < front; i++)
        if (sp->script == SCRIPT_RESUME && i == RESUME_BYTES)
            store_arg_u64(out, number_at(&sp->args, i) / (size_t)sp->shards);
        else
            spread_copy_arg(out, &sp->args, i);
    for (size_t i = front; i < sp->args.n; i++)
        if (shard_of_arg(sp, i) == shard) {
            spread_copy_arg(out, &sp->args, i);
            mine++;
        }
    bool bye = sp->script == SCRIPT_HANDBACK && number_at(&sp->args, 1) == 1;
    *wanted = sp->script != SCRIPT_HANDBACK || bye || mine > 0;
    return ST_OK;
}

/* ---- answers ------------------------------------------------------------------------------------------------------
 */

static struct reply text_of(const char *bytes, size_t len)
{
    return (struct reply){.kind = REPLY_BYTES, .bytes = bytes, .len = len};
}

/* Where each shard's letters go on, and those of the group that is looked at. */
struct letters {
    const char *bytes[LIMIT_SHARDS];
    size_t len[LIMIT_SHARDS], at[LIMIT_SHARDS];
};

/* Letters of rows in their own order; those of a shard without an answer are 'w'. */
static const char *in_order(struct spread *sp, struct letters *l, size_t row, size_t n)
{
    char *out = spread_alloc(sp, n + 1);
    for (size_t i = 0; out && i < n; i++) {
        int shard = sp->rows.shards[row + i];
        size_t at = l->at[shard]++;
        out[i] = at < l->len[shard] ? l->bytes[shard][at] : 'w';
    }
    return out;
}

enum status spread_merge_finish(struct spread *sp)
{
    struct letters l = {.len = {0}};
    for (int i = 0; i < sp->shards; i++)
        l.bytes[i] = reply_bytes(&sp->parts[i].reply, 0, &l.len[i]);
    const char *letters = in_order(sp, &l, 0, sp->rows.n);
    struct reply *items = spread_items(sp, 1);
    if (!letters || !items)
        return ST_NOMEM;
    items[0] = text_of(letters, sp->rows.n);
    return ST_OK;
}

enum { GROUP_ANSWER = 3 }; /* elements */

/* A shard that refused its part of the group, by a letter that is not one of a row's. */
static bool is_refusal(const char *bytes, size_t len)
{
    return len == 1 && strchr("BMFQXTC", *bytes) != NULL;
}

/* One group's answer of all its shards. Refusals weigh more than a shard that is away. */
static enum status merge_group(struct spread *sp, size_t g, size_t row, size_t *next, struct reply *out)
{
    struct letters l = {.len = {0}};
    const char *refusal = NULL;
    bool away = false;
    int64_t unfinished = 0;
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = &sp->parts[i].reply;
        if (sp->rows.groups[g] > 0 && count_of(sp, i, row, sp->rows.groups[g]) == 0)
            continue;
        away = away || r->kind != REPLY_ARRAY;
        l.bytes[i] = reply_bytes(r, next[i], &l.len[i]);
        unfinished += reply_number(r, next[i] + 1);
        if (is_refusal(l.bytes[i], l.len[i]) && (!refusal || strchr("XTC", *l.bytes[i])))
            refusal = l.bytes[i];
        next[i] += GROUP_ANSWER;
    }
    size_t n = sp->rows.groups[g];
    const char *letters = in_order(sp, &l, row, n);
    if (!letters)
        return ST_NOMEM;
    out[0] = refusal ? text_of(refusal, 1) : away ? text_of("w", 1) : text_of(letters, n);
    out[1] = (struct reply){.kind = REPLY_INT, .integer = unfinished};
    out[2] = text_of("", 0); /* the campaign's number: each shard has its own */
    return ST_OK;
}

enum status spread_merge_submit(struct spread *sp)
{
    size_t next[LIMIT_SHARDS] = {0};
    struct reply *items = spread_items(sp, GROUP_ANSWER * sp->rows.n_groups);
    enum status s = items ? ST_OK : ST_NOMEM;
    for (size_t g = 0, row = 0; s == ST_OK && g < sp->rows.n_groups; row += sp->rows.groups[g++])
        s = merge_group(sp, g, row, next, items + GROUP_ANSWER * g);
    return s;
}

enum status spread_merge_resume(struct spread *sp)
{
    enum { FRONT = 3, LOST = 2 };
    size_t n = FRONT, lost_len = 0, len;
    bool more = false;
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = &sp->parts[i].reply;
        if (reply_is(r, 0, "gone")) {
            sp->merged = *r;
            return ST_OK;
        }
        if (r->kind != REPLY_ARRAY)
            continue;
        (void)reply_bytes(r, LOST, &len);
        lost_len += len;
        n += r->n > FRONT ? r->n - FRONT : 0;
        more = more || reply_number(r, 1) > 0;
    }
    char *lost = spread_alloc(sp, lost_len + 1);
    struct reply *items = spread_items(sp, n);
    if (!lost || !items)
        return ST_NOMEM;
    items[0] = text_of("ok", 2);
    items[1] = (struct reply){.kind = REPLY_INT, .integer = more};
    items[LOST] = text_of(lost, lost_len);
    size_t at = FRONT, lost_at = 0;
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = &sp->parts[i].reply;
        const char *bytes = reply_bytes(r, LOST, &len);
        memcpy(lost + lost_at, bytes, len);
        lost_at += len;
        for (size_t k = FRONT; r->kind == REPLY_ARRAY && k < r->n; k++)
            items[at++] = r->items[k];
    }
    return ST_OK;
}
