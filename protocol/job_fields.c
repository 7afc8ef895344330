#include "protocol/job_fields.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job_parts.h"

const char *field_kind(const struct json *v)
{
    switch (jsn_kind(v)) {
    case JSON_KIND_BOOL: return jsn_bool(v, false) ? "true" : "false";
    case JSON_KIND_INT: return "a whole number";
    case JSON_KIND_REAL: return "a number";
    case JSON_KIND_STRING: return "a text";
    case JSON_KIND_ARRAY: return "a list";
    case JSON_KIND_OBJECT: return "an object";
    case JSON_KIND_NULL: break;
    }
    return "null";
}

/* ---- objects -------------------------------------------------------------------------------------------------------
 */

struct names {
    const struct field *fields;
    size_t n;
    char unknown[65];
    bool found_unknown;
};

static bool is_known(void *ctx, const char *key, const struct json *value)
{
    struct names *names = ctx;
    (void)value;
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(key, names->fields[i].name) == 0)
            return true;
    }
    names->found_unknown = true;
    strncpy(names->unknown, key, sizeof names->unknown - 1);
    return false;
}

static enum status refuse_unknown(struct reader *r, const struct json *v, const struct field *fields, size_t n)
{
    struct names names = {.fields = fields, .n = n};
    jsn_each(v, is_known, &names);
    if (!names.found_unknown)
        return ST_OK;
    struct diag expected = {""};
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(expected.text);
        snprintf(expected.text + at, sizeof expected.text - at, "%s%s", i ? ", " : "", fields[i].name);
    }
    return diag_set(r->why, ST_FORMAT, "%s: unknown field; expected one of %s", names.unknown, expected.text);
}

/* An earlier spelling of the same thing in the same object, or NULL. */
static const char *said_before(const struct json *v, const struct field *fields, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (fields[k].slot == fields[i].slot && jsn_get(v, fields[k].name))
            return fields[k].name;
    }
    return NULL;
}

static enum status read_members(struct reader *r, const struct json *v, const struct field *fields, size_t n,
                                void *target)
{
    enum status s = refuse_unknown(r, v, fields, n);
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        const struct json *member = jsn_get(v, fields[i].name);
        if (!member)
            continue;
        const char *twin = said_before(v, fields, i);
        s = twin ? diag_set(r->why, ST_FORMAT, "%s: stands beside \"%s\", which means the same", fields[i].name, twin)
                 : fields[i].read(r, member, fields[i].name, target);
    }
    return s;
}

enum status field_object(struct reader *r, const struct json *v, const char *path, const struct field *fields, size_t n,
                         void *target)
{
    if (jsn_kind(v) != JSON_KIND_OBJECT) {
        enum status s = diag_set(r->why, ST_FORMAT, "expected an object, found %s", field_kind(v));
        return path ? diag_wrap(r->why, s, "%s", path) : s;
    }
    enum status s = read_members(r, v, fields, n, target);
    return s == ST_OK || !path ? s : job_under(r->why, s, "%s", path);
}

/* ---- values --------------------------------------------------------------------------------------------------------
 */

enum status field_int(struct reader *r, const struct json *v, const char *name, int *out)
{
    if (jsn_kind(v) != JSON_KIND_INT)
        return diag_set(r->why, ST_FORMAT, "%s: expected a whole number, found %s", name, field_kind(v));
    int64_t i = jsn_int(v, 0);
    if (i < INT_MIN || i > INT_MAX)
        return diag_set(r->why, ST_INVALID, "%s: %lld is out of range", name, (long long)i);
    *out = (int)i;
    return ST_OK;
}

enum status field_number(struct reader *r, const struct json *v, const char *name, double *out)
{
    if (jsn_kind(v) != JSON_KIND_INT && jsn_kind(v) != JSON_KIND_REAL)
        return diag_set(r->why, ST_FORMAT, "%s: expected a number, found %s", name, field_kind(v));
    *out = jsn_number(v, 0);
    return ST_OK;
}

enum status field_bool(struct reader *r, const struct json *v, const char *name, bool *out)
{
    if (jsn_kind(v) != JSON_KIND_BOOL)
        return diag_set(r->why, ST_FORMAT, "%s: expected true or false, found %s", name, field_kind(v));
    *out = jsn_bool(v, false);
    return ST_OK;
}

enum status field_text(struct reader *r, const struct json *v, const char *name, char **slot)
{
    if (jsn_kind(v) != JSON_KIND_STRING)
        return diag_set(r->why, ST_FORMAT, "%s: expected a text, found %s", name, field_kind(v));
    const char *text = jsn_string(v, "");
    if (strlen(text) != jsn_string_len(v))
        return diag_set(r->why, ST_FORMAT, "%s: holds a zero byte", name);
    if (!*text)
        return diag_set(r->why, ST_INVALID, "%s: empty", name);
    return job_set_text(slot, text);
}

enum status field_texts(struct reader *r, const struct json *v, const char *name, int most, char ***list, int *n)
{
    bool one = jsn_kind(v) == JSON_KIND_STRING;
    if (!one && jsn_kind(v) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: expected a text or a list of them, found %s", name, field_kind(v));
    size_t count = one ? 1 : jsn_size(v);
    if (count > (size_t)most)
        return diag_set(r->why, ST_INVALID, "%s: %zu of them; at most %d", name, count, most);
    if (count == 0)
        return diag_set(r->why, ST_INVALID, "%s: an empty list", name);
    char **texts = calloc(count, sizeof *texts);
    if (!texts)
        return ST_NOMEM;
    *list = texts;
    *n = (int)count;
    for (size_t i = 0; i < count; i++) {
        enum status s = field_text(r, one ? v : jsn_at(v, i), name, &texts[i]);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}
