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

/* Number of a word of `failed` where a record that did not fail has its image: less than what counting makes up for. */
#define WENT_WELL (INT64_MIN / 2)

/* All files are read twice, in one order: what failed is counted, and then given where it is the last of its image and
 * none went well. */
struct reading {
    glob_t *found; /* of each path: its files */
    const struct setting_list *paths;
    struct words failed; /* keys of failed records; how many are still to come, or WENT_WELL */
    bool counting;
    record_fn fn;
    void *ctx;
};

/* The job names the same image even where a record had no id of its own; records without a queue have none. */
static const char *key_of(const struct json *record)
{
    const char *job = jsn_string(jsn_get(record, "job"), "");
    return *job ? job : jsn_string(jsn_get(record, "id"), "");
}

static enum status take(struct reading *r, const struct json *record, const char *text, size_t len, struct diag *why)
{
    bool failed = strcmp(jsn_string(jsn_get(record, "status"), ""), "failed") == 0;
    if (r->counting && failed)
        return words_count(&r->failed, key_of(record));
    const struct word *known = words_find(&r->failed, key_of(record));
    int64_t *left = known ? &r->failed.list[known - r->failed.list].number : NULL;
    if (left && !failed)
        *left = WENT_WELL;
    if (r->counting || (left && failed && (*left < 0 || --*left > 0)))
        return ST_OK;
    return r->fn(r->ctx, record, text, len, why);
}

/* Until something failed nothing else matters to the count. */
static bool may_matter(const struct reading *r, const struct line *line)
{
    static const char word[] = "\"failed\"";
    return !r->counting || r->failed.n > 0 || line->too_long || memmem(line->text, line->len, word, sizeof word - 1);
}

static enum status read_file(struct reading *r, const char *path, struct diag *why)
{
    struct lines *lines = NULL;
    struct line line;
    enum status s = lines_open(path, LINE_BYTES, &lines, why);
    while (s == ST_OK && (s = lines_next(lines, &line, why)) == ST_OK) {
        struct json *record = NULL;
        if (line.len == 0 || !may_matter(r, &line))
            continue;
        s = line.too_long ? diag_set(why, ST_LIMIT, "the line is over %d bytes", LINE_BYTES)
                          : jsn_parse(line.text, line.len, "no record", &record, why);
        if (s == ST_OK)
            s = result_check(record, why);
        if (s != ST_OK)
            diag_wrap(why, s, "%s:%llu", path, (unsigned long long)line.number);
        if (s == ST_OK)
            s = take(r, record, line.text, line.len, why);
        jsn_free(record);
    }
    lines_close(lines);
    return s == ST_CLOSED ? ST_OK : s;
}

/* A pipe can be read once: what failed in it is given where nothing in front of it went well. */
static enum status read_path(struct reading *r, const char *path, const glob_t *found, struct diag *why)
{
    enum status s = ST_OK;
    struct stat st;
    if (found->gl_pathc == 0) {
        bool twice = stat(path, &st) != 0 || S_ISREG(st.st_mode);
        return r->counting && (!twice || strcmp(path, "-") == 0) ? ST_OK : read_file(r, path, why);
    }
    for (size_t i = 0; s == ST_OK && i < found->gl_pathc; i++) {
        const char *name = strrchr(found->gl_pathv[i], '/') + 1;
        bool nothing_failed = r->counting && r->failed.n == 0 && strncmp(name, "part-", strlen("part-")) == 0;
        s = nothing_failed ? ST_OK : read_file(r, found->gl_pathv[i], why);
    }
    return s;
}

/* The files of a folder, as they are now: an export that goes on moves nothing between the readings. */
static enum status find(const char *path, glob_t *found, struct diag *why)
{
    static const char *const patterns[] = {"part-*.jsonl.zst", "errors-*.jsonl.zst"};
    char pattern[PATH_BYTES];
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return ST_OK;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (snprintf(pattern, sizeof pattern, "%s/%s", path, patterns[i]) >= (int)sizeof pattern)
            return diag_set(why, ST_LIMIT, "%s: path too long", path);
        if (glob(pattern, i > 0 ? GLOB_APPEND : 0, NULL, found) == GLOB_NOSPACE)
            return ST_NOMEM;
    }
    if (found->gl_pathc == 0)
        return diag_set(why, ST_MISSING, "%s: expected part-*.jsonl.zst, as `ferret export -o DIR` writes them", path);
    return ST_OK;
}

static enum status read_all(struct reading *r, bool counting, struct diag *why)
{
    enum status s = ST_OK;
    r->counting = counting;
    for (int i = 0; s == ST_OK && i < r->paths->n; i++)
        s = read_path(r, r->paths->items[i], &r->found[i], why);
    return s;
}

enum status records_of_files(const struct setting_list *paths, record_fn fn, void *ctx, struct diag *why)
{
    struct reading r = {.paths = paths, .fn = fn, .ctx = ctx, .found = calloc((size_t)paths->n + 1, sizeof *r.found)};
    enum status s = r.found ? ST_OK : ST_NOMEM;
    for (int i = 0; s == ST_OK && i < paths->n; i++)
        s = find(paths->items[i], &r.found[i], why);
    if (s == ST_OK)
        s = read_all(&r, true, why);
    if (s == ST_OK)
        s = read_all(&r, false, why);
    for (int i = 0; r.found && i < paths->n; i++)
        globfree(&r.found[i]);
    free(r.found);
    words_fini(&r.failed);
    return s;
}

enum status records_pictures(const struct link_flags *link, const struct setting_list *roots, bool of_files,
                             int max_side, const struct fetch_flags *fetch, struct pictures **out, struct diag *why)
{
    static const char *const anywhere[] = {"local=/"};
    const struct setting_list any = {anywhere, 1};
    return pictures_open(link, of_files && roots->n == 0 ? &any : roots, max_side, fetch, out, why);
}
