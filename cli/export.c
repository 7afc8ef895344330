/* `ferret export`: a campaign's records as JSONL, as drawings, or as a page with the pictures beside it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/pictures.h"
#include "cli/tombstones.h"
#include "formats/write/html.h"
#include "formats/write/jsonl.h"

enum { PATH_BYTES = 4096, SHOWN_WARNINGS = 10 };
#define RECORDS_NAME "records.jsonl"
#define NEW ".new"
enum format { FORMAT_JSONL, FORMAT_OVERLAY, FORMAT_HTML };

struct export_flags {
    struct link_flags link;
    int format;
    const char *out;
    struct setting_list roots;
    int64_t max_side;
    int64_t segment_bytes;
    bool allow_private_hosts, follow, json;
};

static const struct setting export_rows[] = {
    {.name = "format",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct export_flags, format),
     .fallback = "jsonl",
     .choices = "jsonl|overlay|html",
     .help = "records; pictures with boxes, phrases and scores; a page"},
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct export_flags, out),
     .value = "DIR|-",
     .help = "folder to write into; - is records on stdout",
     .letter = 'o'},
    {.name = "root",
     .type = SETTING_LIST,
     .offset = offsetof(struct export_flags, roots),
     .value = "NAME=DIR",
     .help = "where a named root is here; without it as the `ferret up` on --data says"},
    {.name = "max-side",
     .type = SETTING_INT,
     .offset = offsetof(struct export_flags, max_side),
     .fallback = "1600",
     .min = 64,
     .max = 16384,
     .help = "longer side of drawn pictures, in pixels"},
    {.name = "follow",
     .type = SETTING_BOOL,
     .offset = offsetof(struct export_flags, follow),
     .help = "append records to DIR as they come and delete them from Redis, until the campaign is complete"},
    {.name = "segment-bytes",
     .type = SETTING_BYTES,
     .offset = offsetof(struct export_flags, segment_bytes),
     .fallback = "256MiB",
     .min = 4096,
     .max = 1e15,
     .help = "with --follow: size at which a new file is begun"},
    {.name = "json",
     .type = SETTING_BOOL,
     .offset = offsetof(struct export_flags, json),
     .help = "with --follow: at the end one JSON object on stdout"},
    {.name = "allow-private-hosts",
     .type = SETTING_BOOL,
     .offset = offsetof(struct export_flags, allow_private_hosts),
     .help = "fetch pictures from private and local addresses too"},
};

struct export
{
    const struct export_flags *o;
    const char *campaign;
    struct client *client;
    struct pictures *pictures; /* overlay, html */
    struct jsonl *jsonl;
    struct html *html;
    struct tombstones forgotten;
    uint64_t n, warnings;
    int signal;         /* that ended --follow, or 0 */
    enum status status; /* of the record that stopped the reading */
    struct diag why;
};

/* ---- one record ------------------------------------------------------------------------------------------------- */

/* A picture that can't be drawn here (its file is not on this machine) costs a warning, not the export; one that finds
 * no room on the disk ends it, as all others would find none. */
static bool draw(struct export *e, const struct json *record, const char *dir, const char *suffix, bool with_boxes,
                 char name[PATH_BYTES])
{
    struct diag why = {{0}};
    name[0] = '\0'; /* until the picture is read and drawn */
    enum status s = pictures_draw(e->pictures, record, dir, suffix, with_boxes, name, PATH_BYTES, &why);
    if (s == ST_OK)
        return true;
    if (s == ST_IO && name[0]) {
        e->why = why;
        e->status = s;
        return false;
    }
    if (s == ST_MISSING && !why.text[0]) /* the image failed as a whole: there is nothing to draw */
        return false;
    e->warnings++;
    if (e->warnings <= SHOWN_WARNINGS)
        fprintf(stderr, "ferret export: %s: %s\n", jsn_string(jsn_get(record, "id"), "?"), why.text);
    return false;
}

static enum status put_record(struct export *e, const char *text, size_t len)
{
    if (e->jsonl)
        return jsonl_put(e->jsonl, text, len, &e->why);
    struct json *record = NULL;
    char name[PATH_BYTES], path[PATH_BYTES + 16];
    enum status s = jsn_parse(text, len, "record", &record, &e->why);
    if (s != ST_OK)
        return s;
    if (e->o->format == FORMAT_OVERLAY) {
        draw(e, record, e->o->out, ".png", true, name);
        s = e->status;
    } else {
        char dir[PATH_BYTES];
        snprintf(dir, sizeof dir, "%s/pictures", e->o->out);
        bool drawn = draw(e, record, dir, ".jpg", false, name);
        snprintf(path, sizeof path, "pictures/%s", name);
        s = e->status != ST_OK ? e->status : html_put(e->html, record, drawn ? path : NULL, &e->why);
    }
    jsn_free(record);
    return s;
}

static bool on_record(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    struct export *e = ctx;
    (void)id;
    if (tombstones_hit(&e->forgotten, record, len))
        return true;
    e->n++;
    e->status = put_record(e, record, len);
    return e->status == ST_OK;
}

/* ---- the whole campaign ----------------------------------------------------------------------------------------- */

static enum status make_dir(const char *path, struct diag *why)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    return ST_OK;
}

static enum status open_output(struct export *e)
{
    char path[PATH_BYTES];
    const char *out = e->o->out;
    if (strcmp(out, "-") == 0)
        return jsonl_open("-", false, &e->jsonl, &e->why);
    static const char *const names[] = {RECORDS_NAME NEW, "", "index.html"};
    if (snprintf(path, sizeof path, "%s/%s", out, names[e->o->format]) >= PATH_BYTES - 96)
        return diag_set(&e->why, ST_LIMIT, "--out: path too long");
    if (e->o->format == FORMAT_JSONL)
        return jsonl_open(path, false, &e->jsonl, &e->why);
    if (e->o->format == FORMAT_OVERLAY)
        return make_dir(out, &e->why);
    enum status s = html_open(path, e->campaign, &e->html, &e->why);
    snprintf(path, sizeof path, "%s/pictures", out);
    return s == ST_OK ? make_dir(path, &e->why) : s;
}

/* The records get their name when they are whole. */
static enum status close_records(struct export *e, enum status s)
{
    char path[PATH_BYTES], temporary[PATH_BYTES];
    if (s == ST_OK)
        s = jsonl_sync(e->jsonl, &e->why);
    jsonl_close(e->jsonl);
    if (strcmp(e->o->out, "-") == 0)
        return s;
    snprintf(path, sizeof path, "%.4000s/" RECORDS_NAME, e->o->out);
    snprintf(temporary, sizeof temporary, "%.4000s/" RECORDS_NAME NEW, e->o->out);
    if (s == ST_OK && rename(temporary, path) != 0)
        s = diag_set(&e->why, ST_IO, "%s: %s", path, strerror(errno));
    if (s != ST_OK)
        unlink(temporary);
    return s;
}

static enum status close_output(struct export *e, enum status s)
{
    if (e->jsonl)
        s = close_records(e, s);
    if (!e->html)
        return s;
    enum status closed = html_close(e->html, s == ST_OK, s == ST_OK ? &e->why : NULL);
    return s == ST_OK ? closed : s;
}

static enum status read_all(struct export *e)
{
    uint64_t cursor = 0;
    bool more = true;
    while (more) {
        enum status s = client_results(e->client, e->campaign, &cursor, on_record, e, &more, &e->why);
        if (s == ST_CANCELLED)
            return e->status;
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static void tell(const struct export *e, const struct campaign_status *status)
{
    if (!campaign_is_finished(status))
        fprintf(stderr, "ferret export: the campaign is not finished: %llu of %llu records\n", (unsigned long long)e->n,
                (unsigned long long)status->total);
    if (status->trimmed > 0)
        fprintf(stderr, "ferret export: the first %llu records were taken out earlier\n",
                (unsigned long long)status->trimmed);
    if (e->warnings > 0)
        fprintf(stderr, "ferret export: %llu pictures could not be drawn\n", (unsigned long long)e->warnings);
}

static enum status run_follow(struct export *e)
{
    const struct export_flags *o = e->o;
    if (!o->out || strcmp(o->out, "-") == 0 || o->format != FORMAT_JSONL)
        return diag_set(&e->why, ST_INVALID, "--follow: expected -o DIR and --format jsonl");
    struct follow_options f = {
        .dir = o->out, .campaign = e->campaign, .segment_bytes = (uint64_t)o->segment_bytes, .json = o->json};
    enum status s = link_flags_open(&o->link, &e->client, &e->why);
    if (s == ST_OK)
        s = follow_run(e->client, &f, &e->signal, &e->why);
    client_close(e->client);
    return s;
}

static enum status export_all(struct export *e)
{
    const struct export_flags *o = e->o;
    if (o->follow)
        return run_follow(e);
    if (!o->out)
        return diag_set(&e->why, ST_INVALID, "expected -o DIR, or -o - for records on stdout");
    if (strcmp(o->out, "-") == 0 && o->format != FORMAT_JSONL)
        return diag_set(&e->why, ST_INVALID, "-o -: records only; give a folder");
    enum status s = ST_OK;
    /* Before the link: the decoders' children are forked while there are no threads. */
    if (o->format != FORMAT_JSONL)
        s = pictures_open(&o->link, &o->roots, (int)o->max_side, o->allow_private_hosts, &e->pictures, &e->why);
    struct campaign_status status;
    if (s == ST_OK)
        s = link_flags_open(&o->link, &e->client, &e->why);
    if (s == ST_OK)
        s = client_status(e->client, e->campaign, &status, &e->why);
    if (s == ST_OK)
        s = tombstones_read(&e->forgotten, e->client, NULL, &e->why);
    if (s == ST_OK)
        s = open_output(e);
    if (s == ST_OK)
        s = read_all(e);
    s = close_output(e, s);
    if (s == ST_OK)
        tell(e, &status);
    client_close(e->client);
    tombstones_fini(&e->forgotten);
    pictures_close(e->pictures);
    return s;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    struct export e = {.o = options, .campaign = settings_arg(settings, 0)};
    enum status s = export_all(&e);
    *why = e.why;
    enum { SIGNAL_BASE = 128 };
    *exit_code = e.signal ? SIGNAL_BASE + e.signal : e.warnings > 0 ? EXIT_ITEMS_FAILED : EXIT_OK;
    return s;
}

int cmd_export(int argc, char **argv)
{
    struct export_flags o = {0};
    const struct setting_group groups[] = {
        {.title = "output", .rows = export_rows, .n_rows = sizeof export_rows / sizeof *export_rows},
        link_flags_group(offsetof(struct export_flags, link)),
    };
    const struct settings_program program = {
        .name = "ferret export",
        .args = "CAMPAIGN",
        .summary = "Writes the records that a campaign has so far. jsonl: DIR/records.jsonl. overlay: a PNG an image.\n"
                   "html: DIR/index.html with pictures beside it. Exit code 1: some pictures could not be drawn.",
        .examples = "  ferret export my-campaign -o - | jq .tasks[0].text\n"
                    "  ferret export my-campaign --format html -o gallery\n"
                    "  ferret export my-campaign --follow -o archive\n",
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = 2,
    };
    return command_run(&program, argc, argv, &o, run);
}
