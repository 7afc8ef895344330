/* The conversation as text (spec 6.4) and the questions behind the task kinds. */
#ifndef MODEL_PROMPT_H
#define MODEL_PROMPT_H

#include "base/status.h"
#include "model/config.h"
#include "model/region.h"

/* turns: user, assistant, user, ...: odd count, regions already written as text + " <region_fea>". Any <image> in them
 * is removed; the first user turn gets "<image>\n" in front. Empty turns are ST_INVALID. *out malloc'ed. */
MUST_CHECK enum status prompt_render(const struct template_config *t, const char *const *turns, int n_turns, char **out,
                                     struct diag *why);
/* Replaces "{regionN}" (N = index into regions) and "{region}" (= the next one) by "[..] <region_fea>"; order[]
 * (capacity max_order) gets the region index of each mention in order of appearance, since the k-th region token takes
 * the k-th feature. A mention of an unknown region is ST_INVALID. A text may also hold plain coordinates of its own.
 * *out malloc'ed. */
MUST_CHECK enum status prompt_place_regions(const char *text, const struct region *regions, int n_regions, int *next,
                                            char **out, int *order, int max_order, int *n_order, struct diag *why);
/* Questions of the task kinds. *out malloc'ed; describe's still holds "{region}". */
MUST_CHECK enum status prompt_caption(const struct task_texts *t, char **out);
MUST_CHECK enum status prompt_describe(const struct task_texts *t, char **out);
MUST_CHECK enum status prompt_locate(const struct task_texts *t, const char *const *phrases, int n, char **out);

#endif
