/* How fast jobs go through: the shipped client, broker and session, Redis with AOF always, an engine that does nothing.
 *
 *   queue-rate BIN SLEEPER JOBS [direct|relay]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/client.h"
#include "tests/chaos/chaos.h"

enum { WORKERS = 2, KEY_BYTES = 64, META_BYTES = 360 };

static void check(enum status s, const struct diag *why)
{
    if (s == ST_OK)
        return;
    printf("FAIL queue-rate: %s\n", why->text);
    exit(1);
}

static void submit_all(struct client *c, long jobs)
{
    struct diag why = {.text = ""};
    struct job_task task = {.kind = TASK_CAPTION, .options = {.max_tokens = 16, .top_p = 1}};
    char meta[META_BYTES + 3];
    memset(meta, 'x', sizeof meta - 1);
    meta[0] = meta[META_BYTES + 1] = '"';
    meta[META_BYTES + 2] = '\0';
    for (long i = 0; i < jobs; i++) {
        char key[KEY_BYTES], image[KEY_BYTES + 8], policy[] = "default", tenant[] = "default", name[] = CHAOS_CAMPAIGN;
        snprintf(key, sizeof key, "good-%ld", i);
        snprintf(image, sizeof image, "local:%s", key);
        struct job job = {.key = key,
                          .image = image,
                          .tasks = &task,
                          .n_tasks = 1,
                          .policy = policy,
                          .meta = meta,
                          .priority = 1,
                          .max_retries = 4,
                          .tenant = tenant,
                          .campaign = name};
        check(client_submit(c, &job, NULL, &why), &why);
    }
    check(client_flush(c, &why), &why);
}

static void wait_done(struct client *c)
{
    struct campaign_status s = {.total = 0};
    struct diag why = {.text = ""};
    do {
        usleep(20000);
        check(client_status(c, CHAOS_CAMPAIGN, &s, &why), &why);
    } while (!campaign_is_finished(&s));
}

int main(int argc, char **argv)
{
    enum { START_MS = 10000 };
    if (argc < 4)
        return 2;
    struct chaos c = {.bin = argv[1],
                      .sleeper = argv[2],
                      .route = argc > 4 ? argv[4] : "direct",
                      .sleep_us = "0",
                      .dir = "/tmp/rate.XXXXXX"};
    long jobs = strtol(argv[3], NULL, 10);
    if (!mkdtemp(c.dir))
        return 2;
    snprintf(c.redis, sizeof c.redis, "%.100s/redis.sock", c.dir);
    snprintf(c.clients, sizeof c.clients, "ipc://%.100s/clients", c.dir);
    snprintf(c.workers, sizeof c.workers, "ipc://%.100s/workers", c.dir);
    child_start(&c, ROLE_REDIS, 0);
    if (!child_wait_redis(&c, START_MS))
        return 1;
    child_start(&c, ROLE_BROKER, 0);
    struct client_options o = {.address = c.clients};
    struct client *client;
    struct diag why = {.text = ""};
    struct campaign_spec spec = {.name = CHAOS_CAMPAIGN, .class_name = CHAOS_CLASS, .pin = "rate"};
    check(client_open(&o, &client, &why), &why);
    check(client_campaign(client, &spec, NULL, &why), &why);
    int64_t from = clock_us();
    submit_all(client, jobs / 2);
    double accepted = (double)(clock_us() - from) / 1e6;
    from = clock_us();
    for (int i = 0; i < WORKERS; i++)
        child_start(&c, ROLE_WORKER, i);
    wait_done(client);
    double worked = (double)(clock_us() - from) / 1e6;
    printf("%s, AOF always, 0.5 KB jobs: submit alone %.0f/s, claim to result alone %.0f/s\n", c.route,
           (double)(jobs / 2) / accepted, (double)(jobs / 2) / worked);
    client_close(client);
    for (int i = 0; i < WORKERS; i++)
        child_kill(&c, ROLE_WORKER, i);
    child_kill(&c, ROLE_BROKER, 0);
    child_kill(&c, ROLE_REDIS, 0);
    return chaos_remove(&c) ? 0 : 1;
}
