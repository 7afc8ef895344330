/* JSON values: a thin front for Jansson, whose header only json.c includes.
 *
 * A `struct json` is reference counted by Jansson; here there is exactly one owner: whoever got it from
 * jsn_parse, jsn_load or a jsn_new_* call frees the root with jsn_free, and a value handed to jsn_put or
 * jsn_push belongs to its container from then on, also on failure. Getters return borrowed values that live
 * as long as the root. Numbers keep int64 apart from double. Strings are UTF-8, checked on input.
 * A tree belongs to one thread at a time. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct json;

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_INT,
    JSON_KIND_REAL,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

/* Reads exactly one value from text[0..len). Duplicate keys and trailing bytes are ST_FORMAT; `what` names the source
 * in *why. */
MUST_CHECK enum status jsn_parse(const char *text, size_t len, const char *what, struct json **out, struct diag *why);
/* The same from a file of at most max_bytes: ST_MISSING, ST_IO, ST_LIMIT, ST_FORMAT. */
MUST_CHECK enum status jsn_load(const char *path, size_t max_bytes, struct json **out, struct diag *why);
void jsn_free(struct json *root); /* NULL is fine */

enum json_kind jsn_kind(const struct json *v); /* NULL counts as null */
/* Member of an object, or NULL where v is no object or has no such key. */
const struct json *jsn_get(const struct json *v, const char *key);
size_t jsn_size(const struct json *v);                         /* elements of an array, members of an object, else 0 */
const struct json *jsn_at(const struct json *v, size_t index); /* element of an array, or NULL */
/* Calls fn for each member in file order until it returns false. */
void jsn_each(const struct json *v, bool (*fn)(void *ctx, const char *key, const struct json *value), void *ctx);
/* Values with a fallback for "absent or of another kind". */
const char *jsn_string(const struct json *v, const char *fallback); /* borrowed, NUL-terminated */
size_t jsn_string_len(const struct json *v);                        /* bytes; 0 where no string */
int64_t jsn_int(const struct json *v, int64_t fallback);            /* ints only */
double jsn_number(const struct json *v, double fallback);           /* ints and reals */
bool jsn_bool(const struct json *v, bool fallback);

/* Building. Each returns NULL when memory is short; jsn_put and jsn_push accept NULL for `value` and report
 * ST_NOMEM, so that calls nest without checks in between. */
struct json *jsn_new_object(void);
struct json *jsn_new_array(void);
struct json *jsn_new_string(const char *s);               /* invalid UTF-8 gives NULL */
struct json *jsn_new_string_n(const char *s, size_t len); /* may hold NUL */
struct json *jsn_new_int(int64_t i);
struct json *jsn_new_real(double d); /* NaN and infinity become null */
struct json *jsn_new_bool(bool b);
struct json *jsn_new_null(void);
struct json *jsn_copy(const struct json *v); /* deep */
MUST_CHECK enum status jsn_put(struct json *object, const char *key, struct json *value);
MUST_CHECK enum status jsn_push(struct json *array, struct json *value);
/* The same for many in a row: the first failure stays in *s. */
void jsn_add(enum status *s, struct json *object, const char *key, struct json *value);
void jsn_append(enum status *s, struct json *array, struct json *value);
/* v, or where s is a failure NULL, and v is freed. */
struct json *jsn_whole(struct json *v, enum status s);

/* Compact text in insertion order, NUL-terminated; the caller frees it with free(). NULL when memory is short. */
char *jsn_text(const struct json *v);
char *jsn_text_indented(const struct json *v, int spaces);

#endif
