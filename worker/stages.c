/* The stages in front of the engine: bytes, pixels, what the engine reads. */
#include "worker/stages.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/preprocess.h"
#include "worker/feature_index.h"

/* ---- fetch ---------------------------------------------------------------------------------------------------------
 */

/* Words of fetch errors as records have them: the ones a user meets with files are told apart by short names. */
static const char *fetch_code(enum fetch_error e)
{
    switch (e) {
    case FETCH_MISSING: return "missing_file";
    case FETCH_NOT_A_FILE: return "not_a_file";
    case FETCH_OUTSIDE_ROOT: return "outside_root";
    case FETCH_ROOT_ABSENT: return "root_not_mounted";
    case FETCH_UNKNOWN_ROOT: return "unknown_root";
    case FETCH_TOO_LARGE: return "too_large";
    case FETCH_TIMEOUT: return "timeout";
    case FETCH_NOMEM: return "out_of_memory";
    case FETCH_IO: return "fetch_failed";
    default: return fetch_error_word(e);
    }
}

static struct image_policy policy_of(const struct pipeline *p, const struct item *item)
{
    bool reference = strcmp(item->job->policy, "ml-ferret") == 0;
    struct image_policy policy = image_policy_default(reference ? IMAGE_POLICY_ML_FERRET : IMAGE_POLICY_DEFAULT);
    memcpy(policy.background, p->background, sizeof policy.background);
    return policy;
}

/* The answers of a finished job with these bytes and questions. True: the item has ended. */
static bool copy_twin(struct pipeline *p, struct item *item)
{
    char id[2 * ID_BYTES + 1];
    struct twins *t = p->options.twins;
    if (!t)
        return false;
    twins_name(t, item->job, item->content, &item->twin);
    struct json *twin = twins_find(t, &item->twin, id);
    if (!twin)
        return false;
    const struct record_times times = {.fetch_us = item->fetch_us, .total_us = clock_us() - item->put_us};
    struct json *record = record_copy(item->job, twin, id, &times);
    jsn_free(twin);
    if (!record)
        return false;
    meters_copied(p->options.meters);
    item->twin.is_named = false; /* the index has it */
    item_finish(p, item, record, &(struct record_outcome){.n_failed = 0});
    return true;
}

static void find_key(const struct pipeline *p, struct item *item)
{
    struct image_policy policy = policy_of(p, item);
    feature_cache_key(p->cache, item->content, policy.kind, policy.background, item->feature_key);
}

/* An image that was encoded before needs neither its pixels nor what makes them. Its content is known. */
static bool take_kept(struct pipeline *p, struct item *item)
{
    struct image image = {0};
    if (!p->cache)
        return false;
    find_key(p, item);
    if (!feature_cache_get(p->cache, item->feature_key, &image, &item->features))
        return false;
    if (tasks_plan(item->job, engine_config(p->engine), image.width, image.height, &item->plan) != ST_OK) {
        free(item->features); /* no memory: the long way says so */
        item->features = NULL;
        return false;
    }
    item->image = image;
    bytes_fini(&item->bytes);
    return true;
}

/* The stamp by which the source of an image is known whose features are there; else "". */
static struct fetch_stamp known_stamp(const struct pipeline *p, struct item *item)
{
    struct fetch_stamp stamp = {""};
    if (!p->cache || !feature_index_find(p->options.cache_dir, item->job->image, &stamp, item->content))
        return (struct fetch_stamp){""};
    find_key(p, item);
    return feature_cache_has(p->cache, item->feature_key) ? stamp : (struct fetch_stamp){""};
}

/* Its bytes, or, true in *unread, its features, where these are kept and the source has not changed since. */
static enum status read_image(struct pipeline *p, struct item *item, bool *unread, enum fetch_error *kind,
                              struct diag *why)
{
    const char *uri = item->job->image;
    struct fetch_stamp had = known_stamp(p, item), has = had;
    enum status s = fetch_changed(p->fetcher, uri, &has, unread, &item->bytes, kind, why);
    if (s == ST_OK && *unread && !take_kept(p, item)) { /* damaged, or it had to go just now */
        has = (struct fetch_stamp){""};
        s = fetch_changed(p->fetcher, uri, &has, unread, &item->bytes, kind, why);
    }
    if (s != ST_OK || *unread)
        return s;
    if (p->cache || p->options.twins)
        sha256_of(item->bytes.data, item->bytes.len, item->content);
    if (p->cache && has.text[0])
        feature_index_put(p->options.cache_dir, uri, &has, item->content);
    return ST_OK;
}

static void count_unread(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->n_unread++;
    pthread_mutex_unlock(&p->lock);
    meters_unread(p->options.meters);
}

static void fetch_item(struct pipeline *p, struct item *item)
{
    const struct job *job = item->job;
    if (job->refused) {
        item_fail(p, item, ERROR_PERMANENT, job->refused, job->refused_why ? job->refused_why : job->refused);
        return;
    }
    struct diag why = {""};
    if (job_check_meta(job, &why) != ST_OK) {
        item_fail(p, item, ERROR_PERMANENT, "invalid_job", why.text);
        return;
    }
    int64_t start = clock_us();
    enum fetch_error kind = FETCH_OK;
    bool unread = false;
    enum status s = read_image(p, item, &unread, &kind, &why);
    int64_t now = clock_us();
    item->fetch_us = now - start;
    meters_stage(p->options.meters, STAGE_FETCH, item_name(item), start, now);
    if (kind == FETCH_STOPPED) {
        item_hand_back(p, item);
        return;
    }
    if (s != ST_OK) {
        item_fail(p, item, (enum error_class)fetch_error_class(kind), fetch_code(kind), why.text);
        return;
    }
    if (unread)
        count_unread(p);
    if (copy_twin(p, item))
        return;
    if (stage_queue_put(unread ? &p->to_engine : &p->to_decode, item, true) != ST_OK)
        item_hand_back(p, item);
}

void *stage_fetch(void *ctx)
{
    struct pipeline *p = ctx;
    struct item *item;
    meters_thread(p->options.meters, STATION_FETCH);
    while ((item = stage_queue_take(&p->to_fetch, true)) != NULL) {
        pipeline_count(p, STATION_FETCH, 1);
        if (item_goes_on(p, item))
            fetch_item(p, item);
        pipeline_count(p, STATION_FETCH, -1);
    }
    return NULL;
}

/* ---- decode --------------------------------------------------------------------------------------------------------
 */

static const char *image_code(enum image_error e)
{
    switch (e) {
    case IMAGE_MISSING: return "missing_file";
    case IMAGE_EMPTY: return "empty_file";
    default: return image_error_word(e);
    }
}

/* A timeout or a want of memory may be the machine's fault; a crash is laid to the file. */
static enum error_class image_class(enum status s, enum image_error e)
{
    bool machine = e == IMAGE_TIMEOUT || s == ST_NOMEM || s == ST_IO;
    return machine ? ERROR_TRANSIENT : ERROR_PERMANENT;
}

static enum status prepare(struct pipeline *p, struct item *item, const struct image *image)
{
    const struct config *config = engine_config(p->engine);
    size_t side = (size_t)config->vision.image_size;
    if (!(item->pixels = malloc(3 * side * side * sizeof *item->pixels)))
        return ST_NOMEM;
    enum status s = preprocess(image->rgb, image->width, image->height, &config->vision, item->pixels);
    return s == ST_OK ? tasks_plan(item->job, config, image->width, image->height, &item->plan) : s;
}

static void decode_item(struct pipeline *p, struct item *item)
{
    int64_t start = clock_us();
    struct image_policy policy = policy_of(p, item);
    if (take_kept(p, item)) {
        item->decode_us = clock_us() - start;
        if (stage_queue_put(&p->to_engine, item, true) != ST_OK)
            item_hand_back(p, item);
        return;
    }
    struct image image = {0};
    enum image_error kind = IMAGE_OK;
    struct diag why = {""};
    enum status s = decoder_run(p->decoders, item->bytes.data, item->bytes.len, &policy, &image, &kind, &why);
    int64_t decoded = clock_us();
    meters_stage(p->options.meters, STAGE_DECODE, item_name(item), start, decoded);
    bytes_fini(&item->bytes);
    if (kind == IMAGE_TRUNCATED) {
        item_fail_truncated(p, item, image.rows_decoded, why.text);
        return;
    }
    if (s != ST_OK) {
        item_fail(p, item, image_class(s, kind), kind == IMAGE_OK ? "decode_failed" : image_code(kind), why.text);
        return;
    }
    s = prepare(p, item, &image);
    item->image = image;
    item->image.rgb = NULL;
    item->image.mapped = 0;
    image_fini(&image);
    int64_t now = clock_us();
    item->decode_us = now - start;
    meters_stage(p->options.meters, STAGE_PREPROCESS, item_name(item), decoded, now);
    if (s != ST_OK)
        item_fail(p, item, ERROR_TRANSIENT, "out_of_memory", "no memory to prepare the image");
    else if (stage_queue_put(&p->to_engine, item, true) != ST_OK)
        item_hand_back(p, item);
}

void *stage_decode(void *ctx)
{
    struct pipeline *p = ctx;
    struct item *item;
    meters_thread(p->options.meters, STATION_DECODE);
    while ((item = stage_queue_take(&p->to_decode, true)) != NULL) {
        pipeline_count(p, STATION_DECODE, 1);
        if (item_goes_on(p, item))
            decode_item(p, item);
        pipeline_count(p, STATION_DECODE, -1);
    }
    return NULL;
}
