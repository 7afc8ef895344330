#include "protocol/result.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/job.h"

enum { SCHEMA = 1 };

const char *error_class_name(enum error_class c)
{
    static const char *const names[] = {"permanent", "transient", "environment"};
    return (unsigned)c <= ERROR_ENVIRONMENT ? names[c] : "permanent";
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
    jsn_add(&s, o, "class", jsn_new_string(error_class_name(c)));
    jsn_add(&s, o, "code", jsn_new_string(code));
    jsn_add(&s, o, "message", result_text(message));
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
    jsn_add(s, o, "id", result_text(j->key ? j->key : j->image));
    if (queued) {
        job_id(j, id);
        job_id_hex(id, hex);
    }
    jsn_add(s, o, "job", queued ? jsn_new_string(hex) : jsn_new_null());
    jsn_add(s, o, "campaign", queued ? jsn_new_string(j->campaign) : jsn_new_null());
    if (j->group_images > 0)
        jsn_add(s, o, "group_images", jsn_new_int(j->group_images));
}

struct json *result_start(const struct job *j, const char *status)
{
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "schema", jsn_new_int(SCHEMA));
    put_identity(&s, o, j);
    jsn_add(&s, o, "status", jsn_new_string(status));
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
    if (s == ST_FORMAT) /* the worker fails such a job, and its record goes without */
        return ST_OK;
    return s == ST_OK ? jsn_put(record, "meta", meta) : s;
}

/* Takes ownership of error. rows_decoded below 0: not known. */
static struct json *failure(const struct job *j, struct json *error, double rows_decoded)
{
    enum status s = ST_OK;
    struct json *o = result_start(j, "failed"), *image = jsn_new_object();
    jsn_add(&s, image, "uri", result_text(j->image));
    if (rows_decoded >= 0)
        jsn_add(&s, image, "rows_decoded", jsn_new_real(rows_decoded));
    jsn_add(&s, o, "image", image);
    if (j->policy)
        jsn_add(&s, o, "policy", jsn_new_string(j->policy));
    jsn_add(&s, o, "tasks", jsn_new_array());
    jsn_add(&s, o, "error", error);
    if (s == ST_OK)
        s = result_put_meta(o, j);
    if (s == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

struct json *result_failure(const struct job *j, enum error_class c, const char *code, const char *message)
{
    return failure(j, result_error(c, code, message), -1);
}

struct json *result_truncated(const struct job *j, const char *message, double rows_decoded)
{
    return failure(j, result_error(ERROR_PERMANENT, "truncated", message), rows_decoded);
}

/* ---- checking ------------------------------------------------------------------------------------------------------
 */

static bool is_one_of(const struct json *v, const char *const *words, int n)
{
    const char *s = jsn_string(v, "");
    for (int i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

static enum status check_error(const struct json *e, const char *where, struct diag *why)
{
    static const char *const classes[] = {"permanent", "transient", "environment"};
    if (!is_one_of(jsn_get(e, "class"), classes, 3))
        return diag_set(why, ST_FORMAT, "%s.class: expected permanent, transient or environment", where);
    if (!jsn_string(jsn_get(e, "code"), "")[0] || jsn_kind(jsn_get(e, "message")) != JSON_KIND_STRING)
        return diag_set(why, ST_FORMAT, "%s: code and message are needed", where);
    return ST_OK;
}

static enum status check_entity(const struct json *e, struct diag *why)
{
    const struct json *span = jsn_get(e, "span"), *boxes = jsn_get(e, "boxes");
    if (jsn_kind(jsn_get(e, "phrase")) != JSON_KIND_STRING || jsn_size(span) != 2 || jsn_kind(boxes) != JSON_KIND_ARRAY)
        return diag_set(why, ST_FORMAT, "tasks[].entities[]: phrase, span of two and boxes are needed");
    for (size_t i = 0; i < jsn_size(boxes); i++)
        if (jsn_size(jsn_at(boxes, i)) != 4)
            return diag_set(why, ST_FORMAT, "tasks[].entities[].boxes[]: four numbers are needed");
    return ST_OK;
}

static enum status check_task(const struct json *t, struct diag *why)
{
    static const char *const finishes[] = {"stop", "length", "repetition"};
    if (!jsn_string(jsn_get(t, "id"), "")[0] ||
        task_kind_parse(jsn_string(jsn_get(t, "task"), ""), &(enum task_kind){0}, why) != ST_OK)
        return diag_set(why, ST_FORMAT, "tasks[]: id and task (one of the four kinds) are needed");
    if (jsn_get(t, "error"))
        return check_error(jsn_get(t, "error"), "tasks[].error", why);
    if (jsn_kind(jsn_get(t, "text")) != JSON_KIND_STRING || !is_one_of(jsn_get(t, "finish"), finishes, 3))
        return diag_set(why, ST_FORMAT, "tasks[]: text and finish are needed where there is no error");
    const struct json *entities = jsn_get(t, "entities");
    for (size_t i = 0; i < jsn_size(entities); i++) {
        enum status s = check_entity(jsn_at(entities, i), why);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

enum status result_check(const struct json *record, struct diag *why)
{
    static const char *const states[] = {"ok", "partial", "failed"};
    if (jsn_kind(record) != JSON_KIND_OBJECT || jsn_int(jsn_get(record, "schema"), 0) != SCHEMA)
        return diag_set(why, ST_FORMAT, "schema: expected %d", SCHEMA);
    if (!jsn_string(jsn_get(record, "id"), "")[0])
        return diag_set(why, ST_FORMAT, "id: a key is needed");
    if (!is_one_of(jsn_get(record, "status"), states, 3))
        return diag_set(why, ST_FORMAT, "status: expected ok, partial or failed");
    if (jsn_kind(jsn_get(record, "image")) != JSON_KIND_OBJECT || jsn_kind(jsn_get(record, "tasks")) != JSON_KIND_ARRAY)
        return diag_set(why, ST_FORMAT, "image and tasks are needed");
    bool failed = strcmp(jsn_string(jsn_get(record, "status"), ""), "failed") == 0;
    if (jsn_get(record, "error"))
        return check_error(jsn_get(record, "error"), "error", why);
    if (failed && jsn_size(jsn_get(record, "tasks")) == 0)
        return diag_set(why, ST_FORMAT, "error: a failed record says why");
    for (size_t i = 0; i < jsn_size(jsn_get(record, "tasks")); i++) {
        enum status s = check_task(jsn_at(jsn_get(record, "tasks"), i), why);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}
