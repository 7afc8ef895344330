/* What the files of parts share. */
#ifndef FORMATS_WRITE_PARTS_IMPL_H
#define FORMATS_WRITE_PARTS_IMPL_H

#include <limits.h>

#include "formats/write/packed.h"
#include "formats/write/parts.h"

enum { PART_NAME_BYTES = 48 };
#define PART_ENDING ".jsonl.zst"
#define PART_TEMPORARY ".tmp"
#define PARTS_PLACE "_place.json"
#define PARTS_MANIFEST "_manifest.json"

/* A file that has ended. */
struct part {
    char name[PART_NAME_BYTES];
    uint64_t records;
    struct packed_state state;
    bool renamed; /* else it is still NAME.tmp */
};

/* The files of a shard, or of what failed, one after the other. */
struct part_stream {
    struct packed *file; /* NULL until something is put */
    uint64_t number;     /* of the file that is written or comes next */
    uint64_t bytes;      /* of it, committed */
    uint64_t plain;      /* uncompressed, put */
    uint64_t records;
};

enum part_count { COUNT_OK, COUNT_PARTIAL, COUNT_FAILED, COUNT_FORGOTTEN, PART_COUNTS };

struct parts {
    char dir[PATH_MAX - 2 * PART_NAME_BYTES];
    char *source;
    int dir_fd, lock_fd;
    uint64_t part_bytes;
    int shards;
    struct part_stream streams[PARTS_SHARDS + 1]; /* [shards]: what failed */
    struct part *list;
    size_t n, room;
    struct result_cursor cursor;  /* committed */
    uint64_t counts[PART_COUNTS]; /* put */
    struct json *models;          /* list of objects: what made the records */
    struct json *policies;        /* list of words */
    bool has_manifest;
};

void parts_path(const struct parts *p, const char *name, const char *ending, char out[PATH_MAX]);
void parts_name(const struct parts *p, int stream, uint64_t number, char out[PART_NAME_BYTES]);
MUST_CHECK enum status parts_add(struct parts *p, const struct part *part);

/* ---- parts_place.c ---- */

/* Where the folder is; ST_OK and nothing else in a new one. */
MUST_CHECK enum status parts_read_place(struct parts *p, struct diag *why);
MUST_CHECK enum status parts_write_place(struct parts *p, const struct result_cursor *cursor, struct diag *why);
MUST_CHECK enum status parts_write_manifest(struct parts *p, bool complete, struct diag *why);
/* Notes model, engine and policy of a record. */
MUST_CHECK enum status parts_note(struct parts *p, const struct json *record);

#endif
