/* Named folders: what a URI means on this machine. Text only; fetch_file.c opens. */
#include "media/fetch_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct media_root {
    char *name, *dir; /* dir: absolute, without a slash at the end; "" for the root of all */
};
struct media_roots {
    int n;
    struct media_root *list;
};

/* Absolute and without ".", "..", double slashes; by the text alone. Malloc'ed, NULL when memory is short. */
static char *absolute_path(const char *path)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    size_t size = (here ? strlen(here) : 0) + strlen(path) + 3, n = 0;
    char *out = malloc(size), *joined = malloc(size);
    if (out && joined && (here || path[0] == '/')) {
        char *save = NULL;
        joined[0] = '\0';
        if (here) {
            memcpy(joined, here, strlen(here) + 1);
            joined[strlen(here) + 1] = '\0';
            joined[strlen(here)] = '/';
        }
        memcpy(joined + strlen(joined), path, strlen(path) + 1);
        for (char *part = strtok_r(joined, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
            if (strcmp(part, "..") == 0) {
                while (n > 0 && out[--n] != '/')
                    ;
            } else if (strcmp(part, ".") != 0) {
                out[n++] = '/';
                memcpy(out + n, part, strlen(part));
                n += strlen(part);
            }
        }
        out[n] = '\0';
    } else {
        free(out);
        out = NULL;
    }
    free(here);
    free(joined);
    return out;
}

bool root_name_is_sound(const char *name, size_t len)
{
    static const char *const schemes[] = {"file", "http", "https", "data", "s3", "ftp", "gs"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i]) == len && strncasecmp(schemes[i], name, len) == 0)
            return false;
    size_t allowed = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return len > 0 && allowed >= len;
}

static enum status add_root(struct media_roots *r, const char *spec, struct diag *why)
{
    const char *equals = strchr(spec, '=');
    size_t len = equals ? (size_t)(equals - spec) : 0;
    if (!equals || equals[1] != '/' || !root_name_is_sound(spec, len))
        return diag_set(why, ST_INVALID, "root \"%s\": want NAME=/ABSOLUTE/DIR, NAME of letters, digits, _ . -", spec);
    for (int i = 0; i < r->n; i++)
        if (strlen(r->list[i].name) == len && memcmp(r->list[i].name, spec, len) == 0)
            return diag_set(why, ST_INVALID, "root \"%s\": there is a root of that name already", spec);
    struct media_root *root = &r->list[r->n++];
    root->name = strndup(spec, len);
    root->dir = absolute_path(equals + 1);
    return root->name && root->dir ? ST_OK : ST_NOMEM;
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
    if (s == ST_OK)
        *out = r;
    else
        media_roots_free(r);
    return s;
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
    return r ? r->n : 0;
}

const char *media_roots_name(const struct media_roots *r, int i)
{
    return r->list[i].name;
}

const char *media_roots_dir(const struct media_roots *r, int i)
{
    return r->list[i].dir[0] ? r->list[i].dir : "/";
}

int root_by_name(const struct media_roots *r, const char *name, size_t len)
{
    for (int i = 0; i < media_roots_count(r); i++)
        if (strlen(r->list[i].name) == len && memcmp(r->list[i].name, name, len) == 0)
            return i;
    return -1;
}

int root_by_path(const struct media_roots *r, const char *path, const char **rest)
{
    int best = -1;
    size_t longest = 0;
    for (int i = 0; i < media_roots_count(r); i++) {
        size_t n = strlen(r->list[i].dir);
        if (strncmp(path, r->list[i].dir, n) == 0 && path[n] == '/' && (best < 0 || n > longest)) {
            best = i;
            longest = n;
        }
    }
    if (best >= 0)
        *rest = path + longest + strspn(path + longest, "/");
    return best;
}

enum status media_roots_uri(const struct media_roots *r, const char *path, char **out, struct diag *why)
{
    const char *rest = NULL;
    char *absolute = absolute_path(path);
    if (!absolute)
        return ST_NOMEM;
    int i = root_by_path(r, absolute, &rest);
    if (i < 0) {
        free(absolute);
        return diag_set(why, ST_MISSING, "%s lies under no root", path);
    }
    size_t name = strlen(r->list[i].name);
    char *uri = malloc(name + strlen(rest) + 2);
    if (uri) {
        memcpy(uri, r->list[i].name, name);
        uri[name] = ':';
        memcpy(uri + name + 1, rest, strlen(rest) + 1);
        *out = uri;
    }
    free(absolute);
    return uri ? ST_OK : ST_NOMEM;
}
