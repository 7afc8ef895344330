/* The settings by which a program logs in at Redis: a user and its password, from a file or a variable, never from the
 * command line. */
#ifndef PROTOCOL_REDIS_LOGIN_H
#define PROTOCOL_REDIS_LOGIN_H

#include "base/settings.h"
#include "protocol/store.h"

struct redis_flags {
    const char *user, *password, *password_file;
};
struct setting_group redis_flags_group(size_t at);

struct redis_login {
    char password[513];
    struct store_login login;      /* borrows from flags and from above */
    const struct store_login *use; /* &login, or NULL where none was given: must not be copied */
};
/* loads: whether this program's user may load scripts. ST_INVALID: two passwords, or a user without one; and what
 * guarded_file_read says. */
MUST_CHECK enum status redis_flags_load(const struct redis_flags *f, bool loads, struct redis_login *out,
                                        struct diag *why);

#endif
