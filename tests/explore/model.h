/* Who calls the scripts: one client with three jobs, two workers' sessions behind brokers, the brokers' chores, and a
 * clock. A world is Redis' state and what the others know; every step is one call with its answer, or a call whose
 * answer is lost: it runs at once, later, after others, or never. */
#ifndef TESTS_EXPLORE_MODEL_H
#define TESTS_EXPLORE_MODEL_H

#include "tests/explore/memory_redis.h"

enum { JOBS = 3, SESSIONS = 2, DRAINER = SESSIONS, ALL_SESSIONS, LATE_MOST = 2, LEASE_MS = 1000 };

/* How often that may happen on one path. */
struct budget {
    uint8_t jobs; /* of the client; 1 to JOBS */
    uint8_t losses, crashes, lapses, outages, failures, handbacks, holds;
};

enum session_state { IS_NEW, IS_RESUMING, IS_OPEN, IS_DEAD };
struct session {
    uint8_t state; /* enum session_state */
    uint8_t seq;
    uint8_t fence;                         /* highest number that was answered with jobs, or that a RESUME carried */
    uint8_t known, begun, told, returning; /* sets of jobs */
};

/* What is told to Redis. */
enum call_kind {
    CALL_SUBMIT,
    CALL_HELLO,
    CALL_RESUME,
    CALL_CLAIM,
    CALL_BEAT,
    CALL_FINISH,
    CALL_FAIL,
    CALL_HANDBACK,
    CALL_REAP,
    CALL_PROMOTE
};
struct call {
    uint8_t kind, session, seq, jobs;
};

struct world {
    struct budget left;
    struct session sessions[ALL_SESSIONS];
    struct call late[LATE_MOST]; /* on the way without anybody waiting for the answer */
    uint8_t n_late, jobs, acknowledged, paused;
    uint8_t twice; /* a number behind its fence got jobs */
};

struct explorer {
    struct script_host *host;
    struct arena arena;
};

/* A world in which nothing was handed in yet; writes Redis' state. */
void model_begin(struct explorer *e, const struct budget *b, struct world *w, struct memory_redis *r);

/* Every step that is possible in w. */
struct step {
    struct call call;
    enum { STEP_CALL, STEP_LOSE, STEP_LATE, STEP_BEGIN, STEP_CRASH, STEP_LAPSE, STEP_OUTAGE, STEP_PAUSE } kind;
};
enum { STEPS_MOST = 64 };
size_t model_steps(const struct world *w, struct step steps[STEPS_MOST]);
void model_do(struct explorer *e, const struct step *s, struct world *w, struct memory_redis *r);
const char *model_describe(const struct step *s, char *out, size_t size);

/* From here everything goes well: the sessions that live finish what there is (or, where all_die, another one does). */
void model_drain(struct explorer *e, struct world *w, struct memory_redis *r, bool all_die);

/* check.c: NULL, or the promise that does not hold. drained: nothing may be left to be done. */
const char *check_world(const struct world *w, const struct memory_redis *r, bool drained);
struct text job_id_text(int job);

#endif
