#include "protocol/allow_list.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/guarded_file.h"
#include "protocol/key_file.h"

/* Key i, as text: forty of one character. */
static const char *key_of(int i, char out[LINK_KEY_TEXT])
{
    memset(out, "abcdef"[i], LINK_KEY_TEXT - 1);
    out[LINK_KEY_TEXT - 1] = '\0';
    return out;
}

static enum status parse(const char *keys, struct allow_list **out, struct diag *why)
{
    char text[2048], a[LINK_KEY_TEXT], b[LINK_KEY_TEXT], *at;
    snprintf(text, sizeof text, "{\"keys\": [%s]}", keys);
    key_of(0, a);
    key_of(1, b);
    while ((at = strstr(text, "$A")) || (at = strstr(text, "$B"))) {
        char rest[2048];
        snprintf(rest, sizeof rest, "%s", at + 2);
        snprintf(at, sizeof text - (size_t)(at - text), "%s%s", at[1] == 'A' ? a : b, rest);
    }
    return allow_list_parse(text, strlen(text), "allow.json", out, why);
}

static const struct allowed *find(const struct allow_list *l, int i)
{
    char text[LINK_KEY_TEXT];
    uint8_t key[LINK_KEY_BYTES];
    cr_assert_eq(link_key_read(key_of(i, text), key), ST_OK);
    return allow_list_find(l, key);
}

Test(allow_list, keys_are_found_with_their_roles_and_tenants)
{
    struct allow_list *l;
    struct diag why = {""};
    cr_assert_eq(parse("{\"name\": \"b\", \"key\": \"$B\", \"roles\": [\"work\"]},"
                       "{\"key\": \"$A\", \"roles\": [\"submit\", \"operate\"], \"tenants\": [\"acme\", \"x y\"]}",
                       &l, &why),
                 ST_OK, "%s", why.text);
    cr_assert_eq(allow_list_size(l), 2);
    const struct allowed *a = find(l, 0), *b = find(l, 1);
    cr_assert(a && b && !find(l, 2));
    cr_assert_eq(a->roles, ROLE_SUBMIT | ROLE_OPERATE);
    cr_assert_eq(b->roles, ROLE_WORK);
    cr_assert_str_eq(b->name, "b");
    cr_assert(allowed_tenant(a, "acme", 4) && allowed_tenant(a, "x y", 3));
    static const char *const others[] = {"acm", "acme2", "me", "", "acme\nx y", "\nacme\n", "*"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(allowed_tenant(a, others[i], strlen(others[i])), "%s", others[i]);
    cr_assert_not(allowed_tenant(a, "acme\0x", 6));
    allow_list_free(l);
}

Test(allow_list, a_star_is_every_tenant)
{
    struct allow_list *l;
    cr_assert_eq(parse("{\"key\": \"$A\", \"roles\": [\"submit\"], \"tenants\": [\"*\"]}", &l, NULL), ST_OK);
    cr_assert(allowed_tenant(find(l, 0), "whoever", 7));
    allow_list_free(l);
}

Test(allow_list, what_is_wrong_is_named)
{
    static const struct {
        const char *keys, *says;
    } wrong[] = {
        {"{\"key\": \"$A\", \"roles\": [\"submit\"]}", "key 1: tenants"},
        {"{\"key\": \"$A\", \"roles\": [\"submit\"], \"tenants\": []}", "key 1: tenants"},
        {"{\"key\": \"$A\", \"roles\": [\"submit\"], \"tenants\": [\"*\", \"a\"]}", "key 1: tenants"},
        {"{\"key\": \"$A\", \"roles\": [\"submit\"], \"tenants\": [\"a\\nb\"]}", "key 1: tenants"},
        {"{\"key\": \"$A\", \"roles\": [\"work\"], \"tenants\": [\"a\"]}", "key 1: tenants"},
        {"{\"key\": \"$A\", \"roles\": [\"work\"]}, {\"key\": \"$B\", \"roles\": [\"root\"]}", "key 2: roles"},
        {"{\"key\": \"$A\", \"roles\": []}", "key 1: roles"},
        {"{\"key\": \"$A\", \"roles\": \"work\"}", "key 1: roles"},
        {"{\"key\": \"short\", \"roles\": [\"work\"]}", "key 1: key"},
        {"{\"roles\": [\"work\"]}", "key 1: key"},
        {"{\"key\": \"$A\", \"roles\": [\"work\"], \"role\": 1}", "key 1: role:"},
        {"{\"name\": \"\", \"key\": \"$A\", \"roles\": [\"work\"]}", "key 1: name"},
        {"{\"name\":\"p\",\"key\":\"$A\",\"roles\":[\"work\"]}, {\"name\":\"q\",\"key\":\"$A\",\"roles\":[\"work\"]}",
         "are the same key"},
        {"7", "key 1: it"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct allow_list *l = NULL;
        struct diag why = {""};
        cr_assert_neq(parse(wrong[i].keys, &l, &why), ST_OK, "%s", wrong[i].keys);
        cr_assert(strstr(why.text, wrong[i].says), "%s: %s", wrong[i].keys, why.text);
        cr_assert_null(l);
    }
    struct allow_list *l = NULL;
    cr_assert_eq(allow_list_parse("[]", 2, "f", &l, NULL), ST_FORMAT);
    cr_assert_eq(allow_list_parse("{\"keys\":[],\"more\":1}", 22, "f", &l, NULL), ST_FORMAT);
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/ferretry-keys-XXXXXX";
static char path[64], other[64];

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.key", folder);
    snprintf(other, sizeof other, "%s/broker.pub", folder);
}
static void remove_folder(void)
{
    unlink(path);
    unlink(other);
    rmdir(folder);
}
TestSuite(key_file, .init = make_folder, .fini = remove_folder);

static struct key_file fresh(void)
{
    struct key_file k = {.name = "a"};
    cr_assert_eq(link_keypair(k.public_key, k.secret_key), ST_OK);
    return k;
}

Test(key_file, what_is_written_is_read_again_and_belongs_to_its_owner_alone)
{
    struct key_file k = fresh(), found;
    struct diag why = {""};
    struct stat st;
    cr_assert_eq(key_file_write(path, &k, false, &why), ST_OK, "%s", why.text);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    cr_assert_eq(key_file_read(path, true, &found, &why), ST_OK, "%s", why.text);
    cr_assert(strcmp(found.secret_key, k.secret_key) == 0 && strcmp(found.name, "a") == 0);
}

Test(key_file, one_that_is_there_is_not_overwritten_unsaid)
{
    struct key_file a = fresh(), b = fresh(), found;
    cr_assert_eq(key_file_write(path, &a, false, NULL), ST_OK);
    cr_assert_eq(key_file_write(path, &b, false, NULL), ST_REFUSED);
    cr_assert_eq(key_file_read(path, true, &found, NULL), ST_OK);
    cr_assert_str_eq(found.public_key, a.public_key);
    cr_assert_eq(key_file_write(path, &b, true, NULL), ST_OK);
    cr_assert_eq(key_file_read(path, true, &found, NULL), ST_OK);
    cr_assert_str_eq(found.public_key, b.public_key);
}

Test(key_file, a_secret_that_others_can_read_is_refused)
{
    struct key_file k = fresh();
    struct diag why = {""};
    static const mode_t modes[] = {0640, 0604, 0660, 0622};
    cr_assert_eq(key_file_write(path, &k, false, NULL), ST_OK);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        cr_assert_eq(chmod(path, modes[i]), 0);
        cr_assert_eq(key_file_read(path, true, &k, &why), ST_REFUSED, "%o", (unsigned)modes[i]);
        cr_assert(strstr(why.text, "chmod 600"), "%s", why.text);
    }
}

Test(key_file, a_list_that_others_can_write_is_refused)
{
    struct allow_list *l;
    cr_assert_eq(guarded_file_write(path, GUARD_TRUST, "{\"keys\":[]}", 11, false, NULL), ST_OK);
    cr_assert_eq(allow_list_read(path, &l, NULL), ST_OK);
    allow_list_free(l);
    cr_assert_eq(chmod(path, 0664), 0);
    cr_assert_eq(allow_list_read(path, &l, NULL), ST_REFUSED);
}

Test(key_file, halves_that_do_not_fit_are_refused)
{
    struct key_file a = fresh(), b = fresh(), found;
    struct diag why = {""};
    memcpy(a.public_key, b.public_key, sizeof a.public_key);
    cr_assert_eq(key_file_write(path, &a, false, NULL), ST_OK);
    cr_assert_eq(key_file_read(path, true, &found, &why), ST_INVALID);
    cr_assert(strstr(why.text, "other half"), "%s", why.text);
}

Test(key_file, the_brokers_public_key_is_found_beside_ones_own)
{
    struct key_file own = fresh(), broker = fresh(), whole = broker;
    struct key_flags f = {.key_file = path};
    struct key_ring ring;
    struct diag why = {""};
    cr_assert_eq(key_file_write(path, &own, false, NULL), ST_OK);
    cr_assert_eq(key_flags_load(&f, &ring, &why), ST_MISSING);
    broker.secret_key[0] = '\0';
    cr_assert_eq(key_file_write(other, &broker, false, NULL), ST_OK);
    cr_assert_eq(key_flags_load(&f, &ring, &why), ST_OK, "%s", why.text);
    cr_assert_str_eq(ring.use->server_key, broker.public_key);
    cr_assert_str_eq(ring.use->secret_key, own.secret_key);
    cr_assert_eq(key_file_write(other, &whole, true, NULL), ST_OK);
    cr_assert_eq(chmod(other, 0600), 0);
    cr_assert_eq(key_flags_load(&f, &ring, &why), ST_REFUSED, "the broker's secret is not a client's to have");
}
