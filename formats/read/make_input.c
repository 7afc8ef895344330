#include "formats/read/make_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uri.h"
#include "formats/read/local_path.h"
#include "formats/read/openai.h"

static const char *code_of(enum status s)
{
    return s == ST_UNSUPPORTED ? "unknown_task" : s == ST_LIMIT ? "too_long" : "invalid_job";
}

/* Cuts a text that no job may have so long: an image at its end, a key in front, since the end tells paths apart. */
static void cut(char *text, bool in_front)
{
    size_t len = strlen(text), from = 0;
    if (len <= LIMIT_URI_BYTES)
        return;
    if (in_front) {
        for (from = len - LIMIT_URI_BYTES; (text[from] & 0xC0) == 0x80; from++)
            ;
    } else {
        for (len = LIMIT_URI_BYTES; (text[len] & 0xC0) == 0x80; len--)
            ;
    }
    memmove(text, text + from, len - from);
    text[len - from] = '\0';
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
    if (!ok || !j->policy || !j->tenant || !j->campaign) {
        job_free(j);
        return NULL;
    }
    cut(j->key, true);
    cut(j->image, false);
    return j;
}

char *make_place_key(const char *manifest, uint64_t line)
{
    char *place, *key = NULL;
    if (asprintf(&place, "%s:%llu", manifest, (unsigned long long)line) < 0)
        return NULL;
    if (path_as_text(place, &key) == ST_OK)
        cut(key, true);
    free(place);
    return key;
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

/* v: a manifest's object; key and image: what the input is called where that is no job. */
static enum status make_job(const struct inputs_options *o, const struct json *v, const char *key, const char *image,
                            struct input *out)
{
    struct diag why = {""};
    struct job *job = NULL;
    enum status s = job_from_json(v, o->defaults, &job, &why);
    if (s == ST_NOMEM)
        return s;
    if (s != ST_OK)
        return fail(o, key, image, code_of(s), why.text, out);
    *out = (struct input){.job = job};
    return ST_OK;
}

/* A job of the defaults' tasks over one image, whose URI is the key too. */
static enum status plain_job(const struct inputs_options *o, const char *image, struct input *out)
{
    struct json *v = jsn_new_object();
    enum status s = jsn_put(v, "image", jsn_new_string(image));
    if (s == ST_OK)
        s = make_job(o, v, image, image, out);
    jsn_free(v);
    return s;
}

enum status make_local_uri(const struct inputs_options *o, const char *folder, const char *path, char **uri,
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

/* folder: as in make_local_uri. */
static enum status path_job(const struct inputs_options *o, const char *folder, const char *path, struct input *out)
{
    struct diag why = {""};
    char *uri = NULL;
    enum status s = make_local_uri(o, folder, path, &uri, &why);
    if (s == ST_OK)
        s = plain_job(o, uri, out);
    else if (s != ST_NOMEM)
        s = fail(o, path, path, s == ST_MISSING ? "unknown_root" : "unreadable", why.text, out);
    free(uri);
    return s;
}

enum status make_from_path(const struct inputs_options *o, const char *path, struct input *out)
{
    return path_job(o, NULL, path, out);
}

/* Called by its URI as it would be if it were well, so that its name does not hang on the current folder. */
enum status make_error(const struct inputs_options *o, const char *path, const char *code, const char *message,
                       struct input *out)
{
    char *uri = NULL;
    enum status s = make_local_uri(o, NULL, path, &uri, NULL);
    if (s == ST_NOMEM)
        return s;
    s = fail(o, uri ? uri : path, uri ? uri : path, code, message, out);
    free(uri);
    return s;
}

const char *make_code_of_reading(enum status s)
{
    return s == ST_MISSING ? "missing_file" : s == ST_FORMAT ? "bad_shard" : "unreadable";
}

enum status make_error_of_uri(const struct inputs_options *o, const char *uri, const char *code, const char *message,
                              struct input *out)
{
    return fail(o, uri, uri, code, message, out);
}

/* The end of a name, which tells more than its beginning, in what a group may have. */
static const char *group_tail(const char *name)
{
    size_t len = strlen(name);
    const char *from = len > LIMIT_NAME_BYTES ? name + len - LIMIT_NAME_BYTES : name;
    while ((*from & 0xC0) == 0x80)
        from++;
    return from;
}

enum status make_of_group(const struct inputs_options *o, const char *key, const char *uri, const char *group,
                          struct input *out)
{
    struct json *v = jsn_new_object();
    enum status s = jsn_put(v, "id", jsn_new_string(key));
    if (s == ST_OK)
        s = jsn_put(v, "image", jsn_new_string(uri));
    if (s == ST_OK)
        s = jsn_put(v, "group", jsn_new_string(group_tail(group)));
    if (s == ST_OK)
        s = make_job(o, v, key, uri, out);
    jsn_free(v);
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
    if (openai_is_line(v)) {
        struct json *translated = NULL;
        enum status s = openai_job(v, &translated, why);
        if (s == ST_OK)
            s = read_line(o, folder, translated, out, why);
        jsn_free(translated);
        return s;
    }
    struct job *job = NULL;
    enum status s = job_from_json(v, o->defaults, &job, why);
    if (s != ST_OK)
        return s;
    if (!is_uri(job->image)) {
        char *uri = NULL;
        s = make_local_uri(o, folder, job->image, &uri, why);
        if (s == ST_OK) {
            free(job->image);
            job->image = uri;
        }
    }
    /* Without an id the key is where the image is, not how the line writes it: two manifests may both say "a.jpg". */
    if (s == ST_OK && !jsn_get(v, "id")) {
        free(job->key);
        job->key = strdup(job->image);
        s = job->key ? ST_OK : ST_NOMEM;
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

/* Behind the quote that closes the string at s; NULL where none does. */
static const char *behind_string(const char *s, const char *end)
{
    for (s++; s < end && *s != '"'; s++)
        s += *s == '\\';
    return s < end ? s + 1 : NULL;
}

static const char *behind_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t'))
        s++;
    return s;
}

/* ": VALUE" with a text or a whole number as its value, in room. */
static bool read_value(const char *s, const char *end, char *room, size_t size)
{
    struct json *v = NULL;
    s = behind_space(s, end);
    if (s == end || *s != ':')
        return false;
    s = behind_space(s + 1, end);
    const char *stop = s;
    if (s < end && *s == '"')
        stop = behind_string(s, end);
    while (stop && stop < end && *s != '"' && ((*stop >= '0' && *stop <= '9') || *stop == '-'))
        stop++;
    if (!stop || stop == s || jsn_parse(s, (size_t)(stop - s), "id", &v, NULL) != ST_OK)
        return false;
    int n = jsn_kind(v) == JSON_KIND_INT ? snprintf(room, size, "%lld", (long long)jsn_int(v, 0))
                                         : snprintf(room, size, "%s", jsn_string(v, ""));
    jsn_free(v);
    return n > 0 && (size_t)n < size;
}

/* The id of a line that is no JSON, where it can be read all the same. */
static bool id_of_text(const struct line *line, char *room, size_t size)
{
    static const char name[] = "\"id\"";
    int depth = 0;
    const char *s = line->text, *end = s + line->len;
    while (s < end) {
        const char *next = *s == '"' ? behind_string(s, end) : s + 1;
        if (!next)
            break;
        depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        if (depth == 1 && (size_t)(next - s) == sizeof name - 1 && memcmp(s, name, sizeof name - 1) == 0 &&
            read_value(next, end, room, size))
            return true;
        s = next;
    }
    return false;
}

/* What a line that is no job is called: by its id, else by its place. */
static void name_line(const struct line *line, const struct json *v, const char *place, char *room, size_t size)
{
    const struct json *id = openai_is_line(v) ? jsn_get(v, "custom_id") : jsn_get(v, "id");
    int n = 0;
    if (!v && line->text && id_of_text(line, room, size))
        return;
    if (jsn_kind(id) == JSON_KIND_INT)
        n = snprintf(room, size, "%lld", (long long)jsn_int(id, 0));
    else if (strlen(jsn_string(id, "")) <= LIMIT_URI_BYTES)
        n = snprintf(room, size, "%s", jsn_string(id, ""));
    if (n <= 0)
        snprintf(room, size, "%s", place);
}

enum status make_from_object(const struct inputs_options *o, const char *manifest, const char *folder,
                             const struct json *v, struct input *out)
{
    char shown[URI_SHOWN_BYTES];
    struct diag why = {""};
    enum status s = read_line(o, folder, v, out, &why);
    if (s == ST_OK || s == ST_NOMEM)
        return s;
    const char *image = image_of(v), *id = jsn_string(jsn_get(v, "id"), image);
    diag_wrap(&why, s, "%.200s: %.64s", manifest, uri_shown(id, shown, sizeof shown));
    return fail(o, id, image, s == ST_REFUSED ? "unknown_root" : code_of(s), why.text, out);
}

enum status make_from_line(const struct inputs_options *o, const char *manifest, const char *folder,
                           const struct line *line, struct input *out)
{
    enum { PLACE_BYTES = 8192 }; /* the longest path, and a number */
    char place[PLACE_BYTES], name[PLACE_BYTES];
    struct diag why = {""};
    struct json *v = NULL;
    snprintf(place, sizeof place, "%s:%llu", manifest, (unsigned long long)line->number);
    enum status s = line->too_long ? diag_set(&why, ST_LIMIT, "a line of over %d bytes", INPUTS_LINE_BYTES)
                                   : jsn_parse(line->text, line->len, "line", &v, &why);
    if (s == ST_OK)
        s = read_line(o, folder, v, out, &why);
    if (s != ST_OK && s != ST_NOMEM) {
        diag_wrap(&why, s, "%s", place);
        name_line(line, v, place, name, sizeof name);
        s = fail(o, name, image_of(v), s == ST_REFUSED ? "unknown_root" : code_of(s), why.text, out);
    }
    jsn_free(v);
    if (s == ST_OK) {
        out->offset = line->offset;
        out->manifest = manifest;
        out->line = line->number;
    }
    return s;
}

/* The line without the space around it, as a string of its own; NULL when memory is short. */
static char *name_of_line(const struct line *line)
{
    static const char space[] = " \t\r";
    const char *from = line->text, *end = from + line->len;
    while (from < end && *from && strchr(space, *from))
        from++;
    while (end > from && end[-1] && strchr(space, end[-1]))
        end--;
    return strndup(from, (size_t)(end - from));
}

enum status make_from_name(const struct inputs_options *o, const char *manifest, const char *folder,
                           const struct line *line, struct input *out)
{
    char *name = NULL, *place = make_place_key(manifest, line->number);
    enum status s = place && (line->too_long || (name = name_of_line(line))) ? ST_OK : ST_NOMEM;
    struct diag why = {""};
    if (s == ST_OK && (line->too_long || strlen(name) > LIMIT_URI_BYTES)) {
        diag_set(&why, ST_LIMIT, "%.200s: a path or address of over %d bytes", place, LIMIT_URI_BYTES);
        s = fail(o, place, place, "too_long", why.text, out);
    } else if (s == ST_OK) {
        s = is_uri(name) ? plain_job(o, name, out) : path_job(o, folder, name, out);
    }
    free(place);
    free(name);
    if (s == ST_OK) {
        out->offset = line->offset;
        out->manifest = manifest;
        out->line = line->number;
    }
    return s;
}
