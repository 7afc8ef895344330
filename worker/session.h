/* A worker's link to the queue: HELLO, credit, leases, results. It takes jobs from a broker, gives them to an engine
 * behind the small table below, and sees to it that each result is stored, by itself in Redis (direct route) or through
 * the broker (relay).
 *
 * One thread runs session_run and owns everything here, so leases are renewed however long the engine computes. The
 * engine reports through session_started and session_finished from any thread. */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include <signal.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/status.h"
#include "protocol/job.h"
#include "protocol/link.h"
#include "protocol/result.h"
#include "protocol/store.h"
#include "worker/twins.h"

struct meters; /* worker/meters.h */
struct session;
struct flight; /* a job that this session owns; the engine hands it back as it got it */

/* What runs jobs. Every job that start took must come back through session_finished exactly once. */
struct session_engine {
    void *ctx;
    /* Takes job over, also on failure (then the job ends as failed). Must not block for long: credit bounds what comes.
     */
    enum status (*start)(void *ctx, struct job *job, struct flight *flight, struct diag *why);
    void (*cancel)(void *ctx, struct flight *flight);
    /* Hands back what has not begun, finishes the rest, returns when all of it has ended. Runs on a thread of its own.
     */
    void (*drain)(void *ctx);
    /* May be NULL: the session's loop turned; welcomed: a broker has this session. */
    void (*turned)(void *ctx, bool welcomed);
    enum status (*state)(void *ctx, struct diag *why); /* not ST_OK: nothing can be computed any more */
};

struct session_options {
    const char *broker;              /* worker sockets of brokers, one or several (protocol/endpoints.h) */
    const struct link_keys *keys;    /* CURVE, or NULL */
    bool insecure;                   /* without keys even to other hosts */
    const struct store_login *login; /* at Redis, on the direct route; or NULL */
    const char *class_name;          /* "MODELHASH/dtype" */
    const char *tasks;               /* "caption,describe,locate,ask" */
    const char *label;               /* host, process, device */
    int context;                     /* longest context, tokens */
    int credit;                      /* jobs in flight at most, 1 .. LIMIT_HELD_JOBS */
    int drain_ms;                    /* grace of a stop; what is unfinished then goes back */
    struct twins *twins;             /* borrowed while the session lives; NULL: no results are copied */
    struct meters *meters;           /* borrowed while the session lives; NULL: nobody looks */
    const struct log *log;
};

MUST_CHECK enum status session_open(const struct session_options *o, const struct session_engine *engine,
                                    struct session **out, struct diag *why);
/* Until *stop is set and everything has drained, or the engine is lost (its status), or a broker does not want this
 * worker: ST_REFUSED, or ST_UNSUPPORTED where it speaks another version. ST_TIMEOUT: the grace passed, what
 * was unfinished went back, and the engine is still busy with it: the process should end without session_close. */
MUST_CHECK enum status session_run(struct session *s, const volatile sig_atomic_t *stop, struct diag *why);
void session_close(struct session *s); /* after session_run has returned; NULL is fine */

/* Any thread: the engine began with the job (from here on it is suspected if this process dies). */
void session_started(struct session *s, struct flight *f);
/* Any thread: it ended. record: JSON text, malloc'ed, ownership goes over; NULL with handed_back. */
struct session_end {
    bool handed_back; /* not begun: back to the queue */
    bool failed;
    enum error_class error_class;
    char *record;
    struct twin twin; /* under which its result is told, once it is stored; or unnamed */
};
void session_finished(struct session *s, struct flight *f, const struct session_end *end);

#endif
