#include "cli/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    BACKOFF_FIRST_MS = 200,
    BACKOFF_MAX_MS = 30000,
    LIVED_MS = 20000, /* after that long a process counts as having worked */
    TICK_MS = 200,
};

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

enum status children_init(struct children *c, struct diag *why)
{
    sigset_t set;
    watched_signals(&set);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return diag_set(why, ST_IO, "signals cannot be blocked: %s", strerror(errno));
    c->n = 0;
    return ST_OK;
}

struct child *children_add(struct children *c, const char *name)
{
    struct child *child = &c->list[c->n++];
    *child = (struct child){.keep_fd = -1, .backoff_ms = BACKOFF_FIRST_MS};
    snprintf(child->name, sizeof child->name, "%s", name);
    return child;
}

/* Runs in the new process, between fork and exec. */
static void become(const struct child *child, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before the line above */
        _exit(1);
    setpgid(0, 0); /* Ctrl-C goes to the parent, which stops its children in order */
    sigset_t blocked;
    sigemptyset(&blocked);
    if (child->catches_stops) { /* a stop right after the start waits for its handler */
        sigaddset(&blocked, SIGTERM);
        sigaddset(&blocked, SIGINT);
    }
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is data, and a service has none */
    if (child->keep_fd >= 0)
        fcntl(child->keep_fd, F_SETFD, 0);
    execvp(child->argv[0], (char *const *)(uintptr_t)child->argv);
    _exit(EXIT_NOT_FOUND);
}

enum status child_start(struct children *c, struct child *child, struct diag *why)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return diag_set(why, ST_IO, "%s: fork: %s", child->name, strerror(errno));
    if (pid == 0)
        become(child, parent);
    child->pid = pid;
    child->started_ms = clock_ms();
    log_line(&c->log, LOG_INFO, "%s started, process %d", child->name, (int)pid);
    return ST_OK;
}

static void note_end(struct children *c, struct child *child, int wait_status)
{
    int64_t lived_ms = clock_ms() - child->started_ms;
    child->pid = 0;
    child->last_exit = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    if (child->stopping) {
        log_line(&c->log, LOG_INFO, "%s ended", child->name);
        return;
    }
    if (lived_ms >= LIVED_MS) {
        child->backoff_ms = BACKOFF_FIRST_MS;
        child->quick_ends = 0;
    }
    child->quick_ends++;
    child->restart_at_ms = clock_ms() + child->backoff_ms;
    if (WIFSIGNALED(wait_status))
        log_line(&c->log, LOG_WARN, "%s was killed by signal %d (%s); again in %d ms", child->name,
                 WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)), child->backoff_ms);
    else if (child->last_exit == EXIT_NOT_FOUND)
        log_line(&c->log, LOG_ERROR, "%s: %s could not be started; is it installed?", child->name, child->argv[0]);
    else
        log_line(&c->log, LOG_WARN, "%s ended with code %d; again in %d ms", child->name, child->last_exit,
                 child->backoff_ms);
    child->backoff_ms = 2 * child->backoff_ms < BACKOFF_MAX_MS ? 2 * child->backoff_ms : BACKOFF_MAX_MS;
}

static void collect(struct children *c)
{
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        for (int i = 0; i < c->n; i++) {
            if (c->list[i].pid == pid)
                note_end(c, &c->list[i], wait_status);
        }
    }
}

static void start_due(struct children *c)
{
    for (int i = 0; i < c->n; i++) {
        struct child *child = &c->list[i];
        if (child->pid || child->stopping || !child->restart_at_ms || clock_ms() < child->restart_at_ms)
            continue;
        child->restart_at_ms = 0;
        struct diag why = {{0}};
        if (child_start(c, child, &why) != ST_OK) {
            log_line(&c->log, LOG_ERROR, "%s", why.text);
            child->restart_at_ms = clock_ms() + child->backoff_ms;
        }
    }
}

int children_wait(struct children *c, int timeout_ms)
{
    sigset_t set;
    watched_signals(&set);
    struct timespec wait = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
    int signal_number = sigtimedwait(&set, NULL, &wait);
    collect(c);
    start_due(c);
    return signal_number > 0 && signal_number != SIGCHLD ? signal_number : 0;
}

static bool any_running(const struct children *c, const char *prefix)
{
    for (int i = 0; i < c->n; i++) {
        if (c->list[i].pid && strncmp(c->list[i].name, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

static void signal_all(const struct children *c, const char *prefix, int signal_number)
{
    for (int i = 0; i < c->n; i++) {
        if (c->list[i].pid && strncmp(c->list[i].name, prefix, strlen(prefix)) == 0)
            kill(c->list[i].pid, signal_number);
    }
}

void children_stop(struct children *c, const char *prefix, int grace_ms)
{
    for (int i = 0; i < c->n; i++) {
        if (strncmp(c->list[i].name, prefix, strlen(prefix)) == 0)
            c->list[i].stopping = true;
    }
    signal_all(c, prefix, SIGTERM);
    int64_t deadline = clock_ms() + grace_ms;
    bool killed = false;
    while (any_running(c, prefix)) {
        int again = children_wait(c, TICK_MS);
        if (!killed && (again == SIGINT || again == SIGTERM || clock_ms() >= deadline)) {
            log_line(&c->log, LOG_WARN, "%s: not waiting any longer", prefix);
            signal_all(c, prefix, SIGKILL);
            killed = true;
        }
    }
}
