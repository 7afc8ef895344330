/* What an operator's commands ask for, over and over: small campaigns beside the main one, paused, resumed, read,
 * trimmed, some cancelled. Their records are not looked at; that they add up and leave nothing behind is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/client.h"
#include "tests/caption_job.h"
#include "tests/chaos/chaos.h"

enum { TIMEOUT_MS = 60000, JOBS = 40, KEY_BYTES = 64, PAUSE_US = 20000 };

static void die(const char *what, const struct diag *why)
{
    fprintf(stderr, "operator: %s: %s\n", what, why->text);
    _exit(1);
}

static void submit(struct client *c, char *campaign)
{
    struct diag why = {.text = ""};
    for (int i = 0; i < JOBS; i++) {
        char key[KEY_BYTES];
        snprintf(key, sizeof key, "good-%d", i);
        struct job job = caption_job(key, "operator", campaign);
        job.priority = i % 3;
        job.max_retries = 30;
        if (client_submit(c, &job, NULL, &why) != ST_OK)
            die("submit", &why);
    }
    if (client_flush(c, &why) != ST_OK)
        die("flush", &why);
}

static bool see(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    (void)id;
    (void)record;
    (void)len;
    (*(int *)ctx)++;
    return true;
}

static void set(struct client *c, const char *campaign, enum campaign_state state)
{
    struct diag why = {.text = ""};
    if (client_campaign_set(c, campaign, state, NULL, &why) != ST_OK)
        die("set", &why);
    usleep(PAUSE_US);
}

static void read_and_trim(struct client *c, const char *campaign)
{
    struct diag why = {.text = ""};
    struct result_cursor cursor = {.shards = 0};
    int seen = 0;
    for (bool more = true; more;)
        if (client_results(c, campaign, &cursor, see, &seen, &more, &why) != ST_OK)
            die("results", &why);
    if (client_trim(c, campaign, &cursor, &why) != ST_OK)
        die("trim", &why);
}

static void look(struct client *c, const char *campaign)
{
    struct diag why = {.text = ""};
    struct campaign_status status;
    struct worker_status *workers = NULL;
    size_t n;
    if (client_status(c, campaign, &status, &why) != ST_OK || client_workers(c, &workers, &n, &why) != ST_OK)
        die("status", &why);
    free(workers);
}

void operator_run(const struct chaos *chaos, int index, unsigned seed)
{
    char brokers[LIST_LEN], campaign[KEY_BYTES];
    struct diag why = {.text = ""};
    client_list(chaos, index, brokers);
    struct client_options o = {.address = brokers, .timeout_ms = TIMEOUT_MS};
    struct client *c = NULL;
    _Atomic int *in_flight = gauges_in_flight();
    if (client_open(&o, &c, &why) != ST_OK)
        die("open", &why);
    for (int i = 0;; i++) {
        snprintf(campaign, sizeof campaign, "side-%d-%d", (int)getpid(), i);
        struct campaign_spec spec = {.name = campaign, .tenant = "operator", .class_name = CHAOS_CLASS, .pin = "chaos"};
        atomic_store(in_flight, 1);
        if (client_campaign(c, &spec, NULL, &why) != ST_OK)
            die("campaign", &why);
        submit(c, campaign);
        set(c, campaign, CAMPAIGN_PAUSED);
        look(c, campaign);
        set(c, campaign, CAMPAIGN_ACTIVE);
        read_and_trim(c, campaign);
        if (rand_r(&seed) % 2)
            set(c, campaign, CAMPAIGN_CANCELLED);
        look(c, campaign);
        atomic_store(in_flight, 0);
        usleep(PAUSE_US * 5);
    }
}
