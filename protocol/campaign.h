/* What a broker tells of a campaign and of a worker: plain data, shared by broker, client and command line. */
#ifndef PROTOCOL_CAMPAIGN_H
#define PROTOCOL_CAMPAIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

/* CAMPAIGN_PURGED is only ever asked for: cancelled, and then nothing is kept of it. */
enum campaign_state { CAMPAIGN_ACTIVE, CAMPAIGN_PAUSED, CAMPAIGN_CANCELLED, CAMPAIGN_PURGED, CAMPAIGN_STATE_COUNT_ };
const char *campaign_state_name(enum campaign_state s); /* "active", ... */

enum { PLACE_HASH_BYTES = 32, CLASS_BYTES = 96, SESSION_BYTES = 16, STOPPED_BYTES = 16, SAID_BYTES = 128 };

/* How far a manifest has been handed in: everything in front of offset is accepted. */
struct place {
    uint8_t manifest[PLACE_HASH_BYTES]; /* SHA-256 of what identifies the input; all zero = no place yet */
    uint64_t offset;                    /* bytes of a manifest, or entries of a list of files */
};

struct campaign_status {
    char name[LIMIT_NAME_BYTES + 1];
    char tenant[LIMIT_NAME_BYTES + 1];
    char class_name[CLASS_BYTES + 1]; /* "MODELHASH/dtype": which workers may take it */
    enum campaign_state state;
    /* total = ready + running + delayed + done + failed + cancelled, at every moment */
    uint64_t total, ready, running, delayed, done, failed, cancelled;
    uint64_t trimmed; /* ended jobs whose records were taken out (result_cursor_sum) */
    uint64_t workers; /* live sessions of its class */
    struct place place;
    char labels[LIMIT_NAME_BYTES + 1]; /* "season=winter,team=a" */
    char stopped[STOPPED_BYTES + 1];   /* why nothing of it is handed out though it waits: "no-worker", "memory",
                                          "results", "failures" (it is paused), "shard-away" (then the counters are
                                          those of the others), or "" */
    bool completed;                    /* everything was handed in and has ended */
};
/* Nothing is left to do in it (a campaign without jobs counts as unfinished). */
bool campaign_is_finished(const struct campaign_status *c);
/* A sentence for people about `stopped`; "" where it is empty. */
const char *campaign_stopped_text(const struct campaign_status *c);

/* How far records were read: a number a shard, from 0. All zero: the beginning, of as many shards as there are. */
struct result_cursor {
    uint64_t at[LIMIT_SHARDS];
    int shards; /* 0: not known yet */
    int next;   /* shard that is read first */
};
uint64_t result_cursor_sum(const struct result_cursor *c); /* ended jobs in front of it */

enum job_action { JOB_SHOW, JOB_CANCEL, JOB_RETRY, JOB_ACTION_COUNT_ };

struct worker_status {
    char session[2 * SESSION_BYTES + 1]; /* hex */
    char class_name[CLASS_BYTES + 1];
    char label[LIMIT_NAME_BYTES + 1]; /* host, process, device; for people */
    char state[STOPPED_BYTES + 1];    /* "", "quarantined", "draining" */
    uint64_t running;
    int64_t lease_ms;          /* what is left of its lease; negative: lapsed, not reaped yet */
    char said[SAID_BYTES + 1]; /* of its work by its last beat (PROTOCOL.md, section 4); "" where it said nothing */
};
/* The numbers in worker_status.said; false: it said nothing, or something else. */
struct worker_said {
    int64_t images, failed;        /* ended since its start; failed ones of them */
    int64_t images_per_1000s;      /* lately */
    int64_t tokens_per_s;          /* of answers */
    int64_t fetch, decode, engine; /* how busy, permille */
};
bool worker_said_read(const char *said, struct worker_said *out);
bool worker_said_is_sound(const char *said, size_t len); /* digits and bars */

#endif
