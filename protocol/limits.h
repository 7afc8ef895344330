/* Bounds of everything that crosses a process border, checked before anything is allocated. Normative copies stand in
 * PROTOCOL.md. */
#ifndef PROTOCOL_LIMITS_H
#define PROTOCOL_LIMITS_H

enum {
    PROTOCOL_VERSION = 1,
    LIMIT_FRAME_BYTES = 4 << 20,  /* one ZeroMQ frame */
    LIMIT_JOB_BYTES = 16 << 10,   /* an encoded job (design 4: bodies over 16 KB are refused by name) */
    LIMIT_RESULT_BYTES = 1 << 20, /* a result record */
    LIMIT_TWIN_BYTES = 16 << 10,  /* of a value in the index of what was answered already */
    LIMIT_TWINS = 64,             /* asked for, and told, in a message */
    LIMIT_JOBS_PER_MESSAGE = 256,
    LIMIT_HELD_JOBS = 512, /* jobs that a worker's session may hold */
    LIMIT_SHARDS = 16,
    LIMIT_DEPTH = 16, /* nesting of MessagePack and JSON */
    LIMIT_URI_BYTES = 4096,
    LIMIT_TASKS = 256,   /* tasks of an image */
    LIMIT_REGIONS = 256, /* regions of an image */
    LIMIT_TURNS = 31,
    LIMIT_PHRASES = 64,
    LIMIT_TEXT_BYTES = 12 << 10, /* one question or turn */
    LIMIT_NAME_BYTES = 128,      /* campaign, tenant, group, region and task names */
    LIMIT_META_BYTES = 4 << 10,
    LIMIT_STOPS = 4,
    LIMIT_MAX_TOKENS = 2048,
    ID_BYTES = 16, /* id of a job: first 16 bytes of SHA-256(tenant 0 campaign 0 client key) */
};

#endif
