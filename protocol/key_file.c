#include "protocol/key_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "protocol/guarded_file.h"

enum { FILE_MOST = 4096 };

struct reading {
    struct key_file key;
    const char *what;
    enum status status;
    struct diag *why;
};

static enum status copy(const struct json *value, char *out, size_t size)
{
    const char *text = jsn_string(value, NULL);
    if (!text || strlen(text) >= size || strlen(text) != jsn_string_len(value))
        return ST_FORMAT;
    memcpy(out, text, strlen(text) + 1);
    return ST_OK;
}

static bool take_member(void *ctx, const char *key, const struct json *value)
{
    struct reading *r = ctx;
    struct key_file *k = &r->key;
    uint8_t bytes[LINK_KEY_BYTES];
    bool is_public = strcmp(key, "public-key") == 0, is_secret = strcmp(key, "secret-key") == 0;
    if (is_public || is_secret) {
        char *to = is_public ? k->public_key : k->secret_key;
        if (copy(value, to, LINK_KEY_TEXT) != ST_OK || link_key_read(to, bytes) != ST_OK)
            r->status = diag_set(r->why, ST_FORMAT, "%s: %s: expected 40 characters of Z85", r->what, key);
    } else if (strcmp(key, "name") == 0) {
        if (copy(value, k->name, sizeof k->name) != ST_OK)
            r->status =
                diag_set(r->why, ST_FORMAT, "%s: name: expected text of at most %d bytes", r->what, LIMIT_NAME_BYTES);
    } else {
        r->status = diag_set(r->why, ST_FORMAT, "%s: \"%s\" is no member of a key file", r->what, key);
    }
    return r->status == ST_OK;
}

static enum status check_halves(const struct reading *r)
{
    char public_key[LINK_KEY_TEXT];
    if (!r->key.public_key[0])
        return diag_set(r->why, ST_FORMAT, "%s: public-key is missing", r->what);
    if (!r->key.secret_key[0])
        return ST_OK;
    if (link_public_key(r->key.secret_key, public_key) != ST_OK || strcmp(public_key, r->key.public_key) != 0)
        return diag_set(r->why, ST_INVALID, "%s: public-key is not the other half of secret-key", r->what);
    return ST_OK;
}

enum status key_file_parse(const char *text, size_t len, const char *what, struct key_file *out, struct diag *why)
{
    struct json *root = NULL;
    struct reading r = {.what = what, .why = why};
    enum status s = jsn_parse(text, len, what, &root, why);
    if (s != ST_OK)
        return s;
    if (jsn_kind(root) != JSON_KIND_OBJECT)
        r.status = diag_set(why, ST_FORMAT, "%s: expected a JSON object with public-key and secret-key", what);
    else
        jsn_each(root, take_member, &r);
    jsn_free(root);
    s = r.status == ST_OK ? check_halves(&r) : r.status;
    if (s == ST_OK)
        *out = r.key;
    return s;
}

enum status key_file_read(const char *path, bool secret, struct key_file *out, struct diag *why)
{
    char *text;
    size_t len;
    struct key_file k;
    enum status s = guarded_file_read(path, secret ? GUARD_SECRET : GUARD_TRUST, FILE_MOST, &text, &len, why);
    if (s != ST_OK)
        return s;
    s = key_file_parse(text, len, path, &k, why);
    explicit_bzero(text, len);
    free(text);
    if (s == ST_OK && secret && !k.secret_key[0])
        s = diag_set(why, ST_INVALID, "%s: a public key only; expected a pair, as `ferret admin keygen` makes it",
                     path);
    if (s == ST_OK && !secret && k.secret_key[0])
        s = diag_set(why, ST_REFUSED, "%s: has the broker's secret key, which belongs to the broker; use its .pub file",
                     path);
    if (s == ST_OK)
        *out = k;
    return s;
}

enum status key_file_write(const char *path, const struct key_file *key, bool replace, struct diag *why)
{
    struct json *o = jsn_new_object();
    enum status s = jsn_put(o, "name", jsn_new_string(key->name));
    if (s == ST_OK)
        s = jsn_put(o, "public-key", jsn_new_string(key->public_key));
    if (s == ST_OK && key->secret_key[0])
        s = jsn_put(o, "secret-key", jsn_new_string(key->secret_key));
    char *text = s == ST_OK ? jsn_text_indented(o, 2) : NULL;
    jsn_free(o);
    if (!text)
        return ST_NOMEM;
    size_t len = strlen(text);
    text[len] = '\n'; /* in place of its NUL */
    s = guarded_file_write(path, key->secret_key[0] ? GUARD_SECRET : GUARD_TRUST, text, len + 1, replace, why);
    explicit_bzero(text, len);
    free(text);
    return s;
}

enum status key_file_beside(const char *path, const char *name, char *out, size_t size, struct diag *why)
{
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    if (snprintf(out, size, "%.*s%s", folder, path, name) >= (int)size)
        return diag_set(why, ST_LIMIT, "%s: path too long", path);
    return ST_OK;
}

/* ---- of a program that connects ---------------------------------------------------------------------------------- */

struct setting_group key_flags_group(size_t at)
{
    static const struct setting rows[] = {
        {.name = "key-file",
         .type = SETTING_STRING,
         .offset = offsetof(struct key_flags, key_file),
         .value = "FILE",
         .help = "own CURVE keys, as `ferret admin keygen` makes them; tcp links are then encrypted"},
        {.name = "broker-key-file",
         .type = SETTING_STRING,
         .offset = offsetof(struct key_flags, broker_key_file),
         .value = "FILE",
         .help = "the broker's public key; default: broker.pub beside --key-file"},
        {.name = "insecure",
         .type = SETTING_BOOL,
         .offset = offsetof(struct key_flags, insecure),
         .help = "connect without keys, even to other hosts"},
    };
    return (struct setting_group){.title = "keys", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

enum status key_flags_load(const struct key_flags *f, struct key_ring *out, struct diag *why)
{
    char beside[PATH_MAX];
    out->use = NULL;
    if (!f->key_file)
        return f->broker_key_file ? diag_set(why, ST_INVALID, "--broker-key-file: expected --key-file beside it")
                                  : ST_OK;
    enum status s = key_file_read(f->key_file, true, &out->own, why);
    if (s == ST_OK && !f->broker_key_file)
        s = key_file_beside(f->key_file, "broker.pub", beside, sizeof beside, why);
    if (s == ST_OK)
        s = key_file_read(f->broker_key_file ? f->broker_key_file : beside, false, &out->broker, why);
    if (s != ST_OK)
        return s;
    out->keys = (struct link_keys){
        .public_key = out->own.public_key, .secret_key = out->own.secret_key, .server_key = out->broker.public_key};
    out->use = &out->keys;
    return ST_OK;
}
