/* Where keys live in a Redis Cluster: the slot of a shard's tag, and what nodes say of slots. */
#ifndef PROTOCOL_SLOTS_H
#define PROTOCOL_SLOTS_H

#include <stdbool.h>

#include "protocol/reply.h"

enum { SLOTS_HOST_BYTES = 255 };

/* Slot of all keys that carry the tag {q:SHARD}: CRC16 (XMODEM) of what stands between the braces, mod 16384. */
int slots_of_shard(int shard);

struct slots_address {
    char host[SLOTS_HOST_BYTES + 1];
    int port;
};
/* "MOVED 1234 host:port" and "ASK 1234 host:port"; a host left out is that of the node that said it. */
bool slots_read_redirect(const struct reply *error, const char *asked_host, struct slots_address *out);

/* Node k (0: the master) of range i of a CLUSTER SLOTS answer; false: there is none, or its address is unknown. */
bool slots_node(const struct reply *answer, size_t i, size_t k, const char *asked_host, struct slots_address *out);
bool slots_range_has(const struct reply *answer, size_t i, int slot);

#endif
