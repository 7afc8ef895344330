/* `ferret pause`, `resume`, `cancel`: one field of a campaign, read by every claim. */
#include <string.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/job_arg.h"

struct campaign_options {
    struct link_flags link;
    const char *key;
    bool yes, json;
    enum campaign_state state; /* of the command, no flag */
};

static const struct setting json_row = {.name = "json",
                                        .type = SETTING_BOOL,
                                        .offset = offsetof(struct campaign_options, json),
                                        .help = "what it is then, as a JSON object on stdout"};
static const struct setting campaign_rows[] = {
    {.name = "yes",
     .type = SETTING_BOOL,
     .offset = offsetof(struct campaign_options, yes),
     .help = "no question before something that can't be undone"},
    {.name = "job",
     .type = SETTING_STRING,
     .offset = offsetof(struct campaign_options, key),
     .value = "KEY",
     .help = "only the job of that id in the manifest, or of that image"},
};

/* {"campaign"|"job", "state"} */
static enum status print(const char *what, const char *name, const char *state)
{
    struct json *o = jsn_new_object();
    enum status s = jsn_put(o, what, jsn_new_string(name));
    if (s == ST_OK)
        s = jsn_put(o, "state", jsn_new_string(state));
    return print_object(o, s);
}

/* What waits ends at its turn; what runs is stopped within a beat. */
static enum status cancel_job(struct client *client, const struct campaign_options *o, const char *arg,
                              struct diag *why)
{
    uint8_t id[ID_BYTES] = {0};
    struct job_status job = {.body = NULL};
    enum status s = job_arg_id(client, arg, o->key, id, why);
    if (s == ST_OK)
        s = client_job(client, id, JOB_CANCEL, &job, why);
    if (s == ST_OK && !job.halted && strcmp(job.state, "cancelled") != 0)
        s = diag_set(why, ST_REFUSED, "the job has ended already (%s)", job.state);
    char hex[2 * ID_BYTES + 1];
    job_id_hex(id, hex);
    if (s == ST_OK && o->json)
        s = print("job", hex, job.halted ? "to be cancelled" : job.state);
    job_status_fini(&job);
    return s;
}

static enum status set_state(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct campaign_options *o = options;
    const char *campaign = settings_arg(settings, 0);
    struct client *client = NULL;
    (void)exit_code;
    bool one = o->state == CAMPAIGN_CANCELLED && (o->key || job_arg_is_id(campaign));
    if (o->state == CAMPAIGN_CANCELLED && !o->yes &&
        !confirm("cancel %s \"%s\" for good?", one ? "job" : "campaign", o->key ? o->key : campaign))
        return diag_set(why, ST_REFUSED, "not confirmed; give --yes");
    enum status s = link_flags_open(&o->link, &client, why);
    if (s == ST_OK && one)
        s = cancel_job(client, o, campaign, why);
    else if (s == ST_OK)
        s = client_campaign_set(client, campaign, o->state, NULL, why);
    if (s == ST_OK && !one && o->json)
        s = print("campaign", campaign, campaign_state_name(o->state));
    client_close(client);
    return s;
}

static int command(const char *name, const char *summary, const char *examples, enum campaign_state state, int argc,
                   char **argv)
{
    struct campaign_options o = {.state = state};
    const struct setting_group groups[] = {
        link_flags_group(offsetof(struct campaign_options, link)),
        key_flags_group(offsetof(struct campaign_options, link.keys)),
        {.title = "output", .rows = &json_row, .n_rows = 1},
        {.title = "safety", .rows = campaign_rows, .n_rows = 2},
    };
    const struct settings_program program = {
        .name = name,
        .args = state == CAMPAIGN_CANCELLED ? "CAMPAIGN|JOB" : "CAMPAIGN",
        .summary = summary,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = state == CAMPAIGN_CANCELLED ? 4 : 3 /* only that one can't be undone */,
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
    return command("ferret cancel",
                   "Gives a campaign up, or one job: what is waiting never runs. There is no way back.",
                   "  ferret cancel my-campaign --yes\n", CAMPAIGN_CANCELLED, argc, argv);
}
