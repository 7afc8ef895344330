#include "cli/up_brokers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A list of what is there (paths_clients) must not name what is not. */
static void remove_socket(const char *address)
{
    (void)unlink(address + strlen("ipc://"));
}

enum status up_brokers_prepare(struct up_brokers *b, int n, const char *data, struct diag *why)
{
    char client[PATHS_BYTES], worker[PATHS_BYTES];
    enum status s = ST_OK;
    *b = (struct up_brokers){.n = n};
    for (int i = 0; s == ST_OK && i < PATHS_BROKERS; i++) {
        s = paths_client_of(data, i, client, why);
        if (s == ST_OK)
            s = paths_worker_of(data, i, worker, why);
        if (s != ST_OK)
            break;
        if (i >= n) {
            remove_socket(client);
            remove_socket(worker);
            continue;
        }
        memcpy(b->clients[i], client, sizeof client);
        memcpy(b->workers[i], worker, sizeof worker);
        paths_join(b->to_workers, worker);
    }
    return s;
}

void up_brokers_add(struct up_brokers *b, struct children *c, const char *program, const char *redis_socket,
                    const struct up_http *http, int *n_args)
{
    enum { NAME_BYTES = 32 };
    b->children = &c->list[c->n];
    for (int i = 0; i < b->n; i++) {
        char name[NAME_BYTES] = "broker";
        if (b->n > 1)
            snprintf(name, sizeof name, "broker-%d", i);
        struct child *child = children_add(c, name);
        const char *const argv[] = {program,       "--redis",       redis_socket, "--client-bind",
                                    b->clients[i], "--worker-bind", b->workers[i]};
        enum { ARGS = sizeof argv / sizeof *argv };
        memcpy(child->argv, argv, sizeof argv);
        *n_args = ARGS;
        if (!http->is_off) {
            up_http_address(http, i, b->http[i]);
            child->argv[(*n_args)++] = "--http";
            child->argv[(*n_args)++] = b->http[i];
        }
        child->catches_stops = true;
    }
}

enum status up_brokers_start(const struct up_brokers *b, struct children *c, struct diag *why)
{
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < b->n; i++)
        s = child_start(c, &b->children[i], why);
    return s;
}
