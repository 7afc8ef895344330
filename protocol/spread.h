/* Inside of the store: calls that concern several shards. Each script has one rule: whether it goes to the shard that
 * its caller names (CLAIM, RESULTS, REAP ...), to the one that an id belongs to, or to the shards of its rows, or to
 * all; and what the parts' answers come to together. The caller sees one answer, of the form that one shard gives. It
 * is REPLY_LOST where no part came, or where one that is missing can't be left out.
 *
 * What is added to that form where there are several shards: a letter 'w' (its shard is away: say it again) in the
 * answers of FINISH, and for a group of SUBMIT; a last number in HEARTBEAT's, with a bit for each shard that did not
 * answer; "shard-away" as what stops a campaign; cursors of REQUEUE and DEAD have their shard in the top bits, and a
 * place of FORGET begins with it. */
#ifndef PROTOCOL_SPREAD_H
#define PROTOCOL_SPREAD_H

#include "protocol/store.h"

enum spread_target {
    SPREAD_NAMED, /* args->shard */
    SPREAD_BY_ID, /* the first argument is an id */
    SPREAD_FIRST, /* shard 0 */
    SPREAD_MANY,  /* a struct spread */
};
enum spread_target spread_target(enum script script);

/* The rows of a call, in its order: groups, and which shard each row belongs to. */
struct spread_rows {
    size_t n_groups, n;
    size_t *groups; /* rows of each */
    uint8_t *shards;
};

struct spread {
    struct spread *next, *before; /* in the store's list */
    enum script script;
    uint64_t tag;
    int shards, round, left;
    struct store_args args;
    struct store_answer parts[LIMIT_SHARDS]; /* REPLY_NIL: not asked; REPLY_LOST: no answer yet, or none came */
    struct spread_rows rows;
    struct reply merged;
    struct spread_block *blocks; /* what merged is made of, beside the parts */
};

MUST_CHECK enum status spread_new(enum script script, const struct store_args *args, int shards, uint64_t tag,
                                  struct spread **out);
void spread_free(struct spread *sp); /* NULL is fine */
/* The arguments of one shard's part of this round. *wanted false: there is none. */
MUST_CHECK enum status spread_part(struct spread *sp, int shard, struct store_args *out, bool *wanted);
/* All parts of the round are there. True: the next one is to be asked. */
bool spread_goes_on(struct spread *sp);
void spread_merge(struct spread *sp); /* fills merged; REPLY_LOST where memory is short */

/* ---- what the rules are made of (spread_rows.c, spread_merge.c) ------------------------------------------------- */

void *spread_alloc(struct spread *sp, size_t size);      /* zeroed, freed with sp; NULL: memory is short */
struct reply *spread_items(struct spread *sp, size_t n); /* merged is an array of n from here on */
void spread_copy_arg(struct store_args *out, const struct store_args *from, size_t i);

enum status spread_plan_rows(struct spread *sp);
enum status spread_part_submit(struct spread *sp, int shard, struct store_args *out, bool *wanted);
enum status spread_part_finish(struct spread *sp, int shard, struct store_args *out, bool *wanted);
enum status spread_part_ids(struct spread *sp, int shard, struct store_args *out, bool *wanted);
enum status spread_merge_submit(struct spread *sp);
enum status spread_merge_finish(struct spread *sp);
enum status spread_merge_resume(struct spread *sp);

enum status spread_merge_hello(struct spread *sp);
enum status spread_merge_heartbeat(struct spread *sp);
enum status spread_merge_status(struct spread *sp);
enum status spread_merge_made(struct spread *sp); /* CAMPAIGN, CAMPAIGN_SET */
enum status spread_merge_workers(struct spread *sp);
enum status spread_merge_tenant(struct spread *sp);
enum status spread_merge_queue(struct spread *sp);

#endif
