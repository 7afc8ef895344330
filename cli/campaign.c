/* `ferret pause`, `resume`, `cancel`: one field of a campaign, read by every claim. */
#include <stdio.h>

#include "cli/commands.h"

struct campaign_options {
    struct link_flags link;
    bool yes;
};

static const struct setting campaign_rows[] = {
    {.name = "yes",
     .type = SETTING_BOOL,
     .offset = offsetof(struct campaign_options, yes),
     .help = "no question before something that can't be undone"},
};

static int set_state(const char *command, const char *summary, const char *examples, enum campaign_state state,
                     bool final, int argc, char **argv)
{
    struct campaign_options o = {0};
    const struct setting_group groups[] = {
        link_flags_group(offsetof(struct campaign_options, link)),
        {.title = "safety", .rows = campaign_rows, .n_rows = 1},
    };
    char name[32];
    snprintf(name, sizeof name, "ferret %s", command);
    const struct settings_program program = {
        .name = name,
        .args = "CAMPAIGN",
        .summary = summary,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = final ? 2 : 1,
    };
    struct settings *settings;
    int code;
    if (!settings_start(&program, argc, argv, &o, &settings, &code))
        return code;
    const char *campaign = settings_arg(settings, 0);
    struct client *client = NULL;
    struct diag why = {{0}};
    enum status s = ST_OK;
    if (final && !o.yes && !confirm("cancel campaign \"%s\" for good?", campaign))
        s = diag_set(&why, ST_REFUSED, "not confirmed; give --yes");
    if (s == ST_OK)
        s = link_flags_open(&o.link, &client, &why);
    if (s == ST_OK)
        s = client_campaign_set(client, campaign, state, NULL, &why);
    client_close(client);
    settings_free(settings);
    return s == ST_OK ? EXIT_OK : command_fail(command, s, &why);
}

int cmd_pause(int argc, char **argv)
{
    return set_state("pause", "Hands out no more jobs of a campaign; what runs is finished.",
                     "  ferret pause my-campaign\n", CAMPAIGN_PAUSED, false, argc, argv);
}

int cmd_resume(int argc, char **argv)
{
    return set_state("resume", "Goes on with a paused campaign.", "  ferret resume my-campaign\n", CAMPAIGN_ACTIVE,
                     false, argc, argv);
}

int cmd_cancel(int argc, char **argv)
{
    return set_state("cancel", "Gives a campaign up: what is waiting never runs. There is no way back.",
                     "  ferret cancel my-campaign --yes\n", CAMPAIGN_CANCELLED, true, argc, argv);
}
