#include "tests/unit/protocol/private_redis.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
                   "", "--appendonly", "yes", "--appendfsync", fsync, "--maxmemory-policy", "noeviction", "--maxmemory",
                   "1gb", NULL);
        _exit(127);
    }
    cr_assert_gt(r->pid, 0);
}

static bool is_installed(void)
{
    char path[256];
    const char *all = getenv("PATH");
    for (const char *at = all; at && *at; at += strcspn(at, ":"), at += *at == ':') {
        snprintf(path, sizeof path, "%.*s/redis-server", (int)strcspn(at, ":"), at);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void private_redis_start(struct private_redis *r, const char *fsync)
{
    if (!is_installed())
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
    enum { OPEN_FOLDERS = 8 };
    private_redis_kill(r);
    cr_assert_eq(nftw(r->dir, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS), 0);
}

struct store *private_redis_store(const struct private_redis *r)
{
    enum { START_MS = 10000 };
    struct store *s;
    struct diag why = {""};
    cr_assert_eq(store_open(r->socket, 1, &s, &why), ST_OK);
    cr_assert_eq(store_wait_ready(s, START_MS, &why), ST_OK, "%s", why.text);
    return s;
}

static void ask(const struct private_redis *r, const char *a, const char *b, const char *c, const char *d)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout))
            execlp("redis-cli", "redis-cli", "-s", r->socket, a, b, c, d, NULL);
        _exit(127);
    }
    int code;
    cr_assert(waitpid(pid, &code, 0) == pid && WIFEXITED(code) && WEXITSTATUS(code) == 0);
}

void private_redis_forget_scripts(const struct private_redis *r)
{
    ask(r, "SCRIPT", "FLUSH", NULL, NULL);
}

void private_redis_set(const struct private_redis *r, const char *name, const char *value)
{
    ask(r, "CONFIG", "SET", name, value);
}

long long private_redis_field(const struct private_redis *r, const char *key, const char *field)
{
    char line[256];
    long long v = 0;
    snprintf(line, sizeof line, "redis-cli -s %s HGET %s %s", r->socket, key, field);
    FILE *f = popen(line, "r");
    cr_assert_not_null(f);
    bool is_number = fscanf(f, "%lld", &v) == 1;
    cr_assert_eq(pclose(f), 0);
    return is_number ? v : 0;
}
