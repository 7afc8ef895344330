/* Who may come in: the allow-list in force, and the gate at which ZeroMQ asks. The file is looked at once a second, and
 * at once when told (SIGHUP); one that can't be read is said so, and the list that was stays in force. */
#ifndef BROKER_GUARD_H
#define BROKER_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "protocol/allow_list.h"
#include "protocol/link.h"

struct guard;
/* Before the routers of the context are opened. path is borrowed. */
MUST_CHECK enum status guard_open(struct link_context *c, const char *path, const struct log *log, struct guard **out,
                                  struct diag *why);
void guard_close(struct guard *g); /* NULL is fine */

struct link *guard_gate(struct guard *g);             /* to be waited for */
const struct allow_list *guard_list(struct guard *g); /* good until the next guard_tick */
/* Answers who stands at the gate; reads the file again when it has changed, or *reload is set, which it clears. True:
 * another list is in force, and the old one is gone. */
bool guard_tick(struct guard *g, volatile sig_atomic_t *reload, int64_t now_ms);

#endif
