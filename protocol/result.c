#include "protocol/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"

const char *error_class_name(enum error_class c)
{
    static const char *const names[] = {"permanent", "transient", "environment"};
    return (unsigned)c <= ERROR_ENVIRONMENT ? names[c] : "permanent";
}

static void put(enum status *s, struct json *object, const char *key, struct json *value)
{
    enum status put_status = jsn_put(object, key, value);
    if (*s == ST_OK)
        *s = put_status;
}

/* Length of the UTF-8 sequence at s, or 0 where there is none (overlong forms, surrogates, cut ones). */
static size_t sequence(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    bool wrong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
                 (s[0] == 0xF4 && s[1] > 0x8F);
    return wrong ? 0 : n;
}

struct json *result_text(const char *text)
{
    char *copy = strdup(text ? text : "");
    if (!copy)
        return NULL;
    for (unsigned char *at = (unsigned char *)copy; *at;) {
        size_t n = sequence(at);
        if (n == 0)
            *at++ = '?';
        else
            at += n;
    }
    struct json *v = jsn_new_string(copy);
    free(copy);
    return v;
}

struct json *result_error(enum error_class c, const char *code, const char *message)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    put(&s, o, "class", jsn_new_string(error_class_name(c)));
    put(&s, o, "code", jsn_new_string(code));
    put(&s, o, "message", result_text(message));
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

static void put_identity(enum status *s, struct json *o, const struct job *j)
{
    uint8_t id[ID_BYTES];
    char hex[2 * ID_BYTES + 1];
    bool queued = j->campaign && *j->campaign;
    put(s, o, "id", result_text(j->key));
    if (queued) {
        job_id(j, id);
        job_id_hex(id, hex);
    }
    put(s, o, "job", queued ? jsn_new_string(hex) : jsn_new_null());
    put(s, o, "campaign", queued ? jsn_new_string(j->campaign) : jsn_new_null());
}

struct json *result_start(const struct job *j, const char *status)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    put(&s, o, "schema", jsn_new_int(1));
    put_identity(&s, o, j);
    put(&s, o, "status", jsn_new_string(status));
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

enum status result_put_meta(struct json *record, const struct job *j)
{
    struct json *meta = NULL;
    if (!j->meta)
        return ST_OK;
    enum status s = jsn_parse(j->meta, strlen(j->meta), "meta", &meta, NULL);
    return s == ST_OK ? jsn_put(record, "meta", meta) : s;
}

struct json *result_failure(const struct job *j, enum error_class c, const char *code, const char *message)
{
    enum status s = ST_OK;
    struct json *o = result_start(j, "failed"), *image = jsn_new_object();
    put(&s, image, "uri", result_text(j->image));
    put(&s, o, "error", result_error(c, code, message));
    put(&s, o, "image", image);
    if (s == ST_OK)
        s = result_put_meta(o, j);
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

/* ---- checking ------------------------------------------------------------------------------------------------------
 */

static bool is_word(const struct json *v, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(jsn_string(v, ""), words[i]) == 0)
            return true;
    }
    return false;
}

static enum status check_error(const struct json *v, const char *where, struct diag *why)
{
    static const char *const classes[] = {"permanent", "transient", "environment"};
    if (jsn_kind(v) != JSON_KIND_OBJECT)
        return diag_set(why, ST_FORMAT, "%s: expected an object", where);
    if (!is_word(jsn_get(v, "class"), classes, 3))
        return diag_set(why, ST_FORMAT, "%s.class: expected permanent, transient or environment", where);
    if (jsn_string_len(jsn_get(v, "code")) == 0)
        return diag_set(why, ST_FORMAT, "%s.code: expected a word", where);
    if (jsn_kind(jsn_get(v, "message")) != JSON_KIND_STRING)
        return diag_set(why, ST_FORMAT, "%s.message: expected a text", where);
    return ST_OK;
}

static enum status check_answer(const struct json *v, const char *where, struct diag *why)
{
    if (jsn_string_len(jsn_get(v, "id")) == 0)
        return diag_set(why, ST_FORMAT, "%s.id: expected a text", where);
    if (jsn_get(v, "error")) {
        enum status s = check_error(jsn_get(v, "error"), "error", why);
        return s == ST_OK ? s : diag_wrap(why, s, "%s", where);
    }
    if (jsn_kind(jsn_get(v, "text")) != JSON_KIND_STRING)
        return diag_set(why, ST_FORMAT, "%s.text: expected a text, since there is no error", where);
    if (jsn_kind(jsn_get(v, "entities")) != JSON_KIND_ARRAY)
        return diag_set(why, ST_FORMAT, "%s.entities: expected a list", where);
    return ST_OK;
}

static enum status check_answers(const struct json *answers, struct diag *why)
{
    if (jsn_kind(answers) != JSON_KIND_ARRAY)
        return diag_set(why, ST_FORMAT, "tasks: expected a list");
    for (size_t i = 0; i < jsn_size(answers); i++) {
        char where[32];
        snprintf(where, sizeof where, "tasks[%zu]", i);
        enum status s = check_answer(jsn_at(answers, i), where, why);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

enum status result_check(const struct json *record, struct diag *why)
{
    static const char *const states[] = {"ok", "partial", "failed"};
    if (jsn_kind(record) != JSON_KIND_OBJECT)
        return diag_set(why, ST_FORMAT, "a record is an object");
    if (jsn_int(jsn_get(record, "schema"), 0) != 1)
        return diag_set(why, ST_FORMAT, "schema: expected 1");
    if (jsn_string_len(jsn_get(record, "id")) == 0)
        return diag_set(why, ST_FORMAT, "id: expected a text");
    if (!is_word(jsn_get(record, "status"), states, 3))
        return diag_set(why, ST_FORMAT, "status: expected ok, partial or failed");
    if (jsn_kind(jsn_get(jsn_get(record, "image"), "uri")) != JSON_KIND_STRING)
        return diag_set(why, ST_FORMAT, "image.uri: expected a text");
    bool failed = strcmp(jsn_string(jsn_get(record, "status"), ""), "failed") == 0;
    if (failed || jsn_get(record, "error")) {
        enum status s = check_error(jsn_get(record, "error"), "error", why);
        if (s != ST_OK)
            return s;
    }
    if (failed && !jsn_get(record, "tasks"))
        return ST_OK;
    if (jsn_int(jsn_get(jsn_get(record, "image"), "width"), 0) < 1 ||
        jsn_int(jsn_get(jsn_get(record, "image"), "height"), 0) < 1)
        return diag_set(why, ST_FORMAT, "image.width, image.height: expected whole numbers from 1 on");
    return check_answers(jsn_get(record, "tasks"), why);
}
