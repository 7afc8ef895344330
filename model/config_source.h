/* Values out of the JSON files of a checkpoint, each held against what is wanted of it. Inside of model: config.c. */
#ifndef MODEL_CONFIG_SOURCE_H
#define MODEL_CONFIG_SOURCE_H

#include "base/json.h"
#include "base/status.h"

/* One object of one file. The first failure sticks, naming file, key, expected and found; later reads give zeros and
 * change nothing. */
struct source {
    const char *path, *inside; /* inside: "" or the object's key with a dot behind it */
    const struct json *object;
    struct diag *why;
    enum status status;
};

const struct json *source_member(const struct source *s, const char *key); /* NULL: absent, or null */
void source_fail(struct source *s, enum status status, const char *key, const char *want, const struct json *found);
char *source_copy(struct source *s, const char *text); /* malloc'ed; NULL after a failure */

/* Of v, the value of key or a part of it. */
int64_t source_check_int(struct source *s, const char *key, const struct json *v, int64_t low, int64_t high);
int source_need_int(struct source *s, const char *key, int low, int high);
int source_opt_int(struct source *s, const char *key, int low, int high, int absent);
float source_opt_positive(struct source *s, const char *key, double high, double absent);
bool source_opt_bool(struct source *s, const char *key, bool absent);
char *source_opt_text(struct source *s, const char *key, const char *absent); /* malloc'ed; absent may be NULL */
/* Keys that must be absent or hold this one value. */
void source_only_text(struct source *s, const char *key, const char *supported);
void source_only_false(struct source *s, const char *key);
void source_only_true(struct source *s, const char *key);

/* The member object `key`, or an empty view where it is absent; inside: the key and a dot. */
struct source source_opt_object(struct source *s, const char *key, const char *inside);
/* For objects of this project's own: a key that nobody knows is a slip of the pen. names ends with NULL. */
void source_only_members(struct source *s, const char *const *names);

#endif
