/* Inside of the store: one connection to one Redis. It comes back by itself, with pauses that grow, and loads the
 * scripts anew each time. Answers come in the order of the calls; of a broken connection all calls end as REPLY_LOST.
 */
#ifndef PROTOCOL_STORE_NODE_H
#define PROTOCOL_STORE_NODE_H

#include "protocol/store.h"

enum call_kind {
    CALL_SCRIPT,
    CALL_PART,     /* a script's, of a struct spread: tag is its address */
    CALL_LOAD,     /* the node's own; tag: which script */
    CALL_LOGIN,    /* its own too */
    CALL_PROBE,    /* does the shard live here? */
    CALL_TOPOLOGY, /* CLUSTER SLOTS */
    CALL_PLAIN,
    CALL_WAIT, /* how many replicas have what the script in front of it wrote */
};
struct call {
    enum call_kind kind;
    uint8_t shard;
    bool waits; /* a CALL_WAIT follows; its number goes into the answer */
    uint64_t tag;
};

struct node;
/* port 0: host is the path of a Unix socket. The caller owns the node: node_free. */
struct node *node_new(const char *host, int port);
void node_free(struct node *n);                                    /* NULL is fine */
void node_log_in(struct node *n, const struct store_login *login); /* as store_log_in */
void node_use_only(struct node *n, uint64_t scripts);              /* as store_use_only */
bool node_is(const struct node *n, const char *host, int port);
const char *node_host(const struct node *n);
int node_port(const struct node *n);
const char *node_trouble(const struct node *n); /* why it is not ready */

int node_fd(const struct node *n); /* -1 while there is no connection */
bool node_wants_write(const struct node *n);
bool node_wants_connect(const struct node *n); /* its fd is to become writable */
bool node_is_ready(const struct node *n);
size_t node_pending(const struct node *n);
/* As store_pump. reads false: the caller knows that nothing has come. */
int node_pump(struct node *n, int64_t now_ms, bool reads);
/* Of a node among several: where it says nothing for so long while it owes answers, the connection ends. 0: never. */
void node_limit_silence(struct node *n, int ms);
/* Ends the connection: what was on the way is lost. */
void node_drop(struct node *n, int64_t now_ms, const char *why);

/* ST_BUSY while not ready. A script: the tag of c.shard is its key. replicas > 0 (and wait_ms): WAIT follows. */
MUST_CHECK enum status node_send_script(struct node *n, struct call c, enum script script,
                                        const struct store_args *args, int replicas, int wait_ms);
MUST_CHECK enum status node_send_words(struct node *n, struct call c, const char *const *words, int n_words);
/* The next answer, and to what; loads and waits are taken care of. */
bool node_take(struct node *n, struct store_answer *out, struct call *to);

#endif
