#include "broker/rows.h"

#include <stdio.h>
#include <string.h>

void row_text(const struct reply *r, size_t i, char *out, size_t max)
{
    size_t len;
    const char *bytes = reply_bytes(r, i, &len);
    len = len < max ? len : max;
    memcpy(out, bytes, len);
    out[len] = '\0';
}

void row_campaign(const struct reply *row, struct campaign_status *out)
{
    enum { STATE_AT = 3, COUNTERS_AT = 4, MANIFEST_AT = 13, OFFSET_AT = 14, LABELS_AT, STOPPED_AT, COMPLETED_AT };
    struct campaign_status c = {.state = CAMPAIGN_ACTIVE};
    row_text(row, 0, c.name, LIMIT_NAME_BYTES);
    row_text(row, 1, c.tenant, LIMIT_NAME_BYTES);
    row_text(row, 2, c.class_name, CLASS_BYTES);
    for (int i = 0; i < CAMPAIGN_STATE_COUNT_; i++)
        if (reply_is(row, STATE_AT, campaign_state_name((enum campaign_state)i)))
            c.state = (enum campaign_state)i;
    uint64_t *counters[] = {&c.total,  &c.ready,     &c.running, &c.delayed, &c.done,
                            &c.failed, &c.cancelled, &c.trimmed, &c.workers};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        *counters[i] = (uint64_t)reply_number(row, COUNTERS_AT + i);
    size_t len;
    const char *manifest = reply_bytes(row, MANIFEST_AT, &len);
    if (len == PLACE_HASH_BYTES) {
        memcpy(c.place.manifest, manifest, PLACE_HASH_BYTES);
        c.place.offset = (uint64_t)reply_number(row, OFFSET_AT);
    }
    row_text(row, LABELS_AT, c.labels, LIMIT_NAME_BYTES);
    row_text(row, STOPPED_AT, c.stopped, STOPPED_BYTES);
    c.completed = reply_number(row, COMPLETED_AT) != 0;
    *out = c;
}

void row_worker(const struct reply *r, size_t at, struct worker_status *out)
{
    struct worker_status s = {.lease_ms = reply_number(r, at + 3), .running = (uint64_t)reply_number(r, at + 2)};
    size_t len;
    const char *bytes = reply_bytes(r, at, &len);
    for (size_t i = 0; i < len && i < SESSION_BYTES; i++)
        snprintf(s.session + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    const char *info = reply_bytes(r, at + 1, &len);
    const char *bar = memchr(info, '|', len);
    size_t n = bar ? (size_t)(bar - info) : len;
    memcpy(s.class_name, info, n < CLASS_BYTES ? n : CLASS_BYTES);
    const char *label = memrchr(info, '|', len);
    size_t left = label ? (size_t)(info + len - label - 1) : 0;
    if (left)
        memcpy(s.label, label + 1, left < LIMIT_NAME_BYTES ? left : LIMIT_NAME_BYTES);
    row_text(r, at + 4, s.state, STOPPED_BYTES);
    row_text(r, at + 5, s.said, SAID_BYTES);
    *out = s;
}
