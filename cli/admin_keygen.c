/* `ferret admin keygen`: keys for everything that leaves a host. A folder with a key pair a role, the list of who may
 * do what, and users of Redis with their passwords; or one key more, put on that list. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/admin.h"
#include "cli/commands.h"
#include "protocol/allow_list.h"
#include "protocol/guarded_file.h"
#include "protocol/key_file.h"
#include "protocol/redis_users.h"

struct keygen_options {
    const char *out;
    struct setting_list roles, tenants;
    bool yes;
};

static const struct setting rows[] = {
    {.name = "out",
     .letter = 'o',
     .type = SETTING_STRING,
     .offset = offsetof(struct keygen_options, out),
     .fallback = "ferret-keys",
     .value = "DIR",
     .help = "the folder; made where it is not there"},
    {.name = "role",
     .type = SETTING_LIST,
     .offset = offsetof(struct keygen_options, roles),
     .value = "ROLE",
     .help = "with NAME: what its key may do: submit, work, operate"},
    {.name = "tenant",
     .type = SETTING_LIST,
     .offset = offsetof(struct keygen_options, tenants),
     .value = "NAME",
     .help = "whose campaigns keys that submit or operate may touch; default: all"},
    {.name = "yes",
     .type = SETTING_BOOL,
     .offset = offsetof(struct keygen_options, yes),
     .help = "overwrite what is there, without a question"},
};

enum { PASSWORD_HEX = 65 };
static const char ALLOW[] = "allow.json", ACL[] = "redis.acl", PUBLIC[] = "broker.pub";

struct keygen {
    const struct keygen_options *o;
    bool replace;
    struct diag *why;
};

static enum status path_in(const struct keygen *k, const char *name, const char *ending, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s%s", k->o->out, name, ending) >= PATH_MAX)
        return diag_set(k->why, ST_LIMIT, "%s: path too long", k->o->out);
    return ST_OK;
}

static enum status make_folder(const struct keygen *k)
{
    enum { OWNER_ONLY = 0700 };
    if (mkdir(k->o->out, OWNER_ONLY) != 0 && errno != EEXIST)
        return diag_set(k->why, ST_IO, "%s: %s", k->o->out, strerror(errno));
    return ST_OK;
}

/* Nothing is written where something would have to be overwritten and may not be. */
static enum status look_for(struct keygen *k, const char *name, const char *ending)
{
    char path[PATH_MAX];
    enum status s = path_in(k, name, ending, path);
    if (s != ST_OK || k->replace || access(path, F_OK) != 0)
        return s;
    if (k->o->yes ||
        confirm("%s is there already; overwrite what is in %s? Who has the old keys is locked out", path, k->o->out)) {
        k->replace = true;
        return ST_OK;
    }
    return diag_set(k->why, ST_REFUSED, "%s: is there already; --yes overwrites it", path);
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static enum status make_pair(const struct keygen *k, const char *name, struct key_file *out)
{
    char path[PATH_MAX];
    *out = (struct key_file){.name = ""};
    snprintf(out->name, sizeof out->name, "%s", name);
    enum status s = link_keypair(out->public_key, out->secret_key);
    if (s != ST_OK)
        return diag_set(k->why, s, "this ZeroMQ was built without CURVE");
    s = path_in(k, name, ".key", path);
    return s == ST_OK ? key_file_write(path, out, k->replace, k->why) : s;
}

static struct json *texts(const char *const *items, int n)
{
    struct json *list = jsn_new_array();
    for (int i = 0; i < n; i++)
        if (jsn_push(list, jsn_new_string(items[i])) != ST_OK) {
            jsn_free(list);
            return NULL;
        }
    return list;
}

/* A row of the allow-list; NULL: memory is short. */
static struct json *row_of(const struct keygen *k, const struct key_file *key, const char *const *roles, int n_roles)
{
    static const char *const all[] = {"*"};
    const struct setting_list *tenants = &k->o->tenants;
    struct json *row = jsn_new_object();
    enum status s = jsn_put(row, "name", jsn_new_string(key->name));
    if (s == ST_OK)
        s = jsn_put(row, "key", jsn_new_string(key->public_key));
    if (s == ST_OK)
        s = jsn_put(row, "roles", texts(roles, n_roles));
    if (s == ST_OK && !(n_roles == 1 && strcmp(roles[0], role_name(ROLE_WORK)) == 0))
        s = jsn_put(row, "tenants", texts(tenants->n ? tenants->items : all, tenants->n ? tenants->n : 1));
    if (s == ST_OK)
        return row;
    jsn_free(row);
    return NULL;
}

/* The list is read back as a broker does before it is written. Takes root over. */
static enum status write_list(const struct keygen *k, struct json *root, bool replace)
{
    char path[PATH_MAX];
    struct allow_list *read = NULL;
    char *text = root ? jsn_text_indented(root, 2) : NULL;
    jsn_free(root);
    enum status s = text ? path_in(k, ALLOW, "", path) : ST_NOMEM;
    if (s == ST_OK)
        s = allow_list_parse(text, strlen(text), path, &read, k->why);
    if (s == ST_OK)
        s = guarded_file_write(path, GUARD_TRUST, text, strlen(text), replace, k->why);
    allow_list_free(read);
    free(text);
    return s;
}

/* ---- Redis ------------------------------------------------------------------------------------------------------ */

static enum status draw_password(const struct keygen *k, char out[PASSWORD_HEX])
{
    uint8_t bytes[(PASSWORD_HEX - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return diag_set(k->why, ST_IO, "no random bytes for a password");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return ST_OK;
}

static enum status make_redis_users(const struct keygen *k)
{
    char passwords[REDIS_USER_COUNT_][PASSWORD_HEX], path[PATH_MAX];
    const char *list[REDIS_USER_COUNT_];
    char *acl = NULL;
    enum status s = ST_OK;
    for (int u = 0; s == ST_OK && u < REDIS_USER_COUNT_; u++) {
        list[u] = passwords[u];
        s = draw_password(k, passwords[u]);
    }
    if (s == ST_OK)
        s = redis_users_acl(list, &acl);
    for (int u = 0; s == ST_OK && u < REDIS_USER_COUNT_; u++) {
        s = path_in(k, redis_user_name((enum redis_user)u), ".redis-password", path);
        if (s == ST_OK)
            s = guarded_file_write(path, GUARD_SECRET, passwords[u], PASSWORD_HEX - 1, k->replace, k->why);
    }
    if (s == ST_OK)
        s = path_in(k, ACL, "", path);
    if (s == ST_OK)
        s = guarded_file_write(path, GUARD_SECRET, acl, strlen(acl), k->replace, k->why);
    free(acl);
    explicit_bzero(passwords, sizeof passwords);
    return s;
}

/* ---- the whole set ---------------------------------------------------------------------------------------------- */

static enum status look_for_all(struct keygen *k)
{
    static const char *const files[][2] = {
        {"broker", ".key"},  {PUBLIC, ""}, {"worker", ".key"}, {"submit", ".key"},
        {"operate", ".key"}, {ALLOW, ""},  {ACL, ""},
    };
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof files / sizeof *files; i++)
        s = look_for(k, files[i][0], files[i][1]);
    for (int u = 0; s == ST_OK && u < REDIS_USER_COUNT_; u++)
        s = look_for(k, redis_user_name((enum redis_user)u), ".redis-password");
    return s;
}

static enum status make_broker(const struct keygen *k)
{
    char path[PATH_MAX];
    struct key_file broker;
    enum status s = make_pair(k, "broker", &broker);
    if (s == ST_OK)
        s = path_in(k, PUBLIC, "", path);
    explicit_bzero(broker.secret_key, sizeof broker.secret_key);
    return s == ST_OK ? key_file_write(path, &broker, k->replace, k->why) : s;
}

static enum status make_all(struct keygen *k)
{
    static const struct {
        const char *name;
        enum role role;
    } keys[] = {{"worker", ROLE_WORK}, {"submit", ROLE_SUBMIT}, {"operate", ROLE_OPERATE}};
    enum status s = look_for_all(k);
    if (s == ST_OK)
        s = make_broker(k);
    struct json *root = jsn_new_object(), *list = jsn_new_array();
    for (size_t i = 0; s == ST_OK && i < sizeof keys / sizeof *keys; i++) {
        const char *role = role_name(keys[i].role);
        struct key_file key;
        s = make_pair(k, keys[i].name, &key);
        if (s == ST_OK)
            s = jsn_push(list, row_of(k, &key, &role, 1));
        explicit_bzero(key.secret_key, sizeof key.secret_key);
    }
    enum status put = jsn_put(root, "keys", list);
    s = s == ST_OK ? put : s;
    if (s != ST_OK) {
        jsn_free(root);
        return s;
    }
    s = write_list(k, root, k->replace);
    return s == ST_OK ? make_redis_users(k) : s;
}

/* ---- one key more ----------------------------------------------------------------------------------------------- */

/* The list as it is, without a key of that name, where there was one. */
static enum status read_list(const struct keygen *k, const char *name, struct json **out, struct json **keys)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t len;
    struct allow_list *checked = NULL;
    struct json *root = NULL, *list = jsn_new_array();
    enum status s = path_in(k, ALLOW, "", path);
    if (s == ST_OK)
        s = guarded_file_read(path, GUARD_TRUST, ALLOW_FILE_BYTES, &text, &len, k->why);
    if (s == ST_OK)
        s = allow_list_parse(text, len, path, &checked, k->why);
    if (s == ST_OK)
        s = jsn_parse(text, len, path, &root, k->why);
    const struct json *had = jsn_get(root, "keys");
    for (size_t i = 0; s == ST_OK && i < jsn_size(had); i++)
        if (strcmp(jsn_string(jsn_get(jsn_at(had, i), "name"), ""), name) != 0)
            s = jsn_push(list, jsn_copy(jsn_at(had, i)));
    jsn_free(root);
    allow_list_free(checked);
    free(text);
    if (s != ST_OK) {
        jsn_free(list);
        return s;
    }
    *out = jsn_new_object();
    *keys = list;
    return ST_OK;
}

static enum status check_name(const struct keygen *k, const char *name)
{
    if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > LIMIT_NAME_BYTES || strcmp(name, "broker") == 0)
        return diag_set(k->why, ST_INVALID, "\"%s\": expected a name for a file, not broker", name);
    if (k->o->roles.n == 0)
        return diag_set(k->why, ST_INVALID, "--role: expected submit, work or operate for \"%s\"", name);
    return ST_OK;
}

static enum status make_one(struct keygen *k, const char *name)
{
    struct json *root = NULL, *list = NULL;
    struct key_file key;
    enum status s = check_name(k, name);
    if (s == ST_OK)
        s = look_for(k, name, ".key");
    if (s == ST_OK)
        s = read_list(k, name, &root, &list);
    if (s != ST_OK)
        return s;
    s = make_pair(k, name, &key);
    explicit_bzero(key.secret_key, sizeof key.secret_key);
    if (s == ST_OK)
        s = jsn_push(list, row_of(k, &key, k->o->roles.items, k->o->roles.n));
    enum status put = jsn_put(root, "keys", list);
    s = s == ST_OK ? put : s;
    if (s == ST_OK)
        return write_list(k, root, true);
    jsn_free(root);
    return s;
}

static enum status run(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    struct keygen k = {.o = options, .why = why};
    const char *name = settings_n_args(settings) ? settings_arg(settings, 0) : NULL;
    (void)exit_code;
    if (!name && k.o->roles.n)
        return diag_set(why, ST_INVALID, "--role: expected the NAME of one key in front of it");
    enum status s = make_folder(&k);
    if (s == ST_OK)
        s = name ? make_one(&k, name) : make_all(&k);
    if (s == ST_OK)
        fprintf(stderr, "ferret admin keygen: %s; deploy/SECURITY.md says who needs which file\n", k.o->out);
    return s;
}

int admin_keygen(int argc, char **argv)
{
    struct keygen_options o = {.out = NULL};
    const struct setting_group groups[] = {{.title = "keys", .rows = rows, .n_rows = sizeof rows / sizeof *rows}};
    const struct settings_program program = {
        .name = "ferret admin keygen",
        .args = "[NAME]",
        .summary = ADMIN_KEYGEN_SUMMARY "\nWith NAME: one key more, with --role, put on the folder's allow-list.",
        .examples = "  ferret admin keygen -o /etc/ferretry\n"
                    "  ferret admin keygen acme -o /etc/ferretry --role submit --tenant acme\n",
        .max_args = 1,
        .groups = groups,
        .n_groups = 1,
    };
    return command_run(&program, argc, argv, &o, run);
}
