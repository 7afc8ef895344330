/* Which commands of Redis the scripts call: what a user of Redis who runs them needs leave for. Read off the scripts'
 * own text, so that no list has to follow them: each call names its command (call('HGET', ...)). */
#ifndef PROTOCOL_SCRIPT_COMMANDS_H
#define PROTOCOL_SCRIPT_COMMANDS_H

#include <stddef.h>

#include "base/status.h"
#include "protocol/store_args.h"

enum { COMMANDS_MOST = 96, COMMAND_BYTES = 23 };
struct script_commands {
    char names[COMMANDS_MOST][COMMAND_BYTES + 1]; /* lower case, in order, each once */
    size_t n;
};
/* Adds those of one script and of what it comes by. ST_NOMEM. */
MUST_CHECK enum status script_commands_add(struct script_commands *c, enum script s);

#endif
