/* One job among many kills whatever worker runs it. It alone must end as failed, with code `poison`; all others are
 * done.
 *
 *   chaos-poison BROKER SLEEPER [direct|relay]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "protocol/client.h"
#include "tests/caption_job.h"
#include "tests/chaos/chaos.h"

enum { JOBS = 256, KEY_BYTES = 32, LIMIT_MS = 90000, MOST_DEATHS = 16 };

static void check(enum status s, const struct diag *why)
{
    if (s == ST_OK)
        return;
    printf("FAIL chaos-poison: %s\n", why->text);
    exit(1);
}

static void submit_all(struct client *c)
{
    struct diag why = {.text = ""};
    for (int i = 0; i < JOBS; i++) {
        char key[KEY_BYTES];
        snprintf(key, sizeof key, "%s-%d", i == JOBS / 3 ? "crash" : "good", i);
        struct job job = caption_job(key, "default", CHAOS_CAMPAIGN);
        check(client_submit(c, &job, NULL, &why), &why);
    }
    check(client_flush(c, &why), &why);
}

static int run(struct chaos *c, struct client *client, struct campaign_status *status)
{
    enum { STEP_US = 20000 };
    struct diag why = {.text = ""};
    int deaths = 0;
    for (int64_t until = clock_ms() + LIMIT_MS; clock_ms() < until; usleep(STEP_US)) {
        for (int i = 0; i < c->count[ROLE_WORKER]; i++)
            if (!child_is_running(c, ROLE_WORKER, i)) {
                deaths++;
                child_start(c, ROLE_WORKER, i, NULL);
            }
        check(client_status(client, CHAOS_CAMPAIGN, status, &why), &why);
        if (campaign_is_finished(status))
            break;
    }
    return deaths;
}

static bool see(void *ctx, const uint8_t id[ID_BYTES], const char *text, size_t len)
{
    (void)id;
    struct json *r;
    if (jsn_parse(text, len, "record", &r, NULL) != ST_OK)
        return false;
    if (strcmp(jsn_string(jsn_get(r, "status"), ""), "failed") == 0) {
        const char *code = jsn_string(jsn_get(jsn_get(r, "error"), "code"), "");
        bool right = strcmp(code, "poison") == 0 && strncmp(jsn_string(jsn_get(r, "id"), ""), "crash-", 6) == 0;
        *(int *)ctx += right ? 1 : 1000;
    }
    jsn_free(r);
    return true;
}

static int count_poison(struct client *client)
{
    struct diag why = {.text = ""};
    int poison = 0;
    struct result_cursor cursor = {.shards = 0};
    for (bool more = true; more;)
        check(client_results(client, CHAOS_CAMPAIGN, &cursor, see, &poison, &more, &why), &why);
    return poison;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct chaos c = {.broker = argv[1],
                      .sleeper = argv[2],
                      .route = argc > 3 ? argv[3] : "direct",
                      .sleep_us = "5000",
                      .shards = getenv("CHAOS_SHARDS"),
                      .count = {[ROLE_BROKER] = 1, [ROLE_WORKER] = 3}};
    char brokers[LIST_LEN];
    chaos_init(&c, "poison");
    children_start_all(&c);
    client_list(&c, -1, brokers);
    struct client_options o = {.address = brokers};
    struct client *client;
    struct diag why = {.text = ""};
    struct campaign_spec spec = {.name = CHAOS_CAMPAIGN, .class_name = CHAOS_CLASS, .pin = "poison"};
    check(client_open(&o, &client, &why), &why);
    check(client_campaign(client, &spec, NULL, &why), &why);
    submit_all(client);
    struct campaign_status status = {.total = 0};
    int deaths = run(&c, client, &status), poison = count_poison(client);
    bool ok = status.done == JOBS - 1 && status.failed == 1 && poison == 1 && deaths <= MOST_DEATHS;
    printf("%d jobs, one kills: %llu done, %llu failed, %d as poison, %d workers died\n", (int)JOBS,
           (unsigned long long)status.done, (unsigned long long)status.failed, poison, deaths);
    client_close(client);
    children_kill_all(&c);
    ok &= chaos_remove(&c);
    printf("%s chaos-poison\n", ok ? "PASS" : "FAIL");
    return ok ? 0 : 1;
}
