/* Lines of OpenAI's batch files ({"custom_id", "method", "url", "body"}) as objects of our manifests. Inside of
 * formats/read. */
#ifndef FORMATS_READ_OPENAI_H
#define FORMATS_READ_OPENAI_H

#include <stdbool.h>

#include "base/json.h"
#include "base/status.h"

/* Whether a line is one of them. */
bool openai_is_line(const struct json *v);
/* The job that a chat completion with one image asks for: its texts become the turns of an `ask` (a system text stands
 * in front of the first one); without a text the defaults' tasks hold. The caller owns *out. ST_FORMAT, ST_INVALID:
 * names the member. */
MUST_CHECK enum status openai_job(const struct json *line, struct json **out, struct diag *why);

#endif
