/* Inside of the dispatcher: shared by dispatch.c (calls, outputs, ticks), submits.c, sessions.c, session_table.c,
 * claims.c and requests.c. */
#ifndef BROKER_DISPATCH_IMPL_H
#define BROKER_DISPATCH_IMPL_H

#include "broker/access.h"
#include "broker/budget.h"
#include "broker/dispatch.h"
#include "protocol/message.h"

enum {
    MAX_CALLS = 8192,        /* on the way; over it clients get BUSY */
    SUBMIT_GROUP_JOBS = 256, /* of a call: others wait for Redis behind it, longer where it copies pages after a fork */
    SUBMIT_GROUP_BYTES = 1 << 20, /* and one message more */
    CAMPAIGN_NUMBERS = 64,        /* that are remembered */
    SUBMITS_AT_ONCE = 2,
    SUBMIT_SECOND_JOBS = 64, /* are worth a second call beside the one that is on the way */
    CLAIMS_AT_ONCE = 2,      /* of a class, on a shard */
    CLAIM_JOBS = 256,        /* of a call: so long others wait for Redis, and ends of what it hands out come together */
    CLAIM_SESSIONS = 128,
    CLAIM_QUANTUM = 16,
    CLAIM_SHARE = 8,        /* a session's while others wait too and nobody knows how much work there is */
    ANSWER_BYTES = 2 << 20, /* of jobs or records in one answer; the frame has room for one more of the largest */
    POISON_CRASHES = 3,
    RETRY_MS = 200,
    FULL_RETRY_MS = 1000, /* memory or a quota: gone in seconds at the earliest */
    FULL_POLL_MS = 250,
    SUBMIT_STOPS_AT =
        70,              /* percent of Redis' maxmemory: nothing new comes in. The rest is for the results of what is */
    CLAIM_STOPS_AT = 85, /* there; and above this for what runs: ends of work are stored whatever memory there is */
    IDLE_POLL_MS = 5,
    IDLE_POLL_MOST_MS = 50,
    /* Of one connection, and of one client's key, on the way. A client asks one thing at a time beside its 32
     * SUBMITs of some 128 KiB; a worker five. */
    PEER_CALLS = 40,
    PEER_BYTES = 5 << 20,
    KEY_CALLS = 256,
    KEY_SHARE = 4, /* of the bytes that are held for all */
};

/* A SUBMIT that waits for its answer. */
struct submit_group {
    struct link_peer peer;
    uint64_t request, number_serial;
    size_t n, bytes;
};
/* SUBMITs that share a call. */
struct submit_batch {
    struct submit_batch *next;
    struct store_args args;
    struct submit_group *groups;
    size_t n_groups, cap_groups, n_jobs;
};

/* A campaign's number in Redis, "" before an answer said it. serial: a name that took another one's place is another.
 */
struct campaign_number {
    uint64_t serial;
    size_t name_len;
    char name[LIMIT_NAME_BYTES], number[24];
};

/* A worker's session, as this broker knows it. */
struct session {
    uint8_t id[SESSION_BYTES];
    int class_index;
    struct link_peer peer;
    uint64_t seq, want; /* credit not yet answered: want > 0 */
    uint64_t owned;     /* jobs it has, as it said with its credit */
    uint64_t given;     /* since then */
    bool claiming;
    int next_shard; /* whose turn it is */
    int pinned; /* shard that it may only claim from: it has suspects of that one, or is in quarantine there; or -1 */
    int64_t not_before; /* of its next CLAIM */
    int64_t heard_at;
};

/* While a class has no work on a shard its sessions are asked for rarely there. */
struct work_class {
    char name[CLASS_BYTES + 1];
    struct class_on_shard {
        int64_t dry_until;
        int pause_ms;
        int on_the_way; /* calls */
        uint64_t left;  /* jobs that wait, as of the last answer, less those asked for since */
        bool woken;     /* since then there may be more */
    } on[LIMIT_SHARDS];
    /* How fast jobs end, by what sessions say they have: since a time, and in the span before. */
    double ended, ended_per_ms;
    int64_t ended_since;
    int sessions, waiting; /* its own, and those of them with credit, as of this round of claims */
};

struct claim_batch;

/* What is remembered of a call on the way. */
struct pending {
    bool used;
    uint32_t generation;
    enum script script;
    int shard;
    enum side side;
    struct link_peer peer;
    uint64_t request, seq;
    uint64_t n; /* how many were asked for */
    uint8_t session[SESSION_BYTES];
    char class_name[CLASS_BYTES + 1];
    bool bye;
    bool charged;       /* to its peer's budget */
    bool sees_sessions; /* WORKERS: it may know their names */
    bool sees_tenants;
    struct submit_batch *batch;
    struct claim_batch *claim;
};

/* Background scripts, each at most once on the way. */
enum chore { CHORE_REAP, CHORE_PROMOTE, CHORE_SWEEP, CHORE_DOOMED, CHORE_COUNT_ };
struct chore_state {
    bool on_the_way;
    int64_t due;
};

struct shard_state {
    bool ready;
    int beside; /* shards on its Redis */
    struct chore_state chores[CHORE_COUNT_];
};

struct dispatch {
    struct dispatch_options options;
    char *worker_redis;
    bool ready, draining; /* ready: some shard is */
    struct shard_state shards[LIMIT_SHARDS];
    const struct allow_list *allowed; /* NULL: everybody everything */
    struct budget *budget;

    struct pending *calls;
    uint32_t n_calls, cap_calls, free_hint;

    struct dispatch_output *outputs; /* ring */
    size_t out_head, out_n, out_cap;

    struct submit_batch *first, *last; /* not sent yet; the last one is open */
    int submits_on_the_way;
    struct campaign_number numbers[CAMPAIGN_NUMBERS];
    size_t next_number;
    uint64_t number_serial;
    size_t held_bytes;

    struct session *sessions;
    uint32_t *by_id; /* places in sessions, in the order of ids */
    size_t n_sessions, cap_sessions, next_session;
    struct work_class *classes;
    size_t n_classes;
    uint64_t accepted, handed_out; /* jobs, since the start */
};

/* dispatch.c */
/* Queues a call; takes args over. The pending row is the caller's to fill until the next call; NULL: memory is short or
 * too many are on the way, and args are freed. */
struct pending *dispatch_call(struct dispatch *d, enum script script, struct store_args *args);
/* The same for a question: charged to its peer's budget. NULL: it has been told why not. */
struct pending *dispatch_question(struct dispatch *d, enum side side, const struct link_peer *peer,
                                  const struct message *m, enum script script, struct store_args *args);
void dispatch_send(struct dispatch *d, enum side side, const struct link_peer *peer, const struct message *m);
void dispatch_error(struct dispatch *d, enum side side, const struct link_peer *peer, const struct message *to,
                    enum message_code code, const char *text);
struct wire_view view_of_text(const char *text);
/* What CLAIM and STATUS are told of memory: the stop, and the shard's budget of records. */
void dispatch_arg_pressure(const struct dispatch *d, int shard, struct store_args *args);
/* The shard that a message names; -1 where it does not, and there are several. */
int dispatch_shard_of(const struct dispatch *d, const struct message *m);

/* submits.c */
void submits_add(struct dispatch *d, const struct link_peer *peer, const struct allowed *who, const struct message *m);
void submits_flush(struct dispatch *d);
void submits_on_reply(struct dispatch *d, struct submit_batch *batch, const struct reply *r);
void submit_batch_free(struct submit_batch *b);

/* session_table.c: pointers to sessions hold until one is added or removed. */
struct session *session_find(struct dispatch *d, const uint8_t *id); /* NULL: none */
struct session *session_add(struct dispatch *d, const uint8_t *id);  /* one that is not there; NULL: memory is short */
void session_remove(struct dispatch *d, struct session *s);          /* the last one takes its place */

/* sessions.c */
void sessions_on_message(struct dispatch *d, const struct link_peer *peer, const struct message *m, int64_t now_ms);
void sessions_on_reply(struct dispatch *d, const struct pending *p, const struct reply *r, int64_t now_ms);
/* n jobs from element `at` of an answer on; none: the worker is told to RESUME. */
void session_send_jobs(struct dispatch *d, const struct session *s, uint64_t seq, const struct reply *r, size_t at,
                       size_t n);
void session_end(struct dispatch *d, const struct session *s); /* its lease has ended: it is told, and forgotten */
void sessions_recheck(struct dispatch *d);                     /* another allow-list is in force */

/* claims.c */
int sessions_claim(struct dispatch *d, int64_t now_ms); /* in how many ms again */
void sessions_wake(struct dispatch *d);                 /* there may be work */
void claims_on_reply(struct dispatch *d, struct claim_batch *b, const struct reply *r, int64_t now_ms); /* frees b */
void claim_batch_free(struct claim_batch *b);

/* operate.c: what operators ask. The field whose value such a message can't have, and in *want what was expected; NULL:
 * none. */
const char *operate_wrong_value(const struct message *m, const char **want);
/* After that; false: not one of their messages */
bool operate_build(const struct allowed *who, const struct message *m, enum script *script, struct store_args *args);
/* How a member with a text stands in a record. */
void operate_arg_member(struct store_args *args, const char *name, struct wire_view text);
void operate_on_reply(struct dispatch *d, const struct pending *p, const struct reply *r);

/* requests.c: what clients ask beside SUBMIT */
void requests_answer_records(struct dispatch *d, const struct pending *p, const struct reply *r);
void requests_send_rows(struct dispatch *d, const struct pending *p, struct message *m, struct wire_writer *w);
void requests_on_message(struct dispatch *d, const struct link_peer *peer, const struct allowed *who,
                         const struct message *m);
void requests_on_reply(struct dispatch *d, const struct pending *p, const struct reply *r);

#endif
