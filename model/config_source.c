#include "model/config_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct json *source_member(const struct source *s, const char *key)
{
    const struct json *v = jsn_get(s->object, key);
    return jsn_kind(v) == JSON_KIND_NULL ? NULL : v;
}

void source_fail(struct source *s, enum status status, const char *key, const char *want, const struct json *found)
{
    if (s->status != ST_OK)
        return;
    char *text = found ? jsn_text(found) : NULL;
    s->status = diag_set(s->why, status, "%s: %s%s: expected %s, found %.80s", s->path, s->inside, key, want,
                         text ? text : (found ? "a value too big to print" : "nothing"));
    free(text);
}

int64_t source_check_int(struct source *s, const char *key, const struct json *v, int64_t low, int64_t high)
{
    int64_t value = jsn_int(v, low - 1);
    if (value >= low && value <= high)
        return value;
    char want[64];
    snprintf(want, sizeof want, "an integer from %lld to %lld", (long long)low, (long long)high);
    source_fail(s, v ? ST_SHAPE : ST_MISSING, key, want, v);
    return low;
}

int source_need_int(struct source *s, const char *key, int low, int high)
{
    return (int)source_check_int(s, key, source_member(s, key), low, high);
}

int source_opt_int(struct source *s, const char *key, int low, int high, int absent)
{
    return source_member(s, key) ? source_need_int(s, key, low, high) : absent;
}

float source_opt_positive(struct source *s, const char *key, double high, double absent)
{
    const struct json *v = source_member(s, key);
    double value = v ? jsn_number(v, -1) : absent;
    if (!((float)value > 0 && value <= high)) { /* as the float that it becomes: 1e-60 would be 0 */
        char want[64];
        snprintf(want, sizeof want, "a positive number up to %g that a float holds", high);
        source_fail(s, ST_SHAPE, key, want, v);
        return (float)absent;
    }
    return (float)value;
}

bool source_opt_bool(struct source *s, const char *key, bool absent)
{
    const struct json *v = source_member(s, key);
    if (v && jsn_kind(v) != JSON_KIND_BOOL)
        source_fail(s, ST_SHAPE, key, "true or false", v);
    return jsn_bool(v, absent);
}

void source_only_text(struct source *s, const char *key, const char *supported)
{
    const struct json *v = source_member(s, key);
    if (!v || strcmp(jsn_string(v, ""), supported) == 0)
        return;
    char want[64];
    snprintf(want, sizeof want, "\"%s\"", supported);
    source_fail(s, ST_UNSUPPORTED, key, want, v);
}

void source_only_false(struct source *s, const char *key)
{
    if (source_opt_bool(s, key, false))
        source_fail(s, ST_UNSUPPORTED, key, "false", source_member(s, key));
}

void source_only_true(struct source *s, const char *key)
{
    if (!source_opt_bool(s, key, true))
        source_fail(s, ST_UNSUPPORTED, key, "true", source_member(s, key));
}

char *source_copy(struct source *s, const char *text)
{
    char *c = s->status == ST_OK ? strdup(text) : NULL;
    if (!c && s->status == ST_OK)
        s->status = ST_NOMEM;
    return c;
}

char *source_opt_text(struct source *s, const char *key, const char *absent)
{
    const struct json *v = source_member(s, key);
    if (v && jsn_kind(v) != JSON_KIND_STRING)
        source_fail(s, ST_SHAPE, key, "a string", v);
    const char *text = jsn_string(v, absent);
    return text ? source_copy(s, text) : NULL;
}

struct source source_opt_object(struct source *s, const char *key, const char *inside)
{
    const struct json *v = source_member(s, key);
    if (v && jsn_kind(v) != JSON_KIND_OBJECT)
        source_fail(s, ST_SHAPE, key, "an object", v);
    return (struct source){s->path, inside, v, s->why, s->status};
}

struct known {
    struct source *s;
    const char *const *names; /* ends with NULL */
};

static bool is_known(void *ctx, const char *key, const struct json *value)
{
    struct known *k = ctx;
    char want[128] = "one of";
    for (size_t i = 0; k->names[i]; i++) {
        if (strcmp(k->names[i], key) == 0)
            return true;
        size_t n = strlen(want);
        snprintf(want + n, sizeof want - n, "%s %s", i ? "," : "", k->names[i]);
    }
    source_fail(k->s, ST_FORMAT, key, want, value);
    return false;
}

void source_only_members(struct source *s, const char *const *names)
{
    if (s->status == ST_OK && s->object)
        jsn_each(s->object, is_known, &(struct known){s, names});
}
