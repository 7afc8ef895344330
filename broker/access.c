#include "broker/access.h"

#include <stdio.h>
#include <string.h>

/* What is asked of a key beside a role: that it is for all tenants, since the message concerns them all. */
enum { EVERYBODY = 1 << 8 };

static unsigned needs(const struct message *m)
{
    const unsigned client = ROLE_SUBMIT | ROLE_OPERATE;
    switch (m->kind) {
    case MESSAGE_CAMPAIGN:
    case MESSAGE_SUBMIT:
    case MESSAGE_TRIM: return ROLE_SUBMIT;
    case MESSAGE_STATUS:
    case MESSAGE_RESULTS:
    case MESSAGE_WORKERS:
    case MESSAGE_JOB:
    case MESSAGE_REQUEUE:
    case MESSAGE_DEAD: return client;
    case MESSAGE_CAMPAIGN_SET: return m->state == CAMPAIGN_PURGED ? ROLE_OPERATE : client;
    case MESSAGE_LIST: return wire_view_is(m->name, "queue") ? ROLE_OPERATE : client;
    case MESSAGE_TENANT: return m->weight || m->quota ? ROLE_OPERATE | EVERYBODY : ROLE_OPERATE;
    case MESSAGE_DRAIN:
    case MESSAGE_FORGET: return ROLE_OPERATE | EVERYBODY;
    case MESSAGE_HELLO:
    case MESSAGE_CREDIT:
    case MESSAGE_RESUME:
    case MESSAGE_DONE:
    case MESSAGE_BEAT:
    case MESSAGE_HANDBACK:
    case MESSAGE_TWINS: return ROLE_WORK;
    default: return ROLES_ALL; /* PING; what is no message for a broker is refused as that */
    }
}

const struct allowed *access_of(const struct allow_list *list, const struct link_peer *peer)
{
    static const struct allowed everything = {.name = "", .roles = ROLES_ALL, .tenants = ""};
    if (!list || peer->trust == LINK_THIS_HOST)
        return &everything;
    return peer->trust == LINK_HAS_KEY ? allow_list_find(list, peer->key) : NULL;
}

static const char *put_roles(unsigned roles, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < N_ROLES; i++) {
        enum role r = (enum role)(1 << i);
        if (roles & r)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " or " : "", role_name(r));
    }
    return out;
}

enum status access_check(const struct allowed *who, const struct message *m, struct diag *why)
{
    enum { ROLES_TEXT = 48 };
    char needed[ROLES_TEXT], has[ROLES_TEXT];
    const char *kind = message_kind_name(m->kind);
    unsigned need = needs(m);
    if (!(who->roles & need & ROLES_ALL))
        return diag_set(why, ST_REFUSED, "%s takes the role %s; key \"%s\" has %s", kind,
                        put_roles(need, needed, sizeof needed), who->name, put_roles(who->roles, has, sizeof has));
    if (need & EVERYBODY && who->tenants[0])
        return diag_set(why, ST_REFUSED, "%s concerns all tenants; key \"%s\" is bound to some", kind, who->name);
    if (m->tenant.len && !allowed_tenant(who, m->tenant.bytes, m->tenant.len))
        return diag_set(why, ST_REFUSED, "%s: key \"%s\" is not for tenant \"%.*s\"", kind, who->name,
                        (int)m->tenant.len, (const char *)m->tenant.bytes);
    return ST_OK;
}

void access_arg_tenants(const struct allowed *who, struct store_args *args)
{
    store_arg_str(args, who->tenants);
}

bool access_sees_sessions(const struct allowed *who)
{
    return (who->roles & ROLE_OPERATE) && !who->tenants[0];
}
