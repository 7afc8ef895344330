/* Frames from strangers: whatever decodes can be read row by row and encodes again to something that decodes. */
#include <stdlib.h>

#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

static void read_rows(const struct message *m)
{
    struct wire_reader r;
    size_t n = message_rows_open(m, &r);
    for (size_t i = 0; i < n; i++) {
        if (m->kind == MESSAGE_CAMPAIGNS)
            (void)message_campaign_next(&r);
        else if (m->kind == MESSAGE_SESSIONS)
            (void)message_worker_next(&r);
        else if (m->kind == MESSAGE_LISTED || m->kind == MESSAGE_JOB_IS)
            (void)message_number_next(&r, &(struct wire_view){.len = 0});
        else
            (void)message_row_next(&r);
    }
    if (m->rows.len && wire_finish(&r) != ST_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct message m, again;
    struct diag why;
    if (message_decode(bytes, len, &m, &why) != ST_OK)
        return 0;
    read_rows(&m);
    uint8_t *copy;
    size_t copy_len;
    if (message_encode(&m, &copy, &copy_len) != ST_OK)
        abort();
    if (message_decode(copy, copy_len, &again, &why) != ST_OK || again.kind != m.kind || again.request != m.request)
        abort();
    free(copy);
    return 0;
}
