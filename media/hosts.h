/* Who may ask which server when: so many requests at a time to one host, some time between two beginnings, and none
 * while a host has asked for a pause. A host is a text such as "example.org:443". No clock and no socket: the caller
 * says what time it is. One thread at a time.
 *
 * Memory: one entry a host that is in use, paused or was asked less than the delay ago. */
#ifndef MEDIA_HOSTS_H
#define MEDIA_HOSTS_H

#include <stdint.h>

#include "base/status.h"

struct hosts;
/* at_once: requests to one host; delay_ms: between the beginnings of two of them. The caller owns *out; hosts_free. */
MUST_CHECK enum status hosts_new(int at_once, int delay_ms, struct hosts **out);
void hosts_free(struct hosts *h); /* NULL is fine */
/* When the next request to the host may begin: a time <= now, one in the future, or INT64_MAX: when one has ended. */
int64_t hosts_when(const struct hosts *h, const char *host, int64_t now_ms);
/* One begins now; each is followed by hosts_end. ST_NOMEM: nothing is counted. */
MUST_CHECK enum status hosts_begin(struct hosts *h, const char *host, int64_t now_ms);
void hosts_end(struct hosts *h, const char *host, int64_t now_ms);
/* Nothing begins before `until_ms`. Keeps the later of two pauses; where memory is short there is none. */
void hosts_pause(struct hosts *h, const char *host, int64_t until_ms);

#endif
