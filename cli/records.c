#include "cli/records.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/pictures.h"
#include "formats/read/lines.h"
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

static enum status read_parts(const char *dir, const char *pattern, size_t *n, record_fn fn, void *ctx,
                              struct diag *why)
{
    char path[PATH_BYTES];
    glob_t found = {0};
    enum status s = ST_OK;
    if (snprintf(path, sizeof path, "%s/%s", dir, pattern) >= (int)sizeof path)
        return diag_set(why, ST_LIMIT, "%s: path too long", dir);
    int code = glob(path, 0, NULL, &found);
    if (code == GLOB_NOSPACE)
        return ST_NOMEM;
    for (size_t i = 0; code == 0 && s == ST_OK && i < found.gl_pathc; i++)
        s = read_file(found.gl_pathv[i], fn, ctx, why);
    *n += code == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return s;
}

static enum status read_folder(const char *dir, record_fn fn, void *ctx, struct diag *why)
{
    static const char *const patterns[] = {"part-*.jsonl.zst", "errors-*.jsonl.zst"};
    size_t n = 0;
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof patterns / sizeof *patterns; i++)
        s = read_parts(dir, patterns[i], &n, fn, ctx, why);
    if (s == ST_OK && n == 0)
        return diag_set(why, ST_MISSING, "%s: expected part-*.jsonl.zst, as `ferret export -o DIR` writes them", dir);
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
