/* Inside of the store: shared by store.c (shards and nodes) and store_block.c (blocking calls). */
#ifndef PROTOCOL_STORE_IMPL_H
#define PROTOCOL_STORE_IMPL_H

#include "protocol/store_node.h"

enum { NODES_MOST = 64 };

enum shard_state {
    SHARD_AWAY,   /* to be asked for at ask_at, once its node is there */
    SHARD_ASKED,  /* the question is on the way */
    SHARD_MOVING, /* as AWAY: its slot is on its way to another node */
    SHARD_READY,
};
struct shard {
    struct node *node; /* where it is thought to live */
    enum shard_state state;
    int slot;
    int64_t ask_at, looked_at; /* looked_at: this node became its node */
    char trouble[DIAG_BYTES];  /* what its node said last */
};

struct store {
    struct shard shards[LIMIT_SHARDS];
    int n_shards;
    struct node *nodes[NODES_MOST]; /* the first n_seeds were given */
    size_t n_nodes, n_seeds;
    bool is_cluster;
    bool is_told, has_news; /* by store_tell */
    bool topology_asked;
    int64_t topology_at;
    int replicas, wait_ms;
    const struct store_login *login;
    uint64_t scripts;
    struct spread *spreads; /* calls over several shards without an answer, and those that have it */
    struct spread *answered;
};

bool store_uses(const struct store *s, const struct node *n); /* a shard is thought to live there */

#endif
