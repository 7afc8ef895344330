/* The nursery, and the children that it forks. The nursery has one thread for ever and keeps libvips started but
 * unused, so that a child is ready in a millisecond. */
#include "media/decoder_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "media/image_impl.h"
#include "media/sandbox.h"

/* CPU seconds from now on, then SIGXCPU ends the process. */
static void allow_cpu_seconds(int seconds)
{
    struct timespec used;
    struct rlimit l;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0 || getrlimit(RLIMIT_CPU, &l) != 0)
        return;
    l.rlim_cur = (rlim_t)(used.tv_sec + 1 + seconds);
    if (l.rlim_max != RLIM_INFINITY && l.rlim_cur > l.rlim_max)
        l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_CPU, &l);
}

static void reply_failure(struct decoder_reply *r, enum status s, const char *text)
{
    r->kind = IMAGE_DECODE_FAILED;
    r->status = diag_set(&r->why, s, "image: %s", text);
}

/* Decodes the bytes behind `file`; the descriptor of the pixels, or -1. */
static int serve(const struct decoder_request *q, int file, struct decoder_reply *r)
{
    int pixels = -1;
    *r = (struct decoder_reply){0};
    void *bytes = q->len > 0 ? decoder_map(file, q->len) : NULL;
    if (q->len > 0 && !bytes) {
        reply_failure(r, ST_IO, "the bytes can't be mapped");
        return -1;
    }
    r->status = image_decode_pixels(bytes, q->len, &q->policy, &r->image, &r->kind, &r->why);
    if (r->status == ST_OK) {
        pixels = decoder_seal(r->image.rgb, (size_t)r->image.width * (size_t)r->image.height * 3, "pixels");
        image_fini(&(struct image){.rgb = r->image.rgb, .mapped = r->image.mapped});
        r->image.rgb = NULL;
        if (pixels < 0)
            reply_failure(r, ST_NOMEM, "no memory for the pixels");
    }
    if (bytes)
        munmap(bytes, q->len);
    return pixels;
}

static _Noreturn void decoder_child(int socket, const struct decoder_options *o)
{
    unsigned parts = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "ferret-decode");
    if (sandbox_enter(o->memory_bytes, &parts) != ST_OK)
        _exit(1);
    dup2(STDIN_FILENO, STDERR_FILENO); /* what a codec mumbles about a file is not for the terminal */
    for (;;) {
        struct decoder_request q;
        struct decoder_reply r;
        int fds[DECODER_MAX_FDS], n = 0;
        if (decoder_receive(socket, &q, sizeof q, fds, &n) != ST_OK || n != 1)
            _exit(0);
        allow_cpu_seconds(o->cpu_seconds);
        int pixels = serve(&q, fds[0], &r);
        close(fds[0]);
        if (decoder_send(socket, &r, sizeof r, &pixels, pixels >= 0) != ST_OK)
            _exit(0);
        if (pixels >= 0)
            close(pixels);
    }
}

/* Forks a child; *fds: its socket and its pidfd. */
static enum status spawn(int control, const struct decoder_options *o, int *fds, struct diag *why)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return diag_set(why, ST_IO, "decoder: no socket pair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        close(control);
        close(ends[0]);
        decoder_child(ends[1], o);
    }
    close(ends[1]);
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        close(ends[0]); /* a child that was forked sees this and ends */
        return diag_set(why, ST_IO, "decoder: no child: %s", strerror(errno));
    }
    fds[0] = ends[0];
    fds[1] = pidfd;
    return ST_OK;
}

/* Nothing of the parent's stays open but the control socket and stderr. Ctrl-C is for the parent to act on. */
static void settle(int *control)
{
    int quiet = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (quiet >= 0) {
        dup2(quiet, STDIN_FILENO);
        dup2(quiet, STDOUT_FILENO);
    }
    if (dup2(*control, STDERR_FILENO + 1) == STDERR_FILENO + 1)
        *control = STDERR_FILENO + 1;
    syscall(SYS_close_range, *control + 1, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* children are not waited for */
}

_Noreturn void decoder_nursery(int control, const struct decoder_options *o)
{
    struct nursery_reply start = {0};
    settle(&control);
    prctl(PR_SET_NAME, "ferret-nursery");
    start.status = image_library_start("ferret-decode", &start.why);
    for (;;) {
        struct nursery_reply r = start;
        int fds[DECODER_MAX_FDS], n = 0;
        char byte;
        if (decoder_receive(control, &byte, 1, fds, &n) != ST_OK)
            _exit(0);
        if (r.status == ST_OK)
            r.status = spawn(control, o, fds, &r.why);
        int n_fds = r.status == ST_OK ? 2 : 0;
        enum status sent = decoder_send(control, &r, sizeof r, fds, n_fds);
        for (int i = 0; i < n_fds; i++)
            close(fds[i]);
        if (sent != ST_OK)
            _exit(0);
    }
}
