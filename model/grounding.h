/* Boxes out of answer texts (spec 7.3, vlm-batch-inference 4): a tolerant parser for our records and the two official
 * scanners for parity. */
#ifndef MODEL_GROUNDING_H
#define MODEL_GROUNDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct grounded_box {
    int n_raw;  /* 2 (point) or 4 */
    int raw[4]; /* numbers as written */
    double
        box[4]; /* display pixels: v * W / 1000, v clamped to 0..1000, corners in order; a point has x1 = x2, y1 = y2 */
    int truncated[4];  /* the reference's int(v * (W / 1000.0)), clamp and order as `box` */
    size_t start, end; /* bytes of "[...]" in the text */
    double score;      /* geometric mean of its digit tokens' probabilities; -1 where unknown */
};
struct entity {
    size_t start, end; /* bytes of the phrase in the text; equal where there is none */
    char *phrase;
    struct grounded_box *boxes;
    int n_boxes;
};
struct entities {
    struct entity *list;
    int n;
};
/* Phrase = the noun phrase in front of "[..]": text since the previous box or one of . , ; : ! ? and without leading
 * "and", "the", spaces kept out of the span. "[..][..]" or "[..], [..]" after one phrase belong to the same entity.
 * n_tokens may be 0 (no scores); logprob and token_end as engine and tokenizer_decode give them; is_digit[i]: token i
 * is a digit. */
MUST_CHECK enum status grounding_parse(const char *text, int width, int height, const float *logprob,
                                       const size_t *token_end, const bool *is_digit, int n_tokens,
                                       struct entities *out);
void entities_fini(struct entities *e);

/* Official behaviour (spec 7.3; golden answers.json): the bracket scanner of REC/Flickr evaluation and the Flickr
 * regular expression. error: name of the Python exception, or NULL. */
struct official_box {
    char *phrase;
    int64_t box[4]; /* no clamp, no order: int(v * (size / 1000.0)), whatever v is */
};
struct official_boxes {
    struct official_box *list;
    int n;
    const char *error;
};
MUST_CHECK enum status grounding_scan_official(const char *text, int width, int height, struct official_boxes *out);
MUST_CHECK enum status grounding_regex_official(const char *text, int width, int height, struct official_boxes *out);
void official_boxes_fini(struct official_boxes *b);

#endif
