#include "worker/feature_index.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

/* "ferret-uri SHA256 STAMP\n" */
#define WORD "ferret-uri "
enum { TEXT_BYTES = sizeof WORD + SHA256_HEX + FETCH_STAMP_BYTES + 2, HASH_AT = sizeof WORD - 1 };

static bool path_of(const char *dir, const char *uri, char path[PATH_MAX])
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(uri, strlen(uri), digest);
    sha256_hex(digest, hex);
    return snprintf(path, PATH_MAX, "%s/%.2s/%s" FEATURE_INDEX_ENDING, dir, hex, hex) < PATH_MAX;
}

bool feature_index_find(const char *dir, const char *uri, struct fetch_stamp *stamp, uint8_t content[SHA256_BYTES])
{
    char path[PATH_MAX], text[TEXT_BYTES] = "";
    uint8_t hash[SHA256_BYTES];
    int fd = path_of(dir, uri, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    bool whole = n > HASH_AT + SHA256_HEX && text[n - 1] == '\n' && memcmp(text, WORD, HASH_AT) == 0 &&
                 sha256_from_hex(text + HASH_AT, hash) && text[HASH_AT + 2 * SHA256_BYTES] == ' ';
    if (whole)
        (void)!futimens(fd, NULL); /* used now: it is the last to go */
    close(fd);
    if (!whole)
        return false;
    text[n - 1] = '\0';
    memcpy(content, hash, sizeof hash);
    snprintf(stamp->text, sizeof stamp->text, "%s", text + HASH_AT + SHA256_HEX);
    return true;
}

/* Whole or not at all, under a name of this thread's until then. */
void feature_index_put(const char *dir, const char *uri, const struct fetch_stamp *stamp,
                       const uint8_t content[SHA256_BYTES])
{
    char path[PATH_MAX], temporary[PATH_MAX], text[TEXT_BYTES], hex[SHA256_HEX];
    if (!path_of(dir, uri, path) || snprintf(temporary, sizeof temporary, "%s.%d.%lx", path, (int)getpid(),
                                             (unsigned long)pthread_self()) >= PATH_MAX)
        return;
    sha256_hex(content, hex);
    int len = snprintf(text, sizeof text, WORD "%s %s\n", hex, stamp->text);
    char *name = strrchr(path, '/');
    *name = '\0';
    (void)mkdir(path, 0777);
    *name = '/';
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool written = fd >= 0 && write(fd, text, (size_t)len) == len;
    if (fd >= 0)
        written = close(fd) == 0 && written;
    if (!written || rename(temporary, path) != 0)
        unlink(temporary);
}
