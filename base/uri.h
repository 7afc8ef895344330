/* How an address is told in messages, logs, printed settings and on pages: without what may be a secret. A job and its
 * record keep an image's address whole, since by it the image is fetched. */
#ifndef BASE_URI_H
#define BASE_URI_H

#include <stddef.h>

enum { URI_SHOWN_BYTES = 320 };

/* Writes text into out, cut at size (at least 1) between two letters, and returns out. What has a scheme and "://"
 * loses user and password; unless it is s3: or file:, which have none, it loses query and fragment too, but not the
 * member of a tar shard. Where user and host can't be told apart by the rules of addresses, "..." stands for all in
 * front of the last "@". All else, a path or ROOT:path, stays as it is. */
const char *uri_shown(const char *text, char *out, size_t size);

#endif
