/* Names of the sockets that `ferret up` keeps in its data folder, and where Redis listens there. */
#ifndef PROTOCOL_PATHS_H
#define PROTOCOL_PATHS_H

#include <stddef.h>

#include "base/status.h"

enum { PATHS_BYTES = 256 };

#define PATHS_REDIS_SOCKET "redis.sock"
#define PATHS_CLIENT_SOCKET "broker.client.ipc"
#define PATHS_WORKER_SOCKET "broker.worker.ipc"

/* A Unix socket's path is short (108 bytes): ST_LIMIT names the folder that is too long. `out` has PATHS_BYTES. */
MUST_CHECK enum status paths_redis(const char *data_dir, char *out, struct diag *why);  /* DIR/redis.sock */
MUST_CHECK enum status paths_client(const char *data_dir, char *out, struct diag *why); /* ipc://DIR/... */
MUST_CHECK enum status paths_worker(const char *data_dir, char *out, struct diag *why);

enum { PORT_CLIENT = 7411, PORT_WORKER = 7412 };

#endif
