/* Names of the sockets that `ferret up` keeps in its data folder, and where Redis listens there. */
#ifndef PROTOCOL_PATHS_H
#define PROTOCOL_PATHS_H

#include <stddef.h>

#include "base/status.h"

enum { PATHS_BYTES = 256, PATHS_BROKERS = 8, PATHS_LIST_BYTES = PATHS_BROKERS * PATHS_BYTES };

#define PATHS_REDIS_SOCKET "redis.sock"
#define PATHS_CLIENT_SOCKET "broker.client.ipc" /* of the first broker; the next one's: broker-1.client.ipc ... */
#define PATHS_WORKER_SOCKET "broker.worker.ipc"

/* A Unix socket's path is short (108 bytes): ST_LIMIT names the folder that is too long. `out` has PATHS_BYTES. */
MUST_CHECK enum status paths_redis(const char *data_dir, char *out, struct diag *why);  /* DIR/redis.sock */
MUST_CHECK enum status paths_client(const char *data_dir, char *out, struct diag *why); /* ipc://DIR/... */
MUST_CHECK enum status paths_worker(const char *data_dir, char *out, struct diag *why);
/* Of the broker of that number, below PATHS_BROKERS; 0 is the first one. */
MUST_CHECK enum status paths_client_of(const char *data_dir, int broker, char *out, struct diag *why);
MUST_CHECK enum status paths_worker_of(const char *data_dir, int broker, char *out, struct diag *why);
/* Of all brokers that are there, joined by commas, and how many these are; where there are none, the first one's.
 * `out` has PATHS_LIST_BYTES. */
MUST_CHECK enum status paths_clients(const char *data_dir, char *out, int *n, struct diag *why);
MUST_CHECK enum status paths_workers(const char *data_dir, char *out, int *n, struct diag *why);
/* Adds an address to such a list, which begins as "". */
void paths_join(char *list, const char *address);

enum { PORT_CLIENT = 7411, PORT_WORKER = 7412 };

#endif
