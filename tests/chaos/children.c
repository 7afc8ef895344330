#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/store.h"
#include "tests/chaos/chaos.h"

const char *role_name(enum role r)
{
    static const char *const names[] = {"redis", "proxy", "broker", "worker", "submitter", "operator"};
    return names[r];
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

void broker_socket(const struct chaos *c, char side, int index, bool proxied, char out[PATH_LEN])
{
    snprintf(out, PATH_LEN, "%.150s/%s%c%d", c->dir, proxied ? "proxy." : "", side, index);
}

static void list(const struct chaos *c, char side, int peer, char out[LIST_LEN])
{
    size_t len = 0;
    int n = c->count[ROLE_BROKER];
    for (int i = 0; i < n; i++) {
        char one[PATH_LEN];
        if (peer >= 0 && peer < n && peer != i)
            continue; /* the first peers know one broker each, the others all */
        broker_socket(c, side, i, c->proxied, one);
        len += (size_t)snprintf(out + len, LIST_LEN - len, "%sipc://%.170s", len ? "," : "", one);
    }
}

void client_list(const struct chaos *c, int peer, char out[LIST_LEN])
{
    list(c, 'c', peer, out);
}

void worker_list(const struct chaos *c, int peer, char out[LIST_LEN])
{
    list(c, 'w', peer, out);
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

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
    if (c->file_limit) {
        const struct rlimit limit = {.rlim_cur = (rlim_t)c->file_limit, .rlim_max = (rlim_t)c->file_limit};
        signal(SIGXFSZ, SIG_IGN); /* a write beyond it fails, as on a full disk */
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", c->redis, "--dir", c->dir, "--save", "",
           "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--maxmemory",
           c->memory ? c->memory : "8gb", "--daemonize", "no", NULL);
}

static void exec_broker(const struct chaos *c, int index)
{
    enum { NUMBER = 12 };
    char redis[PATH_LEN], clients[PATH_LEN + 8] = "ipc://", workers[PATH_LEN + 8] = "ipc://";
    char lease[NUMBER], beat[NUMBER];
    snprintf(redis, sizeof redis, "%.150s/%s", c->dir, c->proxied ? "proxy.redis" : "redis.sock");
    broker_socket(c, 'c', index, false, clients + strlen(clients));
    broker_socket(c, 'w', index, false, workers + strlen(workers));
    snprintf(lease, sizeof lease, "%d", c->lease_ms ? c->lease_ms : LEASE_MS);
    snprintf(beat, sizeof beat, "%d", c->lease_ms ? c->lease_ms / 4 : BEAT_MS);
    execl(c->broker, c->broker, "--shards", c->shards ? c->shards : "1", "--redis", redis, "--client-bind", clients,
          "--worker-bind", workers, "--lease-ms", lease, "--beat-ms", beat, "--window", c->window ? c->window : "4000",
          "--route",
          c->route     ? c->route
          : index == 0 ? "direct"
                       : "relay",
          NULL);
}

static void exec_worker(const struct chaos *c, int index)
{
    char brokers[LIST_LEN];
    worker_list(c, c->count[ROLE_BROKER] > 1 ? index : -1, brokers);
    execl(c->sleeper, c->sleeper, brokers, CHAOS_CLASS, "32", "4", c->sleep_us, NULL);
}

static void describe(const struct chaos *c, enum role r, int index, const char *point)
{
    char path[PATH_LEN + 16], number[16];
    snprintf(path, sizeof path, "%s/gauges", c->dir);
    setenv(CHAOS_GAUGES, path, 1);
    snprintf(number, sizeof number, "%d", (int)r);
    setenv(CHAOS_ROLE, number, 1);
    snprintf(number, sizeof number, "%d", index);
    setenv(CHAOS_INDEX, number, 1);
    if (point)
        setenv(CHAOS_FAIL, point, 1);
}

static void become(struct chaos *c, enum role r, int index, const char *point)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives the test */
    describe(c, r, index, point);
    redirect(c, role_name(r));
    unsigned seed = c->seed * 1000 + c->starts;
    switch (r) {
    case ROLE_REDIS: exec_redis(c); break;
    case ROLE_PROXY: proxy_run(c); break;
    case ROLE_BROKER: exec_broker(c, index); break;
    case ROLE_WORKER: exec_worker(c, index); break;
    case ROLE_SUBMITTER: submitter_run(c, index, seed); break;
    default: operator_run(c, index, seed); break;
    }
    fprintf(stderr, "%s: %s\n", role_name(r), strerror(errno));
    _exit(127);
}

void child_start(struct chaos *c, enum role r, int index, const char *point)
{
    fflush(NULL);
    sigset_t stops, before;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    if (r == ROLE_WORKER || r == ROLE_BROKER) /* they unblock it themselves; no start is too young for a stop */
        sigprocmask(SIG_BLOCK, &stops, &before);
    else
        sigprocmask(SIG_UNBLOCK, &stops, &before);
    c->starts++;
    atomic_store(&c->gauges->in_flight[r][index], 0);
    pid_t pid = fork();
    if (pid < 0)
        exit(2);
    if (pid == 0)
        become(c, r, index, point);
    sigprocmask(SIG_SETMASK, &before, NULL);
    c->pids[r][index] = pid;
}

bool child_is_running(struct chaos *c, enum role r, int index)
{
    pid_t pid = c->pids[r][index];
    if (pid > 0 && waitpid(pid, NULL, WNOHANG) == pid)
        c->pids[r][index] = 0;
    return c->pids[r][index] > 0;
}

/* Whether anything is lost with it: its own work, or for Redis and brokers anybody's. */
static bool has_work(const struct chaos *c, enum role r, int index)
{
    if (r != ROLE_REDIS && r != ROLE_BROKER && r != ROLE_PROXY)
        return atomic_load(&c->gauges->in_flight[r][index]) > 0;
    for (int k = ROLE_WORKER; k <= ROLE_SUBMITTER; k++)
        for (int i = 0; i < c->count[k]; i++)
            if (atomic_load(&c->gauges->in_flight[k][i]) > 0)
                return true;
    return false;
}

void child_kill(struct chaos *c, enum role r, int index)
{
    pid_t pid = c->pids[r][index];
    if (pid <= 0)
        return;
    if (has_work(c, r, index))
        c->kills[r]++;
    else
        c->idle_kills++;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    c->pids[r][index] = 0;
}

bool child_stop(struct chaos *c, enum role r, int index)
{
    enum { GRACE_MS = 20000, STEP_US = 10000 };
    pid_t pid = c->pids[r][index];
    int code = 0;
    if (pid <= 0)
        return true;
    kill(pid, SIGCONT);
    kill(pid, SIGTERM);
    for (int64_t until = clock_ms() + GRACE_MS; clock_ms() < until; usleep(STEP_US))
        if (waitpid(pid, &code, WNOHANG) == pid) {
            bool well = WIFEXITED(code) && WEXITSTATUS(code) == 0;
            if (!well)
                printf("%s, told to stop, ended with status 0x%x\n", role_name(r), (unsigned)code);
            c->pids[r][index] = 0;
            return well;
        }
    printf("%s, told to stop, did not end within %d s\n", role_name(r), GRACE_MS / 1000);
    child_kill(c, r, index);
    return false;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

void chaos_init(struct chaos *c, const char *name)
{
    char path[PATH_LEN + 16];
    const char *tmp = getenv("TMPDIR");
    snprintf(c->dir, sizeof c->dir, "%s/%s.XXXXXX", tmp && strlen(tmp) < PATH_LEN / 4 ? tmp : "/tmp", name);
    if (!mkdtemp(c->dir))
        exit(2);
    snprintf(c->redis, sizeof c->redis, "%.150s/redis.sock", c->dir);
    snprintf(path, sizeof path, "%s/gauges", c->dir);
    c->gauges = gauges_map(path);
    if (!c->gauges)
        exit(2);
}

void children_start_all(struct chaos *c)
{
    enum { REDIS_MS = 10000 };
    struct store *s;
    c->count[ROLE_REDIS] = 1;
    c->count[ROLE_PROXY] = c->proxied;
    for (int r = 0; r < ROLE_COUNT_; r++)
        for (int i = 0; i < c->count[r]; i++) {
            child_start(c, (enum role)r, i, NULL);
            if (r != ROLE_REDIS)
                continue;
            bool ready = store_open(c->redis, 1, &s, NULL) == ST_OK && store_wait_ready(s, REDIS_MS, NULL) == ST_OK;
            store_close(s);
            if (!ready) {
                printf("FAIL chaos: no redis-server\n");
                exit(1);
            }
        }
}

void children_revive(struct chaos *c)
{
    for (int r = 0; r < ROLE_COUNT_; r++)
        for (int i = 0; i < c->count[r]; i++)
            if (c->pids[r][i] > 0 && !child_is_running(c, (enum role)r, i))
                child_start(c, (enum role)r, i, NULL);
}

void children_kill_all(struct chaos *c)
{
    for (int r = ROLE_COUNT_; r-- > 0;)
        for (int i = 0; i < c->count[r]; i++)
            if (c->pids[r][i] > 0) {
                kill(c->pids[r][i], SIGKILL);
                waitpid(c->pids[r][i], NULL, 0);
                c->pids[r][i] = 0;
            }
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
