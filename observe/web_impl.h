/* Inside of the server: shared by web.c (sockets, who may ask, answers) and web_stream.c (server-sent events). */
#ifndef OBSERVE_WEB_IMPL_H
#define OBSERVE_WEB_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>

#include "observe/web.h"

/* An event as it goes over the wire; counted, under the lock. */
struct event {
    int refs;
    size_t len;
    char text[];
};

struct stream {
    struct stream *next;
    struct web *http;
    struct MHD_Connection *connection;
    struct event *event; /* that is being sent */
    size_t sent;         /* of it */
    uint64_t number;     /* of the last one that was begun */
    bool suspended;
};

struct web {
    struct web_options options;
    char *token;
    char address[WEB_ADDRESS_BYTES];
    char cookie[32]; /* its name: cookies know no ports */
    bool loopback;
    int socket;
    struct MHD_Daemon *daemon;

    pthread_mutex_t lock; /* of what follows */
    bool has_lock, closing;
    struct stream *streams;
    int n_streams;
    struct event *last;
    uint64_t number; /* of it */
};

/* A response without an end, or NULL where memory is short. */
struct MHD_Response *stream_response(struct web *h, struct MHD_Connection *connection);
void streams_close(struct web *h); /* no stream waits any more */

#endif
