#include "protocol/zap.h"

#include <string.h>

enum { VERSION_AT, ID_AT, DOMAIN_AT, ADDRESS_AT, NAME_AT, MECHANISM_AT, KEY_AT, KEY_BYTES = 32 };

static bool is(const struct zap_question *q, size_t i, const char *text)
{
    return i < q->n && q->len[i] == strlen(text) && memcmp(q->bytes[i], text, q->len[i]) == 0;
}

bool zap_read(const struct zap_question *q, struct zap_visitor *out)
{
    static const char MAPPED[] = "::ffff:"; /* how a socket for both shows IPv4 */
    const size_t prefix = sizeof MAPPED - 1;
    *out = (struct zap_visitor){.id = q->bytes[ID_AT]};
    if (q->n > ID_AT && q->len[ID_AT] <= ZAP_FRAME_BYTES)
        out->id_len = q->len[ID_AT];
    size_t skip = q->n > ADDRESS_AT && q->len[ADDRESS_AT] > prefix && memcmp(q->bytes[ADDRESS_AT], MAPPED, prefix) == 0
                      ? prefix
                      : 0;
    if (q->n > ADDRESS_AT && q->len[ADDRESS_AT] <= ZAP_FRAME_BYTES)
        memcpy(out->address, q->bytes[ADDRESS_AT] + skip, q->len[ADDRESS_AT] - skip);
    if (!is(q, VERSION_AT, "1.0"))
        return false;
    if (q->n == MECHANISM_AT + 1)
        return is(q, MECHANISM_AT, "NULL") && is(q, DOMAIN_AT, ZAP_DOMAIN_LOCAL);
    if (q->n != KEY_AT + 1 || !is(q, MECHANISM_AT, "CURVE") || !is(q, DOMAIN_AT, ZAP_DOMAIN_KEYS) ||
        q->len[KEY_AT] != KEY_BYTES)
        return false;
    out->key = q->bytes[KEY_AT];
    return true;
}
