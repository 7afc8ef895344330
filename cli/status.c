/* `ferret status`: counters of one campaign, or of all. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/crew.h"
#include "cli/progress.h"

struct status_options {
    struct link_flags link;
    bool json;
};

static const struct setting status_rows[] = {
    {.name = "json",
     .type = SETTING_BOOL,
     .offset = offsetof(struct status_options, json),
     .help = "one JSON object a campaign, one a line"},
};

struct crew {
    struct worker_status *list;
    size_t n;
};

static void print_text(const struct campaign_status *c, size_t lapsed)
{
    char class_text[CLASS_TEXT_BYTES];
    printf("%s: %llu of %llu done, %llu failed, %llu running, %llu waiting", c->name, (unsigned long long)c->done,
           (unsigned long long)c->total, (unsigned long long)c->failed, (unsigned long long)c->running,
           (unsigned long long)(c->ready + c->delayed));
    if (c->cancelled)
        printf(", %llu cancelled", (unsigned long long)c->cancelled);
    printf("; %s, ", campaign_state_name(c->state));
    if (crew_is_missing(c)) {
        crew_class_text(c->class_name, class_text);
        printf("no worker for its %s", class_text);
    } else {
        printf("%llu worker%s", (unsigned long long)c->workers, c->workers == 1 ? "" : "s");
    }
    if (lapsed > 0)
        printf(" (%zu lapsed)", lapsed);
    if (c->labels[0])
        printf("; %s", c->labels);
    putchar('\n');
    if (c->stopped[0] && !crew_is_missing(c))
        printf("  waits: %s\n", campaign_stopped_text(c));
}

static enum status print_one(const struct campaign_status *c, const struct crew *crew, bool json)
{
    size_t lapsed = crew_lapsed(crew->list, crew->n, c->class_name);
    if (!json) {
        print_text(c, lapsed);
        return ST_OK;
    }
    struct json *object = progress_json(c);
    enum status s = object ? jsn_put(object, "lapsed", jsn_new_int((int64_t)lapsed)) : ST_NOMEM;
    return print_object(object, s);
}

static enum status print_all(struct client *client, const struct crew *crew, bool json, struct diag *why)
{
    struct campaign_status *all = NULL;
    size_t n = 0;
    enum status s = client_campaigns(client, &all, &n, why);
    for (size_t i = 0; s == ST_OK && i < n; i++)
        s = print_one(&all[i], crew, json);
    if (s == ST_OK && n == 0)
        fputs("no campaigns yet\n", stderr);
    free(all);
    return s;
}

static enum status print_status(struct client *client, const char *campaign, bool json, struct diag *why)
{
    struct campaign_status one;
    struct crew crew = {0};
    enum status s = client_workers(client, &crew.list, &crew.n, why);
    if (s == ST_OK && campaign) {
        s = client_status(client, campaign, &one, why);
        if (s == ST_OK)
            s = print_one(&one, &crew, json);
    } else if (s == ST_OK) {
        s = print_all(client, &crew, json, why);
    }
    free(crew.list);
    return s;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct status_options *o = options;
    struct client *client = NULL;
    (void)exit_code;
    enum status s = link_flags_open(&o->link, &client, why);
    if (s == ST_OK)
        s = print_status(client, settings_arg(settings, 0), o->json, why);
    client_close(client);
    return s;
}

int cmd_status(int argc, char **argv)
{
    struct status_options o = {0};
    const struct setting_group groups[] = {
        link_flags_group(offsetof(struct status_options, link)),
        key_flags_group(offsetof(struct status_options, link.keys)),
        {.title = "output", .rows = status_rows, .n_rows = 1},
    };
    const struct settings_program program = {
        .name = "ferret status",
        .args = "[CAMPAIGN]",
        .summary = "Shows the counters of a campaign, or of all of them.",
        .examples = "  ferret status my-campaign --json\n",
        .max_args = 1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
