/* `ferret export`: records of a campaign or of files as JSONL, as drawings, or as a page with the pictures beside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/collect.h"
#include "cli/commands.h"
#include "cli/gallery.h"
#include "cli/pictures.h"
#include "cli/records.h"
#include "formats/write/format.h"
#include "formats/write/jsonl.h"
#include "formats/write/new_file.h"
#include "formats/write/parts.h"
#include "worker/fetch_flags.h"

#define PROGRAM "ferret export"
enum { PATH_BYTES = 4096 };
enum form { FORM_JSONL, FORM_OVERLAY, FORM_HTML };
#define FORMS "jsonl|overlay|html|coco|kosmos2|flickr30k|webdataset|openai"
/* By place in FORMS, where nothing but records is needed. */
static const struct format *const writers[] = {
    NULL, NULL, &format_html, &format_coco, &format_kosmos2, &format_flickr30k, &format_webdataset, &format_openai};

struct export_flags {
    struct link_flags link;
    int format;
    const char *out;
    struct setting_list roots;
    int64_t max_side;
    int link_pictures;
    const char *categories;
    int64_t shard_images;
    int64_t part_bytes, shards;
    struct setting_list from;
    bool follow, json;
    struct fetch_flags fetch;
};

static const struct setting export_rows[] = {
    {.name = "format",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct export_flags, format),
     .fallback = "jsonl",
     .choices = FORMS,
     .help = "records; pictures with boxes, phrases and scores; a gallery; what other tools read"},
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct export_flags, out),
     .value = "DIR|-",
     .help = "folder to write into; - is records on stdout, one a line",
     .letter = 'o'},
    {.name = "root",
     .type = SETTING_LIST,
     .offset = offsetof(struct export_flags, roots),
     .value = "NAME=DIR",
     .help = "where a named root is here; without it as the `ferret up` on --data says, and with --from local=/"},
    {.name = "max-side",
     .type = SETTING_INT,
     .offset = offsetof(struct export_flags, max_side),
     .fallback = "1600",
     .min = 64,
     .max = 16384,
     .help = "longer side of drawn pictures, in pixels"},
    {.name = "pictures",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct export_flags, link_pictures),
     .fallback = "copy",
     .choices = "copy|link",
     .help = "html: pictures beside the page; or the files themselves where they are on this machine"},
    {.name = "categories",
     .type = SETTING_STRING,
     .offset = offsetof(struct export_flags, categories),
     .value = "FILE",
     .help = "coco: its categories, as any COCO file has them; without it those that phrases are about"},
    {.name = "shard-images",
     .type = SETTING_INT,
     .offset = offsetof(struct export_flags, shard_images),
     .max = 1e9,
     .help = "coco, webdataset: images a file; 0 is 1,000,000 and 10,000"},
    {.name = "follow",
     .type = SETTING_BOOL,
     .offset = offsetof(struct export_flags, follow),
     .help = "until the campaign is complete; what is on disk is deleted from Redis"},
    {.name = "part-bytes",
     .type = SETTING_BYTES,
     .offset = offsetof(struct export_flags, part_bytes),
     .fallback = "256MiB",
     .min = 4096,
     .max = 1e15,
     .help = "text of records at which a new part is begun"},
    {.name = "shards",
     .type = SETTING_INT,
     .offset = offsetof(struct export_flags, shards),
     .fallback = "1",
     .min = 1,
     .max = PARTS_SHARDS,
     .help = "parts that are written side by side; a record's id says in which one it is"},
    {.name = "from",
     .type = SETTING_LIST,
     .offset = offsetof(struct export_flags, from),
     .value = "PATH",
     .help = "in place of a campaign: records of a file, or of a folder that an export wrote; repeatable"},
    {.name = "json",
     .type = SETTING_BOOL,
     .offset = offsetof(struct export_flags, json),
     .help = "records into a folder: at the end one JSON object on stdout"},
};

struct export
{
    const struct export_flags *o;
    const char *campaign;
    struct client *client;
    struct pictures *pictures; /* overlay, html */
    struct jsonl *stream;      /* -o - */
    struct gallery *gallery;
    const struct format *format;
    void *writer;
    uint64_t n;
    struct picture_warnings drawn;
    int signal; /* that ended the collecting, or 0 */
    struct diag why;
};

/* ---- one record ------------------------------------------------------------------------------------------------- */

static enum status on_record(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    struct export *e = ctx;
    char name[PATH_BYTES];
    e->n++;
    switch (e->o->format) {
    case FORM_JSONL: return jsonl_put(e->stream, text, len, why);
    case FORM_OVERLAY:
        return gallery_picture(&e->drawn, e->pictures, record, e->o->out, ".png", true, name, sizeof name, why);
    case FORM_HTML: return gallery_put(e->gallery, record, why);
    default: return e->format->put(e->writer, record, NULL, why);
    }
}

/* ---- the whole campaign ----------------------------------------------------------------------------------------- */

static enum status open_output(struct export *e)
{
    const struct export_flags *o = e->o;
    const char *title = e->campaign ? e->campaign : o->from.n > 0 ? o->from.items[0] : "";
    const struct format_options f = {
        .dir = o->out, .title = title, .categories = o->categories, .shard_images = o->shard_images};
    if (o->format == FORM_JSONL)
        return jsonl_open("-", false, &e->stream, &e->why);
    if (o->format == FORM_HTML)
        return gallery_open(PROGRAM, o->out, title, e->pictures, o->link_pictures != 0, &e->gallery, &e->why);
    enum status s = make_folders(o->out, &e->why);
    e->format = writers[o->format];
    return s == ST_OK && e->format ? e->format->open(&f, &e->writer, &e->why) : s;
}

static enum status close_output(struct export *e, enum status s)
{
    struct diag notes = {""};
    struct diag *why = s == ST_OK ? &e->why : NULL;
    enum status closed = ST_OK;
    if (e->stream)
        closed = s == ST_OK ? jsonl_sync(e->stream, why) : ST_OK;
    jsonl_close(e->stream);
    if (e->gallery)
        closed = gallery_close(e->gallery, s == ST_OK, &e->drawn.n, why);
    if (e->writer)
        closed = e->format->close(e->writer, s == ST_OK, &notes, why);
    if (notes.text[0] && s == ST_OK)
        fprintf(stderr, PROGRAM ": %s\n", notes.text);
    return s == ST_OK ? closed : s;
}

static void tell(const struct export *e, const struct campaign_status *status)
{
    if (status && !campaign_is_finished(status))
        fprintf(stderr, PROGRAM ": the campaign is not finished: %llu of %llu records\n", (unsigned long long)e->n,
                (unsigned long long)status->total);
    if (status && status->trimmed > 0)
        fprintf(stderr, PROGRAM ": the first %llu records were taken out earlier\n",
                (unsigned long long)status->trimmed);
    if (e->drawn.n > 0)
        fprintf(stderr, PROGRAM ": %llu pictures could not be drawn\n", (unsigned long long)e->drawn.n);
}

static enum status run_collect(struct export *e)
{
    const struct export_flags *o = e->o;
    const struct collect_options c = {.dir = o->out,
                                      .campaign = e->campaign,
                                      .part_bytes = (uint64_t)o->part_bytes,
                                      .shards = (int)o->shards,
                                      .follow = o->follow,
                                      .json = o->json};
    enum status s = link_flags_open(&o->link, &e->client, &e->why);
    if (s == ST_OK)
        s = collect_run(e->client, &c, &e->signal, &e->why);
    client_close(e->client);
    return s;
}

static enum status check_flags(const struct export *e, struct diag *why)
{
    const struct export_flags *o = e->o;
    bool records = o->format == FORM_JSONL, stream = o->out && strcmp(o->out, "-") == 0;
    if (!o->out)
        return diag_set(why, ST_INVALID, "expected -o DIR, or -o - for records on stdout");
    if (stream && !records)
        return diag_set(why, ST_INVALID, "-o -: records only; give a folder");
    if (o->follow && (stream || !records))
        return diag_set(why, ST_INVALID, "--follow: expected -o DIR and --format jsonl");
    if (!e->campaign == (o->from.n == 0))
        return diag_set(why, ST_INVALID, "expected a campaign, or --from with files of records");
    if (!e->campaign && records && !stream)
        return diag_set(why, ST_INVALID, "--from: expected another --format than jsonl, or -o -");
    return ST_OK;
}

static enum status read_all(struct export *e)
{
    if (!e->campaign)
        return records_of_files(&e->o->from, on_record, e, &e->why);
    struct records in = {.client = e->client, .campaign = e->campaign, .fn = on_record, .ctx = e};
    enum status s = records_all(&in, &e->why);
    records_fini(&in);
    return s;
}

static enum status export_all(struct export *e)
{
    const struct export_flags *o = e->o;
    enum status s = check_flags(e, &e->why);
    if (s != ST_OK)
        return s;
    if (o->format == FORM_JSONL && strcmp(o->out, "-") != 0)
        return run_collect(e);
    /* Before the link: the decoders' children are forked while there are no threads. */
    if (o->format == FORM_OVERLAY || o->format == FORM_HTML)
        s = records_pictures(&o->link, &o->roots, !e->campaign, (int)o->max_side, &o->fetch, &e->pictures, &e->why);
    struct campaign_status status = {0};
    if (s == ST_OK && e->campaign)
        s = link_flags_open(&o->link, &e->client, &e->why);
    if (s == ST_OK && e->campaign)
        s = client_status(e->client, e->campaign, &status, &e->why);
    if (s == ST_OK)
        s = open_output(e);
    if (s == ST_OK)
        s = read_all(e);
    s = close_output(e, s);
    if (s == ST_OK)
        tell(e, e->campaign ? &status : NULL);
    client_close(e->client);
    pictures_close(e->pictures);
    return s;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    struct export e = {.o = options, .campaign = settings_arg(settings, 0), .drawn = {.program = PROGRAM}};
    enum status s = export_all(&e);
    *why = e.why;
    enum { SIGNAL_BASE = 128 };
    *exit_code = e.signal ? SIGNAL_BASE + e.signal : e.drawn.n > 0 ? EXIT_ITEMS_FAILED : EXIT_OK;
    return s;
}

int cmd_export(int argc, char **argv)
{
    struct export_flags o = {0};
    const struct setting_group groups[] = {
        {.title = "output", .rows = export_rows, .n_rows = sizeof export_rows / sizeof *export_rows},
        link_flags_group(offsetof(struct export_flags, link)),
        key_flags_group(offsetof(struct export_flags, link.keys)),
        fetch_flags_group(offsetof(struct export_flags, fetch)),
    };
    const struct settings_program program = {
        .name = PROGRAM,
        .args = "[CAMPAIGN]",
        .summary = "Writes the records that a campaign has so far. jsonl: parts (part-00000.jsonl.zst), what failed\n"
                   "(errors-00000.jsonl.zst) and a manifest; run again it goes on. overlay: a PNG an image. html:\n"
                   "a gallery, DIR/index.html. coco, kosmos2, flickr30k, webdataset, openai: what other tools read.\n"
                   "Exit code 1: some pictures could not be drawn.",
        .examples = "  ferret export my-campaign -o - | jq .tasks[0].text\n"
                    "  ferret export my-campaign --format html -o gallery\n"
                    "  ferret export my-campaign --follow -o archive\n"
                    "  ferret export --from archive --format html -o gallery\n",
        .min_args = 0,
        .max_args = 1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
