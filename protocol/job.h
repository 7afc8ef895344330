/* One job: one image and its tasks (design 3). Plain data behind one owner: job_free releases everything.
 * Three forms exist: this struct, JSON (a manifest line; job_json.c) and MessagePack (on the wire and in Redis;
 * job_codec.c). */
#ifndef PROTOCOL_JOB_H
#define PROTOCOL_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "protocol/limits.h"
#include "protocol/wire.h"

/* Unix time in milliseconds, as a deadline is one, is over this since 1973; durations, and Unix time in seconds, are
 * under it. */
#define JOB_FIRST_INSTANT_MS INT64_C(100000000000)

enum task_kind { TASK_CAPTION, TASK_DESCRIBE, TASK_LOCATE, TASK_ASK, TASK_KIND_COUNT_ };
const char *task_kind_name(enum task_kind k); /* "caption", ... */
MUST_CHECK enum status task_kind_parse(const char *name, enum task_kind *out,
                                       struct diag *why); /* unknown: ST_UNSUPPORTED, names the four */

enum job_region_kind { JOB_POINT, JOB_BOX, JOB_POLYGON, JOB_SCRIBBLE, JOB_RLE };
struct job_region {
    char *id; /* the user's name for it, or NULL */
    enum job_region_kind kind;
    bool normalised; /* coordinates are 0..1 */
    double box[4];   /* box x1 y1 x2 y2 inclusive; point x y */
    double *xy;      /* polygon, scribble: pairs */
    int n_points;
    int *ring_ends; /* polygon: pairs behind each ring */
    int n_rings;
    double stroke_width; /* scribble, pixels; 0 = default */
    char *rle_counts;    /* COCO's compressed string; uncompressed counts are turned into it on reading */
    int rle_size[2];     /* H, W */
};

struct job_options {
    int max_tokens;     /* 1 .. LIMIT_MAX_TOKENS; default 512 */
    double temperature; /* 0 .. 2; default 0 */
    double top_p;       /* (0, 1]; default 1 */
    uint64_t seed;      /* default 0 */
    char *stop[LIMIT_STOPS];
    int n_stop;
    bool repetition_stop; /* default true; ml-ferret policy: false */
};

struct job_task {
    char *id; /* or NULL: then "<kind>" or "<kind>-<n>" in the record */
    enum task_kind kind;
    int *regions; /* describe: which regions, one answer each; NULL = all. ask: regions that the text names as
                     {region0}.. by index into job.regions are taken from the text */
    int n_regions;
    char **phrases; /* locate */
    int n_phrases;
    char **turns; /* ask: user, assistant, user, ...; odd count */
    int n_turns;
    struct job_options options;
};

struct job {
    char *key;        /* the client's key of this job inside its campaign; default: the image URI */
    char *image;      /* URI: ROOT:path, file path, http(s):, s3:, data:, shard.tar#name@offset+length */
    char *group;      /* or NULL: then the folder or tar */
    int group_images; /* how many images the group has, said by one of them; 0: not said */
    struct job_region *regions;
    int n_regions;
    struct job_task *tasks;
    int n_tasks;
    char *policy;           /* "default" or "ml-ferret" */
    char *meta;             /* JSON text copied through unread, or NULL */
    int priority;           /* 0 (first) .. 2; default 1 */
    int max_retries;        /* default 4 */
    int64_t deadline_ms;    /* Unix time, 0 = none: not begun by then, it ends as `expired` */
    int64_t not_before_ms;  /* Unix time, 0 = at once */
    int64_t max_runtime_ms; /* once begun, 0 = any: then the worker gives it up */
    char *tenant;           /* default "default" */
    char *campaign;         /* "" outside a queue (annotate) */
    char *refused;     /* NULL; else the input was no job, and this is the word of its error ("unknown_task"): it goes
                          through a queue all the same, so that it ends in a record like any other. Not in JSON */
    char *refused_why; /* the sentence beside it, or NULL */
};

void job_free(struct job *j); /* accepts half-built jobs and NULL */

/* A manifest object (PROTOCOL.md "Job in JSON") -> job. `defaults` (may be NULL) supplies tasks, options, policy,
 * tenant, campaign... where the line has none; it is copied. Unknown fields, wrong kinds, values out of range:
 * ST_FORMAT or ST_INVALID naming the field ("priority: 7 is outside 0..2"); an unknown task kind: ST_UNSUPPORTED; a
 * text over its limit: ST_LIMIT. */
MUST_CHECK enum status job_from_json(const struct json *v, const struct job *defaults, struct job **out,
                                     struct diag *why);
MUST_CHECK enum status job_to_json(const struct job *j, struct json **out);
/* MessagePack, bounded by LIMIT_JOB_BYTES (ST_LIMIT naming key and size). *bytes malloc'ed. */
MUST_CHECK enum status job_encode(const struct job *j, uint8_t **bytes, size_t *len, struct diag *why);
MUST_CHECK enum status job_decode(const uint8_t *bytes, size_t len, struct job **out, struct diag *why);
/* What job_decode leaves to those who make records, since it takes longer than all else: meta is JSON, or ST_FORMAT. */
MUST_CHECK enum status job_check_meta(const struct job *j, struct diag *why);
/* id of the job: ID_BYTES bytes. */
void job_id(const struct job *j, uint8_t id[ID_BYTES]);
/* What names an encoded job, read without the rest of it; borrows from bytes. ST_FORMAT, ST_UNSUPPORTED, ST_LIMIT: no
 * job that job_decode would take either. */
struct job_name {
    struct wire_view tenant, campaign, key;
};
MUST_CHECK enum status job_name_read(const uint8_t *bytes, size_t len, struct job_name *out);
void job_name_id(const struct job_name *n, uint8_t id[ID_BYTES]); /* the same as job_id */
void job_id_hex(const uint8_t id[ID_BYTES], char hex[2 * ID_BYTES + 1]);

#endif
