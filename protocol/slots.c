#include "protocol/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned crc16(const char *bytes, size_t len)
{
    enum { POLYNOMIAL = 0x1021, TOP = 0x8000, MASK = 0xffff, BITS = 8 };
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)bytes[i] << BITS;
        for (int bit = 0; bit < BITS; bit++)
            crc = (crc & TOP ? crc << 1 ^ POLYNOMIAL : crc << 1) & MASK;
    }
    return crc;
}

int slots_of_shard(int shard)
{
    enum { TAG_BYTES = 16, SLOTS = 16384 };
    char tag[TAG_BYTES];
    return (int)(crc16(tag, (size_t)snprintf(tag, sizeof tag, "q:%d", shard)) % SLOTS);
}

static bool set_host(const char *bytes, size_t len, const char *asked_host, struct slots_address *out)
{
    if (len == 1 && *bytes == '?') /* the cluster does not know it */
        return false;
    if (len == 0) {
        bytes = asked_host;
        len = strlen(asked_host);
    }
    if (len > SLOTS_HOST_BYTES)
        return false;
    memcpy(out->host, bytes, len);
    out->host[len] = '\0';
    return true;
}

bool slots_read_redirect(const struct reply *error, const char *asked_host, struct slots_address *out)
{
    enum { TEXT_BYTES = 320 };
    char text[TEXT_BYTES];
    if (error->kind != REPLY_ERROR || error->len >= sizeof text)
        return false;
    memcpy(text, error->bytes, error->len);
    text[error->len] = '\0';
    const char *address = strrchr(text, ' '), *colon = strrchr(text, ':');
    if (!address || !colon || colon < address)
        return false;
    address++;
    out->port = (int)strtol(colon + 1, NULL, 10);
    return out->port > 0 && out->port <= UINT16_MAX && set_host(address, (size_t)(colon - address), asked_host, out);
}

bool slots_node(const struct reply *answer, size_t i, size_t k, const char *asked_host, struct slots_address *out)
{
    enum { FIRST_NODE = 2 };
    if (answer->kind != REPLY_ARRAY || i >= answer->n || answer->items[i].n <= FIRST_NODE + k)
        return false;
    const struct reply *node = &answer->items[i].items[FIRST_NODE + k];
    size_t len;
    const char *host = reply_bytes(node, 0, &len);
    out->port = (int)reply_number(node, 1);
    return out->port > 0 && out->port <= UINT16_MAX && set_host(host, len, asked_host, out);
}

bool slots_range_has(const struct reply *answer, size_t i, int slot)
{
    return answer->kind == REPLY_ARRAY && i < answer->n && reply_number(&answer->items[i], 0) <= slot &&
           slot <= reply_number(&answer->items[i], 1) && answer->items[i].n > 2;
}
