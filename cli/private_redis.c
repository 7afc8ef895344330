#include "cli/private_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOCK_WAIT_MS = 30000, LOCK_POLL_US = 100000 };

/* A stop, blocked by children_init, that has come meanwhile. */
static bool is_stop_pending(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGINT) || sigismember(&set, SIGTERM));
}

/* Held by Redis and broker of an earlier `ferret up` for as long as one of them is there. */
static enum status take_lock(const char *data_dir, struct private_redis *r, struct diag *why)
{
    char path[PATHS_BYTES + 16];
    snprintf(path, sizeof path, "%s/redis.lock", data_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    int64_t deadline = clock_ms() + LOCK_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (is_stop_pending() || clock_ms() >= deadline) {
            close(fd);
            return clock_ms() < deadline
                       ? ST_CANCELLED
                       : diag_set(why, ST_REFUSED, "%s: Redis or the broker of an earlier `ferret up` still runs on %s",
                                  path, data_dir);
        }
        usleep(LOCK_POLL_US);
    }
    r->lock_fd = fd;
    return ST_OK;
}

enum status private_redis_prepare(const char *data_dir, const char *program, int64_t max_memory,
                                  struct private_redis *r, struct child *child, struct diag *why)
{
    *r = (struct private_redis){.lock_fd = -1};
    enum status s = paths_redis(data_dir, r->socket, why);
    if (s != ST_OK)
        return s;
    if (snprintf(r->dir, sizeof r->dir, "%s/redis", data_dir) >= (int)sizeof r->dir ||
        snprintf(r->log_file, sizeof r->log_file, "%s/redis.log", data_dir) >= (int)sizeof r->log_file)
        return diag_set(why, ST_LIMIT, "%s: path too long", data_dir);
    snprintf(r->max_memory, sizeof r->max_memory, "%lld", (long long)max_memory);
    if (mkdir(r->dir, 0700) != 0 && errno != EEXIST)
        return diag_set(why, ST_IO, "%s: %s", r->dir, strerror(errno));
    if ((s = take_lock(data_dir, r, why)) != ST_OK)
        return s;
    /* The same rules as deploy/redis.conf. A socket file that a killed server left behind would be in the way. */
    unlink(r->socket);
    const char *const argv[] = {
        program,
        "--port",
        "0",
        "--unixsocket",
        r->socket,
        "--unixsocketperm",
        "700",
        "--dir",
        r->dir,
        "--logfile",
        r->log_file,
        "--daemonize",
        "no",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
        "--maxmemory",
        r->max_memory,
        "--maxmemory-policy",
        "noeviction",
        "--auto-aof-rewrite-min-size",
        "256mb",
        "--hash-max-listpack-entries",
        "64",
        NULL,
    };
    _Static_assert(sizeof argv <= sizeof child->argv, "arguments of redis-server fit");
    memcpy(child->argv, argv, sizeof argv);
    child->keep_fd = r->lock_fd;
    return ST_OK;
}

enum status private_redis_ping(const struct private_redis *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", r->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ST_CLOSED;
    static const char ping[] = "PING\r\n";
    char answer[64] = "";
    struct timeval limit = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    enum status s = ST_CLOSED;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ping - 1 &&
        recv(fd, answer, sizeof answer - 1, 0) > 0)
        s = strncmp(answer, "+PONG", 5) == 0 ? ST_OK : ST_BUSY;
    close(fd);
    return s;
}

void private_redis_fini(struct private_redis *r)
{
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    r->lock_fd = -1;
}
