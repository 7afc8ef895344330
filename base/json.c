#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* struct json is Jansson's json_t under another name; these two are the only places that know it. */
static json_t *unwrap(const struct json *v)
{
    return (json_t *)(uintptr_t)v;
}

static struct json *wrap(json_t *v)
{
    return (struct json *)v;
}

/* Where a number that is no 64-bit integer stands: "options.seed", "tasks[2].options.seed". */
struct place {
    char *text;
    size_t size;
};

static bool too_big(const json_t *v)
{
    return json_is_real(v) && (json_real_value(v) >= 0x1p63 || json_real_value(v) < -0x1p63);
}

static bool find_too_big(const json_t *v, size_t used, const struct place *out)
{
    const char *key;
    json_t *value;
    size_t i;
    if (too_big(v))
        return true;
    if (json_is_object(v)) {
        json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
            int n = snprintf(out->text + used, out->size - used, "%s%s", used ? "." : "", key);
            if (n > 0 && (size_t)n < out->size - used && find_too_big(value, used + (size_t)n, out))
                return true;
        }
    }
    json_array_foreach(v, i, value)
    {
        int n = snprintf(out->text + used, out->size - used, "[%zu]", i);
        if (n > 0 && (size_t)n < out->size - used && find_too_big(value, used + (size_t)n, out))
            return true;
    }
    out->text[used] = '\0';
    return false;
}

/* Jansson says of an integer over 64 bits what it is, but not where. Read once more with integers as real numbers, the
 * text shows it; real numbers that are as big are not meant, so a text that has some may name one of those. */
static bool name_too_big(const char *text, size_t len, char *out, size_t size)
{
    json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    bool found = v && find_too_big(v, 0, &(struct place){.text = out, .size = size});
    json_decref(v);
    return found;
}

enum status jsn_parse(const char *text, size_t len, const char *what, struct json **out, struct diag *why)
{
    json_error_t error;
    json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!v && !error.text[0]) /* Jansson has no words for short memory */
        return ST_NOMEM;
    char name[256] = "";
    if (!v && json_error_code(&error) == json_error_numeric_overflow && name_too_big(text, len, name, sizeof name))
        return diag_set(why, ST_FORMAT, "%s: %s: expected a whole number from %lld to %lld, found one beyond", what,
                        *name ? name : "number", (long long)INT64_MIN, (long long)INT64_MAX);
    if (!v)
        return diag_set(why, ST_FORMAT, "%s: not valid JSON: %s (line %d, column %d)", what, error.text, error.line,
                        error.column);
    *out = wrap(v);
    return ST_OK;
}

static enum status slurp(const char *path, size_t max_bytes, char **out, size_t *len, struct diag *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO of that name is no reason to wait */
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!f) {
        enum status opened = diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return opened;
    }
    struct stat st;
    enum status s = ST_OK;
    char *bytes = NULL;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        s = diag_set(why, ST_IO, "%s: not a regular file", path);
    else if ((size_t)st.st_size > max_bytes)
        s = diag_set(why, ST_LIMIT, "%s: %lld bytes, at most %zu are read", path, (long long)st.st_size, max_bytes);
    else if (!(bytes = malloc((size_t)st.st_size + 1)))
        s = ST_NOMEM;
    else if (fread(bytes, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
        s = diag_set(why, ST_IO, "%s: could not be read whole", path);
    fclose(f);
    if (s != ST_OK) {
        free(bytes);
        return s;
    }
    *out = bytes;
    *len = (size_t)st.st_size;
    return ST_OK;
}

enum status jsn_load(const char *path, size_t max_bytes, struct json **out, struct diag *why)
{
    char *bytes = NULL;
    size_t len = 0;
    enum status s = slurp(path, max_bytes, &bytes, &len, why);
    if (s != ST_OK)
        return s;
    s = jsn_parse(bytes, len, path, out, why);
    free(bytes);
    return s;
}

void jsn_free(struct json *root)
{
    json_decref(unwrap(root));
}

enum json_kind jsn_kind(const struct json *v)
{
    switch (v ? json_typeof(unwrap(v)) : JSON_NULL) {
    case JSON_OBJECT: return JSON_KIND_OBJECT;
    case JSON_ARRAY: return JSON_KIND_ARRAY;
    case JSON_STRING: return JSON_KIND_STRING;
    case JSON_INTEGER: return JSON_KIND_INT;
    case JSON_REAL: return JSON_KIND_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_KIND_BOOL;
    case JSON_NULL: break;
    }
    return JSON_KIND_NULL;
}

const struct json *jsn_get(const struct json *v, const char *key)
{
    return wrap(json_object_get(unwrap(v), key));
}

size_t jsn_size(const struct json *v)
{
    return jsn_kind(v) == JSON_KIND_OBJECT ? json_object_size(unwrap(v)) : json_array_size(unwrap(v));
}

const struct json *jsn_at(const struct json *v, size_t index)
{
    return wrap(json_array_get(unwrap(v), index));
}

void jsn_each(const struct json *v, bool (*fn)(void *ctx, const char *key, const struct json *value), void *ctx)
{
    const char *key;
    json_t *value;
    json_object_foreach (unwrap(v), key, value) {
        if (!fn(ctx, key, wrap(value)))
            return;
    }
}

const char *jsn_string(const struct json *v, const char *fallback)
{
    const char *s = json_string_value(unwrap(v));
    return s ? s : fallback;
}

size_t jsn_string_len(const struct json *v)
{
    return json_string_length(unwrap(v));
}

int64_t jsn_int(const struct json *v, int64_t fallback)
{
    return jsn_kind(v) == JSON_KIND_INT ? (int64_t)json_integer_value(unwrap(v)) : fallback;
}

double jsn_number(const struct json *v, double fallback)
{
    return json_is_number(unwrap(v)) ? json_number_value(unwrap(v)) : fallback;
}

bool jsn_bool(const struct json *v, bool fallback)
{
    return jsn_kind(v) == JSON_KIND_BOOL ? json_is_true(unwrap(v)) : fallback;
}

struct json *jsn_new_object(void)
{
    return wrap(json_object());
}

struct json *jsn_new_array(void)
{
    return wrap(json_array());
}

struct json *jsn_new_string(const char *s)
{
    return wrap(json_string(s));
}

struct json *jsn_new_string_n(const char *s, size_t len)
{
    return wrap(json_stringn(s, len));
}

struct json *jsn_new_int(int64_t i)
{
    return wrap(json_integer(i));
}

struct json *jsn_new_real(double d)
{
    return wrap(isfinite(d) ? json_real(d) : json_null());
}

struct json *jsn_new_bool(bool b)
{
    return wrap(json_boolean(b));
}

struct json *jsn_new_null(void)
{
    return wrap(json_null());
}

struct json *jsn_copy(const struct json *v)
{
    return wrap(json_deep_copy(unwrap(v)));
}

enum status jsn_put(struct json *object, const char *key, struct json *value)
{
    return json_object_set_new(unwrap(object), key, unwrap(value)) == 0 ? ST_OK : ST_NOMEM;
}

enum status jsn_push(struct json *array, struct json *value)
{
    return json_array_append_new(unwrap(array), unwrap(value)) == 0 ? ST_OK : ST_NOMEM;
}

void jsn_add(enum status *s, struct json *object, const char *key, struct json *value)
{
    enum status one = jsn_put(object, key, value);
    if (*s == ST_OK)
        *s = one;
}

void jsn_append(enum status *s, struct json *array, struct json *value)
{
    enum status one = jsn_push(array, value);
    if (*s == ST_OK)
        *s = one;
}

struct json *jsn_whole(struct json *v, enum status s)
{
    if (s == ST_OK)
        return v;
    jsn_free(v);
    return NULL;
}

char *jsn_text(const struct json *v)
{
    return json_dumps(unwrap(v), JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
}

char *jsn_text_indented(const struct json *v, int spaces)
{
    return json_dumps(unwrap(v), JSON_INDENT(spaces) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
}
