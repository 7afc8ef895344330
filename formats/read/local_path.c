#include "formats/read/local_path.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool is_uri(const char *text)
{
    if (!isalpha((unsigned char)text[0]))
        return false;
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._");
    return text[n] == ':';
}

/* Takes out "." and doubled slashes; false where ".." is met, which only the file system can resolve. */
static bool tidy(char *path)
{
    char *to = path;
    for (const char *at = path; *at;) {
        while (*at == '/')
            at++;
        size_t n = strcspn(at, "/");
        if (n == 2 && at[0] == '.' && at[1] == '.')
            return false;
        if (n > 0 && !(n == 1 && at[0] == '.')) {
            *to++ = '/';
            memmove(to, at, n);
            to += n;
        }
        at += n;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
    return true;
}

static char *join(const char *folder, const char *path)
{
    char *out = NULL;
    if (path[0] == '/')
        return strdup(path);
    return asprintf(&out, "%s/%s", folder, path) < 0 ? NULL : out;
}

/* With ".." in it: the folder as the file system sees it, where it exists; else as it stands. */
static enum status resolve(char *path, char **out)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    char *folder = realpath(*path ? path : "/", NULL);
    if (!folder && errno == ENOMEM)
        return ST_NOMEM;
    *slash = '/';
    const char *name = slash + 1;
    if (!folder || strcmp(name, "..") == 0) {
        free(folder);
        folder = realpath(path, NULL);
        *out = folder ? folder : strdup(path);
        return *out ? ST_OK : ST_NOMEM;
    }
    bool top = strcmp(folder, "/") == 0;
    int n = asprintf(out, "%s/%s", top ? "" : folder, name);
    free(folder);
    return n < 0 ? ST_NOMEM : ST_OK;
}

enum status path_absolute(const char *folder, const char *path, char **out, struct diag *why)
{
    char *here = folder && folder[0] == '/' ? strdup("") : getcwd(NULL, 0);
    if (!here)
        return errno == ENOMEM ? ST_NOMEM
                               : diag_set(why, ST_IO, "the current folder can't be told: %s", strerror(errno));
    char *base = join(here, folder ? folder : ".");
    char *whole = base ? join(base, path) : NULL, *copy = whole ? strdup(whole) : NULL;
    enum status s = copy ? ST_OK : ST_NOMEM;
    if (s == ST_OK && tidy(copy)) {
        *out = copy;
        copy = NULL;
    } else if (s == ST_OK) {
        s = resolve(whole, out);
    }
    free(copy);
    free(whole);
    free(base);
    free(here);
    return s;
}

char *path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* Bytes of the UTF-8 sequence at s, or 0. */
static size_t utf8_len(const unsigned char *s)
{
    size_t n = *s < 0x80                  ? 1
               : *s >= 0xC2 && *s <= 0xDF ? 2
               : *s >= 0xE0 && *s <= 0xEF ? 3
               : *s >= 0xF0 && *s <= 0xF4 ? 4
                                          : 0;
    bool wrong = n == 0 || (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
                 (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F);
    for (size_t i = 1; !wrong && i < n; i++)
        wrong = (s[i] & 0xC0) != 0x80;
    return wrong ? 0 : n;
}

static bool is_utf8(const char *text)
{
    size_t n = 1;
    for (const unsigned char *s = (const unsigned char *)text; *s && n; s += n)
        n = utf8_len(s);
    return n > 0;
}

static char *put_percent(char *to, unsigned char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    *to++ = '%';
    *to++ = hex[byte >> 4];
    *to++ = hex[byte & 15];
    return to;
}

enum status path_as_name(const char *name, char **out)
{
    char *text = malloc(3 * strlen(name) + 1), *to = text;
    if (!text)
        return ST_NOMEM;
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = *s < ' ' || *s == '%' || *s == 0x7F ? 0 : utf8_len(s);
        if (n == 0)
            to = put_percent(to, *s++);
        while (n-- > 0)
            *to++ = (char)*s++;
    }
    *to = '\0';
    *out = text;
    return ST_OK;
}

enum status path_as_text(const char *path, char **out)
{
    if (is_utf8(path))
        return (*out = strdup(path)) ? ST_OK : ST_NOMEM;
    char *text = malloc(3 * strlen(path) + sizeof "file://"), *to = text;
    if (!text)
        return ST_NOMEM;
    to = mempcpy(to, "file://", strlen("file://"));
    for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
        if (isalnum(*s) || strchr("/-_.~", *s)) {
            *to++ = (char)*s;
        } else {
            to = put_percent(to, *s);
        }
    }
    *to = '\0';
    *out = text;
    return ST_OK;
}
