#include "cli/collect.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/records.h"
#include "formats/write/parts.h"

enum { COMMIT_RECORDS = 4096, COMMIT_MS = 1000, IDLE_MS = 200, AWAY_MS = 1000 };

struct collect {
    const struct collect_options *o;
    struct client *client;
    struct parts *out;
    struct records in;              /* its cursor: behind the last record put */
    struct result_cursor committed; /* and on disk */
    uint64_t n, uncommitted;
    int64_t committed_at;
    bool told_away;
    struct diag *why;
};

/* A command may keep one flag for its signals. */
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    stopped = sig;
}

/* A second signal ends the program at once. */
static void catch_stops(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

static enum status on_record(void *ctx, const struct json *record, const char *text, size_t len, struct diag *why)
{
    struct collect *c = ctx;
    enum status s = parts_put(c->out, record, text, len, why);
    c->n += s == ST_OK;
    c->uncommitted += s == ST_OK;
    return s;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* On disk first, then gone from Redis. */
static enum status commit(struct collect *c)
{
    bool moved = memcmp(c->in.cursor.at, c->committed.at, sizeof c->committed.at) != 0;
    enum status s = moved ? parts_commit(c->out, &c->in.cursor, c->why) : ST_OK;
    if (s != ST_OK)
        return s;
    c->committed = c->in.cursor;
    c->uncommitted = 0;
    c->committed_at = clock_ms();
    return moved && c->o->follow ? client_trim(c->client, c->o->campaign, &c->committed, c->why) : ST_OK;
}

/* The folder and the campaign must fit together: nothing between them may be missing that is to be the only copy. */
static enum status check_start(struct collect *c)
{
    struct campaign_status campaign;
    enum status s = client_status(c->client, c->o->campaign, &campaign, c->why);
    if (s != ST_OK)
        return s;
    uint64_t have = result_cursor_sum(&c->committed);
    if (campaign.trimmed > have && c->o->follow)
        return diag_set(c->why, ST_REFUSED,
                        "%s: the records from %llu to %llu were taken out of the queue by another export; this folder "
                        "ends at %llu",
                        c->o->dir, (unsigned long long)have, (unsigned long long)campaign.trimmed,
                        (unsigned long long)have);
    if (campaign.trimmed > have)
        fprintf(stderr, "ferret export: the records from %llu to %llu were taken out earlier\n",
                (unsigned long long)have, (unsigned long long)campaign.trimmed);
    /* killed between the two: once more */
    return c->o->follow ? client_trim(c->client, c->o->campaign, &c->committed, c->why) : ST_OK;
}

/* Records that a failover of one shard lost are made again. Where all shards have less than was read it is not the
 * campaign of these files. */
static bool went_back(const struct result_cursor *now, const struct result_cursor *before)
{
    uint64_t lost = 0;
    bool all = true;
    for (int i = 0; i < now->shards; i++) {
        bool less = now->at[i] < before->at[i];
        lost += less ? before->at[i] - now->at[i] : 0;
        all = all && (less || before->at[i] == 0);
    }
    if (lost > 0 && !all)
        fprintf(stderr,
                "ferret export: a shard of the queue lost %llu records that are in these files; their images run again "
                "and come twice\n",
                (unsigned long long)lost);
    return lost > 0 && all;
}

static enum status read_some(struct collect *c, bool *more)
{
    struct result_cursor before = c->in.cursor;
    enum status s = records_some(&c->in, more, c->why);
    if (s == ST_OK && went_back(&c->in.cursor, &before))
        return diag_set(c->why, ST_REFUSED,
                        "%s: holds %llu records, campaign \"%s\" has %llu so far: it is another one of that "
                        "name, or a failover of Redis lost them",
                        c->o->dir, (unsigned long long)result_cursor_sum(&before), c->o->campaign,
                        (unsigned long long)result_cursor_sum(&c->in.cursor));
    bool due = c->uncommitted >= COMMIT_RECORDS || !*more || clock_ms() - c->committed_at >= COMMIT_MS;
    return s == ST_OK && due ? commit(c) : s;
}

static enum status look(struct collect *c, bool *ended)
{
    struct campaign_status campaign;
    enum status s = client_status(c->client, c->o->campaign, &campaign, c->why);
    *ended = s == ST_OK && campaign.ready + campaign.running + campaign.delayed == 0 &&
             (campaign.completed || campaign.state == CAMPAIGN_CANCELLED);
    return s;
}

static bool is_forgotten(void *ctx, const char *text, size_t len)
{
    return tombstones_hit(ctx, text, len);
}

/* What was forgotten since leaves the files too. Right after a commit: what is put is on disk. */
static enum status apply_forgotten(struct collect *c)
{
    bool more = false;
    enum status s = tombstones_read(&c->in.forgotten, c->client, &more, c->why);
    if (s == ST_OK && more)
        s = commit(c);
    return s == ST_OK && more ? parts_drop(c->out, is_forgotten, &c->in.forgotten, c->why) : s;
}

/* A record that ended between the last read and the look is read in the round behind it. */
static enum status round_trip(struct collect *c, bool *ended)
{
    bool more = true, at_rest = false;
    enum status s = apply_forgotten(c);
    if (s == ST_OK)
        s = look(c, &at_rest);
    while (s == ST_OK && more && !stopped)
        s = read_some(c, &more);
    *ended = s == ST_OK && at_rest && !more;
    return s;
}

/* A broker that is away comes back. */
static bool is_away(struct collect *c, enum status s)
{
    if (s != ST_TIMEOUT && s != ST_BUSY)
        return false;
    if (!c->told_away)
        fprintf(stderr, "ferret export: %s; waiting\n", c->why->text);
    c->told_away = true;
    pause_ms(AWAY_MS);
    return true;
}

static enum status follow_all(struct collect *c, bool *ended)
{
    enum status s = check_start(c);
    while (!*ended && !stopped && (s == ST_OK || is_away(c, s))) {
        s = round_trip(c, ended);
        c->told_away = c->told_away && s != ST_OK;
        if (s == ST_OK && !*ended)
            pause_ms(IDLE_MS);
    }
    return stopped && s == ST_TIMEOUT ? ST_OK : s;
}

static enum status take_all(struct collect *c, bool *ended)
{
    enum status s = check_start(c);
    return s == ST_OK ? round_trip(c, ended) : s;
}

static enum status tell(const struct collect *c, bool ended)
{
    fprintf(stderr, "ferret export: %llu records into %s, %llu in all%s\n", (unsigned long long)c->n, c->o->dir,
            (unsigned long long)result_cursor_sum(&c->committed), ended ? "; the campaign is complete" : "");
    if (!c->o->json)
        return ST_OK;
    struct json *o = jsn_new_object();
    enum status s = jsn_put(o, "campaign", jsn_new_string(c->o->campaign));
    if (s == ST_OK)
        s = jsn_put(o, "records", jsn_new_int((int64_t)c->n));
    if (s == ST_OK)
        s = jsn_put(o, "cursor", jsn_new_int((int64_t)result_cursor_sum(&c->committed)));
    if (s == ST_OK)
        s = jsn_put(o, "completed", jsn_new_bool(ended));
    return print_object(o, s);
}

enum status collect_run(struct client *client, const struct collect_options *o, int *signal, struct diag *why)
{
    struct collect c = {.o = o, .client = client, .why = why};
    const struct parts_options parts = {
        .dir = o->dir, .source = o->campaign, .part_bytes = o->part_bytes, .shards = o->shards};
    bool ended = false;
    stopped = 0;
    catch_stops();
    enum status s = parts_open(&parts, &c.out, why);
    if (s == ST_OK) {
        c.committed = *parts_cursor(c.out);
        c.in = (struct records){
            .client = client, .campaign = o->campaign, .cursor = c.committed, .fn = on_record, .ctx = &c};
        s = o->follow ? follow_all(&c, &ended) : take_all(&c, &ended);
    }
    /* What was read behind the last commit is committed here; the next run deletes it at the broker. */
    if (s == ST_OK)
        s = parts_finish(c.out, &c.in.cursor, ended, why);
    if (s == ST_OK)
        c.committed = c.in.cursor;
    parts_close(c.out);
    records_fini(&c.in);
    if (s == ST_OK)
        s = tell(&c, ended);
    *signal = stopped;
    return s;
}
