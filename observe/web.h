/* A small HTTP server for people and scrapers: GET and HEAD only, answers made by one handler, and streams of
 * server-sent events. Only web.c and web_stream.c know libmicrohttpd.
 *
 * One thread of its own runs the handler, so that has to be quick. Who may ask: with a token everybody who brings it
 * ("Authorization: Bearer TOKEN", "?token=TOKEN", or the cookie that a browser gets for the latter); without one the
 * server listens on loopback only, and answers only what was addressed to loopback, so that no web page can read it
 * under a name of its own. Handlers may let paths be open to all. */
#ifndef OBSERVE_WEB_H
#define OBSERVE_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct web;
struct web_request {
    const char *path; /* decoded, begins with '/' */
    const void *connection;
};
/* A parameter behind '?', decoded; NULL where there is none. Borrowed while the handler runs. */
const char *web_query(const struct web_request *q, const char *name);

struct web_answer {
    int code;         /* 200 ... */
    const char *type; /* Content-Type, static */
    const char *bytes;
    size_t len;
    bool owned;    /* bytes are malloc'ed, ownership goes to the server; else they are static */
    bool stream;   /* no bytes: what web_publish sends, from its last event on */
    bool may_keep; /* browsers may keep it for a while */
};
/* Fills *answer, which is zeroed. */
typedef void (*web_handler)(void *ctx, const struct web_request *q, struct web_answer *answer);

struct web_options {
    const char *address;                          /* "127.0.0.1:7420", "[::1]:7420", "7420"; port 0: a free one */
    const char *token;                            /* or NULL; copied */
    bool (*is_open)(void *ctx, const char *path); /* needs no token */
    web_handler handler;
    void *ctx;
};
enum { WEB_ADDRESS_BYTES = 300 };

/* ST_INVALID: no address; ST_REFUSED: other hosts reach it and there is no token; ST_IO: it can't be bound. */
MUST_CHECK enum status web_open(const struct web_options *o, struct web **out, struct diag *why);
void web_close(struct web *h); /* ends streams; NULL is fine */
/* Where it listens, as a URL needs it: "127.0.0.1:7420". Borrowed. */
const char *web_address(const struct web *h);

/* Sends an event to all streams. One that is slow gets the newest when it has read the one before. Any thread. */
void web_publish(struct web *h, const char *data, size_t len);
int web_streams(struct web *h); /* that are open. Any thread */

/* Answers with text/plain and a line feed behind it. */
void web_say(struct web_answer *answer, int code, const char *static_text);

#endif
