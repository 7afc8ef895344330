/* The one place where libcurl is included: transfers.c exchanges, http_address.c reads addresses. */
#ifndef MEDIA_CURL_H
#define MEDIA_CURL_H

#include <curl/curl.h>

#endif
