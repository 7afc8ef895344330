#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/sha256.h"
#include "protocol/client.h"
#include "tests/chaos/chaos.h"

/* Keys with what became of them; open addressing, grown by hand of the two readers below. */
struct entry {
    char *key;
    bool acknowledged;
    int results;
};
struct table {
    struct entry *slots;
    size_t cap, n;
};

static uint64_t hash_of(const char *s)
{
    uint64_t h = 1469598103934665603u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static struct entry *slot_of(struct entry *slots, size_t cap, const char *key)
{
    size_t at = hash_of(key) % cap;
    while (slots[at].key && strcmp(slots[at].key, key) != 0)
        at = (at + 1) % cap;
    return &slots[at];
}

static struct entry *find(struct table *t, const char *key)
{
    enum { FIRST = 1 << 16 };
    if (2 * t->n >= t->cap) {
        size_t cap = t->cap ? 2 * t->cap : FIRST;
        struct entry *slots = calloc(cap, sizeof *slots);
        if (!slots)
            exit(2);
        for (size_t i = 0; i < t->cap; i++)
            if (t->slots[i].key)
                *slot_of(slots, cap, t->slots[i].key) = t->slots[i];
        free(t->slots);
        t->slots = slots;
        t->cap = cap;
    }
    struct entry *e = slot_of(t->slots, t->cap, key);
    if (!e->key) {
        e->key = strdup(key);
        t->n++;
    }
    return e;
}

static void read_ledgers(struct chaos *c, struct table *t)
{
    enum { LINE = 256 };
    for (int i = 0; i < c->count[ROLE_SUBMITTER]; i++) {
        char path[PATH_LEN + 32], line[LINE];
        snprintf(path, sizeof path, "%s/ledger.%d", c->dir, i);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) {
            char *end = strchr(line, '\n');
            if (!end)
                break; /* killed while it wrote: not acknowledged to anybody */
            *end = '\0';
            find(t, line)->acknowledged = true;
        }
        if (f)
            fclose(f);
    }
}

struct tally {
    struct table *table;
    uint64_t done, failed, wrong;
};

static bool see_record(void *ctx, const uint8_t id[ID_BYTES], const char *text, size_t len)
{
    (void)id;
    struct tally *t = ctx;
    struct json *r;
    if (jsn_parse(text, len, "record", &r, NULL) != ST_OK) {
        t->wrong++;
        return true;
    }
    const char *key = jsn_string(jsn_get(r, "id"), "");
    char hex[SHA256_HEX];
    uint8_t digest[SHA256_BYTES];
    sha256_of(key, strlen(key), digest);
    sha256_hex(digest, hex);
    bool ok = strcmp(jsn_string(jsn_get(r, "status"), ""), "ok") == 0;
    bool should = strncmp(key, "bad-", 4) != 0;
    find(t->table, key)->results++;
    t->done += ok;
    t->failed += !ok;
    if (ok != should || (ok && strcmp(jsn_string(jsn_get(r, "answer"), ""), hex) != 0)) {
        t->wrong++;
        printf("wrong record: %.*s\n", (int)len, text);
    }
    jsn_free(r);
    return true;
}

long long ask_redis(const struct chaos *c, const char *command)
{
    char line[PATH_LEN + 128];
    long long v = -1;
    snprintf(line, sizeof line, "redis-cli -s %s %s", c->redis, command);
    FILE *f = popen(line, "r");
    if (f && fscanf(f, "%lld", &v) != 1)
        v = -1;
    if (f)
        pclose(f);
    return v;
}

static bool equal(const char *what, long long have, long long want)
{
    if (have == want)
        return true;
    printf("%s: %lld, expected %lld\n", what, have, want);
    return false;
}

/* The counters of a campaign agree at every look. */
static bool adds_up(const struct campaign_status *s)
{
    uint64_t sum = s->ready + s->running + s->delayed + s->done + s->failed + s->cancelled;
    if (s->total == sum)
        return true;
    printf("total %llu, its parts %llu\n", (unsigned long long)s->total, (unsigned long long)sum);
    return false;
}

static bool wait_finished(struct client *client, struct campaign_status *status)
{
    enum { LIMIT_MS = 120000, STEP_US = 100000 };
    int64_t until = clock_ms() + LIMIT_MS;
    struct diag why = {.text = ""};
    while (clock_ms() < until) {
        struct campaign_status *all = NULL;
        size_t n = 0, open = 0;
        enum status s = client_campaigns(client, &all, &n, &why);
        bool sums = true;
        for (size_t i = 0; s == ST_OK && i < n; i++) {
            sums &= adds_up(&all[i]);
            bool is_open = all[i].ready + all[i].running + all[i].delayed > 0;
            if (strcmp(all[i].name, CHAOS_CAMPAIGN) == 0 || (is_open && !open))
                *status = all[i];
            open += is_open;
            if (all[i].state == CAMPAIGN_PAUSED && /* by an operator who was killed */
                client_campaign_set(client, all[i].name, CAMPAIGN_ACTIVE, NULL, &why) != ST_OK)
                sums = false;
        }
        free(all);
        if (!sums)
            return false;
        if (s == ST_OK && open == 0 && n > 0)
            return true;
        usleep(STEP_US);
    }
    printf("not finished: %s: %llu ready, %llu running, %llu delayed; %s\n", status->name,
           (unsigned long long)status->ready, (unsigned long long)status->running, (unsigned long long)status->delayed,
           why.text);
    return false;
}

/* The number that a command prints, summed over the shards, whose tag stands in the middle. */
static long long of_all(const struct chaos *c, const char *before, const char *behind)
{
    long shards = c->shards ? strtol(c->shards, NULL, 10) : 1;
    long long sum = 0;
    char line[PATH_LEN];
    for (long i = 0; i < shards; i++) {
        snprintf(line, sizeof line, "%s{q:%ld}:%s", before, i, behind);
        sum += ask_redis(c, line);
    }
    return sum;
}

/* The number that a command on KEY:number-of-the-campaign prints, `behind` it, summed over the shards; a field that is
 * not there counts as 0. */
static long long of_campaign(const struct chaos *c, const char *command, const char *key, const char *behind)
{
    long shards = c->shards ? strtol(c->shards, NULL, 10) : 1;
    long long sum = 0;
    char line[PATH_LEN];
    for (long i = 0; i < shards; i++) {
        snprintf(line, sizeof line, "HGET {q:%ld}:camp " CHAOS_CAMPAIGN, i);
        long long no = ask_redis(c, line);
        snprintf(line, sizeof line, "%s {q:%ld}:%s:%lld%s", command, i, key, no, behind);
        long long n = ask_redis(c, line);
        sum += n > 0 ? n : 0;
    }
    return sum;
}

static bool check_redis(const struct chaos *c, const struct campaign_status *s)
{
    long long results = (long long)(s->done + s->failed);
    bool ok = equal("total", (long long)s->total, results + (long long)s->cancelled);
    ok &= equal("bodies left", of_all(c, "HLEN ", "job"), 0);
    ok &= equal("delayed left", of_all(c, "ZCARD ", "delay"), 0);
    ok &= equal("retry rows left", of_all(c, "HLEN ", "retry"), 0);
    ok &= equal("doomed left", of_all(c, "HLEN ", "doom"), 0);
    ok &= equal("owned left", of_all(c, "--raw KEYS '", "run:*' | grep -c ."), 0);
    ok &= equal("queues left", of_all(c, "--raw KEYS '", "rq:*' | grep -c ."), 0);
    ok &= equal("records", of_campaign(c, "HLEN", "res", ""), results);
    ok &= equal("finished ids", of_campaign(c, "SCARD", "fin", ""), results);
    ok &= equal("ids in order", of_campaign(c, "LLEN", "out", ""), results);
    long long unkept = of_campaign(c, "HGET", "c", " unkept"); /* they failed while memory was short */
    ok &= equal("dead and not kept", of_campaign(c, "HLEN", "dead", "") + unkept, (long long)s->failed);
    if (c->memory)
        printf("%lld of %llu failed jobs not kept\n", unkept, (unsigned long long)s->failed);
    else
        ok &= equal("not kept", unkept, 0);
    return ok;
}

/* The shipped check of the whole shard agrees; by the `ferret` that CHAOS_FERRET names. */
static bool check_fsck(const struct chaos *c)
{
    const char *ferret = getenv("CHAOS_FERRET");
    char line[2 * PATH_LEN];
    if (!ferret)
        return true;
    snprintf(line, sizeof line, "%.150s admin fsck --redis %.150s", ferret, c->redis);
    int code = system(line);
    if (code != 0)
        printf("ferret admin fsck: code %d\n", code);
    return code == 0;
}

static bool check_results(struct chaos *c, struct client *client, const struct campaign_status *s)
{
    struct table table = {.n = 0};
    struct tally tally = {.table = &table};
    read_ledgers(c, &table);
    struct result_cursor cursor = {.shards = 0};
    bool ok = true;
    struct diag why = {.text = ""};
    for (bool more = true; more && ok;)
        if (client_results(client, CHAOS_CAMPAIGN, &cursor, see_record, &tally, &more, &why) != ST_OK) {
            printf("results: %s\n", why.text);
            ok = false;
        }
    long long acknowledged = 0, lost = 0, doubled = 0;
    for (size_t i = 0; i < table.cap; i++) {
        struct entry *e = &table.slots[i];
        acknowledged += e->acknowledged;
        lost += e->acknowledged && e->results == 0;
        doubled += e->results > 1;
        if (e->acknowledged && e->results == 0 && lost <= 10)
            printf("lost: %s\n", e->key);
        free(e->key);
    }
    free(table.slots);
    ok &= equal("lost", lost, 0);
    ok &= equal("doubled", doubled, 0);
    ok &= equal("wrong", (long long)tally.wrong, 0);
    ok &= equal("counter done", (long long)s->done, (long long)tally.done);
    ok &= equal("counter failed", (long long)s->failed, (long long)tally.failed);
    printf("acknowledged %lld, results %llu (%llu failed as they should), lost %lld, doubled %lld, wrong %llu\n",
           acknowledged, (unsigned long long)(tally.done + tally.failed), (unsigned long long)tally.failed, lost,
           doubled, (unsigned long long)tally.wrong);
    return ok && acknowledged > 0;
}

bool verify(struct chaos *c)
{
    enum { TIMEOUT_MS = 20000 };
    char brokers[LIST_LEN];
    c->proxied = false;
    client_list(c, -1, brokers);
    struct client_options o = {.address = brokers, .timeout_ms = TIMEOUT_MS};
    struct client *client;
    struct diag why = {.text = ""};
    struct campaign_status status = {.total = 0};
    if (client_open(&o, &client, &why) != ST_OK) {
        printf("%s\n", why.text);
        return false;
    }
    int64_t from = clock_ms();
    bool ok = wait_finished(client, &status);
    printf("drained in %.1f s\n", (double)(clock_ms() - from) / 1000);
    ok &= check_results(c, client, &status);
    ok &= check_redis(c, &status);
    ok &= check_fsck(c);
    printf("results found in the index: %lld\n", ask_redis(c, "HGET {q:0}:use 'twins found'"));
    client_close(client);
    return ok;
}
