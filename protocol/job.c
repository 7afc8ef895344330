#include "protocol/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "protocol/job_parts.h"

static const char *const kind_names[TASK_KIND_COUNT_] = {"caption", "describe", "locate", "ask"};

const char *task_kind_name(enum task_kind k)
{
    return (unsigned)k < TASK_KIND_COUNT_ ? kind_names[k] : "unknown";
}

enum status task_kind_parse(const char *name, enum task_kind *out, struct diag *why)
{
    for (int k = 0; k < TASK_KIND_COUNT_; k++) {
        if (strcmp(name, kind_names[k]) == 0) {
            *out = (enum task_kind)k;
            return ST_OK;
        }
    }
    return diag_set(why, ST_UNSUPPORTED, "unknown task \"%.64s\"; expected caption, describe, locate or ask", name);
}

/* ---- parts --------------------------------------------------------------------------------------------------------
 */

static void free_list(char **list, int n)
{
    for (int i = 0; list && i < n; i++)
        free(list[i]);
    free(list);
}

void job_region_fini(struct job_region *r)
{
    free(r->id);
    free(r->xy);
    free(r->ring_ends);
    free(r->rle_counts);
    *r = (struct job_region){0};
}

void job_options_fini(struct job_options *o)
{
    for (int i = 0; i < o->n_stop; i++)
        free(o->stop[i]);
    *o = (struct job_options){0};
}

void job_task_fini(struct job_task *t)
{
    free(t->id);
    free(t->regions);
    free_list(t->phrases, t->n_phrases);
    free_list(t->turns, t->n_turns);
    job_options_fini(&t->options);
    *t = (struct job_task){0};
}

void job_free(struct job *j)
{
    if (!j)
        return;
    for (int i = 0; j->regions && i < j->n_regions; i++)
        job_region_fini(&j->regions[i]);
    for (int i = 0; j->tasks && i < j->n_tasks; i++)
        job_task_fini(&j->tasks[i]);
    free(j->regions);
    free(j->tasks);
    free(j->key);
    free(j->image);
    free(j->group);
    free(j->policy);
    free(j->meta);
    free(j->tenant);
    free(j->campaign);
    free(j->refused);
    free(j->refused_why);
    free(j);
}

void job_options_init(struct job_options *o, const char *policy)
{
    *o = (struct job_options){.max_tokens = JOB_DEFAULT_TOKENS, .top_p = 1, .repetition_stop = true};
    if (policy && strcmp(policy, "ml-ferret") == 0)
        o->repetition_stop = false;
}

enum status job_set_text(char **slot, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return ST_NOMEM;
    free(*slot);
    *slot = copy;
    return ST_OK;
}

static enum status copy_list(char ***to, int *n_to, char *const *from, int n)
{
    if (n == 0)
        return ST_OK;
    char **list = calloc((size_t)n, sizeof *list);
    if (!list)
        return ST_NOMEM;
    *to = list;
    *n_to = n;
    for (int i = 0; i < n; i++) {
        if (!(list[i] = strdup(from[i])))
            return ST_NOMEM;
    }
    return ST_OK;
}

static enum status copy_bytes(void *to, const void *from, size_t bytes)
{
    if (!from)
        return ST_OK;
    void *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        return ST_NOMEM;
    memcpy(copy, from, bytes);
    *(void **)to = copy;
    return ST_OK;
}

enum status job_options_copy(struct job_options *to, const struct job_options *from)
{
    *to = *from;
    to->n_stop = 0;
    memset(to->stop, 0, sizeof to->stop);
    for (int i = 0; i < from->n_stop; i++) {
        if (!(to->stop[i] = strdup(from->stop[i])))
            return ST_NOMEM;
        to->n_stop = i + 1;
    }
    return ST_OK;
}

enum status job_task_copy(struct job_task *to, const struct job_task *from)
{
    *to = (struct job_task){.kind = from->kind};
    enum status s = job_set_text(&to->id, from->id);
    if (s == ST_OK)
        s = copy_bytes(&to->regions, from->regions, (size_t)from->n_regions * sizeof *from->regions);
    if (s == ST_OK && to->regions)
        to->n_regions = from->n_regions;
    if (s == ST_OK)
        s = copy_list(&to->phrases, &to->n_phrases, from->phrases, from->n_phrases);
    if (s == ST_OK)
        s = copy_list(&to->turns, &to->n_turns, from->turns, from->n_turns);
    if (s == ST_OK)
        s = job_options_copy(&to->options, &from->options);
    return s;
}

enum status job_region_copy(struct job_region *to, const struct job_region *from)
{
    *to = *from;
    to->id = NULL;
    to->xy = NULL;
    to->ring_ends = NULL;
    to->rle_counts = NULL;
    enum status s = job_set_text(&to->id, from->id);
    if (s == ST_OK)
        s = copy_bytes(&to->xy, from->xy, 2 * (size_t)from->n_points * sizeof *from->xy);
    if (s == ST_OK)
        s = copy_bytes(&to->ring_ends, from->ring_ends, (size_t)from->n_rings * sizeof *from->ring_ends);
    if (s == ST_OK)
        s = job_set_text(&to->rle_counts, from->rle_counts);
    return s;
}

enum status job_under(struct diag *why, enum status s, const char *fmt, ...)
{
    if (!why)
        return s;
    char path[64];
    struct diag old = *why;
    va_list args;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    return diag_set(why, s, "%s.%s", path, old.text);
}

/* ---- identity ------------------------------------------------------------------------------------------------------
 */

/* The zero bytes keep ("ab", "c") and ("a", "bc") apart; names hold none. */
void job_name_id(const struct job_name *n, uint8_t id[ID_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, n->tenant.bytes, n->tenant.len);
    sha256_add(&h, "", 1);
    sha256_add(&h, n->campaign.bytes, n->campaign.len);
    sha256_add(&h, "", 1);
    sha256_add(&h, n->key.bytes, n->key.len);
    sha256_end(&h, digest);
    memcpy(id, digest, ID_BYTES);
}

static struct wire_view view_of(const char *text)
{
    return (struct wire_view){.bytes = (const uint8_t *)text, .len = strlen(text)};
}

void job_id(const struct job *j, uint8_t id[ID_BYTES])
{
    struct job_name n = {.tenant = view_of(j->tenant), .campaign = view_of(j->campaign), .key = view_of(j->key)};
    job_name_id(&n, id);
}

void job_id_hex(const uint8_t id[ID_BYTES], char hex[2 * ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < ID_BYTES; i++) {
        hex[2 * i] = digits[id[i] >> 4];
        hex[2 * i + 1] = digits[id[i] & 15];
    }
    hex[2 * ID_BYTES] = '\0';
}
