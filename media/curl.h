/* The one place where libcurl is included: transfer.c and transfers.c exchange, http_address.c reads addresses. */
#ifndef MEDIA_CURL_H
#define MEDIA_CURL_H

#include <curl/curl.h>

#endif
