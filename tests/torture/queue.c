#include "tests/caption_job.h"
#include "tests/torture/queue.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 20000, POLL_US = 10000 };

static struct queue queue;
static pid_t redis, broker;

static pid_t start(const char *const *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
            execvp(command[0], (char *const *)(uintptr_t)command);
        _exit(127);
    }
    return pid;
}

static bool comes(const char *path)
{
    for (int waited = 0; waited < START_MS; waited += POLL_US / 1000, usleep(POLL_US))
        if (access(path, F_OK) == 0)
            return true;
    return false;
}

static bool start_both(void)
{
    char self[512], program[600], socket[128];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || !mkdtemp(queue.dir))
        return false;
    self[n] = '\0';
    *strrchr(self, '/') = '\0'; /* build/test */
    snprintf(program, sizeof program, "%s/../bin/ferret-broker", self);
    snprintf(queue.redis, sizeof queue.redis, "%s/redis.sock", queue.dir);
    snprintf(queue.clients, sizeof queue.clients, "ipc://%s/broker.client.ipc", queue.dir);
    snprintf(queue.workers, sizeof queue.workers, "ipc://%s/broker.worker.ipc", queue.dir);
    snprintf(socket, sizeof socket, "%s/broker.worker.ipc", queue.dir);
    const char *const server[] = {"redis-server", "--port", "0", "--unixsocket", queue.redis, "--dir",
                                  queue.dir,      "--save", "",  "--appendonly", "yes",       "--maxmemory",
                                  "1gb",          NULL};
    const char *const service[] = {program, "--data",    queue.dir, "--unsafe", "--lease-ms",
                                   "300",   "--beat-ms", "50",      NULL};
    redis = start(server);
    if (redis <= 0 || !comes(queue.redis))
        return false;
    broker = start(service);
    return broker > 0 && comes(socket) &&
           client_open(&(struct client_options){.address = queue.clients}, &queue.client, NULL) == ST_OK;
}

const struct queue *queue_begin(void)
{
    if (queue.client)
        return &queue;
    snprintf(queue.dir, sizeof queue.dir, "/tmp/ferretry-torture.XXXXXX");
    if (start_both())
        return &queue;
    queue_end();
    return NULL;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void stop(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

void queue_end(void)
{
    enum { OPEN_FOLDERS = 8 };
    client_close(queue.client);
    queue.client = NULL;
    stop(&broker);
    stop(&redis);
    if (queue.dir[0] && nftw(queue.dir, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0)
        perror(queue.dir);
    queue.dir[0] = '\0';
}

enum status queue_hand_in(struct client *c, uint8_t id[ID_BYTES])
{
    static unsigned long number;
    static const char campaign[] = "torture";
    char key[32];
    snprintf(key, sizeof key, "key-%lu", ++number);
    const struct job job = caption_job(key, "default", campaign);
    const struct campaign_spec spec = {.name = campaign, .class_name = "m/f32", .pin = "pin"};
    job_id(&job, id);
    enum status s = client_campaign(c, &spec, NULL, NULL);
    if (s == ST_OK)
        s = client_submit(c, &job, NULL, NULL);
    return s == ST_OK ? client_flush(c, NULL) : s;
}
