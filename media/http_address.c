#include "media/http_address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "media/curl.h"

enum { MOST_HOST = 256 }; /* a host's name has at most 253 */

struct parts {
    char *scheme, *host, *port;
};

static CURLUcode read_parts(CURLU *u, const char *url, struct parts *p)
{
    CURLUcode code = u ? curl_url_set(u, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK)
        code = curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(u, CURLUPART_HOST, &p->host, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT);
    return code;
}

static void parts_fini(struct parts *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
}

static bool has_blank(const char *text)
{
    while ((unsigned char)*text > ' ' && *text != 0x7F)
        text++;
    return *text != '\0';
}

/* "" where there is none. */
static const char *trouble_of(const char *url, const struct parts *p, CURLUcode code)
{
    const char *scheme = p->scheme ? p->scheme : url;
    size_t n = strncasecmp(scheme, "https", 5) == 0 ? 5 : 4;
    if (has_blank(url))
        return "a space in an address is written %20, a control character likewise";
    if (strncasecmp(scheme, "http", 4) != 0 || (scheme[n] != '\0' && scheme[n] != ':'))
        return "expected http:// or https://";
    if (code != CURLUE_OK)
        return curl_url_strerror(code);
    return !*p->host ? "expected a host" : strlen(p->host) > MOST_HOST ? "the host's name is too long" : "";
}

void http_address_read(const char *url, struct http_address *out)
{
    CURLU *u = curl_url();
    struct parts p = {0};
    *out = (struct http_address){.sound = false};
    CURLUcode code = read_parts(u, url, &p);
    snprintf(out->trouble, sizeof out->trouble, "%s", trouble_of(url, &p, code));
    out->sound = !out->trouble[0];
    if (out->sound) {
        out->port = (int)strtol(p.port, NULL, 10);
        snprintf(out->host, sizeof out->host, "%.256s:%d", p.host, out->port);
        snprintf(out->name, sizeof out->name, "%.256s", p.host);
        for (char *c = out->host; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
    }
    const char *at = strstr(url, "://") ? NULL : strrchr(url, '@');
    uri_shown(at ? at + 1 : url, out->shown, sizeof out->shown);
    parts_fini(&p);
    curl_url_cleanup(u);
}

enum status http_name_trouble(const char *name)
{
    struct addrinfo *found = NULL;
    int code = getaddrinfo(name, NULL, &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &found);
    if (code == 0)
        freeaddrinfo(found);
    return code == EAI_NONAME || code == EAI_NODATA ? ST_MISSING : ST_IO;
}
