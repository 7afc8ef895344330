/* The broker's sockets and its loop: two routers, one Redis connection, the dispatcher in between. One thread. */
#ifndef BROKER_SERVER_H
#define BROKER_SERVER_H

#include <signal.h>

#include "base/log.h"
#include "base/status.h"
#include "broker/dispatch.h"
#include "protocol/link.h"
#include "protocol/store.h"

struct view; /* broker/view.h */

struct server_options {
    const char *client_address, *worker_address;
    const struct link_keys *keys; /* CURVE, or NULL */
    const char *allow_file;       /* of protocol/allow_list.h; NULL: everybody may do everything */
    bool insecure;                /* plain addresses that other hosts reach */
    struct store *store;          /* ready; borrowed */
    struct store *submits;        /* SUBMIT goes here, where replicas are waited for; NULL: to store. Borrowed */
    struct dispatch_options dispatch;
    struct view *view; /* NULL: nobody looks; borrowed */
    const struct log *log;
    int drain_ms; /* how long a stop waits for answers of Redis */
};

struct server;
MUST_CHECK enum status server_open(const struct server_options *o, struct server **out, struct diag *why);
/* Runs until *stop is set, then drains. *reload, set by a signal: the allow-list is read again now. */
MUST_CHECK enum status server_run(struct server *s, const volatile sig_atomic_t *stop, volatile sig_atomic_t *reload);
void server_close(struct server *s); /* NULL is fine */

#endif
