/* The broker's own dispatcher in a world that is played: a clock that jumps from step to step, a Redis that only counts
 * and takes time, clients that hand in without end, workers that finish images at a pace. A world of a billion images
 * is a few tables, since an image is nothing but one more in a counter.
 *
 * A step is a round of the server's loop: every broker gets what came for it since the last one, then ticks once. Times
 * are microseconds; one thread. */
#ifndef TESTS_SIMULATE_SIMULATE_H
#define TESTS_SIMULATE_SIMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/dispatch.h"
#include "protocol/message.h"

struct plan {
    int64_t images, workers, brokers, clients, credit, window, seed, step_ms;
    double rate;                                    /* images a second and worker */
    double call_us, submit_us, claim_us, finish_us; /* what a call costs Redis, and each image in it */
    int64_t lease_ms, beat_ms;
};

/* ---- Redis (store.c): one server, calls one after the other ---- */

struct call {
    int broker; /* who asked: a broker, or -1: a worker itself (direct route) */
    int worker; /* whose session it is, or -1 */
    uint64_t tag;
    enum script script;
    uint32_t n;      /* images asked for, or handed in */
    uint16_t *parts; /* SUBMIT: of each message in it; CLAIM: of each session in it */
    uint32_t n_parts;
    int64_t done_us;
};

struct shard {
    const struct plan *plan;
    struct call *ring; /* on the way, in order */
    size_t head, n, cap;
    int64_t free_us, busy_us, slowest_us;
    uint64_t submitted, waiting, running, done;
    uint64_t calls[SCRIPT_COUNT_];
    struct reply *items; /* of the answer that is being given */
    uint16_t *parts;     /* of the call that it answers */
};
void shard_init(struct shard *s, const struct plan *plan); /* ends the program when memory is short */
void shard_fini(struct shard *s);
void shard_call(struct shard *s, struct call *c, int64_t now_us); /* from now on it is on the way */
/* The next call that is done by then, with its answer; *reply borrows until the next one is taken. */
bool shard_take(struct shard *s, int64_t now_us, struct call *c, struct reply *reply);

/* ---- workers and clients (fleet.c) ---- */

struct worker {
    struct link_peer peer;
    uint8_t session[SESSION_BYTES];
    int32_t next;                    /* in its bucket of the wheel */
    uint16_t held, ended, finishing; /* images that it owns; of those: ended and not told; told and not answered */
    uint64_t seq, told_want;
    bool open, working;
    int64_t begun_us, idle_since_us, idle_us, beat_us;
    uint64_t done;
};

struct client {
    struct link_peer peer;
    int64_t sent_us, again_us; /* again_us >= 0: a message is due then; else one is on the way */
    int broker;
};

struct world {
    struct plan plan;
    int64_t now_us;
    uint64_t random;
    struct shard shard;
    struct dispatch **brokers;
    struct worker *workers;
    struct client *clients;
    int32_t *wheel; /* first worker of each bucket, a step each */
    int64_t wheel_at;
    uint8_t *submit; /* a SUBMIT, encoded once */
    size_t submit_len;
    uint64_t offered;     /* images in messages that were accepted or are on the way */
    uint64_t in, out;     /* messages to and from brokers */
    int64_t accept_us[2]; /* from SUBMIT to ACCEPTED: sum, longest */
    uint64_t accepts, busy;
    int64_t broker_ns;
};
enum { WHEEL = 1 << 14, SUBMIT_JOBS = 256 };

void fleet_init(struct world *w);
void fleet_fini(struct world *w);
/* What is due in the step that begins: images end, credit is told, leases are renewed, jobs are handed in. */
void fleet_step(struct world *w);
/* Redis answers a worker's own call. */
void fleet_on_reply(struct world *w, const struct call *c);
/* A broker's message. */
void fleet_on_message(struct world *w, int broker, const struct dispatch_output *o);

void world_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void world_tell(struct world *w, int broker, enum side side, const struct link_peer *peer, const struct message *m);

#endif
