/* What a call came to: one code for the program and, where a person must act, one sentence.
 *
 * Every function that can fail returns `enum status` and leaves its out-parameters untouched on failure.
 * Where the cause lies outside our code (files, config, images, peers) the last parameter is a
 * `struct diag *why`, which may be NULL: its text names the file, field or tensor, what was expected
 * and what was found. Libraries never print, exit or abort on bytes from outside. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum status {
    ST_OK = 0,
    ST_NOMEM,       /* allocation failed, or does not fit the memory budget */
    ST_IO,          /* the system said no: open, read, write, connect */
    ST_FORMAT,      /* bytes that are not what they should be */
    ST_SHAPE,       /* tensor or field present, but of another size or type */
    ST_MISSING,     /* file, key, tensor or device that must be there is not */
    ST_LIMIT,       /* well-formed, but over a stated limit */
    ST_INVALID,     /* an argument or option out of its range */
    ST_UNSUPPORTED, /* well-formed, but this build or device can't do it */
    ST_TIMEOUT,
    ST_REFUSED, /* the peer or a policy refused */
    ST_CANCELLED,
    ST_DEVICE, /* the device failed; its context can't be used any more */
    ST_CLOSED, /* end of input or the peer went away in order */
    ST_BUSY,   /* try again later */
    ST_COUNT_  /* number of codes; not a status */
};

/* Lower-case word of a code ("format", "nomem"), for logs and records. Static storage. */
const char *status_word(enum status s);

enum { DIAG_BYTES = 512 };

/* A sentence about a failure. Zero-initialise; plain data, no ownership. */
struct diag {
    char text[DIAG_BYTES];
};

/* Writes the sentence (cut at DIAG_BYTES, always terminated, never half a UTF-8 sequence) and returns `s`,
 * so that `return diag_set(why, ST_FORMAT, "%s: ...", path);` reads well. why may be NULL. */
enum status diag_set(struct diag *why, enum status s, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "prefix: " in front of an existing sentence; returns s. why may be NULL. */
enum status diag_wrap(struct diag *why, enum status s, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
