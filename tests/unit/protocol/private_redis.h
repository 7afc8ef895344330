/* A redis-server of its own for one test: a Unix socket in a fresh folder, gone with the test. */
#ifndef TESTS_PRIVATE_REDIS_H
#define TESTS_PRIVATE_REDIS_H

#include <stdbool.h>
#include <sys/types.h>

#include "protocol/store.h"

struct private_redis {
    char dir[64], socket[96];
    pid_t pid;
};
/* Skips the test where redis-server is not installed. `fsync`: value of appendfsync. */
void private_redis_start(struct private_redis *r, const char *fsync);
void private_redis_again(struct private_redis *r, const char *fsync); /* after a kill, on the same data */
void private_redis_kill(struct private_redis *r);
void private_redis_stop(struct private_redis *r); /* removes the folder */
void private_redis_forget_scripts(const struct private_redis *r);
void private_redis_set(const struct private_redis *r, const char *name, const char *value);       /* CONFIG SET */
long long private_redis_field(const struct private_redis *r, const char *key, const char *field); /* 0: none */
struct store *private_redis_store(const struct private_redis *r);

#endif
