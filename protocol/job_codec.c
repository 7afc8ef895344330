/* A job as MessagePack: arrays by position, whose order is normative in PROTOCOL.md ("Job in MessagePack"). A field
 * added later goes to an array's end; a reader of this version refuses what it does not know, because half understood
 * work is worse than refused work. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/job_parts.h"
#include "protocol/wire.h"

/* A refused input has two fields more, one with bounds in time two further ones, the one that counts its group one. */
enum {
    CODEC_VERSION = 1,
    JOB_FIELDS = 13,
    REFUSED_FIELDS = 15,
    TIMED_FIELDS = 17,
    COUNTING_FIELDS = 18,
    REGION_FIELDS = 9,
    TASK_FIELDS = 6,
    OPTION_FIELDS = 6
};

/* ---- writing -------------------------------------------------------------------------------------------------------
 */

static void put_texts(struct wire_writer *w, char *const *list, int n)
{
    wire_put_array(w, (size_t)n);
    for (int i = 0; i < n; i++)
        wire_put_str(w, list[i]);
}

/* Whole numbers as such: most coordinates are, and a polygon of a few hundred vertices has to fit. */
static void put_number(struct wire_writer *w, double v)
{
    if (v >= INT_MIN && v <= INT_MAX && v == (int)v)
        wire_put_int(w, (int)v);
    else
        wire_put_real(w, v);
}

static void put_region(struct wire_writer *w, const struct job_region *r)
{
    wire_put_array(w, REGION_FIELDS);
    wire_put_uint(w, (uint64_t)r->kind);
    wire_put_str(w, r->id);
    wire_put_bool(w, r->normalised);
    wire_put_array(w, 4);
    for (int i = 0; i < 4; i++)
        put_number(w, r->box[i]);
    wire_put_array(w, 2 * (size_t)r->n_points);
    for (int i = 0; i < 2 * r->n_points; i++)
        put_number(w, r->xy[i]);
    wire_put_array(w, (size_t)r->n_rings);
    for (int i = 0; i < r->n_rings; i++)
        wire_put_uint(w, (uint64_t)r->ring_ends[i]);
    put_number(w, r->stroke_width);
    wire_put_str(w, r->rle_counts);
    wire_put_array(w, 2);
    wire_put_uint(w, (uint64_t)r->rle_size[0]);
    wire_put_uint(w, (uint64_t)r->rle_size[1]);
}

static void put_task(struct wire_writer *w, const struct job_task *t)
{
    wire_put_array(w, TASK_FIELDS);
    wire_put_uint(w, (uint64_t)t->kind);
    wire_put_str(w, t->id);
    if (t->regions) {
        wire_put_array(w, (size_t)t->n_regions);
        for (int i = 0; i < t->n_regions; i++)
            wire_put_uint(w, (uint64_t)t->regions[i]);
    } else {
        wire_put_nil(w);
    }
    put_texts(w, t->phrases, t->n_phrases);
    put_texts(w, t->turns, t->n_turns);
    const struct job_options *o = &t->options;
    wire_put_array(w, OPTION_FIELDS);
    wire_put_uint(w, (uint64_t)o->max_tokens);
    put_number(w, o->temperature);
    put_number(w, o->top_p);
    wire_put_uint(w, o->seed);
    put_texts(w, o->stop, o->n_stop);
    wire_put_bool(w, o->repetition_stop);
}

enum status job_encode(const struct job *j, uint8_t **bytes, size_t *len, struct diag *why)
{
    enum status s = job_check(j, why);
    if (s != ST_OK)
        return s;
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_JOB_BYTES);
    bool counting = j->group_images > 0, timed = counting || j->not_before_ms || j->max_runtime_ms;
    wire_put_array(&w, counting ? COUNTING_FIELDS : timed ? TIMED_FIELDS : j->refused ? REFUSED_FIELDS : JOB_FIELDS);
    wire_put_uint(&w, CODEC_VERSION);
    wire_put_str(&w, j->key);
    wire_put_str(&w, j->image);
    wire_put_str(&w, j->group);
    wire_put_str(&w, j->policy);
    wire_put_str(&w, j->meta);
    wire_put_uint(&w, (uint64_t)j->priority);
    wire_put_uint(&w, (uint64_t)j->max_retries);
    wire_put_int(&w, j->deadline_ms);
    wire_put_str(&w, j->tenant);
    wire_put_str(&w, j->campaign);
    wire_put_array(&w, (size_t)j->n_regions);
    for (int i = 0; i < j->n_regions; i++)
        put_region(&w, &j->regions[i]);
    wire_put_array(&w, (size_t)j->n_tasks);
    for (int i = 0; i < j->n_tasks; i++)
        put_task(&w, &j->tasks[i]);
    if (j->refused || timed) {
        wire_put_str(&w, j->refused);
        wire_put_str(&w, j->refused_why);
    }
    if (timed) {
        wire_put_int(&w, j->not_before_ms);
        wire_put_int(&w, j->max_runtime_ms);
    }
    if (counting)
        wire_put_uint(&w, (uint64_t)j->group_images);
    s = wire_writer_take(&w, bytes, len);
    wire_writer_fini(&w);
    if (s == ST_LIMIT)
        diag_set(why, s, "job \"%.128s\" is over %d bytes when encoded", j->key, LIMIT_JOB_BYTES);
    return s;
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

/* Counts are bounded by the reader to what is left of the buffer before anything is allocated. */
static void *room(struct wire_reader *r, size_t n, size_t size)
{
    void *p = r->state == ST_OK && n ? calloc(n, size) : NULL;
    if (!p && n && r->state == ST_OK)
        wire_fail(r, ST_NOMEM);
    return p;
}

static bool fields(struct wire_reader *r, size_t want)
{
    size_t n = wire_get_array(r, want);
    if (r->state == ST_OK && n != want)
        wire_fail(r, ST_FORMAT);
    return r->state == ST_OK;
}

static char *get_text(struct wire_reader *r, size_t max)
{
    struct wire_view v = wire_get_str(r, max);
    char *text = r->state == ST_OK ? wire_view_dup(v) : NULL;
    if (!text && r->state == ST_OK)
        wire_fail(r, ST_NOMEM);
    return text;
}

static char *get_optional(struct wire_reader *r, size_t max)
{
    return wire_get_nil(r) ? NULL : get_text(r, max);
}

static void get_texts(struct wire_reader *r, size_t most, char ***list, int *n)
{
    size_t count = wire_get_array(r, most);
    if (!(*list = room(r, count, sizeof **list)))
        return;
    *n = (int)count;
    for (size_t i = 0; i < count; i++)
        (*list)[i] = get_text(r, LIMIT_TEXT_BYTES);
}

static void get_region(struct wire_reader *r, struct job_region *out)
{
    if (!fields(r, REGION_FIELDS))
        return;
    out->kind = (enum job_region_kind)wire_get_uint(r, JOB_RLE);
    out->id = get_optional(r, LIMIT_NAME_BYTES);
    out->normalised = wire_get_bool(r);
    for (int i = 0, n = fields(r, 4) ? 4 : 0; i < n; i++)
        out->box[i] = wire_get_real(r);
    size_t n = wire_get_array(r, 2 * JOB_MAX_POINTS);
    if (n % 2 != 0)
        wire_fail(r, ST_FORMAT);
    if ((out->xy = room(r, n, sizeof *out->xy)))
        out->n_points = (int)(n / 2);
    for (size_t i = 0; out->xy && i < n; i++)
        out->xy[i] = wire_get_real(r);
    n = wire_get_array(r, JOB_MAX_POINTS);
    if ((out->ring_ends = room(r, n, sizeof *out->ring_ends)))
        out->n_rings = (int)n;
    for (size_t i = 0; out->ring_ends && i < n; i++)
        out->ring_ends[i] = (int)wire_get_uint(r, JOB_MAX_POINTS);
    out->stroke_width = wire_get_real(r);
    out->rle_counts = get_optional(r, LIMIT_JOB_BYTES);
    for (int i = 0, two = fields(r, 2) ? 2 : 0; i < two; i++)
        out->rle_size[i] = (int)wire_get_uint(r, INT_MAX);
}

static void get_options(struct wire_reader *r, struct job_options *o)
{
    if (!fields(r, OPTION_FIELDS))
        return;
    o->max_tokens = (int)wire_get_uint(r, LIMIT_MAX_TOKENS);
    o->temperature = wire_get_real(r);
    o->top_p = wire_get_real(r);
    o->seed = wire_get_uint(r, INT64_MAX);
    size_t n = wire_get_array(r, LIMIT_STOPS);
    for (size_t i = 0; r->state == ST_OK && i < n; i++) {
        o->stop[i] = get_text(r, LIMIT_NAME_BYTES);
        o->n_stop = (int)i + 1;
    }
    o->repetition_stop = wire_get_bool(r);
}

static void get_task(struct wire_reader *r, struct job_task *t)
{
    if (!fields(r, TASK_FIELDS))
        return;
    t->kind = (enum task_kind)wire_get_uint(r, TASK_KIND_COUNT_ - 1);
    t->id = get_optional(r, LIMIT_NAME_BYTES);
    if (!wire_get_nil(r)) {
        size_t n = wire_get_array(r, LIMIT_REGIONS);
        if (n == 0)
            wire_fail(r, ST_FORMAT);
        if ((t->regions = room(r, n, sizeof *t->regions)))
            t->n_regions = (int)n;
        for (size_t i = 0; t->regions && i < n; i++)
            t->regions[i] = (int)wire_get_uint(r, LIMIT_REGIONS);
    }
    get_texts(r, LIMIT_PHRASES, &t->phrases, &t->n_phrases);
    get_texts(r, LIMIT_TURNS, &t->turns, &t->n_turns);
    get_options(r, &t->options);
}

static size_t get_n_fields(struct wire_reader *r)
{
    size_t n = wire_get_array(r, COUNTING_FIELDS);
    if (r->state == ST_OK && n != JOB_FIELDS && n != REFUSED_FIELDS && n < TIMED_FIELDS)
        wire_fail(r, ST_FORMAT);
    return n;
}

static void get_job(struct wire_reader *r, struct job *j)
{
    size_t n_fields = get_n_fields(r);
    if (wire_get_uint(r, UINT32_MAX) != CODEC_VERSION)
        wire_fail(r, ST_UNSUPPORTED);
    j->key = get_text(r, LIMIT_URI_BYTES);
    j->image = get_text(r, LIMIT_URI_BYTES);
    j->group = get_optional(r, LIMIT_NAME_BYTES);
    j->policy = get_text(r, LIMIT_NAME_BYTES);
    j->meta = get_optional(r, LIMIT_META_BYTES);
    j->priority = (int)wire_get_uint(r, JOB_PRIORITIES - 1);
    j->max_retries = (int)wire_get_uint(r, JOB_MAX_RETRIES);
    j->deadline_ms = wire_get_int(r, 0, INT64_MAX);
    j->tenant = get_text(r, LIMIT_NAME_BYTES);
    j->campaign = get_text(r, LIMIT_NAME_BYTES);
    size_t n = wire_get_array(r, LIMIT_REGIONS);
    if ((j->regions = room(r, n, sizeof *j->regions)))
        j->n_regions = (int)n;
    for (int i = 0; r->state == ST_OK && i < j->n_regions; i++)
        get_region(r, &j->regions[i]);
    n = wire_get_array(r, LIMIT_TASKS);
    if ((j->tasks = room(r, n, sizeof *j->tasks)))
        j->n_tasks = (int)n;
    for (int i = 0; r->state == ST_OK && i < j->n_tasks; i++)
        get_task(r, &j->tasks[i]);
    if (n_fields == REFUSED_FIELDS)
        j->refused = get_text(r, LIMIT_NAME_BYTES);
    else if (n_fields >= TIMED_FIELDS)
        j->refused = get_optional(r, LIMIT_NAME_BYTES);
    if (n_fields > JOB_FIELDS)
        j->refused_why = get_optional(r, DIAG_BYTES);
    if (n_fields >= TIMED_FIELDS) {
        j->not_before_ms = wire_get_int(r, 0, INT64_MAX);
        j->max_runtime_ms = wire_get_int(r, 0, JOB_MAX_RUNTIME_MS);
    }
    if (n_fields == COUNTING_FIELDS)
        j->group_images = (int)wire_get_uint(r, INT32_MAX);
}

enum status job_name_read(const uint8_t *bytes, size_t len, struct job_name *out)
{
    if (len > LIMIT_JOB_BYTES)
        return ST_LIMIT;
    struct wire_reader r = wire_reader_init(bytes, len);
    struct job_name n;
    (void)get_n_fields(&r);
    if (wire_get_uint(&r, UINT32_MAX) != CODEC_VERSION)
        wire_fail(&r, ST_UNSUPPORTED);
    n.key = wire_get_str(&r, LIMIT_URI_BYTES);
    for (int i = 0; i < 4; i++) /* image, group, policy, meta */
        if (!wire_get_nil(&r))
            (void)wire_get_str(&r, LIMIT_URI_BYTES);
    (void)wire_get_uint(&r, JOB_PRIORITIES - 1);
    (void)wire_get_uint(&r, JOB_MAX_RETRIES);
    (void)wire_get_int(&r, 0, INT64_MAX);
    n.tenant = wire_get_str(&r, LIMIT_NAME_BYTES);
    n.campaign = wire_get_str(&r, LIMIT_NAME_BYTES);
    if (r.state == ST_OK)
        *out = n;
    return r.state;
}

enum status job_decode(const uint8_t *bytes, size_t len, struct job **out, struct diag *why)
{
    if (len > LIMIT_JOB_BYTES)
        return diag_set(why, ST_LIMIT, "a job of %zu bytes; at most %d", len, LIMIT_JOB_BYTES);
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return ST_NOMEM;
    struct wire_reader r = wire_reader_init(bytes, len);
    get_job(&r, j);
    enum status s = wire_finish(&r);
    if (s == ST_UNSUPPORTED)
        diag_set(why, s, "a job in a version of the codec that this program does not know");
    else if (s != ST_OK)
        diag_set(why, s, "bytes that are no job");
    if (s == ST_OK)
        s = job_check(j, why);
    if (s != ST_OK) {
        job_free(j);
        return s;
    }
    *out = j;
    return ST_OK;
}

enum status job_check_meta(const struct job *j, struct diag *why)
{
    struct json *v = NULL;
    if (!j->meta)
        return ST_OK;
    enum status s = jsn_parse(j->meta, strlen(j->meta), "meta", &v, why);
    jsn_free(v);
    return s;
}
