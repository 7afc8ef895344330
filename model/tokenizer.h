/* Text <-> ids in the exact regime of spec 6.3: SentencePiece pieces between special tokens, each with its own dummy
 * prefix, white space around <region_fea> stripped. The .cc file is the only includer of sentencepiece. A tokenizer may
 * be used by several threads at once. */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { TOKEN_IMAGE = -200 }; /* stands for the image's rows in an id list */

struct tokenizer;
/* dir holds tokenizer.model; region_id: id of <region_fea> (config). */
MUST_CHECK enum status tokenizer_open(const char *dir, int region_id, struct tokenizer **out, struct diag *why);
void tokenizer_close(struct tokenizer *t);
int tokenizer_vocab(const struct tokenizer *t); /* ids 0 .. vocab-1, <region_fea> included */

/* Ids of one text with BOS in front. *ids is malloc'ed, the caller frees it. text need not be NUL-terminated. */
MUST_CHECK enum status tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, int32_t **ids, int *n,
                                        struct diag *why);
/* A rendered prompt: split on "<image>", chunks tokenised alone, TOKEN_IMAGE between them (spec 6.3). */
MUST_CHECK enum status tokenizer_encode_prompt(const struct tokenizer *t, const char *prompt, size_t len, int32_t **ids,
                                               int *n, struct diag *why);
/* The clean answer text of generated ids: special tokens skipped, the ten old clean-up replacements if `cleanup`,
 * stripped, trailing "</s>" dropped, stripped (spec 7.2). *text malloc'ed, NUL-terminated, valid UTF-8 (bad sequences
 * print U+FFFD). token_end (may be NULL): n entries; byte offset in *text behind which token i has been printed,
 * monotone, clamped to the text's length (maps tokens to bytes for scores). */
MUST_CHECK enum status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int n, bool cleanup, char **text,
                                        size_t *token_end, struct diag *why);

/* Streaming: bytes that are final so far; never half a UTF-8 sequence. Neither cleaned up nor stripped. */
struct detokenizer;
MUST_CHECK enum status detokenizer_new(const struct tokenizer *t, struct detokenizer **out);
void detokenizer_free(struct detokenizer *d);
/* Feeds one id; *piece is borrowed until the next call, may be empty. */
MUST_CHECK enum status detokenizer_feed(struct detokenizer *d, int32_t id, const char **piece, size_t *len);
MUST_CHECK enum status detokenizer_end(struct detokenizer *d, const char **piece, size_t *len);

/* What each id is to a box, enum box_class of kernels/box_automaton.h: classes [tokenizer_vocab]. ST_UNSUPPORTED, with
 * the reason, where boxes can't be written with these pieces one token a digit, bracket, comma and blank. */
MUST_CHECK enum status tokenizer_box_classes(const struct tokenizer *t, int32_t *classes, struct diag *why);
/* Value 0..9 of an id that is exactly one digit, else -1. */
int tokenizer_digit(const struct tokenizer *t, int32_t id);

#endif
