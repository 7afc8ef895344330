#include "protocol/wire.h"

#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

void wire_writer_init(struct wire_writer *w, size_t max_bytes)
{
    *w = (struct wire_writer){.max = max_bytes, .state = ST_OK};
}

void wire_writer_fini(struct wire_writer *w)
{
    free(w->bytes);
    *w = (struct wire_writer){.max = w->max};
}

enum status wire_writer_take(struct wire_writer *w, uint8_t **bytes, size_t *len)
{
    if (w->state != ST_OK)
        return w->state;
    *bytes = w->bytes;
    *len = w->len;
    *w = (struct wire_writer){.max = w->max};
    return ST_OK;
}

static bool grow(struct wire_writer *w, size_t more)
{
    enum { FIRST = 256 };
    if (w->cap - w->len >= more)
        return true;
    size_t cap = w->cap ? w->cap : FIRST;
    while (cap - w->len < more)
        cap *= 2;
    uint8_t *bytes = realloc(w->bytes, cap);
    if (!bytes)
        return false;
    w->bytes = bytes;
    w->cap = cap;
    return true;
}

static int append(void *data, const char *buf, size_t len)
{
    struct wire_writer *w = data;
    if (w->state != ST_OK)
        return -1;
    if (len > w->max - w->len)
        w->state = ST_LIMIT;
    else if (!grow(w, len))
        w->state = ST_NOMEM;
    if (w->state != ST_OK)
        return -1;
    if (len)
        memcpy(w->bytes + w->len, buf, len);
    w->len += len;
    return 0;
}

static msgpack_packer packer(struct wire_writer *w)
{
    msgpack_packer p;
    msgpack_packer_init(&p, w, append);
    return p;
}

void wire_put_nil(struct wire_writer *w)
{
    msgpack_packer p = packer(w);
    msgpack_pack_nil(&p);
}

void wire_put_bool(struct wire_writer *w, bool b)
{
    msgpack_packer p = packer(w);
    if (b)
        msgpack_pack_true(&p);
    else
        msgpack_pack_false(&p);
}

void wire_put_uint(struct wire_writer *w, uint64_t u)
{
    msgpack_packer p = packer(w);
    msgpack_pack_uint64(&p, u);
}

void wire_put_int(struct wire_writer *w, int64_t i)
{
    msgpack_packer p = packer(w);
    msgpack_pack_int64(&p, i);
}

void wire_put_real(struct wire_writer *w, double d)
{
    msgpack_packer p = packer(w);
    msgpack_pack_double(&p, d);
}

void wire_put_str_n(struct wire_writer *w, const char *s, size_t len)
{
    msgpack_packer p = packer(w);
    msgpack_pack_str(&p, len);
    msgpack_pack_str_body(&p, s, len);
}

void wire_put_str(struct wire_writer *w, const char *s)
{
    if (s)
        wire_put_str_n(w, s, strlen(s));
    else
        wire_put_nil(w);
}

void wire_put_bin(struct wire_writer *w, const void *bytes, size_t len)
{
    msgpack_packer p = packer(w);
    msgpack_pack_bin(&p, len);
    msgpack_pack_bin_body(&p, bytes, len);
}

void wire_put_raw(struct wire_writer *w, const void *bytes, size_t len)
{
    append(w, bytes, len);
}

void wire_put_array(struct wire_writer *w, size_t count)
{
    msgpack_packer p = packer(w);
    msgpack_pack_array(&p, count);
}

void wire_put_map(struct wire_writer *w, size_t count)
{
    msgpack_packer p = packer(w);
    msgpack_pack_map(&p, count);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* The head of a value: its kind, and a number, a length or a count. Nothing behind the head has been looked at. */
struct head {
    enum wire_kind kind;
    bool negative; /* WIRE_INT: number is an int64 */
    uint64_t number;
    double real;
    size_t bytes; /* of the head itself */
};

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Sign-extends a value of n bytes. */
static uint64_t extend(uint64_t v, size_t n)
{
    unsigned shift = (unsigned)(64 - 8 * n);
    return (uint64_t)((int64_t)(v << shift) >> shift);
}

static double as_real(uint64_t bits, size_t n)
{
    double d;
    if (n == sizeof d) {
        memcpy(&d, &bits, sizeof d);
    } else {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        d = f;
    }
    return d;
}

/* Types whose head is one byte and a big-endian number of 1 << shift bytes. Extension types are not part of the
 * protocol. */
static const struct {
    uint8_t first, last; /* type bytes; shift grows by one from each to the next */
    uint8_t shift;
    enum wire_kind kind;
    bool is_signed;
} sized[] = {{0xc4, 0xc6, 0, WIRE_BIN, false}, {0xca, 0xcb, 2, WIRE_REAL, false}, {0xcc, 0xcf, 0, WIRE_INT, false},
             {0xd0, 0xd3, 0, WIRE_INT, true},  {0xd9, 0xdb, 0, WIRE_STR, false},  {0xdc, 0xdd, 1, WIRE_ARRAY, false},
             {0xde, 0xdf, 1, WIRE_MAP, false}};

static struct head head_sized(const uint8_t *at, size_t left)
{
    struct head h = {.kind = WIRE_BAD, .bytes = 1};
    for (size_t i = 0; i < sizeof sized / sizeof sized[0]; i++) {
        if (*at < sized[i].first || *at > sized[i].last)
            continue;
        size_t n = (size_t)1 << (sized[i].shift + (*at - sized[i].first));
        if (left < 1 + n)
            return h;
        h.kind = sized[i].kind;
        h.bytes = 1 + n;
        h.number = big_endian(at + 1, n);
        if (h.kind == WIRE_REAL)
            h.real = as_real(h.number, n);
        if (sized[i].is_signed) {
            h.number = extend(h.number, n);
            h.negative = (int64_t)h.number < 0;
        }
        return h;
    }
    return h;
}

static struct head read_head(const uint8_t *at, size_t left)
{
    struct head h = {.kind = WIRE_BAD, .bytes = 1};
    if (left == 0)
        return h;
    uint8_t t = *at;
    if (t <= 0x7f)
        h = (struct head){.kind = WIRE_INT, .number = t, .bytes = 1};
    else if (t <= 0x8f)
        h = (struct head){.kind = WIRE_MAP, .number = t & 0x0fu, .bytes = 1};
    else if (t <= 0x9f)
        h = (struct head){.kind = WIRE_ARRAY, .number = t & 0x0fu, .bytes = 1};
    else if (t <= 0xbf)
        h = (struct head){.kind = WIRE_STR, .number = t & 0x1fu, .bytes = 1};
    else if (t == 0xc0)
        h.kind = WIRE_NIL;
    else if (t == 0xc2 || t == 0xc3)
        h = (struct head){.kind = WIRE_BOOL, .number = t & 1u, .bytes = 1};
    else if (t >= 0xe0)
        h = (struct head){.kind = WIRE_INT, .negative = true, .number = extend(t, 1), .bytes = 1};
    else
        h = head_sized(at, left);
    return h;
}

struct wire_reader wire_reader_init(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    return (struct wire_reader){.at = at, .end = at + len, .state = ST_OK};
}

static size_t left_in(const struct wire_reader *r)
{
    return (size_t)(r->end - r->at);
}

void wire_fail(struct wire_reader *r, enum status s)
{
    if (r->state == ST_OK)
        r->state = s;
}

enum wire_kind wire_peek(const struct wire_reader *r)
{
    return r->state == ST_OK ? read_head(r->at, left_in(r)).kind : WIRE_BAD;
}

bool wire_at_end(const struct wire_reader *r)
{
    return r->at == r->end;
}

enum status wire_finish(const struct wire_reader *r)
{
    if (r->state != ST_OK)
        return r->state;
    return wire_at_end(r) ? ST_OK : ST_FORMAT;
}

/* Takes the head of the next value if it is of that kind. */
static bool take(struct wire_reader *r, enum wire_kind kind, struct head *h)
{
    if (r->state != ST_OK)
        return false;
    *h = read_head(r->at, left_in(r));
    if (h->kind != kind) {
        r->state = ST_FORMAT;
        return false;
    }
    r->at += h->bytes;
    return true;
}

bool wire_get_nil(struct wire_reader *r)
{
    struct head h;
    return wire_peek(r) == WIRE_NIL && take(r, WIRE_NIL, &h);
}

bool wire_get_bool(struct wire_reader *r)
{
    struct head h;
    return take(r, WIRE_BOOL, &h) && h.number;
}

uint64_t wire_get_uint(struct wire_reader *r, uint64_t max)
{
    struct head h;
    if (!take(r, WIRE_INT, &h))
        return 0;
    if (h.negative || h.number > max) {
        r->state = ST_LIMIT;
        return 0;
    }
    return h.number;
}

int64_t wire_get_int(struct wire_reader *r, int64_t min, int64_t max)
{
    struct head h;
    if (!take(r, WIRE_INT, &h))
        return 0;
    int64_t v = (int64_t)h.number;
    if ((!h.negative && h.number > INT64_MAX) || v < min || v > max) {
        r->state = ST_LIMIT;
        return 0;
    }
    return v;
}

double wire_get_real(struct wire_reader *r)
{
    struct head h;
    if (wire_peek(r) == WIRE_INT) {
        if (!take(r, WIRE_INT, &h))
            return 0;
        return h.negative ? (double)(int64_t)h.number : (double)h.number;
    }
    if (!take(r, WIRE_REAL, &h))
        return 0;
    if (!isfinite(h.real)) {
        r->state = ST_FORMAT;
        return 0;
    }
    return h.real;
}

static struct wire_view take_bytes(struct wire_reader *r, enum wire_kind kind, size_t max_len)
{
    struct wire_view none = {.bytes = r->at, .len = 0};
    struct head h;
    if (!take(r, kind, &h))
        return none;
    if (h.number > left_in(r))
        r->state = ST_FORMAT;
    else if (h.number > max_len)
        r->state = ST_LIMIT;
    if (r->state != ST_OK)
        return none;
    struct wire_view v = {.bytes = r->at, .len = (size_t)h.number};
    r->at += v.len;
    return v;
}

/* Bytes of the UTF-8 sequence at p, or 0 where it is none: overlong forms, surrogates, NUL and values over U+10FFFF
 * count as none. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    uint8_t a = p[0];
    if (a < 0x80)
        return a != 0;
    size_t n = a >= 0xf0 ? 4 : a >= 0xe0 ? 3 : 2;
    if (a < 0xc2 || a > 0xf4 || left < n)
        return 0;
    uint8_t low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    uint8_t high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* How many bytes from p on are ASCII without NUL, seen eight at a time; most texts are nothing else. */
static size_t plain_bytes(const uint8_t *p, size_t left)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    size_t n = 0;
    for (uint64_t word; left - n >= sizeof word; n += sizeof word) {
        memcpy(&word, p + n, sizeof word);
        if ((word | (word - ones)) & high) /* a byte of 0x80 and more, or one that was 0 */
            break;
    }
    return n;
}

struct wire_view wire_get_str(struct wire_reader *r, size_t max_len)
{
    struct wire_view v = take_bytes(r, WIRE_STR, max_len);
    for (size_t i = plain_bytes(v.bytes, v.len); i < v.len;) {
        size_t n = utf8_sequence(v.bytes + i, v.len - i);
        if (n == 0) {
            wire_fail(r, ST_FORMAT);
            v.len = 0;
        }
        i += n;
    }
    return v;
}

struct wire_view wire_get_bin(struct wire_reader *r, size_t max_len)
{
    return take_bytes(r, WIRE_BIN, max_len);
}

/* Every value takes at least a byte, so a count over what is left is a lie. */
static size_t take_count(struct wire_reader *r, enum wire_kind kind, size_t max_count, size_t values_each)
{
    struct head h;
    if (!take(r, kind, &h))
        return 0;
    if (h.number > left_in(r) / values_each)
        r->state = ST_FORMAT;
    else if (h.number > max_count)
        r->state = ST_LIMIT;
    return r->state == ST_OK ? (size_t)h.number : 0;
}

size_t wire_get_array(struct wire_reader *r, size_t max_count)
{
    return take_count(r, WIRE_ARRAY, max_count, 1);
}

size_t wire_get_map(struct wire_reader *r, size_t max_count)
{
    return take_count(r, WIRE_MAP, max_count, 2);
}

void wire_skip(struct wire_reader *r)
{
    uint64_t open[LIMIT_DEPTH + 1]; /* values still to come on each level */
    int level = 0;
    open[0] = 1;
    while (r->state == ST_OK && level >= 0) {
        if (open[level] == 0) {
            level--;
            continue;
        }
        open[level]--;
        struct head h = read_head(r->at, left_in(r));
        if (h.kind == WIRE_BAD || (h.kind == WIRE_REAL && !isfinite(h.real))) {
            r->state = ST_FORMAT;
            return;
        }
        r->at += h.bytes;
        bool bytes = h.kind == WIRE_STR || h.kind == WIRE_BIN, nested = h.kind == WIRE_ARRAY || h.kind == WIRE_MAP;
        uint64_t values = h.kind == WIRE_MAP ? 2 * h.number : h.number;
        if ((bytes || nested) && (bytes ? h.number : values) > left_in(r))
            r->state = ST_FORMAT;
        else if (bytes)
            r->at += h.number;
        else if (nested && level + 1 > LIMIT_DEPTH)
            r->state = ST_LIMIT;
        else if (nested)
            open[++level] = values;
    }
}

enum status wire_check(const void *bytes, size_t len)
{
    struct wire_reader r = wire_reader_init(bytes, len);
    wire_skip(&r);
    return wire_finish(&r);
}

struct wire_view wire_get_raw(struct wire_reader *r)
{
    const uint8_t *from = r->at;
    wire_skip(r);
    return (struct wire_view){.bytes = from, .len = r->state == ST_OK ? (size_t)(r->at - from) : 0};
}

bool wire_view_is(struct wire_view v, const char *text)
{
    return strlen(text) == v.len && memcmp(v.bytes, text, v.len) == 0;
}

bool wire_view_same(struct wire_view a, struct wire_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

char *wire_view_dup(struct wire_view v)
{
    char *s = malloc(v.len + 1);
    if (!s)
        return NULL;
    if (v.len)
        memcpy(s, v.bytes, v.len);
    s[v.len] = '\0';
    return s;
}
