/* Messages between clients, brokers and workers: one MessagePack value a frame, [version, kind, request, {fields}].
 * PROTOCOL.md is normative for kinds, fields and limits; the two tables in message.c are its other copy.
 *
 * Views in a decoded message borrow from the frame. Fields that a kind does not have stay zero. */
#ifndef PROTOCOL_MESSAGE_H
#define PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/campaign.h"
#include "protocol/limits.h"
#include "protocol/wire.h"

enum message_kind {
    MESSAGE_ERROR = 0,
    /* client -> broker, and the answer */
    MESSAGE_PING = 1,
    MESSAGE_PONG = 2,
    MESSAGE_CAMPAIGN = 3,     /* make or check: CAMPAIGNS */
    MESSAGE_CAMPAIGN_SET = 4, /* pause, resume, cancel: CAMPAIGNS */
    MESSAGE_STATUS = 5,       /* one or all: CAMPAIGNS */
    MESSAGE_CAMPAIGNS = 6,
    MESSAGE_SUBMIT = 7, /* ACCEPTED or BUSY */
    MESSAGE_ACCEPTED = 8,
    MESSAGE_BUSY = 9,
    MESSAGE_RESULTS = 10, /* RECORDS */
    MESSAGE_RECORDS = 11,
    MESSAGE_TRIM = 12, /* TRIMMED */
    MESSAGE_TRIMMED = 13,
    MESSAGE_WORKERS = 14, /* SESSIONS */
    MESSAGE_SESSIONS = 15,
    /* what operators ask */
    MESSAGE_LIST = 16, /* events, tombstones, the shard's numbers: LISTED */
    MESSAGE_LISTED = 17,
    MESSAGE_TENANT = 18, /* LISTED: its weight, quota and what it has unfinished */
    MESSAGE_DRAIN = 19,  /* LISTED, empty */
    MESSAGE_JOB = 20,    /* show, cancel or retry one: JOB_IS */
    MESSAGE_JOB_IS = 21,
    MESSAGE_REQUEUE = 22, /* what failed for good waits again: REQUEUED */
    MESSAGE_REQUEUED = 23,
    MESSAGE_DEAD = 24,   /* what failed for good: RECORDS */
    MESSAGE_FORGET = 25, /* FORGOTTEN */
    MESSAGE_FORGOTTEN = 26,
    /* worker -> broker, and the answer */
    MESSAGE_HELLO = 32, /* WELCOME */
    MESSAGE_WELCOME = 33,
    MESSAGE_CREDIT = 34, /* JOBS, when there are some */
    MESSAGE_JOBS = 35,
    MESSAGE_RESUME = 36, /* RESUMED */
    MESSAGE_RESUMED = 37,
    MESSAGE_DONE = 38, /* DONE_ACK */
    MESSAGE_DONE_ACK = 39,
    MESSAGE_BEAT = 40, /* BEAT_ACK */
    MESSAGE_BEAT_ACK = 41,
    MESSAGE_HANDBACK = 42, /* HANDBACK_ACK */
    MESSAGE_HANDBACK_ACK = 43,
    MESSAGE_TWINS = 44, /* TWINS_ARE */
    MESSAGE_TWINS_ARE = 45,
    MESSAGE_KIND_END_
};
const char *message_kind_name(enum message_kind k); /* "SUBMIT"; "?" for an unknown one */

enum message_code {                /* of an ERROR */
                    CODE_FORMAT,   /* "format": the frame is not what PROTOCOL.md says */
                    CODE_VERSION,  /* "version": newer than the receiver */
                    CODE_LIMIT,    /* "limit" */
                    CODE_MISSING,  /* "missing": no such campaign */
                    CODE_REFUSED,  /* "refused": pins differ, campaign cancelled */
                    CODE_NO_CLASS, /* "no-class": the class was left open and no worker, or several kinds, are there */
                    CODE_SESSION,  /* "session": not known (any more): say HELLO */
                    CODE_STORE,    /* "store": Redis failed or is away; try again */
                    CODE_DENIED,   /* "denied": the peer's key has not the role, or not the tenant, that it takes */
                    CODE_COUNT_
};
const char *message_code_name(enum message_code c);
enum status message_code_status(struct wire_view code); /* what a client's caller gets for it */

enum { ROUTE_DIRECT, ROUTE_RELAY }; /* WELCOME.route */
enum { OUTCOME_DONE = 'd', OUTCOME_FAILED = 'f', OUTCOME_TRANSIENT = 't', OUTCOME_ENVIRONMENT = 'e' }; /* DONE row */

struct message {
    enum message_kind kind;
    uint64_t request; /* the asker's number, echoed */
    struct wire_view campaign, tenant, class_name, pin, label, labels, code, text, address, tasks;
    struct wire_view session;  /* SESSION_BYTES */
    struct wire_view manifest; /* PLACE_HASH_BYTES, or empty = no place */
    struct wire_view ids;      /* ID_BYTES each, one behind another */
    struct wire_view statuses; /* a letter a job */
    struct wire_view rows;     /* an encoded array; see below */
    uint64_t offset, cursor, state, unfinished, retry_ms, max, more, seq, want, route, shards, lease_ms, beat_ms, owned,
        context, bye, end, n, fail_stop, weight, quota, action, on, flags, shard, away;
    struct wire_view durability;
    struct wire_view name, place;  /* LIST's what, a URI or a hash; where FORGET goes on */
    struct wire_view body, record; /* JOB_IS */
};

/* *bytes malloc'ed. ST_LIMIT over LIMIT_FRAME_BYTES, ST_NOMEM. */
MUST_CHECK enum status message_encode(const struct message *m, uint8_t **bytes, size_t *len);
/* Everything is checked, rows included: ST_OK means that the row readers below can't fail. ST_UNSUPPORTED: a newer
 * version (why names both) or an unknown kind; out->kind and out->request are set even then where they could be read.
 */
MUST_CHECK enum status message_decode(const void *bytes, size_t len, struct message *out, struct diag *why);

enum { FLAG_QUARANTINED = 1, FLAG_DRAIN = 2 }; /* BEAT_ACK.flags */
enum { FLAG_TWINS = 1 };                       /* WELCOME.flags: TWINS may be asked, and its script is loaded */

/* Rows of SUBMIT, JOBS, RESUMED, DONE, RECORDS. */
struct message_row {
    const uint8_t *id;     /* ID_BYTES */
    uint64_t n[4];         /* SUBMIT: priority, max retries, deadline, earliest start; JOBS, RESUMED: fails, crashes;
                              DONE: outcome; RECORDS: cursor behind it */
    struct wire_view body; /* job, or record */
};
void message_row_put(struct wire_writer *w, const struct message_row *row);
/* The array itself is opened with wire_put_array. Readers: */
size_t message_rows_open(const struct message *m, struct wire_reader *r); /* how many */
struct message_row message_row_next(struct wire_reader *r);

void message_campaign_put(struct wire_writer *w, const struct campaign_status *c); /* row of CAMPAIGNS */
struct campaign_status message_campaign_next(struct wire_reader *r);
void message_worker_put(struct wire_writer *w, const struct worker_status *s); /* row of SESSIONS */
struct worker_status message_worker_next(struct wire_reader *r);
void message_number_put(struct wire_writer *w, const char *name, size_t len, uint64_t value); /* LISTED, JOB_IS */
/* *name borrows from the message. */
uint64_t message_number_next(struct wire_reader *r, struct wire_view *name);

#endif
