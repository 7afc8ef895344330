/* Where the programs of a `ferret up` can be looked at: the broker's pages at one port, those of other brokers and each
 * worker's metrics at the ports behind it, and a token that keeps other users of the machine out. */
#ifndef CLI_UP_HTTP_H
#define CLI_UP_HTTP_H

#include <stdbool.h>

#include "base/status.h"
#include "observe/service.h"

#define UP_HTTP_DEFAULT "127.0.0.1:7420"

struct up_http {
    bool is_off;
    char host[256];
    int port;        /* the first broker's; other brokers and then workers have the next ones */
    char token[257]; /* as given, or kept in DATA/http.token */
};

/* Of n programs. flags->http: "off", an address, or NULL for UP_HTTP_DEFAULT and, where its ports are taken, the next
 * free ones. */
MUST_CHECK enum status up_http_prepare(const struct service_flags *flags, const char *data, int n, struct up_http *out,
                                       struct diag *why);
enum { UP_HTTP_ADDRESS = 300, UP_HTTP_URL = 600 };
/* Of the program of that number, brokers first. */
void up_http_address(const struct up_http *h, int index, char out[UP_HTTP_ADDRESS]);
/* What a person opens, token included. */
void up_http_url(const struct up_http *h, char out[UP_HTTP_URL]);

#endif
