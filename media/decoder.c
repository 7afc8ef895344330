#include "media/decoder.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "media/decoder_impl.h"
#include "media/sandbox.h"

enum {
    DEFAULT_CHILDREN = 2,
    DEFAULT_TIMEOUT_MS = 30000,
    DEFAULT_CPU_SECONDS = 30,
};
#define DEFAULT_MEMORY_BYTES (INT64_C(4) << 30)

struct child {
    int socket, pidfd; /* -1: not running */
    bool busy;
};

struct decoder_pool {
    struct decoder_options options;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    pthread_mutex_t nursery_lock; /* one question at a time on the control socket */
    int control;
    pid_t nursery;
    struct child *children; /* [options.children] */
};

static void child_end(struct child *c)
{
    if (c->pidfd >= 0) {
        syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
        close(c->pidfd);
    }
    if (c->socket >= 0)
        close(c->socket);
    c->socket = c->pidfd = -1;
}

static enum status child_start(struct decoder_pool *p, struct child *c, struct diag *why)
{
    struct nursery_reply r;
    int fds[DECODER_MAX_FDS], n = 0;
    char byte = 0;
    pthread_mutex_lock(&p->nursery_lock);
    enum status s = decoder_send(p->control, &byte, 1, NULL, 0);
    if (s == ST_OK)
        s = decoder_receive(p->control, &r, sizeof r, fds, &n);
    pthread_mutex_unlock(&p->nursery_lock);
    if (s != ST_OK)
        return diag_set(why, ST_IO, "decoder: the process that starts decoders is gone");
    if (r.status != ST_OK)
        return diag_set(why, ST_IO, "%s", r.why.text);
    c->socket = fds[0];
    c->pidfd = fds[1];
    return ST_OK;
}

/* Waits for a child that is not busy and makes it so. */
static struct child *child_take(struct decoder_pool *p)
{
    struct child *found = NULL;
    pthread_mutex_lock(&p->lock);
    while (!found) {
        for (int i = 0; i < p->options.children && !found; i++)
            if (!p->children[i].busy)
                found = &p->children[i];
        if (!found)
            pthread_cond_wait(&p->idle, &p->lock);
    }
    found->busy = true;
    pthread_mutex_unlock(&p->lock);
    return found;
}

static void child_give(struct decoder_pool *p, struct child *c)
{
    pthread_mutex_lock(&p->lock);
    c->busy = false;
    pthread_cond_broadcast(&p->idle);
    pthread_mutex_unlock(&p->lock);
}

/* Hands the bytes to the child, which is started, or once more where it died between two images. */
static enum status send_request(struct decoder_pool *p, struct child *c, int file, const struct decoder_request *q,
                                struct diag *why)
{
    for (int try = 0; try < 2; try++) {
        if (c->socket < 0) {
            enum status s = child_start(p, c, why);
            if (s != ST_OK)
                return s;
        }
        if (decoder_send(c->socket, q, sizeof *q, &file, 1) == ST_OK)
            return ST_OK;
        child_end(c);
    }
    return diag_set(why, ST_IO, "decoder: the child takes no work");
}

/* ST_OK, ST_TIMEOUT, or ST_CLOSED: the child died. */
static enum status await_reply(const struct decoder_pool *p, const struct child *c, int64_t from,
                               struct decoder_reply *r, int *pixels)
{
    struct pollfd socket = {.fd = c->socket, .events = POLLIN};
    int64_t left;
    do {
        left = from + p->options.timeout_ms - clock_ms();
    } while (left > 0 && poll(&socket, 1, (int)left) < 0);
    if (!(socket.revents & (POLLIN | POLLHUP | POLLERR)))
        return ST_TIMEOUT;
    int fds[DECODER_MAX_FDS] = {-1, -1}, n = 0;
    enum status s = decoder_receive(c->socket, r, sizeof *r, fds, &n);
    for (int i = s == ST_OK ? 1 : 0; i < n; i++)
        close(fds[i]);
    *pixels = s == ST_OK && n > 0 ? fds[0] : -1;
    return s == ST_OK ? ST_OK : ST_CLOSED;
}

/* A child that a file has taken over could say anything: nothing of its reply is used unchecked. */
static bool reply_is_sound(const struct decoder_reply *r, const struct image_policy *policy)
{
    const struct image *im = &r->image;
    if ((unsigned)r->status >= ST_COUNT_ || (unsigned)r->kind >= IMAGE_ERROR_COUNT_ ||
        (r->status == ST_OK) != (r->kind == IMAGE_OK) || !memchr(r->why.text, '\0', sizeof r->why.text))
        return false;
    if (r->kind == IMAGE_TRUNCATED)
        return im->rows_decoded >= 0 && im->rows_decoded <= 1;
    if (r->status != ST_OK)
        return true;
    return im->width >= 1 && im->height >= 1 && im->width <= policy->max_side && im->height <= policy->max_side &&
           (int64_t)im->width * im->height <= policy->max_pixels && im->stored_width >= 1 && im->stored_height >= 1 &&
           im->orientation >= 1 && im->orientation <= 8 && isfinite(im->rows_decoded) &&
           im->notes < 1U << IMAGE_N_NOTES && memchr(im->format, '\0', sizeof im->format);
}

static bool take_pixels(struct image *im, int pixels)
{
    size_t len = (size_t)im->width * (size_t)im->height * 3;
    im->rgb = pixels >= 0 ? decoder_map(pixels, len) : NULL;
    im->mapped = im->rgb ? len : 0;
    return im->rgb != NULL;
}

static enum status lost(struct child *c, enum status s, const struct decoder_options *o, int64_t took_ms,
                        enum image_error *kind, struct diag *why)
{
    child_end(c);
    if (s == ST_TIMEOUT || took_ms >= (int64_t)o->cpu_seconds * 1000) {
        *kind = IMAGE_TIMEOUT;
        return diag_set(why, ST_TIMEOUT, "image: not decoded after %lld ms", (long long)took_ms);
    }
    *kind = IMAGE_CRASHED;
    return diag_set(why, ST_FORMAT, "image: the decoder's process died over it");
}

/* The child works while the hash is taken here: a hash from a process that a file may rule would be worth nothing. */
static enum status exchange(struct decoder_pool *p, struct child *c, const uint8_t *bytes, size_t len,
                            const struct image_policy *policy, struct image *out, enum image_error *kind,
                            struct diag *why)
{
    struct decoder_request q = {.len = len, .policy = *policy};
    struct decoder_reply r;
    uint8_t digest[SHA256_BYTES];
    int pixels = -1, file = decoder_seal(bytes, len, "image");
    if (file < 0)
        return diag_set(why, ST_NOMEM, "decoder: no memory file for %zu bytes", len);
    int64_t from = clock_ms();
    enum status s = send_request(p, c, file, &q, why);
    close(file);
    if (s != ST_OK)
        return s;
    sha256_of(bytes, len, digest);
    s = await_reply(p, c, from, &r, &pixels);
    bool sound = s == ST_OK && reply_is_sound(&r, policy) && (r.status != ST_OK || take_pixels(&r.image, pixels));
    if (pixels >= 0)
        close(pixels);
    if (!sound)
        return lost(c, s, &p->options, clock_ms() - from, kind, why);
    *kind = r.kind;
    if (r.kind == IMAGE_TRUNCATED)
        out->rows_decoded = r.image.rows_decoded;
    if (r.status != ST_OK)
        return diag_set(why, r.status, "%s", r.why.text);
    sha256_hex(digest, r.image.sha256);
    *out = r.image;
    return ST_OK;
}

enum status decoder_run(struct decoder_pool *p, const uint8_t *bytes, size_t len, const struct image_policy *policy,
                        struct image *out, enum image_error *kind, struct diag *why)
{
    enum image_error unused;
    kind = kind ? kind : &unused;
    *kind = IMAGE_DECODE_FAILED;
    if (len == 0) {
        *kind = IMAGE_EMPTY;
        return diag_set(why, ST_FORMAT, "image: the file is empty");
    }
    if (len > policy->max_bytes) {
        *kind = IMAGE_TOO_LARGE;
        return diag_set(why, ST_LIMIT, "image: a file of %zu bytes, the limit is %zu", len, policy->max_bytes);
    }
    struct child *c = child_take(p);
    enum status s = exchange(p, c, bytes, len, policy, out, kind, why);
    child_give(p, c);
    return s;
}

static enum status start_nursery(struct decoder_pool *p, struct diag *why)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return diag_set(why, ST_IO, "decoder: no socket pair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        decoder_nursery(ends[1], &p->options);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return diag_set(why, ST_IO, "decoder: no process: %s", strerror(errno));
    }
    p->control = ends[0];
    p->nursery = pid;
    return ST_OK;
}

enum status decoder_pool_open(const struct decoder_options *o, struct decoder_pool **out, struct diag *why)
{
    struct decoder_pool *p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    p->options = *o;
    p->options.children = o->children > 0 ? o->children : DEFAULT_CHILDREN;
    p->options.timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    p->options.cpu_seconds = o->cpu_seconds > 0 ? o->cpu_seconds : DEFAULT_CPU_SECONDS;
    p->options.memory_bytes = o->memory_bytes > 0 ? o->memory_bytes : DEFAULT_MEMORY_BYTES;
    p->children = calloc((size_t)p->options.children, sizeof *p->children);
    enum status s = p->children ? start_nursery(p, why) : ST_NOMEM;
    if (s != ST_OK) {
        free(p->children);
        free(p);
        return s;
    }
    for (int i = 0; i < p->options.children; i++)
        p->children[i] = (struct child){.socket = -1, .pidfd = -1};
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->nursery_lock, NULL);
    pthread_cond_init(&p->idle, NULL);
    *out = p;
    return ST_OK;
}

void decoder_pool_close(struct decoder_pool *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->options.children; i++)
        child_end(child_take(p));
    close(p->control);
    waitpid(p->nursery, NULL, 0);
    pthread_cond_destroy(&p->idle);
    pthread_mutex_destroy(&p->nursery_lock);
    pthread_mutex_destroy(&p->lock);
    free(p->children);
    free(p);
}

const char *decoder_confinement(const struct decoder_pool *p)
{
    (void)p;
    switch (sandbox_offered()) {
    case SANDBOX_SECCOMP | SANDBOX_LANDLOCK: return "seccomp, landlock, rlimits";
    case SANDBOX_SECCOMP: return "seccomp, rlimits";
    case SANDBOX_LANDLOCK: return "landlock, rlimits";
    default: return "rlimits";
    }
}
