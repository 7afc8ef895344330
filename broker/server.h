/* The broker's sockets and its loop: two routers, connections to Redis, the dispatcher in between. One thread.
 *
 * Redis writes a connection 64 KB of answers and reads some ten KB of questions a turn of its loop, and syncs its file
 * in each. So SUBMITs, whose questions carry jobs (and which may wait for replicas), and CLAIMs, whose answers do, have
 * connections of their own. */
#ifndef BROKER_SERVER_H
#define BROKER_SERVER_H

#include <signal.h>

#include "base/log.h"
#include "base/status.h"
#include "broker/dispatch.h"
#include "protocol/link.h"
#include "protocol/store.h"

struct view; /* broker/view.h */

enum server_store { STORE_REST, STORE_SUBMIT, STORE_CLAIM, STORE_CLAIM_TOO, SERVER_STORES };

struct server_options {
    const char *client_address, *worker_address;
    const struct link_keys *keys;        /* CURVE, or NULL */
    const char *allow_file;              /* of protocol/allow_list.h; NULL: everybody may do everything */
    bool insecure;                       /* plain addresses that other hosts reach */
    struct store *stores[SERVER_STORES]; /* the first one is ready; borrowed */
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
