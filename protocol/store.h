/* Redis, as the queue uses it: one connection to one shard, scripts called by their hash, many calls on the way at
 * once. The caller's poll loop drives it (store_fd, store_wants_write, store_pump, store_take); the connection comes
 * back by itself, with pauses that grow. A call whose answer can't come any more ends as REPLY_LOST: whether it ran is
 * unknown, and every script bears being called again. A store belongs to one thread at a time. */
#ifndef PROTOCOL_STORE_H
#define PROTOCOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/store_args.h"

enum reply_kind { REPLY_NIL, REPLY_INT, REPLY_BYTES, REPLY_ARRAY, REPLY_ERROR, REPLY_LOST };
/* Plain data; bytes are not terminated. */
struct reply {
    enum reply_kind kind;
    int64_t integer;
    const char *bytes; /* REPLY_BYTES, REPLY_ERROR */
    size_t len;
    struct reply *items; /* REPLY_ARRAY */
    size_t n;
};
/* Element i of an array as bytes ({"", 0} where it is none), or as a number (0). */
const char *reply_bytes(const struct reply *r, size_t i, size_t *len);
int64_t reply_number(const struct reply *r, size_t i); /* integers, and decimal text */
bool reply_is(const struct reply *r, size_t i, const char *text);
/* The same of a value itself. */
bool reply_error_is(const struct reply *r, const char *prefix); /* REPLY_ERROR that begins so: "OOM", "LOADING" */

struct store;
/* address: "/path/redis.sock", "unix:/path", "host:port", "tcp://host:port". Does not connect yet. */
MUST_CHECK enum status store_open(const char *address, int shard, struct store **out, struct diag *why);
void store_close(struct store *s); /* NULL is fine */

/* ---- from a poll loop ------------------------------------------------------------------------------------------- */
int store_fd(const struct store *s); /* -1 while there is no connection */
bool store_wants_write(const struct store *s);
bool store_is_ready(const struct store *s); /* connected, scripts loaded */
/* Reads, writes, connects as due. Returns in how many ms it wants to be called again at the latest; -1: on its fd. */
int store_pump(struct store *s, int64_t now_ms);
const char *store_trouble(const struct store *s); /* why it is not ready; "" */
/* Queues a call; tag comes back with its answer. ST_BUSY while not ready. Does not take args over. */
MUST_CHECK enum status store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag);
size_t store_pending(const struct store *s); /* calls without an answer */

struct store_answer {
    uint64_t tag;
    struct reply reply;
    void *owner;
};
bool store_take(struct store *s, struct store_answer *out); /* false: no answer there */
void store_answer_free(struct store_answer *a);

/* ---- blocking, for starts, tools and tests ---------------------------------------------------------------------- */
/* ST_IO when there is no usable connection within timeout_ms. */
MUST_CHECK enum status store_wait_ready(struct store *s, int timeout_ms, struct diag *why);
/* One call and its answer, while no other is on the way. Errors of Redis: ST_REFUSED with their text; a lost one ST_IO.
 */
MUST_CHECK enum status store_call(struct store *s, enum script script, const struct store_args *args, int timeout_ms,
                                  struct store_answer *out, struct diag *why);
/* Whether Redis keeps what it acknowledges: appendonly yes, appendfsync always, maxmemory set, maxmemory-policy
 * noeviction, version >= 7.0. ST_REFUSED with one sentence on each that is unsafe; ST_UNSUPPORTED for the version. */
MUST_CHECK enum status store_check_safety(struct store *s, int timeout_ms, struct diag *why);

#endif
