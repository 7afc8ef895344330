#include "media/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sha256.h"

enum {
    NAME_BYTES = 2 * SHA256_BYTES + 4, /* "ab/cdef..." */
    LARGEST_SHARE = 8,                 /* an entry takes at most one eighth of the budget */
    KEPT_PERCENT = 90,                 /* of the budget, when entries are dropped */
    STALE_SECONDS = 3600,              /* a file that is still being written after that was left behind */
};
static const char magic[8] = {'F', 'R', 'T', 'C', 'A', 'C', 'H', '1'};

struct header {
    char magic[sizeof magic];
    uint64_t len;
    uint8_t digest[SHA256_BYTES];
};

/* Shared by all processes: a page of the file "state". */
struct state {
    _Atomic int64_t bytes; /* of all entries, as far as is known; counted anew whenever entries are dropped */
};

struct cache {
    int folder, lock; /* lock: the state's file, locked by whoever drops entries */
    int64_t max_bytes;
    struct state *state;
    _Atomic uint64_t written; /* for names of files that are not whole yet */
};

static void name_of(const char *key, char name[NAME_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(key, strlen(key), digest);
    sha256_hex(digest, hex);
    snprintf(name, NAME_BYTES, "%.2s/%s", hex, hex + 2);
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static enum status map_state(struct cache *c, const char *folder, struct diag *why)
{
    c->lock = openat(c->folder, "state", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->lock < 0 || ftruncate(c->lock, (off_t)sizeof *c->state) != 0)
        return diag_set(why, ST_IO, "%s/state: %s", folder, strerror(errno));
    c->state = mmap(NULL, sizeof *c->state, PROT_READ | PROT_WRITE, MAP_SHARED, c->lock, 0);
    if (c->state == MAP_FAILED) {
        c->state = NULL;
        return diag_set(why, ST_IO, "%s/state: %s", folder, strerror(errno));
    }
    return ST_OK;
}

enum status cache_open(const char *folder, int64_t max_bytes, struct cache **out, struct diag *why)
{
    struct stat st;
    struct cache *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->lock = -1;
    c->max_bytes = max_bytes;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        free(c);
        return diag_set(why, ST_IO, "%s: %s", folder, strerror(errno));
    }
    c->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status s = ST_OK;
    if (c->folder < 0 || fstat(c->folder, &st) != 0)
        s = diag_set(why, ST_IO, "%s: %s", folder, strerror(errno));
    else if (st.st_uid != geteuid() || (st.st_mode & 022)) /* what others may write could be anything */
        s = diag_set(why, ST_REFUSED, "%s: expected a folder that only its owner writes to", folder);
    else
        s = map_state(c, folder, why);
    if (s != ST_OK) {
        cache_close(c);
        return s;
    }
    *out = c;
    return ST_OK;
}

void cache_close(struct cache *c)
{
    if (!c)
        return;
    if (c->state)
        munmap(c->state, sizeof *c->state);
    if (c->lock >= 0)
        close(c->lock);
    if (c->folder >= 0)
        close(c->folder);
    free(c);
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

static bool read_whole(int fd, void *room, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, (uint8_t *)room + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool read_entry(int fd, struct bytes *out)
{
    struct header h;
    struct stat st;
    uint8_t digest[SHA256_BYTES];
    if (fstat(fd, &st) != 0 || !read_whole(fd, &h, sizeof h) || memcmp(h.magic, magic, sizeof magic) != 0 ||
        (uint64_t)st.st_size != sizeof h + h.len)
        return false;
    struct bytes b = {.data = malloc(h.len ? (size_t)h.len : 1), .len = (size_t)h.len};
    if (b.data && read_whole(fd, b.data, b.len)) {
        sha256_of(b.data, b.len, digest);
        if (memcmp(digest, h.digest, sizeof digest) == 0) {
            *out = b;
            return true;
        }
    }
    free(b.data);
    return false;
}

enum status cache_get(struct cache *c, const char *key, struct bytes *out)
{
    char name[NAME_BYTES];
    name_of(key, name);
    int fd = openat(c->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return ST_MISSING;
    bool sound = read_entry(fd, out);
    if (sound)
        futimens(fd, NULL); /* the time of an entry is that of its last use */
    else
        unlinkat(c->folder, name, 0);
    close(fd);
    return sound ? ST_OK : ST_MISSING;
}

/* ---- dropping ------------------------------------------------------------------------------------------------------
 */

struct entry {
    struct timespec used;
    int64_t bytes;
    char name[NAME_BYTES];
};
struct entries {
    struct entry *list;
    size_t n, room;
    int64_t bytes;
};

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

static bool add_entry(struct entries *e, const char *folder, const char *name, const struct stat *st)
{
    if (e->n == e->room) {
        size_t room = e->room ? 2 * e->room : 256;
        struct entry *list = realloc(e->list, room * sizeof *list);
        if (!list)
            return false;
        e->list = list;
        e->room = room;
    }
    struct entry *one = &e->list[e->n++];
    *one = (struct entry){.used = st->st_mtim, .bytes = st->st_size};
    snprintf(one->name, sizeof one->name, "%.2s/%.*s", folder, NAME_BYTES - 4, name);
    e->bytes += st->st_size;
    return true;
}

static bool list_folder(const struct cache *c, const char *name, struct entries *e)
{
    bool ok = true;
    int fd = openat(c->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    time_t now = time(NULL);
    for (const struct dirent *d; ok && (d = readdir(dir));) {
        struct stat st;
        if (d->d_name[0] == '.' || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bool whole = strlen(d->d_name) == 2 * SHA256_BYTES - 2;
        if (whole)
            ok = add_entry(e, name, d->d_name, &st);
        else if (now - st.st_mtim.tv_sec > STALE_SECONDS)
            unlinkat(dirfd(dir), d->d_name, 0);
    }
    closedir(dir);
    return ok;
}

/* Drops the entries that were used longest ago until there is room for `more`. One process at a time; those that come
 * while it happens do without. */
static void drop(struct cache *c, int64_t more)
{
    struct entries e = {0};
    char folder[3];
    bool ok = true;
    if (flock(c->lock, LOCK_EX | LOCK_NB) != 0)
        return;
    for (int i = 0; i < 256 && ok; i++) {
        snprintf(folder, sizeof folder, "%02x", i);
        ok = list_folder(c, folder, &e);
    }
    int64_t keep = c->max_bytes / 100 * KEPT_PERCENT - more;
    if (e.n > 0)
        qsort(e.list, e.n, sizeof *e.list, by_use);
    for (size_t i = 0; i < e.n && e.bytes > keep; i++) {
        if (unlinkat(c->folder, e.list[i].name, 0) == 0 || errno == ENOENT)
            e.bytes -= e.list[i].bytes;
    }
    if (ok)
        atomic_store(&c->state->bytes, e.bytes + more);
    free(e.list);
    flock(c->lock, LOCK_UN);
}

/* Whether so many bytes fit into the budget, which they then count in. */
static bool reserve(struct cache *c, int64_t bytes)
{
    if (bytes > c->max_bytes / LARGEST_SHARE)
        return false;
    if (atomic_fetch_add(&c->state->bytes, bytes) + bytes <= c->max_bytes)
        return true;
    drop(c, bytes);
    if (atomic_load(&c->state->bytes) <= c->max_bytes)
        return true;
    atomic_fetch_sub(&c->state->bytes, bytes);
    return false;
}

/* ---- writing -------------------------------------------------------------------------------------------------------
 */

static bool write_whole(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const uint8_t *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* Written aside and renamed: whoever reads finds all of it or nothing. Not synced: what a power cut leaves is found out
 * by its hash. */
static bool write_entry(struct cache *c, const char *name, const struct bytes *bytes)
{
    struct header h = {.len = bytes->len};
    char aside[NAME_BYTES + 48];
    memcpy(h.magic, magic, sizeof magic);
    sha256_of(bytes->data, bytes->len, h.digest);
    snprintf(aside, sizeof aside, "%.2s", name);
    mkdirat(c->folder, aside, 0700);
    snprintf(aside, sizeof aside, "%.2s/new-%d-%llu", name, (int)getpid(),
             (unsigned long long)atomic_fetch_add(&c->written, 1));
    int fd = openat(c->folder, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool ok = write_whole(fd, &h, sizeof h) && write_whole(fd, bytes->data, bytes->len);
    ok = close(fd) == 0 && ok;
    ok = ok && renameat(c->folder, aside, c->folder, name) == 0;
    if (!ok)
        unlinkat(c->folder, aside, 0);
    return ok;
}

void cache_put(struct cache *c, const char *key, const struct bytes *bytes)
{
    char name[NAME_BYTES];
    struct stat st;
    int64_t size = (int64_t)(sizeof(struct header) + bytes->len);
    name_of(key, name);
    if (fstatat(c->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || !reserve(c, size))
        return; /* another process was faster, or there is no room */
    if (!write_entry(c, name, bytes))
        atomic_fetch_sub(&c->state->bytes, size);
}
