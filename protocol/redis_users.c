#include "protocol/redis_users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "protocol/script_commands.h"

/* loads: its scripts, where Redis has them not yet. extra: what programs call beside scripts: the check of Redis'
 * settings, and the nodes of a cluster. */
static const struct {
    const char *name, *extra;
} users[REDIS_USER_COUNT_] = {
    [REDIS_USER_BROKER] = {"ferret-broker",
                           " +ping +exists +script|load +config|get +info +wait +cluster|slots +asking"},
    [REDIS_USER_WORKER] = {"ferret-worker", " +ping +exists +cluster|slots +asking"},
    [REDIS_USER_FSCK] = {"ferret-fsck", " +ping +exists +script|load +cluster|slots +asking"},
    [REDIS_USER_ADMIN] = {"admin", ""},
};

const char *redis_user_name(enum redis_user u)
{
    return users[u].name;
}

static bool is_fsck(enum script s)
{
    return s == SCRIPT_FSCK_WALK || s == SCRIPT_FSCK_LOOK || s == SCRIPT_FSCK_FIX;
}

static bool runs(enum redis_user u, enum script s)
{
    switch (u) {
    case REDIS_USER_BROKER: return !is_fsck(s);
    case REDIS_USER_WORKER:
        return s == SCRIPT_FINISH || s == SCRIPT_HEARTBEAT || s == SCRIPT_HANDBACK || s == SCRIPT_TWINS;
    case REDIS_USER_FSCK: return is_fsck(s) || s == SCRIPT_BOOT; /* how many shards there are */
    case REDIS_USER_ADMIN:
    case REDIS_USER_COUNT_: break;
    }
    return false;
}

static enum status put_user(FILE *f, enum redis_user u, const char *password)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256_of(password, strlen(password), digest);
    sha256_hex(digest, hex);
    fprintf(f, "user %s on #%s", users[u].name, hex);
    if (u == REDIS_USER_ADMIN) {
        fputs(" ~* &* +@all\n", f);
        return ST_OK;
    }
    struct script_commands commands = {.n = 0};
    for (int s = 0; s < SCRIPT_COUNT_; s++) {
        enum status st = runs(u, (enum script)s) ? script_commands_add(&commands, (enum script)s) : ST_OK;
        if (st != ST_OK)
            return st;
    }
    fprintf(f, " resetchannels ~{q:* -@all +evalsha%s", users[u].extra);
    for (size_t i = 0; i < commands.n; i++)
        fprintf(f, " +%s", commands.names[i]); /* one that stands in both counts once */
    fputc('\n', f);
    return ST_OK;
}

enum status redis_users_acl(const char *const passwords[REDIS_USER_COUNT_], char **text)
{
    char *out = NULL;
    size_t len;
    FILE *f = open_memstream(&out, &len);
    if (!f)
        return ST_NOMEM;
    fputs("user default off\n", f);
    enum status s = ST_OK;
    for (int u = 0; s == ST_OK && u < REDIS_USER_COUNT_; u++)
        s = put_user(f, (enum redis_user)u, passwords[u]);
    bool failed = ferror(f);
    if (fclose(f) != 0 || failed)
        s = ST_NOMEM;
    if (s != ST_OK) {
        free(out);
        return s;
    }
    *text = out;
    return ST_OK;
}
