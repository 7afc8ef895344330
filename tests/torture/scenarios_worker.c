/* Scenarios of what brings jobs to a worker and carries them: a link with both ends here, bytes of an image fetched, a
 * pool of decoders, tasks planned, the index of twins, a record copied. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "media/decoder.h"
#include "media/fetch.h"
#include "model/config.h"
#include "protocol/link.h"
#include "tests/torture/scenarios.h"
#include "worker/record.h"
#include "worker/tasks.h"
#include "worker/twins.h"

#define FIXTURES "tests/parity/fixtures/"

enum { PATIENCE_MS = 5000 };

/* A frame from one end to the other, once they are connected; *peer is who sent it. */
static enum status carry(struct link *from, const struct link_peer *to_peer, struct link *to, struct link_peer *peer)
{
    struct link_poll room = {.link = from, .want_write = true}, there = {.link = to, .want_read = true};
    struct link_frame f;
    int64_t until = clock_ms() + PATIENCE_MS;
    enum status s = ST_OK;
    while (s == ST_OK && !room.can_write && clock_ms() < until)
        s = link_wait(&room, 1, PATIENCE_MS);
    uint8_t *bytes = malloc(5);
    if (!bytes || s != ST_OK) {
        free(bytes);
        return s == ST_OK ? ST_NOMEM : s;
    }
    memcpy(bytes, "frame", 5);
    s = link_send(from, to_peer, bytes, 5);
    enum status shortage = ST_OK; /* what memory was short for is still there */
    while (s == ST_OK && (s = link_receive(to, &f)) != ST_OK && clock_ms() < until) {
        shortage = s == ST_NOMEM ? s : shortage;
        s = s == ST_BUSY ? link_wait(&there, 1, PATIENCE_MS) : ST_OK;
    }
    if (s == ST_OK) {
        *peer = f.peer;
        link_frame_free(&f);
    }
    return s == ST_OK ? shortage : s;
}

/* A question and its answer. */
static enum status exchange(struct link *router, struct link *dealer)
{
    struct link_peer who = {.len = 0}, nobody;
    enum status s = carry(dealer, NULL, router, &who);
    return s == ST_OK ? carry(router, &who, dealer, &nobody) : s;
}

enum status link_round(void)
{
    char address[64];
    struct link_context *c = NULL;
    struct link *router = NULL, *dealer = NULL;
    snprintf(address, sizeof address, "ipc:///tmp/ferretry-torture-%d", (int)getpid());
    enum status s = link_context_new(&c);
    if (s == ST_OK)
        s = link_open(c, &(struct link_options){.kind = LINK_ROUTER, .address = address}, &router, NULL);
    if (s == ST_OK)
        s = link_open(c, &(struct link_options){.kind = LINK_DEALER, .address = address}, &dealer, NULL);
    if (s == ST_OK)
        s = exchange(router, dealer);
    link_close(dealer);
    link_close(router);
    link_context_free(c);
    unlink(address + strlen("ipc://"));
    return s;
}

enum status fetch_round(void)
{
    char dir[256], spec[280];
    const char *const specs[] = {spec};
    static const char *const uris[] = {"here:ARCHITECTURE.md", "ARCHITECTURE.md", "data:text/plain;base64,aGVsbG8="};
    struct media_roots *roots = NULL;
    struct fetcher *f = NULL;
    if (!getcwd(dir, sizeof dir))
        return ST_IO;
    snprintf(spec, sizeof spec, "here=%s", dir);
    enum status s = media_roots_new(specs, 1, &roots, NULL);
    if (s == ST_OK)
        s = fetcher_open(&(struct fetch_options){.roots = roots, .no_http = true}, &f, NULL);
    for (size_t i = 0; s == ST_OK && i < sizeof uris / sizeof *uris; i++) {
        struct bytes bytes = {0};
        s = fetch(f, uris[i], &bytes, NULL, NULL);
        bytes_fini(&bytes);
    }
    fetcher_close(f);
    media_roots_free(roots);
    return s;
}

enum status pool_round(void)
{
    struct decoder_pool *p = NULL;
    enum status s = decoder_pool_open(&(struct decoder_options){.children = 1}, &p, NULL);
    decoder_pool_close(p);
    return s;
}

enum status job_of_line(const char *line, struct job **out)
{
    struct json *v = NULL;
    enum status s = jsn_parse(line, strlen(line), "job", &v, NULL);
    if (s == ST_OK)
        s = job_from_json(v, NULL, out, NULL);
    jsn_free(v);
    return s;
}

static const char job_line[] =
    "{\"image\":\"a\",\"regions\":[{\"point\":[5,5]}],\"tasks\":[{\"kind\":\"describe\"},{\"kind\":\"locate\","
    "\"phrase\":\"dog\"},{\"kind\":\"ask\",\"question\":\"Why {region0}?\"}]}";

enum status plan_round(void)
{
    struct config *config = NULL;
    struct job *job = NULL;
    struct task_plan plan = {.n_entries = 0};
    enum status s = config_load(FIXTURES "tiny-ferret-a", FIXTURES "tiny-ferret-a-clip", &config, NULL);
    if (s == ST_OK)
        s = job_of_line(job_line, &job);
    if (s == ST_OK)
        s = tasks_plan(job, config, 100, 50, &plan);
    for (int i = 0; s == ST_OK && i < plan.n_entries; i++)
        s = plan.entries[i].error.code ? ST_NOMEM : ST_OK;
    tasks_fini(&plan);
    job_free(job);
    config_free(config);
    return s;
}

static const char record_text[] = "{\"schema\":1,\"id\":\"a\",\"status\":\"ok\",\"image\":{\"uri\":\"a\",\"width\":64,"
                                  "\"height\":48},\"policy\":\"default\","
                                  "\"tasks\":[],\"model\":{},\"engine\":{},\"seed\":1}";

enum status copy_round(void)
{
    struct job *job = NULL;
    struct json *twin = NULL, *copy = NULL;
    enum status s = job_of_line(job_line, &job);
    if (s == ST_OK)
        s = jsn_parse(record_text, strlen(record_text), "record", &twin, NULL);
    if (s == ST_OK)
        s = (copy = record_copy(job, twin, "id", &(struct record_times){1, 2, 3})) ? ST_OK : ST_NOMEM;
    jsn_free(copy);
    jsn_free(twin);
    job_free(job);
    return s;
}

static void wake(void *ctx)
{
    (void)ctx;
}

/* Best effort: what is short of memory is nobody's twin. */
enum status twins_round(void)
{
    struct twins *t = NULL;
    struct job *job = NULL;
    struct twin w = {.is_named = false};
    uint8_t content[SHA256_BYTES];
    struct twins_load load = {.news = NULL};
    sha256_of("image", 5, content);
    enum status s = job_of_line(job_line, &job);
    if (s == ST_OK)
        s = twins_new(9, 10, &t);
    if (s == ST_OK)
        s = twins_set_maker(t, "maker");
    if (s == ST_OK) {
        twins_attach(t, wake, NULL);
        twins_set_open(t, true);
        twins_name(t, job, content, &w);
        twins_tell(t, &w, "a", record_text);
        s = twins_take(t, &load) && load.n_news == 1 ? ST_OK : ST_NOMEM;
    }
    while (load.news) {
        struct twin_news *next = load.news->next;
        free(load.news);
        load.news = next;
    }
    twins_free(t);
    job_free(job);
    return s;
}
