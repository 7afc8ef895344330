#include "media/http_address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "media/curl.h"

struct parts {
    char *scheme, *host, *port, *path;
};

static bool read_parts(CURLU *u, const char *url, struct parts *p)
{
    return u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
           curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0) == CURLUE_OK &&
           curl_url_get(u, CURLUPART_HOST, &p->host, 0) == CURLUE_OK &&
           curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
           curl_url_get(u, CURLUPART_PATH, &p->path, 0) == CURLUE_OK;
}

void http_address_read(const char *url, struct http_address *out)
{
    CURLU *u = curl_url();
    struct parts p = {0};
    *out = (struct http_address){.shown = "address"};
    if (read_parts(u, url, &p)) {
        bool http = strcasecmp(p.scheme, "http") == 0 || strcasecmp(p.scheme, "https") == 0;
        size_t len = strlen(p.host);
        out->port = (int)strtol(p.port, NULL, 10);
        out->sound = http && len > 0 && len < HTTP_HOST_BYTES - sizeof ":65535";
        snprintf(out->host, sizeof out->host, "%.256s:%d", p.host, out->port);
        snprintf(out->name, sizeof out->name, "%.256s", p.host);
        for (char *c = out->host; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
        snprintf(out->shown, sizeof out->shown, "%.16s://%.128s%.128s", p.scheme, p.host, p.path);
    }
    curl_free(p.scheme);
    curl_free(p.host);
    curl_free(p.port);
    curl_free(p.path);
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
