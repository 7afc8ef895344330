#include "formats/read/dataset_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/read/local_path.h"

enum wanted wanted_of(const struct inputs_options *o)
{
    const struct job *d = o->defaults;
    if (!d || d->n_tasks == 0)
        return WANTED_IMAGE;
    if (d->tasks[0].kind == TASK_DESCRIBE)
        return d->n_regions == 0 ? WANTED_BOXES : WANTED_IMAGE;
    return d->tasks[0].kind == TASK_LOCATE && d->tasks[0].n_phrases == 0 ? WANTED_PHRASES : WANTED_IMAGE;
}

static enum status join(const char *folder, const char *name, char **out)
{
    size_t n = strlen(folder);
    bool joined = n == 0 || folder[n - 1] == '/' || folder[n - 1] == ':';
    return asprintf(out, "%s%s%s", folder, joined ? "" : "/", name) < 0 ? ST_NOMEM : ST_OK;
}

enum status dataset_image(const struct inputs_options *o, const char *folder, const char *name, char **out)
{
    char *first = NULL;
    if (is_uri(name) || name[0] == '/')
        return (*out = strdup(name)) ? ST_OK : ST_NOMEM;
    for (int i = 0; i < o->n_images; i++) {
        char *path = NULL;
        enum status s = join(o->images[i], name, &path);
        if (s == ST_OK && (o->n_images == 1 || is_uri(path) || access(path, F_OK) == 0)) {
            free(first);
            *out = path;
            return ST_OK;
        }
        if (s != ST_OK || first) {
            free(path);
            free(s == ST_OK ? NULL : first);
            if (s != ST_OK)
                return s;
        } else {
            first = path;
        }
    }
    if (first) {
        *out = first;
        return ST_OK;
    }
    return join(folder, name, out);
}

struct json *dataset_job(const char *id, int part, const char *image)
{
    char *key = NULL;
    struct json *job = jsn_new_object();
    int n = part > 1 ? asprintf(&key, "%s/%d", id, part) : asprintf(&key, "%s", id);
    enum status s = jsn_put(job, "id", n < 0 ? NULL : jsn_new_string(key));
    if (n >= 0)
        free(key);
    if (s == ST_OK)
        s = jsn_put(job, "image", jsn_new_string(image));
    if (s == ST_OK)
        return job;
    jsn_free(job);
    return NULL;
}

enum status dataset_add_box(struct json *regions, const char *id, const double xywh[4])
{
    struct json *region = jsn_new_object(), *box = jsn_new_array();
    const double corners[] = {xywh[0], xywh[1], xywh[0] + xywh[2], xywh[1] + xywh[3]};
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < 4; i++)
        s = jsn_push(box, jsn_new_real(corners[i]));
    enum status named = jsn_put(region, "id", jsn_new_string(id));
    enum status boxed = jsn_put(region, "box", box);
    enum status pushed = jsn_push(regions, region);
    return s == ST_OK && named == ST_OK && boxed == ST_OK ? pushed : ST_NOMEM;
}

enum status dataset_add_locate(struct json *tasks, const char *id, struct json *phrases)
{
    struct json *task = jsn_new_object();
    enum status named = jsn_put(task, "id", jsn_new_string(id));
    enum status kind = jsn_put(task, "kind", jsn_new_string("locate"));
    enum status with = jsn_put(task, "phrases", phrases);
    enum status pushed = jsn_push(tasks, task);
    return named == ST_OK && kind == ST_OK && with == ST_OK ? pushed : ST_NOMEM;
}

const char *dataset_id(const struct json *v, char *room, size_t size)
{
    if (jsn_kind(v) == JSON_KIND_INT)
        snprintf(room, size, "%lld", (long long)jsn_int(v, 0));
    else
        snprintf(room, size, "%s", jsn_string(v, ""));
    return room;
}

bool dataset_numbers(const struct json *v, double *out, size_t n)
{
    if (jsn_kind(v) != JSON_KIND_ARRAY || jsn_size(v) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        enum json_kind kind = jsn_kind(jsn_at(v, i));
        if (kind != JSON_KIND_INT && kind != JSON_KIND_REAL)
            return false;
        out[i] = jsn_number(jsn_at(v, i), 0);
    }
    return true;
}
