#include "base/uri.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The length of "https://" in front; 0: none. */
static size_t scheme_len(const char *text)
{
    size_t n = 0;
    while (isalnum((unsigned char)text[n]) || (n > 0 && text[n] && strchr("+-.", text[n])))
        n++;
    return n > 0 && strncmp(text + n, "://", 3) == 0 ? n + 3 : 0;
}

static bool has_no_query(const char *text)
{
    return strncasecmp(text, "s3://", 5) == 0 || strncasecmp(text, "file://", 7) == 0;
}

/* "host", "host:port" or "[v6]:port"; a password that was taken for a host has no port behind its colon. */
static bool is_host(const char *text, size_t len)
{
    const char *colon = memrchr(text, ':', len), *bracket = memrchr(text, ']', len);
    size_t host = colon && (!bracket || colon > bracket) ? (size_t)(colon - text) : len;
    for (size_t i = host + 1; i < len; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    for (size_t i = 0; i < host; i++)
        if ((unsigned char)text[i] <= ' ' || (text[i] == ':' && text[0] != '['))
            return false;
    return true;
}

/* What is shown of what follows the host. */
static size_t path_len(const char *uri, const char *path)
{
    static const char member[] = ".tar#";
    if (has_no_query(uri))
        return strlen(path);
    const char *shard = strstr(path, member);
    size_t len = strcspn(path, "?#");
    return shard && shard + sizeof member - 2 == path + len ? strlen(path) : len;
}

/* Never half a letter at the end. */
static const char *put(char *out, size_t size, const char *scheme, int scheme_len, const char *dots, const char *rest,
                       int len)
{
    int n = snprintf(out, size, "%.*s%s%.*s", scheme_len, scheme, dots, len, rest);
    if (n >= 0 && (size_t)n >= size) {
        size_t end = size - 1;
        const char *cut = rest - ((size_t)scheme_len + strlen(dots)) + end; /* the first byte left out */
        while (end > 0 && cut >= rest && ((unsigned char)*cut & 0xC0) == 0x80) {
            cut--;
            end--;
        }
        out[end] = '\0';
    }
    return out;
}

const char *uri_shown(const char *text, char *out, size_t size)
{
    size_t scheme = scheme_len(text);
    if (scheme == 0)
        return put(out, size, "", 0, "", text, (int)strlen(text));
    const char *authority = text + scheme, *dots = "";
    size_t len = strcspn(authority, has_no_query(text) ? "/" : "/?#");
    const char *at = memrchr(authority, '@', len), *host = at ? at + 1 : authority;
    size_t host_len = (size_t)(authority + len - host), shown = path_len(text, host + host_len);
    if (!is_host(host, host_len)) {
        /* a "?" may be part of a password, and an "@" of a query: nothing behind the first "?" is shown either */
        const char *last = strrchr(authority, '@'), *end = authority + strcspn(authority, "?#");
        host = last ? last + 1 : authority;
        host_len = end > host ? (size_t)(end - host) : 0;
        shown = 0;
        dots = last ? "..." : "";
    }
    return put(out, size, text, (int)scheme, dots, host, (int)(host_len + shown));
}
