#include "media/fetch_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static enum status refuse_open(int error, const char *path, const char *shown, enum fetch_error *kind, struct diag *why)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: return fetch_refuse(kind, FETCH_MISSING, why, "%s: no such file", shown);
    case EXDEV:
        if (*path == '/') /* most likely a whole path that was put behind the root's name */
            return fetch_refuse(kind, FETCH_OUTSIDE_ROOT, why, "%s: expected a path below the root, without / in front",
                                shown);
        return fetch_refuse(kind, FETCH_OUTSIDE_ROOT, why, "%s: leads out of its root", shown);
    case ELOOP:
        return fetch_refuse(kind, FETCH_MISSING, why,
                            "%s: a symbolic link that leads to itself, or over more links than are followed", shown);
    case EMLINK: /* of open_by_steps */
        return fetch_refuse(kind, FETCH_OUTSIDE_ROOT, why,
                            "%s: a symbolic link, and none is followed here: the kernel or the container refuses "
                            "openat2, which keeps links inside the root",
                            shown);
    case EACCES:
    case EPERM: return fetch_refuse(kind, FETCH_DENIED, why, "%s: permission denied", shown);
    case ENXIO:
    case ENODEV: return fetch_refuse(kind, FETCH_NOT_A_FILE, why, "%s: not a regular file", shown);
    default: return fetch_refuse(kind, FETCH_IO, why, "%s: %s", shown, strerror(error));
    }
}

/* Not blocking: opening a FIFO must not wait for its other end. */
enum { OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

/* Instead of what the system says of a link that it is not to follow, which it says of other things too. */
static int error_of_step(int dir, const char *part, int error)
{
    struct stat st;
    bool is_link = (error == ELOOP || error == ENOTDIR) && fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                   S_ISLNK(st.st_mode);
    return is_link ? EMLINK : error;
}

/* For kernels and containers without openat2: component after component, no link followed (EMLINK). Takes dir. */
static int open_by_steps(int dir, const char *path)
{
    while (dir >= 0 && *path) {
        size_t n = strcspn(path, "/");
        char part[256];
        if (n == 0 || n >= sizeof part || (n == 2 && memcmp(path, "..", 2) == 0)) {
            close(dir);
            errno = n >= sizeof part ? ENAMETOOLONG : EXDEV;
            return -1;
        }
        memcpy(part, path, n);
        part[n] = '\0';
        bool last = path[n] == '\0';
        int next = openat(dir, part, OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
        int error = next < 0 ? error_of_step(dir, part, errno) : 0;
        close(dir);
        errno = error;
        dir = next;
        path += n + strspn(path + n, "/");
    }
    return dir;
}

static int call_openat2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .resolve = resolve};
    int fd;
    do
        fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* EAGAIN: a rename raced with ".." */
    return fd;
}

/* The kernel keeps the whole way beneath the folder. ELOOP is for links that lead in a circle: one of the kernel's own
 * making (/proc/self/fd/0), which gets ELOOP too, is told by what becomes of it without the ban on those. */
static int open_in_kernel(int dir, const char *path)
{
    int fd = call_openat2(dir, path, OPEN_FLAGS, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0 || errno != ELOOP)
        return fd;
    int probe = call_openat2(dir, path, O_PATH | O_CLOEXEC, RESOLVE_BENEATH);
    bool is_circle = probe < 0 && errno == ELOOP;
    if (probe >= 0)
        close(probe);
    errno = is_circle ? ELOOP : EXDEV;
    return -1;
}

/* A link that is written as an absolute path leads out of the folder in the kernel's eyes even where it points back
 * into it. Such a path is resolved first, and what it comes to is opened beneath the folder like any other. */
static int open_resolved(int root, const char *dir, const char *path)
{
    char *whole = NULL, *top = realpath(dir, NULL), *real = NULL;
    if (asprintf(&whole, "%s/%s", dir, path) < 0)
        whole = NULL;
    if (top && whole)
        real = realpath(whole, NULL);
    int fd = -1, error = errno;
    size_t n = top && strcmp(top, "/") != 0 ? strlen(top) : 0;
    if (real && strncmp(real, top, n) == 0 && real[n] == '/') {
        fd = open_in_kernel(root, real + n + strspn(real + n, "/"));
        error = errno;
    } else if (real) {
        error = EXDEV;
    }
    free(whole);
    free(top);
    free(real);
    errno = error;
    return fd;
}

static enum status open_beneath(const char *dir, const char *path, const char *shown, int *out, enum fetch_error *kind,
                                struct diag *why)
{
    int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fetch_refuse(kind, FETCH_ROOT_ABSENT, why, "%s: the root's folder %s: %s", shown, dir, strerror(errno));
    int fd = open_in_kernel(root, path);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_by_steps(fcntl(root, F_DUPFD_CLOEXEC, 0), path);
    if (fd < 0 && errno == EXDEV && *path != '/' && !strstr(path, "..")) /* what is outside is not even looked for */
        fd = open_resolved(root, dir, path);
    int error = errno;
    close(root);
    if (fd < 0)
        return refuse_open(error, path, shown, kind, why);
    *out = fd;
    return ST_OK;
}

/* Reads up to `want` bytes from offset; a file that shrinks gives fewer. */
static int read_at(int fd, uint64_t offset, size_t want, uint8_t *p, size_t *got)
{
    *got = 0;
    while (*got < want) {
        ssize_t n = pread(fd, p + *got, want - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return 0;
}

static enum status read_range(int fd, uint64_t size, const struct range *range, size_t max_bytes, const char *shown,
                              struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    uint64_t offset = range->whole ? 0 : range->offset, length = range->whole ? size : range->length;
    if (range->loose) {
        offset = offset < size ? offset : size;
        length = length < size - offset ? length : size - offset;
    } else if (!range->whole && (offset > size || length > size - offset)) {
        return fetch_refuse(kind, FETCH_BAD_MEMBER, why, "%s: bytes %llu to %llu of a file of %llu", shown,
                            (unsigned long long)offset, (unsigned long long)(offset + length),
                            (unsigned long long)size);
    }
    if (length > max_bytes)
        return fetch_refuse(kind, FETCH_TOO_LARGE, why, "%s: %llu bytes, the limit is %zu", shown,
                            (unsigned long long)length, max_bytes);
    struct bytes b = {.data = malloc(length ? (size_t)length : 1)};
    if (!b.data)
        return fetch_refuse(kind, FETCH_NOMEM, why, "%s: no memory for %llu bytes", shown, (unsigned long long)length);
    if (read_at(fd, offset, (size_t)length, b.data, &b.len) != 0) {
        enum status s = fetch_refuse(kind, FETCH_IO, why, "%s: %s", shown, strerror(errno));
        free(b.data);
        return s;
    }
    if (!range->whole && b.len < length) {
        free(b.data);
        return fetch_refuse(kind, FETCH_BAD_MEMBER, why, "%s: the file became shorter", shown);
    }
    *out = b;
    return ST_OK;
}

/* Content that is changed once more within the grain of a file system's clock has the same times: a stamp is one when
 * the last change is over for longer. Changing a file's content changes its ctime, which nobody can set. */
static void stamp_file(const struct stat *st, struct fetch_stamp *out)
{
    enum { GRAIN_S = 2 };
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct fetch_stamp){""};
    if (st->st_mtim.tv_sec + GRAIN_S >= now.tv_sec || st->st_ctim.tv_sec + GRAIN_S >= now.tv_sec)
        return;
    snprintf(out->text, sizeof out->text, "file %llu %lld %lld.%09ld %lld.%09ld", (unsigned long long)st->st_ino,
             (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
             st->st_ctim.tv_nsec);
}

/* True: it is known already. */
static bool know_file(const struct stat *st, struct known *known)
{
    if (!known)
        return false;
    stamp_file(st, &known->has);
    known->same = known->has.text[0] && strcmp(known->has.text, known->had.text) == 0;
    return known->same;
}

/* A file that changed while it was read is not known by the stamp that it had before. */
static void forget_changed(int fd, struct known *known)
{
    struct fetch_stamp before = known->has;
    struct stat st;
    if (fstat(fd, &st) == 0)
        stamp_file(&st, &known->has);
    if (strcmp(before.text, known->has.text) != 0)
        known->has = (struct fetch_stamp){""};
}

enum status fetch_file(const char *dir, const char *path, const struct range *range, size_t max_bytes,
                       const char *shown, struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    struct stat st;
    int fd = -1;
    enum status s = open_beneath(dir, path, shown, &fd, kind, why);
    if (s != ST_OK)
        return s;
    if (fstat(fd, &st) != 0)
        s = fetch_refuse(kind, FETCH_IO, why, "%s: %s", shown, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = fetch_refuse(kind, FETCH_NOT_A_FILE, why, "%s: not a regular file", shown);
    else if (know_file(&st, range->known))
        *out = (struct bytes){0};
    else
        s = read_range(fd, (uint64_t)st.st_size, range, max_bytes, shown, out, kind, why);
    if (s == ST_OK && range->known && !range->known->same)
        forget_changed(fd, range->known);
    close(fd);
    return s;
}
