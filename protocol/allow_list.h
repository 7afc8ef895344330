/* Who may do what at a broker: a file of public keys with roles and tenants,
 *   {"keys": [{"name": "submit", "key": Z85, "roles": ["submit"], "tenants": ["acme"]}, ...]}
 * Roles: submit (campaigns, jobs and results of its tenants), work (a worker), operate (what `ferret admin` does, for
 * its tenants). tenants: names, or "*" alone for all; a key that only works has none, since a worker runs the jobs of
 * everybody. PROTOCOL.md says which message takes which role. Immutable once read. */
#ifndef PROTOCOL_ALLOW_LIST_H
#define PROTOCOL_ALLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/limits.h"
#include "protocol/link.h"

enum role { ROLE_SUBMIT = 1, ROLE_WORK = 2, ROLE_OPERATE = 4, ROLES_ALL = 7 };
enum { ALLOW_FILE_BYTES = 1 << 20, ALLOW_KEYS = 4096, ALLOW_TENANTS = 64, N_ROLES = 3 };
const char *role_name(enum role r); /* "submit"; "?" for none */

struct allowed {
    char name[LIMIT_NAME_BYTES + 1];
    uint8_t key[LINK_KEY_BYTES];
    unsigned roles;
    const char *tenants; /* each between line ends, "\nacme\nbeta\n"; "": all */
};
/* Whether a tenant is one of its. A name with a control character never is. */
bool allowed_tenant(const struct allowed *who, const void *tenant, size_t len);

struct allow_list;
/* ST_FORMAT, ST_INVALID, ST_LIMIT: the sentence names the key. The caller owns *out: allow_list_free. */
MUST_CHECK enum status allow_list_parse(const char *text, size_t len, const char *what, struct allow_list **out,
                                        struct diag *why);
/* The same from a file that nobody else may write. */
MUST_CHECK enum status allow_list_read(const char *path, struct allow_list **out, struct diag *why);
void allow_list_free(struct allow_list *l); /* NULL is fine */
size_t allow_list_size(const struct allow_list *l);
/* Borrowed; NULL: not on the list. */
const struct allowed *allow_list_find(const struct allow_list *l, const uint8_t key[LINK_KEY_BYTES]);

#endif
