/* Inside of the link: what waiting (link_wait.c) needs of a socket (link.c). */
#ifndef PROTOCOL_LINK_IMPL_H
#define PROTOCOL_LINK_IMPL_H

#include "protocol/link.h"

int link_fd(const struct link *l); /* readable: there is news for it that ZeroMQ was not asked for yet */
/* Fills in what is ready, by ZeroMQ's last answer where that still holds: nothing was done with the link since, and no
 * news came. */
void link_look(struct link_poll *p, bool news);

#endif
