/* A real queue for scenarios: redis-server and ferret-broker of the same build, on sockets in a folder of their own. */
#ifndef TESTS_TORTURE_QUEUE_H
#define TESTS_TORTURE_QUEUE_H

#include "base/status.h"
#include "protocol/client.h"

struct queue {
    char dir[64], redis[96], clients[96], workers[96];
    struct client *client; /* for what a scenario needs beside what it is about */
};
/* Starts both at the first call. NULL: they did not start. To be called while allocations rest. */
const struct queue *queue_begin(void);
void queue_end(void); /* stops what runs */

/* A new job for campaign "torture", which is made if need be; its id goes to *id. */
enum status queue_hand_in(struct client *c, uint8_t id[ID_BYTES]);

#endif
