/* Redis, as the queue uses it: shards of keys on one Redis or on the nodes of a Redis Cluster, one connection a node,
 * scripts called by their hash, many calls on the way at once. The caller's poll loop drives it (store_polls,
 * store_pump, store_take); connections come back by themselves, with pauses that grow. A call whose answer can't come
 * any more ends as REPLY_LOST: whether it ran is unknown, and every script bears being called again. A store belongs to
 * one thread at a time.
 *
 * A shard is ready once the node it is thought to live on has said so. Where that node is gone or sends elsewhere
 * (MOVED) the shard waits and is looked for, and the others go on. A slot on its way to another node (ASK) is waited
 * for too: a script needs all keys of its shard in one place. */
#ifndef PROTOCOL_STORE_H
#define PROTOCOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/limits.h"
#include "protocol/reply.h"
#include "protocol/store_args.h"

/* Which shard a job lives in follows from its id. */
int store_shard_of(const uint8_t *id, int shards);

struct store;
/* address: "/path/redis.sock", "unix:/path", "host:port", "tcp://host:port"; several nodes of a cluster, joined by
 * commas. A password has no place in it. shards: 1 to LIMIT_SHARDS. Does not connect yet. */
MUST_CHECK enum status store_open(const char *address, int shards, struct store **out, struct diag *why);
void store_close(struct store *s); /* NULL is fine */
/* A user of Redis. loads: it may load scripts, and does at each connection; who may not relies on those that others
 * have loaded, and waits while there are none. */
struct store_login {
    const char *user, *password;
    bool loads;
};
/* Before the first pump. Borrowed while the store lives; NULL: nobody, who loads. */
void store_log_in(struct store *s, const struct store_login *login);
/* Before the first pump: which scripts will be called, a bit each (1 << SCRIPT_X); no others are loaded. Without it all
 * are, which costs each connection half a megabyte. */
void store_use_only(struct store *s, uint64_t scripts);
_Static_assert(SCRIPT_COUNT_ <= 64, "a bit each");
#define STORE_ALL_SCRIPTS UINT64_MAX
void store_set_shards(struct store *s, int shards);
int store_shards(const struct store *s);
/* From here on each answer says how many replicas have what the call wrote: at least n, or wait_ms have passed. */
void store_ask_replicas(struct store *s, int n, int wait_ms);

/* ---- from a poll loop ------------------------------------------------------------------------------------------- */
enum { STORE_POLLS = LIMIT_SHARDS }; /* at most */
struct store_poll {
    int fd;
    bool want_write;
};
size_t store_polls(const struct store *s, struct store_poll out[STORE_POLLS]);
bool store_wants_write(const struct store *s);
bool store_shard_is_ready(const struct store *s, int shard);
bool store_is_ready(const struct store *s);      /* a shard is */
bool store_all_are_ready(const struct store *s); /* all are */
/* How many shards live where this one does. */
int store_shards_beside(const struct store *s, int shard);
/* Reads, writes, connects as due. Returns in how many ms it wants to be called again at the latest; -1: on its fds. */
int store_pump(struct store *s, int64_t now_ms);
/* After a wait: whether one of its fds was ready. From the first such call on store_pump reads only once after each
 * that says so, which spares a system call a turn; without any it always tries. */
void store_tell(struct store *s, bool has_news);
const char *store_trouble(const struct store *s); /* why a shard is not ready; "" */
/* Queues a call; tag comes back with its answer. It goes to args->shard, or to the shards that the script's rule says
 * (protocol/spread.h); the answer of several has the form of one. ST_BUSY while none of them is ready. Does not take
 * args over. */
MUST_CHECK enum status store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag);
size_t store_pending(const struct store *s); /* calls without an answer */

struct store_answer {
    uint64_t tag;
    struct reply reply;
    void *owner;           /* of one Redis' answer */
    struct spread *spread; /* of several shards' */
};
bool store_take(struct store *s, struct store_answer *out); /* false: no answer there */
void store_answer_free(struct store_answer *a);

/* ---- blocking, for starts, tools and tests ---------------------------------------------------------------------- */
/* ST_IO when not all shards can be reached within timeout_ms. */
MUST_CHECK enum status store_wait_ready(struct store *s, int timeout_ms, struct diag *why);
/* One call and its answer, while no other is on the way. Errors of Redis: ST_REFUSED with their text; a lost one ST_IO.
 */
MUST_CHECK enum status store_call(struct store *s, enum script script, const struct store_args *args, int timeout_ms,
                                  struct store_answer *out, struct diag *why);
/* Whether each Redis keeps what it acknowledges: appendonly yes, appendfsync always, maxmemory set, maxmemory-policy
 * noeviction, version >= 7.0. ST_REFUSED with one sentence on each that is unsafe; ST_UNSUPPORTED for the version. */
MUST_CHECK enum status store_check_safety(struct store *s, int timeout_ms, struct diag *why);

#endif
