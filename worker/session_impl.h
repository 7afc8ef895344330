/* Inside of the session: shared by session.c (loop, messages), session_ask.c (broker), results.c (what is written to
 * the queue) and session_twins.c (the index of what was answered). */
#ifndef WORKER_SESSION_IMPL_H
#define WORKER_SESSION_IMPL_H

#include <pthread.h>

#include "protocol/message.h"
#include "protocol/store.h"
#include "worker/session.h"

/* What may be owned, and as much again of flights that somebody else owns while the engine still has them. */
enum { FLIGHTS_MOST = 2 * LIMIT_HELD_JOBS };

enum flight_state { FLIGHT_RUNNING, FLIGHT_ENDED };

struct flight {
    struct flight *next; /* in the list of events */
    struct session *session;
    uint8_t id[ID_BYTES];
    char *key, *image; /* for a record that has to be made here; NULL where the job could not be read */
    enum flight_state state;
    bool in_engine; /* session_finished is still to come */
    bool lost;      /* belongs to somebody else by now: whatever it comes to is dropped */
    bool on_the_way;
    bool waits; /* ended, and its shard was away: it is written again later */
    bool began, began_is_told;
    int64_t began_at, max_runtime_ms; /* 0: any */
    struct session_end end;
    int64_t ended_us;
    bool event_began, event_ended; /* under the lock */
};

/* What the session writes to the queue; each kind at most once on the way. */
enum write_kind { WRITE_FINISH, WRITE_BEAT, WRITE_HANDBACK, WRITE_COUNT_ };
struct write_state {
    bool on_the_way;
    uint64_t request;
    int64_t again_at; /* relay: no answer until then, so once more */
};

enum { SESSION_TAG_TWINS = WRITE_COUNT_ }; /* of a call beside those */

enum session_state { SESSION_HELLO, SESSION_RESUMING, SESSION_OPEN };

struct session {
    struct session_options options;
    struct session_engine engine;
    uint8_t id[SESSION_BYTES];
    struct link_context *context;
    struct link *link;
    struct store *store; /* direct route; NULL before the first WELCOME and on the relay route */
    char store_address[LIMIT_URI_BYTES + 1];
    int shards; /* of the queue */
    int64_t store_ready_at;
    bool store_was_ready, store_complained;

    enum session_state state;
    enum status refused; /* HELLO was: not asked again */
    struct diag refused_why;
    int64_t ask_at;  /* HELLO, RESUME: next time */
    int64_t well_at; /* last answer of a broker that can reach Redis, or the last move to another one */
    int64_t ping_at;
    bool is_connected;      /* as of the last message sent */
    enum status link_state; /* of link_trouble, as last told */
    int64_t lease_ms, beat_ms;
    uint64_t last_request;

    struct flight **flights;
    size_t n_flights;

    uint64_t seq, told_want; /* credit as last told to the broker */
    int64_t credit_at;
    int strays; /* beats in a row at which the queue counted more jobs than we know of */
    bool jobs_came;

    struct write_state writes[WRITE_COUNT_];
    int64_t beat_at, tell_at, wait_until; /* wait_until: of those that wait */
    bool tell_begun;

    bool twins_on_the_way, twins_known; /* known: by the broker and its Redis, as of the last WELCOME */
    uint64_t twins_request;
    int64_t twins_until;

    bool draining, engine_ended, bye, gone;
    bool told_to_drain, quarantined; /* as of the last beat */
    int64_t drain_until;
    pthread_t drainer;
    bool drainer_runs;

    int event_fd;
    bool was_woken;       /* by it, in the last wait */
    bool has_mail;        /* from the broker, in the last wait */
    pthread_mutex_t lock; /* guards what follows */
    struct flight *events;
    bool drained;
};

/* session.c */
void session_drop_flight(struct session *s, struct flight *f); /* out of the table; freed */
struct flight *session_flight(const struct session *s, const uint8_t *id);

/* session_ask.c */
void session_say_hello(struct session *s); /* the session is not known any more, or not yet */
void session_resume(struct session *s);
void session_ask(struct session *s, int64_t now_ms); /* what is due until the session is open, of which broker */
void session_tell_credit(struct session *s, int64_t now_ms); /* once it is */

/* results.c */
void results_use_route(struct session *s, const struct message *welcome);
void results_pump(struct session *s); /* the connection to Redis, where there is one, and its answers */
void results_write(struct session *s, int64_t now_ms); /* starts what is due */
int results_due(const struct session *s, int64_t now_ms);
void results_on_store(struct session *s, const struct store_answer *a, int64_t now_ms);
bool results_on_message(struct session *s, const struct message *m, int64_t now_ms); /* false: not one of ours */
bool results_all_stored(const struct session *s);

/* session_twins.c; all but the messages do nothing where results are not copied */
void session_twins_carry(struct session *s, int64_t now_ms);
void session_twins_on_store(struct session *s, const struct reply *r);
bool session_twins_on_message(struct session *s, const struct message *m); /* false: not one of ours */
void session_twins_forget(struct session *s); /* what is on the way will not be answered; a new start */

#endif
