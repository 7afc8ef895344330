#include "model/convert_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/mapped_file.h"
#include "model/shard.h"

enum status folder_create(const char *path, struct diag *why)
{
    return mkdir(path, 0777) == 0 ? ST_OK : diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
}

enum status folder_copy(const char *from_dir, const char *to_dir, const char *name, struct diag *why)
{
    char from[MAX_PATH_BYTES], to[MAX_PATH_BYTES];
    struct mapped_file f = {0};
    enum status status = path_join(from, from_dir, name, why);
    if (status == ST_OK)
        status = path_join(to, to_dir, name, why);
    if (status == ST_OK)
        status = file_map(from, &f, why);
    if (status == ST_OK)
        status = file_write(to, f.bytes, f.size, why);
    file_unmap(&f);
    return status;
}

enum status folder_sync(const char *path, struct diag *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status = ST_OK;
    if (fd < 0 || fsync(fd) != 0)
        status = diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

enum status folder_publish(const char *from, const char *to, struct diag *why)
{
    char parent[MAX_PATH_BYTES];
    if (rename(from, to) != 0)
        return diag_set(why, ST_IO, "%s: %s", to, strerror(errno));
    size_t n = strlen(to);
    while (n > 0 && to[n - 1] == '/')
        n--;
    while (n > 0 && to[n - 1] != '/')
        n--;
    if (n >= sizeof parent)
        return diag_set(why, ST_LIMIT, "%.80s...: path too long", to);
    snprintf(parent, sizeof parent, "%.*s", n > 0 ? (int)n : 1, n > 0 ? to : ".");
    return folder_sync(parent, why);
}

static void remove_files(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        unlinkat(dirfd(dir), e->d_name, 0); /* does nothing to folders */
    closedir(dir);
    rmdir(path);
}

void folder_remove(const char *path)
{
    char tower[MAX_PATH_BYTES];
    if (path_join(tower, path, "vision_tower", NULL) == ST_OK)
        remove_files(tower);
    remove_files(path);
}
