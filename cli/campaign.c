/* `ferret pause`, `resume`, `cancel`: one field of a campaign, read by every claim. */
#include "cli/commands.h"

struct campaign_options {
    struct link_flags link;
    bool yes;
    enum campaign_state state; /* of the command, no flag */
};

static const struct setting campaign_rows[] = {
    {.name = "yes",
     .type = SETTING_BOOL,
     .offset = offsetof(struct campaign_options, yes),
     .help = "no question before something that can't be undone"},
};

static enum status set_state(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct campaign_options *o = options;
    const char *campaign = settings_arg(settings, 0);
    struct client *client = NULL;
    (void)exit_code;
    if (o->state == CAMPAIGN_CANCELLED && !o->yes && !confirm("cancel campaign \"%s\" for good?", campaign))
        return diag_set(why, ST_REFUSED, "not confirmed; give --yes");
    enum status s = link_flags_open(&o->link, &client, why);
    if (s == ST_OK)
        s = client_campaign_set(client, campaign, o->state, NULL, why);
    client_close(client);
    return s;
}

static int command(const char *name, const char *summary, const char *examples, enum campaign_state state, int argc,
                   char **argv)
{
    struct campaign_options o = {.state = state};
    const struct setting_group groups[] = {
        link_flags_group(offsetof(struct campaign_options, link)),
        {.title = "safety", .rows = campaign_rows, .n_rows = 1},
    };
    const struct settings_program program = {
        .name = name,
        .args = "CAMPAIGN",
        .summary = summary,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = state == CAMPAIGN_CANCELLED ? 2 : 1 /* only that one can't be undone */,
    };
    return command_run(&program, argc, argv, &o, set_state);
}

int cmd_pause(int argc, char **argv)
{
    return command("ferret pause", "Hands out no more jobs of a campaign; what runs is finished.",
                   "  ferret pause my-campaign\n", CAMPAIGN_PAUSED, argc, argv);
}

int cmd_resume(int argc, char **argv)
{
    return command("ferret resume", "Goes on with a paused campaign.", "  ferret resume my-campaign\n", CAMPAIGN_ACTIVE,
                   argc, argv);
}

int cmd_cancel(int argc, char **argv)
{
    return command("ferret cancel", "Gives a campaign up: what is waiting never runs. There is no way back.",
                   "  ferret cancel my-campaign --yes\n", CAMPAIGN_CANCELLED, argc, argv);
}
