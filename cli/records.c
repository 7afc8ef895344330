#include "cli/records.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/pictures.h"
#include "formats/read/lines.h"
#include "formats/write/words.h"
#include "protocol/job.h"
#include "protocol/result.h"

enum { LINE_BYTES = 4 << 20, PATH_BYTES = 4096 };

/* ---- of a campaign ---------------------------------------------------------------------------------------------- */

struct call {
    struct records *r;
    enum status status;
    struct diag *why;
};

/* For what is no record: a failed one, under the input's id where that can be read, else under the job's. broken may be
 * NULL. */
static struct json *stand_in(const struct records *r, const uint8_t id[ID_BYTES], const struct json *broken,
                             const char *message)
{
    char hex[2 * ID_BYTES + 1], campaign[LIMIT_NAME_BYTES + 1], tenant[] = "";
    job_id_hex(id, hex);
    snprintf(campaign, sizeof campaign, "%s", r->campaign);
    char *key = strdup(jsn_string(jsn_get(broken, "id"), ""));
    if (!key)
        return NULL;
    struct job job = {.key = *key ? key : hex, .image = hex, .tenant = tenant, .campaign = campaign};
    struct json *record = result_failure(&job, ERROR_PERMANENT, "no_record", message);
    free(key);
    if (record && jsn_put(record, "job", jsn_new_string(hex)) == ST_OK)
        return record;
    jsn_free(record);
    return NULL;
}

static enum status give(struct records *r, const uint8_t id[ID_BYTES], const char *text, size_t len, struct diag *why)
{
    struct json *record = NULL;
    struct diag broken = {""};
    enum status s = jsn_parse(text, len, "what a worker wrote as its record", &record, &broken);
    if (s == ST_OK)
        s = result_check(record, &broken);
    if (s == ST_OK) {
        s = r->fn(r->ctx, record, text, len, why);
    } else if (s != ST_NOMEM) {
        struct json *instead = stand_in(r, id, record, broken.text);
        char *own = instead ? jsn_text(instead) : NULL;
        s = own ? r->fn(r->ctx, instead, own, strlen(own), why) : ST_NOMEM;
        free(own);
        jsn_free(instead);
    }
    jsn_free(record);
    return s;
}

static bool on_record(void *ctx, const uint8_t id[ID_BYTES], const char *text, size_t len)
{
    struct call *call = ctx;
    if (tombstones_hit(&call->r->forgotten, text, len))
        return true;
    call->status = give(call->r, id, text, len, call->why);
    return call->status == ST_OK;
}

enum status records_some(struct records *r, bool *more, struct diag *why)
{
    struct call call = {.r = r, .why = why};
    enum status s = client_results(r->client, r->campaign, &r->cursor, on_record, &call, more, why);
    return s == ST_CANCELLED ? call.status : s;
}

enum status records_all(struct records *r, struct diag *why)
{
    bool more = true;
    enum status s = tombstones_read(&r->forgotten, r->client, NULL, why);
    while (s == ST_OK && more)
        s = records_some(r, &more, why);
    return s;
}

void records_fini(struct records *r)
{
    tombstones_fini(&r->forgotten);
}

/* ---- of files --------------------------------------------------------------------------------------------------- */

static enum status read_file(const char *path, record_fn fn, void *ctx, struct diag *why)
{
    struct lines *lines = NULL;
    struct line line;
    enum status s = lines_open(path, LINE_BYTES, &lines, why);
    while (s == ST_OK && (s = lines_next(lines, &line, why)) == ST_OK) {
        struct json *record = NULL;
        if (line.len == 0)
            continue;
        s = line.too_long ? diag_set(why, ST_LIMIT, "the line is over %d bytes", LINE_BYTES)
                          : jsn_parse(line.text, line.len, "no record", &record, why);
        if (s == ST_OK)
            s = result_check(record, why);
        if (s != ST_OK)
            diag_wrap(why, s, "%s:%llu", path, (unsigned long long)line.number);
        if (s == ST_OK)
            s = fn(ctx, record, line.text, line.len, why);
        jsn_free(record);
    }
    lines_close(lines);
    return s == ST_CLOSED ? ST_OK : s;
}

/* Failed records of a folder by their keys, and how many of each are still to come; 0: none of them stands. */
struct folder {
    struct words failed;
    record_fn fn;
    void *ctx;
};

/* The job names the same image even where a record had no id of its own; records without a queue have none. */
static const char *key_of(const struct json *record)
{
    const char *job = jsn_string(jsn_get(record, "job"), "");
    return *job ? job : jsn_string(jsn_get(record, "id"), "");
}

static int64_t *left_of(const struct folder *f, const struct json *record)
{
    const struct word *known = words_find(&f->failed, key_of(record));
    return known ? &f->failed.list[known - f->failed.list].number : NULL;
}

static enum status count_failed(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    struct folder *f = ctx;
    (void)text;
    (void)len;
    (void)why;
    return words_count(&f->failed, key_of(record));
}

static enum status give_part(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    const struct folder *f = ctx;
    int64_t *left = left_of(f, record);
    if (left)
        *left = 0;
    return f->fn(f->ctx, record, text, len, why);
}

static enum status give_failed(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    const struct folder *f = ctx;
    int64_t *left = left_of(f, record);
    if (left && (*left == 0 || --*left > 0))
        return ST_OK;
    return f->fn(f->ctx, record, text, len, why);
}

static enum status find(const char *dir, const char *pattern, glob_t *found, struct diag *why)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", dir, pattern) >= (int)sizeof path)
        return diag_set(why, ST_LIMIT, "%s: path too long", dir);
    return glob(path, 0, NULL, found) == GLOB_NOSPACE ? ST_NOMEM : ST_OK;
}

static enum status read_found(const glob_t *found, record_fn fn, void *ctx, struct diag *why)
{
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < found->gl_pathc; i++)
        s = read_file(found->gl_pathv[i], fn, ctx, why);
    return s;
}

/* What failed is read twice: a record of it stands if neither a part has its image nor a later one of it follows. */
static enum status read_folder(const char *dir, record_fn fn, void *ctx, struct diag *why)
{
    struct folder f = {.fn = fn, .ctx = ctx};
    glob_t failed = {0}, parts = {0}; /* as they are now: an export that goes on moves nothing between the readings */
    enum status s = find(dir, "errors-*.jsonl.zst", &failed, why);
    if (s == ST_OK)
        s = find(dir, "part-*.jsonl.zst", &parts, why);
    if (s == ST_OK && failed.gl_pathc + parts.gl_pathc == 0)
        s = diag_set(why, ST_MISSING, "%s: expected part-*.jsonl.zst, as `ferret export -o DIR` writes them", dir);
    if (s == ST_OK)
        s = read_found(&failed, count_failed, &f, why);
    if (s == ST_OK)
        s = read_found(&parts, give_part, &f, why);
    if (s == ST_OK)
        s = read_found(&failed, give_failed, &f, why);
    globfree(&failed);
    globfree(&parts);
    words_fini(&f.failed);
    return s;
}

enum status records_of_files(const struct setting_list *paths, record_fn fn, void *ctx, struct diag *why)
{
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < paths->n; i++) {
        struct stat st;
        bool folder = stat(paths->items[i], &st) == 0 && S_ISDIR(st.st_mode);
        s = folder ? read_folder(paths->items[i], fn, ctx, why) : read_file(paths->items[i], fn, ctx, why);
    }
    return s;
}

enum status records_pictures(const struct link_flags *link, const struct setting_list *roots, bool of_files,
                             int max_side, const struct fetch_flags *fetch, struct pictures **out, struct diag *why)
{
    static const char *const anywhere[] = {"local=/"};
    const struct setting_list any = {anywhere, 1};
    return pictures_open(link, of_files && roots->n == 0 ? &any : roots, max_side, fetch, out, why);
}
