#include "protocol/redis_login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/guarded_file.h"

struct setting_group redis_flags_group(size_t at)
{
    static const struct setting rows[] = {
        {.name = "redis-user",
         .type = SETTING_STRING,
         .offset = offsetof(struct redis_flags, user),
         .value = "NAME",
         .help = "user of Redis (its ACL), as `ferret admin keygen` makes them; default: Redis' own default"},
        {.name = "redis-password-file",
         .type = SETTING_STRING,
         .offset = offsetof(struct redis_flags, password_file),
         .value = "FILE",
         .help = "its password; nobody else may read the file"},
        {.name = "redis-password",
         .type = SETTING_STRING,
         .offset = offsetof(struct redis_flags, password),
         .value = "TEXT",
         .help = "the password itself, from the environment or a file of settings",
         .secret = true},
    };
    return (struct setting_group){
        .title = "login at Redis", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

static enum status take(struct redis_login *l, const char *text, size_t len, struct diag *why)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (len == 0 || len >= sizeof l->password || memchr(text, '\0', len))
        return diag_set(why, ST_INVALID, "the password of Redis: expected 1 to %zu characters", sizeof l->password - 1);
    memcpy(l->password, text, len);
    l->password[len] = '\0';
    return ST_OK;
}

static enum status read_file(struct redis_login *l, const char *path, struct diag *why)
{
    char *text;
    size_t len;
    enum status s = guarded_file_read(path, GUARD_SECRET, sizeof l->password + 1, &text, &len, why);
    if (s != ST_OK)
        return s;
    s = take(l, text, len, why);
    explicit_bzero(text, len);
    free(text);
    return s == ST_OK ? s : diag_wrap(why, s, "%s", path);
}

enum status redis_flags_load(const struct redis_flags *f, bool loads, struct redis_login *out, struct diag *why)
{
    out->use = NULL;
    if (f->password && f->password_file)
        return diag_set(why, ST_INVALID, "redis-password and redis-password-file: expected one of them");
    if (!f->password && !f->password_file)
        return f->user ? diag_set(why, ST_INVALID,
                                  "--redis-user %s: expected --redis-password-file or "
                                  "FERRET_REDIS_PASSWORD beside it",
                                  f->user)
                       : ST_OK;
    enum status s =
        f->password ? take(out, f->password, strlen(f->password), why) : read_file(out, f->password_file, why);
    if (s != ST_OK)
        return s;
    out->login = (struct store_login){.user = f->user ? f->user : "default", .password = out->password, .loads = loads};
    out->use = &out->login;
    return ST_OK;
}
