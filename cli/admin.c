/* `ferret admin`: what an operator does to the whole queue. fsck stands in admin_fsck.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/version.h"
#include "cli/admin.h"
#include "cli/commands.h"
#include "cli/job_arg.h"

struct admin_options {
    struct link_flags link;
    bool yes, json, off;
    const char *sha256;
    int64_t weight, quota;
};

static const struct setting json_row = {.name = "json",
                                        .type = SETTING_BOOL,
                                        .offset = offsetof(struct admin_options, json),
                                        .help = "JSON on stdout, an object a line"};
static const struct setting yes_row = {
    .name = "yes", .type = SETTING_BOOL, .offset = offsetof(struct admin_options, yes), .help = "no question"};

/* ---- queue ------------------------------------------------------------------------------------------------------ */

struct listing {
    bool json;
    struct json *object;
    enum status status;
};

static bool print_number(void *ctx, const char *text, size_t len, uint64_t value)
{
    struct listing *l = ctx;
    char name[LIMIT_URI_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    if (!l->json)
        printf("%-24s %" PRIu64 "\n", name, value);
    else
        l->status = jsn_put(l->object, name, jsn_new_int((int64_t)value));
    return l->status == ST_OK;
}

static enum status print_workers(struct client *client, bool json, struct json *object, struct diag *why)
{
    struct worker_status *list = NULL;
    size_t n = 0;
    enum status s = client_workers(client, &list, &n, why);
    struct json *all = json && s == ST_OK ? jsn_new_array() : NULL;
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        const struct worker_status *w = &list[i];
        if (!json) {
            printf("worker %s: %s, %" PRIu64 " images%s%s\n", w->session, w->label, w->running, w->state[0] ? ", " : "",
                   w->state);
            continue;
        }
        struct json *o = jsn_new_object();
        s = jsn_put(o, "session", jsn_new_string(w->session));
        if (s == ST_OK)
            s = jsn_put(o, "label", jsn_new_string(w->label));
        if (s == ST_OK)
            s = jsn_put(o, "class", jsn_new_string(w->class_name));
        if (s == ST_OK)
            s = jsn_put(o, "running", jsn_new_int((int64_t)w->running));
        if (s == ST_OK)
            s = jsn_put(o, "state", jsn_new_string(w->state));
        enum status pushed = jsn_push(all, o);
        s = s == ST_OK ? pushed : s;
    }
    free(list);
    if (!all)
        return s;
    enum status put = jsn_put(object, "workers", all);
    return s == ST_OK ? put : s;
}

static enum status queue(struct client *client, const struct admin_options *o, const struct settings *settings,
                         struct diag *why)
{
    struct listing l = {.json = o->json, .object = o->json ? jsn_new_object() : NULL};
    uint64_t cursor = 0;
    (void)settings;
    enum status s = client_entries(client, "queue", &cursor, print_number, &l, why);
    s = l.status != ST_OK ? l.status : s;
    if (s == ST_OK)
        s = print_workers(client, o->json, l.object, why);
    return o->json ? print_object(l.object, s) : s;
}

/* Each shard tells of its own part: in the order of time they are one list, and a campaign is complete once the last
 * shard says so. */
struct event {
    uint64_t ms;
    char *text;
};
struct events {
    struct event *list;
    size_t n;
    enum status status;
};

static bool keep_event(void *ctx, const char *text, size_t len, uint64_t value)
{
    struct events *all = ctx;
    struct event *grown = realloc(all->list, (all->n + 1) * sizeof *grown);
    char *copy = grown ? strndup(text, len) : NULL;
    all->list = grown ? grown : all->list;
    all->status = copy ? ST_OK : ST_NOMEM;
    if (copy)
        all->list[all->n++] = (struct event){.ms = value, .text = copy};
    return copy != NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    return x->ms < y->ms ? -1 : x->ms > y->ms;
}

/* The same of other shards comes later. */
static bool is_early(const struct events *all, size_t i, int shards)
{
    int before = 0;
    for (size_t k = 0; k < i; k++)
        before += strcmp(all->list[k].text, all->list[i].text) == 0;
    return strncmp(all->list[i].text, "completed|", strlen("completed|")) == 0 && (before + 1) % shards != 0;
}

static bool print_event(struct listing *l, const char *text, uint64_t value)
{
    size_t len = strlen(text);
    const char *bar = memchr(text, '|', len);
    int what = bar ? (int)(bar - text) : 0;
    if (!l->json) {
        printf("%" PRIu64 " %.*s %.*s\n", value, what, text, (int)len - what - 1, text + what + 1);
        return true;
    }
    struct json *o = jsn_new_object();
    l->status = jsn_put(o, "ms", jsn_new_int((int64_t)value));
    if (l->status == ST_OK)
        l->status = jsn_put(o, "event", jsn_new_string_n(text, (size_t)what));
    if (l->status == ST_OK)
        l->status = jsn_put(o, "campaign", jsn_new_string_n(text + what + 1, len - (size_t)what - 1));
    l->status = print_object(o, l->status);
    return l->status == ST_OK;
}

static enum status events(struct client *client, const struct admin_options *o, const struct settings *settings,
                          struct diag *why)
{
    struct listing l = {.json = o->json};
    struct events all = {.n = 0};
    uint64_t cursor = 0;
    (void)settings;
    enum status s = client_entries(client, "events", &cursor, keep_event, &all, why);
    s = all.status != ST_OK ? all.status : s;
    if (all.n)
        qsort(all.list, all.n, sizeof *all.list, by_time);
    for (size_t i = 0; s == ST_OK && i < all.n; i++)
        if (!is_early(&all, i, client_shards(client)) && !print_event(&l, all.list[i].text, all.list[i].ms))
            s = l.status;
    while (all.n)
        free(all.list[--all.n].text);
    free(all.list);
    return s;
}

/* ---- dead ------------------------------------------------------------------------------------------------------- */

static bool print_dead(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    struct listing *l = ctx;
    char hex[2 * ID_BYTES + 1];
    struct json *r = NULL, *o = jsn_new_object();
    job_id_hex(id, hex);
    if (len)
        (void)!jsn_parse(record, len, "record", &r, NULL); /* one that can't be read is shown without its words */
    const struct json *error = jsn_get(r, "error");
    const char *key = jsn_string(jsn_get(r, "id"), ""), *code = jsn_string(jsn_get(error, "code"), "");
    const char *message = jsn_string(jsn_get(error, "message"), "");
    if (!l->json) {
        printf("%s %s %s %s\n", hex, key, code, message);
        jsn_free(o);
    } else {
        l->status = jsn_put(o, "job", jsn_new_string(hex));
        if (l->status == ST_OK)
            l->status = jsn_put(o, "id", jsn_new_string(key));
        if (l->status == ST_OK)
            l->status = jsn_put(o, "code", jsn_new_string(code));
        if (l->status == ST_OK)
            l->status = jsn_put(o, "message", jsn_new_string(message));
        l->status = print_object(o, l->status);
    }
    jsn_free(r);
    return l->status == ST_OK;
}

static enum status dead(struct client *client, const struct admin_options *o, const struct settings *settings,
                        struct diag *why)
{
    struct listing l = {.json = o->json};
    enum status s = client_dead(client, settings_arg(settings, 0), print_dead, &l, why);
    return l.status != ST_OK ? l.status : s;
}

/* ---- what changes things ---------------------------------------------------------------------------------------- */

static enum status refuse(struct diag *why)
{
    return diag_set(why, ST_REFUSED, "not confirmed; give --yes");
}

/* What runs ends first, the rest goes piece by piece. A campaign that is not cancelled has the name anew. */
static enum status wait_until_gone(struct client *client, const char *campaign, struct diag *why)
{
    enum { POLL_MS = 100 };
    struct campaign_status now = {.state = CAMPAIGN_CANCELLED};
    enum status s = ST_OK;
    while ((s = client_status(client, campaign, &now, why)) == ST_OK && now.state == CAMPAIGN_CANCELLED)
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    return s == ST_MISSING ? ST_OK : s;
}

static enum status purge(struct client *client, const struct admin_options *o, const struct settings *settings,
                         struct diag *why)
{
    const char *campaign = settings_arg(settings, 0);
    if (!o->yes && !confirm("remove campaign \"%s\" with its jobs, records and ids for good?", campaign))
        return refuse(why);
    enum status s = client_campaign_set(client, campaign, CAMPAIGN_PURGED, NULL, why);
    if (s == ST_OK)
        s = wait_until_gone(client, campaign, why);
    struct json *done = s == ST_OK && o->json ? jsn_new_object() : NULL;
    return done ? print_object(done, jsn_put(done, "purged", jsn_new_string(campaign))) : s;
}

/* A worker by its session's first digits, or a word of its label; exactly one. */
static enum status find_session(struct client *client, const char *name, uint8_t session[SESSION_BYTES],
                                struct diag *why)
{
    struct worker_status *list = NULL;
    size_t n = 0, found = 0;
    unsigned byte = 0;
    enum status s = client_workers(client, &list, &n, why);
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        if (strncmp(list[i].session, name, strlen(name)) != 0 && !strstr(list[i].label, name))
            continue;
        found++;
        for (int k = 0; k < SESSION_BYTES; k++) {
            char digits[3] = {list[i].session[2 * k], list[i].session[2 * k + 1]};
            byte = (unsigned)strtoul(digits, NULL, 16);
            session[k] = (uint8_t)byte;
        }
    }
    free(list);
    if (s == ST_OK && found != 1)
        s = diag_set(why, ST_INVALID, "\"%s\" names %zu workers, not one", name, found);
    return s;
}

static enum status drain(struct client *client, const struct admin_options *o, const struct settings *settings,
                         struct diag *why)
{
    uint8_t session[SESSION_BYTES] = {0};
    const char *name = settings_n_args(settings) ? settings_arg(settings, 0) : NULL;
    if (!o->off && !o->yes && !name && !confirm("hand out nothing more to any worker?"))
        return refuse(why);
    enum status s = name ? find_session(client, name, session, why) : ST_OK;
    if (s == ST_OK)
        s = client_drain(client, name ? session : NULL, !o->off, why);
    char hex[2 * SESSION_BYTES + 1] = "all";
    for (int i = 0; name && i < SESSION_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", session[i]);
    struct json *done = s == ST_OK && o->json ? jsn_new_object() : NULL;
    if (done)
        s = jsn_put(done, "session", jsn_new_string(hex));
    if (done && s == ST_OK)
        s = jsn_put(done, "drained", jsn_new_bool(!o->off));
    return done ? print_object(done, s) : s;
}

static enum status forget(struct client *client, const struct admin_options *o, const struct settings *settings,
                          struct diag *why)
{
    char what[LIMIT_URI_BYTES + 1];
    const char *uri = settings_n_args(settings) ? settings_arg(settings, 0) : NULL;
    uint64_t n;
    if (!uri == !o->sha256)
        return diag_set(why, ST_INVALID, "expected a URI, or --sha256 HEX");
    if (snprintf(what, sizeof what, "%s %s", uri ? "uri" : "sha256", uri ? uri : o->sha256) >= (int)sizeof what)
        return diag_set(why, ST_LIMIT, "over %d bytes", LIMIT_URI_BYTES);
    if (!o->yes && !confirm("forget %s, its jobs and records, for good?", what))
        return refuse(why);
    enum status s = client_forget(client, what, &n, why);
    if (s == ST_OK && o->json)
        printf("{\"forgotten\":%" PRIu64 "}\n", n);
    else if (s == ST_OK)
        fprintf(stderr, "ferret admin forget: %" PRIu64 " jobs and records; exports leave it out from here on\n", n);
    return s;
}

static enum status tenant(struct client *client, const struct admin_options *o, const struct settings *settings,
                          struct diag *why)
{
    struct tenant_status t;
    enum status s = client_tenant(client, settings_arg(settings, 0), (uint64_t)o->weight, o->quota, &t, why);
    if (s == ST_OK)
        printf(o->json ? "{\"weight\":%" PRIu64 ",\"quota\":%" PRIu64 ",\"unfinished\":%" PRIu64 "}\n"
                       : "weight %" PRIu64 ", quota %" PRIu64 " (0: none), %" PRIu64 " unfinished\n",
               t.weight, t.quota, t.unfinished);
    return s;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

typedef enum status (*admin_fn)(struct client *client, const struct admin_options *o, const struct settings *settings,
                                struct diag *why);

static const struct setting no_rows[] = {{.name = NULL}};
static const struct setting drain_rows[] = {
    {.name = "off", .type = SETTING_BOOL, .offset = offsetof(struct admin_options, off), .help = "hand out again"}};
static const struct setting forget_rows[] = {{.name = "sha256",
                                              .type = SETTING_STRING,
                                              .offset = offsetof(struct admin_options, sha256),
                                              .value = "HEX",
                                              .help = "an image by the hash of its bytes, as records have it"}};
static const struct setting tenant_rows[] = {
    {.name = "weight",
     .type = SETTING_INT,
     .offset = offsetof(struct admin_options, weight),
     .fallback = "0",
     .min = 0,
     .max = 1000,
     .help = "its share of the workers among tenants; 0 leaves it"},
    {.name = "quota",
     .type = SETTING_INT,
     .offset = offsetof(struct admin_options, quota),
     .fallback = "-1",
     .min = -1,
     .max = 1e12,
     .help = "unfinished images it may have, 0 any number; -1 leaves it"},
};

static const struct admin_command {
    const char *name, *args, *summary, *examples;
    admin_fn run;
    int min_args, max_args;
    const struct setting *rows;
    int n_rows;
} commands[] = {
    {"queue", "", "Shows the queue in numbers, and its workers.",
     "  ferret admin queue\n"
     "  ferret admin queue --json --broker tcp://queue.example:7411\n",
     queue, 0, 0, no_rows, 0},
    {"events", "", "Shows which campaigns were completed or stopped, the last 1,000.", "  ferret admin events --json\n",
     events, 0, 0, no_rows, 0},
    {"dead", "CAMPAIGN", "Lists what failed for good and is kept for a retry: job, id, code, reason.",
     "  ferret admin dead my-campaign\n", dead, 1, 1, no_rows, 0},
    {"purge", "CAMPAIGN", "Removes a campaign with its jobs, records and ids. Its name is free afterwards.",
     "  ferret admin purge my-campaign --yes\n", purge, 1, 1, no_rows, 0},
    {"drain", "[WORKER]",
     "Hands out nothing more, or tells one worker (session or a word of its label) to finish and end.",
     "  ferret admin drain gpu-node-7\n"
     "  ferret admin drain --yes\n"
     "  ferret admin drain --off\n",
     drain, 0, 1, drain_rows, 1},
    {"forget", "[URI]", "A URI or image that was taken down leaves jobs and records; exports leave it out.",
     "  ferret admin forget photos:2024/a.jpg\n"
     "  ferret admin forget --sha256 7f857dd1e3b0bedb36a69f58428f1eea558400069658fe4e9775ef2ea4a978bd --yes\n",
     forget, 0, 1, forget_rows, 1},
    {"tenant", "NAME", "Shows or sets a tenant's weight and quota.",
     "  ferret admin tenant museum\n"
     "  ferret admin tenant museum --weight 3 --quota 100000\n",
     tenant, 1, 1, tenant_rows, 2},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

struct call {
    struct admin_options o; /* first: the groups count from it */
    admin_fn run;
};

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct call *c = options;
    struct client *client = NULL;
    (void)exit_code;
    enum status s = link_flags_open(&c->o.link, &client, why);
    if (s == ST_OK)
        s = c->run(client, &c->o, settings, why);
    client_close(client);
    return s;
}

static int run_command(const struct admin_command *command, int argc, char **argv)
{
    struct call c = {.run = command->run};
    const struct setting_group groups[] = {
        {.title = "output", .rows = &json_row, .n_rows = 1},
        {.title = "safety", .rows = &yes_row, .n_rows = 1},
        {.title = command->name, .rows = command->rows, .n_rows = command->n_rows},
        link_flags_group(offsetof(struct admin_options, link)),
        key_flags_group(offsetof(struct admin_options, link.keys)),
    };
    char name[32];
    snprintf(name, sizeof name, "ferret admin %s", command->name);
    const struct settings_program program = {
        .name = name,
        .args = command->args,
        .summary = command->summary,
        .examples = command->examples,
        .min_args = command->min_args,
        .max_args = command->max_args,
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &c, run);
}

static int usage(FILE *out, int code)
{
    fputs("usage: ferret admin COMMAND [FLAGS] [ARGUMENTS]\n\ncommands:\n", out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-7s %-10s %s\n", commands[i].name, commands[i].args, commands[i].summary);
    fprintf(out, "  %-7s %-10s %s\n", "fsck", "", ADMIN_FSCK_SUMMARY);
    fprintf(out, "  %-7s %-10s %s\n", "keygen", "[NAME]", ADMIN_KEYGEN_SUMMARY);
    fputs("\nexamples:\n  ferret admin queue\n  ferret admin drain gpu-node-7\n"
          "\n`ferret admin COMMAND --help` tells more.\n",
          out);
    return code;
}

/* As settings do it for a command's flags. */
static int print_commands(void)
{
    for (int i = 0; i < N_COMMANDS; i++)
        printf("command\t%s\t%s\n", commands[i].name, commands[i].summary);
    printf("command\tfsck\t%s\n", ADMIN_FSCK_SUMMARY);
    printf("command\tkeygen\t%s\n", ADMIN_KEYGEN_SUMMARY);
    return EXIT_OK;
}

int cmd_admin(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    if (strcmp(name, "fsck") == 0)
        return admin_fsck(argc - 1, argv + 1);
    if (strcmp(name, "keygen") == 0)
        return admin_keygen(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return usage(stdout, EXIT_OK);
    if (strcmp(name, "--print-flags") == 0)
        return print_commands();
    if (strcmp(name, "--version") == 0) {
        printf("ferret admin %s\n", FERRETRY_VERSION);
        return EXIT_OK;
    }
    if (!*name)
        return usage(stderr, EXIT_USAGE);
    command_unknown("ferret admin", name);
    return EXIT_USAGE;
}
