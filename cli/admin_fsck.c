/* `ferret admin fsck`: walks through each shard in Redis, by bounded steps, while the queue works. What looks wrong in
 * passing (a job may move meanwhile) is looked at again in one step; counters are compared only where nothing moved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/commands.h"
#include "cli/id_table.h"
#include "protocol/job.h"
#include "protocol/paths.h"
#include "protocol/redis_login.h"
#include "protocol/store.h"

enum { CALL_MS = 30000, STEP = 512, SHOWN = 20, COUNTERS = 3, ROUNDS = 3, RUN = 4 /* of "run:" */ };

struct fsck_options {
    const char *data, *redis;
    struct redis_flags login;
    bool repair, json, yes;
};

/* Of a key behind the shard's tag; a session is any bytes. */
struct name {
    char *bytes;
    size_t len;
    bool lives; /* ownership whose session is there */
};

struct campaign_count {
    char no[24];
    long long seen[COUNTERS], found[COUNTERS]; /* ready, running, delayed */
    long long total, ended;                    /* as counters say */
    bool gone;
};

struct fsck {
    const struct fsck_options *o;
    struct store *store;
    int shard; /* that is looked at */
    struct id_table ids;
    struct name *runs; /* keys of ownership */
    size_t n_runs;
    struct name *queues; /* lists of ids: rq:N:P, sus:CLASS */
    size_t n_queues;
    struct campaign_count *campaigns;
    size_t n_campaigns;
    unsigned long long problems, repaired, moved; /* of this shard, this round */
    struct {
        unsigned long long jobs, problems, repaired, moved;
        size_t campaigns;
    } all;
    struct diag *why;
};

static const struct setting rows[] = {
    {.name = "data",
     .type = SETTING_STRING,
     .offset = offsetof(struct fsck_options, data),
     .fallback = DEFAULT_DATA_DIR,
     .value = "DIR",
     .help = "folder of a `ferret up`, for its Redis"},
    {.name = "redis",
     .type = SETTING_STRING,
     .offset = offsetof(struct fsck_options, redis),
     .value = "ADDR",
     .help = "Redis: /path/of/socket or host:port, of a cluster several nodes; wins over --data"},
    {.name = "repair",
     .type = SETTING_BOOL,
     .offset = offsetof(struct fsck_options, repair),
     .help = "put right what can be proved"},
    {.name = "yes", .type = SETTING_BOOL, .offset = offsetof(struct fsck_options, yes), .help = "no question"},
    {.name = "json", .type = SETTING_BOOL, .offset = offsetof(struct fsck_options, json), .help = "one JSON object"},
};

/* ---- steps ------------------------------------------------------------------------------------------------------ */

/* Takes args over. */
static enum status call(struct fsck *f, enum script script, struct store_args *args, struct store_answer *a)
{
    args->shard = f->shard;
    enum status s = store_call(f->store, script, args, CALL_MS, a, f->why);
    store_args_fini(args);
    return s;
}

typedef enum status (*element_fn)(struct fsck *f, const struct name *key, const struct reply *r);

/* A page at a time; fn sees the whole answer, elements from 1 on. */
static enum status walk(struct fsck *f, const char *what, const struct name *key, element_fn fn)
{
    char cursor[32] = "0";
    do {
        struct store_args args = {0};
        struct store_answer a;
        store_arg_str(&args, what);
        store_arg(&args, key->bytes, key->len);
        store_arg_str(&args, cursor);
        store_arg_u64(&args, STEP);
        enum status s = call(f, SCRIPT_FSCK_WALK, &args, &a);
        if (s != ST_OK)
            return s;
        size_t len;
        const char *next = reply_bytes(&a.reply, 0, &len);
        snprintf(cursor, sizeof cursor, "%.*s", (int)len, next);
        s = fn(f, key, &a.reply);
        store_answer_free(&a);
        if (s != ST_OK)
            return s;
    } while (strcmp(cursor, "0") != 0);
    return ST_OK;
}

static enum status walk_key(struct fsck *f, const char *what, const char *key, element_fn fn)
{
    struct name name = {.len = strlen(key)};
    name.bytes = strdup(key);
    enum status s = name.bytes ? walk(f, what, &name, fn) : ST_NOMEM;
    free(name.bytes);
    return s;
}

static enum status append(struct name **list, size_t *n, const char *bytes, size_t len)
{
    struct name *grown = realloc(*list, (*n + 1) * sizeof *grown);
    if (!grown)
        return ST_NOMEM;
    *list = grown;
    grown[*n] = (struct name){.bytes = malloc(len), .len = len};
    if (!grown[*n].bytes)
        return ST_NOMEM;
    memcpy(grown[(*n)++].bytes, bytes, len);
    return ST_OK;
}

static bool begins(const char *text, size_t len, const char *with)
{
    return len > strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static enum status add_campaign(struct fsck *f, const char *no, size_t len)
{
    struct campaign_count *grown = realloc(f->campaigns, (f->n_campaigns + 1) * sizeof *grown);
    if (!grown)
        return ST_NOMEM;
    f->campaigns = grown;
    grown[f->n_campaigns] = (struct campaign_count){.total = 0};
    snprintf(grown[f->n_campaigns++].no, sizeof grown->no, "%.*s", (int)len, no);
    return ST_OK;
}

static enum status take_keys(struct fsck *f, const struct name *key, const struct reply *r)
{
    enum status s = ST_OK;
    (void)key;
    for (size_t i = 1; s == ST_OK && i < r->n; i++) {
        size_t len;
        const char *name = reply_bytes(r, i, &len);
        if (begins(name, len, "run:"))
            s = append(&f->runs, &f->n_runs, name, len);
        else if (begins(name, len, "rq:") || begins(name, len, "sus:"))
            s = append(&f->queues, &f->n_queues, name, len);
        else if (begins(name, len, "c:"))
            s = add_campaign(f, name + 2, len - 2);
    }
    return s;
}

static struct campaign_count *campaign_of(struct fsck *f, const char *no, size_t len)
{
    for (size_t i = 0; i < f->n_campaigns; i++)
        if (strlen(f->campaigns[i].no) == len && memcmp(f->campaigns[i].no, no, len) == 0)
            return &f->campaigns[i];
    return NULL;
}

static enum status take_jobs(struct fsck *f, const struct name *key, const struct reply *r)
{
    (void)key;
    for (size_t i = 1; i + 1 < r->n; i += 2) {
        size_t len, id_len;
        const char *id = reply_bytes(r, i, &id_len), *no = reply_bytes(r, i + 1, &len);
        struct id_row *row = id_len == ID_BYTES ? id_table_at(&f->ids, (const uint8_t *)id) : NULL;
        if (!row)
            return id_len == ID_BYTES ? ST_NOMEM : ST_OK;
        struct campaign_count *c = campaign_of(f, no, len);
        row->has_job = true;
        row->campaign = c ? (uint32_t)(c - f->campaigns) : UINT32_MAX;
    }
    return ST_OK;
}

/* Ids every `every` elements, into the campaign's counter `kind`. */
static enum status take_places(struct fsck *f, const struct reply *r, size_t every, int kind)
{
    for (size_t i = 1; i < r->n; i += every) {
        size_t len;
        const char *id = reply_bytes(r, i, &len);
        if (len != ID_BYTES)
            continue;
        struct id_row *row = id_table_at(&f->ids, (const uint8_t *)id);
        if (!row)
            return ST_NOMEM;
        row->places = row->places < UINT8_MAX ? (uint8_t)(row->places + 1) : UINT8_MAX;
        if (row->has_job && row->campaign < f->n_campaigns)
            f->campaigns[row->campaign].found[kind]++;
    }
    return ST_OK;
}

static enum status take_queue(struct fsck *f, const struct name *key, const struct reply *r)
{
    (void)key;
    return take_places(f, r, 1, 0);
}

static enum status take_run(struct fsck *f, const struct name *key, const struct reply *r)
{
    (void)key;
    return take_places(f, r, 2, 1);
}

static enum status take_delay(struct fsck *f, const struct name *key, const struct reply *r)
{
    (void)key;
    return take_places(f, r, 1, 2);
}

static enum status take_doom(struct fsck *f, const struct name *key, const struct reply *r)
{
    (void)key;
    return take_places(f, r, 2, 2);
}

static enum status take_counters(struct fsck *f, const struct name *key, const struct reply *r)
{
    static const char *const names[] = {"ready", "running", "delayed"};
    static const char *const ends[] = {"done", "failed", "cancelled"};
    struct campaign_count *c = campaign_of(f, key->bytes + 2, key->len - 2);
    for (size_t i = 1; c && i + 1 < r->n; i += 2) {
        for (int k = 0; k < COUNTERS; k++) {
            if (reply_is(r, i, names[k]))
                c->seen[k] = reply_number(r, i + 1);
            if (reply_is(r, i, ends[k]))
                c->ended += reply_number(r, i + 1);
        }
        if (reply_is(r, i, "total"))
            c->total = reply_number(r, i + 1);
    }
    return ST_OK;
}

/* ---- what is wrong ---------------------------------------------------------------------------------------------- */

static void tell(struct fsck *f, const char *what, const char *of, bool repaired)
{
    f->problems++;
    f->repaired += repaired;
    if (f->all.problems + f->problems > SHOWN || f->o->json)
        return;
    if (store_shards(f->store) > 1)
        printf("shard %d: ", f->shard);
    printf("%s: %s%s\n", of, what, repaired ? ": put right" : "");
}

static enum status look_again(struct fsck *f, const uint8_t id[ID_BYTES])
{
    struct store_args args = {0};
    struct store_answer a;
    char hex[2 * ID_BYTES + 1], text[128];
    store_arg_str(&args, f->o->repair ? "1" : "0");
    store_arg(&args, id, ID_BYTES);
    for (size_t i = 0; i < f->n_runs && i < STEP; i++)
        store_arg(&args, f->runs[i].bytes, f->runs[i].len);
    enum status s = call(f, SCRIPT_FSCK_LOOK, &args, &a);
    if (s != ST_OK)
        return s;
    size_t len;
    const char *what = reply_bytes(&a.reply, 0, &len);
    snprintf(text, sizeof text, "%.*s", (int)len, what);
    job_id_hex(id, hex);
    if (*text)
        tell(f, text, hex, reply_number(&a.reply, 1) == 1);
    store_answer_free(&a);
    return ST_OK;
}

static enum status look_at_ids(struct fsck *f)
{
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < f->ids.cap; i++) {
        const struct id_row *row = &f->ids.rows[i];
        if (row->used && row->places != (row->has_job ? 1 : 0))
            s = look_again(f, row->id);
    }
    return s;
}

static enum status take_sessions(struct fsck *f, const struct name *key, const struct reply *r)
{
    (void)key;
    for (size_t i = 1; i < r->n; i++) {
        size_t len;
        const char *sid = reply_bytes(r, i, &len);
        for (size_t k = 0; k < f->n_runs; k++)
            if (f->runs[k].len == len + RUN && memcmp(f->runs[k].bytes + RUN, sid, len) == 0)
                f->runs[k].lives = true;
    }
    return ST_OK;
}

/* Ownership without a session; asked for in one step, so a session that came meanwhile is left alone. */
static enum status look_at_owners(struct fsck *f)
{
    enum status s = walk_key(f, "scores", "sess", take_sessions);
    for (size_t i = 0; s == ST_OK && i < f->n_runs; i++) {
        struct store_answer a = {.reply = {.kind = REPLY_INT}};
        struct store_args args = {0};
        if (f->runs[i].lives)
            continue;
        store_arg_str(&args, f->o->repair ? "run" : "is-run");
        store_arg(&args, f->runs[i].bytes + RUN, f->runs[i].len - RUN);
        s = call(f, SCRIPT_FSCK_FIX, &args, &a);
        if (s == ST_OK && a.reply.integer > 0)
            tell(f, "ownership of a session that is not there", "run", f->o->repair);
        store_answer_free(&a);
    }
    return s;
}

static enum status fix_counters(struct fsck *f, const struct campaign_count *c, bool *done)
{
    struct store_args args = {0};
    struct store_answer a;
    store_arg_str(&args, "count");
    store_arg_str(&args, c->no);
    for (int k = 0; k < COUNTERS; k++)
        store_arg_u64(&args, (uint64_t)c->seen[k]);
    for (int k = 0; k < COUNTERS; k++)
        store_arg_u64(&args, (uint64_t)c->found[k]);
    enum status s = call(f, SCRIPT_FSCK_FIX, &args, &a);
    if (s == ST_OK) {
        *done = a.reply.integer == 1;
        store_answer_free(&a);
    }
    return s;
}

/* before: the counters as the walk began. */
static enum status look_at_counters(struct fsck *f, const struct campaign_count *before)
{
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < f->n_campaigns; i++) {
        const struct campaign_count *c = &f->campaigns[i], *b = &before[i];
        char of[40], text[128];
        bool moved = c->total != b->total || c->ended != b->ended || memcmp(c->seen, b->seen, sizeof c->seen) != 0;
        bool same = memcmp(c->seen, c->found, sizeof c->seen) == 0;
        bool sum = c->total == c->ended + c->seen[0] + c->seen[1] + c->seen[2], fixed = false;
        f->moved += moved;
        if (moved || (same && sum))
            continue;
        if (!same && f->o->repair)
            s = fix_counters(f, c, &fixed);
        snprintf(of, sizeof of, "campaign %s", c->no);
        snprintf(text, sizeof text, "counters say %lld ready, %lld running, %lld delayed; there are %lld, %lld, %lld%s",
                 c->seen[0], c->seen[1], c->seen[2], c->found[0], c->found[1], c->found[2],
                 sum ? "" : "; the sum is not the total");
        tell(f, text, of, fixed);
    }
    return s;
}

/* ---- a round ---------------------------------------------------------------------------------------------------- */

static void clear(struct fsck *f)
{
    id_table_fini(&f->ids);
    while (f->n_runs)
        free(f->runs[--f->n_runs].bytes);
    while (f->n_queues)
        free(f->queues[--f->n_queues].bytes);
    free(f->runs);
    free(f->queues);
    free(f->campaigns);
    f->runs = f->queues = NULL;
    f->campaigns = NULL;
    f->n_campaigns = 0;
    f->problems = f->repaired = f->moved = 0;
}

static enum status read_counters(struct fsck *f)
{
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < f->n_campaigns; i++) {
        struct campaign_count *c = &f->campaigns[i];
        char key[32];
        c->ended = c->total = 0;
        memset(c->seen, 0, sizeof c->seen);
        snprintf(key, sizeof key, "c:%s", c->no);
        s = walk_key(f, "hash", key, take_counters);
    }
    return s;
}

static enum status read_all(struct fsck *f)
{
    enum status s = walk_key(f, "job", "job", take_jobs);
    for (size_t i = 0; s == ST_OK && i < f->n_queues; i++)
        s = walk(f, "list", &f->queues[i], take_queue);
    for (size_t i = 0; s == ST_OK && i < f->n_runs; i++)
        s = walk(f, "run", &f->runs[i], take_run);
    if (s == ST_OK)
        s = walk_key(f, "scores", "delay", take_delay);
    return s == ST_OK ? walk_key(f, "hash", "doom", take_doom) : s;
}

static enum status check(struct fsck *f)
{
    enum status s = walk_key(f, "keys", "", take_keys);
    if (s == ST_OK)
        s = read_counters(f);
    struct campaign_count *before = s == ST_OK ? calloc(f->n_campaigns + 1, sizeof *before) : NULL;
    if (s == ST_OK && !before)
        s = ST_NOMEM;
    if (s == ST_OK && f->n_campaigns)
        memcpy(before, f->campaigns, f->n_campaigns * sizeof *before);
    if (s == ST_OK)
        s = read_all(f);
    if (s == ST_OK)
        s = read_counters(f);
    if (s == ST_OK)
        s = look_at_owners(f);
    if (s == ST_OK)
        s = look_at_ids(f);
    if (s == ST_OK)
        s = look_at_counters(f, before);
    free(before);
    return s;
}

static void report(const struct fsck *f)
{
    if (f->o->json)
        printf("{\"jobs\":%llu,\"campaigns\":%zu,\"shards\":%d,\"problems\":%llu,\"repaired\":%llu,"
               "\"not_compared\":%llu}\n",
               f->all.jobs, f->all.campaigns, store_shards(f->store), f->all.problems, f->all.repaired, f->all.moved);
    else
        printf("%llu jobs in %zu campaigns: %llu problems, %llu put right%s\n", f->all.jobs, f->all.campaigns,
               f->all.problems, f->all.repaired, f->all.moved ? "; some counters moved and were not compared" : "");
}

/* How many shards the queue has; one that was never made has one, and nothing in it. */
static enum status find_shards(struct fsck *f)
{
    struct store_args args = {.shard = 0};
    struct store_answer a;
    store_arg_str(&args, "");
    store_arg_str(&args, "");
    enum status s = call(f, SCRIPT_BOOT, &args, &a);
    if (s != ST_OK)
        return s;
    long long shards = reply_number(&a.reply, 1);
    store_answer_free(&a);
    if (shards > LIMIT_SHARDS)
        return diag_set(f->why, ST_UNSUPPORTED, "the queue has %lld shards; this program knows of at most %d", shards,
                        LIMIT_SHARDS);
    store_set_shards(f->store, shards > 1 ? (int)shards : 1);
    return ST_OK;
}

/* Counters that moved are looked at again: a campaign at rest is compared at once, a busy one perhaps never. */
static enum status check_shard(struct fsck *f, int shard)
{
    enum status s = ST_OK;
    f->shard = shard;
    for (int round = 0; s == ST_OK && (round == 0 || (round < ROUNDS && f->moved > 0 && f->problems == 0)); round++) {
        clear(f);
        s = check(f);
    }
    f->all.jobs += f->ids.n;
    f->all.campaigns = f->n_campaigns > f->all.campaigns ? f->n_campaigns : f->all.campaigns;
    f->all.problems += f->problems;
    f->all.repaired += f->repaired;
    f->all.moved += f->moved;
    clear(f);
    return s;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct fsck_options *o = options;
    struct fsck f = {.o = o, .why = why};
    char address[PATHS_BYTES];
    struct redis_login login;
    (void)settings;
    if (o->repair && !o->yes && !confirm("change Redis where something is wrong?"))
        return diag_set(why, ST_REFUSED, "not confirmed; give --yes");
    enum status s = redis_flags_load(&o->login, true, &login, why);
    if (s == ST_OK && !o->redis)
        s = paths_redis(o->data, address, why);
    if (s == ST_OK)
        s = store_open(o->redis ? o->redis : address, 1, &f.store, why);
    if (s != ST_OK)
        return s;
    store_log_in(f.store, login.use);
    s = store_wait_ready(f.store, CALL_MS, why);
    s = s == ST_IO ? ST_TIMEOUT : s;
    if (s == ST_OK)
        s = find_shards(&f);
    for (int i = 0; s == ST_OK && i < store_shards(f.store); i++)
        s = check_shard(&f, i);
    if (s == ST_OK)
        report(&f);
    *exit_code = f.all.problems > f.all.repaired ? EXIT_ITEMS_FAILED : EXIT_OK;
    store_close(f.store);
    return s;
}

int admin_fsck(int argc, char **argv)
{
    struct fsck_options o = {.data = NULL};
    const struct setting_group groups[] = {
        {.title = "check", .rows = rows, .n_rows = sizeof rows / sizeof *rows},
        redis_flags_group(offsetof(struct fsck_options, login)),
    };
    const struct settings_program program = {
        .name = "ferret admin fsck",
        .args = "",
        .summary = ADMIN_FSCK_SUMMARY "\nExit code 1: something is wrong and was not put right.",
        .examples = "  ferret admin fsck --data /var/lib/ferretry --repair\n",
        .groups = groups,
        .n_groups = sizeof groups / sizeof *groups,
    };
    return command_run(&program, argc, argv, &o, run);
}
