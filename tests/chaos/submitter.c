#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/client.h"
#include "tests/caption_job.h"
#include "tests/chaos/chaos.h"

enum { MOST_JOBS = 256, KEY_BYTES = 64, TIMEOUT_MS = 60000, PAUSE_US = 4000 };

static void die(const char *what, const struct diag *why)
{
    fprintf(stderr, "submitter: %s: %s\n", what, why->text);
    _exit(1);
}

static void make_key(char *key, int index, unsigned *seed, long long n)
{
    int dice = rand_r(seed) % 100;
    const char *kind = dice < 2 ? "bad" : dice < 5 ? "flaky" : "good";
    snprintf(key, KEY_BYTES, "%s-%d-%d-%lld", kind, index, (int)getpid(), n);
}

static void submit_keys(struct client *c, char (*keys)[KEY_BYTES], int n)
{
    struct diag why = {.text = ""};
    for (int i = 0; i < n; i++) {
        char image[KEY_BYTES + 8];
        snprintf(image, sizeof image, "local:%s", keys[i]);
        struct job job = caption_job(keys[i], "default", CHAOS_CAMPAIGN);
        job.image = image;
        job.priority = i % 3;
        job.max_retries = 30;
        if (client_submit(c, &job, NULL, &why) != ST_OK)
            die("submit", &why);
    }
    if (client_flush(c, &why) != ST_OK)
        die("flush", &why);
}

static void write_ledger(int fd, char (*keys)[KEY_BYTES], int n)
{
    char text[MOST_JOBS * (KEY_BYTES + 1)];
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", keys[i]);
    if (write(fd, text, len) != (ssize_t)len || fdatasync(fd) != 0)
        _exit(1);
}

void submitter_run(const struct chaos *chaos, int index, unsigned seed)
{
    char path[PATH_LEN + 32], keys[MOST_JOBS][KEY_BYTES], brokers[LIST_LEN];
    _Atomic int *in_flight = gauges_in_flight();
    client_list(chaos, index, brokers);
    snprintf(path, sizeof path, "%s/ledger.%d", chaos->dir, index);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    struct diag why = {.text = ""};
    struct client_options o = {.address = brokers, .timeout_ms = TIMEOUT_MS};
    struct client *c = NULL;
    if (fd < 0 || client_open(&o, &c, &why) != ST_OK)
        die("open", &why);
    struct campaign_spec spec = {.name = CHAOS_CAMPAIGN, .class_name = CHAOS_CLASS, .pin = "chaos"};
    if (client_campaign(c, &spec, NULL, &why) != ST_OK)
        die("campaign", &why);
    for (long long at = 0;;) {
        const int sizes[] = {1, 32, MOST_JOBS};
        int n = sizes[rand_r(&seed) % 3];
        for (int i = 0; i < n; i++)
            make_key(keys[i], index, &seed, at++);
        atomic_store(in_flight, n);
        submit_keys(c, keys, n);
        write_ledger(fd, keys, n);
        atomic_store(in_flight, 0);
        if (rand_r(&seed) % 5 == 0)
            submit_keys(c, keys, n); /* twice is free */
        usleep(PAUSE_US);
    }
}
