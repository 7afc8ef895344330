/* `ferret report`: what a campaign's records come to, by day and by worker, and some of them to look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/gallery.h"
#include "cli/records.h"
#include "cli/samples.h"
#include "formats/write/summary.h"
#include "worker/fetch_flags.h"

#define PROGRAM "ferret report"

struct report_flags {
    struct link_flags link;
    struct setting_list from, roots;
    const char *out;
    int64_t samples, max_side;
    struct fetch_flags fetch;
    bool json;
};

static const struct setting report_rows[] = {
    {.name = "from",
     .type = SETTING_LIST,
     .offset = offsetof(struct report_flags, from),
     .value = "PATH",
     .help = "in place of a campaign: records of a file, or of a folder that an export wrote; repeatable"},
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct report_flags, out),
     .value = "DIR",
     .help = "a gallery of the samples goes there",
     .letter = 'o'},
    {.name = "samples",
     .type = SETTING_INT,
     .offset = offsetof(struct report_flags, samples),
     .fallback = "100",
     .min = 0,
     .max = 10000,
     .help = "records to look at, chosen by their ids: the same ones next time"},
    {.name = "json",
     .type = SETTING_BOOL,
     .offset = offsetof(struct report_flags, json),
     .help = "one object rather than tables"},
    {.name = "root",
     .type = SETTING_LIST,
     .offset = offsetof(struct report_flags, roots),
     .value = "NAME=DIR",
     .help = "where a named root is here; without it as the `ferret up` on --data says, and with --from local=/"},
    {.name = "max-side",
     .type = SETTING_INT,
     .offset = offsetof(struct report_flags, max_side),
     .fallback = "1600",
     .min = 64,
     .max = 16384,
     .help = "longer side of pictures in the gallery, in pixels"},
};

struct report {
    const struct report_flags *o;
    const char *campaign;
    struct pictures *pictures;
    struct summary *summary;
    struct samples samples;
    uint64_t warnings;
};

static enum status on_record(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    struct report *r = ctx;
    (void)text;
    (void)len;
    (void)why;
    enum status s = summary_add(r->summary, record);
    return s == ST_OK ? samples_add(&r->samples, record) : s;
}

/* A report of the rest must not be taken for one of the whole. */
static enum status tell_what_left(struct client *client, const char *campaign, struct diag *why)
{
    struct campaign_status now = {0};
    enum status s = client_status(client, campaign, &now, why);
    if (s == ST_OK && now.trimmed > 0)
        fprintf(stderr,
                PROGRAM ": %llu records have left Redis and are not in this report; they are where `export --follow` "
                        "wrote them: --from DIR\n",
                (unsigned long long)now.trimmed);
    return s;
}

static enum status read_all(struct report *r, struct diag *why)
{
    struct client *client = NULL;
    if (!r->campaign)
        return records_of_files(&r->o->from, on_record, r, why);
    enum status s = link_flags_open(&r->o->link, &client, why);
    struct records in = {.client = client, .campaign = r->campaign, .fn = on_record, .ctx = r};
    if (s == ST_OK)
        s = records_all(&in, why);
    if (s == ST_OK)
        s = tell_what_left(client, r->campaign, why);
    records_fini(&in);
    client_close(client);
    return s;
}

static const char *title_of(const struct report *r)
{
    return r->campaign ? r->campaign : r->o->from.items[0];
}

static enum status show_samples(struct report *r, struct diag *why)
{
    struct gallery *g = NULL;
    enum status s = gallery_open(PROGRAM, r->o->out, title_of(r), r->pictures, false, &g, why);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; s == ST_OK && i < r->samples.n; i++)
        s = gallery_put(g, r->samples.list[i].record, why);
    enum status closed = gallery_close(g, s == ST_OK, &r->warnings, s == ST_OK ? why : NULL);
    return s == ST_OK ? closed : s;
}

static enum status print_json(const struct report *r)
{
    struct json *o = summary_json(r->summary), *ids = jsn_new_array();
    enum status s = o ? jsn_put(o, r->campaign ? "campaign" : "from", jsn_new_string(title_of(r))) : ST_NOMEM;
    for (size_t i = 0; s == ST_OK && i < r->samples.n; i++)
        s = jsn_push(ids, jsn_copy(jsn_get(r->samples.list[i].record, "id")));
    if (s == ST_OK)
        s = jsn_put(o, "samples", ids);
    else
        jsn_free(ids);
    return print_object(o, s);
}

static void print_text(const struct report *r)
{
    summary_text(r->summary, stdout);
    summary_tables(r->summary, stdout);
    if (r->o->out)
        fprintf(stderr, PROGRAM ": %zu samples: %s/index.html\n", r->samples.n, r->o->out);
}

static enum status report(struct report *r, struct diag *why)
{
    const struct report_flags *o = r->o;
    if (!r->campaign == (o->from.n == 0))
        return diag_set(why, ST_INVALID, "expected a campaign, or --from with files of records");
    enum status s = samples_init(&r->samples, (size_t)o->samples);
    if (s == ST_OK && !(r->summary = summary_new()))
        s = ST_NOMEM;
    if (s == ST_OK && o->out) /* before the link: children are forked while there are no threads */
        s = records_pictures(&o->link, &o->roots, !r->campaign, (int)o->max_side, &o->fetch, &r->pictures, why);
    if (s == ST_OK)
        s = read_all(r, why);
    if (s == ST_OK && o->out)
        s = show_samples(r, why);
    if (s == ST_OK && o->json)
        return print_json(r);
    if (s == ST_OK)
        print_text(r);
    return s;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    struct report r = {.o = options, .campaign = settings_arg(settings, 0)};
    enum status s = report(&r, why);
    *exit_code = r.warnings > 0 ? EXIT_ITEMS_FAILED : EXIT_OK;
    pictures_close(r.pictures);
    samples_fini(&r.samples);
    summary_free(r.summary);
    return s;
}

int cmd_report(int argc, char **argv)
{
    struct report_flags o = {0};
    const struct setting_group groups[] = {
        {.title = "report", .rows = report_rows, .n_rows = sizeof report_rows / sizeof *report_rows},
        link_flags_group(offsetof(struct report_flags, link)),
        key_flags_group(offsetof(struct report_flags, link.keys)),
        fetch_flags_group(offsetof(struct report_flags, fetch)),
    };
    const struct settings_program program = {
        .name = PROGRAM,
        .args = "[CAMPAIGN]",
        .summary =
            "Shows what the records of a campaign come to: failures, empty answers, repetition, length of captions,\n"
            "boxes and scores, as a whole, by day and by worker, and marks what differs.",
        .examples = "  ferret report my-campaign\n"
                    "  ferret report my-campaign --json | jq '.by_worker[] | select(.differs != [])'\n"
                    "  ferret report --from archive -o review\n",
        .max_args = 1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
