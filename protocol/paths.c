#include "protocol/paths.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static enum status join(const char *scheme, const char *data_dir, const char *name, char *out, struct diag *why)
{
    size_t longest = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(data_dir) + 1 + strlen(name) > longest)
        return diag_set(why, ST_LIMIT, "%s: too long for a folder of sockets; its path may have %zu bytes", data_dir,
                        longest - 1 - strlen(PATHS_WORKER_SOCKET));
    snprintf(out, PATHS_BYTES, "%s%s/%s", scheme, data_dir, name);
    return ST_OK;
}

enum status paths_redis(const char *data_dir, char *out, struct diag *why)
{
    return join("", data_dir, PATHS_REDIS_SOCKET, out, why);
}

enum status paths_client(const char *data_dir, char *out, struct diag *why)
{
    return join("ipc://", data_dir, PATHS_CLIENT_SOCKET, out, why);
}

enum status paths_worker(const char *data_dir, char *out, struct diag *why)
{
    return join("ipc://", data_dir, PATHS_WORKER_SOCKET, out, why);
}
