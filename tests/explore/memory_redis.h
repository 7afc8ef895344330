/* As much of Redis as the queue's scripts use, as plain data: a state is bytes, a script call turns one state into the
 * next. The real Lua text runs in a real Lua 5.1; only the commands behind redis.call are ours (memory_redis.c). The
 * clock is the caller's. What Redis draws at random (SRANDMEMBER, HRANDFIELD) is the first here. */
#ifndef TESTS_EXPLORE_MEMORY_REDIS_H
#define TESTS_EXPLORE_MEMORY_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/store_args.h"

/* Bytes that live as long as the arena, or the state, they stand in. */
struct text {
    const char *at;
    size_t len;
};
struct text text_of(const char *s);
bool text_same(struct text a, struct text b);
bool text_is(struct text t, const char *s);

/* Everything a call makes is taken from here and given up at once. */
struct arena {
    char *bytes;
    size_t used, cap;
};
void *arena_take(struct arena *a, size_t n);
struct text arena_copy(struct arena *a, const char *at, size_t len);

enum value_kind { VALUE_STRING, VALUE_HASH, VALUE_LIST, VALUE_ZSET, VALUE_SET };
/* Of a hash: field, value; a list or set: field; a zset: field, score; a string: field. Hashes and sets are sorted by
 * field, zsets by score and then field, so that equal states have equal bytes. */
struct element {
    struct text field, value;
    double score;
};
struct value {
    struct text name;
    enum value_kind kind;
    struct element *items;
    size_t n, cap;
};
struct memory_redis {
    struct arena *arena;
    struct value *keys; /* sorted by name */
    size_t n, cap;
    int64_t now_ms;
};

/* The state as bytes in the arena, and back (borrows from the bytes). */
struct text memory_save(const struct memory_redis *r);
void memory_load(struct memory_redis *r, struct arena *a, struct text saved);

/* NULL: there is no such key. */
const struct value *memory_find(const struct memory_redis *r, struct text name);
const struct element *memory_field(const struct value *v, struct text field);

/* One command; args[0] is its name. Ends the program when it is none that is known. */
enum memory_reply_kind { MEMORY_NIL, MEMORY_INT, MEMORY_TEXT, MEMORY_ARRAY };
struct memory_reply {
    enum memory_reply_kind kind;
    int64_t integer;
    struct text text;
    struct memory_reply *items;
    size_t n;
};
struct memory_reply memory_command(struct memory_redis *r, const struct text *args, size_t n);

/* ---- scripts (script_host.c) --------------------------------------------------------------------------------------
 */

struct script_host;
struct script_host *script_host_new(void); /* ends the program where a script does not load */
void script_host_free(struct script_host *h);
/* Runs a script; an error of its own ends the program and names it. Whole numbers come as MEMORY_INT, false as NIL. */
struct memory_reply script_run(struct script_host *h, struct memory_redis *r, enum script script,
                               const struct text *args, size_t n);

#endif
