#include "protocol/result.h"

#include <string.h>

#include "protocol/job.h"

enum { SCHEMA = 1 };

const char *error_class_name(enum error_class c)
{
    static const char *const names[] = {"permanent", "transient", "environment"};
    return names[c];
}

/* jsn_put that leaves out what is absent. */
static enum status put_text(struct json *o, const char *key, const char *text)
{
    return text && text[0] ? jsn_put(o, key, jsn_new_string(text)) : ST_OK;
}

static struct json *error_object(enum error_class c, const char *code, const char *message)
{
    struct json *e = jsn_new_object();
    if (!e)
        return NULL;
    /* A message may quote bytes of an image's name that are no UTF-8. */
    struct json *text = jsn_new_string(message);
    if (!text)
        text = jsn_new_string("(text that is not UTF-8)");
    if (jsn_put(e, "class", jsn_new_string(error_class_name(c))) != ST_OK ||
        jsn_put(e, "code", jsn_new_string(code)) != ST_OK || jsn_put(e, "message", text) != ST_OK) {
        jsn_free(e);
        return NULL;
    }
    return e;
}

static struct json *image_object(const char *uri)
{
    struct json *image = jsn_new_object();
    if (image && put_text(image, "uri", uri) != ST_OK) {
        jsn_free(image);
        return NULL;
    }
    return image;
}

struct json *result_failure(const struct job *j, enum error_class c, const char *code, const char *message)
{
    struct json *r = jsn_new_object();
    if (!r)
        return NULL;
    uint8_t id[ID_BYTES];
    char hex[2 * ID_BYTES + 1] = "";
    bool queued = j->campaign && j->campaign[0];
    if (queued) {
        job_id(j, id);
        job_id_hex(id, hex);
    }
    struct json *meta = NULL;
    if (j->meta && jsn_parse(j->meta, strlen(j->meta), "meta", &meta, NULL) != ST_OK)
        meta = NULL;
    bool ok = jsn_put(r, "schema", jsn_new_int(SCHEMA)) == ST_OK &&
              jsn_put(r, "id", jsn_new_string(j->key ? j->key : j->image)) == ST_OK &&
              jsn_put(r, "job", queued ? jsn_new_string(hex) : jsn_new_null()) == ST_OK &&
              jsn_put(r, "campaign", queued ? jsn_new_string(j->campaign) : jsn_new_null()) == ST_OK &&
              jsn_put(r, "status", jsn_new_string("failed")) == ST_OK &&
              jsn_put(r, "image", image_object(j->image)) == ST_OK && put_text(r, "policy", j->policy) == ST_OK &&
              jsn_put(r, "tasks", jsn_new_array()) == ST_OK &&
              jsn_put(r, "error", error_object(c, code, message)) == ST_OK;
    if (meta && jsn_put(r, "meta", meta) != ST_OK)
        ok = false;
    if (!ok) {
        jsn_free(r);
        return NULL;
    }
    return r;
}

/* ---- checking -----------------------------------------------------------------------------------------------------
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
