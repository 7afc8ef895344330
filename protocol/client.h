/* A client of a broker: what `ferret submit`, `status`, `watch` and `export` use. Blocking, one thread.
 *
 * Every call may be repeated: jobs are known by their id, results by a cursor. While a call waits, the link reconnects
 * by itself, moves to another broker of its list where one is silent or without Redis, and unanswered requests are sent
 * again; when nothing was heard for timeout_ms the call gives ST_TIMEOUT.
 * A broker that says no, or does not let the key in, gives ST_REFUSED, with its sentence; an unknown campaign
 * ST_MISSING; a broker that speaks a newer protocol only ST_UNSUPPORTED. */
#ifndef PROTOCOL_CLIENT_H
#define PROTOCOL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/campaign.h"
#include "protocol/job.h"
#include "protocol/link.h"

struct client;

struct client_options {
    const char *address; /* of client sockets, one or several (protocol/endpoints.h): "ipc://...", "tcp://host:7411" */
    int timeout_ms;      /* without any answer; 0 = 10 s */
    const struct link_keys *keys; /* CURVE, or NULL */
    bool insecure;                /* without keys even to other hosts */
};

/* ST_TIMEOUT when no broker answers. The caller owns *out: client_close. */
MUST_CHECK enum status client_open(const struct client_options *o, struct client **out, struct diag *why);
int client_shards(const struct client *c); /* of the queue */
void client_close(struct client *c);       /* NULL is fine; what was not flushed may or may not have been accepted */

/* ---- campaigns ------------------------------------------------------------------------------------------------ */

/* What is pinned when a campaign is made. */
struct campaign_spec {
    const char *name;
    const char *tenant;     /* NULL = "default" */
    const char *class_name; /* "MODELHASH/dtype". NULL or "": the class of the live workers, if all have the same one */
    const char *pin;        /* a hash or text (<= LIMIT_NAME_BYTES) over tasks and options: another one is refused */
    const char *labels;     /* for people, "k=v,k=v" (<= LIMIT_NAME_BYTES); NULL: as they are */
    double fail_stop;       /* share of failed images at which it is paused, from 100 ended on; 0: as it is */
};
/* Makes the campaign, or checks that the one of this name has the same pins (ST_REFUSED names what differs). ST_BUSY:
 * class_name was left open and no worker is there yet. *out (may be NULL) is its status. */
MUST_CHECK enum status client_campaign(struct client *c, const struct campaign_spec *spec, struct campaign_status *out,
                                       struct diag *why);
/* Pause, resume, cancel: CLAIM reads this one field. Cancelled is final. */
MUST_CHECK enum status client_campaign_set(struct client *c, const char *campaign, enum campaign_state state,
                                           struct campaign_status *out, struct diag *why);
MUST_CHECK enum status client_status(struct client *c, const char *campaign, struct campaign_status *out,
                                     struct diag *why);
/* All of them, oldest first; *out is malloc'ed (NULL for none). */
MUST_CHECK enum status client_campaigns(struct client *c, struct campaign_status **out, size_t *n, struct diag *why);
MUST_CHECK enum status client_workers(struct client *c, struct worker_status **out, size_t *n, struct diag *why);

/* ---- submit --------------------------------------------------------------------------------------------------- */

struct submit_counts {
    uint64_t accepted;   /* new, durable now */
    uint64_t duplicate;  /* were there already, unfinished */
    uint64_t finished;   /* were there already, with a result */
    uint64_t unfinished; /* of the campaign, as of the last answer */
    uint64_t local;      /* of the new ones: those that no replica had when they were accepted */
};

/* Hands a job in; job->campaign names the campaign, job->tenant must be the campaign's. Jobs travel in batches, several
 * batches at once; the call blocks while the window is full or the broker says BUSY (that is backpressure, not an
 * error, and lasts as long as workers need). `after` (may be NULL): the place in the input behind this job; it is
 * committed once everything in front of it is accepted. ST_LIMIT: the job is over LIMIT_JOB_BYTES (nothing was sent).
 */
MUST_CHECK enum status client_submit(struct client *c, const struct job *job, const struct place *after,
                                     struct diag *why);
/* Waits until everything handed in is accepted, and commits the last place. */
MUST_CHECK enum status client_flush(struct client *c, struct diag *why);
/* The same, and the campaign gets no more jobs: it is complete once all have ended. A job handed in later opens it
 * again.
 */
MUST_CHECK enum status client_seal(struct client *c, const char *campaign, struct diag *why);
struct submit_counts client_submit_counts(const struct client *c);
/* Why the broker takes nothing just now, a sentence of its own; "" while it does. Borrowed from c. */
const char *client_submit_busy(const struct client *c);
/* Called about once a second while client_submit or client_flush wait for room; false gives up with ST_CANCELLED. */
void client_on_wait(struct client *c, bool (*fn)(void *ctx, const struct submit_counts *counts), void *ctx);

/* ---- results -------------------------------------------------------------------------------------------------- */

/* One record, JSON text; false stops (the call then gives ST_CANCELLED). */
typedef bool (*client_result_fn)(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len);

/* Records from *cursor on, of each shard in the order in which jobs ended; *cursor moves behind the last one given out.
 * At most one message's worth (up to 256) a shard and call; *more: there were further ones. A cursor in front of what
 * was trimmed moves up to the first record that is left, one behind the end (a failover lost the records there) back to
 * it. ST_REFUSED: the cursor is of a queue with another number of shards. */
MUST_CHECK enum status client_results(struct client *c, const char *campaign, struct result_cursor *cursor,
                                      client_result_fn fn, void *ctx, bool *more, struct diag *why);
/* Records in front of cursor may leave Redis: the caller has them on disk. Ids stay known. */
MUST_CHECK enum status client_trim(struct client *c, const char *campaign, const struct result_cursor *cursor,
                                   struct diag *why);

/* ---- for operators (client_operate.c) --------------------------------------------------------------------------- */

/* A text and its number; borrowed. False stops, the call then gives ST_CANCELLED. */
typedef bool (*client_row_fn)(void *ctx, const char *text, size_t len, uint64_t value);
/* "events" (what|campaign, Unix ms), "forgotten" (tombstones), "queue" (the queue's numbers), from *cursor on to the
 * end. With several shards, events are those of one shard behind the other, each from its beginning, and each shard
 * tells of its part of a campaign. */
MUST_CHECK enum status client_entries(struct client *c, const char *what, uint64_t *cursor, client_row_fn fn, void *ctx,
                                      struct diag *why);

struct tenant_status {
    uint64_t weight, quota, unfinished; /* quota 0: none */
};
/* weight 0, quota below 0: as it is. *out as it is afterwards. */
MUST_CHECK enum status client_tenant(struct client *c, const char *tenant, uint64_t weight, int64_t quota,
                                     struct tenant_status *out, struct diag *why);
/* session: SESSION_BYTES, or NULL for all: nothing more is handed out (on), or it is again. ST_MISSING. */
MUST_CHECK enum status client_drain(struct client *c, const uint8_t *session, bool on, struct diag *why);

/* A job as it is: texts are malloc'ed, bytes too. */
struct job_status {
    char state[STOPPED_BYTES + 1]; /* ready running delayed suspect given-up done failed ended cancelled */
    char campaign[LIMIT_NAME_BYTES + 1];
    char session[2 * SESSION_BYTES + 1]; /* hex; "" where it does not run */
    uint64_t priority, retries, deadline_ms, failures, crashes, due_ms;
    bool halted;   /* cancelled or forgotten, and not yet out of its queue or worker */
    uint8_t *body; /* encoded, where it is kept */
    size_t body_len;
    char *record; /* NULL where there is none */
};
/* Shows, cancels or retries one job; *out is what it is then. ST_MISSING: nobody knows it. The caller owns *out:
 * job_status_fini. */
MUST_CHECK enum status client_job(struct client *c, const uint8_t id[ID_BYTES], enum job_action action,
                                  struct job_status *out, struct diag *why);
void job_status_fini(struct job_status *s);
/* Everything of the campaign that failed for good waits again; *n: how many. */
MUST_CHECK enum status client_requeue(struct client *c, const char *campaign, uint64_t *n, struct diag *why);
/* Records of what failed for good and is kept with its job ("" where the record was taken out). */
MUST_CHECK enum status client_dead(struct client *c, const char *campaign, client_result_fn fn, void *ctx,
                                   struct diag *why);
/* "uri URI" or "sha256 HEX": its jobs and records go, and a tombstone stays. *n: how many were met. */
MUST_CHECK enum status client_forget(struct client *c, const char *what, uint64_t *n, struct diag *why);

#endif
