#include "formats/read/walk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

struct folder {
    char *path;
    char **names;
    size_t n, at;
    dev_t device;
    ino_t inode;
};

struct walk {
    struct folder stack[MAX_DEPTH];
    int depth;
    char *start; /* not opened yet */
};

bool walk_is_image_name(const char *path)
{
    static const char *const endings[] = {".jpg",  ".jpeg", ".png",  ".webp", ".gif", ".tif",
                                          ".tiff", ".heic", ".heif", ".avif", ".jxl", ".bmp"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    }
    return false;
}

enum status walk_open(const char *folder, struct walk **out)
{
    struct walk *w = calloc(1, sizeof *w);
    if (!w || !(w->start = strdup(folder))) {
        free(w);
        return ST_NOMEM;
    }
    *out = w;
    return ST_OK;
}

static void folder_fini(struct folder *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->names[i]);
    free(f->names);
    free(f->path);
    *f = (struct folder){0};
}

void walk_close(struct walk *w)
{
    if (!w)
        return;
    while (w->depth > 0)
        folder_fini(&w->stack[--w->depth]);
    free(w->start);
    free(w);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status read_names(DIR *dir, struct folder *f)
{
    size_t room = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (f->n == room) {
            room = room ? 2 * room : 64;
            char **grown = realloc(f->names, room * sizeof(char *));
            if (!grown)
                return ST_NOMEM;
            f->names = grown;
        }
        if (!(f->names[f->n] = strdup(entry->d_name)))
            return ST_NOMEM;
        f->n++;
    }
    if (f->n)
        qsort(f->names, f->n, sizeof *f->names, by_bytes);
    return ST_OK;
}

static bool on_the_way(const struct walk *w, const struct stat *st)
{
    for (int i = 0; i < w->depth; i++) {
        if (w->stack[i].device == st->st_dev && w->stack[i].inode == st->st_ino)
            return true;
    }
    return false;
}

/* Goes down into path, which it takes over where it does: *path is then NULL. */
static enum status descend(struct walk *w, const struct stat *st, enum walk_found *found, char **path)
{
    if (w->depth == MAX_DEPTH || on_the_way(w, st)) {
        *found = WALK_LOOP;
        return ST_OK;
    }
    DIR *dir = opendir(*path);
    if (!dir) {
        *found = WALK_UNREADABLE;
        return ST_OK;
    }
    struct folder *f = &w->stack[w->depth++];
    *f = (struct folder){.path = *path, .device = st->st_dev, .inode = st->st_ino};
    *path = NULL;
    enum status s = read_names(dir, f);
    closedir(dir);
    return s;
}

/* The next path of the walk: the start, or a name of the innermost folder that has any left. */
static enum status next_path(struct walk *w, char **path)
{
    if (w->start) {
        *path = w->start;
        w->start = NULL;
        return ST_OK;
    }
    while (w->depth > 0 && w->stack[w->depth - 1].at == w->stack[w->depth - 1].n)
        folder_fini(&w->stack[--w->depth]);
    if (w->depth == 0)
        return ST_CLOSED;
    struct folder *f = &w->stack[w->depth - 1];
    size_t len = strlen(f->path);
    bool slash = len > 0 && f->path[len - 1] == '/';
    return asprintf(path, "%s%s%s", f->path, slash ? "" : "/", f->names[f->at++]) < 0 ? ST_NOMEM : ST_OK;
}

enum status walk_next(struct walk *w, enum walk_found *found, char **out)
{
    for (;;) {
        char *path = NULL;
        struct stat st;
        bool start = w->start != NULL;
        enum status s = next_path(w, &path);
        if (s != ST_OK)
            return s;
        *found = WALK_ENTRY;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            if (!start && walk_is_image_name(path))
                *found = WALK_IMAGE_FOLDER;
            else
                s = descend(w, &st, found, &path);
        }
        if (s != ST_OK) {
            free(path);
            return s;
        }
        if (path) {
            *out = path;
            return ST_OK;
        }
    }
}
