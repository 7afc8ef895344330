/* Ids of jobs and where each was met: an open-addressed table; ids are hashes already. */
#ifndef CLI_ID_TABLE_H
#define CLI_ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

struct id_row {
    uint8_t id[ID_BYTES];
    uint32_t campaign; /* place in the caller's list, where has_job */
    uint8_t places;
    bool used, has_job;
};
struct id_table {
    struct id_row *rows;
    size_t n, cap;
};
/* The id's row, a new one where it is not there yet; NULL when memory is short. Valid until the next call. */
struct id_row *id_table_at(struct id_table *t, const uint8_t id[ID_BYTES]);
void id_table_fini(struct id_table *t);

#endif
