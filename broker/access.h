/* Which message takes which role (PROTOCOL.md, "Roles"), and whose campaigns a peer may touch. */
#ifndef BROKER_ACCESS_H
#define BROKER_ACCESS_H

#include "base/status.h"
#include "protocol/allow_list.h"
#include "protocol/message.h"
#include "protocol/store_args.h"

/* Who sent a message. list: NULL where nobody is asked (private sockets, --insecure): then, and for peers of this host
 * where somebody is, everything is allowed. NULL: its key is not on the list (any more). Borrowed from the list. */
const struct allowed *access_of(const struct allow_list *list, const struct link_peer *peer);

/* ST_REFUSED: it lacks a role, or what the message names is another tenant's; the sentence names both. Whose a campaign
 * or a job is, is known to Redis alone: the scripts check it (access_arg_tenants). */
MUST_CHECK enum status access_check(const struct allowed *who, const struct message *m, struct diag *why);

/* For the script that a message becomes: whose campaigns count as there. */
void access_arg_tenants(const struct allowed *who, struct store_args *args);
/* Whether it may know the names of sessions: who knows one can speak for that worker. */
bool access_sees_sessions(const struct allowed *who);

#endif
