/* Questions at the gate: a byte of length in front of each frame. Nobody comes in with a key of another length, or by a
 * domain that is not ours. */
#include <stdlib.h>
#include <string.h>

#include "protocol/zap.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct zap_question q = {.n = 0};
    struct zap_visitor v;
    for (size_t at = 0; at < size && q.n < 2 * ZAP_FRAMES; q.n++) {
        size_t len = bytes[at++], left = size - at;
        if (q.n < ZAP_FRAMES) {
            memcpy(q.bytes[q.n], bytes + at, len < left ? len : left);
            q.len[q.n] = len == 255 ? 2 * ZAP_FRAME_BYTES : len;
        }
        at += len < left ? len : left;
    }
    bool in = zap_read(&q, &v);
    if (v.id_len > ZAP_FRAME_BYTES || strlen(v.address) > ZAP_FRAME_BYTES || (!in && v.key))
        abort();
    if (in && (q.n != (v.key ? ZAP_FRAMES : ZAP_FRAMES - 1) || memcmp(q.bytes[0], "1.0", 3) != 0))
        abort();
    return 0;
}
