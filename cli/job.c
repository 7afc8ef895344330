/* `ferret show`, `ferret retry`: single jobs, and what failed of a campaign. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/job_arg.h"

struct job_flags {
    struct link_flags link;
    const char *key;
    bool json, failed;
};

static const struct setting job_rows[] = {
    {.name = "job",
     .type = SETTING_STRING,
     .offset = offsetof(struct job_flags, key),
     .value = "KEY",
     .help = "the job of that id in the manifest, or of that image"},
    {.name = "json", .type = SETTING_BOOL, .offset = offsetof(struct job_flags, json), .help = "one JSON object"},
    {.name = "failed",
     .type = SETTING_BOOL,
     .offset = offsetof(struct job_flags, failed),
     .help = "everything of the campaign that failed"},
};

static enum status act(struct client *client, const struct job_flags *o, const char *arg, enum job_action action,
                       struct diag *why)
{
    uint8_t id[ID_BYTES];
    struct job_status job = {.body = NULL};
    enum status s = job_arg_id(client, arg, o->key, id, why);
    if (s == ST_OK)
        s = client_job(client, id, action, &job, why);
    bool ended = strcmp(job.state, "done") == 0 || strcmp(job.state, "ended") == 0 || strcmp(job.state, "failed") == 0;
    if (s == ST_OK && action == JOB_RETRY && ended)
        s = diag_set(why, ST_REFUSED, "the job is %s, and so not tried again", job.state);
    if (s == ST_OK)
        s = job_print(id, &job, o->json);
    job_status_fini(&job);
    return s;
}

static enum status show(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct job_flags *o = options;
    struct client *client = NULL;
    (void)exit_code;
    enum status s = link_flags_open(&o->link, &client, why);
    if (s == ST_OK)
        s = act(client, o, settings_arg(settings, 0), JOB_SHOW, why);
    client_close(client);
    return s;
}

static enum status retry_all(struct client *client, const struct job_flags *o, const char *campaign, struct diag *why)
{
    uint64_t n;
    enum status s = client_requeue(client, campaign, &n, why);
    if (s == ST_OK && o->json)
        printf("{\"retried\":%llu}\n", (unsigned long long)n);
    else if (s == ST_OK)
        fprintf(stderr, "ferret retry: %llu images wait again\n", (unsigned long long)n);
    return s;
}

static enum status retry(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct job_flags *o = options;
    const char *arg = settings_arg(settings, 0);
    struct client *client = NULL;
    (void)exit_code;
    enum status s = link_flags_open(&o->link, &client, why);
    if (s == ST_OK && (o->failed || (!o->key && !job_arg_is_id(arg))))
        s = retry_all(client, o, arg, why);
    else if (s == ST_OK)
        s = act(client, o, arg, JOB_RETRY, why);
    client_close(client);
    return s;
}

static int command(const char *name, const char *args, const char *summary, const char *examples, int n_rows,
                   command_fn run, int argc, char **argv)
{
    struct job_flags o = {.key = NULL};
    const struct setting_group groups[] = {
        {.title = "job", .rows = job_rows, .n_rows = n_rows},
        link_flags_group(offsetof(struct job_flags, link)),
        key_flags_group(offsetof(struct job_flags, link.keys)),
    };
    const struct settings_program program = {
        .name = name,
        .args = args,
        .summary = summary,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}

int cmd_show(int argc, char **argv)
{
    enum { ROWS = 2 }; /* no --failed */
    return command(
        "ferret show", "JOB|CAMPAIGN",
        "Shows where one job is, what it asks for and its record. JOB: its id, as records have it in \"job\".",
        "  ferret show my-campaign --job photos/1.jpg\n  ferret show 0123456789abcdef0123456789abcdef\n", ROWS, show,
        argc, argv);
}

int cmd_retry(int argc, char **argv)
{
    return command(
        "ferret retry", "JOB|CAMPAIGN",
        "What failed for good waits again: one job, or all of a campaign. Its record goes, if it is still in\n"
        "the queue; one that was taken out by `ferret export --follow` is followed by another.",
        "  ferret retry my-campaign --failed\n", sizeof job_rows / sizeof *job_rows, retry, argc, argv);
}
