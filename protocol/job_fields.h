/* Reading a job's JSON: fields of objects by table, values by kind. Every error's sentence begins with the field's
 * path. Used inside protocol/ only. */
#ifndef PROTOCOL_JOB_FIELDS_H
#define PROTOCOL_JOB_FIELDS_H

#include "base/json.h"
#include "protocol/job.h"

/* One manifest line being read. */
struct reader {
    const struct job *defaults; /* or NULL */
    struct job *job;
    struct diag *why;
    struct job_options options;      /* what tasks begin with */
    struct job_task single;          /* of "task": KIND */
    const struct json *line_options; /* the line's "options", or NULL */
    bool named;                      /* it has a "task" */
    bool other_policy;               /* than the defaults' */
};

/* name: the member as the line spells it, or its path. */
typedef enum status (*field_fn)(struct reader *r, const struct json *v, const char *name, void *target);
struct field {
    const char *name;
    int slot; /* spellings of one thing share a slot; a line may use one of them */
    field_fn read;
};

/* Reads the members of v in the table's order. path: in front of the members' names, NULL at the top. */
MUST_CHECK enum status field_object(struct reader *r, const struct json *v, const char *path,
                                    const struct field *fields, size_t n, void *target);
/* What v is, in words: "a list", "the number 7"... */
const char *field_kind(const struct json *v);

MUST_CHECK enum status field_int(struct reader *r, const struct json *v, const char *name, int *out);
MUST_CHECK enum status field_number(struct reader *r, const struct json *v, const char *name, double *out);
MUST_CHECK enum status field_bool(struct reader *r, const struct json *v, const char *name, bool *out);
/* A string without NUL, copied into *slot in place of what was there. */
MUST_CHECK enum status field_text(struct reader *r, const struct json *v, const char *name, char **slot);
/* A string, or a list of at most `most` of them. */
MUST_CHECK enum status field_texts(struct reader *r, const struct json *v, const char *name, int most, char ***list,
                                   int *n);
/* A region object (job_region_json.c). */
MUST_CHECK enum status field_region(struct reader *r, const struct json *v, const char *path, struct job_region *out);

#endif
