#include "protocol/paths.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define IPC "ipc://"

static enum status join(const char *scheme, const char *data_dir, const char *name, char *out, struct diag *why)
{
    size_t longest = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(data_dir) + 1 + strlen(name) > longest)
        return diag_set(why, ST_LIMIT, "%s: too long for a folder of sockets; its path may have %zu bytes", data_dir,
                        longest - 1 - strlen("broker-1.worker.ipc"));
    snprintf(out, PATHS_BYTES, "%s%s/%s", scheme, data_dir, name);
    return ST_OK;
}

enum status paths_redis(const char *data_dir, char *out, struct diag *why)
{
    return join("", data_dir, PATHS_REDIS_SOCKET, out, why);
}

static enum status join_numbered(const char *data_dir, int broker, const char *name, char *out, struct diag *why)
{
    enum { NAME_BYTES = 64 };
    char numbered[NAME_BYTES];
    if (broker == 0)
        return join(IPC, data_dir, name, out, why);
    snprintf(numbered, sizeof numbered, "broker-%d%s", broker, strchr(name, '.'));
    return join(IPC, data_dir, numbered, out, why);
}

enum status paths_client_of(const char *data_dir, int broker, char *out, struct diag *why)
{
    return join_numbered(data_dir, broker, PATHS_CLIENT_SOCKET, out, why);
}

enum status paths_worker_of(const char *data_dir, int broker, char *out, struct diag *why)
{
    return join_numbered(data_dir, broker, PATHS_WORKER_SOCKET, out, why);
}

enum status paths_client(const char *data_dir, char *out, struct diag *why)
{
    return paths_client_of(data_dir, 0, out, why);
}

enum status paths_worker(const char *data_dir, char *out, struct diag *why)
{
    return paths_worker_of(data_dir, 0, out, why);
}

void paths_join(char *list, const char *address)
{
    size_t len = strlen(list);
    snprintf(list + len, PATHS_LIST_BYTES - len, "%s%s", len ? "," : "", address);
}

static enum status join_present(const char *data_dir, const char *name, char *out, int *n, struct diag *why)
{
    char address[PATHS_BYTES];
    enum status s = ST_OK;
    out[0] = '\0';
    *n = 0;
    for (int i = 0; s == ST_OK && i < PATHS_BROKERS; i++) {
        s = join_numbered(data_dir, i, name, address, why);
        if (s != ST_OK || access(address + strlen(IPC), F_OK) != 0)
            continue;
        paths_join(out, address);
        ++*n;
    }
    return s == ST_OK && *n == 0 ? join(IPC, data_dir, name, out, why) : s;
}

enum status paths_clients(const char *data_dir, char *out, int *n, struct diag *why)
{
    return join_present(data_dir, PATHS_CLIENT_SOCKET, out, n, why);
}

enum status paths_workers(const char *data_dir, char *out, int *n, struct diag *why)
{
    return join_present(data_dir, PATHS_WORKER_SOCKET, out, n, why);
}
