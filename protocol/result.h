/* A result record, schema 1 (normative: result.schema.json): the JSON text that a job ends in. It travels and is stored
 * as this text; brokers and Redis never open it. One record a job: image facts, then one entry a task answer, or a
 * typed error for the image as a whole. */
#ifndef PROTOCOL_RESULT_H
#define PROTOCOL_RESULT_H

#include "base/json.h"
#include "base/status.h"

enum error_class { ERROR_PERMANENT, ERROR_TRANSIENT, ERROR_ENVIRONMENT };
const char *error_class_name(enum error_class c); /* "permanent", ... */

/* {"schema":1,"id":key,"job":hex,"campaign":..,"status":"failed","error":{"class","code","message"},"image":{"uri"},"meta"}
 * as JSON; code: a stable lower-case word. NULL when memory is short. */
struct job;
struct json *result_failure(const struct job *j, enum error_class c, const char *code, const char *message);

/* A file that breaks off too early: permanent, code "truncated", and image.rows_decoded, the share of its rows. */
struct json *result_truncated(const struct job *j, const char *message, double rows_decoded);

/* The same in pieces, for records of images that got further. {"schema","id","job","campaign","status"}: */
struct json *result_start(const struct job *j, const char *status);
struct json *result_error(enum error_class c, const char *code, const char *message);
/* A string whose bytes need not be UTF-8 (file names, sentences about them): what is none becomes '?'. */
struct json *result_text(const char *text);
MUST_CHECK enum status result_put_meta(struct json *record, const struct job *j);

/* Checks a record against the rules of result.schema.json that programs rely on (schema number, status, field kinds).
 */
MUST_CHECK enum status result_check(const struct json *record, struct diag *why);

#endif
