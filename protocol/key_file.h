/* CURVE keys in files, one JSON object each: {"name": "worker", "public-key": Z85, "secret-key": Z85}. A file with a
 * secret half belongs to its owner alone; one without (broker.pub) is for everybody. And the settings by which a
 * program that connects to a broker is told its keys. */
#ifndef PROTOCOL_KEY_FILE_H
#define PROTOCOL_KEY_FILE_H

#include <stdbool.h>

#include "base/settings.h"
#include "protocol/limits.h"
#include "protocol/link.h"

struct key_file {
    char name[LIMIT_NAME_BYTES + 1]; /* for people; "" */
    char public_key[LINK_KEY_TEXT];
    char secret_key[LINK_KEY_TEXT]; /* "": a public key alone */
};

/* The object's text; what names it in errors. ST_FORMAT, ST_INVALID. */
MUST_CHECK enum status key_file_parse(const char *text, size_t len, const char *what, struct key_file *out,
                                      struct diag *why);
/* secret: it must have both halves, and nobody else may read it; else it must have the public one only. */
MUST_CHECK enum status key_file_read(const char *path, bool secret, struct key_file *out, struct diag *why);
/* ST_REFUSED: the file is there, and replace was not said. */
MUST_CHECK enum status key_file_write(const char *path, const struct key_file *key, bool replace, struct diag *why);
/* A file beside another one. ST_LIMIT: too long for out, of size bytes. */
MUST_CHECK enum status key_file_beside(const char *path, const char *name, char *out, size_t size, struct diag *why);

/* ---- of a program that connects ---------------------------------------------------------------------------------- */

struct key_flags {
    const char *key_file, *broker_key_file;
    bool insecure;
};
struct setting_group key_flags_group(size_t at);

/* What they come to. */
struct key_ring {
    struct key_file own, broker;
    struct link_keys keys;       /* borrows from the two above */
    const struct link_keys *use; /* &keys, or NULL where there are none: the ring must not be copied */
};
MUST_CHECK enum status key_flags_load(const struct key_flags *f, struct key_ring *out, struct diag *why);

#endif
