/* Users of Redis, one for each role, as an ACL file has them. Each may run scripts and what its scripts call, on the
 * keys of the queue, and nothing else; the user "default" is off. Redis has no leave for a command inside of a script
 * alone: whoever may finish work may also write those keys by hand, and is trusted with the queue. */
#ifndef PROTOCOL_REDIS_USERS_H
#define PROTOCOL_REDIS_USERS_H

#include "base/status.h"

enum redis_user {
    REDIS_USER_BROKER,
    REDIS_USER_WORKER, /* on the direct route: ends of work, beats, jobs handed back; it loads no script */
    REDIS_USER_FSCK,
    REDIS_USER_ADMIN, /* of people: everything */
    REDIS_USER_COUNT_
};
const char *redis_user_name(enum redis_user u); /* "ferret-broker" */

/* The file's text, malloc'ed; passwords stand in it as SHA-256. ST_NOMEM. */
MUST_CHECK enum status redis_users_acl(const char *const passwords[REDIS_USER_COUNT_], char **text);

#endif
