/* What the processes of a chaos run tell the driver, in memory that they share: how much each has in flight, which
 * failpoints it came by, and whether the one it was to fail at has fired. Survives the kill of a process. */
#ifndef TESTS_CHAOS_GAUGES_H
#define TESTS_CHAOS_GAUGES_H

#include <stdatomic.h>

enum role { ROLE_REDIS, ROLE_PROXY, ROLE_BROKER, ROLE_WORKER, ROLE_SUBMITTER, ROLE_OPERATOR, ROLE_COUNT_ };
enum { MOST_PEERS = 4 };

enum fail_site { FAIL_SEND, FAIL_CALL, FAIL_SITES };    /* of a message to ZeroMQ; of a script to Redis */
enum fail_phase { FAIL_BEFORE, FAIL_SENT, FAIL_AFTER }; /* SENT: calls only, not answered yet */
enum fail_action { FAIL_KILL, FAIL_STOP, FAIL_LOSE };   /* LOSE: the message, the call or its answer */
enum { FAIL_NAMES = 64 };                               /* message kinds, scripts */

struct gauges {
    _Atomic int in_flight[ROLE_COUNT_][MOST_PEERS];
    _Atomic int seen[ROLE_COUNT_][MOST_PEERS][FAIL_SITES][FAIL_NAMES];
    _Atomic int fired;
};

/* Variables of a child's environment. CHAOS_FAIL: "site name phase action", numbers of the enums above. */
#define CHAOS_GAUGES "CHAOS_GAUGES"
#define CHAOS_ROLE "CHAOS_ROLE"
#define CHAOS_INDEX "CHAOS_INDEX"
#define CHAOS_FAIL "CHAOS_FAIL"

/* Maps the file; NULL: there is none. */
struct gauges *gauges_map(const char *path);
/* This process' own count of what it has in flight; one of nobody where the environment names no file. */
_Atomic int *gauges_in_flight(void);

#endif
