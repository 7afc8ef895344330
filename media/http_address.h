/* What an http or https URL consists of. */
#ifndef MEDIA_HTTP_ADDRESS_H
#define MEDIA_HTTP_ADDRESS_H

#include <stdbool.h>

#include "base/status.h"
#include "base/uri.h"

enum { HTTP_HOST_BYTES = 300, HTTP_SHOWN_BYTES = URI_SHOWN_BYTES, HTTP_TROUBLE_BYTES = 96 };

struct http_address {
    bool sound;                       /* an http or https URL with a host */
    int port;                         /* the scheme's where the URL names none */
    char host[HTTP_HOST_BYTES];       /* "example.org:443", for turns and pauses */
    char name[HTTP_HOST_BYTES];       /* "example.org" */
    char shown[HTTP_SHOWN_BYTES];     /* for messages: base/uri.h; without a scheme, what is behind an "@" */
    char trouble[HTTP_TROUBLE_BYTES]; /* what is wrong where it is not sound, else "" */
};
void http_address_read(const char *url, struct http_address *out);

/* Why a host's name gave no address: ST_MISSING, there is none; ST_IO, nobody could be asked. Asks once more. */
enum status http_name_trouble(const char *name);

#endif
