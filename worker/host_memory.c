#include "worker/host_memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, WORD_BYTES = 64 };

struct hierarchy {
    const char *type; /* of its file system */
    const char *limit;
    char group[PATH_BYTES]; /* where the process is in it; "": nowhere */
};

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += len)
        if ((at == list || at[-1] == ',') && (at[len] == '\0' || at[len] == ',' || at[len] == '\n'))
            return true;
    return false;
}

static void take_limit(const char *folder, const char *name, int64_t *least)
{
    char path[2 * PATH_BYTES];
    long long value;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lld", &value) == 1 && value > 0 && value < *least) /* "max" is none */
        *least = value;
    if (f)
        fclose(f);
}

/* From the process' group up to the mount, whose own place in the hierarchy is `top`. */
static void walk_up(const struct hierarchy *h, const char *mount, const char *top, int64_t *least)
{
    char folder[2 * PATH_BYTES];
    size_t len = strcmp(top, "/") == 0 ? 0 : strlen(top), mount_len = strlen(mount);
    /* Seen from inside a container the group may lie outside of what is mounted there, which is then its own. */
    bool inside =
        strncmp(h->group, top, len) == 0 && (h->group[len] == '/' || h->group[len] == '\0') && !strstr(h->group, "/..");
    snprintf(folder, sizeof folder, "%s%s", mount, inside ? h->group + len : "");
    for (char *end; strlen(folder) > mount_len && (end = strrchr(folder, '/')); *end = '\0')
        take_limit(folder, h->limit, least);
    take_limit(mount, h->limit, least);
}

/* Lines are "number:controllers:group"; no controllers: of version 2. */
static void find_groups(const char *root, struct hierarchy *v1, struct hierarchy *v2)
{
    char path[PATH_BYTES], *line = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "r");
    while (f && getline(&line, &room, f) > 0) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (controllers[1] == '\0')
            snprintf(v2->group, sizeof v2->group, "%s", group);
        else if (has_word(controllers + 1, "memory"))
            snprintf(v1->group, sizeof v1->group, "%s", group);
    }
    free(line);
    if (f)
        fclose(f);
}

/* Lines are "id parent device place-in-it mount-point options [optional] - type source options". */
static void take_mount(const char *root, char *line, const struct hierarchy *v1, const struct hierarchy *v2,
                       int64_t *least)
{
    char top[PATH_BYTES], point[PATH_BYTES], mount[2 * PATH_BYTES], type[WORD_BYTES], options[PATH_BYTES];
    const char *rest = strstr(line, " - ");
    if (!rest || sscanf(line, "%*s %*s %*s %4095s %4095s", top, point) != 2 ||
        sscanf(rest, " - %63s %*s %4095s", type, options) != 2)
        return;
    const struct hierarchy *h = strcmp(type, v2->type) == 0                                  ? v2
                                : strcmp(type, v1->type) == 0 && has_word(options, "memory") ? v1
                                                                                             : NULL;
    snprintf(mount, sizeof mount, "%s%s", root, point);
    if (h && h->group[0])
        walk_up(h, mount, top, least);
}

int64_t host_memory(const char *root)
{
    int64_t least = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    struct hierarchy v1 = {.type = "cgroup", .limit = "memory.limit_in_bytes"};
    struct hierarchy v2 = {.type = "cgroup2", .limit = "memory.max"};
    char path[PATH_BYTES], *line = NULL;
    size_t room = 0;
    find_groups(root, &v1, &v2);
    snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    FILE *f = fopen(path, "r");
    while (f && getline(&line, &room, f) > 0)
        take_mount(root, line, &v1, &v2, &least);
    free(line);
    if (f)
        fclose(f);
    return least;
}
