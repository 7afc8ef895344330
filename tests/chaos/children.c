#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/store.h"
#include "tests/chaos/chaos.h"

const char *role_name(enum role r)
{
    static const char *const names[] = {"redis", "broker", "worker", "submitter"};
    return names[r];
}

static pid_t *slot(struct chaos *c, enum role r, int index)
{
    switch (r) {
    case ROLE_REDIS: return &c->redis_pid;
    case ROLE_BROKER: return &c->broker_pid;
    case ROLE_WORKER: return &c->worker_pids[index];
    default: return &c->submitter_pids[index];
    }
}

static void redirect(const struct chaos *c, const char *name)
{
    char path[PATH_LEN + 16];
    snprintf(path, sizeof path, "%s/%s.log", c->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
}

static void exec_redis(const struct chaos *c)
{
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", c->redis, "--dir", c->dir, "--save", "",
           "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--maxmemory", "2gb",
           "--daemonize", "no", NULL);
}

static void exec_broker(const struct chaos *c)
{
    char path[PATH_LEN + 16];
    snprintf(path, sizeof path, "%s/ferret-broker", c->bin);
    execl(path, path, "--redis", c->redis, "--client-bind", c->clients, "--worker-bind", c->workers, "--lease-ms",
          "1500", "--beat-ms", "400", "--route", c->route, NULL);
}

void child_start(struct chaos *c, enum role r, int index)
{
    fflush(NULL);
    sigset_t stops, before;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    if (r == ROLE_WORKER || r == ROLE_BROKER) /* they unblock it themselves; no start is too young for a stop */
        sigprocmask(SIG_BLOCK, &stops, &before);
    else
        sigprocmask(SIG_UNBLOCK, &stops, &before);
    unsigned seed = (unsigned)rand();
    pid_t pid = fork();
    if (pid > 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        *slot(c, r, index) = pid;
        return;
    }
    if (pid < 0)
        exit(2);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives the test */
    redirect(c, role_name(r));
    if (r == ROLE_REDIS)
        exec_redis(c);
    else if (r == ROLE_BROKER)
        exec_broker(c);
    else if (r == ROLE_WORKER)
        execl(c->sleeper, c->sleeper, c->workers, CHAOS_CLASS, "32", "4", c->sleep_us, NULL);
    else
        submitter_run(c, index, seed);
    fprintf(stderr, "%s: %s\n", role_name(r), strerror(errno));
    _exit(127);
}

void child_kill(struct chaos *c, enum role r, int index)
{
    pid_t pid = *slot(c, r, index);
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    *slot(c, r, index) = 0;
}

bool child_stop(struct chaos *c, enum role r, int index)
{
    enum { GRACE_MS = 20000, STEP_US = 10000 };
    pid_t pid = *slot(c, r, index);
    int code = 0;
    kill(pid, SIGTERM);
    for (int64_t until = clock_ms() + GRACE_MS; clock_ms() < until; usleep(STEP_US))
        if (waitpid(pid, &code, WNOHANG) == pid) {
            bool well = WIFEXITED(code) && WEXITSTATUS(code) == 0;
            if (!well)
                printf("%s, told to stop, ended with status 0x%x\n", role_name(r), (unsigned)code);
            return well;
        }
    printf("%s, told to stop, did not end within %d s\n", role_name(r), GRACE_MS / 1000);
    child_kill(c, r, index);
    return false;
}

bool child_wait_redis(struct chaos *c, int timeout_ms)
{
    struct store *s;
    if (store_open(c->redis, 0, &s, NULL) != ST_OK)
        return false;
    bool ok = store_wait_ready(s, timeout_ms, NULL) == ST_OK;
    store_close(s);
    return ok;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

bool chaos_remove(const struct chaos *c)
{
    enum { OPEN_FOLDERS = 8 };
    return nftw(c->dir, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0;
}
