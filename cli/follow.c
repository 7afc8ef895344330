#include "cli/follow.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/tombstones.h"
#include "formats/write/segments.h"

enum { COMMIT_RECORDS = 4096, COMMIT_MS = 1000, IDLE_MS = 200, AWAY_MS = 1000 };

struct follow {
    const struct follow_options *o;
    struct client *client;
    struct segments *out;
    uint64_t cursor;    /* behind the last record put */
    uint64_t committed; /* and on disk */
    uint64_t n, uncommitted;
    int64_t committed_at;
    struct tombstones forgotten;
    bool told_away;
    enum status put_status;
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

static bool on_record(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    struct follow *f = ctx;
    (void)id;
    if (tombstones_hit(&f->forgotten, record, len))
        return true;
    f->put_status = segments_put(f->out, record, len, f->why);
    f->n += f->put_status == ST_OK;
    f->uncommitted += f->put_status == ST_OK;
    return f->put_status == ST_OK;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* On disk first, then gone from Redis. */
static enum status commit(struct follow *f)
{
    enum status s = f->cursor == f->committed ? ST_OK : segments_commit(f->out, f->cursor, f->why);
    if (s != ST_OK)
        return s;
    bool moved = f->cursor != f->committed;
    f->committed = f->cursor;
    f->uncommitted = 0;
    f->committed_at = clock_ms();
    return moved ? client_trim(f->client, f->o->campaign, f->committed, f->why) : ST_OK;
}

/* The folder and the campaign must fit together: nothing between them may be missing. */
static enum status check_start(struct follow *f)
{
    struct campaign_status c;
    enum status s = client_status(f->client, f->o->campaign, &c, f->why);
    if (s != ST_OK)
        return s;
    if (c.trimmed > f->cursor)
        return diag_set(f->why, ST_REFUSED,
                        "%s: the records from %llu to %llu were taken out of the queue by another export; this folder "
                        "ends at %llu",
                        f->o->dir, (unsigned long long)f->cursor, (unsigned long long)c.trimmed,
                        (unsigned long long)f->cursor);
    return client_trim(f->client, f->o->campaign, f->cursor, f->why); /* killed between the two: once more */
}

static enum status read_some(struct follow *f, bool *more)
{
    uint64_t before = f->cursor;
    enum status s = client_results(f->client, f->o->campaign, &f->cursor, on_record, f, more, f->why);
    if (s == ST_CANCELLED)
        return f->put_status;
    if (s == ST_OK && f->cursor < before)
        return diag_set(f->why, ST_REFUSED,
                        "%s: holds %llu records, campaign \"%s\" has %llu so far: it is another one of that name",
                        f->o->dir, (unsigned long long)before, f->o->campaign, (unsigned long long)f->cursor);
    bool due = f->uncommitted >= COMMIT_RECORDS || !*more || clock_ms() - f->committed_at >= COMMIT_MS;
    return s == ST_OK && due ? commit(f) : s;
}

static enum status look(struct follow *f, bool *ended)
{
    struct campaign_status c;
    enum status s = client_status(f->client, f->o->campaign, &c, f->why);
    *ended = s == ST_OK && c.ready + c.running + c.delayed == 0 && (c.completed || c.state == CAMPAIGN_CANCELLED);
    return s;
}

static enum status drop_forgotten(void *ctx, const char *text, size_t len, char **out, struct diag *why)
{
    const struct follow *f = ctx;
    (void)why;
    if (!tombstones_hit(&f->forgotten, text, len))
        return ST_OK;
    *out = tombstones_stub();
    return *out ? ST_OK : ST_NOMEM;
}

/* What was forgotten since leaves the files too. Right after a commit: what is put is on disk. */
static enum status apply_forgotten(struct follow *f)
{
    bool more = false;
    enum status s = tombstones_read(&f->forgotten, f->client, &more, f->why);
    if (s == ST_OK && more)
        s = commit(f);
    return s == ST_OK && more ? segments_rewrite(f->out, drop_forgotten, f, f->why) : s;
}

/* A record that ended between the last read and the look is read in the round behind it. */
static enum status round_trip(struct follow *f, bool *ended)
{
    bool more = false, at_rest = false;
    enum status s = apply_forgotten(f);
    if (s == ST_OK)
        s = look(f, &at_rest);
    if (s == ST_OK)
        s = read_some(f, &more);
    while (s == ST_OK && more && !stopped)
        s = read_some(f, &more);
    *ended = at_rest && !more;
    return s;
}

/* A broker that is away comes back. */
static bool is_away(struct follow *f, enum status s)
{
    if (s != ST_TIMEOUT && s != ST_BUSY)
        return false;
    if (!f->told_away)
        fprintf(stderr, "ferret export: %s; waiting\n", f->why->text);
    f->told_away = true;
    pause_ms(AWAY_MS);
    return true;
}

static enum status follow_all(struct follow *f, bool *ended)
{
    enum status s = check_start(f);
    while (!*ended && !stopped && (s == ST_OK || is_away(f, s))) {
        s = round_trip(f, ended);
        f->told_away = f->told_away && s != ST_OK;
        if (s == ST_OK && !*ended)
            pause_ms(IDLE_MS);
    }
    if (stopped && (s == ST_OK || s == ST_TIMEOUT)) {
        s = segments_commit(f->out, f->cursor, f->why); /* the next run trims */
        f->committed = s == ST_OK ? f->cursor : f->committed;
    }
    return s;
}

static enum status tell(const struct follow *f, bool ended)
{
    fprintf(stderr, "ferret export: %llu records into %s, %llu in all%s\n", (unsigned long long)f->n, f->o->dir,
            (unsigned long long)f->committed, ended ? "; the campaign is complete" : "");
    if (!f->o->json)
        return ST_OK;
    struct json *o = jsn_new_object();
    enum status s = jsn_put(o, "campaign", jsn_new_string(f->o->campaign));
    if (s == ST_OK)
        s = jsn_put(o, "records", jsn_new_int((int64_t)f->n));
    if (s == ST_OK)
        s = jsn_put(o, "cursor", jsn_new_int((int64_t)f->committed));
    if (s == ST_OK)
        s = jsn_put(o, "completed", jsn_new_bool(ended));
    return print_object(o, s);
}

enum status follow_run(struct client *client, const struct follow_options *o, int *signal, struct diag *why)
{
    struct follow f = {.o = o, .client = client, .why = why};
    bool ended = false;
    stopped = 0;
    catch_stops();
    enum status s = segments_open(o->dir, o->campaign, o->segment_bytes, &f.out, why);
    if (s == ST_OK) {
        f.cursor = f.committed = segments_cursor(f.out);
        s = follow_all(&f, &ended);
    }
    segments_close(f.out);
    tombstones_fini(&f.forgotten);
    if (s == ST_OK)
        s = tell(&f, ended);
    *signal = stopped;
    return s;
}
