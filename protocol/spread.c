#include "protocol/spread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spread_block {
    struct spread_block *next;
    max_align_t bytes[];
};

void *spread_alloc(struct spread *sp, size_t size)
{
    struct spread_block *b = calloc(1, sizeof *b + size);
    if (!b)
        return NULL;
    b->next = sp->blocks;
    sp->blocks = b;
    return b->bytes;
}

struct reply *spread_items(struct spread *sp, size_t n)
{
    struct reply *items = spread_alloc(sp, (n + 1) * sizeof *items);
    if (items)
        sp->merged = (struct reply){.kind = REPLY_ARRAY, .items = items, .n = n};
    return items;
}

void spread_copy_arg(struct store_args *out, const struct store_args *from, size_t i)
{
    size_t len;
    const char *bytes = store_args_at(from, i, &len);
    store_arg(out, bytes, len);
}

/* ---- parts that need no rows ------------------------------------------------------------------------------------- */

static enum status part_same(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    (void)shard;
    *wanted = true;
    for (size_t i = 0; i < sp->args.n; i++)
        spread_copy_arg(out, &sp->args, i);
    return ST_OK;
}

/* The first shard makes or checks the campaign and settles its class; the others follow. */
static enum status part_campaign(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    enum { CLASS_ARG = 2, ROW_CLASS = 2 };
    *wanted = (sp->round == 0) == (shard == 0);
    for (size_t i = 0; *wanted && i < sp->args.n; i++) {
        size_t len;
        const struct reply *made = &sp->parts[0].reply;
        const char *found = sp->round == 1 && made->n > 1 ? reply_bytes(&made->items[1], ROW_CLASS, &len) : NULL;
        if (i == CLASS_ARG && found)
            store_arg(out, found, len);
        else
            spread_copy_arg(out, &sp->args, i);
    }
    return ST_OK;
}

static bool one_campaign(const struct spread *sp)
{
    size_t len;
    (void)store_args_at(&sp->args, 0, &len);
    return len > 0;
}

/* One campaign: all shards at once. A list: the first shard says which there are, the others are asked by their names.
 */
static enum status part_status(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    enum { FIXED_ARGS = 5 };
    if (one_campaign(sp))
        return part_same(sp, shard, out, wanted);
    *wanted = (sp->round == 0) == (shard == 0);
    if (!*wanted)
        return ST_OK;
    for (size_t i = 0; i < sp->args.n && i < FIXED_ARGS; i++)
        spread_copy_arg(out, &sp->args, i);
    for (size_t i = sp->args.n; sp->round == 1 && i < FIXED_ARGS; i++)
        store_arg_str(out, "");
    const struct reply *list = &sp->parts[0].reply;
    for (size_t i = 1; sp->round == 1 && i < list->n; i++) {
        size_t len;
        const char *name = reply_bytes(&list->items[i], 0, &len);
        store_arg(out, name, len);
    }
    return ST_OK;
}

bool spread_goes_on(struct spread *sp)
{
    const struct reply *r = &sp->parts[0].reply;
    bool more = sp->round == 0 && ((sp->script == SCRIPT_CAMPAIGN && reply_is(r, 0, "ok")) ||
                                   (sp->script == SCRIPT_STATUS && !one_campaign(sp) && r->kind == REPLY_ARRAY));
    sp->round += more;
    return more;
}

/* ---- walks through one shard behind the other ---------------------------------------------------------------------
 */

enum { CURSOR_SHARD_BIT = 48 };

static uint64_t number_arg(const struct spread *sp, size_t i)
{
    enum { DIGITS = 24 };
    char text[DIGITS] = "";
    size_t len;
    const char *bytes = store_args_at(&sp->args, i, &len);
    memcpy(text, bytes, len < sizeof text - 1 ? len : sizeof text - 1);
    return strtoull(text, NULL, 10);
}

static enum status part_cursor(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    uint64_t cursor = number_arg(sp, 1);
    *wanted = (uint64_t)shard == cursor >> CURSOR_SHARD_BIT;
    for (size_t i = 0; *wanted && i < sp->args.n; i++)
        if (i == 1)
            store_arg_u64(out, cursor & (((uint64_t)1 << CURSOR_SHARD_BIT) - 1));
        else
            spread_copy_arg(out, &sp->args, i);
    return ST_OK;
}

static const struct store_answer *only_part(const struct spread *sp, int *shard)
{
    for (*shard = 0; *shard < sp->shards; ++*shard)
        if (sp->parts[*shard].reply.kind != REPLY_NIL)
            return &sp->parts[*shard];
    return NULL;
}

/* The part's elements, the first one replaced by text. */
static enum status replace_first(struct spread *sp, const struct reply *part, const char *text)
{
    size_t len = strlen(text);
    char *bytes = spread_alloc(sp, len + 1);
    struct reply *items = spread_items(sp, part->n);
    if (!bytes || !items)
        return ST_NOMEM;
    memcpy(bytes, text, len);
    memcpy(items, part->items, part->n * sizeof *items);
    items[0] = (struct reply){.kind = REPLY_BYTES, .bytes = bytes, .len = len};
    return ST_OK;
}

/* A shard that lacks the campaign (it lost it) holds nothing of it, the first one excepted: there it does not exist. */
static enum status merge_cursor(struct spread *sp)
{
    enum { DIGITS = 24, EMPTY = 2 };
    int shard;
    const struct store_answer *a = only_part(sp, &shard);
    char text[DIGITS];
    struct reply nothing[EMPTY] = {{.kind = REPLY_INT}, {.kind = REPLY_INT}};
    const struct reply empty = {.kind = REPLY_ARRAY, .items = nothing, .n = EMPTY}, *part = a ? &a->reply : &empty;
    if (part->kind != REPLY_ARRAY || part->n == 0 || reply_is(part, 0, "cancelled") ||
        (shard == 0 && reply_is(part, 0, "missing"))) {
        sp->merged = *part;
        return ST_OK;
    }
    if (reply_is(part, 0, "missing"))
        part = &empty;
    uint64_t next = (uint64_t)reply_number(part, 0);
    if (next > 0)
        next |= (uint64_t)shard << CURSOR_SHARD_BIT;
    else if (shard + 1 < sp->shards)
        next = (uint64_t)(shard + 1) << CURSOR_SHARD_BIT;
    snprintf(text, sizeof text, "%" PRIu64, next);
    return replace_first(sp, part, text);
}

enum { PLACE_ARG = 3, PLACE_TEXT = LIMIT_NAME_BYTES + 1 };

/* "SHARD rest", or "" at the beginning. */
static enum status part_place(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    size_t len;
    const char *place = store_args_at(&sp->args, PLACE_ARG, &len);
    char text[PLACE_TEXT] = "";
    memcpy(text, place, len < sizeof text - 1 ? len : sizeof text - 1);
    char *rest = text;
    long at = strtol(text, &rest, 10);
    *wanted = at == shard || (shard == 0 && (at < 0 || at >= sp->shards));
    for (size_t i = 0; *wanted && i < sp->args.n; i++)
        if (i == PLACE_ARG)
            store_arg_str(out, *rest == ' ' ? rest + 1 : rest);
        else
            spread_copy_arg(out, &sp->args, i);
    return ST_OK;
}

static enum status merge_place(struct spread *sp)
{
    int shard;
    const struct store_answer *a = only_part(sp, &shard);
    char text[PLACE_TEXT] = "";
    size_t len;
    if (!a || a->reply.kind != REPLY_ARRAY || a->reply.n == 0) {
        sp->merged = a ? a->reply : (struct reply){.kind = REPLY_LOST};
        return ST_OK;
    }
    const char *rest = reply_bytes(&a->reply, 0, &len);
    if (len > 0)
        snprintf(text, sizeof text, "%d %.*s", shard, (int)len, rest);
    else if (shard + 1 < sp->shards)
        snprintf(text, sizeof text, "%d ", shard + 1);
    return replace_first(sp, &a->reply, text);
}

/* ---- numbers ------------------------------------------------------------------------------------------------------
 */

/* HANDBACK: how many went back; what is owned on a shard that is away is found again by RESUME. */
static enum status merge_count(struct spread *sp)
{
    sp->merged = (struct reply){.kind = REPLY_INT};
    for (int i = 0; i < sp->shards; i++)
        sp->merged.integer += sp->parts[i].reply.kind == REPLY_INT ? sp->parts[i].reply.integer : 0;
    return ST_OK;
}

/* DRAIN: 1 where one shard knows the session; a shard that is away must hear of it. */
static enum status merge_drain(struct spread *sp)
{
    sp->merged = (struct reply){.kind = REPLY_INT};
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = &sp->parts[i].reply;
        if (r->kind == REPLY_LOST || r->kind == REPLY_ERROR) {
            sp->merged = *r;
            return ST_OK;
        }
        if (r->kind == REPLY_INT && r->integer > 0)
            sp->merged.integer = 1;
    }
    return ST_OK;
}

/* ---- rules --------------------------------------------------------------------------------------------------------
 */

struct rule {
    enum spread_target target;
    enum status (*part)(struct spread *sp, int shard, struct store_args *out, bool *wanted);
    enum status (*merge)(struct spread *sp);
    bool has_rows;
};
static const struct rule rules[SCRIPT_COUNT_] = {
    [SCRIPT_CAMPAIGN] = {SPREAD_MANY, part_campaign, spread_merge_made, false},
    [SCRIPT_CAMPAIGN_SET] = {SPREAD_MANY, part_same, spread_merge_made, false},
    [SCRIPT_SUBMIT] = {SPREAD_MANY, spread_part_submit, spread_merge_submit, true},
    [SCRIPT_HELLO] = {SPREAD_MANY, part_same, spread_merge_hello, false},
    [SCRIPT_HEARTBEAT] = {SPREAD_MANY, spread_part_ids, spread_merge_heartbeat, false},
    [SCRIPT_RESUME] = {SPREAD_MANY, spread_part_ids, spread_merge_resume, false},
    [SCRIPT_FINISH] = {SPREAD_MANY, spread_part_finish, spread_merge_finish, true},
    [SCRIPT_TWINS] = {.target = SPREAD_FIRST},
    [SCRIPT_HANDBACK] = {SPREAD_MANY, spread_part_ids, merge_count, false},
    [SCRIPT_BURY] = {.target = SPREAD_BY_ID},
    [SCRIPT_STATUS] = {SPREAD_MANY, part_status, spread_merge_status, false},
    [SCRIPT_WORKERS] = {SPREAD_MANY, part_same, spread_merge_workers, false},
    [SCRIPT_TENANT] = {SPREAD_MANY, part_same, spread_merge_tenant, false},
    [SCRIPT_DRAIN] = {SPREAD_MANY, part_same, merge_drain, false},
    [SCRIPT_JOB] = {.target = SPREAD_BY_ID},
    [SCRIPT_REQUEUE] = {SPREAD_MANY, part_cursor, merge_cursor, false},
    [SCRIPT_DEAD] = {SPREAD_MANY, part_cursor, merge_cursor, false},
    [SCRIPT_QUEUE] = {SPREAD_MANY, part_same, spread_merge_queue, false},
    [SCRIPT_FORGET] = {SPREAD_MANY, part_place, merge_place, false},
    [SCRIPT_FORGOTTEN] = {.target = SPREAD_FIRST},
};

enum spread_target spread_target(enum script script)
{
    return rules[script].target;
}

enum status spread_new(enum script script, const struct store_args *args, int shards, uint64_t tag, struct spread **out)
{
    struct spread *sp = calloc(1, sizeof *sp);
    if (!sp)
        return ST_NOMEM;
    sp->script = script;
    sp->tag = tag;
    sp->shards = shards;
    for (size_t i = 0; i < args->n; i++)
        spread_copy_arg(&sp->args, args, i);
    enum status s = sp->args.failed || args->failed ? ST_NOMEM : ST_OK;
    if (s == ST_OK && rules[script].has_rows)
        s = spread_plan_rows(sp);
    if (s != ST_OK) {
        spread_free(sp);
        return s;
    }
    *out = sp;
    return ST_OK;
}

void spread_free(struct spread *sp)
{
    if (!sp)
        return;
    for (int i = 0; i < sp->shards; i++)
        store_answer_free(&sp->parts[i]);
    while (sp->blocks) {
        struct spread_block *b = sp->blocks;
        sp->blocks = b->next;
        free(b);
    }
    store_args_fini(&sp->args);
    free(sp);
}

enum status spread_part(struct spread *sp, int shard, struct store_args *out, bool *wanted)
{
    *wanted = false;
    enum status s = rules[sp->script].part(sp, shard, out, wanted);
    return out->failed ? ST_NOMEM : s;
}

/* What Redis said where it refused (its memory, its disk). */
static const struct reply *error_of(const struct spread *sp)
{
    for (int i = 0; i < sp->shards; i++)
        if (sp->parts[i].reply.kind == REPLY_ERROR)
            return &sp->parts[i].reply;
    return NULL;
}

/* A part that Redis refused counts as one that did not come, where others did. */
void spread_merge(struct spread *sp)
{
    bool any = false;
    int replicas = -1;
    for (int i = 0; i < sp->shards; i++) {
        const struct reply *r = &sp->parts[i].reply;
        bool came = r->kind != REPLY_NIL && r->kind != REPLY_LOST && r->kind != REPLY_ERROR;
        any = any || came;
        if (came && (replicas < 0 || r->replicas < replicas))
            replicas = r->replicas;
    }
    const struct reply *error = error_of(sp);
    if (!any && error)
        sp->merged = *error;
    else if (!any || rules[sp->script].merge(sp) != ST_OK)
        sp->merged = (struct reply){.kind = REPLY_LOST};
    sp->merged.replicas = replicas < 0 ? 0 : replicas;
}
