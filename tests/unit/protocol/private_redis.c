#include "tests/unit/protocol/private_redis.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void private_redis_again(struct private_redis *r, const char *fsync)
{
    r->pid = fork();
    if (r->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (freopen("/dev/null", "w", stdout))
            execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--dir", r->dir, "--save",
                   "", "--appendonly", "yes", "--appendfsync", fsync, "--maxmemory-policy", "noeviction", NULL);
        _exit(127);
    }
    cr_assert_gt(r->pid, 0);
}

void private_redis_start(struct private_redis *r, const char *fsync)
{
    if (system("command -v redis-server >/dev/null") != 0)
        cr_skip_test("redis-server is not installed");
    snprintf(r->dir, sizeof r->dir, "/tmp/ferretry-test.XXXXXX");
    cr_assert_not_null(mkdtemp(r->dir));
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", r->dir);
    private_redis_again(r, fsync);
}

void private_redis_kill(struct private_redis *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
}

void private_redis_stop(struct private_redis *r)
{
    char command[96];
    private_redis_kill(r);
    snprintf(command, sizeof command, "rm -rf %s", r->dir);
    cr_assert_eq(system(command), 0);
}

struct store *private_redis_store(const struct private_redis *r)
{
    enum { START_MS = 10000 };
    struct store *s;
    struct diag why = {""};
    cr_assert_eq(store_open(r->socket, 0, &s, &why), ST_OK);
    cr_assert_eq(store_wait_ready(s, START_MS, &why), ST_OK, "%s", why.text);
    return s;
}
