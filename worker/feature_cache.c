#include "worker/feature_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model/half.h"
#include "worker/feature_index.h"

enum { WAITING = 16, HEX = SHA256_HEX, KEPT_OF_BUDGET = 90, LOOK_SHARE = 16 };
static const char MAGIC[16] = "ferret-features";

/* In front of the numbers. The entry is read where it was written, or by a machine of the same kind: the key sees to
 * it. */
struct head {
    char magic[sizeof MAGIC];
    uint64_t count, element_bytes;
    int32_t width, height, stored_width, stored_height, orientation, frames;
    uint32_t had_alpha, notes;
    double rows_decoded;
    char format[16], sha256[SHA256_HEX + 7];
    uint8_t sum[SHA256_BYTES]; /* over head (with zeros here) and numbers */
};

struct waiting {
    uint8_t key[SHA256_BYTES];
    uint8_t *bytes; /* head and numbers */
};
struct feature_cache {
    char dir[PATH_MAX - 2 * HEX];
    uint64_t max_bytes;
    enum feature_type type;
    size_t count, entry_bytes;
    char *maker;
    uint64_t bytes, written; /* on disk when last looked, and written since; the writer's */
    pthread_t writer;
    bool has_writer;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct waiting ring[WAITING];
    int first, n;
    bool closing;
    struct feature_cache_stats stats;
};

static size_t element_bytes(enum feature_type t)
{
    return t == FEATURES_F16 ? sizeof(uint16_t) : sizeof(float);
}

static void path_of(const struct feature_cache *c, const uint8_t key[SHA256_BYTES], char out[PATH_MAX])
{
    char hex[SHA256_HEX];
    sha256_hex(key, hex);
    snprintf(out, PATH_MAX, "%s/%.2s/%s", c->dir, hex, hex);
}

void feature_cache_key(const struct feature_cache *c, const uint8_t content[SHA256_BYTES],
                       enum image_policy_kind policy, const uint8_t *background, uint8_t key[SHA256_BYTES])
{
    struct sha256 sha;
    const uint8_t kinds[] = {(uint8_t)policy, (uint8_t)c->type, background[0], background[1], background[2]};
    sha256_init(&sha);
    sha256_add(&sha, content, SHA256_BYTES);
    sha256_add(&sha, kinds, sizeof kinds);
    sha256_add(&sha, c->maker, strlen(c->maker));
    sha256_end(&sha, key);
}

/* ---- entries ---------------------------------------------------------------------------------------------------- */

static void sum_of(const uint8_t *entry, size_t size, uint8_t sum[SHA256_BYTES])
{
    struct head head;
    struct sha256 sha;
    memcpy(&head, entry, sizeof head);
    memset(head.sum, 0, sizeof head.sum);
    sha256_init(&sha);
    sha256_add(&sha, &head, sizeof head);
    sha256_add(&sha, entry + sizeof head, size - sizeof head);
    sha256_end(&sha, sum);
}

/* Malloc'ed; NULL when memory is short. */
static uint8_t *make_entry(const struct feature_cache *c, const struct image *image, const float *features)
{
    uint8_t *entry = calloc(1, c->entry_bytes);
    struct head head = {.count = c->count,
                        .element_bytes = element_bytes(c->type),
                        .width = image->width,
                        .height = image->height,
                        .stored_width = image->stored_width,
                        .stored_height = image->stored_height,
                        .orientation = image->orientation,
                        .frames = image->frames,
                        .had_alpha = image->had_alpha,
                        .notes = image->notes,
                        .rows_decoded = image->rows_decoded};
    if (!entry)
        return NULL;
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    snprintf(head.format, sizeof head.format, "%s", image->format);
    snprintf(head.sha256, sizeof head.sha256, "%s", image->sha256);
    if (c->type == FEATURES_F16)
        half_write(features, (uint16_t *)(void *)(entry + sizeof head), c->count);
    else
        memcpy(entry + sizeof head, features, c->count * sizeof *features);
    memcpy(entry, &head, sizeof head);
    sum_of(entry, c->entry_bytes, head.sum);
    memcpy(entry, &head, sizeof head);
    return entry;
}

static bool read_entry(const struct feature_cache *c, const uint8_t *entry, struct image *image, float *features)
{
    struct head head;
    uint8_t sum[SHA256_BYTES];
    memcpy(&head, entry, sizeof head);
    sum_of(entry, c->entry_bytes, sum);
    if (memcmp(head.magic, MAGIC, sizeof MAGIC) != 0 || memcmp(head.sum, sum, sizeof sum) != 0 ||
        head.count != c->count || head.element_bytes != element_bytes(c->type))
        return false;
    *image = (struct image){.width = head.width,
                            .height = head.height,
                            .stored_width = head.stored_width,
                            .stored_height = head.stored_height,
                            .orientation = head.orientation,
                            .had_alpha = head.had_alpha != 0,
                            .frames = head.frames,
                            .rows_decoded = head.rows_decoded,
                            .notes = head.notes};
    snprintf(image->format, sizeof image->format, "%.*s", (int)sizeof head.format, head.format);
    snprintf(image->sha256, sizeof image->sha256, "%.*s", (int)sizeof head.sha256, head.sha256);
    if (c->type == FEATURES_F16)
        half_read(entry + sizeof head, features, c->count);
    else
        memcpy(features, entry + sizeof head, c->count * sizeof *features);
    return true;
}

static bool load(const char *path, uint8_t *entry, size_t size)
{
    struct stat st;
    size_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool fits = fstat(fd, &st) == 0 && (uint64_t)st.st_size == size;
    for (ssize_t n = 1; fits && got < size && n > 0; got += n > 0 ? (size_t)n : 0)
        n = read(fd, entry + got, size - got);
    /* read for the last time now: it is the last to go */
    fits = fits && got == size && futimens(fd, NULL) == 0;
    close(fd);
    return fits;
}

bool feature_cache_get(struct feature_cache *c, const uint8_t key[SHA256_BYTES], struct image *image, float **features)
{
    char path[PATH_MAX];
    path_of(c, key, path);
    uint8_t *entry = malloc(c->entry_bytes);
    float *values = malloc(c->count * sizeof *values);
    bool hit = entry && values && load(path, entry, c->entry_bytes) && read_entry(c, entry, image, values);
    free(entry);
    if (hit)
        *features = values;
    else
        free(values);
    pthread_mutex_lock(&c->lock);
    c->stats.hits += hit;
    c->stats.misses += !hit;
    pthread_mutex_unlock(&c->lock);
    return hit;
}

bool feature_cache_has(const struct feature_cache *c, const uint8_t key[SHA256_BYTES])
{
    char path[PATH_MAX];
    path_of(c, key, path);
    return access(path, R_OK) == 0;
}

void feature_cache_put(struct feature_cache *c, const uint8_t key[SHA256_BYTES], const struct image *image,
                       const float *features)
{
    uint8_t *entry = make_entry(c, image, features);
    pthread_mutex_lock(&c->lock);
    if (entry && c->n < WAITING) {
        struct waiting *w = &c->ring[(c->first + c->n++) % WAITING];
        memcpy(w->key, key, sizeof w->key);
        w->bytes = entry;
        entry = NULL;
        pthread_cond_signal(&c->changed);
    } else {
        c->stats.dropped++;
    }
    pthread_mutex_unlock(&c->lock);
    free(entry);
}

/* ---- the budget ------------------------------------------------------------------------------------------------- */

struct found {
    char name[HEX + sizeof FEATURE_INDEX_ENDING];
    int64_t read_ns; /* last */
    uint64_t bytes;
};
struct finds {
    struct found *list;
    size_t n, room;
    uint64_t bytes;
};

static bool add_find(struct finds *f, const char *name, const struct stat *st)
{
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 256;
        struct found *list = realloc(f->list, room * sizeof *list);
        if (!list)
            return false;
        f->list = list;
        f->room = room;
    }
    struct found *one = &f->list[f->n++];
    snprintf(one->name, sizeof one->name, "%s", name);
    one->read_ns = st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec;
    one->bytes = (uint64_t)st->st_size;
    f->bytes += one->bytes;
    return true;
}

/* Entries of all workers that share the folder. Half a file, left by one that was killed, is removed when it is old. */
static void look_around(const struct feature_cache *c, struct finds *f)
{
    for (int i = 0; i < 256; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%02x", c->dir, i);
        DIR *d = opendir(path);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            struct stat st;
            if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0) != 0)
                continue;
            enum { OLD_S = 3600 };
            if (strlen(e->d_name) == HEX - 1 || strcmp(e->d_name + HEX - 1, FEATURE_INDEX_ENDING) == 0)
                (void)add_find(f, e->d_name, &st);
            else if (st.st_mtim.tv_sec + OLD_S < time(NULL))
                unlinkat(dirfd(d), e->d_name, 0);
        }
        if (d)
            closedir(d);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->read_ns < y->read_ns ? -1 : x->read_ns > y->read_ns;
}

/* Where the budget is passed, down to nine tenths of it, so that not every entry costs a look around. */
static void make_room(struct feature_cache *c)
{
    struct finds f = {0};
    uint64_t evicted = 0;
    look_around(c, &f);
    if (f.n > 0)
        qsort(f.list, f.n, sizeof *f.list, by_time);
    bool over = f.bytes > c->max_bytes;
    for (size_t i = 0; over && i < f.n && f.bytes > c->max_bytes / 100 * KEPT_OF_BUDGET; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%.2s/%s", c->dir, f.list[i].name, f.list[i].name);
        if (unlink(path) == 0)
            evicted++;
        f.bytes -= f.list[i].bytes;
    }
    c->bytes = f.bytes;
    c->written = 0;
    free(f.list);
    pthread_mutex_lock(&c->lock);
    c->stats.evicted += evicted;
    pthread_mutex_unlock(&c->lock);
}

/* ---- the writer ------------------------------------------------------------------------------------------------- */

static bool write_whole(const char *path, const uint8_t *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t at = 0;
    for (ssize_t n = fd < 0 ? -1 : 1; at < size && n > 0; at += n > 0 ? (size_t)n : 0)
        n = write(fd, bytes + at, size - at);
    return fd >= 0 && close(fd) == 0 && at == size;
}

/* Whole or not at all. */
static bool store(struct feature_cache *c, const struct waiting *w)
{
    char path[PATH_MAX], temporary[PATH_MAX], folder[PATH_MAX], hex[SHA256_HEX];
    sha256_hex(w->key, hex);
    path_of(c, w->key, path);
    snprintf(folder, sizeof folder, "%s/%.2s", c->dir, hex);
    snprintf(temporary, sizeof temporary, "%s/%.2s/%s.%d", c->dir, hex, hex, (int)getpid());
    (void)mkdir(folder, 0777);
    if (access(path, F_OK) == 0)
        return true; /* another worker was faster */
    if (!write_whole(temporary, w->bytes, c->entry_bytes) || rename(temporary, path) != 0) {
        unlink(temporary);
        return false;
    }
    /* Others may write into the folder too: so it is looked at from time to time, however little comes from here. */
    c->written += c->entry_bytes;
    if (c->bytes + c->written > c->max_bytes || c->written > c->max_bytes / LOOK_SHARE)
        make_room(c);
    return true;
}

static void *write_entries(void *ctx)
{
    struct feature_cache *c = ctx;
    make_room(c); /* and counts what is there */
    pthread_mutex_lock(&c->lock);
    while (c->n > 0 || !c->closing) {
        if (c->n == 0) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        struct waiting w = c->ring[c->first];
        c->first = (c->first + 1) % WAITING;
        c->n--;
        pthread_mutex_unlock(&c->lock);
        bool stored = store(c, &w);
        free(w.bytes);
        pthread_mutex_lock(&c->lock);
        c->stats.written += stored;
        c->stats.dropped += !stored;
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static enum status make_folder(const char *dir, struct diag *why)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return diag_set(why, ST_IO, "%s: %s", dir, strerror(errno));
    return access(dir, R_OK | W_OK | X_OK) == 0 ? ST_OK : diag_set(why, ST_IO, "%s: %s", dir, strerror(errno));
}

enum status feature_cache_open(const struct feature_cache_options *o, struct feature_cache **out, struct diag *why)
{
    struct feature_cache *c = calloc(1, sizeof *c);
    if (!c)
        return ST_NOMEM;
    c->max_bytes = o->max_bytes;
    c->type = o->type;
    c->count = o->count;
    c->entry_bytes = sizeof(struct head) + o->count * element_bytes(o->type);
    c->maker = strdup(o->maker);
    enum status s = c->maker ? ST_OK : ST_NOMEM;
    if (s == ST_OK && snprintf(c->dir, sizeof c->dir, "%s", o->dir) >= (int)sizeof c->dir)
        s = diag_set(why, ST_LIMIT, "%s: path too long", o->dir);
    if (s == ST_OK)
        s = make_folder(c->dir, why);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    if (s == ST_OK && !(c->has_writer = pthread_create(&c->writer, NULL, write_entries, c) == 0))
        s = diag_set(why, ST_NOMEM, "the cache's thread could not be started");
    if (s != ST_OK) {
        feature_cache_close(c);
        return s;
    }
    *out = c;
    return ST_OK;
}

void feature_cache_close(struct feature_cache *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (c->has_writer)
        pthread_join(c->writer, NULL);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c->maker);
    free(c);
}

void feature_cache_stats(struct feature_cache *c, struct feature_cache_stats *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    pthread_mutex_unlock(&c->lock);
}
