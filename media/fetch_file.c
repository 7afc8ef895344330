/* Files under named roots. The kernel keeps a path beneath its root; where openat2 is not allowed (some sandboxes),
 * each component is opened by itself and symbolic links are refused altogether. */
#include "media/fetch_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not blocking: opening a FIFO must not wait for its writer. */
enum { OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static bool valid_name(const char *s, size_t n)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return n > 0 && strspn(s, allowed) >= n;
}

static bool is_scheme(const char *s, size_t n)
{
    static const char *const schemes[] = {"http", "https", "s3", "data", "file", "ftp"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i]) == n && strncasecmp(schemes[i], s, n) == 0)
            return true;
    return false;
}

static enum status add_root(struct media_roots *r, const char *spec, struct diag *why)
{
    const char *equals = strchr(spec, '=');
    size_t name_len = equals ? (size_t)(equals - spec) : 0;
    if (!valid_name(spec, name_len) || !equals || equals[1] != '/')
        return diag_set(why, ST_INVALID, "root \"%s\": expected NAME=/ABSOLUTE/FOLDER, NAME of letters, digits, _ . -",
                        spec);
    if (is_scheme(spec, name_len))
        return diag_set(why, ST_INVALID, "root \"%s\": the name is that of a URI scheme", spec);
    for (int i = 0; i < r->n; i++)
        if (strlen(r->list[i].name) == name_len && strncmp(r->list[i].name, spec, name_len) == 0)
            return diag_set(why, ST_INVALID, "root \"%s\": the name stands twice", spec);
    struct media_root *root = &r->list[r->n];
    root->name = strndup(spec, name_len);
    root->dir = strdup(equals + 1);
    r->n++;
    if (!root->name || !root->dir)
        return ST_NOMEM;
    for (size_t n = strlen(root->dir); n > 1 && root->dir[n - 1] == '/'; n--)
        root->dir[n - 1] = '\0';
    return ST_OK;
}

enum status media_roots_new(const char *const *specs, int n, struct media_roots **out, struct diag *why)
{
    struct media_roots *r = calloc(1, sizeof *r);
    if (!r)
        return ST_NOMEM;
    r->list = calloc((size_t)n + 1, sizeof *r->list);
    enum status s = r->list ? ST_OK : ST_NOMEM;
    for (int i = 0; s == ST_OK && i < n; i++)
        s = add_root(r, specs[i], why);
    if (s != ST_OK) {
        media_roots_free(r);
        return s;
    }
    *out = r;
    return ST_OK;
}

void media_roots_free(struct media_roots *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n; i++) {
        free(r->list[i].name);
        free(r->list[i].dir);
    }
    free(r->list);
    free(r);
}

int media_roots_count(const struct media_roots *r)
{
    return r->n;
}

const char *media_roots_name(const struct media_roots *r, int i)
{
    return r->list[i].name;
}

const char *media_roots_dir(const struct media_roots *r, int i)
{
    return r->list[i].dir;
}

const struct media_root *media_roots_holding(const struct media_roots *r, const char *path, const char **below)
{
    const struct media_root *best = NULL;
    size_t best_len = 0;
    for (int i = 0; r && i < r->n; i++) {
        const char *dir = r->list[i].dir;
        size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
        if (strncmp(path, dir, n) == 0 && path[n] == '/' && (!best || n > best_len)) {
            best = &r->list[i];
            best_len = n;
        }
    }
    if (best)
        *below = path + best_len + strspn(path + best_len, "/");
    return best;
}

enum status media_roots_uri(const struct media_roots *r, const char *path, char **out, struct diag *why)
{
    const char *below = NULL;
    const struct media_root *root = media_roots_holding(r, path, &below);
    if (!root)
        return diag_set(why, ST_MISSING, "%s: lies under none of the %d roots", path, r->n);
    size_t name = strlen(root->name), rest = strlen(below);
    char *uri = malloc(name + 1 + rest + 1);
    if (!uri)
        return ST_NOMEM;
    memcpy(uri, root->name, name);
    uri[name] = ':';
    memcpy(uri + name + 1, below, rest + 1);
    *out = uri;
    return ST_OK;
}

/* Opens component after component without following a link; takes dir. */
static int open_by_steps(int dir, const char *path)
{
    while (dir >= 0 && *path) {
        size_t n = strcspn(path, "/");
        char part[256];
        if (n >= sizeof part || (n == 2 && memcmp(path, "..", 2) == 0)) {
            close(dir);
            errno = n == 2 ? EXDEV : ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, n);
        part[n] = '\0';
        bool last = path[n] == '\0';
        int next = n == 0 ? dup(dir) : openat(dir, part, OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
        int error = errno == ELOOP ? EXDEV : errno;
        close(dir);
        errno = error;
        dir = next;
        path += n + (last ? 0 : 1);
    }
    return dir;
}

static int open_beneath(int dir, const char *path)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return open_by_steps(dup(dir), path);
    return (int)fd;
}

static bool open_failed(int error, const char *uri, struct fetch_failure *f)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return fetch_fail(f, FETCH_MISSING, "%s: no such file", uri);
    case EXDEV:
    case ELOOP: return fetch_fail(f, FETCH_OUTSIDE_ROOT, "%s: the path leads out of its root", uri);
    case EACCES: return fetch_fail(f, FETCH_DENIED, "%s: no permission to read it", uri);
    case ENXIO: return fetch_fail(f, FETCH_NOT_A_FILE, "%s: not a regular file", uri); /* a socket */
    case ENAMETOOLONG: return fetch_fail(f, FETCH_BAD_URI, "%s: the path is too long", uri);
    default: return fetch_fail(f, FETCH_IO, "%s: %s", uri, strerror(error));
    }
}

static bool read_range(int fd, struct fetch_range range, size_t max_bytes, const char *uri, struct bytes *out,
                       struct fetch_failure *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fetch_fail(f, FETCH_IO, "%s: %s", uri, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fetch_fail(f, FETCH_NOT_A_FILE, "%s: %s, not a regular file", uri,
                          S_ISDIR(st.st_mode) ? "a folder" : "a FIFO or device");
    if (range.length == 0)
        range.length = st.st_size;
    else if (range.offset + range.length > st.st_size)
        return fetch_fail(f, FETCH_BAD_MEMBER, "%s: bytes %lld+%lld of a shard of %lld bytes", uri,
                          (long long)range.offset, (long long)range.length, (long long)st.st_size);
    if ((uint64_t)range.length > max_bytes)
        return fetch_fail(f, FETCH_TOO_LARGE, "%s: %lld bytes, at most %zu are read", uri, (long long)range.length,
                          max_bytes);
    size_t want = (size_t)range.length, got = 0;
    uint8_t *data = malloc(want + 1);
    if (!data)
        return fetch_fail(f, FETCH_NOMEM, "%s: no memory for %zu bytes", uri, want);
    while (got < want) {
        ssize_t n = pread(fd, data + got, want - got, range.offset + (off_t)got);
        if (n <= 0) {
            free(data);
            return fetch_fail(f, FETCH_IO, "%s: %s", uri, n < 0 ? strerror(errno) : "shrank while it was read");
        }
        got += (size_t)n;
    }
    *out = (struct bytes){data, want};
    return true;
}

bool fetch_file(const struct media_root *root, const char *path, struct fetch_range range, size_t max_bytes,
                const char *uri, struct bytes *out, struct fetch_failure *f)
{
    int dir = open(root->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fetch_fail(f, FETCH_ROOT_ABSENT, "%s: the root's folder %s can't be opened: %s", uri, root->dir,
                          strerror(errno));
    int fd = *path ? open_beneath(dir, path) : -1;
    int error = *path ? errno : ENOENT;
    close(dir);
    if (fd < 0)
        return open_failed(error, uri, f);
    bool ok = read_range(fd, range, max_bytes, uri, out, f);
    close(fd);
    return ok;
}
