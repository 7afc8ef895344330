/* What a broker does, as a state machine: messages, answers of Redis and the time come in, messages and script calls go
 * out. It knows no socket and no clock, and holds the only copy of nothing: whatever is lost with it is asked for again
 * by clients and workers.
 *
 * SUBMITs are committed in groups: while one call is on the way, what arrives is gathered into the next, so that one
 * fsync of Redis covers many. Times are monotonic milliseconds. */
#ifndef BROKER_DISPATCH_H
#define BROKER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/allow_list.h"
#include "protocol/link.h"
#include "protocol/store.h"

enum side { SIDE_CLIENT, SIDE_WORKER };

struct dispatch_options {
    const char *worker_redis; /* what WELCOME tells workers on the direct route; copied */
    int route;                /* ROUTE_DIRECT, ROUTE_RELAY */
    int64_t lease_ms, beat_ms;
    uint64_t window;       /* unfinished jobs a campaign may have; a SUBMIT over it gets BUSY */
    double result_budget;  /* of records in Redis: bytes, or up to 1 a share of its maxmemory; over it no CLAIM */
    size_t max_held_bytes; /* of SUBMITs not yet answered; over it clients are not read */
    int shards;            /* of the queue; 0 counts as 1 */
    int replicas;          /* that an accepted job is asked to be on, beside its Redis */
};

struct dispatch_output {
    enum { OUTPUT_SEND, OUTPUT_CALL } kind;
    enum side side; /* OUTPUT_SEND */
    struct link_peer peer;
    uint8_t *bytes; /* malloc'ed */
    size_t len;
    enum script script; /* OUTPUT_CALL */
    struct store_args args;
    uint64_t tag;
};
void dispatch_output_fini(struct dispatch_output *o); /* frees what was not handed on */

struct dispatch;
MUST_CHECK enum status dispatch_new(const struct dispatch_options *o, struct dispatch **out);
void dispatch_free(struct dispatch *d); /* NULL is fine */

/* Who may do what from here on; borrowed, until it is replaced. NULL, as at first: everybody everything. */
void dispatch_set_allowed(struct dispatch *d, const struct allow_list *list);
void dispatch_on_message(struct dispatch *d, enum side side, const struct link_peer *peer, const void *bytes,
                         size_t len, int64_t now_ms);
/* The answer to an OUTPUT_CALL; REPLY_LOST when there will be none. Each call gets exactly one. */
void dispatch_on_reply(struct dispatch *d, uint64_t tag, const struct reply *reply, int64_t now_ms);
/* A shard can be reached, or not: then what concerns it waits, and with all of them away clients get BUSY and workers
 * nothing. beside: how many shards share its Redis, itself included. */
void dispatch_on_store(struct dispatch *d, int shard, bool ready, int beside);
/* Starts what is due; call it after each round of messages and replies. Returns in how many ms to call again. */
int dispatch_tick(struct dispatch *d, int64_t now_ms);
/* Takes the next output; its bytes and args go to the caller. */
bool dispatch_next(struct dispatch *d, struct dispatch_output *out);

/* What it has done since its start, and holds now. */
struct dispatch_counts {
    uint64_t accepted, handed_out; /* jobs */
    uint64_t sessions, held_bytes;
};
struct dispatch_counts dispatch_counts(const struct dispatch *d);

bool dispatch_wants_clients(const struct dispatch *d); /* false: held bytes are at their limit */
/* No new work is taken from here on; idle once everything on the way has been answered. */
void dispatch_drain(struct dispatch *d);
bool dispatch_is_idle(const struct dispatch *d);

#endif
