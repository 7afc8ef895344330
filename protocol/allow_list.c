#include "protocol/allow_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "protocol/guarded_file.h"

struct allow_list {
    struct allowed *items; /* by key */
    size_t n;
};

static const struct {
    const char *name;
    enum role role;
} roles[N_ROLES] = {{"submit", ROLE_SUBMIT}, {"work", ROLE_WORK}, {"operate", ROLE_OPERATE}};

const char *role_name(enum role r)
{
    for (int i = 0; i < N_ROLES; i++)
        if (roles[i].role == r)
            return roles[i].name;
    return "?";
}

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return len > 0 && len <= LIMIT_NAME_BYTES;
}

bool allowed_tenant(const struct allowed *who, const void *tenant, size_t len)
{
    char line[LIMIT_NAME_BYTES + 3];
    if (!who->tenants[0])
        return true;
    if (!is_name(tenant, len))
        return false;
    snprintf(line, sizeof line, "\n%.*s\n", (int)len, (const char *)tenant);
    return strstr(who->tenants, line) != NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    const char *what; /* the file */
    size_t at;        /* key of it, from 0 */
    struct diag *why;
};

static enum status wrong(const struct reading *r, enum status s, const char *field, const char *expected)
{
    return diag_set(r->why, s, "%s: key %zu: %s: expected %s", r->what, r->at + 1, field, expected);
}

static enum status read_roles(const struct reading *r, const struct json *list, unsigned *out)
{
    unsigned found = 0;
    for (size_t i = 0; i < jsn_size(list) && jsn_kind(list) == JSON_KIND_ARRAY; i++) {
        unsigned one = 0;
        for (int k = 0; k < N_ROLES; k++)
            if (strcmp(jsn_string(jsn_at(list, i), ""), roles[k].name) == 0)
                one = roles[k].role;
        if (!one)
            return wrong(r, ST_INVALID, "roles", "submit, work or operate");
        found |= one;
    }
    if (!found)
        return wrong(r, ST_INVALID, "roles", "a list with at least one of submit, work, operate");
    *out = found;
    return ST_OK;
}

static bool is_all(const struct json *list)
{
    return jsn_size(list) == 1 && strcmp(jsn_string(jsn_at(list, 0), ""), "*") == 0;
}

static enum status read_tenants(const struct reading *r, const struct json *list, const char **out)
{
    const char expected[] = "a list of tenants, or [\"*\"] for all";
    if (jsn_kind(list) != JSON_KIND_ARRAY || jsn_size(list) == 0)
        return wrong(r, ST_INVALID, "tenants", expected);
    if (jsn_size(list) > ALLOW_TENANTS)
        return wrong(r, ST_LIMIT, "tenants", "at most 64");
    char *text = malloc(jsn_size(list) * (LIMIT_NAME_BYTES + 1) + 2);
    if (!text)
        return ST_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < jsn_size(list) && !is_all(list); i++) {
        const struct json *item = jsn_at(list, i);
        const char *name = jsn_string(item, "");
        if (!is_name(name, jsn_string_len(item)) || strcmp(name, "*") == 0) {
            free(text);
            return wrong(r, ST_INVALID, "tenants", expected);
        }
        text[len++] = '\n';
        memcpy(text + len, name, strlen(name));
        len += strlen(name);
    }
    if (len)
        text[len++] = '\n';
    text[len] = '\0';
    *out = text;
    return ST_OK;
}

static bool is_known_member(void *ctx, const char *key, const struct json *value)
{
    static const char *const members[] = {"name", "key", "roles", "tenants"};
    const char **unknown = ctx;
    (void)value;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(key, members[i]) == 0)
            return true;
    *unknown = key;
    return false;
}

static enum status read_key(const struct reading *r, const struct json *o, struct allowed *out)
{
    const struct json *name = jsn_get(o, "name"), *tenants = jsn_get(o, "tenants");
    const char *unknown = NULL;
    if (jsn_kind(o) != JSON_KIND_OBJECT)
        return wrong(r, ST_FORMAT, "it", "an object");
    jsn_each(o, is_known_member, &unknown);
    if (unknown)
        return wrong(r, ST_INVALID, unknown, "name, key, roles or tenants");
    if (name && !is_name(jsn_string(name, ""), jsn_string_len(name)))
        return wrong(r, ST_INVALID, "name", "text of 1 to 128 bytes");
    snprintf(out->name, sizeof out->name, "%s", jsn_string(name, ""));
    if (link_key_read(jsn_string(jsn_get(o, "key"), ""), out->key) != ST_OK)
        return wrong(r, ST_INVALID, "key", "a public key, 40 characters of Z85");
    enum status s = read_roles(r, jsn_get(o, "roles"), &out->roles);
    if (s != ST_OK)
        return s;
    if (out->roles != ROLE_WORK)
        return read_tenants(r, tenants, &out->tenants);
    if (tenants)
        return wrong(r, ST_INVALID, "tenants", "none beside the role work alone: a worker runs everybody's jobs");
    out->tenants = strdup("");
    return out->tenants ? ST_OK : ST_NOMEM;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct allowed *)a)->key, ((const struct allowed *)b)->key, LINK_KEY_BYTES);
}

static enum status read_keys(struct reading *r, const struct json *list, struct allow_list *l)
{
    size_t n = jsn_size(list);
    if (jsn_kind(list) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "%s: expected {\"keys\": [...]}", r->what);
    if (n > ALLOW_KEYS)
        return diag_set(r->why, ST_LIMIT, "%s: %zu keys, at most %d", r->what, n, ALLOW_KEYS);
    l->items = calloc(n + 1, sizeof *l->items);
    if (!l->items)
        return ST_NOMEM;
    for (r->at = 0; r->at < n; r->at++) {
        enum status s = read_key(r, jsn_at(list, r->at), &l->items[l->n++]);
        if (s != ST_OK)
            return s;
    }
    qsort(l->items, l->n, sizeof *l->items, by_key);
    for (size_t i = 1; i < l->n; i++)
        if (by_key(&l->items[i - 1], &l->items[i]) == 0)
            return diag_set(r->why, ST_INVALID, "%s: \"%s\" and \"%s\" are the same key", r->what, l->items[i - 1].name,
                            l->items[i].name);
    return ST_OK;
}

enum status allow_list_parse(const char *text, size_t len, const char *what, struct allow_list **out, struct diag *why)
{
    struct json *root = NULL;
    struct reading r = {.what = what, .why = why};
    enum status s = jsn_parse(text, len, what, &root, why);
    if (s != ST_OK)
        return s;
    struct allow_list *l = calloc(1, sizeof *l);
    if (!l)
        s = ST_NOMEM;
    else if (jsn_size(root) != 1)
        s = diag_set(why, ST_FORMAT, "%s: expected {\"keys\": [...]} and nothing else", what);
    else
        s = read_keys(&r, jsn_get(root, "keys"), l);
    jsn_free(root);
    if (s != ST_OK) {
        allow_list_free(l);
        return s;
    }
    *out = l;
    return ST_OK;
}

enum status allow_list_read(const char *path, struct allow_list **out, struct diag *why)
{
    char *text;
    size_t len;
    enum status s = guarded_file_read(path, GUARD_TRUST, ALLOW_FILE_BYTES, &text, &len, why);
    if (s != ST_OK)
        return s;
    s = allow_list_parse(text, len, path, out, why);
    free(text);
    return s;
}

void allow_list_free(struct allow_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        free((char *)(uintptr_t)l->items[i].tenants);
    free(l->items);
    free(l);
}

size_t allow_list_size(const struct allow_list *l)
{
    return l->n;
}

const struct allowed *allow_list_find(const struct allow_list *l, const uint8_t key[LINK_KEY_BYTES])
{
    struct allowed wanted = {.roles = 0};
    memcpy(wanted.key, key, LINK_KEY_BYTES);
    return l->n ? bsearch(&wanted, l->items, l->n, sizeof *l->items, by_key) : NULL;
}
