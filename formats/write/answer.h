/* An answer without the coordinates in it: plain text, and where each phrase stands there. Inside of formats/write. */
#ifndef FORMATS_WRITE_ANSWER_H
#define FORMATS_WRITE_ANSWER_H

#include <stddef.h>

#include "base/json.h"
#include "base/status.h"

struct answer_phrase {
    size_t from, to;                     /* bytes of the plain text */
    size_t character_from, character_to; /* the same in code points */
    const struct json *entity;           /* with its boxes; borrowed from the record */
};
struct answer {
    char *text;
    struct answer_phrase *phrases; /* ascending, none overlaps another */
    size_t n;
};
/* task: an entry of a record's tasks, without an error. An answer that is boxes alone (of a phrase that was looked for)
 * reads as the phrases that were asked for. ST_NOMEM. The caller owns *out: answer_fini. */
MUST_CHECK enum status answer_read(const struct json *task, struct answer *out);
void answer_fini(struct answer *a);

/* What an entity is called: its phrase, or what was looked for where the answer is boxes alone. Borrowed. */
const char *answer_entity_name(const struct json *task, size_t index);

/* The word that says what a phrase is about, lower case: "a large duck of rubber" -> "duck". Cut at `size`. */
void answer_head(const char *phrase, char *out, size_t size);

#endif
