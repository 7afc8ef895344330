/* MessagePack, bounded. The writer packs with msgpack-c into one buffer that never grows past a limit; the reader is a
 * cursor that allocates nothing and checks every count and length against what is left before it answers, so that five
 * bytes can't ask for gigabytes. Both carry a sticky state: after the first fault writes do nothing and reads give
 * zero, so a codec checks once, at its end. */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes that somebody else owns. */
struct wire_view {
    const uint8_t *bytes;
    size_t len;
};

struct wire_writer {
    uint8_t *bytes; /* malloc'ed */
    size_t len, cap, max;
    enum status state; /* ST_OK, ST_NOMEM, ST_LIMIT (over max bytes) */
};

void wire_writer_init(struct wire_writer *w, size_t max_bytes);
void wire_writer_fini(struct wire_writer *w);
/* Gives the bytes away (free() them) and leaves the writer empty; its state if that is not ST_OK. */
MUST_CHECK enum status wire_writer_take(struct wire_writer *w, uint8_t **bytes, size_t *len);

void wire_put_nil(struct wire_writer *w);
void wire_put_bool(struct wire_writer *w, bool b);
void wire_put_uint(struct wire_writer *w, uint64_t u);
void wire_put_int(struct wire_writer *w, int64_t i);
void wire_put_real(struct wire_writer *w, double d);
void wire_put_str(struct wire_writer *w, const char *s); /* NUL-terminated; NULL is nil */
void wire_put_str_n(struct wire_writer *w, const char *s, size_t len);
void wire_put_bin(struct wire_writer *w, const void *bytes, size_t len);
void wire_put_raw(struct wire_writer *w, const void *bytes, size_t len); /* one value, encoded before */
void wire_put_array(struct wire_writer *w, size_t count);                /* count values follow */
void wire_put_map(struct wire_writer *w, size_t count);                  /* count pairs follow */

enum wire_kind { WIRE_NIL, WIRE_BOOL, WIRE_INT, WIRE_REAL, WIRE_STR, WIRE_BIN, WIRE_ARRAY, WIRE_MAP, WIRE_BAD };

struct wire_reader {
    const uint8_t *at, *end;
    enum status state; /* ST_OK, ST_FORMAT (cut or of another kind), ST_LIMIT (over a given bound) */
};

struct wire_reader wire_reader_init(const void *bytes, size_t len);
/* Walks a whole buffer: exactly one well-formed value, nested at most LIMIT_DEPTH deep, every container and string
 * inside what is there. A codec that calls this first may recurse freely. */
MUST_CHECK enum status wire_check(const void *bytes, size_t len);
enum wire_kind wire_peek(const struct wire_reader *r); /* kind of the next value; WIRE_BAD at the end */
bool wire_at_end(const struct wire_reader *r);
/* What a finished reader came to: its state, or ST_FORMAT when bytes are left over. */
MUST_CHECK enum status wire_finish(const struct wire_reader *r);
void wire_fail(struct wire_reader *r, enum status s); /* makes s the sticky state if there is none yet */

bool wire_get_nil(struct wire_reader *r); /* takes a nil if one is next; anything else stays, without fault */
bool wire_get_bool(struct wire_reader *r);
uint64_t wire_get_uint(struct wire_reader *r, uint64_t max);
int64_t wire_get_int(struct wire_reader *r, int64_t min, int64_t max);
double wire_get_real(struct wire_reader *r); /* ints too; NaN and infinity are faults */
/* Borrowed, not terminated. max_len in bytes. Text is checked to be UTF-8 without NUL. */
struct wire_view wire_get_str(struct wire_reader *r, size_t max_len);
struct wire_view wire_get_bin(struct wire_reader *r, size_t max_len);
size_t wire_get_array(struct wire_reader *r, size_t max_count);
size_t wire_get_map(struct wire_reader *r, size_t max_count);
void wire_skip(struct wire_reader *r); /* one whole value, unread */
/* The next value as it stands in the buffer, skipped over. */
struct wire_view wire_get_raw(struct wire_reader *r);

bool wire_view_is(struct wire_view v, const char *text);
bool wire_view_same(struct wire_view a, struct wire_view b);
/* malloc'ed, NUL-terminated; NULL when memory is short. */
char *wire_view_dup(struct wire_view v);

#endif
