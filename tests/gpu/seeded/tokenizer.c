/* Words to ids and back: a word is any run of letters between blanks, its id a hash; ids print as numbers. */
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOS = 1, REGION = 3, FIRST_WORD = 4, WORDS = 90 /* fewer than any vocabulary has */, ID_BYTES = 12 };
static const char image_mark[] = "<image>", region_mark[] = "<region_fea>", blanks[] = " \n\t";

struct tokenizer {
    int region_id;
};
struct detokenizer {
    char text[ID_BYTES];
};

enum status tokenizer_open(const char *dir, int region_id, struct tokenizer **out, struct diag *why)
{
    struct tokenizer *t = malloc(sizeof *t);
    if (!t)
        return diag_set(why, ST_NOMEM, "%s: no memory for a tokenizer", dir);
    t->region_id = region_id;
    *out = t;
    return ST_OK;
}

void tokenizer_close(struct tokenizer *t)
{
    free(t);
}

static int32_t word_id(const struct tokenizer *t, const char *word, size_t len)
{
    uint32_t h = 2166136261u;
    if (len == sizeof image_mark - 1 && memcmp(word, image_mark, len) == 0)
        return TOKEN_IMAGE;
    if (len == sizeof region_mark - 1 && memcmp(word, region_mark, len) == 0)
        return t->region_id;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)word[i]) * 16777619u;
    return (int32_t)(FIRST_WORD + h % WORDS);
}

int tokenizer_vocab(const struct tokenizer *t)
{
    (void)t;
    return FIRST_WORD + WORDS;
}

enum status tokenizer_box_classes(const struct tokenizer *t, int32_t *classes, struct diag *why)
{
    (void)t, (void)classes;
    return diag_set(why, ST_UNSUPPORTED, "seeded words write no boxes");
}

enum status tokenizer_encode_prompt(const struct tokenizer *t, const char *prompt, size_t len, int32_t **ids, int *n,
                                    struct diag *why)
{
    int32_t *list = malloc((len + 1) * sizeof *list);
    if (!list)
        return diag_set(why, ST_NOMEM, "no memory for %zu bytes of a prompt", len);
    int count = 0;
    list[count++] = BOS;
    for (size_t at = 0; at < len;) {
        size_t word = 0;
        while (at + word < len && !strchr(blanks, prompt[at + word]))
            word++;
        if (word > 0)
            list[count++] = word_id(t, prompt + at, word);
        at += word + 1;
    }
    *ids = list;
    *n = count;
    return ST_OK;
}

enum status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int n, bool cleanup, char **text,
                             size_t *token_end, struct diag *why)
{
    (void)t, (void)cleanup;
    size_t room = (size_t)n * ID_BYTES + 1, at = 0;
    char *out = malloc(room);
    if (!out)
        return diag_set(why, ST_NOMEM, "no memory for %d ids as text", n);
    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        at += (size_t)snprintf(out + at, room - at, "%s%d", i ? " " : "", ids[i]);
        if (token_end)
            token_end[i] = at;
    }
    *text = out;
    return ST_OK;
}

enum status detokenizer_new(const struct tokenizer *t, struct detokenizer **out)
{
    (void)t;
    *out = calloc(1, sizeof **out);
    return *out ? ST_OK : ST_NOMEM;
}

void detokenizer_free(struct detokenizer *d)
{
    free(d);
}

enum status detokenizer_feed(struct detokenizer *d, int32_t id, const char **piece, size_t *len)
{
    *len = (size_t)snprintf(d->text, sizeof d->text, "%d ", id);
    *piece = d->text;
    return ST_OK;
}
