#include "formats/read/make_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/read/local_path.h"

static const char *code_of(enum status s)
{
    return s == ST_UNSUPPORTED ? "unknown_task" : s == ST_LIMIT ? "too_long" : "invalid_job";
}

/* A job that is good for naming a failed input only. */
static struct job *name_only(const struct inputs_options *o, const char *key, const char *image)
{
    struct job *j = calloc(1, sizeof *j);
    const struct job *d = o->defaults;
    if (!j)
        return NULL;
    bool ok = path_as_text(key, &j->key) == ST_OK && path_as_text(image, &j->image) == ST_OK;
    j->policy = strdup(d && d->policy ? d->policy : "default");
    j->tenant = strdup(d && d->tenant ? d->tenant : "default");
    j->campaign = strdup(d && d->campaign ? d->campaign : "");
    if (ok && j->policy && j->tenant && j->campaign)
        return j;
    job_free(j);
    return NULL;
}

static enum status fail(const struct inputs_options *o, const char *key, const char *image, const char *code,
                        const char *message, struct input *out)
{
    struct job *job = name_only(o, key, image);
    if (!job)
        return ST_NOMEM;
    *out = (struct input){.job = job, .error = code, .error_class = ERROR_PERMANENT};
    if (strcmp(code, "unknown_root") == 0)
        out->error_class = ERROR_ENVIRONMENT;
    snprintf(out->message, sizeof out->message, "%s", message);
    return ST_OK;
}

enum status make_error(const struct inputs_options *o, const char *key, const char *code, const char *message,
                       struct input *out)
{
    return fail(o, key, key, code, message, out);
}

/* A job of the defaults' tasks over one image, whose URI is the key too. */
static enum status plain_job(const struct inputs_options *o, const char *image, struct input *out)
{
    struct diag why = {""};
    struct job *job = NULL;
    struct json *v = jsn_new_object();
    enum status s = jsn_put(v, "image", jsn_new_string(image));
    if (s == ST_OK)
        s = job_from_json(v, o->defaults, &job, &why);
    jsn_free(v);
    if (s == ST_NOMEM)
        return s;
    if (s != ST_OK)
        return fail(o, image, image, code_of(s), why.text, out);
    *out = (struct input){.job = job};
    return ST_OK;
}

/* The URI of a local file, by the caller's rule. */
static enum status local_uri(const struct inputs_options *o, const char *folder, const char *path, char **uri,
                             struct diag *why)
{
    char *absolute = NULL, *named = NULL;
    enum status s = path_absolute(folder, path, &absolute, why);
    if (s == ST_OK && o->uri)
        s = o->uri(o->uri_ctx, absolute, &named, why);
    if (s == ST_OK)
        s = path_as_text(absolute, uri);
    if (s == ST_OK && named && **uri == '/') { /* a name that is not UTF-8 stays a coded path, which roots hold too */
        free(*uri);
        *uri = named;
        named = NULL;
    }
    free(named);
    free(absolute);
    return s;
}

enum status make_from_path(const struct inputs_options *o, const char *path, struct input *out)
{
    struct diag why = {""};
    char *uri = NULL;
    enum status s = local_uri(o, NULL, path, &uri, &why);
    if (s == ST_OK)
        s = plain_job(o, uri, out);
    else if (s != ST_NOMEM)
        s = fail(o, path, path, s == ST_MISSING ? "unknown_root" : "unreadable", why.text, out);
    free(uri);
    return s;
}

enum status make_from_uri(const struct inputs_options *o, const char *uri, struct input *out)
{
    return plain_job(o, uri, out);
}

/* ---- manifest lines ------------------------------------------------------------------------------------------------
 */

static enum status read_line(const struct inputs_options *o, const char *folder, const struct json *v,
                             struct input *out, struct diag *why)
{
    struct job *job = NULL;
    enum status s = job_from_json(v, o->defaults, &job, why);
    if (s != ST_OK)
        return s;
    if (!is_uri(job->image)) {
        char *uri = NULL;
        s = local_uri(o, folder, job->image, &uri, why);
        if (s == ST_OK) {
            free(job->image);
            job->image = uri;
        }
    }
    /* Without an id the key is where the image is, not how the line writes it: two manifests may both say "a.jpg". */
    char *key = s == ST_OK && !jsn_get(v, "id") ? strdup(job->image) : NULL;
    if (key) {
        free(job->key);
        job->key = key;
    }
    if (s == ST_OK)
        *out = (struct input){.job = job};
    else
        job_free(job);
    return s == ST_MISSING ? ST_REFUSED : s; /* a root that is missing, as told from all else */
}

static const char *image_of(const struct json *v)
{
    const struct json *image = jsn_get(v, "image");
    static const char *const members[] = {"path", "url", "uri"};
    for (size_t i = 0; i < 3 && jsn_kind(image) == JSON_KIND_OBJECT; i++) {
        if (jsn_get(image, members[i]))
            return jsn_string(jsn_get(image, members[i]), "");
    }
    return jsn_string(image, "");
}

enum status make_from_line(const struct inputs_options *o, const char *manifest, const char *folder,
                           const struct line *line, struct input *out)
{
    char place[DIAG_BYTES];
    struct diag why = {""};
    struct json *v = NULL;
    snprintf(place, sizeof place, "%s:%llu", manifest, (unsigned long long)line->number);
    enum status s = line->too_long ? diag_set(&why, ST_LIMIT, "a line of over %d bytes", INPUTS_LINE_BYTES)
                                   : jsn_parse(line->text, line->len, "line", &v, &why);
    if (s == ST_OK)
        s = read_line(o, folder, v, out, &why);
    if (s != ST_OK && s != ST_NOMEM) {
        const char *id = jsn_string(jsn_get(v, "id"), "");
        diag_wrap(&why, s, "%s", place);
        s = fail(o, *id ? id : place, image_of(v), s == ST_REFUSED ? "unknown_root" : code_of(s), why.text, out);
    }
    jsn_free(v);
    if (s == ST_OK)
        out->offset = line->offset;
    return s;
}
