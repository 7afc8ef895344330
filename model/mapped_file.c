#include "model/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What stands in a folder in a file's place where its repository was cloned without the files behind it. */
static bool is_lfs_pointer(const void *bytes, size_t size)
{
    static const char begins[] = "version https://git-lfs.github.com/spec/";
    return size > sizeof begins && memcmp(bytes, begins, sizeof begins - 1) == 0;
}

enum status file_map(const char *path, struct mapped_file *out, struct diag *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO of that name is no reason to wait */
    if (fd < 0)
        return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    void *bytes = MAP_FAILED;
    enum status status = ST_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = diag_set(why, ST_IO, "%s: not a regular file", path);
    else if (st.st_size == 0)
        status = diag_set(why, ST_FORMAT, "%s: empty", path);
    else if ((bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        status = diag_set(why, ST_IO, "%s: mmap: %s", path, strerror(errno));
    close(fd);
    if (status == ST_OK && is_lfs_pointer(bytes, (size_t)st.st_size)) {
        munmap(bytes, (size_t)st.st_size);
        status = diag_set(why, ST_FORMAT,
                          "%s: expected the file itself, found a pointer of Git LFS to it (git lfs pull)", path);
    }
    if (status != ST_OK)
        return status;
    char *copy = strdup(path);
    if (!copy) {
        munmap(bytes, (size_t)st.st_size);
        return ST_NOMEM;
    }
    *out = (struct mapped_file){copy, bytes, (size_t)st.st_size};
    return ST_OK;
}

enum status path_join(char path[MAX_PATH_BYTES], const char *dir, const char *name, struct diag *why)
{
    int n = snprintf(path, MAX_PATH_BYTES, "%s/%s", dir, name);
    return n < 0 || n >= MAX_PATH_BYTES ? diag_set(why, ST_LIMIT, "%.80s...: path too long", dir) : ST_OK;
}

void file_unmap(struct mapped_file *f)
{
    if (f->bytes)
        munmap((void *)f->bytes, f->size);
    free(f->path);
    *f = (struct mapped_file){0};
}
