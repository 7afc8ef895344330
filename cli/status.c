/* `ferret status`: counters of one campaign, or of all. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
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

static enum status print_one(const struct campaign_status *c, bool json)
{
    if (!json) {
        printf("%s: %llu of %llu done, %llu failed, %llu running, %llu waiting", c->name, (unsigned long long)c->done,
               (unsigned long long)c->total, (unsigned long long)c->failed, (unsigned long long)c->running,
               (unsigned long long)(c->ready + c->delayed));
        if (c->cancelled)
            printf(", %llu cancelled", (unsigned long long)c->cancelled);
        printf("; %s, %llu worker%s\n", campaign_state_name(c->state), (unsigned long long)c->workers,
               c->workers == 1 ? "" : "s");
        return ST_OK;
    }
    struct json *object = progress_json(c);
    char *text = object ? jsn_text(object) : NULL;
    jsn_free(object);
    if (!text)
        return ST_NOMEM;
    puts(text);
    free(text);
    return ST_OK;
}

static enum status print_status(struct client *client, const char *campaign, bool json, struct diag *why)
{
    if (campaign) {
        struct campaign_status one;
        enum status s = client_status(client, campaign, &one, why);
        return s == ST_OK ? print_one(&one, json) : s;
    }
    struct campaign_status *all = NULL;
    size_t n = 0;
    enum status s = client_campaigns(client, &all, &n, why);
    for (size_t i = 0; s == ST_OK && i < n; i++)
        s = print_one(&all[i], json);
    if (s == ST_OK && n == 0)
        fputs("no campaigns yet\n", stderr);
    free(all);
    return s;
}

int cmd_status(int argc, char **argv)
{
    struct status_options o = {0};
    const struct setting_group groups[] = {
        link_flags_group(offsetof(struct status_options, link)),
        {.title = "output", .rows = status_rows, .n_rows = 1},
    };
    const struct settings_program program = {
        .name = "ferret status",
        .args = "[CAMPAIGN]",
        .summary = "Shows the counters of a campaign, or of all of them.",
        .examples = "  ferret status my-campaign --json\n",
        .max_args = 1,
        .groups = groups,
        .n_groups = 2,
    };
    struct settings *settings;
    int code;
    if (!settings_start(&program, argc, argv, &o, &settings, &code))
        return code;
    struct client *client = NULL;
    struct diag why = {{0}};
    enum status s = link_flags_open(&o.link, &client, &why);
    if (s == ST_OK)
        s = print_status(client, settings_arg(settings, 0), o.json, &why);
    client_close(client);
    settings_free(settings);
    return s == ST_OK ? EXIT_OK : command_fail("status", s, &why);
}
